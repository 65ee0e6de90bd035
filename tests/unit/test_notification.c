#include "notification.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ORDER = EVENT_ORDER_FETCHED, SHIPMENT = EVENT_SHIPMENT_FETCHED };
enum { LEGACY = EVENT_LEGACY_ORDER_FETCHED };

/* A request as a web server passes it. */
struct row {
    const char *uri; /* behind /tradecloud, as it was sent; NULL: REQUEST_URI is not set */
    const char *path;
    const char *query;
    int kind;
    const char *id; /* NULL: refused */
};

static const struct row rows[] = {
    {"/order/a", "/order/a", NULL, ORDER, "a"},
    {"/shipment/a", "/shipment/a", NULL, SHIPMENT, "a"},
    {"/legacy-order/a", "/legacy-order/a", NULL, LEGACY, "a"},
    {"/a", "/a", NULL, ORDER, "a"},
    {NULL, "/order/a", NULL, ORDER, "a"},
    {NULL, "/order/a%2Fb+c", NULL, ORDER, "a%2Fb+c"},
    {NULL, "/a/b", NULL, ORDER, "a/b"},
    /* What the server has made of the path does not count where it is known as it was sent. */
    {"/order/a%2Fb", "/order/a/b", NULL, ORDER, "a/b"},
    {"/order/a//b", "/order/a/b", NULL, ORDER, "a//b"},
    {"/order/a/../b", "/order/b", NULL, ORDER, "a/../b"},
    {"/order/a%23b%3Fc%25d", "/order/a#b?c%d", NULL, ORDER, "a#b?c%d"},
    {"/order/a+b%20c%2Bd", "/order/a+b c+d", NULL, ORDER, "a+b c+d"},
    {"/order/%C3%A9", "/order/\xc3\xa9", NULL, ORDER, "\xc3\xa9"},
    {"/order/order/shipment/x", "/order/order/shipment/x", NULL, ORDER, "order/shipment/x"},
    {"/orders", "/orders", NULL, ORDER, "orders"},
    {"/order%2Fa", "/order/a", NULL, ORDER, "order/a"},
    {"/order/%22%5C", "/order/\"\\", NULL, ORDER, "\"\\"},
    {"?orderId=a", NULL, "orderId=a", ORDER, "a"},
    {"?shipmentId=a", NULL, "shipmentId=a", SHIPMENT, "a"},
    {"?legacyOrderId=a", NULL, "legacyOrderId=a", LEGACY, "a"},
    {"/?x=y&orderId=a&z", "/", "x=y&orderId=a&z", ORDER, "a"},
    {"?orderId=a+b%20c%2Bd", NULL, "orderId=a+b%20c%2Bd", ORDER, "a b c+d"},
    {"?orderId=a=b", NULL, "orderId=a=b", ORDER, "a=b"},
    {"?orderId=a&orderId=%61", NULL, "orderId=a&orderId=%61", ORDER, "a"},
    {"/order/a?orderId=a", "/order/a", "orderId=a", ORDER, "a"},
    {"/order?orderId=a", "/order", "orderId=a", ORDER, "a"},
    {"/order/?orderId=a", "/order/", "orderId=a", ORDER, "a"},
    {"", NULL, NULL, 0, NULL},
    {"/", "/", NULL, 0, NULL},
    {"/order", "/order", NULL, 0, NULL},
    {"/order/", "/order/", NULL, 0, NULL},
    {"/shipment/", "/shipment/", NULL, 0, NULL},
    {"/order/.", "/order/.", NULL, 0, NULL},
    {"/order/%2e%2E", "/", NULL, 0, NULL},
    {"/order/a%0d%0ab", "/order/a\r\nb", NULL, 0, NULL},
    {"/order/a%00b", "/order/a", NULL, 0, NULL},
    {"/order/a%7f", "/order/a\x7f", NULL, 0, NULL},
    {"/order/%ff", "/order/\xff", NULL, 0, NULL},
    {"/order/%C3", "/order/\xc3", NULL, 0, NULL},
    {"/order/a%", "/order/a", NULL, 0, NULL},
    {"/order/a%4", "/order/a", NULL, 0, NULL},
    {"/order/a%4x", "/order/a", NULL, 0, NULL},
    {NULL, "/order/a\nb", NULL, 0, NULL},
    {NULL, NULL, NULL, 0, NULL},
    {"?orderId=", NULL, "orderId=", 0, NULL},
    {"?orderId", NULL, "orderId", 0, NULL},
    {"?orderid=a", NULL, "orderid=a", 0, NULL},
    {"?orderIds=a", NULL, "orderIds=a", 0, NULL},
    {"?orderId=a&orderId=b", NULL, "orderId=a&orderId=b", 0, NULL},
    {"?orderId=a&shipmentId=a", NULL, "orderId=a&shipmentId=a", 0, NULL},
    {"/order/a?orderId=b", "/order/a", "orderId=b", 0, NULL},
    {"/shipment/a?orderId=a", "/shipment/a", "orderId=a", 0, NULL},
    {"/order/a?orderId=%zz", "/order/a", "orderId=%zz", 0, NULL},
};

static void check(const struct row *row)
{
    char uri[2048];
    struct problem problem = {0};
    struct notification found;
    struct request request = {.script_name = "/tradecloud", .path_info = row->path};
    request.query_string = row->query;
    (void)snprintf(uri, sizeof uri, "/tradecloud%s", row->uri == NULL ? "" : row->uri);
    request.request_uri = row->uri == NULL ? NULL : uri;
    bool read = notification_read(&request, &found, &problem);
    const char *named = row->uri == NULL ? row->path : row->uri;
    if (read != (row->id != NULL))
        fail_msg("%s: %s", named, read ? found.id : problem.reason);
    if (!read)
        assert_int_equal(problem.status, 400);
    else if ((int)found.kind != row->kind || strcmp(found.id, row->id) != 0)
        fail_msg("%s: %s %s", named, notification_kind_name(found.kind), found.id);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check(&rows[i]);
}

/* One that the server has decoded is as long as one that it has not. */
static void test_length(void **state)
{
    struct notification found;
    struct problem problem;
    char path[sizeof "/order/" + NOTIFICATION_ID_MAX + 1];
    (void)state;
    memset(path, 'x', sizeof path);
    memcpy(path, "/order/", strlen("/order/"));
    path[sizeof path - 1] = '\0';
    const struct request long_one = {.path_info = path};
    assert_false(notification_read(&long_one, &found, &problem));
    assert_int_equal(problem.status, 400);
    path[sizeof path - 2] = '\0';
    const struct request longest = {.path_info = path};
    assert_true(notification_read(&longest, &found, &problem));
    assert_int_equal(strlen(found.id), NOTIFICATION_ID_MAX);
    assert_string_equal(notification_kind_name(EVENT_ORDER), "unknown");
}

/* With another prefix than this program's path, REQUEST_URI is of no use. */
static void test_foreign_uri(void **state)
{
    (void)state;
    static const char *const uris[] = {"/elsewhere/order/b", "/tradecloudy/order/b",
                                       "https://host/tradecloud/order/b", "*"};
    for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
        struct problem problem;
        struct notification found;
        const struct request request = {
            .script_name = "/tradecloud", .request_uri = uris[i], .path_info = "/order/a"};
        assert_true(notification_read(&request, &found, &problem));
        assert_string_equal(found.id, "a");
    }
}

/* Ids of n characters, each sent as `escape`. */
static void check_length(size_t n, const char *escape, bool fits)
{
    char uri[4096] = "/order/";
    const struct row row = {uri, NULL, NULL, ORDER, NULL};
    char id[1024];
    for (size_t i = 0; i < n; i++)
        (void)snprintf(uri + strlen(uri), sizeof uri - strlen(uri), "%s", escape);
    memset(id, 'x', n);
    id[n] = '\0';
    struct row fitting = row;
    fitting.id = id;
    check(fits ? &fitting : &row);
}

static void test_lengths(void **state)
{
    (void)state;
    check_length(NOTIFICATION_ID_MAX, "x", true);
    check_length(NOTIFICATION_ID_MAX, "%78", true);
    check_length(NOTIFICATION_ID_MAX + 1, "x", false);
    check_length(NOTIFICATION_ID_MAX + 1, "%78", false);
}

static void test_kinds(void **state)
{
    (void)state;
    enum event_kind kind;
    static const int kinds[] = {ORDER, SHIPMENT, LEGACY};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const char *name = notification_kind_name((enum event_kind)kinds[i]);
        assert_true(notification_parse_kind(name, &kind));
        assert_int_equal(kind, kinds[i]);
    }
    assert_false(notification_parse_kind("orders", &kind));
    assert_false(notification_parse_kind("", &kind));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),        cmocka_unit_test(test_length),
        cmocka_unit_test(test_foreign_uri), cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

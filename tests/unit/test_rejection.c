#include "body_of.h"
#include "unit.h"

#include "digest.h"
#include "log.h"
#include "rejection.h"

#include <string.h>

static const int64_t NOW = 1745402513812; /* 2025-04-23T10:01:53.812Z */

static const struct problem REASON = {400, "at byte 7: a comma is missing"};

static void build_of(const struct request *request, struct text bytes, const struct problem *reason,
                     int64_t now, struct buffer *head, char name[REJECTION_NAME_SIZE])
{
    struct problem problem = {0};
    const struct body body = body_of(bytes);
    assert_true(rejection_build(request, &body, reason, now, head, name, &problem));
    assert_int_equal(problem.status, 0);
}

/* Build the head of a request without a body and make a string of it. */
static void build(const struct request *request, const struct problem *reason, struct buffer *head,
                  char name[REJECTION_NAME_SIZE])
{
    build_of(request, (struct text){NULL, 0}, reason, NOW, head, name);
    assert_true(buffer_append(head, "", 1));
}

static void test_all_lines(void **state)
{
    (void)state;
    char name[REJECTION_NAME_SIZE];
    struct buffer head = BUFFER_INIT;
    const struct request request = {
        .method_name = "POST",
        .path_info = "/orders",
        .query_string = "a=%20b&c",
        .script_name = "/tradecloud",
        .request_uri = "/tradecloud/orders?a=%20b&c",
        .content_type = "application/json; charset=utf-8",
        .remote_addr = "2001:db8::1",
        .auth_type = "Basic",
        .content_length = "12",
    };
    build(&request, &REASON, &head, name);
    assert_string_equal(head.data, "Status: 400\n"
                                   "Reason: at byte 7: a comma is missing\n"
                                   "Received: 2025-04-23T10:01:53.812Z\n"
                                   "Method: POST\n"
                                   "Path: /orders\n"
                                   "Query: a=%20b&c\n"
                                   "URI: /tradecloud/orders?a=%20b&c\n"
                                   "Content-Type: application/json; charset=utf-8\n"
                                   "Remote-Address: 2001:db8::1\n"
                                   "\n");
    buffer_release(&head);
}

static void test_lines_that_are_missing(void **state)
{
    (void)state;
    char name[REJECTION_NAME_SIZE];
    struct buffer head = BUFFER_INIT;
    const struct request request = {0};
    build(&request, &REASON, &head, name);
    assert_string_equal(head.data, "Status: 400\n"
                                   "Reason: at byte 7: a comma is missing\n"
                                   "Received: 2025-04-23T10:01:53.812Z\n"
                                   "\n");
    buffer_release(&head);
}

static const struct escape {
    const char *value;
    const char *line;
} escapes[] = {
    {"plain", "\nPath: plain\n"},
    {"/a b=c", "\nPath: /a b=c\n"},
    {"/x\nStatus: 200", "\nPath: /x\\nStatus: 200\n"},
    {"/x\r\n\r\nbody", "\nPath: /x\\r\\n\\r\\nbody\n"},
    {"a\"b\\c", "\nPath: a\\\"b\\\\c\n"},
    {"\x1b[2J\x7f\t", "\nPath: \\x1b[2J\\x7f\\t\n"},
    {"/\xc3\xa9", "\nPath: /\\xc3\\xa9\n"},
    {"/\xc2\x85", "\nPath: /\\xc2\\x85\n"},
};

/* What the sender chose can neither forge a line nor end the head. */
static void test_escapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
        char name[REJECTION_NAME_SIZE];
        struct buffer head = BUFFER_INIT;
        const struct request request = {.path_info = escapes[i].value};
        build(&request, &REASON, &head, name);
        const char *end = strstr(head.data, "\n\n");
        if (strstr(head.data, escapes[i].line) == NULL || end == NULL || end[2] != '\0')
            fail_msg("row %zu: %s", i, head.data);
        buffer_release(&head);
    }
}

static void test_escapes_everywhere(void **state)
{
    (void)state;
    char name[REJECTION_NAME_SIZE];
    struct buffer head = BUFFER_INIT;
    const struct problem problem = {415, "r\nr"};
    const struct request request = {
        .method_name = "m\nm",
        .path_info = "p\np",
        .query_string = "q\nq",
        .content_type = "c\nc",
        .request_uri = "u\nu",
        .remote_addr = "a\na",
    };
    build(&request, &problem, &head, name);
    assert_string_equal(head.data, "Status: 415\n"
                                   "Reason: r\\nr\n"
                                   "Received: 2025-04-23T10:01:53.812Z\n"
                                   "Method: m\\nm\n"
                                   "Path: p\\np\n"
                                   "Query: q\\nq\n"
                                   "URI: u\\nu\n"
                                   "Content-Type: c\\nc\n"
                                   "Remote-Address: a\\na\n"
                                   "\n");
    buffer_release(&head);
}

/* An id that is long, and all escapes, is there in full: it stands nowhere else. */
static void test_keeps_long_values(void **state)
{
    (void)state;
    char name[REJECTION_NAME_SIZE];
    char path[3 * LOG_VALUE_MAX];
    struct buffer head = BUFFER_INIT;
    memset(path, '\xc3', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    const struct request request = {.path_info = path, .content_type = "text/xml"};
    build(&request, &REASON, &head, name);
    const char *line = strstr(head.data, "\nPath: \\xc3");
    assert_non_null(line);
    const char *end = strchr(line + 1, '\n');
    assert_non_null(end);
    assert_int_equal(end - line, strlen("\nPath: ") + 4 * (sizeof path - 1));
    assert_string_equal(end, "\nContent-Type: text/xml\n\n");
    buffer_release(&head);
}

/* As a reader takes such a file apart: at the first empty line. */
static void test_body_behind_the_empty_line(void **state)
{
    static const struct text bodies[] = {
        {"{\"a\":1", 6}, {"\n\n\n", 3}, {"\0\xff\r\n\0", 5}, {"Status: 200\n\n", 13}};
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        char name[REJECTION_NAME_SIZE];
        struct buffer file = BUFFER_INIT;
        const struct request request = {.method_name = "PUT"};
        build_of(&request, bodies[i], &REASON, NOW, &file, name);
        assert_true(buffer_append(&file, bodies[i].data, bodies[i].length));
        const char *body = memmem(file.data, file.length, "\n\n", 2);
        assert_non_null(body);
        size_t length = (size_t)(file.data + file.length - (body + 2));
        if (length != bodies[i].length || memcmp(body + 2, bodies[i].data, length) != 0)
            fail_msg("body %zu: %zu bytes of %zu", i, length, bodies[i].length);
        buffer_release(&file);
    }
}

static void test_appends(void **state)
{
    (void)state;
    char name[REJECTION_NAME_SIZE];
    struct buffer head = BUFFER_INIT;
    const struct request request = {0};
    assert_true(buffer_append_string(&head, "before:"));
    build(&request, &REASON, &head, name);
    assert_memory_equal(head.data, "before:Status: 400\n", 19);
    buffer_release(&head);
}

/* The name of a body rejected at a time; the head is of no interest. */
static void name_of(struct text bytes, int64_t time, char name[REJECTION_NAME_SIZE])
{
    struct buffer head = BUFFER_INIT;
    const struct request request = {0};
    build_of(&request, bytes, &REASON, time, &head, name);
    buffer_release(&head);
}

/* The digest is of the whole file: of the first one here, as sha256sum gives it. */
static void test_name(void **state)
{
    (void)state;
    char name[REJECTION_NAME_SIZE];
    name_of(text_of("abc"), NOW, name);
    assert_string_equal(name, "20250423T100153.812Z_rejected_"
                              "336ad89aab384446f14602dcf4f9fd04539e788016dde48b8e6f359749d41d48"
                              ".txt");
    name_of(text_of(""), 0, name);
    assert_memory_equal(name, "19700101T000000.000Z_rejected_", 30);
    assert_int_equal(strspn(name + 30, "0123456789abcdef"), DIGEST_HEX_SIZE - 1);
    assert_string_equal(name + 30 + DIGEST_HEX_SIZE - 1, ".txt");
}

/* What differs in any way has a file of its own; what is the same shares it. */
static void test_names_differ(void **state)
{
    (void)state;
    char name[REJECTION_NAME_SIZE];
    char other[REJECTION_NAME_SIZE];
    name_of((struct text){"a\0b", 3}, NOW, name);
    name_of((struct text){"a\0c", 3}, NOW, other);
    assert_string_not_equal(name, other);
    name_of((struct text){"a\0b", 3}, NOW + 1, other);
    assert_string_not_equal(name, other);
    name_of((struct text){"a\0b", 3}, NOW, other);
    assert_string_equal(name, other);
}

/* Notifications have no body: the query is all that tells two in one millisecond apart. */
static void test_names_of_notifications(void **state)
{
    static const struct request requests[] = {
        {.path_info = "/order/"},
        {.path_info = "/shipment/"},
        {.path_info = "/order/", .query_string = "a"},
        {.path_info = "/order/", .query_string = "b"},
        {.path_info = "/order/", .query_string = "a", .remote_addr = "192.0.2.1"},
    };
    char names[sizeof requests / sizeof requests[0]][REJECTION_NAME_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        struct buffer head = BUFFER_INIT;
        build(&requests[i], &REASON, &head, names[i]);
        buffer_release(&head);
        for (size_t j = 0; j < i; j++)
            if (strcmp(names[i], names[j]) == 0)
                fail_msg("rows %zu and %zu share %s", j, i, names[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_lines),         cmocka_unit_test(test_lines_that_are_missing),
        cmocka_unit_test(test_escapes),           cmocka_unit_test(test_escapes_everywhere),
        cmocka_unit_test(test_keeps_long_values), cmocka_unit_test(test_body_behind_the_empty_line),
        cmocka_unit_test(test_appends),           cmocka_unit_test(test_name),
        cmocka_unit_test(test_names_differ),      cmocka_unit_test(test_names_of_notifications),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

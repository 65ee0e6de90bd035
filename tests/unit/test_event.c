#include "body_of.h"
#include "unit.h"

#include "event.h"
#include "timestamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *__asan_default_options(void);

/* Let the sanitizer's malloc fail as the real one does, and already for a few MB. */
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1:max_allocation_size_mb=4";
}

static enum event_verdict read_text(struct text bytes, struct event *event, struct problem *problem)
{
    struct body body = body_of(bytes);
    return event_read(&body, event, problem);
}

static enum event_verdict read_object(enum event_kind kind, struct text id, struct text bytes,
                                      struct event *event, struct problem *problem)
{
    struct body body = body_of(bytes);
    return event_read_object(kind, id, &body, event, problem);
}

/* What is not named is expected to be absent. */
struct row {
    const char *body; /* with ' for " */
    enum event_kind kind;
    const char *name;
    const char *subject;
    const char *id;
    const char *version;
    const char *time; /* RFC 3339 */
};

/* The times of the tables; none is to be mistaken for another. */
#define T1 "2025-04-23T10:01:53.812Z"
#define T2 "2024-02-29T23:59:59.001Z"
#define T3 "2023-12-31T00:00:00.000Z"

static const struct row kinds[] = {
    {"{'orderEvent':{}}", .kind = EVENT_ORDER},
    {"{'singleDeliveryOrderEvent':{}}", .kind = EVENT_ORDER},
    {"{'simpleOrderEvent':{}}", .kind = EVENT_ORDER},
    {"{'orderDocumentsEvent':{}}", .kind = EVENT_ORDER_DOCUMENTS},
    {"{'shipment':{}}", .kind = EVENT_SHIPMENT},
    {"{'shipmentEvent':{}}", .kind = EVENT_SHIPMENT},
    {"{}", .kind = EVENT_UNKNOWN},
    {" {\r\n}\t", .kind = EVENT_UNKNOWN},
    {"{'invoiceEvent':{'id':'1'}}", .kind = EVENT_UNKNOWN},
    {"{'order\\u0045vent':{}}", .kind = EVENT_ORDER},
    /* only the member's own name, spelled as it is, at the top, and an object */
    {"{'OrderEvent':{}}", .kind = EVENT_UNKNOWN},
    {"{'orderEvents':{}}", .kind = EVENT_UNKNOWN},
    {"{'order':{}}", .kind = EVENT_UNKNOWN},
    {"{'data':{'orderEvent':{}}}", .kind = EVENT_UNKNOWN},
    {"{'data':[{'orderEvent':{}}]}", .kind = EVENT_UNKNOWN},
    {"{'orderEvent':null}", .kind = EVENT_UNKNOWN},
    {"{'orderEvent':true}", .kind = EVENT_UNKNOWN},
    {"{'orderEvent':'{}'}", .kind = EVENT_UNKNOWN},
    {"{'orderEvent':1}", .kind = EVENT_UNKNOWN},
    {"{'orderEvent':[{'id':'1'}]}", .kind = EVENT_UNKNOWN},
    {"{'orderEvent':{},'orderEvent':null}", .kind = EVENT_UNKNOWN},
    {"{'orderEvent':null,'orderEvent':{}}", .kind = EVENT_ORDER},
    {"{'orderEvent':null,'shipment':{'id':'s'}}", .kind = EVENT_SHIPMENT, .subject = "s"},
    {"{'shipment':[],'shipmentEvent':{'id':'s'}}", .kind = EVENT_SHIPMENT, .subject = "s"},
};

#define ORDER_BODY                                                                                 \
    "{'orderId':'o-1','id':'o-2','legacyOrderId':'o-3','version':7,'lastUpdatedAt':'" T2 "',"      \
    "'meta':{'messageId':'m-1','createdDateTime':'" T1 "'},'lines':[{'id':'l-1','version':9}]}"

#define ORDER_FACTS .name = "Changed", .subject = "o-1", .id = "m-1", .version = "7", .time = T1

#define SHIPMENT_BODY                                                                              \
    "{'id':'s-1','version':3,'meta':{'messageId':'no','createdDateTime':'" T2                      \
    "','lastUpdatedAt':'" T3 "'}},'meta':{'messageId':'m-2','createdDateTime':'" T1 "'}"

#define SHIPMENT_FACTS .name = "Sent", .subject = "s-1", .id = "m-2", .version = "3", .time = T1

/* All facts of each shape, in either order. */
static const struct row complete[] = {
    {"{'eventName':'Changed','orderEvent':" ORDER_BODY "}", .kind = EVENT_ORDER, ORDER_FACTS},
    {"{'orderEvent':" ORDER_BODY ",'eventName':'Changed'}", .kind = EVENT_ORDER, ORDER_FACTS},
    {"{'eventName':'Changed','singleDeliveryOrderEvent':" ORDER_BODY "}", .kind = EVENT_ORDER,
     ORDER_FACTS},
    {"{'eventName':'Changed','simpleOrderEvent':" ORDER_BODY "}", .kind = EVENT_ORDER, ORDER_FACTS},
    {"{'eventName':'Changed','orderDocumentsEvent':" ORDER_BODY "}", .kind = EVENT_ORDER_DOCUMENTS,
     ORDER_FACTS},
    {"{'eventName':'Sent','shipment':" SHIPMENT_BODY "}", .kind = EVENT_SHIPMENT, SHIPMENT_FACTS},
    {"{'eventName':'Sent','shipmentEvent':" SHIPMENT_BODY "}", .kind = EVENT_SHIPMENT,
     SHIPMENT_FACTS},
    {"{'meta':{'createdDateTime':'" T1 "','messageId':'m'},'eventName':'New','x':{'id':'1'}}",
     .kind = EVENT_UNKNOWN, .name = "New", .id = "m", .time = T1},
};

/* Of several kinds, and of several members, the first in the table of the header counts, wherever
 * they stand in the text. */
static const struct row precedence[] = {
    {"{'shipment':{'id':'s'},'orderEvent':{'id':'o'}}", .kind = EVENT_ORDER, .subject = "o"},
    {"{'simpleOrderEvent':{'id':'1'},'singleDeliveryOrderEvent':{'id':'2'},'orderEvent':{'id':'3'}"
     "}",
     .kind = EVENT_ORDER, .subject = "3"},
    {"{'simpleOrderEvent':{'id':'1'},'singleDeliveryOrderEvent':{'id':'2'}}", .kind = EVENT_ORDER,
     .subject = "2"},
    {"{'orderDocumentsEvent':{'id':'d'},'simpleOrderEvent':{'id':'o'}}", .kind = EVENT_ORDER,
     .subject = "o"},
    {"{'shipment':{'id':'s'},'orderDocumentsEvent':{'id':'d'}}", .kind = EVENT_ORDER_DOCUMENTS,
     .subject = "d"},
    {"{'shipmentEvent':{'id':'2'},'shipment':{'id':'1'}}", .kind = EVENT_SHIPMENT, .subject = "1"},
    /* the facts of another kind do not mix in */
    {"{'orderEvent':{},'shipment':{'id':'s','version':1}}", .kind = EVENT_ORDER},
    {"{'orderEvent':{},'simpleOrderEvent':{'id':'o','meta':{'messageId':'m'}}}",
     .kind = EVENT_ORDER},
};

static const struct row subjects[] = {
    {"{'orderEvent':{'id':'2','orderId':'1'}}", .kind = EVENT_ORDER, .subject = "1"},
    {"{'orderEvent':{'legacyOrderId':'3','id':'2'}}", .kind = EVENT_ORDER, .subject = "2"},
    {"{'orderEvent':{'legacyOrderId':'3'}}", .kind = EVENT_ORDER, .subject = "3"},
    {"{'orderEvent':{'orderId':'','id':'2'}}", .kind = EVENT_ORDER, .subject = "2"},
    {"{'orderEvent':{'orderId':null,'id':'','legacyOrderId':'3'}}", .kind = EVENT_ORDER,
     .subject = "3"},
    {"{'orderEvent':{'orderId':{'id':'1'},'id':['2'],'legacyOrderId':'3'}}", .kind = EVENT_ORDER,
     .subject = "3"},
    {"{'orderEvent':{'orderId':true,'id':false,'legacyOrderId':null}}", .kind = EVENT_ORDER},
    {"{'orderEvent':{'orderId':'','id':'','legacyOrderId':''}}", .kind = EVENT_ORDER},
    {"{'orderEvent':{'orderId':12}}", .kind = EVENT_ORDER, .subject = "12"},
    {"{'orderEvent':{'orderId':0,'id':'2'}}", .kind = EVENT_ORDER, .subject = "0"},
    {"{'orderEvent':{'orderId':1234567890123456789012345}}", .kind = EVENT_ORDER,
     .subject = "1234567890123456789012345"},
    {"{'orderEvent':{'orderId':-1.50E+400}}", .kind = EVENT_ORDER, .subject = "-1.50E+400"},
    {"{'orderEvent':{'id':'a','id':'b'}}", .kind = EVENT_ORDER, .subject = "b"},
    {"{'orderEvent':{'id':'a'},'orderEvent':{'version':1}}", .kind = EVENT_ORDER, .version = "1"},
    {"{'orderDocumentsEvent':{'id':'2','orderId':'1'}}", .kind = EVENT_ORDER_DOCUMENTS,
     .subject = "1"},
    {"{'orderDocumentsEvent':{'legacyOrderId':'3'}}", .kind = EVENT_ORDER_DOCUMENTS,
     .subject = "3"},
    /* a shipment has but an id, and what is unknown has no subject */
    {"{'shipment':{'orderId':'1','legacyOrderId':'3'}}", .kind = EVENT_SHIPMENT},
    {"{'shipment':{'orderId':'1','id':'2'}}", .kind = EVENT_SHIPMENT, .subject = "2"},
    {"{'id':'1','orderId':'2','version':3}", .kind = EVENT_UNKNOWN},
    {"{'orderEvent':{'buyerOrder':{'id':'1'}},'id':'2'}", .kind = EVENT_ORDER},
    {"{'orderEvent':{'id':'\\u0041\\n\\\"\\u00e9\\ud83d\\ude00 \xe2\x82\xac'}}",
     .kind = EVENT_ORDER, .subject = "A\n\"\xc3\xa9\xf0\x9f\x98\x80 \xe2\x82\xac"},
};

static const struct row names_and_versions[] = {
    {"{'eventName':'A b'}", .kind = EVENT_UNKNOWN, .name = "A b"},
    {"{'eventName':''}", .kind = EVENT_UNKNOWN},
    {"{'eventName':null}", .kind = EVENT_UNKNOWN},
    {"{'eventName':false}", .kind = EVENT_UNKNOWN},
    {"{'eventName':['a']}", .kind = EVENT_UNKNOWN},
    {"{'eventName':{'eventName':'a'}}", .kind = EVENT_UNKNOWN},
    {"{'eventName':5}", .kind = EVENT_UNKNOWN, .name = "5"},
    {"{'EventName':'a'}", .kind = EVENT_UNKNOWN},
    {"{'eventName':'a','eventName':'b'}", .kind = EVENT_UNKNOWN, .name = "b"},
    {"{'eventName':'a','eventName':null}", .kind = EVENT_UNKNOWN},
    {"{'orderEvent':{'eventName':'a'}}", .kind = EVENT_ORDER},
    {"{'orderEvent':{'version':1}}", .kind = EVENT_ORDER, .version = "1"},
    {"{'orderEvent':{'version':'1'}}", .kind = EVENT_ORDER, .version = "1"},
    {"{'orderEvent':{'version':1.0}}", .kind = EVENT_ORDER, .version = "1.0"},
    {"{'orderEvent':{'version':0}}", .kind = EVENT_ORDER, .version = "0"},
    {"{'orderEvent':{'version':-1e5}}", .kind = EVENT_ORDER, .version = "-1e5"},
    {"{'orderEvent':{'version':''}}", .kind = EVENT_ORDER},
    {"{'orderEvent':{'version':{'n':1}}}", .kind = EVENT_ORDER},
    {"{'version':1,'orderEvent':{}}", .kind = EVENT_ORDER},
    {"{'shipment':{'version':'2'}}", .kind = EVENT_SHIPMENT, .version = "2"},
    {"{'orderDocumentsEvent':{'version':2}}", .kind = EVENT_ORDER_DOCUMENTS, .version = "2"},
};

#define META(id, created) "'meta':{'messageId':" id ",'createdDateTime':'" created "'}"

/* The message id, inside of the kind's member or at the top, and the time beside it. */
static const struct row messages[] = {
    {"{'orderEvent':{" META("'in'", T1) "}}", .kind = EVENT_ORDER, .id = "in", .time = T1},
    {"{'orderEvent':{}," META("'top'", T2) "}", .kind = EVENT_ORDER, .id = "top", .time = T2},
    {"{'orderEvent':{" META("'in'", T1) "}," META("'top'", T2) "}", .kind = EVENT_ORDER, .id = "in",
     .time = T1},
    {"{" META("'top'", T2) ",'orderEvent':{" META("'in'", T1) "}}", .kind = EVENT_ORDER, .id = "in",
     .time = T1},
    /* an id without a value leaves it to the other */
    {"{'orderEvent':{" META("''", T1) "}," META("'top'", T2) "}", .kind = EVENT_ORDER, .id = "top",
     .time = T2},
    {"{'orderEvent':{" META("null", T1) "}," META("'top'", T2) "}", .kind = EVENT_ORDER,
     .id = "top", .time = T2},
    {"{'orderEvent':{" META("['in']", T1) "}," META("'top'", T2) "}", .kind = EVENT_ORDER,
     .id = "top", .time = T2},
    {"{'orderEvent':{'meta':'in'}," META("'top'", T2) "}", .kind = EVENT_ORDER, .id = "top",
     .time = T2},
    {"{'orderEvent':{'meta':[{'messageId':'in'}]}," META("'top'", T2) "}", .kind = EVENT_ORDER,
     .id = "top", .time = T2},
    {"{'orderEvent':{'messageId':'no'},'messageId':'no'}", .kind = EVENT_ORDER},
    {"{'orderEvent':{" META("17", T1) "}," META("'top'", T2) "}", .kind = EVENT_ORDER, .id = "17",
     .time = T1},
    {"{'orderEvent':{" META("'in'", T1) ",'meta':{}}," META("'top'", T2) "}", .kind = EVENT_ORDER,
     .id = "top", .time = T2},
    {"{'orderDocumentsEvent':{" META("'in'", T1) "}," META("'top'", T2) "}",
     .kind = EVENT_ORDER_DOCUMENTS, .id = "in", .time = T1},
    /* the meta inside of a shipment is its own */
    {"{'shipment':{" META("'in'", T1) "}}", .kind = EVENT_SHIPMENT},
    {"{'shipment':{" META("'in'", T1) "}," META("'top'", T2) "}", .kind = EVENT_SHIPMENT,
     .id = "top", .time = T2},
    {"{'shipmentEvent':{" META("'in'", T1) "}," META("'top'", T2) "}", .kind = EVENT_SHIPMENT,
     .id = "top", .time = T2},
    {"{" META("'top'", T2) "}", .kind = EVENT_UNKNOWN, .id = "top", .time = T2},
    {"{'newEvent':{" META("'in'", T1) "}," META("'top'", T2) "}", .kind = EVENT_UNKNOWN,
     .id = "top", .time = T2},
    {"{'newEvent':{" META("'in'", T1) "}}", .kind = EVENT_UNKNOWN},
    {"{'meta':{'messageId':''}}", .kind = EVENT_UNKNOWN},
    {"{'meta':{'messageId':'a','messageId':'b'}}", .kind = EVENT_UNKNOWN, .id = "b"},
};

#define UPDATED(time) "'lastUpdatedAt':'" time "'"

/* Where nothing, or no time, stands beside the message id. */
static const struct row times[] = {
    {"{'orderEvent':{" UPDATED(T3) "}}", .kind = EVENT_ORDER, .time = T3},
    {"{'orderEvent':{" UPDATED(T3) ",'meta':{'messageId':'in'}}}", .kind = EVENT_ORDER, .id = "in",
     .time = T3},
    {"{'orderEvent':{" UPDATED(T3) "},'meta':{'messageId':'top'}}", .kind = EVENT_ORDER,
     .id = "top", .time = T3},
    {"{'orderEvent':{" UPDATED(T3) "," META("'in'", T1) "}}", .kind = EVENT_ORDER, .id = "in",
     .time = T1},
    {"{'orderEvent':{" UPDATED(T3) "}," META("'top'", T2) "}", .kind = EVENT_ORDER, .id = "top",
     .time = T2},
    {"{'orderEvent':{" UPDATED(T3) "," META("'in'", "") "}}", .kind = EVENT_ORDER, .id = "in",
     .time = T3},
    {"{'orderEvent':{" UPDATED(T3) "," META("'in'", "soon") "}}", .kind = EVENT_ORDER, .id = "in",
     .time = T3},
    {"{'orderEvent':{" UPDATED(T3) "," META("'in'", "2025-02-29T00:00:00Z") "}}",
     .kind = EVENT_ORDER, .id = "in", .time = T3},
    {"{'orderEvent':{" UPDATED(T3) ",'meta':{'messageId':'in','createdDateTime':1745402513812}}}",
     .kind = EVENT_ORDER, .id = "in", .time = T3},
    {"{'orderEvent':{" UPDATED(T3) ",'meta':{'messageId':'in','createdDateTime':null}}}",
     .kind = EVENT_ORDER, .id = "in", .time = T3},
    {"{'orderDocumentsEvent':{" UPDATED(T3) "}}", .kind = EVENT_ORDER_DOCUMENTS, .time = T3},
    {"{'shipment':{'meta':{" UPDATED(T3) "}}}", .kind = EVENT_SHIPMENT, .time = T3},
    {"{'shipmentEvent':{'meta':{" UPDATED(T3) "}},'meta':{'messageId':'top'}}",
     .kind = EVENT_SHIPMENT, .id = "top", .time = T3},
    {"{'shipment':{'meta':{" UPDATED(T3) "}}," META("'top'", T2) "}", .kind = EVENT_SHIPMENT,
     .id = "top", .time = T2},
    {"{'shipment':{'meta':{" UPDATED(T3) "}}," META("'top'", "?") "}", .kind = EVENT_SHIPMENT,
     .id = "top", .time = T3},
    /* no time where another kind has it, nor anywhere else */
    {"{'shipment':{" UPDATED(T3) "}}", .kind = EVENT_SHIPMENT},
    {"{'orderEvent':{'meta':{" UPDATED(T3) "}}}", .kind = EVENT_ORDER},
    {"{'orderEvent':{}," UPDATED(T3) "}", .kind = EVENT_ORDER},
    {"{" UPDATED(T3) "}", .kind = EVENT_UNKNOWN},
    {"{'newEvent':{" UPDATED(T3) "}}", .kind = EVENT_UNKNOWN},
    /* what is no time is none */
    {"{'orderEvent':{" UPDATED("yesterday") "}}", .kind = EVENT_ORDER},
    {"{'orderEvent':{" UPDATED("") "}}", .kind = EVENT_ORDER},
    {"{'orderEvent':{" UPDATED("2025-04-23") "}}", .kind = EVENT_ORDER},
    {"{'orderEvent':{" UPDATED(T3 "\\u0000") "}}", .kind = EVENT_ORDER},
    {"{'orderEvent':{" UPDATED("10000-01-01T00:00:00Z") "}}", .kind = EVENT_ORDER},
    {"{'orderEvent':{'lastUpdatedAt':20231231}}", .kind = EVENT_ORDER},
    {"{'orderEvent':{'lastUpdatedAt':true}}", .kind = EVENT_ORDER},
    {"{'orderEvent':{'lastUpdatedAt':['" T3 "']}}", .kind = EVENT_ORDER},
    /* zones, and a time with escapes */
    {"{'orderEvent':{" UPDATED("2023-12-31T01:30:00+01:30") "}}", .kind = EVENT_ORDER, .time = T3},
    {"{'orderEvent':{" UPDATED("2023-12-31T00:00:00") "}}", .kind = EVENT_ORDER, .time = T3},
    {"{'orderEvent':{" UPDATED("2023\\u002d12-31T00:00:00\\u005A") "}}", .kind = EVENT_ORDER,
     .time = T3},
    {"{'orderEvent':{" UPDATED("1969-12-31T23:59:59.999Z") "}}", .kind = EVENT_ORDER,
     .time = "1969-12-31T23:59:59.999Z"},
};

/* An allocation of exactly the size, so that the sanitizer sees any read beyond; with " for '. The
 * caller frees. */
static char *quoted(const char *text)
{
    size_t length = strlen(text);
    char *copy = malloc(length);
    assert_non_null(copy);
    for (size_t i = 0; i < length; i++)
        copy[i] = text[i] == '\'' ? '"' : text[i];
    return copy;
}

static int check_text(const char *body, const char *what, struct text text, const char *expected)
{
    if (expected == NULL ? text.data == NULL && text.length == 0
                         : text.data != NULL && text.length == strlen(expected) &&
                               memcmp(text.data, expected, text.length) == 0)
        return 0;
    print_error("%s: the %s is %.*s, expected %s\n", body, what, (int)text.length,
                text.data == NULL ? "" : text.data, expected == NULL ? "none" : expected);
    return 1;
}

static int check_time(const char *body, const struct event *event, const char *expected)
{
    char time[TIMESTAMP_RFC3339_SIZE] = "none";
    if (event->has_time)
        timestamp_rfc3339(event->time, time);
    if (strcmp(time, expected == NULL ? "none" : expected) == 0)
        return 0;
    print_error("%s: the time is %s, expected %s\n", body, time,
                expected == NULL ? "none" : expected);
    return 1;
}

static int check_event(const struct row *row)
{
    struct event event;
    struct problem problem = {0, ""};
    char *body = quoted(row->body);
    enum event_verdict verdict =
        read_text((struct text){body, strlen(row->body)}, &event, &problem);
    /* From here on the event must not need it any more. */
    free(body);
    if (verdict != EVENT_READ || problem.status != 0) {
        print_error("%s: verdict %d, %s\n", row->body, (int)verdict, problem.reason);
        return 1;
    }
    int faults = check_text(row->body, "name", event.name, row->name) +
                 check_text(row->body, "subject", event.subject, row->subject) +
                 check_text(row->body, "message id", event.message_id, row->id) +
                 check_text(row->body, "version", event.version, row->version) +
                 check_time(row->body, &event, row->time);
    if (event.kind != row->kind) {
        print_error("%s: the kind is %s\n", row->body, event_kind_name(event.kind));
        faults++;
    }
    event_release(&event);
    return faults;
}

static void check_rows(const struct row *rows, size_t count)
{
    int faults = 0;
    for (size_t i = 0; i < count; i++)
        faults += check_event(&rows[i]);
    assert_int_equal(faults, 0);
}

static void test_kinds(void **state)
{
    (void)state;
    check_rows(kinds, COUNT(kinds));
}

static void test_complete(void **state)
{
    (void)state;
    check_rows(complete, COUNT(complete));
}

static void test_precedence(void **state)
{
    (void)state;
    check_rows(precedence, COUNT(precedence));
}

static void test_subjects(void **state)
{
    (void)state;
    check_rows(subjects, COUNT(subjects));
}

static void test_names_and_versions(void **state)
{
    (void)state;
    check_rows(names_and_versions, COUNT(names_and_versions));
}

static void test_messages(void **state)
{
    (void)state;
    check_rows(messages, COUNT(messages));
}

static void test_times(void **state)
{
    (void)state;
    check_rows(times, COUNT(times));
}

static void test_kind_names(void **state)
{
    (void)state;
    assert_string_equal(event_kind_name(EVENT_UNKNOWN), "unknown");
    assert_string_equal(event_kind_name(EVENT_ORDER), "order");
    assert_string_equal(event_kind_name(EVENT_ORDER_DOCUMENTS), "order-documents");
    assert_string_equal(event_kind_name(EVENT_SHIPMENT), "shipment");
    assert_string_equal(event_kind_name(EVENT_ORDER_FETCHED), "order-fetched");
    assert_string_equal(event_kind_name(EVENT_SHIPMENT_FETCHED), "shipment-fetched");
    assert_string_equal(event_kind_name(EVENT_LEGACY_ORDER_FETCHED), "legacy-order-fetched");
}

static void test_values_may_hold_nuls(void **state)
{
    (void)state;
    static const char body[] = "{\"eventName\":\"\\u0000\",\"orderEvent\":{\"id\":\"a\\u0000b\","
                               "\"meta\":{\"messageId\":\"m\\u0000\"},\"version\":\"\\u00001\"}}";
    struct event event;
    struct problem problem = {0, ""};
    assert_int_equal(read_text(text_of(body), &event, &problem), EVENT_READ);
    assert_int_equal(event.name.length, 1);
    assert_memory_equal(event.name.data, "", 1);
    assert_int_equal(event.subject.length, 3);
    assert_memory_equal(event.subject.data, "a\0b", 3);
    assert_int_equal(event.message_id.length, 2);
    assert_memory_equal(event.message_id.data, "m\0", 2);
    assert_int_equal(event.version.length, 2);
    assert_memory_equal(event.version.data, "\0001", 2);
    event_release(&event);
}

static bool holds_only(struct text text, char byte, size_t length)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] != byte)
            return false;
    return text.length == length;
}

/* Values much longer than all that was set aside before: they must stay where they are. */
static void test_long_values_stay_in_place(void **state)
{
    (void)state;
    enum { LONG = 200000 };
    static const char *const starts[] = {
        "{\"eventName\":\"",
        "\",\"orderEvent\":{\"orderId\":\"",
        "\",\"version\":\"",
        "\",\"meta\":{\"messageId\":\"",
    };
    struct buffer body = BUFFER_INIT;
    struct event event;
    struct problem problem = {0, ""};
    for (size_t i = 0; i < COUNT(starts); i++) {
        assert_true(buffer_append_string(&body, starts[i]) && buffer_reserve(&body, LONG));
        memset(body.data + body.length, "nsvi"[i], LONG);
        body.length += LONG;
    }
    assert_true(buffer_append_string(&body, "\"},\"lastUpdatedAt\":\"" T3 "\"}}"));
    assert_int_equal(read_text((struct text){body.data, body.length}, &event, &problem),
                     EVENT_READ);
    buffer_release(&body);
    assert_true(holds_only(event.name, 'n', LONG));
    assert_true(holds_only(event.subject, 's', LONG));
    assert_true(holds_only(event.version, 'v', LONG));
    assert_true(holds_only(event.message_id, 'i', LONG));
    assert_true(event.has_time);
    event_release(&event);
}

/* Every field of every shape at once, so that the room set aside for the values is put to use. */
static void test_all_shapes_in_one_body(void **state)
{
    (void)state;
    struct row row = {"{'eventName':'Changed','meta':{'messageId':'top','createdDateTime':'" T3
                      "'},"
                      "'shipment':{'id':'s','version':1,'meta':{'lastUpdatedAt':'" T2 "'}},"
                      "'shipmentEvent':{'id':'t','version':2,'meta':{'lastUpdatedAt':'" T2 "'}},"
                      "'orderDocumentsEvent':" ORDER_BODY ",'simpleOrderEvent':" ORDER_BODY
                      ",'singleDeliveryOrderEvent':" ORDER_BODY ",'orderEvent':" ORDER_BODY "}",
                      .kind = EVENT_ORDER, ORDER_FACTS};
    assert_int_equal(check_event(&row), 0);
}

/* --- what is not read --- */

static const struct {
    const char *body; /* with ' for " */
    enum event_verdict verdict;
    const char *reason; /* a part of it */
} refused[] = {
    {"x", EVENT_MALFORMED, "at byte 0"},
    {"{'a':1}x", EVENT_MALFORMED, "at byte 7"},
    {"{'a':1}{'b':2}", EVENT_MALFORMED, "at byte 7"},
    {"{'a':01}", EVENT_MALFORMED, "at byte 6"},
    {"{'a':1,}", EVENT_MALFORMED, "at byte 7"},
    {"{a:1}", EVENT_MALFORMED, "at byte 1"},
    {"{'orderEvent':{'id':'\xff'}}", EVENT_MALFORMED, "at byte 21"},
    {"{'orderEvent':{'id':'\\ud83d'}}", EVENT_MALFORMED, "surrogate"},
    {"{'orderEvent':{'id':'a\nb'}}", EVENT_MALFORMED, "control character"},
    {"\xef\xbb\xbf{}", EVENT_MALFORMED, "at byte 0"},
    {"<order/>", EVENT_MALFORMED, "at byte 0"},
    {"a=1&b=2", EVENT_MALFORMED, "at byte 0"},
    /* valid, but no object */
    {"[]", EVENT_MALFORMED, "not an object"},
    {"[{'orderEvent':{}}]", EVENT_MALFORMED, "not an object"},
    {"'orderEvent'", EVENT_MALFORMED, "not an object"},
    {"1", EVENT_MALFORMED, "not an object"},
    {"null", EVENT_MALFORMED, "not an object"},
    {" true ", EVENT_MALFORMED, "not an object"},
    /* without an end */
    {"", EVENT_INCOMPLETE, "at byte 0"},
    {" \n", EVENT_INCOMPLETE, "at byte 2"},
    {"{", EVENT_INCOMPLETE, "at byte 1"},
    {"{'orderEvent':{'id':'1'}", EVENT_INCOMPLETE, "at byte 24"},
    {"{'orderEvent':{'id':'1", EVENT_INCOMPLETE, "at byte 22"},
    {"{'orderEvent':{'id':'1\\", EVENT_INCOMPLETE, "at byte 23"},
    {"{'orderEvent':{'id':'\xc3", EVENT_INCOMPLETE, "at byte 22"},
    {"[1,", EVENT_INCOMPLETE, "at byte 3"},
    {"tru", EVENT_INCOMPLETE, "at byte 3"},
    {"-", EVENT_INCOMPLETE, "at byte 1"},
};

static void assert_holds_nothing(const struct event *event, const char *body)
{
    if (event->kind != EVENT_UNKNOWN || event->name.data != NULL || event->subject.data != NULL ||
        event->message_id.data != NULL || event->version.data != NULL || event->has_time ||
        event->values.data != NULL)
        fail_msg("%s: the event holds something", body);
}

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct event event;
        struct problem problem = {0, ""};
        char *body = quoted(refused[i].body);
        enum event_verdict verdict =
            read_text((struct text){body, strlen(refused[i].body)}, &event, &problem);
        free(body);
        if (verdict != refused[i].verdict || problem.status != 400 ||
            strstr(problem.reason, refused[i].reason) == NULL)
            fail_msg("%s: verdict %d, status %d, %s", refused[i].body, (int)verdict, problem.status,
                     problem.reason);
        assert_holds_nothing(&event, refused[i].body);
    }
}

static void test_nuls_are_refused(void **state)
{
    (void)state;
    static const struct text bodies[] = {
        {"\0", 1}, {"{}\0", 3}, {"\0{}", 3}, {"{\0}", 3}, {"{\"a\0\":1}", 8},
    };
    for (size_t i = 0; i < COUNT(bodies); i++) {
        struct event event;
        struct problem problem = {0, ""};
        if (read_text(bodies[i], &event, &problem) != EVENT_MALFORMED || problem.status != 400)
            fail_msg("body %zu: %s", i, problem.reason);
    }
}

static void test_absent_body(void **state)
{
    (void)state;
    struct event event;
    struct problem problem = {0, ""};
    assert_int_equal(read_text((struct text){NULL, 0}, &event, &problem), EVENT_INCOMPLETE);
    assert_int_equal(problem.status, 400);
    assert_holds_nothing(&event, "none");
}

static void test_every_prefix_is_incomplete(void **state)
{
    (void)state;
    const char *text = complete[0].body;
    char *body = quoted(text);
    for (size_t length = 0; length < strlen(text); length++) {
        struct event event;
        struct problem problem = {0, ""};
        char *cut = malloc(length);
        memcpy(cut, body, length);
        enum event_verdict verdict = read_text((struct text){cut, length}, &event, &problem);
        free(cut);
        if (verdict != EVENT_INCOMPLETE || problem.status != 400)
            fail_msg("the first %zu bytes: verdict %d, %s", length, (int)verdict, problem.reason);
        assert_holds_nothing(&event, text);
    }
    free(body);
}

/* The body lies where the sanitizer's limit does not count, its one long value would not. */
static void test_no_memory(void **state)
{
    (void)state;
    enum { LONG = 8 << 20 };
    static const char head[] = "{\"eventName\":\"";
    static const char tail[] = "\",\"orderEvent\":{\"id\":\"1\"}}";
    char *body = mmap(NULL, LONG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(body, MAP_FAILED);
    memset(body, 'n', LONG);
    memcpy(body, head, sizeof head - 1);
    memcpy(body + LONG - (sizeof tail - 1), tail, sizeof tail - 1);
    struct event event;
    struct problem problem = {0, ""};
    assert_int_equal(read_text((struct text){body, LONG}, &event, &problem), EVENT_FAILED);
    assert_int_equal(problem.status, 503);
    assert_string_not_equal(problem.reason, "");
    assert_holds_nothing(&event, "a long one");
    assert_int_equal(munmap(body, LONG), 0);
}

static void test_release_twice(void **state)
{
    (void)state;
    struct event event;
    struct problem problem = {0, ""};
    static const char body[] = "{\"eventName\":\"a\"}";
    for (int i = 0; i < 2; i++) {
        assert_int_equal(read_text(text_of(body), &event, &problem), EVENT_READ);
        event_release(&event);
        event_release(&event);
    }
}

/* --- objects fetched from the API --- */

#define ORDER    EVENT_ORDER_FETCHED
#define SHIPMENT EVENT_SHIPMENT_FETCHED
#define LEGACY   EVENT_LEGACY_ORDER_FETCHED

/* What is not named is expected to be absent. All are asked for by the id "o-1". */
static const struct object_row {
    const char *body; /* with ' for " */
    enum event_kind kind;
    const char *version;
    const char *updated;
    const char *time; /* RFC 3339 */
} objects[] = {
    {"{'id':'o-1'}", .kind = ORDER},
    {"{'id':'o-1','version':7," UPDATED(T1) "}", .kind = ORDER, .version = "7", .updated = T1,
     .time = T1},
    {"{" UPDATED(T1) ",'version':'7','x':{'id':'o-2'},'id':'o-1'}", .kind = ORDER, .version = "7",
     .updated = T1, .time = T1},
    {"{'id':'o-2','id':'\\u006f-1'}", .kind = ORDER},
    {"{'id':'o-1','version':null,'lastUpdatedAt':''}", .kind = ORDER},
    {"{'id':'o-1'," UPDATED("soon") "}", .kind = ORDER, .updated = "soon"},
    {"{'id':'o-1','lastUpdatedAt':1745402513812}", .kind = ORDER, .updated = "1745402513812"},
    {"{'id':'o-1'," UPDATED("2023-12-31T01:30:00+01:30") "}", .kind = ORDER,
     .updated = "2023-12-31T01:30:00+01:30", .time = T3},
    {"{'id':'o-1','legacyOrderId':'o-2'}", .kind = ORDER},
    {"{'id':'o-1','eventName':'no','meta':{'messageId':'no'," UPDATED(T2) "}}", .kind = ORDER},
    {"{'id':'o-1','orderEvent':{'id':'o-2','version':9}}", .kind = ORDER},
    {"{'id':'o-1'}", .kind = SHIPMENT},
    {"{'id':'o-1','version':3,'meta':{" UPDATED(T2) "}}", .kind = SHIPMENT, .version = "3",
     .updated = T2, .time = T2},
    {"{'id':'o-1'," UPDATED(T1) "}", .kind = SHIPMENT},
    {"{'id':'o-1'," UPDATED(T1) ",'meta':{" UPDATED(T2) "}}", .kind = SHIPMENT, .updated = T2,
     .time = T2},
    /* a legacy order has the one id, or the other, or none */
    {"{'id':'o-1','version':1," UPDATED(T3) "}", .kind = LEGACY, .version = "1", .updated = T3,
     .time = T3},
    {"{'legacyOrderId':'o-1'}", .kind = LEGACY},
    {"{'id':'o-2','legacyOrderId':'o-1'}", .kind = LEGACY},
    {"{'id':'o-1','legacyOrderId':'o-2'}", .kind = LEGACY},
    {"{}", .kind = LEGACY},
    {"{'id':'','legacyOrderId':null,'version':4}", .kind = LEGACY, .version = "4"},
};

static int check_object(const struct object_row *row)
{
    struct event event;
    struct problem problem = {0, ""};
    const struct text id = {"o-1", 3};
    char *body = quoted(row->body);
    const struct text text = {body, strlen(row->body)};
    enum event_verdict verdict = read_object(row->kind, id, text, &event, &problem);
    free(body);
    if (verdict != EVENT_READ || problem.status != 0) {
        print_error("%s: verdict %d, %s\n", row->body, (int)verdict, problem.reason);
        return 1;
    }
    int faults = check_text(row->body, "version", event.version, row->version) +
                 check_text(row->body, "update", event.updated, row->updated) +
                 check_text(row->body, "name", event.name, NULL) +
                 check_text(row->body, "message id", event.message_id, NULL) +
                 check_time(row->body, &event, row->time);
    if (event.kind != row->kind || event.subject.data != id.data || event.subject.length != 3) {
        print_error("%s: the kind is %s, or the subject is wrong\n", row->body,
                    event_kind_name(event.kind));
        faults++;
    }
    event_release(&event);
    return faults;
}

static void test_objects(void **state)
{
    (void)state;
    int faults = 0;
    for (size_t i = 0; i < COUNT(objects); i++)
        faults += check_object(&objects[i]);
    assert_int_equal(faults, 0);
}

static const struct {
    const char *body; /* with ' for " */
    enum event_kind kind;
    enum event_verdict verdict;
} refused_objects[] = {
    {"{}", ORDER, EVENT_MALFORMED},
    {"{'id':'o-2'}", ORDER, EVENT_MALFORMED},
    {"{'id':'o-'}", ORDER, EVENT_MALFORMED},
    {"{'id':'o-1 '}", ORDER, EVENT_MALFORMED},
    {"{'id':'o-1\\u0000'}", ORDER, EVENT_MALFORMED},
    {"{'id':'O-1'}", ORDER, EVENT_MALFORMED},
    {"{'id':''}", ORDER, EVENT_MALFORMED},
    {"{'id':null}", ORDER, EVENT_MALFORMED},
    {"{'id':['o-1']}", ORDER, EVENT_MALFORMED},
    {"{'id':'o-1','id':'o-2'}", ORDER, EVENT_MALFORMED},
    {"{'legacyOrderId':'o-1'}", ORDER, EVENT_MALFORMED},
    {"{'order':{'id':'o-1'}}", ORDER, EVENT_MALFORMED},
    {"{}", SHIPMENT, EVENT_MALFORMED},
    {"{'id':'o-2','meta':{'id':'o-1'}}", SHIPMENT, EVENT_MALFORMED},
    {"{'legacyOrderId':'o-1'}", SHIPMENT, EVENT_MALFORMED},
    {"{'id':'o-2'}", LEGACY, EVENT_MALFORMED},
    {"{'legacyOrderId':'o-2'}", LEGACY, EVENT_MALFORMED},
    {"{'id':'o-2','legacyOrderId':'o-3'}", LEGACY, EVENT_MALFORMED},
    {"[{'id':'o-1'}]", ORDER, EVENT_MALFORMED},
    {"'o-1'", ORDER, EVENT_MALFORMED},
    {"{'id':'o-1'}}", ORDER, EVENT_MALFORMED},
    {"<html>", LEGACY, EVENT_MALFORMED},
    {"", ORDER, EVENT_INCOMPLETE},
    {"{'id':'o-1'", ORDER, EVENT_INCOMPLETE},
    {"{", LEGACY, EVENT_INCOMPLETE},
};

static void test_refused_objects(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused_objects); i++) {
        struct event event;
        struct problem problem = {0, ""};
        char *body = quoted(refused_objects[i].body);
        const struct text text = {body, strlen(refused_objects[i].body)};
        enum event_verdict verdict =
            read_object(refused_objects[i].kind, text_of("o-1"), text, &event, &problem);
        free(body);
        if (verdict != refused_objects[i].verdict || problem.status != 502 ||
            problem.reason[0] == '\0' || event.values.data != NULL)
            fail_msg("%s: verdict %d, status %d, %s", refused_objects[i].body, (int)verdict,
                     problem.status, problem.reason);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_complete),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_subjects),
        cmocka_unit_test(test_names_and_versions),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_kind_names),
        cmocka_unit_test(test_values_may_hold_nuls),
        cmocka_unit_test(test_long_values_stay_in_place),
        cmocka_unit_test(test_all_shapes_in_one_body),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_nuls_are_refused),
        cmocka_unit_test(test_absent_body),
        cmocka_unit_test(test_every_prefix_is_incomplete),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_release_twice),
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_refused_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

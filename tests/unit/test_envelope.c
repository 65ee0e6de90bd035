#include "body_of.h"
#include "unit.h"

#include "envelope.h"
#include "scan.h"

#include <json-c/json.h>

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define TEXT(string)                                                                               \
    {                                                                                              \
        string, sizeof string - 1                                                                  \
    }

#define TIME         INT64_C(1745402513812)
#define TIME_NAME    "20250423T100153.812Z"
#define TIME_RFC3339 "2025-04-23T10:01:53.812Z"

const char *__asan_default_options(void);

/* Let the sanitizer's malloc fail as the real one does, and already for a few MB. */
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1:max_allocation_size_mb=4";
}

/* 64 bytes of a safe id, to be put together to longer ones. */
#define SAFE_64 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._"

static void identify(struct envelope *envelope, const struct event *event, struct text bytes)
{
    struct problem problem = {0};
    const struct body body = body_of(bytes);
    assert_true(envelope_identify(envelope, event, &body, &problem));
    assert_int_equal(problem.status, 0);
}

/* --- the key --- */

static const struct {
    const char *what;
    struct text id; /* message id */
    const char *key;
} keys[] = {
    {"one character", TEXT("7"), "7"},
    {"a UUID", TEXT("1b4e28ba-2fa1-11d2-883f-0016d3cca427"),
     "1b4e28ba-2fa1-11d2-883f-0016d3cca427"},
    {"all that is safe", TEXT(SAFE_64 "-"), SAFE_64 "-"},
    {"dots", TEXT(".."), ".."},
    {"128 bytes", TEXT(SAFE_64 SAFE_64), SAFE_64 SAFE_64},
    {"129 bytes",
     TEXT("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
     "0ec9eb33e74510bcdd1f2ea55206e82f21649c5c2becbf2b433eb475b34c01bd"},
    {"a space", TEXT("a b"), "c8687a08aa5d6ed2044328fa6a697ab8e96dc34291e8c2034ae8c38e6fcc6d65"},
    {"a slash", TEXT("a/b"), "c14cddc033f64b9dea80ea675cf280a015e672516090a5626781153dc68fea11"},
    {"a quote", TEXT("a\"b"), "39a012772dd5c3accbc56923093422896d41ac882e3cd66914bc584c7aac966f"},
    {"a path", TEXT("../../etc/passwd"),
     "3754d6cb3a38e1185e5b382d5f3ef3f118af75bf4bf0254d1fdb8437f51423e0"},
    {"a NUL", TEXT("a\0b"), "59b271ae1bbcb1d31d41929817f4b16fb439eb4f31520b5ad1d5ce98920a7138"},
    {"a newline", TEXT("\n"), "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b"},
    {"beyond ASCII", TEXT("caf\xc3\xa9"),
     "850f7dc43910ff890f8879c0ed26fe697c93a067ad93a7d50f466a7028a9bf4e"},
    {"none: the body",
     {NULL, 0},
     "db941f1d424a1396ab03549bd1d54ed65157ae91648ecc28dd1e59c240b2d807"},
};

static const char plain_body[] = "{\"orderEvent\":{}}";

static void test_keys(void **state)
{
    (void)state;
    int faults = 0;
    for (size_t i = 0; i < COUNT(keys); i++) {
        struct event event = {.kind = EVENT_ORDER, .message_id = keys[i].id};
        struct envelope envelope = {.head = BUFFER_INIT};
        identify(&envelope, &event, text_of(plain_body));
        /* The CloudEvents id is the message's own, unless it has none. */
        struct text id = keys[i].id.data == NULL ? text_of(keys[i].key) : keys[i].id;
        if (strcmp(envelope.key, keys[i].key) != 0 || envelope.id.length != id.length ||
            memcmp(envelope.id.data, id.data, id.length) != 0) {
            print_error("%s: key %s, id %.*s\n", keys[i].what, envelope.key,
                        (int)envelope.id.length, envelope.id.data);
            faults++;
        }
        envelope_release(&envelope);
    }
    assert_int_equal(faults, 0);
}

/* Only 65 of the 256 bytes may stand in a key. */
static void test_every_byte_of_a_key(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        const char id[] = {'a', (char)byte, 'z'};
        struct event event = {.message_id = {id, sizeof id}};
        struct envelope envelope = {.head = BUFFER_INIT};
        bool safe = byte != 0 && strchr(SAFE_64 "-", (int)byte) != NULL;
        identify(&envelope, &event, text_of("{}"));
        bool kept = strlen(envelope.key) == sizeof id && memcmp(envelope.key, id, sizeof id) == 0;
        if (kept != safe || (!safe && strlen(envelope.key) != 64))
            fail_msg("byte 0x%02x: the key is %s", byte, envelope.key);
    }
}

/* At 128 bytes the key is the id, at 129 it is a hash; ids that differ in the last byte differ. */
static void test_every_length_of_a_key(void **state)
{
    (void)state;
    char id[300];
    memset(id, 'k', sizeof id);
    for (size_t length = 1; length < sizeof id; length++) {
        struct event event = {.message_id = {id, length}};
        struct envelope one = {.head = BUFFER_INIT};
        struct envelope other = {.head = BUFFER_INIT};
        identify(&one, &event, text_of("{}"));
        id[length - 1] = 'l';
        identify(&other, &event, text_of("{}"));
        id[length - 1] = 'k';
        assert_int_equal(strlen(one.key), length <= ENVELOPE_KEY_MAX ? length : 64);
        assert_string_not_equal(one.key, other.key);
    }
}

static void test_key_does_not_depend_on_the_rest(void **state)
{
    (void)state;
    struct event event = {.kind = EVENT_ORDER, .message_id = TEXT("no safe id")};
    struct event other = {.kind = EVENT_SHIPMENT,
                          .message_id = TEXT("no safe id"),
                          .subject = TEXT("s"),
                          .name = TEXT("n")};
    struct envelope one = {.head = BUFFER_INIT};
    struct envelope two = {.head = BUFFER_INIT};
    identify(&one, &event, text_of("{}"));
    identify(&two, &other, text_of("{\"other\":1}"));
    assert_string_equal(one.key, two.key);
}

/* A fetched object is told from others by what state of it was fetched; an event never is. */
static const struct {
    const char *what;
    struct event event;
    const char *key;
} states[] = {
    {"version and update",
     {.kind = EVENT_ORDER_FETCHED, .version = TEXT("7"), .updated = TEXT(TIME_RFC3339)},
     "88605805bc93d22ea1b79e84a21ccfc573023396a889afbe5f7d46200be8b943"},
    {"another version",
     {.kind = EVENT_ORDER_FETCHED, .version = TEXT("8"), .updated = TEXT(TIME_RFC3339)},
     "051e181af76e890156805561a8b2029e717ecdfb4006c810a94f3c018144664d"},
    {"the same of a shipment",
     {.kind = EVENT_SHIPMENT_FETCHED, .version = TEXT("7"), .updated = TEXT(TIME_RFC3339)},
     "88605805bc93d22ea1b79e84a21ccfc573023396a889afbe5f7d46200be8b943"},
    {"a version alone",
     {.kind = EVENT_LEGACY_ORDER_FETCHED, .version = TEXT("7")},
     "68c483687be8d8b625fe31edc406f102ad7a3ef097d7e30cd960645fbaf7f6ca"},
    {"an update alone",
     {.kind = EVENT_ORDER_FETCHED, .updated = TEXT(TIME_RFC3339)},
     "ff733c71a6f1b7bf76c28c4230be7e83ed57f9bb31a1c8020f08aef1a0c654ff"},
    {"neither: the body",
     {.kind = EVENT_ORDER_FETCHED},
     "db941f1d424a1396ab03549bd1d54ed65157ae91648ecc28dd1e59c240b2d807"},
    {"an event: the body",
     {.kind = EVENT_ORDER, .version = TEXT("7")},
     "db941f1d424a1396ab03549bd1d54ed65157ae91648ecc28dd1e59c240b2d807"},
    {"an unknown event: the body",
     {.kind = EVENT_UNKNOWN, .version = TEXT("7")},
     "db941f1d424a1396ab03549bd1d54ed65157ae91648ecc28dd1e59c240b2d807"},
};

static void test_keys_of_states(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(states); i++) {
        struct event event = states[i].event;
        struct envelope envelope = {.head = BUFFER_INIT};
        event.subject = text_of("o-1");
        identify(&envelope, &event, text_of(plain_body));
        if (strcmp(envelope.key, states[i].key) != 0 ||
            envelope.id.length != strlen(states[i].key) ||
            memcmp(envelope.id.data, states[i].key, envelope.id.length) != 0)
            fail_msg("%s: the key is %s", states[i].what, envelope.key);
    }
}

/* --- the name --- */

/* Values that would do harm in a file name, in JSON, or in a terminal. */
static const struct text hostile[] = {
    TEXT("/"),
    TEXT("../../../etc/passwd"),
    TEXT("..\\..\\windows"),
    TEXT("a\0b"),
    TEXT("\0"),
    TEXT("\0\0\0"),
    TEXT("\""),
    TEXT("\\"),
    TEXT("\\\""),
    TEXT("\\u0041"),
    TEXT("\",\"id\":\"forged"),
    TEXT("\"},{"),
    TEXT("line\nfeed\r\n"),
    TEXT("\t\b\f"),
    TEXT("\x01\x02\x1f\x7f"),
    TEXT("\x1b[31mred\x1b[0m"),
    TEXT(" "),
    TEXT("  leading and trailing  "),
    TEXT("-rf"),
    TEXT("*?[]{}~$(id)`id`;|&<>!"),
    TEXT("</script><!-- -->"),
    TEXT("%s%n%00%2e%2e%2f"),
    TEXT("a_b"),
    TEXT(".json"),
    TEXT("caf\xc3\xa9"),
    TEXT("\xe2\x82\xac \xe4\xb8\xad\xe6\x96\x87"),
    TEXT("\xf0\x9f\x98\x80"),
    TEXT("\xf4\x8f\xbf\xbf"),
    TEXT("\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xae"),
    TEXT("\xef\xbb\xbf"),
    TEXT("\xc2\x80\xc2\x9f"),
    TEXT(SAFE_64 SAFE_64),
    TEXT(SAFE_64 SAFE_64 "x"),
    TEXT(SAFE_64 SAFE_64 SAFE_64 SAFE_64 SAFE_64 SAFE_64),
};

static const struct {
    enum event_kind kind;
    const char *name;
} all_kinds[] = {
    {EVENT_UNKNOWN, "unknown"},
    {EVENT_ORDER, "order"},
    {EVENT_ORDER_DOCUMENTS, "order-documents"},
    {EVENT_SHIPMENT, "shipment"},
    {EVENT_ORDER_FETCHED, "order-fetched"},
    {EVENT_SHIPMENT_FETCHED, "shipment-fetched"},
    {EVENT_LEGACY_ORDER_FETCHED, "legacy-order-fetched"},
};

static void build(struct envelope *envelope, const struct event *event, const char *source,
                  struct text body)
{
    *envelope = (struct envelope){.head = BUFFER_INIT};
    identify(envelope, event, body);
    if (!envelope_build(envelope, event, source, TIME, 0))
        fail_msg("no envelope for an event of kind %s", event_kind_name(event->kind));
}

static void test_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(all_kinds); i++) {
        struct event event = {.kind = all_kinds[i].kind, .message_id = TEXT("m-1")};
        struct envelope envelope;
        build(&envelope, &event, "https://api", text_of(plain_body));
        char expected[64];
        (void)snprintf(expected, sizeof expected, TIME_NAME "_%s_m-1.json", all_kinds[i].name);
        assert_string_equal(envelope.name, expected);
        envelope_release(&envelope);
    }
}

static void test_names_of_hostile_values(void **state)
{
    (void)state;
    regex_t pattern;
    assert_int_equal(
        regcomp(&pattern,
                "^[0-9]{8}T[0-9]{6}[.][0-9]{3}Z_(unknown|order|order-documents|shipment|"
                "order-fetched|shipment-fetched|legacy-order-fetched)_"
                "[A-Za-z0-9._-]{1,128}[.]json$",
                REG_EXTENDED | REG_NOSUB),
        0);
    for (size_t i = 0; i < COUNT(hostile); i++)
        for (size_t j = 0; j < COUNT(all_kinds); j++) {
            struct event event = {.kind = all_kinds[j].kind,
                                  .name = hostile[i],
                                  .subject = hostile[i],
                                  .message_id = hostile[i],
                                  .version = hostile[i]};
            struct envelope envelope;
            build(&envelope, &event, "https://api", text_of(plain_body));
            if (strlen(envelope.name) > 200 || regexec(&pattern, envelope.name, 0, NULL, 0) != 0)
                fail_msg("hostile value %zu: the name is %s", i, envelope.name);
            envelope_release(&envelope);
        }
    regfree(&pattern);
}

/* The longest of everything. */
static void test_longest_name(void **state)
{
    (void)state;
    struct event event = {.kind = EVENT_LEGACY_ORDER_FETCHED, .message_id = TEXT(SAFE_64 SAFE_64)};
    struct envelope envelope;
    build(&envelope, &event, "https://api", text_of(plain_body));
    assert_string_equal(envelope.name, TIME_NAME "_legacy-order-fetched_" SAFE_64 SAFE_64 ".json");
    envelope_release(&envelope);
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        int64_t time;
        const char *name;
        const char *attribute;
    } rows[] = {
        {0, "19700101T000000.000Z_order_m.json", "1970-01-01T00:00:00.000Z"},
        {-1, "19691231T235959.999Z_order_m.json", "1969-12-31T23:59:59.999Z"},
        {INT64_C(-62135596800000), "00010101T000000.000Z_order_m.json", "0001-01-01T00:00:00.000Z"},
        {INT64_C(253402300799999), "99991231T235959.999Z_order_m.json", "9999-12-31T23:59:59.999Z"},
    };
    struct event event = {.kind = EVENT_ORDER, .message_id = TEXT("m"), .has_time = true};
    for (size_t i = 0; i < COUNT(rows); i++) {
        char expected[64];
        struct envelope envelope = {.head = BUFFER_INIT};
        identify(&envelope, &event, text_of("{}"));
        assert_true(envelope_build(&envelope, &event, "s", rows[i].time, 0));
        assert_string_equal(envelope.name, rows[i].name);
        (void)snprintf(expected, sizeof expected, "\"time\":\"%s\"", rows[i].attribute);
        assert_true(buffer_append(&envelope.head, "", 1));
        assert_non_null(strstr(envelope.head.data, expected));
        envelope_release(&envelope);
    }
}

/* --- the envelope as a whole --- */

static struct text whole(const struct envelope *envelope, struct text body)
{
    struct buffer text = BUFFER_INIT;
    assert_true(buffer_append(&text, envelope->head.data, envelope->head.length));
    assert_true(buffer_append(&text, body.data, body.length));
    assert_true(buffer_append_string(&text, ENVELOPE_TAIL));
    return (struct text){text.data, text.length};
}

static void release(struct text text)
{
    free((void *)(uintptr_t)text.data);
}

/* Parsed by a reader that is not ours. The caller puts it back. */
static struct json_object *parse(struct text text)
{
    struct json_tokener *tokener = json_tokener_new();
    /* Not strict: json-c 0.18 takes every letter beyond ASCII for a control character then. */
    json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *top = json_tokener_parse_ex(tokener, text.data, (int)text.length);
    if (json_tokener_get_error(tokener) != json_tokener_success)
        fail_msg("json-c says %s: %.*s", json_tokener_error_desc(json_tokener_get_error(tokener)),
                 (int)text.length, text.data);
    json_tokener_free(tokener);
    return top;
}

/* An absent value is expected to be no member at all. */
static void assert_attribute(struct json_object *top, const char *name, struct text expected)
{
    struct json_object *value;
    if (!json_object_object_get_ex(top, name, &value)) {
        if (expected.data != NULL)
            fail_msg("there is no %s: %s", name, json_object_to_json_string(top));
        return;
    }
    if (!json_object_is_type(value, json_type_string) || expected.data == NULL ||
        (size_t)json_object_get_string_len(value) != expected.length ||
        memcmp(json_object_get_string(value), expected.data, expected.length) != 0)
        fail_msg("the %s is wrong: %s", name, json_object_to_json_string(top));
}

static struct text type_of(const struct event *event)
{
    struct buffer type = BUFFER_INIT;
    assert_true(buffer_append_string(&type, "com.tradecloud1."));
    assert_true(buffer_append_string(&type, event_kind_name(event->kind)));
    if (event->name.data != NULL) {
        assert_true(buffer_append_string(&type, "."));
        assert_true(buffer_append(&type, event->name.data, event->name.length));
    }
    return (struct text){type.data, type.length};
}

static void assert_envelope(const struct event *event, const char *source, struct text body)
{
    struct envelope envelope;
    build(&envelope, event, source, body);
    struct text text = whole(&envelope, body);
    struct text type = type_of(event);
    struct json_object *top = parse(text);
    struct json_object *data;
    assert_attribute(top, "specversion", text_of("1.0"));
    assert_attribute(top, "id", envelope.id);
    assert_attribute(top, "source", text_of(source));
    assert_attribute(top, "type", type);
    assert_attribute(top, "subject", event->subject);
    assert_attribute(top, "time", text_of(TIME_RFC3339));
    assert_attribute(top, "datacontenttype", text_of("application/json"));
    assert_true(json_object_object_get_ex(top, "data", &data));
    assert_int_equal(json_object_object_length(top), event->subject.data == NULL ? 7 : 8);
    json_object_put(top);
    release(type);
    release(text);
    envelope_release(&envelope);
}

static void test_attributes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(all_kinds); i++) {
        struct event event = {.kind = all_kinds[i].kind};
        assert_envelope(&event, "https://api.tradecloud1.com", text_of(plain_body));
        event.subject = text_of("o-1");
        assert_envelope(&event, "https://api.tradecloud1.com", text_of(plain_body));
        event.name = text_of("OrderChanged");
        assert_envelope(&event, "https://api.tradecloud1.com", text_of(plain_body));
        event.message_id = text_of("m-1");
        assert_envelope(&event, "https://api.tradecloud1.com", text_of(plain_body));
    }
}

/* Every hostile value in every place gives itself back, and leaves the others alone. */
static void test_hostile_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(hostile); i++)
        for (unsigned places = 0; places < 8; places++) {
            struct event event = {.kind = EVENT_ORDER,
                                  .message_id = TEXT("m"),
                                  .subject = TEXT("s"),
                                  .name = TEXT("n")};
            if ((places & 1) != 0)
                event.message_id = hostile[i];
            if ((places & 2) != 0)
                event.subject = hostile[i];
            if ((places & 4) != 0)
                event.name = hostile[i];
            assert_envelope(&event, "https://api", text_of(plain_body));
        }
}

static void test_every_byte_of_a_value(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 128; byte++) {
        const char value[] = {(char)byte, '"', (char)byte, (char)byte};
        struct text text = {value, sizeof value};
        struct event event = {
            .kind = EVENT_SHIPMENT, .message_id = text, .subject = text, .name = text};
        assert_envelope(&event, "https://api", text_of("{}"));
    }
}

static void test_sources(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "https://api.accp.tradecloud1.com/v2?a=b&c=%20",
        "\"quoted\"",
        "\\",
        "caf\xc3\xa9",
        "a\nb",
        "/relative/path",
    };
    struct event event = {.kind = EVENT_ORDER};
    for (size_t i = 0; i < COUNT(sources); i++)
        assert_envelope(&event, sources[i], text_of("{}"));
}

static void test_long_values(void **state)
{
    (void)state;
    enum { LONG = 100000 };
    char *value = malloc(LONG);
    assert_non_null(value);
    for (size_t i = 0; i < LONG; i++)
        value[i] = (char)(i * 31 % 128);
    struct text text = {value, LONG};
    struct event event = {.kind = EVENT_ORDER, .message_id = text, .subject = text, .name = text};
    assert_envelope(&event, "https://api", text_of("{}"));
    free(value);
}

/* The id of a message without one is the key: 64 hexadecimal digits of the body. */
static void test_id_without_message_id(void **state)
{
    (void)state;
    struct event event = {.kind = EVENT_UNKNOWN};
    struct envelope envelope;
    build(&envelope, &event, "https://api", text_of("{}"));
    static const char hash[] = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    assert_string_equal(envelope.key, hash);
    assert_string_equal(envelope.name, TIME_NAME "_unknown_44136fa355b3678a1146ad16f7e8649e94fb4fc2"
                                                 "1fe77e8310c060f61caaff8a.json");
    struct text text = whole(&envelope, text_of("{}"));
    struct json_object *top = parse(text);
    assert_attribute(top, "id", text_of(hash));
    json_object_put(top);
    release(text);
    envelope_release(&envelope);
}

/* Bodies that a reader who writes them anew would change. */
static void test_data_stays_as_it_is(void **state)
{
    (void)state;
    static const struct text bodies[] = {
        TEXT("{}"),
        TEXT("{ \"a\" : 1 }"),
        TEXT(" \r\n\t{\"a\":\t1}\r\n"),
        TEXT("{\"a\":1,\"a\":2}"),
        TEXT("{\"a\":1e400,\"b\":-0,\"c\":1.10,\"d\":1234567890123456789012345}"),
        TEXT("{\"\\u0061\\/\":\"\\u00e9\xc3\xa9\\ud83d\\ude00\\u0000\\/\x7f\"}"),
        TEXT("{\"data\":{\"data\":\"}\"},\"id\":\"x\",\"specversion\":\"9\"}"),
    };
    struct event event = {.kind = EVENT_ORDER, .subject = TEXT("s")};
    for (size_t i = 0; i < COUNT(bodies); i++) {
        struct envelope envelope;
        build(&envelope, &event, "https://api", bodies[i]);
        struct text text = whole(&envelope, bodies[i]);
        struct scan_member members[] = {{.path = "data"}, {.path = "specversion"}};
        struct scan_result result = scan(text.data, text.length, members, COUNT(members));
        /* The object begins in the body and nowhere else: nothing of ours hides it. */
        size_t lead = strcspn(bodies[i].data, "{");
        if (result.verdict != SCAN_VALID || members[0].type != SCAN_OBJECT ||
            members[0].offset != envelope.head.length + lead || members[1].length != 5 ||
            memcmp(text.data + members[1].offset, "\"1.0\"", 5) != 0)
            fail_msg("the envelope is wrong: %.*s", (int)text.length, text.data);
        release(text);
        envelope_release(&envelope);
    }
}

/* Filled up with spaces before the last name, a head is as long as the room, and says the same. */
static void test_room(void **state)
{
    (void)state;
    struct event event = {.kind = EVENT_ORDER, .subject = TEXT("s \"data\":"), .name = TEXT("n")};
    struct envelope plain;
    build(&plain, &event, "https://api", text_of(plain_body));
    const size_t length = plain.head.length;
    for (size_t room = 0; room < 2 * length; room++) {
        struct envelope envelope = {.head = BUFFER_INIT};
        identify(&envelope, &event, text_of(plain_body));
        assert_true(envelope_build(&envelope, &event, "https://api", TIME, room));
        const size_t expected = room > length ? room : length;
        const size_t behind = sizeof "\"data\":" - 1;
        assert_string_equal(envelope.name, plain.name);
        assert_int_equal(envelope.head.length, expected);
        assert_memory_equal(envelope.head.data, plain.head.data, length - behind);
        for (size_t i = length - behind; i < expected - behind; i++)
            assert_int_equal(envelope.head.data[i], ' ');
        assert_memory_equal(envelope.head.data + expected - behind, "\"data\":", behind);
        struct text text = whole(&envelope, text_of(plain_body));
        struct json_object *top = parse(text);
        assert_int_equal(json_object_object_length(top), 8);
        assert_attribute(top, "subject", event.subject);
        json_object_put(top);
        release(text);
        envelope_release(&envelope);
    }
    envelope_release(&plain);
}

/* From the bytes of a body to the bytes of a file, with nothing in between made up by a test. */
static void test_from_a_body(void **state)
{
    (void)state;
    static const char body[] =
        "{\"eventName\":\"Order\\u0000\\\"Changed\",\"orderEvent\":{\"id\":\"\\ud83d\\ude00/..\","
        "\"meta\":{\"messageId\":\"a/b\",\"createdDateTime\":\"2025-04-23T10:01:53.812Z\"}}}";
    struct event event;
    struct problem problem = {0, ""};
    struct body data = body_of(text_of(body));
    assert_int_equal(event_read(&data, &event, &problem), EVENT_READ);
    assert_int_equal(event.time, TIME);
    struct envelope envelope;
    build(&envelope, &event, "https://api", text_of(body));
    struct text text = whole(&envelope, text_of(body));
    struct json_object *top = parse(text);
    assert_attribute(top, "id", text_of("a/b"));
    assert_attribute(top, "subject", text_of("\xf0\x9f\x98\x80/.."));
    assert_attribute(top, "type", (struct text)TEXT("com.tradecloud1.order.Order\0\"Changed"));
    json_object_put(top);
    release(text);
    envelope_release(&envelope);
    event_release(&event);
}

static void test_no_memory(void **state)
{
    (void)state;
    enum { LONG = 8 << 20 };
    static char subject[LONG];
    memset(subject, 's', LONG);
    struct event event = {.kind = EVENT_ORDER, .subject = {subject, LONG}};
    struct envelope envelope = {.head = BUFFER_INIT};
    identify(&envelope, &event, text_of("{}"));
    assert_false(envelope_build(&envelope, &event, "https://api", TIME, 0));
    envelope_release(&envelope);
    assert_null(envelope.head.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_every_byte_of_a_key),
        cmocka_unit_test(test_every_length_of_a_key),
        cmocka_unit_test(test_key_does_not_depend_on_the_rest),
        cmocka_unit_test(test_keys_of_states),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_names_of_hostile_values),
        cmocka_unit_test(test_longest_name),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_hostile_values),
        cmocka_unit_test(test_every_byte_of_a_value),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_long_values),
        cmocka_unit_test(test_id_without_message_id),
        cmocka_unit_test(test_data_stays_as_it_is),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_from_a_body),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

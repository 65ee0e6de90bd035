/*
 * A body: the scanner's verdict against Jansson's and RapidJSON's, and the envelope read back.
 *
 * Known differences, where the others have NO_OPINION: both refuse numbers that a double cannot
 * hold; Jansson also nesting over 2048 levels, and NUL in a member's name; RapidJSON accepts a low
 * surrogate alone. Ours refuses nesting over 512 levels, as scan.h says.
 */
#include "envelope.h"
#include "event.h"
#include "fuzz.h"
#include "scan.h"

#include <jansson.h>

static enum opinion jansson_opinion(const char *json, size_t length)
{
    json_error_t error;
    json_t *root = json_loadb(json, length,
                              JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
    if (root != NULL) {
        json_decref(root);
        return ACCEPTED;
    }
    switch (json_error_code(&error)) {
    case json_error_numeric_overflow:
    case json_error_stack_overflow:
    case json_error_null_byte_in_key:
        return NO_OPINION;
    default:
        return REFUSED;
    }
}

static void compare_verdicts(const char *json, size_t length)
{
    struct scan_result result = scan(json, length, NULL, 0);
    check_in_pieces((struct text){json, length}, &result, NULL, 0);
    enum opinion ours = result.verdict == SCAN_VALID ? ACCEPTED : REFUSED;
    if (ours == REFUSED && strstr(result.problem, "levels deep") != NULL)
        return;
    /* To both, a NUL byte may be the end. */
    if (memchr(json, '\0', length) != NULL) {
        CHECK(ours == REFUSED);
        return;
    }
    enum opinion jansson = jansson_opinion(json, length);
    CHECK(jansson == NO_OPINION || jansson == ours);
    enum opinion rapidjson = rapidjson_opinion(json, length);
    CHECK(rapidjson == NO_OPINION || rapidjson == ours);
    CHECK(ours == ACCEPTED ? result.top != SCAN_ABSENT : result.offset <= length);
    /* What is cut off a valid text can be put back. */
    if (ours == ACCEPTED && length > 0) {
        size_t cut = (unsigned char)json[length / 2] * length / 256;
        CHECK(scan(json, cut, NULL, 0).verdict != SCAN_INVALID);
    }
    /* And what can never become valid, does not by more of it. */
    if (result.verdict == SCAN_INVALID)
        CHECK(
            scan(json, result.offset + 1 < length ? result.offset + 1 : length, NULL, 0).verdict ==
            SCAN_INVALID);
}

static void check_name(const char *name)
{
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t length = strlen(name);
    CHECK(length > 20 && length <= 200 && strspn(name, safe) == length);
    CHECK(name[0] != '.' && strcmp(name + length - 5, ".json") == 0);
}

static void check_member(json_t *object, const char *name, struct text value)
{
    json_t *member = json_object_get(object, name);
    if (value.data == NULL) {
        CHECK(member == NULL);
        return;
    }
    CHECK(json_string_length(member) == value.length);
    CHECK(memcmp(json_string_value(member), value.data, value.length) == 0);
}

/* The envelope is read back by Jansson: each attribute is what it was, and the data is the body;
 * also where its head is filled up. */
static void check_envelope(const struct event *event, struct text body, size_t room)
{
    struct envelope envelope;
    struct problem problem;
    const struct body whole = body_of(body);
    memset(&envelope, 0, sizeof envelope);
    CHECK(envelope_identify(&envelope, event, &whole, &problem));
    CHECK(envelope_build(&envelope, event, "https://a.example/v2", event->time, room));
    CHECK(envelope.head.length >= room);
    check_name(envelope.name);
    struct buffer all = BUFFER_INIT;
    CHECK(buffer_append(&all, envelope.head.data, envelope.head.length));
    size_t start = all.length;
    CHECK(buffer_append(&all, body.data, body.length));
    CHECK(buffer_append_string(&all, ENVELOPE_TAIL));
    CHECK(memcmp(all.data + start, body.data, body.length) == 0);
    json_error_t error;
    json_t *root =
        json_loadb(all.data, all.length, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
    json_t *data =
        json_loadb(body.data, body.length, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
    CHECK((root == NULL) == (data == NULL) || body.length > 2000);
    if (root != NULL && data != NULL) {
        CHECK(json_equal(json_object_get(root, "data"), data));
        CHECK(json_object_size(root) == (event->subject.data == NULL ? 7 : 8));
        check_member(root, "id", envelope.id);
        check_member(root, "subject", event->subject);
    }
    json_decref(root);
    json_decref(data);
    buffer_release(&all);
    envelope_release(&envelope);
}

static void check_event(struct text body)
{
    struct event event;
    struct problem problem;
    struct body whole = body_of(body);
    if (event_read(&whole, &event, &problem) == EVENT_READ) {
        check_envelope(&event, body, 0);
        check_envelope(&event, body, body.length * 7 % 1000);
        event_release(&event);
    } else {
        CHECK(problem.status == 400 && problem.reason[0] != '\0');
    }
    for (enum event_kind kind = EVENT_ORDER_FETCHED; kind <= EVENT_LEGACY_ORDER_FETCHED; kind++) {
        whole = body_of(body);
        if (event_read_object(kind, text_of("an-id"), &whole, &event, &problem) != EVENT_READ) {
            CHECK(problem.status == 502);
            continue;
        }
        check_envelope(&event, body, 0);
        event_release(&event);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *json = (const char *)data;
    compare_verdicts(json, size);
    check_event((struct text){json, size});
    return 0;
}

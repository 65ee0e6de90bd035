#include "event.h"

#include "scan.h"
#include "timestamp.h"

#include <assert.h>
#include <string.h>

/* What is looked up in each shape of event. */
enum field {
    EVENT, /* the member itself */
    ID,
    OLD_ID,
    LEGACY_ID,
    MESSAGE_ID,
    CREATED,
    UPDATED,
    VERSION,
    FIELDS,
};

#define ORDER_PATHS(event)                                                                         \
    {                                                                                              \
        [EVENT] = event, [ID] = event ".orderId", [OLD_ID] = event ".id",                          \
        [LEGACY_ID] = event ".legacyOrderId", [MESSAGE_ID] = event ".meta.messageId",              \
        [CREATED] = event ".meta.createdDateTime", [UPDATED] = event ".lastUpdatedAt",             \
        [VERSION] = event ".version",                                                              \
    }

#define SHIPMENT_PATHS(event)                                                                      \
    {                                                                                              \
        [EVENT] = event, [ID] = event ".id", [UPDATED] = event ".meta.lastUpdatedAt",              \
        [VERSION] = event ".version",                                                              \
    }

static const struct shape {
    enum event_kind kind;
    const char *paths[FIELDS]; /* NULL: has no such member */
} shapes[] = {
    {EVENT_ORDER, ORDER_PATHS("orderEvent")},
    {EVENT_ORDER, ORDER_PATHS("singleDeliveryOrderEvent")},
    {EVENT_ORDER, ORDER_PATHS("simpleOrderEvent")},
    {EVENT_ORDER_DOCUMENTS, ORDER_PATHS("orderDocumentsEvent")},
    {EVENT_SHIPMENT, SHIPMENT_PATHS("shipment")},
    {EVENT_SHIPMENT, SHIPMENT_PATHS("shipmentEvent")},
    {EVENT_UNKNOWN, {NULL}}, /* what fits none of the others */
};

enum { SHAPES = sizeof shapes / sizeof shapes[0] };

/* The members of one body: those outside of any shape, and each shape's. */
struct members {
    struct scan_member name;
    struct scan_member message_id;
    struct scan_member created;
    struct scan_member fields[SHAPES][FIELDS];
};

#define MEMBERS (sizeof(struct members) / sizeof(struct scan_member))

static_assert(MEMBERS <= SCAN_MEMBERS_MAX, "more members than one scan can find");

const char *event_kind_name(enum event_kind kind)
{
    static const char *const names[] = {
        [EVENT_UNKNOWN] = "unknown",
        [EVENT_ORDER] = "order",
        [EVENT_ORDER_DOCUMENTS] = "order-documents",
        [EVENT_SHIPMENT] = "shipment",
        [EVENT_ORDER_FETCHED] = "order-fetched",
        [EVENT_SHIPMENT_FETCHED] = "shipment-fetched",
        [EVENT_LEGACY_ORDER_FETCHED] = "legacy-order-fetched",
    };
    return names[kind];
}

static void set_paths(struct members *members)
{
    members->name.path = "eventName";
    members->message_id.path = "meta.messageId";
    members->created.path = "meta.createdDateTime";
    for (size_t i = 0; i < SHAPES; i++)
        for (size_t j = 0; j < FIELDS; j++)
            members->fields[i][j].path = shapes[i].paths[j];
}

/* The first shape whose member is an object, or else the last, the unknown. */
static size_t find_shape(const struct members *members)
{
    size_t i = 0;
    while (i < SHAPES - 1 && members->fields[i][EVENT].type != SCAN_OBJECT)
        i++;
    return i;
}

/* A body whose facts are being read. */
struct reader {
    struct body *body;
    struct event *event;
    struct buffer space; /* for values that have to be fetched */
    struct problem *problem;
};

static size_t more(void *context, size_t keep, const char **bytes)
{
    struct reader *reader = context;
    return body_more(reader->body, keep, bytes, reader->problem);
}

/* Decode a member; absent if it has no value or an empty one. */
static bool take(struct reader *reader, const struct scan_member *member, struct text *value)
{
    struct text raw;
    struct buffer *values = &reader->event->values;
    size_t start = values->length;
    *value = (struct text){NULL, 0};
    if (member->type == SCAN_ABSENT)
        return true;
    if (!body_piece(reader->body, member->offset, member->length, &reader->space, &raw,
                    reader->problem))
        return false;
    if (!scan_decode(member->type, raw, values))
        return problem_memory(reader->problem);
    if (values->length > start)
        *value = (struct text){values->data + start, values->length - start};
    return true;
}

/* Decode the first of the members that has a value. */
static bool take_first(struct reader *reader, const struct scan_member *const members[],
                       size_t count, struct text *value)
{
    *value = (struct text){NULL, 0};
    for (size_t i = 0; i < count && value->data == NULL; i++)
        if (!take(reader, members[i], value))
            return false;
    return true;
}

/* The first of the members that is a time; that none is, is no error. */
static bool take_time(struct reader *reader, const struct scan_member *const members[],
                      size_t count)
{
    struct event *event = reader->event;
    for (size_t i = 0; i < count && !event->has_time; i++) {
        struct text value;
        if (!take(reader, members[i], &value))
            return false;
        event->has_time = value.data != NULL && timestamp_parse(value, &event->time);
    }
    return true;
}

static bool take_message(struct reader *reader, const struct members *members,
                         const struct scan_member *fields)
{
    struct text *id = &reader->event->message_id;
    if (!take(reader, &fields[MESSAGE_ID], id))
        return false;
    bool inside = id->data != NULL;
    if (!inside && !take(reader, &members->message_id, id))
        return false;
    const struct scan_member *const times[] = {
        inside ? &fields[CREATED] : &members->created,
        inside ? &members->created : &fields[CREATED],
        &fields[UPDATED],
    };
    return take_time(reader, times, 3);
}

static bool take_facts(struct reader *reader, const struct members *members)
{
    struct event *event = reader->event;
    size_t shape = find_shape(members);
    const struct scan_member *fields = members->fields[shape];
    const struct scan_member *const ids[] = {&fields[ID], &fields[OLD_ID], &fields[LEGACY_ID]};
    event->kind = shapes[shape].kind;
    return take(reader, &members->name, &event->name) &&
           take_first(reader, ids, 3, &event->subject) &&
           take(reader, &fields[VERSION], &event->version) && take_message(reader, members, fields);
}

/* Room for all values at once, so that the texts stay where they are. */
static bool reserve(struct reader *reader, const struct scan_member *members, size_t count)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        if (members[i].type != SCAN_ABSENT)
            length += members[i].length;
    return buffer_reserve(&reader->event->values, length) || problem_memory(reader->problem);
}

/* Scan the body, and read what is left of it; find the members in it and make room for them.
 * `status` is that of a body that is not what it should be, and `what` its name. */
static enum event_verdict find_members(struct reader *reader, struct scan_member *members,
                                       size_t count, int status, const char *what)
{
    const struct scan_source source = {more, reader};
    struct scan_result result = scan_from(&source, members, count);
    if (!body_finish(reader->body, reader->problem))
        return EVENT_FAILED;
    if (result.verdict != SCAN_VALID) {
        (void)problem_set(reader->problem, status, "%s is not JSON: at byte %zu: %s", what,
                          result.offset, result.problem);
        return result.verdict == SCAN_INCOMPLETE ? EVENT_INCOMPLETE : EVENT_MALFORMED;
    }
    if (result.top != SCAN_OBJECT) {
        (void)problem_set(reader->problem, status, "%s is JSON, but not an object", what);
        return EVENT_MALFORMED;
    }
    return reserve(reader, members, count) ? EVENT_READ : EVENT_FAILED;
}

/* Leave nothing in the event unless it was read. */
static enum event_verdict end(struct reader *reader, enum event_verdict verdict)
{
    buffer_release(&reader->space);
    if (verdict != EVENT_READ) {
        event_release(reader->event);
        *reader->event = (struct event){.values = BUFFER_INIT};
    }
    return verdict;
}

enum event_verdict event_read(struct body *body, struct event *event, struct problem *problem)
{
    struct members members = {0};
    struct reader reader = {body, event, BUFFER_INIT, problem};
    *event = (struct event){.values = BUFFER_INIT};
    set_paths(&members);
    /* The struct is nothing but members, so it is an array of them, too. */
    enum event_verdict verdict =
        find_members(&reader, (struct scan_member *)&members, MEMBERS, 400, "the body");
    if (verdict == EVENT_READ && !take_facts(&reader, &members))
        verdict = EVENT_FAILED;
    return end(&reader, verdict);
}

/* The members of an object that the API answered. */
enum object_field { OBJECT_ID, OBJECT_LEGACY_ID, OBJECT_VERSION, OBJECT_UPDATED, OBJECT_FIELDS };

static bool equal(struct text a, struct text b)
{
    return a.data != NULL && a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

static bool is_asked_for(enum event_kind kind, struct text asked, struct text id,
                         struct text legacy_id)
{
    if (kind != EVENT_LEGACY_ORDER_FETCHED)
        return equal(id, asked);
    return equal(id, asked) || equal(legacy_id, asked) ||
           (id.data == NULL && legacy_id.data == NULL);
}

static enum event_verdict take_object(struct reader *reader, const struct scan_member *members)
{
    struct text found;
    struct text legacy;
    struct event *event = reader->event;
    const struct text asked = event->subject;
    if (!take(reader, &members[OBJECT_ID], &found) ||
        !take(reader, &members[OBJECT_LEGACY_ID], &legacy) ||
        !take(reader, &members[OBJECT_VERSION], &event->version) ||
        !take(reader, &members[OBJECT_UPDATED], &event->updated))
        return EVENT_FAILED;
    event->has_time = event->updated.data != NULL && timestamp_parse(event->updated, &event->time);
    if (is_asked_for(event->kind, asked, found, legacy))
        return EVENT_READ;
    (void)problem_set(reader->problem, 502,
                      "the API's answer is about another object than the one asked for");
    return EVENT_MALFORMED;
}

enum event_verdict event_read_object(enum event_kind kind, struct text id, struct body *body,
                                     struct event *event, struct problem *problem)
{
    struct scan_member members[OBJECT_FIELDS] = {
        [OBJECT_ID] = {.path = "id"},
        [OBJECT_LEGACY_ID] = {.path = "legacyOrderId"},
        [OBJECT_VERSION] = {.path = "version"},
        [OBJECT_UPDATED] = {.path = kind == EVENT_SHIPMENT_FETCHED ? "meta.lastUpdatedAt"
                                                                   : "lastUpdatedAt"},
    };
    struct reader reader = {body, event, BUFFER_INIT, problem};
    *event = (struct event){.kind = kind, .subject = id, .values = BUFFER_INIT};
    enum event_verdict verdict =
        find_members(&reader, members, OBJECT_FIELDS, 502, "the API's answer");
    if (verdict == EVENT_READ)
        verdict = take_object(&reader, members);
    return end(&reader, verdict);
}

void event_release(struct event *event)
{
    buffer_release(&event->values);
}

#include "event.h"

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

static struct scan_result find_members(struct text body, struct members *members)
{
    members->name.path = "eventName";
    members->message_id.path = "meta.messageId";
    members->created.path = "meta.createdDateTime";
    for (size_t i = 0; i < SHAPES; i++)
        for (size_t j = 0; j < FIELDS; j++)
            members->fields[i][j].path = shapes[i].paths[j];
    /* The struct is nothing but members, so it is an array of them, too. */
    return scan(body.data, body.length, (struct scan_member *)members, MEMBERS);
}

/* The first shape whose member is an object, or else the last, the unknown. */
static size_t find_shape(const struct members *members)
{
    size_t i = 0;
    while (i < SHAPES - 1 && members->fields[i][EVENT].type != SCAN_OBJECT)
        i++;
    return i;
}

/* Decode a member; absent if it has no value or an empty one. */
static bool take(struct event *event, const struct scan_member *member, struct text *value)
{
    size_t start = event->values.length;
    if (!scan_decode(member, &event->values))
        return false;
    *value = (struct text){NULL, event->values.length - start};
    if (value->length > 0)
        value->data = event->values.data + start;
    return true;
}

/* Decode the first of the members that has a value. */
static bool take_first(struct event *event, const struct scan_member *const members[], size_t count,
                       struct text *value)
{
    *value = (struct text){NULL, 0};
    for (size_t i = 0; i < count && value->data == NULL; i++)
        if (!take(event, members[i], value))
            return false;
    return true;
}

/* The first of the members that is a time; that none is, is no error. */
static bool take_time(struct event *event, const struct scan_member *const members[], size_t count)
{
    for (size_t i = 0; i < count && !event->has_time; i++) {
        struct text value;
        if (!take(event, members[i], &value))
            return false;
        event->has_time = value.data != NULL && timestamp_parse(value, &event->time);
    }
    return true;
}

static bool take_message(struct event *event, const struct members *members,
                         const struct scan_member *fields)
{
    if (!take(event, &fields[MESSAGE_ID], &event->message_id))
        return false;
    bool inside = event->message_id.data != NULL;
    if (!inside && !take(event, &members->message_id, &event->message_id))
        return false;
    const struct scan_member *const times[] = {
        inside ? &fields[CREATED] : &members->created,
        inside ? &members->created : &fields[CREATED],
        &fields[UPDATED],
    };
    return take_time(event, times, 3);
}

static bool take_facts(struct event *event, const struct members *members)
{
    size_t shape = find_shape(members);
    const struct scan_member *fields = members->fields[shape];
    const struct scan_member *const ids[] = {&fields[ID], &fields[OLD_ID], &fields[LEGACY_ID]};
    event->kind = shapes[shape].kind;
    return take(event, &members->name, &event->name) &&
           take_first(event, ids, 3, &event->subject) &&
           take(event, &fields[VERSION], &event->version) && take_message(event, members, fields);
}

/* Room for all values at once, so that the texts stay where they are. */
static bool reserve(struct event *event, const struct scan_member *members, size_t count)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        if (members[i].type != SCAN_ABSENT)
            length += members[i].raw.length;
    return buffer_reserve(&event->values, length);
}

static enum event_verdict judge(const struct scan_result *result, int status, const char *what,
                                struct problem *problem)
{
    if (result->verdict != SCAN_VALID) {
        problem_set(problem, status, "%s is not JSON: at byte %zu: %s", what, result->offset,
                    result->problem);
        return result->verdict == SCAN_INCOMPLETE ? EVENT_INCOMPLETE : EVENT_MALFORMED;
    }
    if (result->top == SCAN_OBJECT)
        return EVENT_READ;
    problem_set(problem, status, "%s is JSON, but not an object", what);
    return EVENT_MALFORMED;
}

/* Leave nothing in the event. */
static enum event_verdict give_up(struct event *event, enum event_verdict verdict)
{
    event_release(event);
    *event = (struct event){.values = BUFFER_INIT};
    return verdict;
}

static enum event_verdict no_memory(struct event *event, struct problem *problem)
{
    problem_memory(problem);
    return give_up(event, EVENT_NO_MEMORY);
}

enum event_verdict event_read(struct text body, struct event *event, struct problem *problem)
{
    struct members members = {0};
    struct scan_result result = find_members(body, &members);
    enum event_verdict verdict = judge(&result, 400, "the body", problem);
    *event = (struct event){.values = BUFFER_INIT};
    if (verdict != EVENT_READ)
        return verdict;
    if (reserve(event, (const struct scan_member *)&members, MEMBERS) &&
        take_facts(event, &members))
        return EVENT_READ;
    return no_memory(event, problem);
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

enum event_verdict event_read_object(enum event_kind kind, struct text id, struct text body,
                                     struct event *event, struct problem *problem)
{
    struct scan_member members[OBJECT_FIELDS] = {
        [OBJECT_ID] = {.path = "id"},
        [OBJECT_LEGACY_ID] = {.path = "legacyOrderId"},
        [OBJECT_VERSION] = {.path = "version"},
        [OBJECT_UPDATED] = {.path = kind == EVENT_SHIPMENT_FETCHED ? "meta.lastUpdatedAt"
                                                                   : "lastUpdatedAt"},
    };
    struct scan_result result = scan(body.data, body.length, members, OBJECT_FIELDS);
    enum event_verdict verdict = judge(&result, 502, "the API's answer", problem);
    struct text found;
    struct text legacy;
    *event = (struct event){.kind = kind, .subject = id, .values = BUFFER_INIT};
    if (verdict != EVENT_READ)
        return give_up(event, verdict);
    if (!reserve(event, members, OBJECT_FIELDS) || !take(event, &members[OBJECT_ID], &found) ||
        !take(event, &members[OBJECT_LEGACY_ID], &legacy) ||
        !take(event, &members[OBJECT_VERSION], &event->version) ||
        !take(event, &members[OBJECT_UPDATED], &event->updated))
        return no_memory(event, problem);
    event->has_time = event->updated.data != NULL && timestamp_parse(event->updated, &event->time);
    if (is_asked_for(kind, id, found, legacy))
        return EVENT_READ;
    problem_set(problem, 502, "the API's answer is about another object than the one asked for");
    return give_up(event, EVENT_MALFORMED);
}

void event_release(struct event *event)
{
    buffer_release(&event->values);
}

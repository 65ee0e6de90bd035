/*
 * event: what the JSON body of a Tradecloud webhook is about.
 *
 * Nothing public shows a complete body, and members, events and their names are added at any time.
 * So only the members below are looked at, every one may be missing or of another type, and a body
 * that fits none of the shapes is of kind EVENT_UNKNOWN, which is received like all others.
 *
 *   kind             the top-level member that is an object
 *   order            orderEvent, singleDeliveryOrderEvent, or its older name simpleOrderEvent
 *   order-documents  orderDocumentsEvent
 *   shipment         shipment, or its older name shipmentEvent
 *
 *   fact        order, order-documents                shipment               unknown
 *   name        eventName                             eventName              eventName
 *   subject     E.orderId, E.id, E.legacyOrderId      E.id                   -
 *   message id  E.meta.messageId, meta.messageId      meta.messageId         meta.messageId
 *   time        meta.createdDateTime beside the message id, else in the other meta; else
 *               E.lastUpdatedAt                       E.meta.lastUpdatedAt   -
 *   version     E.version                             E.version              -
 *
 * E is the kind's member; of several places the first that has a value counts. The `meta` inside
 * of a shipment is the shipment's own, not the message's.
 */
#ifndef COMMON_EVENT_H
#define COMMON_EVENT_H

#include "body.h"
#include "buffer.h"
#include "problem.h"

#include <stdbool.h>
#include <stdint.h>

enum event_kind {
    EVENT_UNKNOWN,
    EVENT_ORDER,
    EVENT_ORDER_DOCUMENTS,
    EVENT_SHIPMENT,
    /* Objects fetched from the API: no events, but spooled alike. */
    EVENT_ORDER_FETCHED,
    EVENT_SHIPMENT_FETCHED,
    EVENT_LEGACY_ORDER_FETCHED,
};

/* The texts are decoded, may hold any character, NUL too, and are absent instead of empty. They
 * belong to `values`. */
struct event {
    enum event_kind kind;
    struct text name;
    struct text subject;
    struct text message_id;
    struct text version;
    struct text updated; /* an object's last update, as it is written; absent for events */
    bool has_time;       /* of creation at Tradecloud; for an object, of its last update */
    int64_t time;        /* see timestamp.h */
    struct buffer values;
};

enum event_verdict {
    EVENT_READ,
    EVENT_MALFORMED,  /* not strict JSON, or no object on top: 400 */
    EVENT_INCOMPLETE, /* JSON as far as it goes, but its end is missing: 400 */
    EVENT_FAILED,     /* the body did not all come, or memory ran out: 503 */
};

/* Judge the body while it arrives, and read the facts out of it. It is finished then in any case
 * (body_finish). Where the verdict is not EVENT_READ, `problem` says what is wrong and `event`
 * holds nothing; else the caller ends with event_release. */
enum event_verdict event_read(struct body *body, struct event *event, struct problem *problem);

/*
 * Judge and read an object that the API answered, of one of the fetched kinds, likewise. Its facts
 * are id, version, and lastUpdatedAt (of an order) or meta.lastUpdatedAt (of a shipment). It must
 * be the one asked for: its id must be `id`, to which `subject` points then; a legacy order, of
 * whose shape nothing is published, may have legacyOrderId instead, or neither. Problems are 502,
 * but for memory that runs out.
 */
enum event_verdict event_read_object(enum event_kind kind, struct text id, struct body *body,
                                     struct event *event, struct problem *problem);

/* Free what event_read or event_read_object took. */
void event_release(struct event *event);

/* The kind as it stands in file names and CloudEvents types: "order-documents". A constant. */
const char *event_kind_name(enum event_kind kind);

#endif

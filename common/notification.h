/*
 * notification: what a GET webhook announces. It has no body: all there is, is the kind and the id
 * of an object, which the customer's URL template put into the path or the query.
 *
 *   /order/ID  /shipment/ID  /legacy-order/ID  /ID (an order)      the id is all the rest
 *   ?orderId=ID  ?shipmentId=ID  ?legacyOrderId=ID                 other parameters do not count
 */
#ifndef COMMON_NOTIFICATION_H
#define COMMON_NOTIFICATION_H

#include "event.h"
#include "problem.h"
#include "request.h"

#include <stdbool.h>

enum { NOTIFICATION_ID_MAX = 512 }; /* bytes, decoded */

struct notification {
    enum event_kind kind; /* one of the fetched ones */
    char id[NOTIFICATION_ID_MAX + 1];
};

/*
 * Find kind and id. The path is taken from REQUEST_URI behind SCRIPT_NAME, as it was sent, for web
 * servers decode, merge slashes and resolve dots on the way to PATH_INFO, which is used only where
 * that fails. Escapes are decoded; a plus sign is a space in the query and itself in the path.
 * Returns false with a 400 if there is no id, or two that disagree; or if one is longer than
 * NOTIFICATION_ID_MAX, is "." or "..", holds a control character or is not UTF-8.
 */
bool notification_read(const struct request *request, struct notification *notification,
                       struct problem *problem);

/* As it stands in paths and on command lines: "order", "shipment", "legacy-order". A constant. */
const char *notification_kind_name(enum event_kind kind);

/* The reverse; false if there is no such kind. */
bool notification_parse_kind(const char *name, enum event_kind *kind);

/* Whether the string can be an id: what notification_read says of it. False with a 400 if not. */
bool notification_check_id(const char *id, struct problem *problem);

#endif

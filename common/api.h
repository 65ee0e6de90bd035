/*
 * api: Tradecloud's API as far as it is needed here: log in and stay so, and fetch an object.
 *
 *   GET {base}/authentication/login    Basic           -> Set-Authorization, Set-Refresh-Token
 *   GET {base}/authentication/refresh  Refresh-Token   -> the same, anew
 *   GET {base}/order/{id}              Bearer          {base} is TRADECLOUD_API_URL
 *   GET {base}/shipment/{id}           Bearer
 *   GET {legacy base}/purchaseOrder/{id}  Basic        {legacy base} is TRADECLOUD_LEGACY_API_URL
 *
 * A second log-in of the same user can end the first, so one log-in serves all processes (token.h),
 * and they log in one at a time.
 */
#ifndef COMMON_API_H
#define COMMON_API_H

#include "buffer.h"
#include "config.h"
#include "event.h"
#include "http.h"
#include "problem.h"

#include <stdbool.h>
#include <stdint.h>

struct api {
    struct http http;
    enum event_kind kind; /* of the object to be fetched */
    char credentials[96]; /* tells this netrc file from another, or an earlier version of it */
    bool answered;        /* the API has answered the request to log in */
    bool refused;         /* the problem is that Tradecloud refuses our credentials */
};

/* Get ready to fetch an object of one of the fetched kinds until `deadline` (timestamp_monotonic);
 * `state` is the spool's state/. Returns false with a 503 for bad configuration: among it a netrc
 * file that is missing, that others may read, or that not only its owner may write. */
bool api_open(struct api *api, const struct config *config, enum event_kind kind, int state,
              int64_t deadline, struct problem *problem);

/* Let go of everything. */
void api_close(struct api *api);

/*
 * Fetch the object `id`; `body` gets its bytes. Returns false with a problem: 404 if there is no
 * such object; 502 if the API is unwell or refuses our credentials; 503 if it or we have too much
 * to do, or something of ours is wrong; 504 when the deadline passed.
 */
bool api_fetch(struct api *api, const char *id, struct buffer *body, struct problem *problem);

#endif

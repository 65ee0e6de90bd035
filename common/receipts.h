/*
 * receipts: the times of receipt that are remembered in state/received/ (spool_receipt_time,
 * spool.h), seen by who cleans up there.
 *
 * A link <kind>_<key> that points to TIME belongs to the entry TIME_<kind>_<key>.json. It is needed
 * as long as that entry is in any state, so that a retry gets the same name.
 */
#ifndef COMMON_RECEIPTS_H
#define COMMON_RECEIPTS_H

#include "spool.h"

#include <stdbool.h>
#include <stdint.h>

enum { RECEIPTS_AGE = 3600000 }; /* milliseconds */

/*
 * Remove, or only count unless `force`, the links that were made before `before` (timestamp.h), and
 * RECEIPTS_AGE ago at least, and whose entries are gone. state/ belongs to the web server's user
 * alone, so whoever may not look into it finds none. Returns how many.
 *
 * A link is made before its entry is written, in another process: RECEIPTS_AGE is far above the
 * time that takes (at most 60 seconds for an event, 305 for what is fetched).
 */
uint64_t receipts_prune(const struct spool *spool, int64_t before, bool force);

#endif

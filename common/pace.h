/*
 * pace: Tradecloud's API takes at most ten requests a second, over all processes of a customer.
 */
#ifndef COMMON_PACE_H
#define COMMON_PACE_H

#include "problem.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Wait for the turn of one request. The turns are handed out in order, PACE_INTERVAL apart; the
 * next free one is noted in the file `pace` of `directory` (state/), under a lock. Returns false
 * with a 503, at once and without using a turn up, if that would be after `deadline`
 * (timestamp_monotonic).
 */
bool pace_wait(int directory, int64_t deadline, struct problem *problem);

enum { PACE_INTERVAL = 110 }; /* milliseconds: a tenth of a second and some for jitter on the way */

#endif

/*
 * pace: Tradecloud's API takes at most ten requests a second, over all processes of a customer.
 */
#ifndef COMMON_PACE_H
#define COMMON_PACE_H

#include "problem.h"

#include <stdbool.h>
#include <stdint.h>

enum { PACE_INTERVAL = 125 }; /* milliseconds: a tenth of a second, and some for the way there */

/*
 * There are two turns to be waited for with each request: one to connect, for which the wait may be
 * long, and which nobody need hold a connection for; and one to send when the connection stands, as
 * making connections takes its time, and those of many may come about at once.
 */
#define PACE_CONNECT "pace.connect"
#define PACE_SEND    "pace.send"

/*
 * Wait for one's turn. The turns are handed out in order, PACE_INTERVAL apart; the next free one is
 * noted in the file `name` of `directory` (state/), under a lock. Returns false with a 503, at once
 * and without using a turn up, if that would be after `deadline` (timestamp_monotonic); with a 504
 * if the deadline has passed.
 */
bool pace_wait(int directory, const char *name, int64_t deadline, struct problem *problem);

#endif

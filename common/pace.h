/*
 * pace: Tradecloud's API takes at most ten requests a second, over all processes of a customer.
 */
#ifndef COMMON_PACE_H
#define COMMON_PACE_H

#include "problem.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    PACE_INTERVAL = 125, /* milliseconds: a tenth of a second, and some for the way there */
    PACE_LATE = 100,     /* milliseconds after which a turn is over, as on a machine that is busy */
};

/*
 * There are two turns to be waited for with each request: one to connect, for which the wait may be
 * long, and which nobody need hold a connection for; and one to send when the connection stands, as
 * making connections takes its time, and those of many may come about at once.
 */
#define PACE_CONNECT "pace.connect"
#define PACE_SEND    "pace.send"

struct pace {
    int directory;    /* state/ */
    int64_t timeout;  /* milliseconds that anybody has for a whole fetch */
    int64_t deadline; /* timestamp_monotonic */
};

/*
 * Wait for one's turn. The turns are handed out in order, PACE_INTERVAL apart; the next free one is
 * noted in the file `name` of the directory, under a lock. A turn farther off than the time-out is
 * nobody's: the file is damaged, or the clock was set back. Who wakes up too late for a turn takes
 * another, lest the late ones come together with the next. After a wait, a `reserve`th of the
 * time-out must be left for what comes then. Returns false at once and without using a turn up:
 * with a 503 if the turn comes too late for that, with a 504 if the deadline has passed anyway.
 */
bool pace_wait(const struct pace *pace, const char *name, int reserve, struct problem *problem);

#endif

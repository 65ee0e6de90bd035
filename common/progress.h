/*
 * progress: a bar on a terminal, for whoever waits for long work.
 *
 * Calling sequence: progress_start; progress_show after each piece; progress_end. Nothing is shown
 * where standard error is no terminal. A line that is logged in between must be preceded by
 * progress_hide, or the bar stands in its way; the next progress_show draws it again.
 */
#ifndef COMMON_PROGRESS_H
#define COMMON_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool enabled;
    bool drawn;
    int64_t next; /* when it may be drawn again; see timestamp_monotonic */
};

/* Begin. `wanted` false: there is to be none. */
void progress_start(struct progress *progress, bool wanted);

/* `done` of `total` pieces are done; the bar is drawn anew, ten times a second at most. */
void progress_show(struct progress *progress, uint64_t done, uint64_t total);

/* Take the bar off the screen. */
void progress_hide(struct progress *progress);

/* The same, for good. */
void progress_end(struct progress *progress);

#endif

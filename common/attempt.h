/*
 * attempt: what is remembered of the attempts to hand an entry to its consumer, so that it survives
 * whoever made them.
 *
 * Calling sequence: attempt_read; count and set; attempt_write before the entry is moved; or
 * attempt_forget after it was moved to done/.
 *
 * There is a file for each entry that was not consumed at the first attempt: attempts/NAME in the
 * spool, under the entry's own name, with four lines:
 *
 *     attempts 3
 *     failures 2
 *     retry 2025-04-23T10:01:53.812Z
 *     error exit 1: ERP is closed
 *
 * It is removed when the entry is done, and stays as long as the entry is in failed/; whoever moves
 * it back to new/ removes the file, and so starts afresh. A file of this directory whose entry is
 * gone means nothing and may be removed.
 */
#ifndef COMMON_ATTEMPT_H
#define COMMON_ATTEMPT_H

#include "problem.h"
#include "spool.h"

#include <stdbool.h>
#include <stdint.h>

#define ATTEMPT_DIRECTORY "attempts" /* for spool_open_shared() */

enum {
    ATTEMPT_ERROR_SIZE = 512,
    ATTEMPT_BASE = 1000,  /* milliseconds: the longest wait after the first attempt */
    ATTEMPT_CAP = 300000, /* milliseconds: the longest wait of all */
};

struct attempt {
    unsigned attempts; /* how often the consumer was started for it, or was to be */
    unsigned failures; /* those of them that count: no exit 75, no time-out, no stop from outside */
    int64_t retry;     /* not to be tried before (timestamp_now() of the host that wrote it) */
    char error[ATTEMPT_ERROR_SIZE]; /* of the last attempt: without control characters */
};

/*
 * Read what is remembered of the entry `name`; all is zero if that is nothing. The file may have
 * been written by anybody of the group: what makes no sense in it is zero, too, and so is all if it
 * is no regular file or may not be read, as one such file must not stop everything. Returns false
 * with a problem if it cannot be read.
 */
bool attempt_read(int directory, const char *name, struct attempt *attempt,
                  struct problem *problem);

/* Remember it, durably; the file is there as it was, or whole. It is written in the spool's
 * tmp/. */
bool attempt_write(const struct spool *spool, int directory, const char *name,
                   const struct attempt *attempt, struct problem *problem);

/* Forget it, if there is anything that attempt_read would read. Returns false with errno; for an
 * entry that is not consumed any more nothing depends on that. */
bool attempt_forget(int directory, const char *name);

/*
 * Milliseconds to wait after `attempts` attempts (1 or more): ATTEMPT_BASE, doubled for each
 * attempt after the first, ATTEMPT_CAP at most; and of that the half, and a part of the other
 * half that `random` (any number) chooses, so that many entries that failed together do not come
 * back together.
 */
int64_t attempt_delay(unsigned attempts, uint64_t random);

/* Set `retry` so, by chance and the clock. Returns the milliseconds until then, for the clock that
 * does not jump. */
int64_t attempt_put_off(struct attempt *attempt);

#endif

/*
 * draft: a file of the spool while it is being written, in tmp/.
 *
 * Calling sequence: draft_create; draft_append as often as need be; draft_write_head if room was
 * left for one; then once draft_publish or draft_discard.
 *
 * A file is written under a unique name in tmp/, synced, linked to its own name, the directory
 * synced, and only then its name in tmp/ removed. Nothing is renamed over anything, and writing
 * takes no lock. While much is still to come, what is there is synced already, so that little is
 * left to do at the end.
 */
#ifndef COMMON_DRAFT_H
#define COMMON_DRAFT_H

#include "buffer.h"
#include "presync.h"
#include "problem.h"
#include "spool.h"
#include "temporary.h"

#include <stdbool.h>
#include <stdint.h>

enum { DRAFT_PARTS_MAX = 3 };

/* To stay where it is until its end: a thread may be at it. */
struct draft {
    const struct spool *spool; /* the caller's, open until the end of the draft */
    int fd;
    char name[TEMPORARY_SIZE]; /* in tmp/ */
    uint64_t length;           /* of what it holds, room for a head included */
    uint64_t granted;          /* so much of it the disk was found to have room for */
    uint64_t presynced;        /* so much of it there was when the last presync began */
    struct presync presync;
};

/*
 * Create the file, with `room` bytes at its beginning still to be written, if there is space on the
 * disk for these and for `expected` bytes behind them beside what is to stay free. Should a signal
 * end the process, the file is removed; there may be PROCESS_REMOVED_MAX drafts (process.h) at a
 * time. Returns false, with a problem (503), if it cannot be created.
 */
bool draft_create(struct draft *draft, const struct spool *spool, uint64_t room, uint64_t expected,
                  struct problem *problem);

/* Append `count` parts, at most DRAFT_PARTS_MAX, and not all of them empty; space for more than was
 * expected is looked for now. Returns false, with a problem (503), if that fails. */
bool draft_append(struct draft *draft, const struct text *parts, int count,
                  struct problem *problem);

/* Write the head for which room was left; it must be exactly as long. Returns false, with a problem
 * (503), if that fails. */
bool draft_write_head(struct draft *draft, struct text head, struct problem *problem);

/* Read `length` bytes from `offset` on, all of which were written. Returns false, with a problem
 * (503), if that fails. */
bool draft_read(const struct draft *draft, uint64_t offset, char *bytes, size_t length,
                struct problem *problem);

/* Wait for a sync that is under way. Returns false, with a problem (503), if one has failed: what
 * was read of the file may not be what was written. */
bool draft_is_sound(struct draft *draft, struct problem *problem);

/*
 * Make the draft, durably, the entry `name` in the given state. In rejected/ an entry of that name
 * counts as stored. For new/, an entry of that name in any state makes it SPOOL_DUPLICATE, which is
 * looked up once more right before: while the file was written, which can take long, another
 * delivery may have been stored and even been claimed. What moves between states within the
 * microseconds of that look-up could be missed, and the event be consumed twice, never lost.
 * Returns SPOOL_STORED, SPOOL_DUPLICATE, or SPOOL_FAILURE with a problem (503). In any case the
 * draft is no more.
 */
enum spool_outcome draft_publish(struct draft *draft, enum spool_state state, const char *name,
                                 struct problem *problem);

/* Remove the file, after waiting for a sync that is under way. */
void draft_discard(struct draft *draft);

#endif

/*
 * spool: files that are there whole or not at all, and stay.
 *
 * Calling sequence: spool_open; spool_receipt_time where a message has no time of its own;
 * spool_find; what is not there is written as draft.h tells; spool_close.
 *
 * What each directory holds is told in tradecloud-webhook(8), SPOOL. All are on one file system and
 * may be shared by several hosts, over NFS too.
 */
#ifndef COMMON_SPOOL_H
#define COMMON_SPOOL_H

#include "buffer.h"
#include "problem.h"
#include "timestamp.h"

#include <stdbool.h>
#include <stdint.h>

/* In the order in which an entry moves forward; SPOOL_TMP is no state of an entry. */
enum spool_state {
    SPOOL_TMP,
    SPOOL_NEW,
    SPOOL_WORK,
    SPOOL_DONE,
    SPOOL_FAILED,
    SPOOL_REJECTED,
    SPOOL_STATES,
};

/* An inode reserve beside the one in bytes: a file system without inodes is full, too. */
enum { SPOOL_MIN_FREE_INODES = 16 };

struct spool {
    const char *path; /* the caller's */
    uint64_t min_free;
    int root;
    int directories[SPOOL_STATES];
};

enum spool_outcome {
    SPOOL_STORED,
    SPOOL_ABSENT,    /* there is no such entry */
    SPOOL_DUPLICATE, /* that name was there before, and is durable */
    SPOOL_FAILURE,   /* the problem (503) says why; nothing is in the spool that was not before,
                        unless the very last sync failed, in which case a retry is a duplicate */
};

/*
 * Open the spool at `path` to store entries, with all their directories; those that are missing are
 * created. `min_free` bytes stay free on its file system. Returns false, with nothing open, if the
 * spool does not exist or somebody has a hand in it who is not meant to (directory.h).
 */
bool spool_open(struct spool *spool, const char *path, uint64_t min_free, struct problem *problem);

/* Open the spool to move entries from state to state: as spool_open, but root may do it in
 * anybody's spool, as no entry becomes root's by that. */
bool spool_enter(struct spool *spool, const char *path, struct problem *problem);

/* Open the spool to look at it: as spool_enter, but nothing is created, and the descriptor of a
 * directory that is missing is -1. */
bool spool_look(struct spool *spool, const char *path, uint64_t min_free, struct problem *problem);

/*
 * Open a further directory of an open spool that the consumers' group shares, such as leases/ and
 * attempts/, creating it if it is missing. Returns a descriptor, or -1 with a problem.
 */
int spool_open_shared(const struct spool *spool, const char *name, struct problem *problem);

/* The name of a state's directory: "new". A constant. */
const char *spool_state_name(enum spool_state state);

/* Close the directories. */
void spool_close(struct spool *spool);

/*
 * Open the directory state/ (0700) of the spool at `path`, creating it if it is missing: what
 * processes share beside entries. Returns a descriptor, or -1 with a problem: also if it belongs to
 * another user, as files made there now would be closed to that user's processes.
 */
int spool_open_state(const char *path, struct problem *problem);

/*
 * When the message `name` (`<kind>_<key>`) was first received: `now`, unless it was asked about
 * before; then what the answer was at that time. So a message that does not carry a time of its
 * own has the same file name at every retry. Remembered in state/received/.
 */
bool spool_receipt_time(const struct spool *spool, const char *name, int64_t now, int64_t *first,
                        struct problem *problem);

/* Look for the entry `name` in all states, and make one that is there durable. Returns
 * SPOOL_ABSENT, SPOOL_DUPLICATE, or SPOOL_FAILURE with a problem (503). */
enum spool_outcome spool_find(const struct spool *spool, const char *name, struct problem *problem);

#endif

/*
 * spool: files that are there whole or not at all, and stay.
 *
 * Calling sequence: spool_open; spool_receipt_time where a message has no time of its own;
 * spool_store or spool_reject; spool_close.
 *
 * What each directory holds is told in tradecloud-webhook(8), SPOOL. All are on one file system and
 * may be shared by several hosts, over NFS too: a file is written under a unique name in tmp/,
 * synced, linked to its own name, the directory synced, and only then its name in tmp/ removed.
 * Nothing is renamed over anything, and writing takes no lock.
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

enum {
    /* An inode reserve beside the one in bytes: a file system without inodes is full, too. */
    SPOOL_MIN_FREE_INODES = 16,
    SPOOL_PARTS_MAX = 3,
};

struct spool {
    const char *path; /* the caller's */
    uint64_t min_free;
    int root;
    int directories[SPOOL_STATES];
};

enum spool_outcome {
    SPOOL_STORED,
    SPOOL_DUPLICATE, /* that name was there before, and is durable */
    SPOOL_FAILURE,   /* the problem (503) says why; nothing is in the spool that was not before,
                        unless the very last sync failed, in which case a retry is a duplicate */
};

/*
 * Open the spool at `path` with all directories of entries, creating those that are missing
 * (02770). `min_free` bytes stay free on its file system. Returns false, with nothing open, if the
 * spool does not exist, or it or a directory is a symbolic link, is writable by everybody or is on
 * another file system.
 */
bool spool_open(struct spool *spool, const char *path, uint64_t min_free, struct problem *problem);

/*
 * Open the spool to look at it and to move entries that are there: as spool_open, but nothing is
 * created, and the descriptor of a directory that is missing is -1.
 */
bool spool_look(struct spool *spool, const char *path, uint64_t min_free, struct problem *problem);

/* Whether the path of a spool is one that spool_open would open; it says why not as the problem. */
bool spool_check_path(const char *path, struct problem *problem);

/* Close the directories. */
void spool_close(struct spool *spool);

/* The state's directory, as it is called: "new". A constant. */
const char *spool_state_name(enum spool_state state);

/*
 * Open a further directory of an open spool that the group shares, such as leases/ and attempts/,
 * creating it (02770) if it is missing. Returns a descriptor; or -1 with a problem, also if it is
 * writable by everybody or on another file system.
 */
int spool_open_shared(const struct spool *spool, const char *name, struct problem *problem);

/* Make what was created, renamed or removed in a directory durable. Returns false, with errno, if
 * that fails; a file system that cannot sync directories does not count as failing. */
bool spool_sync_directory(int directory);

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

/*
 * Store the concatenation of `parts` (`count`, at most SPOOL_PARTS_MAX) as the entry `name` in
 * new/, durably, unless an entry of that name is in any state. That is looked up before the file is
 * written and once more right before it is linked. What moves between states within the microseconds
 * of that second look-up could be missed, and the event be consumed twice, never lost.
 */
enum spool_outcome spool_store(const struct spool *spool, const char *name,
                               const struct text *parts, int count, struct problem *problem);

/* Store the same way in rejected/, where an entry of that name counts as stored. Returns false if
 * it could not be stored. */
bool spool_reject(const struct spool *spool, const char *name, const struct text *parts, int count,
                  struct problem *problem);

#endif

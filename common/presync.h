/*
 * presync: a file is synced by a thread beside, while more is still written to it.
 *
 * Nearly every disk takes what is written into a cache of its own at once, and takes its time when
 * that has to be flushed: asking the kernel only to begin writing (sync_file_range) leaves all of
 * that time to the end. Whatever comes of it, the file must be synced when it is complete.
 *
 * Calling sequence: a struct presync that is all zero; then presync_begin as often as
 * presync_is_busy says no; and presync_end before the file is synced or closed.
 */
#ifndef COMMON_PRESYNC_H
#define COMMON_PRESYNC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* To stay where it is while there is a thread. */
struct presync {
    pthread_t thread;
    int fd;
    int error; /* of errno, of the one that failed; 0: none did */
    bool begun;
    atomic_bool ended;
};

/* Whether a thread is still syncing. */
bool presync_is_busy(const struct presync *presync);

/*
 * Begin to sync what the file `fd` holds by now; after waiting for the thread, if presync_is_busy.
 * Where there can be no thread, as memory is short or a limit is reached, nothing is synced before
 * the end. Returns false with errno if one has failed, with EIO, say: the kernel may tell it once,
 * and then take what was not written for written, so the file must be given up.
 */
bool presync_begin(struct presync *presync, int fd);

/* Wait for the thread, if there is one. Returns false with errno if one has failed. */
bool presync_end(struct presync *presync);

#endif

/*
 * lease: which runner may touch the entries of which subject, over all processes of all hosts that
 * share a spool.
 *
 * Calling sequence: lease_open; lease_take before anything is done to an entry of a subject;
 * lease_holds before a step that must not be made by two; lease_release; lease_renew every
 * LEASE_RENEW milliseconds all the while; lease_close.
 *
 * Each runner has one file, leases/runner-ID, that says who it is and whose modification time it
 * renews. The lease of a subject is a hard link to that file, leases/HEX (subject_hex): link() is
 * atomic and refuses a name that is taken, over NFS too, and one renewal renews them all.
 *
 * A lease is dead
 *   - if its runner was started on this machine since it booted: when nobody holds the lock on the
 *     runner's file. The lock is inherited by the commands that the runner starts, so that a
 *     subject is not free as long as a command of a killed runner still works on it; time does not
 *     matter, a runner that was only stopped (SIGSTOP) keeps its leases;
 *   - else, or where there are no locks: when it was not renewed for LEASE_AGE. Both times are the
 *     file system's own: that of one's own file, just renewed, is compared with the other's, so the
 *     clocks of hosts need not agree.
 *
 * Taking over the dead lease HEX of the runner S. Several may want to; all of them try to link
 * their own file to the name HEX.S, and link() lets one of them succeed. Nobody else may change HEX
 * until that name is gone. The winner looks again whether HEX is S's and dead; if not, S or
 * somebody else was faster, and it removes HEX.S, its own, and gives up. If so, it renames HEX.S to
 * HEX: one step, after which HEX is the winner's. One who is late, and still believes that HEX is
 * S's, may link HEX.S then, but finds in that second look that HEX is not S's any more. A winner W
 * that dies between the two steps leaves HEX.S behind, as a dead lease, to be taken over by linking
 * HEX.S.W in the same way, and so on; the one who wins that checks all of the chain, renames its
 * own name to HEX, and removes what lies between. IDs are random and never used again, so no name
 * in a chain is ever meant for anything else.
 *
 * What no protocol of this kind can exclude: on another host, a runner that stands still for more
 * than LEASE_AGE just between looking at its lease and acting on it. It finds out at the next step
 * (lease_holds); what it did in between may have been done twice, never lost.
 */
#ifndef COMMON_LEASE_H
#define COMMON_LEASE_H

#include "problem.h"
#include "subject.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define LEASE_DIRECTORY "leases" /* for spool_open_shared() */

enum {
    LEASE_RENEW = 5000, /* milliseconds */
    LEASE_AGE = 60000,  /* milliseconds; far above LEASE_RENEW, and above what NFS caches */
    LEASE_ID_SIZE = 16 + 1,
    LEASE_BOOT_SIZE = 40,
    LEASE_HOLDER_SIZE = 160,
};

struct leases {
    int directory; /* the caller's */
    int fd;        /* the runner's file, to be inherited by its commands for the lock on it */
    struct stat own;
    char id[LEASE_ID_SIZE];
    char boot[LEASE_BOOT_SIZE];
};

enum lease_outcome {
    LEASE_TAKEN,      /* it was free, or is one's own */
    LEASE_TAKEN_OVER, /* from a dead runner: entries of that subject in work/ are its claims */
    LEASE_HELD,       /* by another runner, or several tried at once: try later */
    LEASE_FAILED,     /* the problem (503) says why */
};

/* Become a runner in the directory leases/. Returns false with a problem, and nothing open. */
bool lease_open(struct leases *leases, int directory, struct problem *problem);

/* Stop being one. Leases that were not released are dead then. */
void lease_close(struct leases *leases);

/* Renew all leases. Returns false if that failed, or the runner's file is gone. */
bool lease_renew(struct leases *leases);

enum lease_outcome lease_take(struct leases *leases, const struct subject *subject,
                              struct problem *problem);

/* Whether the lease of the subject is still one's own. If that cannot be said now, it returns false
 * with errno; errno is 0 if it is not. */
bool lease_holds(const struct leases *leases, const struct subject *subject);

void lease_release(const struct leases *leases, const struct subject *subject);

/* Whether the file `name` in the directory is the lease of a dead runner; if it is that of one
 * which lives, who that is: "host HOST pid PID", printable. For recovering, and for display. */
bool lease_is_dead(struct leases *leases, const char *name, char holder[LEASE_HOLDER_SIZE]);

/* Remove the files of runners that are dead and hold no lease any more. */
void lease_sweep(struct leases *leases);

#endif

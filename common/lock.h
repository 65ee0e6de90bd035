/*
 * lock: one process at a time, over all processes of all hosts that share the spool.
 *
 * A lock is held by a descriptor and ends with it: however a holder dies, it blocks nobody.
 */
#ifndef COMMON_LOCK_H
#define COMMON_LOCK_H

#include <stdint.h>

/*
 * Take the lock `name`, a file in `directory` that is created if it is missing (0600), waiting
 * until `deadline` (timestamp_monotonic). Returns a descriptor, whose close() gives the lock up; or
 * -1 with errno, which is ETIMEDOUT if the deadline came first, and EPERM if the file is not this
 * user's alone: no regular file, of another owner, open to others, or with a second name.
 */
int lock_take(int directory, const char *name, int64_t deadline);

#endif

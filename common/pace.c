#include "pace.h"

#include "lock.h"
#include "timestamp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Milliseconds. Nobody waits longer than the longest TRADECLOUD_TIMEOUT: a turn beyond is a damaged
 * file, or the clock was set back. */
enum { FARTHEST = 300 * 1000 };

/* The next free turn, of the wall clock, which all hosts share. */
static int64_t read_turn(int fd, int64_t now)
{
    char text[24] = "";
    /* What cannot be read is 0, and so in the past. */
    int64_t turn = pread(fd, text, sizeof text - 1, 0) > 0 ? strtoll(text, NULL, 10) : 0;
    return turn < now || turn > now + FARTHEST ? now : turn;
}

static bool write_turn(int fd, int64_t turn)
{
    char text[24];
    int length = snprintf(text, sizeof text, "%020" PRId64 "\n", turn);
    return pwrite(fd, text, (size_t)length, 0) == length;
}

static bool failed(const char *what, const char *name, struct problem *problem)
{
    return problem_set(problem, 503,
                       "cannot %s state/%s in the spool: %s: see tradecloud-fetch(1), FILES", what,
                       name, strerror(errno));
}

bool pace_wait(int directory, const char *name, int64_t deadline, struct problem *problem)
{
    int fd = lock_take(directory, name, deadline);
    if (fd < 0)
        return failed("lock", name, problem);
    int64_t now = timestamp_now();
    int64_t turn = read_turn(fd, now);
    bool soon = timestamp_monotonic() + (turn - now) < deadline;
    bool written = !soon || write_turn(fd, turn + PACE_INTERVAL);
    int error = errno;
    (void)close(fd);
    errno = error;
    if (!written)
        return failed("write", name, problem);
    if (!soon && turn == now)
        return problem_set(problem, 504,
                           "the deadline passed before Tradecloud's API could be asked");
    if (!soon)
        return problem_set(problem, 503,
                           "too many requests to Tradecloud's API are waiting already");
    if (turn > now)
        (void)usleep((useconds_t)(turn - now) * 1000);
    return true;
}

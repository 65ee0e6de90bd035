#include "pace.h"

#include "lock.h"
#include "timestamp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The next free turn, of the wall clock, which all hosts share. */
static int64_t read_turn(int fd, int64_t now, int64_t farthest)
{
    char text[24] = "";
    /* What cannot be read is 0, and so in the past. */
    int64_t turn = pread(fd, text, sizeof text - 1, 0) > 0 ? strtoll(text, NULL, 10) : 0;
    return turn < now || turn > now + farthest ? now : turn;
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

static bool too_late(struct problem *problem)
{
    return problem_set(problem, 504, "the deadline passed before Tradecloud's API could be asked");
}

/* Take the next turn if it comes soon enough; *due says when (timestamp_monotonic). */
static bool take_turn(int fd, const struct pace *pace, const char *name, int reserve, int64_t *due,
                      struct problem *problem)
{
    int64_t now = timestamp_now();
    int64_t clock = timestamp_monotonic();
    int64_t left = pace->deadline - clock;
    int64_t turn = read_turn(fd, now, pace->timeout);
    int64_t wait = turn - now;
    *due = clock + wait;
    if (left <= 0)
        return too_late(problem);
    if (wait > 0 && wait + pace->timeout / reserve >= left)
        return problem_set(problem, 503,
                           "too many requests to Tradecloud's API are waiting already");
    return write_turn(fd, turn + PACE_INTERVAL) || failed("write", name, problem);
}

static bool find_turn(const struct pace *pace, const char *name, int reserve, int64_t *due,
                      struct problem *problem)
{
    int fd = lock_take(pace->directory, name, pace->deadline);
    if (fd < 0)
        return errno == ETIMEDOUT ? too_late(problem) : failed("lock", name, problem);
    bool taken = take_turn(fd, pace, name, reserve, due, problem);
    (void)close(fd);
    return taken;
}

bool pace_wait(const struct pace *pace, const char *name, int reserve, struct problem *problem)
{
    int64_t due = 0;
    do {
        if (!find_turn(pace, name, reserve, &due, problem))
            return false;
        int64_t wait = due - timestamp_monotonic();
        if (wait > 0)
            (void)usleep((useconds_t)wait * 1000);
    } while (timestamp_monotonic() - due > PACE_LATE);
    return true;
}

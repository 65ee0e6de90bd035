#include "census.h"

#include "names.h"
#include "timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* An entry that was moved meanwhile is not counted here; perhaps there, perhaps nowhere. */
static void count_in_detail(struct census_state *state, int directory, const char *name)
{
    struct stat status;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    if (!S_ISREG(status.st_mode)) {
        state->odd++;
        return;
    }
    int64_t arrived = timestamp_of(status.st_mtim);
    if (state->entries == 0 || arrived < state->oldest)
        state->oldest = arrived;
    state->bytes += (uint64_t)status.st_size;
    state->entries++;
}

static bool count_state(struct census_state *count, const struct spool *spool,
                        enum spool_state state)
{
    struct names_cursor cursor;
    const char *name;
    count->detailed = state == SPOOL_NEW || state == SPOOL_WORK || state == SPOOL_FAILED;
    if (!names_open(&cursor, spool, state))
        return false;
    while ((name = names_next(&cursor)) != NULL)
        if (count->detailed)
            count_in_detail(count, spool->directories[state], name);
        else
            count->entries++;
    int error = errno;
    count->odd += cursor.odd;
    names_close(&cursor);
    errno = error;
    return error == 0;
}

static bool measure(struct census *census, const struct spool *spool)
{
    struct statvfs fs;
    if (fstatvfs(spool->root, &fs) != 0)
        return false;
    census->free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    census->free_inodes = fs.f_favail;
    census->counts_inodes = fs.f_files > 0;
    census->min_free = spool->min_free;
    return true;
}

static bool failed(const struct spool *spool, const char *directory, struct problem *problem)
{
    return problem_set(problem, 503, "cannot look into %s/%s: %s", spool->path, directory,
                       strerror(errno));
}

bool census_take(struct census *census, const struct spool *spool, struct problem *problem)
{
    memset(census, 0, sizeof *census);
    census->now = timestamp_now();
    if (!measure(census, spool))
        return failed(spool, "", problem);
    for (enum spool_state state = SPOOL_TMP; state < SPOOL_STATES; state++)
        if (!count_state(&census->states[state], spool, state))
            return failed(spool, spool_state_name(state), problem);
    struct census_state *tmp = &census->states[SPOOL_TMP];
    tmp->entries += tmp->odd;
    tmp->odd = 0;
    return true;
}

bool census_oldest(const struct census *census, int64_t *oldest)
{
    const struct census_state *new = &census->states[SPOOL_NEW];
    const struct census_state *work = &census->states[SPOOL_WORK];
    if (new->entries == 0 && work->entries == 0)
        return false;
    *oldest = new->entries == 0 || (work->entries > 0 && work->oldest < new->oldest) ? work->oldest
                                                                                     : new->oldest;
    return true;
}

bool census_full(const struct census *census)
{
    return census->free_bytes < census->min_free ||
           (census->counts_inodes && census->free_inodes < SPOOL_MIN_FREE_INODES);
}

#include "move.h"

#include "directory.h"
#include "entry.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

/* errno says why. */
static bool failed(const struct spool *spool, const char *name, enum spool_state from,
                   enum spool_state to, struct problem *problem)
{
    int error = errno;
    const char *advice = error == EACCES || error == EPERM
                             ? ": this user must be in the spool's group, and the directories "
                               "writable for it (chmod 2770)"
                             : "";
    return problem_set(problem, 503, "cannot move %s/%s/%s to %s/: %s%s", spool->path,
                       spool_state_name(from), name, spool_state_name(to), strerror(error), advice);
}

/* As renameat2() with RENAME_NOREPLACE; on file systems that have no such thing, nearly so. */
static bool rename_without_replacing(int from, const char *name, int to, const char *as)
{
    struct stat status;
    if (renameat2(from, name, to, as, RENAME_NOREPLACE) == 0)
        return true;
    if (errno != EINVAL && errno != ENOSYS)
        return false;
    if (fstatat(to, as, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = EEXIST;
        return false;
    }
    return errno == ENOENT && renameat(from, name, to, as) == 0;
}

enum move_outcome move_entry(const struct spool *spool, const char *name, enum spool_state from,
                             enum spool_state to, struct problem *problem)
{
    if (rename_without_replacing(spool->directories[from], name, spool->directories[to], name))
        return MOVED;
    int error = errno;
    (void)failed(spool, name, from, to, problem);
    switch (error) {
    case ENOENT:
        return MOVE_GONE;
    case EEXIST:
        return MOVE_TWIN;
    default:
        return MOVE_FAILED;
    }
}

bool move_aside(const struct spool *spool, const char *name, enum spool_state from,
                enum spool_state to, struct problem *problem)
{
    uint32_t random = 0;
    char as[ENTRY_NAME_MAX + 16];
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = 0;
    (void)snprintf(as, sizeof as, "%s.twin-%08" PRIx32, name, random);
    return rename_without_replacing(spool->directories[from], name, spool->directories[to], as) ||
           failed(spool, name, from, to, problem);
}

bool move_sync(const struct spool *spool, enum spool_state state, struct problem *problem)
{
    return directory_sync(spool->directories[state]) ||
           problem_set(problem, 503, "cannot sync %s/%s: %s", spool->path, spool_state_name(state),
                       strerror(errno));
}

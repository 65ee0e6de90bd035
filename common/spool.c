#include "spool.h"

#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const names[SPOOL_STATES] = {
    [SPOOL_TMP] = "tmp",   [SPOOL_NEW] = "new",       [SPOOL_WORK] = "work",
    [SPOOL_DONE] = "done", [SPOOL_FAILED] = "failed", [SPOOL_REJECTED] = "rejected",
};

/* errno says why. */
static bool failed(const struct spool *spool, const char *what, const char *directory,
                   struct problem *problem)
{
    return directory_failed(spool->path, what, directory, problem);
}

/* --- opening --- */

const char *spool_state_name(enum spool_state state)
{
    return names[state];
}

static bool open_states(struct spool *spool, const struct stat *root, bool create,
                        struct problem *problem)
{
    bool opened = true;
    /* tmp/ comes last, as nobody relies on it after a power failure. */
    for (int n = 1; opened && n <= SPOOL_STATES; n++) {
        int state = n % SPOOL_STATES;
        int fd = directory_open(spool->path, spool->root, root, names[state], create, problem);
        spool->directories[state] = fd;
        opened = fd >= 0 || problem->status == 0;
    }
    return opened;
}

static bool open_all(struct spool *spool, const char *path, uint64_t min_free, bool create,
                     bool author, struct problem *problem)
{
    struct stat status;
    *spool = (struct spool){.path = path, .min_free = min_free};
    for (int i = 0; i < SPOOL_STATES; i++)
        spool->directories[i] = -1;
    spool->root = directory_open_root(path, &status, problem);
    bool opened = spool->root >= 0 && (!author || directory_check_author(path, &status, problem)) &&
                  open_states(spool, &status, create, problem);
    if (!opened)
        spool_close(spool);
    return opened;
}

bool spool_open(struct spool *spool, const char *path, uint64_t min_free, struct problem *problem)
{
    return open_all(spool, path, min_free, true, true, problem);
}

bool spool_enter(struct spool *spool, const char *path, struct problem *problem)
{
    return open_all(spool, path, 0, true, false, problem);
}

bool spool_look(struct spool *spool, const char *path, uint64_t min_free, struct problem *problem)
{
    return open_all(spool, path, min_free, false, false, problem);
}

int spool_open_shared(const struct spool *spool, const char *name, struct problem *problem)
{
    return directory_open_shared(spool->path, spool->root, name, problem);
}

void spool_close(struct spool *spool)
{
    /* They were opened to be read only: closing them can lose nothing. */
    for (int i = 0; i < SPOOL_STATES; i++)
        if (spool->directories[i] >= 0)
            (void)close(spool->directories[i]);
    if (spool->root >= 0)
        (void)close(spool->root);
}

int spool_open_state(const char *path, struct problem *problem)
{
    struct stat status;
    int root = directory_open_root(path, &status, problem);
    if (root < 0)
        return -1;
    int fd = directory_check_author(path, &status, problem)
                 ? directory_open_private(path, root, "state", problem)
                 : -1;
    (void)close(root);
    return fd;
}

/* --- times of receipt --- */

/* The directory that remembers them; -1 with the problem if it cannot be had. */
static int open_receipts(const struct spool *spool, struct problem *problem)
{
    int state = directory_open_private(spool->path, spool->root, "state", problem);
    if (state < 0)
        return -1;
    int fd = directory_open_private(spool->path, state, "state/received", problem);
    /* Who created the two may have been killed before they were durable. */
    if (fd >= 0 && !(directory_sync(spool->root) && directory_sync(state))) {
        (void)failed(spool, "sync", "state", problem);
        (void)close(fd);
        fd = -1;
    }
    (void)close(state);
    return fd;
}

/* A symbolic link that points nowhere is created with its contents in one step, also on NFS. */
static bool remember(int receipts, const char *name, char time[TIMESTAMP_NAME_SIZE])
{
    if (symlinkat(time, receipts, name) == 0)
        return directory_sync(receipts);
    if (errno != EEXIST)
        return false;
    ssize_t length = readlinkat(receipts, name, time, TIMESTAMP_NAME_SIZE);
    /* What is longer is not ours, and no time. */
    if (length >= 0)
        time[length < TIMESTAMP_NAME_SIZE ? length : 0] = '\0';
    /* The one who created it may not have synced it yet. */
    return length >= 0 && directory_sync(receipts);
}

bool spool_receipt_time(const struct spool *spool, const char *name, int64_t now, int64_t *first,
                        struct problem *problem)
{
    char time[TIMESTAMP_NAME_SIZE];
    timestamp_name(now, time);
    int receipts = open_receipts(spool, problem);
    if (receipts < 0)
        return false;
    bool known = remember(receipts, name, time);
    if (!known)
        (void)failed(spool, "remember the time of receipt in", "state/received", problem);
    (void)close(receipts);
    if (known && !timestamp_parse_name(text_of(time), first))
        return problem_set(problem, 503, "%s/state/received/%s holds no time: remove it",
                           spool->path, name);
    return known;
}

/* --- entries --- */

/* In the order in which an entry moves. One that is there may have been moved before it was durable
 * where it came from. */
enum spool_outcome spool_find(const struct spool *spool, const char *name, struct problem *problem)
{
    struct stat status;
    for (int state = SPOOL_NEW; state < SPOOL_STATES; state++) {
        int directory = spool->directories[state];
        bool found = fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
        if (!found && errno == ENOENT)
            continue;
        if (found && directory_sync(directory))
            return SPOOL_DUPLICATE;
        (void)failed(spool, found ? "sync" : "look into", names[state], problem);
        return SPOOL_FAILURE;
    }
    return SPOOL_ABSENT;
}

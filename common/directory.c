#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENTRIES_MODE = 02770, PRIVATE_MODE = 0700, OPEN = O_RDONLY | O_DIRECTORY | O_NOFOLLOW };

/* --- problems --- */

static const char *advice(int error)
{
    switch (error) {
    case ENOSPC:
        return "free space or inodes on its file system";
    case EDQUOT:
        return "raise the disk quota of the web server's user";
    case EFBIG:
        return "raise the file size limit (ulimit -f) of the web server's CGI processes";
    case EROFS:
        return "remount its file system writable";
    case EACCES:
    case EPERM:
        return "let the web server's user write there";
    case EMFILE:
    case ENFILE:
        return "raise the limit on open files";
    case EIO:
        return "look for disk errors in the kernel's log";
    case ELOOP:
    case ENOTDIR:
        return "it must be a directory, and no symbolic link";
    case ENOENT:
        return "create the spool directory, writable for the web server's user";
    default:
        return "see tradecloud-webhook(8), SPOOL";
    }
}

bool directory_failed(const char *spool, const char *what, const char *name,
                      struct problem *problem)
{
    int error = errno;
    return problem_set(problem, 503, "cannot %s %s/%s: %s: %s", what, spool, name, strerror(error),
                       advice(error));
}

/* Returns -1, for the caller to return. */
static int reject(int fd)
{
    (void)close(fd);
    return -1;
}

/* --- opening --- */

bool directory_sync(int fd)
{
    int result;
    do
        result = fsync(fd);
    while (result != 0 && errno == EINTR);
    return result == 0 || errno == EINVAL || errno == EBADF;
}

/* A service that is forbidden to set the set-group-ID bit may do without, as where the spool has
 * it, it is inherited. */
static bool set_mode(int fd, mode_t mode)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return false;
    /* Changing a mode clears that bit for those who are not in the directory's group. */
    if ((status.st_mode & 07777) == mode || fchmod(fd, mode) == 0)
        return true;
    return errno == EPERM && (status.st_mode & 0777) == (mode & 0777);
}

/* Open a directory, creating it if it is missing and `mode` is not 0: then its siblings are made
 * durable before it is, as who finds the last of them relies on all. Returns the descriptor, or -1
 * with errno. */
static int open_or_create(int parent, const char *name, mode_t mode)
{
    int fd = openat(parent, name, OPEN | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT || mode == 0)
        return fd;
    /* Somebody else may be creating it, too. The group's write permission must be there from the
     * start, as a crash could come before the chmod. */
    if (!directory_sync(parent) || (mkdirat(parent, name, mode & 0777) != 0 && errno != EEXIST))
        return -1;
    fd = openat(parent, name, OPEN | O_CLOEXEC);
    if (fd < 0 || (set_mode(fd, mode) && directory_sync(parent)))
        return fd;
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

/* --- judging --- */

static bool is_ours(const struct stat *status)
{
    return status->st_uid == 0 || status->st_uid == geteuid();
}

/* An attacker has no way to give a directory to a group that he is not in himself. */
static bool is_shared(const struct stat *status)
{
    return status->st_gid == getegid() || group_member(status->st_gid) != 0;
}

static bool is_closed(const char *spool, const char *name, const struct stat *status,
                      struct problem *problem)
{
    if ((status->st_mode & S_IWOTH) == 0)
        return true;
    return problem_set(problem, 503, "%s/%s is writable by everybody: chmod o-w it", spool, name);
}

static bool is_beside(const char *spool, const struct stat *root, const char *name,
                      const struct stat *status, struct problem *problem)
{
    if (status->st_dev == root->st_dev)
        return true;
    return problem_set(problem, 503,
                       "%s/%s is on another file system than the spool: no file could be linked "
                       "or moved there",
                       spool, name);
}

static bool check(const char *spool, const struct stat *root, const char *name,
                  const struct stat *status, struct problem *problem)
{
    if (!is_ours(status) && status->st_uid != root->st_uid)
        return problem_set(problem, 503,
                           "%s/%s belongs to another user (%ju) than the spool (%ju): look at who "
                           "put it there, then chown it",
                           spool, name, (uintmax_t)status->st_uid, (uintmax_t)root->st_uid);
    return is_beside(spool, root, name, status, problem) && is_closed(spool, name, status, problem);
}

bool directory_check_path(const char *spool, struct problem *problem)
{
    const char *slash = strrchr(spool, '/');
    const char *last = slash == NULL ? spool : slash + 1;
    if (*last != '\0' && strcmp(last, ".") != 0 && strcmp(last, "..") != 0)
        return true;
    return problem_set(problem, 503, "the path of the spool must not end in a slash or a dot: %s",
                       spool);
}

int directory_open_root(const char *spool, struct stat *status, struct problem *problem)
{
    if (!directory_check_path(spool, problem))
        return -1;
    int fd = open(spool, OPEN | O_CLOEXEC);
    bool opened = fd >= 0 && fstat(fd, status) == 0;
    if (!opened)
        (void)directory_failed(spool, "open", "", problem);
    else if (is_closed(spool, "", status, problem))
        return fd;
    return fd >= 0 ? reject(fd) : -1;
}

bool directory_check_author(const char *spool, const struct stat *status, struct problem *problem)
{
    if (is_ours(status) || (geteuid() != 0 && is_shared(status)))
        return true;
    if (geteuid() == 0)
        return problem_set(
            problem, 503,
            "%s/ is another user's: run this as that user, not as root: sudo -u \\#%ju", spool,
            (uintmax_t)status->st_uid);
    return problem_set(
        problem, 503,
        "%s/ belongs to another user (%ju) and to a group that this one (%ju) is not "
        "in: chown it to the web server's user, or join the group",
        spool, (uintmax_t)status->st_uid, (uintmax_t)geteuid());
}

int directory_open(const char *spool, int root, const struct stat *parent, const char *name,
                   bool create, struct problem *problem)
{
    struct stat status;
    int fd = open_or_create(root, name, create && is_ours(parent) ? ENTRIES_MODE : 0);
    bool opened = fd >= 0 && fstat(fd, &status) == 0;
    if (!opened && errno == ENOENT && !create)
        problem->status = 0;
    else if (!opened && errno == ENOENT && !is_ours(parent))
        problem_set(problem, 503,
                    "%s/%s is missing: let the spool's user make it: sudo -u \\#%ju mkdir -m 2770",
                    spool, name, (uintmax_t)parent->st_uid);
    else if (!opened)
        (void)directory_failed(spool, "open", name, problem);
    else if (check(spool, parent, name, &status, problem))
        return fd;
    return fd >= 0 ? reject(fd) : -1;
}

int directory_open_shared(const char *spool, int root, const char *name, struct problem *problem)
{
    struct stat parent;
    struct stat status;
    int fd = open_or_create(root, name, ENTRIES_MODE);
    bool opened = fd >= 0 && fstat(root, &parent) == 0 && fstat(fd, &status) == 0;
    if (!opened)
        (void)directory_failed(spool, "open", name, problem);
    else if (is_beside(spool, &parent, name, &status, problem) &&
             is_closed(spool, name, &status, problem))
        return fd;
    return fd >= 0 ? reject(fd) : -1;
}

int directory_open_private(const char *spool, int parent, const char *name, struct problem *problem)
{
    struct stat status;
    const char *slash = strrchr(name, '/');
    int fd = open_or_create(parent, slash == NULL ? name : slash + 1, PRIVATE_MODE);
    bool opened = fd >= 0 && fstat(fd, &status) == 0;
    if (!opened)
        (void)directory_failed(spool, "open", name, problem);
    else if (status.st_uid == geteuid() && (status.st_mode & 077) == 0)
        return fd;
    else
        problem_set(problem, 503,
                    "%s/%s must belong to the web server's user alone, who must be the one to run "
                    "this: chown and chmod 700 it, or sudo -u \\#%ju",
                    spool, name, (uintmax_t)status.st_uid);
    return fd >= 0 ? reject(fd) : -1;
}

#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

enum { TEMPORARY_SIZE = 64 };

static const char *const names[SPOOL_STATES] = {
    [SPOOL_TMP] = "tmp",   [SPOOL_NEW] = "new",       [SPOOL_WORK] = "work",
    [SPOOL_DONE] = "done", [SPOOL_FAILED] = "failed", [SPOOL_REJECTED] = "rejected",
};

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

/* errno says why. */
static bool failed(const struct spool *spool, const char *what, const char *directory,
                   struct problem *problem)
{
    int error = errno;
    problem_set(problem, 503, "cannot %s %s/%s: %s: %s", what, spool->path, directory,
                strerror(error), advice(error));
    return false;
}

/* --- syncing --- */

/* fsync(), again after a signal. A disk error is reported once and never asked about again. */
static bool sync_file(int fd)
{
    int result;
    do
        result = fsync(fd);
    while (result != 0 && errno == EINTR);
    return result == 0;
}

/* Some file systems cannot sync a directory, and say so; their entries need no sync, or get none
 * whatever we do. */
bool spool_sync_directory(int fd)
{
    return sync_file(fd) || errno == EINVAL || errno == EBADF;
}

/* --- directories --- */

enum { OPEN_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

/* Open a directory, creating it if it is missing. Returns the descriptor, or -1 with errno. */
static int open_directory(int parent, const char *name, mode_t mode)
{
    int fd = openat(parent, name, OPEN_FLAGS);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    /* Somebody else may be creating it, too. The group's write permission must be there from the
     * start, as a crash could come before the chmod; the setgid bit is inherited where it matters.
     */
    if (mkdirat(parent, name, mode & 0777) != 0 && errno != EEXIST)
        return -1;
    fd = openat(parent, name, OPEN_FLAGS);
    if (fd < 0)
        return -1;
    /* Changing a mode clears the setgid bit for those who are not in the spool's group. */
    struct stat status;
    bool right =
        fstat(fd, &status) == 0 && ((status.st_mode & 07777) == mode || fchmod(fd, mode) == 0);
    if (right && spool_sync_directory(parent))
        return fd;
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

/* Whether an open directory of the spool is fit to be used. */
static bool check_directory(const struct spool *spool, int fd, const char *name, dev_t device,
                            struct problem *problem)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return failed(spool, "inspect", name, problem);
    if ((status.st_mode & S_IWOTH) != 0)
        return problem_set(problem, 503, "%s/%s is writable by everybody: chmod o-w it",
                           spool->path, name);
    if (status.st_dev != device)
        return problem_set(
            problem, 503,
            "%s/%s is on another file system than the spool: no file could be linked "
            "or moved there",
            spool->path, name);
    return true;
}

/* Behind a slash or a dot at the end of the path, a symbolic link could not be told. */
bool spool_check_path(const char *path, struct problem *problem)
{
    const char *slash = strrchr(path, '/');
    const char *last = slash == NULL ? path : slash + 1;
    if (*last != '\0' && strcmp(last, ".") != 0 && strcmp(last, "..") != 0)
        return true;
    return problem_set(problem, 503, "the path of the spool must not end in a slash or a dot: %s",
                       path);
}

static bool open_root(struct spool *spool, dev_t *device, struct problem *problem)
{
    struct stat status;
    if (!spool_check_path(spool->path, problem))
        return false;
    spool->root = open(spool->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (spool->root < 0 || fstat(spool->root, &status) != 0)
        return failed(spool, "open", "", problem);
    *device = status.st_dev;
    return check_directory(spool, spool->root, "", *device, problem);
}

/* What is missing is created, or left out. */
static bool open_state_directory(struct spool *spool, int state, bool create, dev_t device,
                                 struct problem *problem)
{
    int fd = create ? open_directory(spool->root, names[state], 02770)
                    : openat(spool->root, names[state], OPEN_FLAGS);
    spool->directories[state] = fd;
    if (fd >= 0)
        return check_directory(spool, fd, names[state], device, problem);
    return (!create && errno == ENOENT) || failed(spool, "open", names[state], problem);
}

static bool open_all(struct spool *spool, const char *path, uint64_t min_free, bool create,
                     struct problem *problem)
{
    dev_t device = 0;
    *spool = (struct spool){.path = path, .min_free = min_free, .root = -1};
    for (int i = 0; i < SPOOL_STATES; i++)
        spool->directories[i] = -1;
    bool opened = open_root(spool, &device, problem);
    for (int i = 0; opened && i < SPOOL_STATES; i++)
        opened = open_state_directory(spool, i, create, device, problem);
    if (!opened)
        spool_close(spool);
    return opened;
}

bool spool_open(struct spool *spool, const char *path, uint64_t min_free, struct problem *problem)
{
    return open_all(spool, path, min_free, true, problem);
}

bool spool_look(struct spool *spool, const char *path, uint64_t min_free, struct problem *problem)
{
    return open_all(spool, path, min_free, false, problem);
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

const char *spool_state_name(enum spool_state state)
{
    return names[state];
}

int spool_open_shared(const struct spool *spool, const char *name, struct problem *problem)
{
    struct stat root;
    int fd = open_directory(spool->root, name, 02770);
    if (fd < 0 || fstat(spool->root, &root) != 0)
        (void)failed(spool, "open", name, problem);
    else if (check_directory(spool, fd, name, root.st_dev, problem))
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

/* --- state/ --- */

/* The directory state/ of an open spool; -1 with the problem if it cannot be had. */
static int open_state(const struct spool *spool, struct problem *problem)
{
    struct stat root;
    struct stat status;
    if (fstat(spool->root, &root) == 0 && root.st_uid != 0 && geteuid() == 0) {
        problem_set(problem, 503, "run this as the web server's user, not as root: sudo -u \\#%ju",
                    (uintmax_t)root.st_uid);
        return -1;
    }
    int fd = open_directory(spool->root, "state", 0700);
    if (fd < 0 || fstat(fd, &status) != 0) {
        (void)failed(spool, "open", "state", problem);
    } else if (status.st_uid != geteuid() || (status.st_mode & 077) != 0) {
        problem_set(
            problem, 503,
            "%s/state must belong to the web server's user alone, who must be the one to run "
            "this: chown and chmod 700 it, or sudo -u \\#%ju",
            spool->path, (uintmax_t)status.st_uid);
    } else {
        return fd;
    }
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

int spool_open_state(const char *path, struct problem *problem)
{
    dev_t device = 0;
    struct spool spool = {.path = path, .root = -1};
    int fd = open_root(&spool, &device, problem) ? open_state(&spool, problem) : -1;
    if (spool.root >= 0)
        (void)close(spool.root);
    return fd;
}

/* The directory that remembers receipt times; -1 with the problem if it cannot be had. */
static int open_receipts(const struct spool *spool, struct problem *problem)
{
    int state = open_state(spool, problem);
    if (state < 0)
        return -1;
    int fd = open_directory(state, "received", 0700);
    if (fd < 0)
        (void)failed(spool, "open", "state/received", problem);
    (void)close(state);
    return fd;
}

/* A symbolic link that points nowhere is created with its contents in one step, also on NFS. */
static bool remember(int receipts, const char *name, char time[TIMESTAMP_NAME_SIZE])
{
    if (symlinkat(time, receipts, name) == 0)
        return spool_sync_directory(receipts);
    if (errno != EEXIST)
        return false;
    ssize_t length = readlinkat(receipts, name, time, TIMESTAMP_NAME_SIZE);
    /* What is longer is not ours, and no time. */
    if (length >= 0)
        time[length < TIMESTAMP_NAME_SIZE ? length : 0] = '\0';
    /* The one who created it may not have synced it yet. */
    return length >= 0 && spool_sync_directory(receipts);
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

/* --- writing --- */

static size_t total_length(const struct text *parts, int count)
{
    size_t length = 0;
    for (int i = 0; i < count; i++)
        length += parts[i].length;
    return length;
}

static bool has_room(const struct spool *spool, size_t length, struct problem *problem)
{
    struct statvfs fs;
    if (fstatvfs(spool->root, &fs) != 0)
        return failed(spool, "inspect", "", problem);
    uint64_t available = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (available < length || available - length < spool->min_free)
        return problem_set(problem, 503,
                           "the disk is full: %" PRIu64 " bytes are free at %s, of which "
                           "TRADECLOUD_MIN_FREE=%" PRIu64 " must stay: free space there",
                           available, spool->path, spool->min_free);
    /* File systems that create inodes as they go say that they have none at all. */
    if (fs.f_files > 0 && fs.f_favail < SPOOL_MIN_FREE_INODES)
        return problem_set(problem, 503, "the disk is full: %ju inodes are free at %s: free some",
                           (uintmax_t)fs.f_favail, spool->path);
    return true;
}

/* A name in tmp/ that no other process on no other host has: 128 random bits. */
static bool create_temporary(const struct spool *spool, char name[TEMPORARY_SIZE], int *fd)
{
    uint64_t random[2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return false;
    (void)snprintf(name, TEMPORARY_SIZE, "%ld.%016" PRIx64 "%016" PRIx64, (long)getpid(), random[0],
                   random[1]);
    *fd = openat(spool->directories[SPOOL_TMP], name,
                 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    return *fd >= 0;
}

/* Drop the first `written` bytes from the vector. */
static void advance(struct iovec **vector, int *count, size_t written)
{
    while (*count > 0 && written >= (*vector)->iov_len) {
        written -= (*vector)->iov_len;
        ++*vector;
        --*count;
    }
    if (*count > 0) {
        (*vector)->iov_base = (char *)(*vector)->iov_base + written;
        (*vector)->iov_len -= written;
    }
}

/* Not all parts may be empty. */
static bool write_parts(int fd, const struct text *parts, int count)
{
    struct iovec vectors[SPOOL_PARTS_MAX];
    struct iovec *vector = vectors;
    /* writev() does not write to what it is given, but says so nowhere: hence the cast. */
    for (int i = 0; i < count; i++)
        /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
        vectors[i] = (struct iovec){(void *)(uintptr_t)parts[i].data, parts[i].length};
    while (count > 0) {
        ssize_t written = writev(fd, vector, count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        advance(&vector, &count, (size_t)written);
    }
    return true;
}

/* Close in any case: a network file system may report here that it could not write. After a
 * signal, the file is closed and was synced. */
static bool close_file(int fd)
{
    return close(fd) == 0 || errno == EINTR;
}

static bool fill(int fd, const struct text *parts, int count)
{
    bool filled = write_parts(fd, parts, count) && sync_file(fd);
    int error = errno;
    bool closed = close_file(fd);
    if (!filled)
        errno = error;
    return filled && closed;
}

/* link() over NFS may have succeeded although it failed: the answer was lost, and the repeated
 * request found the name taken. Then the file has two names (link(2), BUGS). */
static bool was_linked(int directory, const char *temporary)
{
    struct stat status;
    int error = errno;
    bool linked =
        fstatat(directory, temporary, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_nlink == 2;
    errno = error;
    return linked;
}

static enum spool_outcome publish(const struct spool *spool, const char *temporary,
                                  enum spool_state state, const char *name, struct problem *problem)
{
    enum spool_outcome outcome = SPOOL_STORED;
    int from = spool->directories[SPOOL_TMP];
    int to = spool->directories[state];
    if (linkat(from, temporary, to, name, 0) != 0 && !was_linked(from, temporary)) {
        if (errno != EEXIST) {
            (void)failed(spool, "link a file into", names[state], problem);
            return SPOOL_FAILURE;
        }
        outcome = SPOOL_DUPLICATE;
    }
    /* A duplicate, too, is acknowledged: and its writer may not have come to this yet. */
    if (spool_sync_directory(to))
        return outcome;
    (void)failed(spool, "sync", names[state], problem);
    return SPOOL_FAILURE;
}

/* Look for an entry in all states, in the order in which it moves. One that is there is made durable
 * before it counts: it may have been moved before it was so where it came from. Returns
 * SPOOL_STORED if there is none. */
static enum spool_outcome look_for(const struct spool *spool, const char *name,
                                   struct problem *problem)
{
    struct stat status;
    for (int state = SPOOL_NEW; state < SPOOL_STATES; state++) {
        int directory = spool->directories[state];
        bool found = fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
        if (!found && errno == ENOENT)
            continue;
        if (found && spool_sync_directory(directory))
            return SPOOL_DUPLICATE;
        (void)failed(spool, found ? "sync" : "look into", names[state], problem);
        return SPOOL_FAILURE;
    }
    return SPOOL_STORED;
}

/* For new/, states are looked through again when the file is ready: while it was written, which can
 * take long, another delivery may have been stored and even been claimed. */
static enum spool_outcome write_entry(const struct spool *spool, enum spool_state state,
                                      const char *name, const struct text *parts, int count,
                                      struct problem *problem)
{
    int fd;
    char temporary[TEMPORARY_SIZE];
    enum spool_outcome outcome = SPOOL_FAILURE;
    if (!has_room(spool, total_length(parts, count), problem))
        return SPOOL_FAILURE;
    if (!create_temporary(spool, temporary, &fd)) {
        (void)failed(spool, "create a file in", names[SPOOL_TMP], problem);
        return SPOOL_FAILURE;
    }
    if (!fill(fd, parts, count))
        (void)failed(spool, "write a file in", names[SPOOL_TMP], problem);
    else if (state == SPOOL_NEW)
        outcome = look_for(spool, name, problem);
    else
        outcome = SPOOL_STORED;
    if (outcome == SPOOL_STORED)
        outcome = publish(spool, temporary, state, name, problem);
    /* That this fails changes nothing for the entry: what stays in tmp/ is swept one day. */
    (void)unlinkat(spool->directories[SPOOL_TMP], temporary, 0);
    return outcome;
}

enum spool_outcome spool_store(const struct spool *spool, const char *name,
                               const struct text *parts, int count, struct problem *problem)
{
    enum spool_outcome outcome = look_for(spool, name, problem);
    if (outcome != SPOOL_STORED)
        return outcome;
    return write_entry(spool, SPOOL_NEW, name, parts, count, problem);
}

bool spool_reject(const struct spool *spool, const char *name, const struct text *parts, int count,
                  struct problem *problem)
{
    return write_entry(spool, SPOOL_REJECTED, name, parts, count, problem) != SPOOL_FAILURE;
}

#include "spool.h"

#include "directory.h"

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

enum { TEMPORARY_SIZE = 64, PIECE_SIZE = 1048576 };

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

static bool open_states(struct spool *spool, bool create, struct problem *problem)
{
    bool opened = true;
    /* tmp/ comes last, as nobody relies on it after a power failure. */
    for (int n = 1; opened && n <= SPOOL_STATES; n++) {
        int state = n % SPOOL_STATES;
        int fd = directory_open(spool->path, spool->root, names[state], create, problem);
        spool->directories[state] = fd;
        opened = fd >= 0 || problem->status == 0;
    }
    return opened;
}

static bool open_all(struct spool *spool, const char *path, uint64_t min_free, bool create,
                     bool author, struct problem *problem)
{
    *spool = (struct spool){.path = path, .min_free = min_free};
    for (int i = 0; i < SPOOL_STATES; i++)
        spool->directories[i] = -1;
    spool->root = directory_open_root(path, problem);
    bool opened = spool->root >= 0 &&
                  (!author || directory_check_author(path, spool->root, problem)) &&
                  open_states(spool, create, problem);
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
    int root = directory_open_root(path, problem);
    if (root < 0)
        return -1;
    int fd = directory_check_author(path, root, problem)
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

/* writev() of no more than a piece of what there is: a single one of 20 MB was measured to take five
 * times as long as twenty of 1 MB, as the kernel then caches the file in larger blocks of memory. */
static ssize_t write_piece(int fd, const struct iovec *vector, int count)
{
    struct iovec piece[SPOOL_PARTS_MAX];
    size_t room = PIECE_SIZE;
    int taken = 0;
    for (; taken < count && room > 0; taken++) {
        piece[taken] = vector[taken];
        if (piece[taken].iov_len > room)
            piece[taken].iov_len = room;
        room -= piece[taken].iov_len;
    }
    return writev(fd, piece, taken);
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
        ssize_t written = write_piece(fd, vector, count);
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

/* Again after a signal; a disk error is reported once and never asked about again. */
static bool sync_file(int fd)
{
    int result;
    do
        result = fsync(fd);
    while (result != 0 && errno == EINTR);
    return result == 0;
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
    if (directory_sync(to))
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
        if (found && directory_sync(directory))
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

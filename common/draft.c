#include "draft.h"

#include "directory.h"
#include "process.h"
#include "temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    /* Bytes in one write. A write of 20 MB was measured to take five times as long as many small
     * ones, as the kernel then caches the file in larger blocks. */
    PIECE_SIZE = 262144,
    /* Bytes that a presync should find new, and bytes that should still come meanwhile: with less,
     * the thread was measured to take longer than it saves. */
    PRESYNC_NEW = 262144,
    PRESYNC_TO_COME = 131072,
};

/* errno says why. */
static bool failed(const struct spool *spool, const char *what, enum spool_state state,
                   struct problem *problem)
{
    return directory_failed(spool->path, what, spool_state_name(state), problem);
}

static size_t total_length(const struct text *parts, int count)
{
    size_t length = 0;
    for (int i = 0; i < count; i++)
        length += parts[i].length;
    return length;
}

static bool has_room(const struct spool *spool, uint64_t length, struct problem *problem)
{
    struct statvfs fs;
    if (fstatvfs(spool->root, &fs) != 0)
        return directory_failed(spool->path, "inspect", "", problem);
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

/* That this fails changes nothing for the entry: what stays in tmp/ is swept one day. */
static void remove_name(const struct draft *draft)
{
    (void)unlinkat(draft->spool->directories[SPOOL_TMP], draft->name, 0);
    process_keep(draft->name);
}

bool draft_create(struct draft *draft, const struct spool *spool, uint64_t room, uint64_t expected,
                  struct problem *problem)
{
    int tmp = spool->directories[SPOOL_TMP];
    *draft = (struct draft){.spool = spool, .fd = -1, .length = room, .granted = room + expected};
    if (!has_room(spool, draft->granted, problem))
        return false;
    draft->fd = temporary_create(tmp, draft->name);
    if (draft->fd < 0)
        return failed(spool, "create a file in", SPOOL_TMP, problem);
    process_remove_at_end(tmp, draft->name);
    return true;
}

/* --- writing --- */

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

/* pwritev() of no more than a piece of what there is. */
static ssize_t write_piece(int fd, const struct iovec *vector, int count, uint64_t offset)
{
    struct iovec piece[DRAFT_PARTS_MAX];
    size_t room = PIECE_SIZE;
    int taken = 0;
    for (; taken < count && room > 0; taken++) {
        piece[taken] = vector[taken];
        if (piece[taken].iov_len > room)
            piece[taken].iov_len = room;
        room -= piece[taken].iov_len;
    }
    return pwritev(fd, piece, taken, (off_t)offset);
}

/* Let the disk have what is there, if it is worth it. Each time that is half as much again, so that
 * a body that arrives slowly does not take a sync for each of its pieces. */
static bool sync_early(struct draft *draft)
{
    const uint64_t fresh = draft->length - draft->presynced;
    if (fresh < PRESYNC_NEW || fresh < draft->presynced / 2 ||
        draft->length + PRESYNC_TO_COME > draft->granted || presync_is_busy(&draft->presync))
        return true;
    draft->presynced = draft->length;
    return presync_begin(&draft->presync, draft->fd);
}

static bool write_parts(struct draft *draft, const struct text *parts, int count)
{
    struct iovec vectors[DRAFT_PARTS_MAX];
    struct iovec *vector = vectors;
    /* pwritev() does not write to what it is given, but says so nowhere: hence the cast. */
    for (int i = 0; i < count; i++)
        /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
        vectors[i] = (struct iovec){(void *)(uintptr_t)parts[i].data, parts[i].length};
    while (count > 0) {
        ssize_t written = write_piece(draft->fd, vector, count, draft->length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        draft->length += (uint64_t)written;
        advance(&vector, &count, (size_t)written);
        if (!sync_early(draft))
            return false;
    }
    return true;
}

bool draft_append(struct draft *draft, const struct text *parts, int count, struct problem *problem)
{
    size_t length = total_length(parts, count);
    if (draft->length + length > draft->granted && !has_room(draft->spool, length, problem))
        return false;
    return write_parts(draft, parts, count) ||
           failed(draft->spool, "write a file in", SPOOL_TMP, problem);
}

bool draft_write_head(struct draft *draft, struct text head, struct problem *problem)
{
    for (size_t done = 0; done < head.length;) {
        ssize_t written = pwrite(draft->fd, head.data + done, head.length - done, (off_t)done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return failed(draft->spool, "write a file in", SPOOL_TMP, problem);
        done += (size_t)written;
    }
    return true;
}

bool draft_read(const struct draft *draft, uint64_t offset, char *bytes, size_t length,
                struct problem *problem)
{
    for (size_t done = 0; done < length;) {
        ssize_t got = pread(draft->fd, bytes + done, length - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = EIO; /* somebody has cut it */
        if (got <= 0)
            return failed(draft->spool, "read a file in", SPOOL_TMP, problem);
        done += (size_t)got;
    }
    return true;
}

bool draft_is_sound(struct draft *draft, struct problem *problem)
{
    return presync_end(&draft->presync) ||
           failed(draft->spool, "write a file in", SPOOL_TMP, problem);
}

/* --- the end --- */

/* Again after a signal; a disk error is reported once and never asked about again. */
static bool sync_file(int fd)
{
    int result;
    do
        result = fsync(fd);
    while (result != 0 && errno == EINTR);
    return result == 0;
}

/* Sync and close. Close in any case: a network file system may report there, too, that it could not
 * write. After a signal, the file is closed and was synced. */
static bool finish(struct draft *draft)
{
    bool synced = presync_end(&draft->presync) && sync_file(draft->fd);
    int error = errno;
    bool closed = close(draft->fd) == 0 || errno == EINTR;
    if (!synced)
        errno = error;
    return synced && closed;
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

static enum spool_outcome link_entry(const struct draft *draft, enum spool_state state,
                                     const char *name, struct problem *problem)
{
    enum spool_outcome outcome = SPOOL_STORED;
    const struct spool *spool = draft->spool;
    int from = spool->directories[SPOOL_TMP];
    int to = spool->directories[state];
    if (linkat(from, draft->name, to, name, 0) != 0 && !was_linked(from, draft->name)) {
        if (errno != EEXIST) {
            (void)failed(spool, "link a file into", state, problem);
            return SPOOL_FAILURE;
        }
        outcome = SPOOL_DUPLICATE;
    }
    /* A duplicate, too, is acknowledged: and its writer may not have come to this yet. */
    if (directory_sync(to))
        return outcome;
    (void)failed(spool, "sync", state, problem);
    return SPOOL_FAILURE;
}

enum spool_outcome draft_publish(struct draft *draft, enum spool_state state, const char *name,
                                 struct problem *problem)
{
    enum spool_outcome outcome = SPOOL_FAILURE;
    if (!finish(draft))
        (void)failed(draft->spool, "write a file in", SPOOL_TMP, problem);
    else if (state == SPOOL_NEW)
        outcome = spool_find(draft->spool, name, problem);
    else
        outcome = SPOOL_ABSENT;
    if (outcome == SPOOL_ABSENT)
        outcome = link_entry(draft, state, name, problem);
    remove_name(draft);
    return outcome;
}

void draft_discard(struct draft *draft)
{
    (void)presync_end(&draft->presync);
    (void)close(draft->fd);
    remove_name(draft);
}

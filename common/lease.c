#include "lease.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    CONTENT_SIZE = 256,
    DEPTH_MAX = 8, /* of a chain: that many died within microseconds of the same take-over */
    NAME_SIZE = SUBJECT_HEX_SIZE + DEPTH_MAX * LEASE_ID_SIZE + sizeof "runner-",
    HOST_SIZE = 65,
};

/* What a lease's file says. */
struct holder {
    char id[LEASE_ID_SIZE];
    char boot[LEASE_BOOT_SIZE];
    char lock[8]; /* "lock" if it holds one, else "none" */
    char pid[16];
    char host[HOST_SIZE];
};

enum look { ABSENT, OWN, ALIVE, DEAD, FAILED };

struct link {
    struct stat status;
    struct holder holder;
    char name[NAME_SIZE];
};

/* errno says why. */
static bool failed(const char *what, const char *name, struct problem *problem)
{
    return problem_set(problem, 503, "cannot %s " LEASE_DIRECTORY "/%s: %s", what, name,
                       strerror(errno));
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

/* --- the runner's own file --- */

static void read_boot(char boot[LEASE_BOOT_SIZE])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, boot, LEASE_BOOT_SIZE - 1);
    if (fd >= 0)
        (void)close(fd);
    boot[length < 0 ? 0 : length] = '\0';
    boot[strcspn(boot, "\n ")] = '\0';
    if (boot[0] == '\0')
        (void)snprintf(boot, LEASE_BOOT_SIZE, "unknown");
}

/* The lock belongs to the open file, not to this process, so that children share it. */
static bool lock(int fd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &whole) == 0;
}

static void own_name(const struct leases *leases, char name[NAME_SIZE])
{
    (void)snprintf(name, NAME_SIZE, "runner-%s", leases->id);
}

/* Durable, so that after a crash no lease is a link to an empty file. */
static bool fill(struct leases *leases)
{
    char host[HOST_SIZE] = "";
    char content[CONTENT_SIZE];
    (void)gethostname(host, sizeof host - 1);
    int length = snprintf(content, sizeof content, "%s %s %s %ld %s\n", leases->id, leases->boot,
                          lock(leases->fd) ? "lock" : "none", (long)getpid(), host);
    ssize_t written = write(leases->fd, content, (size_t)length);
    if (written >= 0 && written != length)
        errno = ENOSPC;
    return written == length && fsync(leases->fd) == 0 && fstat(leases->fd, &leases->own) == 0;
}

bool lease_open(struct leases *leases, int directory, struct problem *problem)
{
    uint64_t random;
    char name[NAME_SIZE];
    *leases = (struct leases){.directory = directory, .fd = -1};
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return failed("find a name for", "runner", problem);
    (void)snprintf(leases->id, sizeof leases->id, "%016" PRIx64, random);
    read_boot(leases->boot);
    own_name(leases, name);
    leases->fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (leases->fd < 0)
        return failed("create", name, problem);
    if (fill(leases))
        return true;
    (void)failed("write", name, problem);
    lease_close(leases);
    return false;
}

void lease_close(struct leases *leases)
{
    char name[NAME_SIZE];
    own_name(leases, name);
    (void)unlinkat(leases->directory, name, 0);
    /* What was written to it is of no use to anybody any more. */
    (void)close(leases->fd);
    leases->fd = -1;
}

bool lease_renew(struct leases *leases)
{
    return futimens(leases->fd, NULL) == 0 && fstat(leases->fd, &leases->own) == 0 &&
           leases->own.st_nlink > 0;
}

/* --- other runners --- */

static void make_printable(char *text)
{
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text > '~')
            *text = '?';
}

/* A file that somebody else put there is known by its inode. */
static void parse(char *content, const struct stat *status, struct holder *holder)
{
    *holder = (struct holder){.id = ""};
    if (sscanf(content, "%16[0-9a-f] %39s %7s %15[0-9] %64s", holder->id, holder->boot,
               holder->lock, holder->pid, holder->host) != 5 ||
        strlen(holder->id) != LEASE_ID_SIZE - 1) {
        *holder = (struct holder){.id = ""};
        (void)snprintf(holder->id, sizeof holder->id, "%016jx", (uintmax_t)status->st_ino);
    }
    make_printable(holder->host);
}

/* Whether somebody holds the lock on this file, if that can be said. */
static bool is_locked(int fd, bool *locked)
{
    struct flock whole = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_GETLK, &whole) != 0)
        return false;
    *locked = whole.l_type != F_UNLCK;
    return true;
}

static int64_t milliseconds(const struct timespec *time)
{
    return (int64_t)time->tv_sec * 1000 + time->tv_nsec / 1000000;
}

static bool is_dead(struct leases *leases, int fd, const struct link *link)
{
    bool locked;
    bool here = strcmp(link->holder.boot, leases->boot) == 0;
    if (here && strcmp(link->holder.lock, "lock") == 0 && is_locked(fd, &locked))
        return !locked;
    return lease_renew(leases) &&
           milliseconds(&leases->own.st_mtim) - milliseconds(&link->status.st_mtim) > LEASE_AGE;
}

/* Opening is what makes NFS ask the server again. */
static enum look look_at(struct leases *leases, struct link *link)
{
    char content[CONTENT_SIZE];
    int fd = openat(leases->directory, link->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? ABSENT : FAILED;
    enum look look = FAILED;
    ssize_t length = read(fd, content, sizeof content - 1);
    if (length >= 0 && fstat(fd, &link->status) == 0) {
        content[length] = '\0';
        parse(content, &link->status, &link->holder);
        if (same_file(&link->status, &leases->own))
            look = OWN;
        else
            look = is_dead(leases, fd, link) ? DEAD : ALIVE;
    }
    (void)close(fd);
    return look;
}

/* Returns false if it is too long to be one of ours. */
static bool set_name(struct link *link, const char *name)
{
    size_t length = strlen(name);
    *link = (struct link){.name = ""};
    if (length >= sizeof link->name)
        return false;
    memcpy(link->name, name, length);
    return true;
}

bool lease_is_dead(struct leases *leases, const char *name, char holder[LEASE_HOLDER_SIZE])
{
    struct link link;
    if (!set_name(&link, name))
        return false;
    enum look look = look_at(leases, &link);
    (void)snprintf(holder, LEASE_HOLDER_SIZE, "host %s pid %s", link.holder.host, link.holder.pid);
    return look == DEAD;
}

/* --- taking --- */

/* Link one's own file to the name. Over NFS it may have worked although it failed: the answer was
 * lost, and the repeated request found the name taken (link(2), BUGS). */
static enum look link_own(struct leases *leases, const char *name)
{
    char own[NAME_SIZE];
    struct stat status;
    own_name(leases, own);
    if (linkat(leases->directory, own, leases->directory, name, 0) == 0)
        return OWN;
    if (errno != EEXIST)
        return FAILED;
    if (fstatat(leases->directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? ABSENT : FAILED;
    return same_file(&status, &leases->own) ? OWN : ALIVE;
}

/* The second look of the winner: all that it takes over must be as it was. */
static bool is_unchanged(struct leases *leases, const struct link *chain, int depth)
{
    for (int i = 0; i < depth; i++) {
        struct link again = chain[i];
        if (look_at(leases, &again) != DEAD || !same_file(&again.status, &chain[i].status))
            return false;
    }
    return true;
}

/* chain[0..depth) are dead, and the name in chain[depth] was free. */
static enum lease_outcome take_over(struct leases *leases, const struct link *chain, int depth)
{
    int directory = leases->directory;
    if (link_own(leases, chain[depth].name) != OWN)
        return LEASE_HELD;
    if (!is_unchanged(leases, chain, depth) ||
        renameat(directory, chain[depth].name, directory, chain[0].name) != 0) {
        (void)unlinkat(directory, chain[depth].name, 0);
        return LEASE_HELD;
    }
    for (int i = 1; i < depth; i++)
        (void)unlinkat(directory, chain[i].name, 0);
    return LEASE_TAKEN_OVER;
}

/* The name that whoever takes over from the dead one must have. It fits: DEPTH_MAX sees to it. */
static void set_successor(const struct link *dead, char name[NAME_SIZE])
{
    char successor[NAME_SIZE];
    (void)snprintf(successor, sizeof successor, "%.*s.%.*s", NAME_SIZE - LEASE_ID_SIZE - 1,
                   dead->name, LEASE_ID_SIZE - 1, dead->holder.id);
    memcpy(name, successor, sizeof successor);
}

/* Follow the chain of the dead to its end. */
static enum lease_outcome follow(struct leases *leases, const char *name, struct problem *problem)
{
    struct link chain[DEPTH_MAX + 1] = {{.name = ""}};
    (void)snprintf(chain[0].name, sizeof chain[0].name, "%s", name);
    for (int depth = 0; depth < DEPTH_MAX; depth++) {
        switch (look_at(leases, &chain[depth])) {
        case OWN:
            return depth == 0 ? LEASE_TAKEN : LEASE_HELD;
        case ABSENT:
            return depth == 0 ? LEASE_HELD : take_over(leases, chain, depth);
        case ALIVE:
            return LEASE_HELD;
        case FAILED:
            (void)failed("read", name, problem);
            return LEASE_FAILED;
        case DEAD:
            set_successor(&chain[depth], chain[depth + 1].name);
        }
    }
    (void)problem_set(problem, 503, "too many dead leases: remove " LEASE_DIRECTORY "/%s*", name);
    return LEASE_FAILED;
}

enum lease_outcome lease_take(struct leases *leases, const struct subject *subject,
                              struct problem *problem)
{
    char name[SUBJECT_HEX_SIZE];
    subject_hex(subject, name);
    switch (link_own(leases, name)) {
    case OWN:
        return LEASE_TAKEN;
    case ALIVE:
        return follow(leases, name, problem);
    case FAILED:
        (void)failed("link", name, problem);
        return LEASE_FAILED;
    case ABSENT:
    case DEAD:
        break;
    }
    return LEASE_HELD;
}

bool lease_holds(const struct leases *leases, const struct subject *subject)
{
    char name[SUBJECT_HEX_SIZE];
    struct stat status;
    subject_hex(subject, name);
    bool found = fstatat(leases->directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (found || errno == ENOENT)
        errno = 0;
    return found && same_file(&status, &leases->own);
}

void lease_release(const struct leases *leases, const struct subject *subject)
{
    char name[SUBJECT_HEX_SIZE];
    subject_hex(subject, name);
    if (lease_holds(leases, subject))
        (void)unlinkat(leases->directory, name, 0);
}

/* --- sweeping --- */

void lease_sweep(struct leases *leases)
{
    int fd = openat(leases->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (directory == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    for (const struct dirent *found = readdir(directory); found != NULL;
         found = readdir(directory)) {
        struct link link;
        if (strncmp(found->d_name, "runner-", 7) == 0 && set_name(&link, found->d_name) &&
            look_at(leases, &link) == DEAD && link.status.st_nlink == 1)
            (void)unlinkat(leases->directory, link.name, 0);
    }
    (void)closedir(directory);
}

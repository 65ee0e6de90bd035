/*
 * Leases, in files that anybody of the spool's group may have put there. The first byte chooses
 * what lies where the lease of a subject is to be, how old that is, and whether somebody has begun
 * to take it over; the rest is its content, in which '@' stands for this machine's boot.
 *
 * Whatever it is: it is respected as long as a lease is, taken over when it is dead, and never
 * harms the lease of another subject, whose runner lives.
 */
#include "fuzz.h"
#include "lease.h"

#include <ctype.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

enum {
    OLD = 1,           /* not renewed for long */
    BEGUN = 2,         /* its successor is there */
    SUCCESSOR_OLD = 4, /* and was not renewed for long */
    WELL_FORMED = 8,   /* what a runner of this machine writes that is dead */
    NO_FILE = 16,      /* but a symbolic link */
    DIRECTORY = 32,    /* or this, with NO_FILE */
    CONTENT_MAX = 4096,
};

#define DEAD_ID "0123456789abcdef"
#define STRAY   "runner-fedcba9876543210"

static const struct subject wanted = {{1, 2}};
static const struct subject others = {{3, 4}};
static char path[] = "/dev/shm/tradecloud-fuzz.XXXXXX";
static char name[SUBJECT_HEX_SIZE];
static char successor[SUBJECT_HEX_SIZE + LEASE_ID_SIZE];
static int directory = -1;
static struct leases own;
static struct leases other;

static void clear(void)
{
    (void)unlinkat(directory, name, 0);
    (void)unlinkat(directory, name, AT_REMOVEDIR);
    (void)unlinkat(directory, successor, 0);
    (void)unlinkat(directory, STRAY, 0);
}

static void remove_place(void)
{
    clear();
    lease_release(&other, &others);
    lease_close(&own);
    lease_close(&other);
    (void)rmdir(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct problem problem;
    (void)argc;
    (void)argv;
    subject_hex(&wanted, name);
    (void)snprintf(successor, sizeof successor, "%s." DEAD_ID, name);
    CHECK(mkdtemp(path) != NULL);
    directory = open(path, O_RDONLY | O_DIRECTORY);
    CHECK(directory >= 0);
    CHECK(lease_open(&own, directory, &problem) && lease_open(&other, directory, &problem));
    CHECK(lease_take(&other, &others, &problem) == LEASE_TAKEN);
    return atexit(remove_place);
}

static void write_file(const char *file, struct text content, bool old)
{
    struct timespec times[2];
    int fd = openat(directory, file, O_WRONLY | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0 && write(fd, content.data, content.length) == (ssize_t)content.length);
    CHECK(clock_gettime(CLOCK_REALTIME, &times[0]) == 0);
    times[0].tv_sec -= LEASE_AGE / 1000 + (old ? 10 : -10);
    times[1] = times[0];
    CHECK(futimens(fd, times) == 0 && close(fd) == 0);
}

/* The caller releases it. */
static struct buffer make_content(unsigned flags, const uint8_t *data, size_t size)
{
    struct buffer content = BUFFER_INIT;
    bool made = true;
    if ((flags & WELL_FORMED) != 0)
        made = buffer_append_string(&content, DEAD_ID " ") &&
               buffer_append_string(&content, own.boot) &&
               buffer_append_string(&content, " lock 42 host\n");
    for (size_t i = 0; made && i < size && content.length < CONTENT_MAX; i++)
        made = data[i] == '@' ? buffer_append_string(&content, own.boot)
                              : buffer_append(&content, (const char *)&data[i], 1);
    CHECK(made);
    return content;
}

static bool is_there(const char *file)
{
    return faccessat(directory, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool names_this_machine(struct text content)
{
    return content.length > 0 &&
           memmem(content.data, content.length, own.boot, strlen(own.boot)) != NULL;
}

/* What must come of taking it; LEASE_TAKEN, which it can never be, if that is not known: what says
 * that it is a runner's of this machine is judged by the lock, or by time. */
static enum lease_outcome expect(unsigned flags, struct text content)
{
    if ((flags & NO_FILE) != 0)
        return LEASE_FAILED;
    bool dead = (flags & (WELL_FORMED | OLD)) != 0;
    if ((flags & WELL_FORMED) == 0 && names_this_machine(content))
        return LEASE_TAKEN;
    /* The successor is of the one that is dead, if that was well-formed. */
    bool begun = (flags & (BEGUN | WELL_FORMED)) == (BEGUN | WELL_FORMED);
    if ((flags & WELL_FORMED) == 0 && (flags & BEGUN) != 0 && dead)
        return LEASE_TAKEN;
    if (begun && (flags & SUCCESSOR_OLD) == 0)
        return LEASE_HELD;
    return dead ? LEASE_TAKEN_OVER : LEASE_HELD;
}

static void check_others(void)
{
    struct problem problem;
    char holder[LEASE_HOLDER_SIZE];
    char hex[SUBJECT_HEX_SIZE];
    subject_hex(&others, hex);
    CHECK(lease_holds(&other, &others) && !lease_is_dead(&own, hex, holder));
    CHECK(lease_take(&own, &others, &problem) == LEASE_HELD);
    CHECK(lease_renew(&own) && lease_renew(&other));
}

static void check_holder(void)
{
    char holder[LEASE_HOLDER_SIZE] = "";
    (void)lease_is_dead(&own, name, holder);
    for (const char *at = holder; *at != '\0'; at++)
        CHECK(isprint((unsigned char)*at));
}

static void check_taking(unsigned flags, struct text content)
{
    struct problem problem;
    enum lease_outcome expected = expect(flags, content);
    enum lease_outcome outcome = lease_take(&own, &wanted, &problem);
    CHECK(outcome != LEASE_TAKEN && (expected == LEASE_TAKEN || outcome == expected));
    CHECK(outcome != LEASE_FAILED || (problem.status == 503 && problem.reason[0] != '\0'));
    CHECK(lease_holds(&own, &wanted) == (outcome == LEASE_TAKEN_OVER));
    /* What is not taken stays. */
    CHECK(is_there(name));
    if (outcome == LEASE_TAKEN_OVER) {
        lease_release(&own, &wanted);
        CHECK(!is_there(name) && lease_take(&own, &wanted, &problem) == LEASE_TAKEN);
        lease_release(&own, &wanted);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    unsigned flags = data[0];
    struct buffer content = make_content(flags, data + 1, size - 1);
    const struct text text = {content.data, content.length};
    const struct text live = {"x", 1};
    if ((flags & NO_FILE) == 0)
        write_file(name, text, (flags & OLD) != 0);
    else if ((flags & DIRECTORY) != 0)
        CHECK(mkdirat(directory, name, 0700) == 0);
    else
        CHECK(symlinkat("/etc/passwd", directory, name) == 0);
    if ((flags & BEGUN) != 0)
        write_file(successor, live, (flags & SUCCESSOR_OLD) != 0);
    write_file(STRAY, text, (flags & OLD) != 0);
    check_holder();
    check_taking(flags, text);
    lease_sweep(&own);
    check_others();
    /* The file of a runner that may live is not swept; one of this machine's may be dead. */
    CHECK(is_there(STRAY) || (flags & OLD) != 0 || names_this_machine(text));
    clear();
    buffer_release(&content);
    return 0;
}

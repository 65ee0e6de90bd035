#include "unit.h"

#include "lease.h"
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ELSEWHERE "11111111-2222-3333-4444-555555555555"
#define DEAD_ID   "0123456789abcdef"
#define DEAD_TOO  "fedcba9876543210"

enum { TAKERS = 12, AGE = LEASE_AGE / 1000 };

static const struct subject S = {{1, 2}};
static char base[64];
static int directory;

static int make_place(void **state)
{
    (void)state;
    (void)snprintf(base, sizeof base, "/tmp/test_lease.XXXXXX");
    if (mkdtemp(base) == NULL)
        return -1;
    directory = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return directory < 0 ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status;
    (void)type;
    (void)at;
    return remove(path);
}

static int remove_place(void **state)
{
    (void)state;
    (void)close(directory);
    return nftw(base, remove_one, 16, FTW_PHYS | FTW_DEPTH);
}

static void begin(struct leases *leases)
{
    struct problem problem;
    assert_true(lease_open(leases, directory, &problem));
}

static enum lease_outcome take(struct leases *leases)
{
    struct problem problem;
    return lease_take(leases, &S, &problem);
}

static bool exists(const char *name)
{
    return faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static const char *name_of_lease(void)
{
    static char hex[SUBJECT_HEX_SIZE];
    subject_hex(&S, hex);
    return hex;
}

/* A file as a runner elsewhere has it, renewed `age` seconds ago, under the given name. */
static void pretend(const char *id, const char *name, int age)
{
    char file[64];
    char content[128];
    struct timespec times[2];
    (void)snprintf(file, sizeof file, "runner-%s", id);
    int length = snprintf(content, sizeof content, "%s " ELSEWHERE " lock 42 host\n", id);
    int fd = openat(directory, file, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, (size_t)length), length);
    (void)clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec -= age;
    times[1] = times[0];
    assert_int_equal(futimens(fd, times), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(linkat(directory, file, directory, name, 0), 0);
}

static void test_taken_and_released(void **state)
{
    struct leases a;
    struct leases b;
    char holder[LEASE_HOLDER_SIZE];
    (void)state;
    begin(&a);
    begin(&b);
    assert_int_equal(take(&a), LEASE_TAKEN);
    assert_int_equal(take(&a), LEASE_TAKEN);
    assert_int_equal(take(&b), LEASE_HELD);
    assert_true(lease_holds(&a, &S));
    assert_false(lease_holds(&b, &S));
    assert_false(lease_is_dead(&b, name_of_lease(), holder));
    assert_non_null(strstr(holder, " pid "));
    lease_release(&b, &S);
    assert_true(lease_holds(&a, &S));
    lease_release(&a, &S);
    assert_int_equal(take(&b), LEASE_TAKEN);
    assert_true(lease_renew(&a) && lease_renew(&b));
    lease_close(&a);
    lease_close(&b);
    /* Not released, but nobody holds the lock on it. */
    begin(&a);
    assert_int_equal(take(&a), LEASE_TAKEN_OVER);
    lease_release(&a, &S);
    lease_close(&a);
}

static void test_by_time(void **state)
{
    struct leases a;
    (void)state;
    begin(&a);
    pretend(DEAD_ID, name_of_lease(), AGE - 10);
    assert_int_equal(take(&a), LEASE_HELD);
    assert_int_equal(unlinkat(directory, name_of_lease(), 0), 0);
    pretend(DEAD_ID, name_of_lease(), AGE + 10);
    assert_int_equal(take(&a), LEASE_TAKEN_OVER);
    assert_true(lease_holds(&a, &S));
    assert_true(exists("runner-" DEAD_ID));
    lease_sweep(&a);
    assert_false(exists("runner-" DEAD_ID));
    lease_release(&a, &S);
    lease_close(&a);
}

/* Half a minute ago the clock was an hour behind, and others had no time to renew theirs. */
static void test_clock_jumps_ahead(void **state)
{
    struct leases a;
    (void)state;
    begin(&a);
    pretend(DEAD_ID, name_of_lease(), 3600);
    a.ahead -= 3600000;
    assert_int_equal(take(&a), LEASE_HELD);
    assert_int_equal(take(&a), LEASE_HELD);
    a.jumped -= LEASE_AGE;
    assert_int_equal(take(&a), LEASE_TAKEN_OVER);
    /* What goes back is no danger. */
    pretend(DEAD_TOO, "00000000000000010000000000000003", 3600);
    a.ahead += 3600000;
    const struct subject other = {{1, 3}};
    struct problem problem;
    assert_int_equal(lease_take(&a, &other, &problem), LEASE_TAKEN_OVER);
    lease_close(&a);
}

/* Some of those who took over died while they did. */
static void test_chain(void **state)
{
    struct leases a;
    char second[128];
    char third[192];
    (void)state;
    begin(&a);
    (void)snprintf(second, sizeof second, "%s." DEAD_ID, name_of_lease());
    (void)snprintf(third, sizeof third, "%s." DEAD_TOO, second);
    pretend(DEAD_ID, name_of_lease(), AGE + 10);
    pretend(DEAD_TOO, second, AGE - 10);
    assert_int_equal(take(&a), LEASE_HELD);
    assert_false(exists(third));
    assert_int_equal(unlinkat(directory, second, 0), 0);
    pretend(DEAD_TOO, second, AGE + 10);
    assert_int_equal(take(&a), LEASE_TAKEN_OVER);
    assert_true(lease_holds(&a, &S));
    assert_false(exists(second));
    assert_false(exists(third));
    lease_close(&a);
}

/* What somebody else has put there is respected as long as a lease. */
static void test_foreign_file(void **state)
{
    struct leases a;
    (void)state;
    begin(&a);
    int fd = openat(directory, name_of_lease(), O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x\n", 2), 2);
    assert_int_equal(take(&a), LEASE_HELD);
    const struct timespec old[2] = {{1, 0}, {1, 0}};
    assert_int_equal(futimens(fd, old), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(take(&a), LEASE_TAKEN_OVER);
    assert_false(lease_is_dead(&a, "nothing", (char[LEASE_HOLDER_SIZE]){0}));
    lease_close(&a);
}

/* What is no file is in the way, and said to be. */
static void test_no_file(void **state)
{
    struct leases a;
    struct problem problem;
    char holder[LEASE_HOLDER_SIZE];
    char name[NAME_MAX + 1];
    (void)state;
    begin(&a);
    assert_int_equal(symlinkat("/etc/passwd", directory, name_of_lease()), 0);
    assert_int_equal(lease_take(&a, &S, &problem), LEASE_FAILED);
    assert_int_equal(problem.status, 503);
    assert_non_null(strstr(problem.reason, "cannot read leases/"));
    assert_false(lease_is_dead(&a, name_of_lease(), holder));
    /* A name that is none of ours. */
    memset(name, 'x', NAME_MAX);
    name[NAME_MAX] = '\0';
    assert_false(lease_is_dead(&a, name, holder));
    lease_close(&a);
}

/* As long as it is to be displayed, it is printable. */
static void test_printable_holder(void **state)
{
    struct leases a;
    char holder[LEASE_HOLDER_SIZE];
    static const char content[] = DEAD_ID " boot lock 42 h\x1b[2J\xc3\xa9\n";
    (void)state;
    begin(&a);
    int fd = openat(directory, name_of_lease(), O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    assert_int_equal(write(fd, content, sizeof content - 1), sizeof content - 1);
    assert_int_equal(close(fd), 0);
    assert_false(lease_is_dead(&a, name_of_lease(), holder));
    assert_string_equal(holder, "host h?[2J?? pid 42");
    lease_close(&a);
}

/* Where there are no locks, time decides also on one machine. */
static void test_no_lock(void **state)
{
    struct leases a;
    struct leases b;
    const struct timespec old[2] = {{1, 0}, {1, 0}};
    (void)state;
    begin(&a);
    begin(&b);
    assert_int_equal(take(&a), LEASE_TAKEN);
    const char *none = "none";
    assert_int_equal(pwrite(a.fd, none, 4, (off_t)(strlen(a.id) + strlen(a.boot) + 2)), 4);
    assert_int_equal(take(&b), LEASE_HELD);
    assert_int_equal(futimens(a.fd, old), 0);
    assert_int_equal(take(&b), LEASE_TAKEN_OVER);
    lease_close(&a);
    lease_close(&b);
}

/* More deaths in a row than can be: the operator is told what to remove. */
static void test_endless_chain(void **state)
{
    struct leases a;
    struct problem problem;
    char name[NAME_MAX + 1];
    (void)state;
    begin(&a);
    (void)snprintf(name, sizeof name, "%s", name_of_lease());
    for (unsigned i = 0; i < 8; i++) {
        char id[LEASE_ID_SIZE];
        (void)snprintf(id, sizeof id, "%016x", i + 1);
        pretend(id, name, AGE + 10);
        (void)snprintf(name + strlen(name), sizeof name - strlen(name), ".%s", id);
    }
    assert_int_equal(lease_take(&a, &S, &problem), LEASE_FAILED);
    assert_non_null(strstr(problem.reason, "too many dead leases: remove leases/"));
    assert_int_equal(unlinkat(directory, name_of_lease(), 0), 0);
    assert_int_equal(take(&a), LEASE_TAKEN);
    lease_close(&a);
}

/* Without a directory that can be looked into, nothing is taken, lost or harmed. */
static void test_no_directory(void **state)
{
    struct leases a;
    struct problem problem;
    (void)state;
    begin(&a);
    assert_int_equal(take(&a), LEASE_TAKEN);
    const int real = a.directory;
    a.directory = -1;
    assert_int_equal(lease_take(&a, &S, &problem), LEASE_FAILED);
    assert_non_null(strstr(problem.reason, "cannot link leases/"));
    assert_true(lease_holds(&a, &S));
    lease_release(&a, &S);
    lease_sweep(&a);
    a.directory = real;
    assert_true(lease_holds(&a, &S));
    lease_close(&a);
    assert_false(lease_open(&a, -1, &problem));
    assert_non_null(strstr(problem.reason, "cannot create leases/runner-"));
}

/* One's own file is removed: nothing is held any more, and it is noticed. */
static void test_removed(void **state)
{
    struct leases a;
    char own[64];
    (void)state;
    begin(&a);
    assert_int_equal(take(&a), LEASE_TAKEN);
    (void)snprintf(own, sizeof own, "runner-%s", a.id);
    assert_int_equal(unlinkat(directory, own, 0), 0);
    assert_true(lease_renew(&a));
    assert_int_equal(unlinkat(directory, name_of_lease(), 0), 0);
    assert_false(lease_holds(&a, &S));
    assert_false(lease_renew(&a));
    lease_close(&a);
}

/* As long as a child has the descriptor, the dead runner's lease is not to be had. */
static void test_inherited_lock(void **state)
{
    struct leases a;
    struct leases b;
    (void)state;
    begin(&a);
    begin(&b);
    assert_int_equal(take(&a), LEASE_TAKEN);
    pid_t child = fork();
    if (child == 0) {
        (void)pause();
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(close(a.fd), 0);
    assert_int_equal(take(&b), LEASE_HELD);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(take(&b), LEASE_TAKEN_OVER);
    lease_close(&b);
}

/* Each tries until somebody has it; the exit status tells whether it was oneself. */
static void be_taker(int start)
{
    struct leases leases;
    struct problem problem;
    char byte;
    bool opened = lease_open(&leases, directory, &problem);
    if (!opened || read(start, &byte, 1) != 0)
        _exit(2);
    bool taken = take(&leases) == LEASE_TAKEN_OVER;
    /* Alive until all have tried. */
    (void)usleep(200000);
    _exit(taken && lease_holds(&leases, &S) ? 1 : 0);
}

static int race(void)
{
    int start[2];
    int winners = 0;
    pid_t takers[TAKERS];
    assert_int_equal(pipe(start), 0);
    for (int i = 0; i < TAKERS; i++) {
        takers[i] = fork();
        assert_true(takers[i] >= 0);
        if (takers[i] == 0) {
            (void)close(start[1]);
            be_taker(start[0]);
        }
    }
    (void)usleep(50000);
    assert_int_equal(close(start[1]), 0);
    for (int i = 0; i < TAKERS; i++) {
        int status;
        assert_int_equal(waitpid(takers[i], &status, 0), takers[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        winners += WEXITSTATUS(status);
    }
    assert_int_equal(close(start[0]), 0);
    return winners;
}

/* Never two; and one, unless all were disturbed by one another. */
static void test_race(void **state)
{
    int winners = 0;
    (void)state;
    for (int round = 0; round < 5; round++) {
        (void)unlinkat(directory, name_of_lease(), 0);
        (void)unlinkat(directory, "runner-" DEAD_ID, 0);
        pretend(DEAD_ID, name_of_lease(), AGE + 10);
        int won = race();
        assert_in_range(won, 0, 1);
        winners += won;
    }
    assert_true(winners > 0);
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_taken_and_released),
        IN_PLACE(test_by_time),
        IN_PLACE(test_clock_jumps_ahead),
        IN_PLACE(test_chain),
        IN_PLACE(test_foreign_file),
        IN_PLACE(test_no_file),
        IN_PLACE(test_printable_holder),
        IN_PLACE(test_no_lock),
        IN_PLACE(test_endless_chain),
        IN_PLACE(test_no_directory),
        IN_PLACE(test_removed),
        IN_PLACE(test_inherited_lock),
        IN_PLACE(test_race),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

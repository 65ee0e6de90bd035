#include "unit.h"

#include "lock.h"
#include "timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534 };

static char base[64];
static int directory;

static int make_place(void **state)
{
    (void)state;
    (void)snprintf(base, sizeof base, "/tmp/test_lock.XXXXXX");
    if (mkdtemp(base) == NULL)
        return -1;
    directory = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return directory < 0 ? -1 : 0;
}

static int remove_place(void **state)
{
    (void)state;
    (void)unlinkat(directory, "lock", AT_REMOVEDIR);
    (void)unlinkat(directory, "lock", 0);
    (void)unlinkat(directory, "other", 0);
    return close(directory) == 0 && rmdir(base) == 0 ? 0 : -1;
}

static int64_t soon(void)
{
    return timestamp_monotonic() + 50;
}

/* --- taking --- */

static void test_takes(void **state)
{
    struct stat status;
    (void)state;
    for (int i = 0; i < 2; i++) {
        int fd = lock_take(directory, "lock", soon());
        assert_true(fd > STDERR_FILENO);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        assert_int_equal(fstat(fd, &status), 0);
        assert_int_equal(status.st_mode, S_IFREG | 0600);
        assert_int_equal(close(fd), 0);
    }
}

/* The lock is the descriptor's, so that threads and children are others, too. */
static void test_is_exclusive(void **state)
{
    (void)state;
    int first = lock_take(directory, "lock", soon());
    assert_true(first >= 0);
    int64_t before = timestamp_monotonic();
    assert_int_equal(lock_take(directory, "lock", before + 50), -1);
    assert_int_equal(errno, ETIMEDOUT);
    assert_true(timestamp_monotonic() >= before + 50);
    int other = lock_take(directory, "other", soon());
    assert_true(other >= 0);
    assert_int_equal(close(other), 0);
    assert_int_equal(close(first), 0);
    int second = lock_take(directory, "lock", soon());
    assert_true(second >= 0);
    assert_int_equal(close(second), 0);
}

/* However its holder ends. */
static void test_ends_with_its_holder(void **state)
{
    int told[2];
    char byte;
    (void)state;
    assert_int_equal(pipe(told), 0);
    pid_t holder = fork();
    assert_true(holder >= 0);
    if (holder == 0) {
        if (lock_take(directory, "lock", soon()) < 0 || write(told[1], "x", 1) != 1)
            _exit(1);
        (void)pause();
        _exit(1);
    }
    assert_int_equal(read(told[0], &byte, 1), 1);
    assert_int_equal(lock_take(directory, "lock", soon()), -1);
    assert_int_equal(kill(holder, SIGKILL), 0);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
    int fd = lock_take(directory, "lock", soon());
    assert_true(fd >= 0);
    assert_int_equal(close(fd) + close(told[0]) + close(told[1]), 0);
}

/* --- refusing --- */

static void put_file(const char *name, mode_t mode)
{
    int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "content", 7), 7);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static void put_link(void)
{
    put_file("other", 0600);
    assert_int_equal(symlinkat("other", directory, "lock"), 0);
}

static void put_dangling_link(void)
{
    assert_int_equal(symlinkat("other", directory, "lock"), 0);
}

static void put_hard_link(void)
{
    put_file("other", 0600);
    assert_int_equal(linkat(directory, "other", directory, "lock", 0), 0);
}

static void put_fifo(void)
{
    assert_int_equal(mkfifoat(directory, "lock", 0600), 0);
}

static void put_directory(void)
{
    assert_int_equal(mkdirat(directory, "lock", 0700), 0);
}

static void put_legible(void)
{
    put_file("lock", 0640);
}

static void put_writable(void)
{
    put_file("lock", 0602);
}

static void put_foreign(void)
{
    put_file("lock", 0600);
    if (geteuid() != 0)
        skip(); /* only root can make something another user's */
    assert_int_equal(fchownat(directory, "lock", NOBODY, NOBODY, AT_SYMLINK_NOFOLLOW), 0);
}

static void test_refuses(void **state)
{
    static const struct {
        const char *name;
        void (*put)(void);
        int error;
    } rows[] = {{"link", put_link, ELOOP},
                {"dangling link", put_dangling_link, ELOOP},
                {"hard link", put_hard_link, EPERM},
                {"fifo", put_fifo, EPERM},
                {"directory", put_directory, EISDIR},
                {"legible", put_legible, EPERM},
                {"writable", put_writable, EPERM},
                {"foreign", put_foreign, EPERM}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rows[i].put();
        errno = 0;
        if (lock_take(directory, "lock", soon()) >= 0)
            fail_msg("%s: taken", rows[i].name);
        if (errno != rows[i].error)
            fail_msg("%s: %s", rows[i].name, strerror(errno));
        assert_int_equal(remove_place(state), 0);
        assert_int_equal(make_place(state), 0);
    }
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_takes),
        IN_PLACE(test_is_exclusive),
        IN_PLACE(test_ends_with_its_holder),
        IN_PLACE(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

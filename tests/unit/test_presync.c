#include "unit.h"

#include "presync.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534 };

static char path[64];
static int file;
static int channel[2];

static int make_files(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "/tmp/test_presync.XXXXXX");
    file = mkostemp(path, O_CLOEXEC);
    return file < 0 ? -1 : pipe2(channel, O_CLOEXEC);
}

static int remove_files(void **state)
{
    (void)state;
    (void)close(channel[0]);
    (void)close(channel[1]);
    return close(file) == 0 ? unlink(path) : -1;
}

static void wait_until_ended(const struct presync *presync)
{
    while (presync_is_busy(presync))
        (void)usleep(1000);
}

static void test_syncs(void **state)
{
    struct presync presync = {.begun = false};
    (void)state;
    assert_false(presync_is_busy(&presync));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(write(file, "more", 4), 4);
        assert_true(presync_begin(&presync, file));
        assert_true(presync.begun);
        wait_until_ended(&presync);
    }
    assert_true(presync_end(&presync));
    assert_false(presync_is_busy(&presync));
    assert_true(presync_end(&presync));
}

/* By the next that would begin, and at the end, again and again. A pipe cannot be synced. */
static void test_tells_of_a_failure(void **state)
{
    (void)state;
    for (int begins = 0; begins < 2; begins++) {
        struct presync presync = {.begun = false};
        assert_true(presync_begin(&presync, channel[1]));
        wait_until_ended(&presync);
        for (int i = 0; i < 3; i++) {
            errno = 0;
            assert_false(begins == 1 ? presync_begin(&presync, file) : presync_end(&presync));
            assert_int_equal(errno, EINVAL);
            assert_false(presync_is_busy(&presync));
        }
        assert_false(presync_end(&presync));
    }
}

/* In a process of its own, which stays as limited as that. Returns its exit status. */
static int begin_without_threads(void)
{
    struct presync presync = {.begun = false};
    const struct rlimit none = {0, 0};
    if ((geteuid() == 0 && setuid(NOBODY) != 0) || setrlimit(RLIMIT_NPROC, &none) != 0)
        return 2;
    if (!presync_begin(&presync, channel[1]) || presync.begun || presync_is_busy(&presync))
        return 3;
    return presync_end(&presync) ? 0 : 4;
}

static void test_no_thread(void **state)
{
    int status;
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(begin_without_threads());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static volatile sig_atomic_t handled_by;

static void handle(int number)
{
    (void)number;
    handled_by = gettid();
}

/* Signals wait for the thread that writes, even if it blocks them. */
static void test_takes_no_signal(void **state)
{
    const struct sigaction action = {.sa_handler = handle};
    struct presync presync = {.begun = false};
    sigset_t one;
    (void)state;
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    assert_int_equal(sigemptyset(&one), 0);
    assert_int_equal(sigaddset(&one, SIGUSR1), 0);
    for (int i = 0; i < 50; i++) {
        handled_by = 0;
        assert_int_equal(write(file, "more", 4), 4);
        assert_true(presync_begin(&presync, file));
        assert_int_equal(pthread_sigmask(SIG_BLOCK, &one, NULL), 0);
        assert_int_equal(kill(getpid(), SIGUSR1), 0);
        assert_true(presync_end(&presync));
        assert_int_equal(handled_by, 0);
        assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &one, NULL), 0);
        assert_int_equal(handled_by, getpid());
    }
}

#define WITH_FILES(test) cmocka_unit_test_setup_teardown(test, make_files, remove_files)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILES(test_syncs),
        WITH_FILES(test_tells_of_a_failure),
        WITH_FILES(test_no_thread),
        WITH_FILES(test_takes_no_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

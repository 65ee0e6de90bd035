#include "unit.h"

#include "process.h"
#include "response.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE = 30 }; /* seconds to wait for an alarm that is due sooner */

/* --- programs: each runs in a process of its own, with pipes as standard descriptors --- */

struct ending {
    char output[4096];
    char log[4096];
    int status; /* as from waitpid() */
};

static void become_program(const int *input, const int *output, const int *log)
{
    if (dup2(input[0], STDIN_FILENO) < 0 || dup2(output[1], STDOUT_FILENO) < 0 ||
        dup2(log[1], STDERR_FILENO) < 0)
        _exit(100);
    for (int fd = STDERR_FILENO + 1; fd < 100; fd++)
        (void)close(fd);
}

/* Everything from the reading end of a pipe, as a string. It closes both ends. */
static void collect(const int *ends, char *text, size_t size)
{
    size_t length = 0;
    ssize_t got;
    assert_int_equal(close(ends[1]), 0);
    while ((got = read(ends[0], text + length, size - 1 - length)) > 0)
        length += (size_t)got;
    assert_int_equal(got, 0);
    assert_int_equal(close(ends[0]), 0);
    text[length] = '\0';
}

/* Run a program; what it returns is its exit status. */
static struct ending run(int (*program)(int), int argument)
{
    int input[2];
    int output[2];
    int log[2];
    struct ending ending;
    assert_int_equal(pipe(input), 0);
    assert_int_equal(pipe(output), 0);
    assert_int_equal(pipe(log), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        become_program(input, output, log);
        _exit(program(argument));
    }
    collect(output, ending.output, sizeof ending.output);
    collect(log, ending.log, sizeof ending.log);
    assert_int_equal(close(input[0]) + close(input[1]), 0);
    assert_int_equal(waitpid(child, &ending.status, 0), child);
    return ending;
}

/* A program that checks something itself returns 0, or the line in which it found a fault. */
static void assert_fine(const char *name, const struct ending *ending)
{
    if (!WIFEXITED(ending->status) || WEXITSTATUS(ending->status) != 0)
        fail_msg("%s: status %#x, %s", name, (unsigned)ending->status, ending->log);
}

/* Exit statuses have one byte: the line that failed is told on standard error. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)dprintf(STDERR_FILENO, "line %d: %s\n", __LINE__, #condition);                   \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

/* --- signals that end the process --- */

static int emergency_program(int argument)
{
    (void)argument;
    return response_emergency() ? 0 : 1;
}

/* Assert that a program ended as a deadly signal ends one: with one 503, one line, and a 1. */
static void assert_ended(const char *name, const struct ending *ending, const char *word)
{
    static const char log[] = "outcome=failed status=503 reason=\"";
    const struct ending emergency = run(emergency_program, 0);
    if (!WIFEXITED(ending->status) || WEXITSTATUS(ending->status) != 1)
        fail_msg("%s: status %#x", name, (unsigned)ending->status);
    if (strcmp(ending->output, emergency.output) != 0)
        fail_msg("%s: answered %s", name, ending->output);
    const char *end = strchr(ending->log, '\n');
    if (strncmp(ending->log, log, sizeof log - 1) != 0 || strstr(ending->log, word) == NULL ||
        end == NULL || end[-1] != '"' || end[1] != '\0')
        fail_msg("%s: logged %s", name, ending->log);
}

static const struct deadly {
    int number;
    const char *name;
    const char *word; /* of the log */
} deadly[] = {
    {SIGALRM, "SIGALRM", "deadline"}, {SIGTERM, "SIGTERM", "SIGTERM"},
    {SIGSEGV, "SIGSEGV", "SIGSEGV"},  {SIGBUS, "SIGBUS", "SIGBUS"},
    {SIGABRT, "SIGABRT", "SIGABRT"},  {SIGFPE, "SIGFPE", "SIGFPE"},
    {SIGILL, "SIGILL", "SIGILL"},     {SIGXCPU, "SIGXCPU", "SIGXCPU"},
};

static int raise_program(int number)
{
    process_start(0);
    (void)raise(number);
    return 2;
}

/* As a parent may leave them. */
static int raise_ignored_program(int number)
{
    (void)signal(number, SIG_IGN);
    return raise_program(number);
}

/* It must not wait until it is unblocked by chance: a pending one comes at once. */
static int raise_blocked_program(int number)
{
    sigset_t all;
    (void)sigfillset(&all);
    if (sigprocmask(SIG_BLOCK, &all, NULL) != 0)
        return 2;
    (void)raise(number);
    process_start(0);
    return 3;
}

static void test_deadly_signals(void **state)
{
    static int (*const programs[])(int) = {raise_program, raise_ignored_program,
                                           raise_blocked_program};
    (void)state;
    for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++) {
        for (size_t j = 0; j < sizeof programs / sizeof programs[0]; j++) {
            struct ending ending = run(programs[j], deadly[i].number);
            assert_ended(deadly[i].name, &ending, deadly[i].word);
        }
    }
}

static int abort_program(int argument)
{
    (void)argument;
    process_start(0);
    abort();
}

static void test_abort(void **state)
{
    (void)state;
    struct ending ending = run(abort_program, 0);
    assert_ended("abort()", &ending, "SIGABRT");
}

static int recurse(volatile int depth)
{
    volatile char frame[4096];
    frame[0] = (char)depth;
    return depth < 0 ? 0 : recurse(depth + 1) + frame[0];
}

/* Where the stack itself is what went wrong, the handler needs another one. */
static int overflow_program(int argument)
{
    (void)argument;
    process_start(0);
    return recurse(0);
}

static void test_stack_overflow(void **state)
{
    (void)state;
    struct ending ending = run(overflow_program, 0);
    assert_ended("stack overflow", &ending, "SIGSEGV");
}

/* Nothing interrupts the answer and the line but the end. */
static int handler_mask_program(int number)
{
    struct sigaction action;
    process_start(0);
    CHECK(sigaction(number, NULL, &action) == 0);
    for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++)
        CHECK(sigismember(&action.sa_mask, deadly[i].number) == 1);
    return 0;
}

static void test_handler_is_not_interrupted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++) {
        struct ending ending = run(handler_mask_program, deadly[i].number);
        assert_fine(deadly[i].name, &ending);
    }
}

static int stored_program(int number)
{
    process_start(0);
    if (!response_stored(text_of("msg-1"), "file", false))
        return 2;
    if (number != 0)
        (void)raise(number);
    return 0;
}

/* The sender has its 202; a second answer would be rubbish behind the first. */
static void test_signal_after_the_answer(void **state)
{
    (void)state;
    struct ending expected = run(stored_program, 0);
    assert_fine("without a signal", &expected);
    for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++) {
        struct ending ending = run(stored_program, deadly[i].number);
        if (!WIFEXITED(ending.status) || WEXITSTATUS(ending.status) != 1)
            fail_msg("%s: status %#x", deadly[i].name, (unsigned)ending.status);
        if (strcmp(ending.output, expected.output) != 0)
            fail_msg("%s: %s", deadly[i].name, ending.output);
        /* It has not failed: the sender has heard 202. */
        if (strstr(ending.log, "outcome=ended reason=") == NULL ||
            strstr(ending.log, "status=") != NULL || strstr(ending.log, deadly[i].word) == NULL)
            fail_msg("%s: %s", deadly[i].name, ending.log);
    }
}

static int to_nobody_program(int number)
{
    process_start(0);
    response_to_nobody();
    (void)raise(number);
    return 2;
}

/* On a command line, the log is all there is. */
static void test_signal_with_nobody_to_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++) {
        struct ending ending = run(to_nobody_program, deadly[i].number);
        if (!WIFEXITED(ending.status) || WEXITSTATUS(ending.status) != 1)
            fail_msg("%s: status %#x", deadly[i].name, (unsigned)ending.status);
        if (ending.output[0] != '\0' || strstr(ending.log, deadly[i].word) == NULL)
            fail_msg("%s: %s%s", deadly[i].name, ending.output, ending.log);
    }
}

/* Nobody is left to hear the answer or read the log. */
static int deaf_program(int number)
{
    int ends[2];
    process_start(0);
    if (pipe(ends) != 0 || dup2(ends[1], STDOUT_FILENO) < 0 || dup2(ends[1], STDERR_FILENO) < 0 ||
        close(ends[0]) != 0)
        return 2;
    (void)raise(number);
    return 3;
}

static void test_signal_with_broken_pipes(void **state)
{
    (void)state;
    struct ending ending = run(deaf_program, SIGTERM);
    assert_true(WIFEXITED(ending.status));
    assert_int_equal(WEXITSTATUS(ending.status), 1);
}

/* --- the file that goes with the process --- */

static char place[64];

static bool is_there(const char *name)
{
    char path[128];
    struct stat status;
    (void)snprintf(path, sizeof path, "%s/%s", place, name);
    return lstat(path, &status) == 0;
}

static int make_place(void **state)
{
    (void)state;
    (void)snprintf(place, sizeof place, "/tmp/test_process.XXXXXX");
    return mkdtemp(place) == NULL ? -1 : 0;
}

static int remove_place(void **state)
{
    static const char *const names[] = {"first", "second"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", place, names[i]);
        (void)unlink(path);
    }
    return rmdir(place);
}

static void (*tell)(int directory);

/* Two files are made; what becomes of them is told to the process; then the signal comes. */
static int files_program(int number)
{
    process_start(0);
    int directory = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(directory >= 0);
    int first = openat(directory, "first", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int second = openat(directory, "second", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(first >= 0 && second >= 0);
    tell(directory);
    (void)raise(number);
    return 2;
}

static void tell_one(int directory)
{
    process_remove_at_end(directory, "first");
}

static void tell_nothing(int directory)
{
    (void)directory;
}

static const char first_name[] = "first";
static const char second_name[] = "second";

static void tell_both(int directory)
{
    process_remove_at_end(directory, first_name);
    process_remove_at_end(directory, second_name);
}

static void tell_and_forget(int directory)
{
    tell_both(directory);
    process_keep(first_name);
    process_keep(second_name);
}

static void tell_and_forget_first(int directory)
{
    tell_both(directory);
    process_keep(first_name);
}

/* As when one gave way to another. */
static void tell_one_after_the_other(int directory)
{
    tell_both(directory);
    process_keep(first_name);
    process_remove_at_end(directory, first_name);
    process_keep(second_name);
}

/* It is gone already, as right after it was removed. */
static void tell_of_what_is_gone(int directory)
{
    process_remove_at_end(directory, "first");
    (void)unlinkat(directory, "first", 0);
}

/* A path that is relative, whatever the directory that the process is in. */
static void tell_one_and_go_away(int directory)
{
    process_remove_at_end(directory, "first");
    (void)chdir("/");
}

static const struct {
    const char *name;
    void (*tell)(int directory);
    bool first; /* whether it stays */
    bool second;
} removals[] = {
    {"one", tell_one, false, true},
    {"nothing", tell_nothing, true, true},
    {"both", tell_both, false, false},
    {"forgotten", tell_and_forget, true, true},
    {"first forgotten", tell_and_forget_first, true, false},
    {"in turn", tell_one_after_the_other, false, true},
    {"gone", tell_of_what_is_gone, false, true},
    {"away", tell_one_and_go_away, false, true},
};

static void test_removes_at_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof removals / sizeof removals[0]; i++)
        for (size_t j = 0; j < sizeof deadly / sizeof deadly[0]; j++) {
            tell = removals[i].tell;
            struct ending ending = run(files_program, deadly[j].number);
            assert_ended(deadly[j].name, &ending, deadly[j].word);
            if (is_there("first") != removals[i].first || is_there("second") != removals[i].second)
                fail_msg("%s, %s: the wrong file was removed", removals[i].name, deadly[j].name);
        }
}

/* From outside, while it waits in a system call; and a file stays where nobody asks to go. */
static int waiting_program(int unused)
{
    (void)unused;
    process_start(0);
    int directory = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = openat(directory, "first", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(directory >= 0 && fd >= 0);
    process_remove_at_end(directory, "first");
    CHECK(openat(directory, "second", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0);
    (void)sleep(PATIENCE);
    return 2;
}

static void test_removes_when_killed_from_outside(void **state)
{
    int status;
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(STDOUT_FILENO);
        (void)close(STDERR_FILENO);
        _exit(waiting_program(0));
    }
    for (int i = 0; i < PATIENCE * 100 && !is_there("second"); i++)
        (void)usleep(10000);
    assert_true(is_there("first"));
    assert_int_equal(kill(child, SIGTERM), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_false(is_there("first"));
    assert_true(is_there("second"));
}

/* --- the alarm --- */

static int wait_program(int seconds)
{
    process_start((unsigned)seconds);
    (void)sleep(PATIENCE);
    return 2;
}

static void test_alarm(void **state)
{
    struct timespec before;
    struct timespec after;
    (void)state;
    (void)clock_gettime(CLOCK_MONOTONIC, &before);
    struct ending ending = run(wait_program, 1);
    (void)clock_gettime(CLOCK_MONOTONIC, &after);
    assert_ended("alarm", &ending, "deadline");
    double seconds = (double)(after.tv_sec - before.tv_sec) +
                     (double)(after.tv_nsec - before.tv_nsec) / 1000000000;
    assert_true(seconds > 0.9 && seconds < PATIENCE);
}

/* The time for it is the program's own, not what is left of its parent's. */
static int remaining_program(int seconds)
{
    (void)alarm(PATIENCE);
    process_start((unsigned)seconds);
    unsigned left = alarm(0);
    CHECK(seconds == 0 ? left == 0 : left + 5 > (unsigned)seconds);
    CHECK(left <= (unsigned)seconds);
    return 0;
}

static void test_alarm_replaces_another(void **state)
{
    (void)state;
    struct ending ending = run(remaining_program, 1000);
    assert_fine("1000 seconds", &ending);
    ending = run(remaining_program, 0);
    assert_fine("no alarm", &ending);
}

/* --- signals that do not end it --- */

static int ignored_program(int unused)
{
    int ends[2];
    const struct rlimit limit = {10, 10};
    (void)unused;
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGXFSZ, SIG_DFL);
    process_start(0);
    CHECK(pipe(ends) == 0 && close(ends[0]) == 0);
    CHECK(write(ends[1], "x", 1) == -1 && errno == EPIPE);
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    CHECK(fd >= 0);
    CHECK(write(fd, "0123456789abcdef", 16) == 10);
    CHECK(write(fd, "abcdef", 6) == -1 && errno == EFBIG);
    return 0;
}

static void test_ignored_signals(void **state)
{
    (void)state;
    struct ending ending = run(ignored_program, 0);
    assert_fine("SIGPIPE and SIGXFSZ", &ending);
}

static int unblocked_program(int unused)
{
    sigset_t set;
    (void)unused;
    CHECK(sigfillset(&set) == 0 && sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    process_start(0);
    CHECK(sigprocmask(SIG_BLOCK, NULL, &set) == 0);
    for (int number = 1; number <= SIGRTMAX; number++)
        CHECK(sigismember(&set, number) != 1);
    return 0;
}

static void test_unblocked_signals(void **state)
{
    (void)state;
    struct ending ending = run(unblocked_program, 0);
    assert_fine("mask", &ending);
}

/* --- standard descriptors and umask --- */

static bool is_null_device(int fd)
{
    struct stat status;
    struct stat null;
    return fstat(fd, &status) == 0 && stat("/dev/null", &null) == 0 && S_ISCHR(status.st_mode) &&
           status.st_rdev == null.st_rdev;
}

static int write_to_all(int closed)
{
    char byte;
    if ((closed & 1) != 0)
        CHECK(read(STDIN_FILENO, &byte, 1) == 0);
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
        CHECK(write(fd, "x", 1) == 1);
    return 0;
}

/* `closed` is a set of bits, one for each standard descriptor. Where standard error is closed, a
 * fault is seen by the exit status alone. */
static int closed_program(int closed)
{
    struct stat before[3];
    struct stat after;
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        CHECK(fstat(fd, &before[fd]) == 0);
        if ((closed >> fd & 1) != 0)
            CHECK(close(fd) == 0);
    }
    process_start(0);
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        CHECK(fstat(fd, &after) == 0);
        if ((closed >> fd & 1) != 0)
            CHECK(is_null_device(fd));
        else
            CHECK(after.st_dev == before[fd].st_dev && after.st_ino == before[fd].st_ino);
    }
    /* Neither is one of ours a standard descriptor, nor is one left open. */
    CHECK(open("/", O_RDONLY | O_DIRECTORY) == STDERR_FILENO + 1);
    return write_to_all(closed);
}

static void test_closed_descriptors(void **state)
{
    (void)state;
    for (int closed = 0; closed < 8; closed++) {
        char name[32];
        (void)snprintf(name, sizeof name, "closed %d", closed);
        struct ending ending = run(closed_program, closed);
        assert_fine(name, &ending);
        assert_string_equal(ending.output, (closed & 2) == 0 ? "x" : "");
        assert_string_equal(ending.log, (closed & 4) == 0 ? "x" : "");
    }
}

static int umask_program(int before)
{
    (void)umask((mode_t)before);
    process_start(0);
    CHECK(umask(0) == 007);
    return 0;
}

static void test_umask(void **state)
{
    static const int masks[] = {0, 007, 022, 077, 0777};
    (void)state;
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        struct ending ending = run(umask_program, masks[i]);
        assert_fine("umask", &ending);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadly_signals),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_stack_overflow),
        cmocka_unit_test(test_handler_is_not_interrupted),
        cmocka_unit_test(test_signal_after_the_answer),
        cmocka_unit_test(test_signal_with_nobody_to_answer),
        cmocka_unit_test(test_signal_with_broken_pipes),
        cmocka_unit_test_setup_teardown(test_removes_at_end, make_place, remove_place),
        cmocka_unit_test_setup_teardown(test_removes_when_killed_from_outside, make_place,
                                        remove_place),
        cmocka_unit_test(test_alarm),
        cmocka_unit_test(test_alarm_replaces_another),
        cmocka_unit_test(test_ignored_signals),
        cmocka_unit_test(test_unblocked_signals),
        cmocka_unit_test(test_closed_descriptors),
        cmocka_unit_test(test_umask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

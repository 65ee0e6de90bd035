#include "unit.h"

#include "attempt.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "20250423T100153.812Z_order_m.json"

static char base[64];
static struct spool spool;
static int directory;

static int make_place(void **state)
{
    struct problem problem;
    (void)state;
    (void)umask(007);
    (void)snprintf(base, sizeof base, "/tmp/test_attempt.XXXXXX");
    if (mkdtemp(base) == NULL || !spool_open(&spool, base, 0, &problem))
        return -1;
    directory = spool_open_shared(&spool, ATTEMPT_DIRECTORY, &problem);
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
    spool_close(&spool);
    return nftw(base, remove_one, 16, FTW_PHYS | FTW_DEPTH);
}

static void test_written_and_read(void **state)
{
    struct problem problem;
    struct attempt attempt = {3, 2, INT64_C(1745402513812), "exit 1: ERP is closed"};
    struct attempt back;
    struct stat status;
    (void)state;
    assert_true(attempt_read(directory, NAME, &back, &problem));
    assert_int_equal(back.attempts, 0);
    assert_true(attempt_write(&spool, directory, NAME, &attempt, &problem));
    assert_true(attempt_read(directory, NAME, &back, &problem));
    assert_memory_equal(&back, &attempt, sizeof back);
    assert_int_equal(fstatat(directory, NAME, &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    attempt.attempts = 4;
    memset(attempt.error, 'x', sizeof attempt.error - 1);
    assert_true(attempt_write(&spool, directory, NAME, &attempt, &problem));
    assert_true(attempt_read(directory, NAME, &back, &problem));
    assert_memory_equal(&back, &attempt, sizeof back);
    assert_true(attempt_forget(directory, NAME));
    assert_true(attempt_forget(directory, NAME));
    assert_true(attempt_read(directory, NAME, &back, &problem));
    assert_int_equal(back.attempts, 0);
    assert_string_equal(back.error, "");
}

static void read_content(const char *content, size_t length, struct attempt *attempt)
{
    struct problem problem;
    int fd = openat(directory, NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, length), length);
    assert_int_equal(close(fd), 0);
    assert_true(attempt_read(directory, NAME, attempt, &problem));
}

/* Anybody of the group may have written it. */
static void test_nonsense(void **state)
{
    struct attempt attempt;
    struct problem problem;
    char *large = malloc(100000);
    (void)state;
    assert_non_null(large);
    memset(large, 'a', 100000);
    read_content("", 0, &attempt);
    assert_int_equal(attempt.attempts, 0);
    read_content(large, 100000, &attempt);
    assert_int_equal(attempt.attempts, 0);
    read_content("attempts -1\nfailures 99999999999999\nretry soon\nerror a\033[31mb\n", 61,
                 &attempt);
    assert_int_equal(attempt.attempts, 0);
    assert_int_equal(attempt.failures, 0);
    assert_int_equal(attempt.retry, 0);
    assert_string_equal(attempt.error, "a?[31mb");
    read_content("attempts 5\nerror", 16, &attempt);
    assert_int_equal(attempt.attempts, 5);
    assert_string_equal(attempt.error, "");
    read_content("attempts 5\0\nerror x\n", 20, &attempt);
    assert_int_equal(attempt.attempts, 0);
    assert_true(attempt_forget(directory, NAME));
    assert_int_equal(symlinkat("/etc/passwd", directory, NAME), 0);
    assert_true(attempt_read(directory, NAME, &attempt, &problem));
    assert_int_equal(attempt.attempts, 0);
    assert_true(attempt_forget(directory, NAME));
    assert_int_equal(mkdirat(directory, NAME, 0700), 0);
    assert_true(attempt_read(directory, NAME, &attempt, &problem));
    assert_true(attempt_forget(directory, NAME));
    assert_false(attempt_forget(-1, NAME));
    free(large);
}

static void test_unwritable(void **state)
{
    struct problem problem;
    const struct attempt attempt = {1, 1, 0, ""};
    (void)state;
    /* Nothing can be renamed over a directory. */
    assert_int_equal(mkdirat(directory, NAME, 0700), 0);
    assert_false(attempt_write(&spool, directory, NAME, &attempt, &problem));
    assert_non_null(strstr(problem.reason, NAME));
    char path[96];
    (void)snprintf(path, sizeof path, "%s/tmp", base);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkdir(path, 0770), 0);
}

static void test_delays(void **state)
{
    static const struct {
        unsigned attempts;
        int64_t whole;
    } rows[] = {{1, 1000},   {2, 2000},    {3, 4000},    {8, 128000},
                {9, 256000}, {10, 300000}, {11, 300000}, {4000000000, 300000}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t half = rows[i].whole / 2;
        assert_int_equal(attempt_delay(rows[i].attempts, 0), half);
        assert_int_equal(attempt_delay(rows[i].attempts, (uint64_t)half), rows[i].whole);
        assert_int_equal(attempt_delay(rows[i].attempts, (uint64_t)half + 1), half);
        int64_t any = attempt_delay(rows[i].attempts, UINT64_MAX);
        assert_true(any >= half && any <= rows[i].whole);
    }
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_written_and_read),
        IN_PLACE(test_nonsense),
        IN_PLACE(test_unwritable),
        cmocka_unit_test(test_delays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

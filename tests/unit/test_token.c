/* Also of lock and pace, which share the directory. */
#include "lock.h"
#include "pace.h"
#include "timestamp.h"
#include "token.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char place[] = "/tmp/test_token.XXXXXX";
static int directory;

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(place) == NULL)
        return -1;
    directory = open(place, O_RDONLY | O_DIRECTORY);
    return directory < 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"token.json", "token.json.new", "pace", "lock", "other"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)unlinkat(directory, names[i], 0);
    return close(directory) + rmdir(place);
}

static void put(const char *name, const char *content, mode_t mode)
{
    (void)unlinkat(directory, name, 0);
    int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static struct token sample(void)
{
    struct token token = {.expires = timestamp_now() + 600000};
    (void)snprintf(token.access, sizeof token.access, "a.b\"c");
    (void)snprintf(token.refresh, sizeof token.refresh, "refresh");
    return token;
}

static void save(const struct token *token)
{
    struct problem problem = {0};
    assert_true(token_save(token, directory, "https://api", "1:2", &problem));
}

static void load(struct token *token)
{
    token_load(token, directory, "https://api", "1:2");
}

static void test_kept(void **state)
{
    (void)state;
    static struct token token;
    struct stat status;
    const struct token saved = sample();
    save(&saved);
    load(&token);
    assert_memory_equal(&token, &saved, sizeof token);
    assert_true(token_is_fresh(&token));
    assert_int_equal(fstatat(directory, "token.json", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

static void test_failure_kept(void **state)
{
    (void)state;
    static struct token token;
    struct token failed = {
        .failed_at = timestamp_now(), .failure = {502, "refused"}, .refused = true};
    save(&failed);
    load(&token);
    assert_memory_equal(&token, &failed, sizeof token);
    assert_true(token_is_pausing(&token));
    assert_false(token_is_fresh(&token));
    token.failed_at -= TOKEN_PAUSE;
    assert_false(token_is_pausing(&token));
    token.failed_at = timestamp_now() + 100000; /* the clock was set back */
    assert_false(token_is_pausing(&token));
}

static void assert_nothing(const char *why)
{
    static struct token token;
    load(&token);
    if (token.access[0] != '\0' || token.refresh[0] != '\0' || token.failed_at != 0)
        fail_msg("%s: a token was found", why);
}

static void test_foreign(void **state)
{
    (void)state;
    static struct token token;
    const struct token saved = sample();
    save(&saved);
    token_load(&token, directory, "https://other", "1:2");
    assert_string_equal(token.access, "");
    token_load(&token, directory, "https://api", "1:3");
    assert_string_equal(token.access, "");
    assert_int_equal(fchmodat(directory, "token.json", 0640, 0), 0);
    assert_nothing("readable by the group");
    save(&saved);
    assert_int_equal(linkat(directory, "token.json", directory, "other", 0), 0);
    assert_nothing("hard-linked");
    assert_int_equal(unlinkat(directory, "token.json", 0), 0);
    assert_int_equal(symlinkat("other", directory, "token.json"), 0);
    assert_nothing("a symbolic link");
    assert_int_equal(unlinkat(directory, "token.json", 0), 0);
    assert_int_equal(mkfifoat(directory, "token.json", 0600), 0);
    assert_nothing("a pipe");
    assert_int_equal(unlinkat(directory, "token.json", 0), 0);
    assert_nothing("missing");
}

static void test_damaged(void **state)
{
    (void)state;
    static const char *const contents[] = {
        "",
        "{",
        "null",
        "[]",
        "3",
        "{}",
        "\"api\"",
        "{\"api\":1,\"credentials\":2}",
        "{\"api\":\"https://api\",\"credentials\":\"1:2\",\"access\":5,\"refresh\":null,"
        "\"expires\":\"x\",\"failedAt\":[]}",
        "{\"api\":\"https://api\",\"credentials\":\"1:2\"",
    };
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        put("token.json", contents[i], 0600);
        assert_nothing(contents[i]);
    }
}

static void test_fresh(void **state)
{
    (void)state;
    struct token token = sample();
    token.expires = timestamp_now() + TOKEN_MARGIN + 1000;
    assert_true(token_is_fresh(&token));
    token.expires = timestamp_now() + TOKEN_MARGIN - 1;
    assert_false(token_is_fresh(&token));
}

/* {"exp":4102444800}, 2100-01-01, in the middle of a JWT; {"exp":1}; {"exp":"x"}; no JSON. */
static void test_expiry(void **state)
{
    (void)state;
    static const struct {
        const char *access;
        int64_t expires; /* or, if small, milliseconds from now */
    } rows[] = {
        {"e30.eyJleHAiOjQxMDI0NDQ4MDB9.c2ln", 4102444800000},
        {"e30.eyJleHAiOjQxMDI0NDQ4MDB9", 4102444800000},
        {"e30.eyJleHAiOjF9.c2ln", 60000},
        {"e30.eyJleHAiOiJ4In0.c2ln", TOKEN_DEFAULT},
        {"e30.bm8.c2ln", TOKEN_DEFAULT},
        {"opaque", TOKEN_DEFAULT},
        {"a.b.c", TOKEN_DEFAULT},
        {"..", TOKEN_DEFAULT},
        {".", TOKEN_DEFAULT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t now = timestamp_now();
        int64_t expires = token_expiry(rows[i].access);
        int64_t expected = rows[i].expires + (rows[i].expires < 1000000 ? now : 0);
        if (expires < expected || expires > expected + 1000)
            fail_msg("%s: %lld", rows[i].access, (long long)(expires - now));
    }
}

static void test_lock(void **state)
{
    (void)state;
    int fd = lock_take(directory, "lock", 0);
    assert_true(fd >= 0);
    int64_t before = timestamp_monotonic();
    assert_int_equal(lock_take(directory, "lock", before + 100), -1);
    assert_int_equal(errno, ETIMEDOUT);
    assert_true(timestamp_monotonic() >= before + 100);
    assert_int_equal(close(fd), 0);
    fd = lock_take(directory, "lock", 0);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

/* A holder that is killed blocks nobody. */
static void test_lock_of_the_dead(void **state)
{
    (void)state;
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = lock_take(directory, "lock", 0);
        (void)!write(ready[1], "x", 1);
        (void)pause();
        _exit(fd < 0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(lock_take(directory, "lock", 0), -1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    int fd = lock_take(directory, "lock", 0);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(close(ready[0]) + close(ready[1]), 0);
}

static struct pace pace_until(int64_t deadline)
{
    return (struct pace){.directory = directory, .timeout = 25000, .deadline = deadline};
}

static bool wait_for_turn(int64_t deadline, struct problem *problem)
{
    const struct pace pace = pace_until(deadline);
    return pace_wait(&pace, "pace", 1000, problem);
}

static void test_pace(void **state)
{
    (void)state;
    struct problem problem = {0};
    int64_t start = timestamp_monotonic();
    for (int i = 0; i < 5; i++)
        assert_true(wait_for_turn(start + 10000, &problem));
    assert_true(timestamp_monotonic() - start >= 4 * PACE_INTERVAL - 1);
    /* The next turn is too late for these, who do not take it. */
    for (int i = 0; i < 3; i++) {
        assert_false(wait_for_turn(timestamp_monotonic() + 20, &problem));
        assert_int_equal(problem.status, 503);
    }
    start = timestamp_monotonic();
    assert_true(wait_for_turn(start + 1000, &problem));
    assert_true(timestamp_monotonic() - start <= 1000);
}

/* It is soon enough, but would leave too little time. */
static void test_reserve(void **state)
{
    (void)state;
    struct problem problem = {0};
    struct pace pace = pace_until(timestamp_monotonic() + 5000);
    put("pace", "0\n", 0600);
    assert_true(pace_wait(&pace, "pace", 4, &problem)); /* at once, whatever is left */
    assert_false(pace_wait(&pace, "pace", 4, &problem));
    assert_int_equal(problem.status, 503);
    assert_true(pace_wait(&pace, "pace", 8, &problem));
}

static void test_late(void **state)
{
    (void)state;
    struct problem problem = {0};
    put("pace", "0\n", 0600);
    assert_false(wait_for_turn(timestamp_monotonic() - 1, &problem));
    assert_int_equal(problem.status, 504);
    int fd = lock_take(directory, "pace", 0);
    assert_true(fd >= 0);
    assert_false(wait_for_turn(timestamp_monotonic() + 20, &problem));
    assert_int_equal(problem.status, 504);
    assert_int_equal(close(fd), 0);
}

static void assert_no_wait(const char *content)
{
    struct problem problem = {0};
    int64_t start = timestamp_monotonic();
    put("pace", content, 0600);
    assert_true(wait_for_turn(start + 20000, &problem));
    if (timestamp_monotonic() - start > 5000)
        fail_msg("waited because of %s", content);
}

static void test_damaged_pace(void **state)
{
    (void)state;
    static const char *const contents[] = {"", "x", "99999999999999999999\n", "-5\n",
                                           "00000999999999999999\n"};
    char future[32];
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++)
        assert_no_wait(contents[i]);
    /* The clock was set back. */
    (void)snprintf(future, sizeof future, "%lld\n", (long long)timestamp_now() + 26000);
    assert_no_wait(future);
}

/* Who sleeps through a turn takes another. */
static void test_overslept_turn(void **state)
{
    (void)state;
    int status;
    char turn[32] = "";
    struct problem problem = {0};
    int64_t first = timestamp_now() + 300;
    (void)snprintf(turn, sizeof turn, "%lld\n", (long long)first);
    put("pace", turn, 0600);
    pid_t child = fork();
    if (child == 0)
        _exit(wait_for_turn(timestamp_monotonic() + 10000, &problem) ? 0 : 1);
    assert_true(child > 0);
    (void)usleep(150 * 1000);
    assert_int_equal(kill(child, SIGSTOP), 0);
    (void)usleep(600 * 1000);
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    int fd = openat(directory, "pace", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && read(fd, turn, sizeof turn - 1) > 0);
    assert_int_equal(close(fd), 0);
    assert_true(strtoll(turn, NULL, 10) >= first + 400 + PACE_INTERVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),           cmocka_unit_test(test_failure_kept),
        cmocka_unit_test(test_foreign),        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_fresh),          cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_lock),           cmocka_unit_test(test_lock_of_the_dead),
        cmocka_unit_test(test_pace),           cmocka_unit_test(test_damaged_pace),
        cmocka_unit_test(test_late),           cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_overslept_turn),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

#include "unit.h"

#include "place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const int64_t NOW = 1745402513812; /* 2025-04-23T10:01:53.812Z */

/* --- opening --- */

static void test_creates_directories(void **state)
{
    static const mode_t masks[] = {0, 007, 022, 077};
    (void)state;
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        renew_spool();
        (void)umask(masks[i]);
        struct spool spool = open_spool(0);
        spool_close(&spool);
        (void)umask(UMASK);
        for (enum spool_state s = SPOOL_TMP; s < SPOOL_STATES; s++)
            if (mode_of(path_in_spool(directories[s])) != 02770)
                fail_msg("umask %04o: %s has mode %04o", (unsigned)masks[i], directories[s],
                         (unsigned)mode_of(path_in_spool(directories[s])));
        assert_int_equal(count_in(spool_path), SPOOL_STATES);
        assert_int_equal(count_all(), 0);
    }
}

/* They are the operator's: neither rights nor contents change. */
static void test_keeps_directories(void **state)
{
    static const mode_t modes[SPOOL_STATES] = {0700, 0750, 02775, 03770, 0770, 02750};
    (void)state;
    for (enum spool_state s = SPOOL_TMP; s < SPOOL_STATES; s++) {
        assert_int_equal(mkdir(path_in_spool(directories[s]), 0700), 0);
        assert_int_equal(chmod(path_in_spool(directories[s]), modes[s]), 0);
        make_file(path_of(directories[s], "old"), "content");
    }
    struct spool spool = open_spool(0);
    spool_close(&spool);
    for (enum spool_state s = SPOOL_TMP; s < SPOOL_STATES; s++) {
        assert_int_equal(mode_of(path_in_spool(directories[s])), modes[s]);
        assert_true(holds(path_of(directories[s], "old"), "content", 7));
    }
}

static void test_creates_what_is_missing(void **state)
{
    (void)state;
    for (enum spool_state missing = SPOOL_TMP; missing < SPOOL_STATES; missing++) {
        struct spool spool = open_spool(0);
        spool_close(&spool);
        assert_int_equal(rmdir(path_in_spool(directories[missing])), 0);
        spool = open_spool(0);
        spool_close(&spool);
        assert_int_equal(mode_of(path_in_spool(directories[missing])), 02770);
    }
}

/* Descriptors are neither left open nor passed on to other programs. */
static void test_descriptors(void **state)
{
    (void)state;
    int before = count_descriptors();
    struct spool spool = open_spool(0);
    assert_true(spool.root >= 0);
    assert_int_equal(fcntl(spool.root, F_GETFD), FD_CLOEXEC);
    for (enum spool_state s = SPOOL_TMP; s < SPOOL_STATES; s++)
        assert_int_equal(fcntl(spool.directories[s], F_GETFD), FD_CLOEXEC);
    spool_close(&spool);
    assert_int_equal(count_descriptors(), before);
}

static void assert_refused(const char *row, const char *directory, const char *word)
{
    struct spool spool;
    struct problem problem = {0};
    int before = count_descriptors();
    if (spool_open(&spool, spool_path, 0, &problem))
        fail_msg("%s: opened", row);
    assert_problem(row, &problem, directory, word);
    if (count_descriptors() != before)
        fail_msg("%s: left %d descriptors open", row, count_descriptors() - before);
}

static void put_nothing(const char *path)
{
    (void)path;
}

static void put_looping_link(const char *path)
{
    assert_int_equal(symlink(path, path), 0);
}

static void put_sticky(const char *path)
{
    put_with_mode(path, 01777);
}

static void put_others_only(const char *path)
{
    put_with_mode(path, 0702);
}

static const struct obstacle {
    const char *name;
    void (*put)(const char *path);
    const char *word;
} obstacles[] = {
    {"file", put_file, "must be a directory"},
    {"fifo", put_fifo, "must be a directory"},
    {"link", put_link, "no symbolic link"},
    {"dangling link", put_dangling_link, "no symbolic link"},
    {"looping link", put_looping_link, "no symbolic link"},
    {"public", put_public, "chmod o-w"},
    {"public and sticky", put_sticky, "chmod o-w"},
    {"public to others", put_others_only, "chmod o-w"},
};

static void test_refuses_spool(void **state)
{
    static const struct obstacle missing = {"missing", put_nothing, "create the spool directory"};
    (void)state;
    assert_int_equal(remove_tree(spool_path), 0);
    missing.put(spool_path);
    assert_refused(missing.name, "", missing.word);
    for (size_t i = 0; i < sizeof obstacles / sizeof obstacles[0]; i++) {
        obstacles[i].put(spool_path);
        assert_refused(obstacles[i].name, "", obstacles[i].word);
        assert_int_equal(remove(spool_path), 0);
    }
    assert_int_equal(mkdir(spool_path, 0770), 0);
}

static void test_refuses_directories(void **state)
{
    (void)state;
    for (enum spool_state s = SPOOL_TMP; s < SPOOL_STATES; s++) {
        for (size_t i = 0; i < sizeof obstacles / sizeof obstacles[0]; i++) {
            char row[64];
            (void)snprintf(row, sizeof row, "%s is %s", directories[s], obstacles[i].name);
            renew_spool();
            obstacles[i].put(path_in_spool(directories[s]));
            assert_refused(row, directories[s], obstacles[i].word);
        }
    }
}

static void test_missing_parent(void **state)
{
    struct spool spool;
    struct problem problem = {0};
    (void)state;
    assert_false(spool_open(&spool, path_in_spool("no/such/spool"), 0, &problem));
    assert_problem("missing parent", &problem, "no/such/spool", "No such file or directory");
}

/* --- looking for entries --- */

static enum spool_outcome find(const struct spool *spool, const char *name, struct problem *problem)
{
    *problem = (struct problem){0};
    return spool_find(spool, name, problem);
}

static void test_finds(void **state)
{
    struct spool spool = open_spool(INT64_MAX);
    struct problem problem;
    (void)state;
    for (enum spool_state s = SPOOL_TMP; s < SPOOL_STATES; s++) {
        enum spool_outcome expected = s == SPOOL_TMP ? SPOOL_ABSENT : SPOOL_DUPLICATE;
        assert_int_equal(find(&spool, "a.json", &problem), SPOOL_ABSENT);
        make_file(path_of(directories[s], "a.json"), "content");
        if (find(&spool, "a.json", &problem) != expected || problem.status != 0)
            fail_msg("%s: %s", directories[s], problem.reason);
        assert_int_equal(find(&spool, "b.json", &problem), SPOOL_ABSENT);
        assert_int_equal(find(&spool, "a.jso", &problem), SPOOL_ABSENT);
        assert_entry(s, "a.json", text_of("content"));
        assert_int_equal(count_all(), 1);
        assert_int_equal(unlink(path_of(directories[s], "a.json")), 0);
    }
    spool_close(&spool);
}

/* Whatever stands there, it is not followed. */
static void test_finds_strange_things(void **state)
{
    static void (*const puts[])(const char *) = {put_file, put_fifo, put_link, put_dangling_link,
                                                 put_public};
    struct spool spool = open_spool(0);
    (void)state;
    for (size_t i = 0; i < sizeof puts / sizeof puts[0]; i++) {
        struct problem problem;
        puts[i](path_of("work", "a.json"));
        if (find(&spool, "a.json", &problem) != SPOOL_DUPLICATE || count_all() != 1)
            fail_msg("row %zu: not found: %s", i, problem.reason);
        assert_int_equal(remove(path_of("work", "a.json")), 0);
    }
    spool_close(&spool);
}

static void test_cannot_find(void **state)
{
    char name[257];
    struct problem problem;
    struct spool spool = open_spool(0);
    (void)state;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(find(&spool, name, &problem), SPOOL_FAILURE);
    assert_problem("name", &problem, "new", "File name too long");
    name[255] = '\0';
    assert_int_equal(find(&spool, name, &problem), SPOOL_ABSENT);
    spool_close(&spool);
}

/* --- what prevents it --- */

static int descriptors_program(void)
{
    enum { STANDARD = 3, OPEN = STANDARD + 1 + SPOOL_STATES };
    struct spool spool;
    struct problem problem = {0};
    int64_t first;
    for (int fd = STANDARD; fd < 100; fd++)
        (void)close(fd);
    for (rlim_t count = STANDARD; count < OPEN; count++) {
        CHECK(limit_descriptors(count));
        CHECK(!spool_open(&spool, spool_path, 0, &problem));
        CHECK(is_problem(&problem, "", "raise the limit on open files"));
        CHECK(limit_descriptors(OPEN) && dup(0) == STANDARD && close(STANDARD) == 0);
    }
    CHECK(spool_open(&spool, spool_path, 0, &problem));
    for (rlim_t count = OPEN; count < OPEN + 2; count++) {
        CHECK(limit_descriptors(count));
        CHECK(!spool_receipt_time(&spool, "order_a", NOW, &first, &problem));
        CHECK(is_problem(&problem, "state", "raise the limit on open files"));
    }
    CHECK(limit_descriptors(OPEN + 2));
    CHECK(count_all() == 0);
    CHECK(spool_receipt_time(&spool, "order_a", NOW, &first, &problem) && first == NOW);
    return 0;
}

static void test_descriptor_limit(void **state)
{
    (void)state;
    assert_child(descriptors_program);
}

/* --- rights --- */

/* Each directory is made unusable once, in a way that only rights can. */
static int denied_open_program(void)
{
    static const struct {
        const char *directory;
        mode_t mode;
    } rows[] = {{"", 0000},    {"", 0330},     {"", 0600},        {"tmp", 0000},
                {"new", 0330}, {"done", 0000}, {"rejected", 0000}};
    struct spool spool;
    struct problem problem = {0};
    CHECK(become_nobody());
    CHECK(spool_open(&spool, spool_path, 0, &problem));
    spool_close(&spool);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CHECK(chmod(path_in_spool(rows[i].directory), rows[i].mode) == 0);
        CHECK(!spool_open(&spool, spool_path, 0, &problem));
        CHECK(chmod(path_in_spool(rows[i].directory), 0770) == 0);
        CHECK(is_problem(&problem, rows[i].directory, "Permission denied"));
        CHECK(is_problem(&problem, rows[i].directory, "web server's user"));
    }
    return 0;
}

static void test_denied_open(void **state)
{
    (void)state;
    give_place_away();
    assert_child(denied_open_program);
}

/* The spool is there, but nothing can be created in it. */
static int denied_creation_program(void)
{
    struct spool spool;
    struct problem problem = {0};
    CHECK(become_nobody());
    CHECK(chmod(spool_path, 0550) == 0);
    CHECK(!spool_open(&spool, spool_path, 0, &problem));
    CHECK(is_problem(&problem, "new", "web server's user"));
    CHECK(count_in(spool_path) == 0);
    return 0;
}

static void test_denied_creation(void **state)
{
    (void)state;
    give_place_away();
    assert_child(denied_creation_program);
}

static int denied_receipt_program(void)
{
    int64_t first;
    struct spool spool;
    struct problem problem = {0};
    CHECK(become_nobody());
    CHECK(spool_open(&spool, spool_path, 0, &problem));
    CHECK(chmod(spool_path, 0550) == 0);
    CHECK(!spool_receipt_time(&spool, "order_a", NOW, &first, &problem));
    CHECK(is_problem(&problem, "state", "let the web server's user write there"));
    CHECK(chmod(spool_path, 0770) == 0);
    CHECK(spool_receipt_time(&spool, "order_a", NOW, &first, &problem));
    CHECK(chmod(path_in_spool("state/received"), 0500) == 0);
    CHECK(!spool_receipt_time(&spool, "order_b", NOW, &first, &problem));
    CHECK(is_problem(&problem, "state/received", "let the web server's user write there"));
    /* What is known needs no writing. */
    CHECK(spool_receipt_time(&spool, "order_a", NOW + 1, &first, &problem) && first == NOW);
    return 0;
}

static void test_denied_receipt(void **state)
{
    (void)state;
    give_place_away();
    assert_child(denied_receipt_program);
}

/* --- receipt times --- */

static int64_t receipt_time(const char *name, int64_t now)
{
    int64_t first = -1;
    struct problem problem = {0};
    struct spool spool = open_spool(0);
    bool known = spool_receipt_time(&spool, name, now, &first, &problem);
    spool_close(&spool);
    if (!known)
        fail_msg("%s: %s", name, problem.reason);
    assert_int_equal(problem.status, 0);
    return first;
}

static void test_receipt_time(void **state)
{
    (void)state;
    int before = count_descriptors();
    assert_int_equal(receipt_time("order_a", NOW), NOW);
    assert_int_equal(receipt_time("order_a", NOW), NOW);
    assert_int_equal(receipt_time("order_a", NOW + 1), NOW);
    assert_int_equal(receipt_time("order_a", NOW + 100000000), NOW);
    /* A clock may be set back. */
    assert_int_equal(receipt_time("order_a", NOW - 1), NOW);
    assert_int_equal(receipt_time("order_b", NOW + 1), NOW + 1);
    assert_int_equal(receipt_time("order", NOW + 2), NOW + 2);
    assert_int_equal(receipt_time("order_a", NOW + 3), NOW);
    assert_int_equal(count_all(), 0);
    assert_int_equal(count_descriptors(), before);
}

static void test_receipt_times(void **state)
{
    static const int64_t times[] = {0,
                                    1,
                                    999,
                                    1000,
                                    1709164800000, /* 29 Feb */
                                    -1,
                                    -1000,
                                    253402300799999,
                                    -62135596800000};
    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "order_%zu", i);
        int64_t first = receipt_time(name, times[i]);
        int64_t again = receipt_time(name, NOW);
        if (first != times[i] || again != times[i])
            fail_msg("%lld: %lld, %lld", (long long)times[i], (long long)first, (long long)again);
    }
}

static void test_receipt_modes(void **state)
{
    static const mode_t masks[] = {0, 007, 022, 077};
    (void)state;
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        renew_spool();
        (void)umask(masks[i]);
        assert_int_equal(receipt_time("order_a", NOW), NOW);
        (void)umask(UMASK);
        assert_int_equal(mode_of(path_in_spool("state")) & 0777, 0700);
        assert_int_equal(mode_of(path_in_spool("state/received")) & 0777, 0700);
    }
}

static int receipt_program(int number, int result)
{
    int64_t first;
    struct problem problem;
    struct spool spool;
    CHECK(spool_open(&spool, spool_path, 0, &problem));
    CHECK(spool_receipt_time(&spool, "order_a", NOW + number, &first, &problem));
    CHECK(write(result, &first, sizeof first) == (ssize_t)sizeof first);
    return 0;
}

static void test_concurrent_receipts(void **state)
{
    int results[2];
    int statuses[WRITERS];
    (void)state;
    run_writers(receipt_program, results, statuses);
    int64_t agreed = receipt_time("order_a", NOW + WRITERS);
    assert_true(agreed >= NOW && agreed < NOW + WRITERS);
    for (int i = 0; i < WRITERS; i++) {
        int64_t first;
        assert_int_equal(statuses[i], 0);
        assert_int_equal(read(results[0], &first, sizeof first), sizeof first);
        assert_int_equal(first, agreed);
    }
    assert_int_equal(close(results[0]), 0);
}

static void assert_no_receipt(const char *row, const char *path, const char *word)
{
    int64_t first;
    struct problem problem = {0};
    struct spool spool = open_spool(0);
    int before = count_descriptors();
    if (spool_receipt_time(&spool, "order_a", NOW, &first, &problem))
        fail_msg("%s: taken for %lld", row, (long long)first);
    assert_problem(row, &problem, path, word);
    if (count_descriptors() != before)
        fail_msg("%s: left descriptors open", row);
    spool_close(&spool);
}

static void test_foreign_receipts(void **state)
{
    static const char *const targets[] = {
        "x",
        "nowhere",
        "/etc/passwd",
        "1745402513812",
        "2025-04-23T10:01:53.812Z",
        "20250423T100153.812",
        "20250423T100153.81Z",
        "20250423T100153Z",
        "20250423T100153.812z",
        "20250423T100153.812+",
        "20250423T100153.8 2Z",
        "20251323T100153.812Z",
        "20250230T100153.812Z",
        "20250423T240153.812Z",
        "00000423T100153.812Z",
        "xx250423T100153.812Z and much more than a time has",
    };
    (void)state;
    assert_int_equal(receipt_time("order_b", NOW), NOW);
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        assert_int_equal(symlink(targets[i], path_of("state/received", "order_a")), 0);
        assert_no_receipt(targets[i], "state/received/order_a", "remove it");
        assert_int_equal(unlink(path_of("state/received", "order_a")), 0);
    }
    /* As the advice has it, this helps. */
    assert_int_equal(receipt_time("order_a", NOW), NOW);
}

static void test_receipts_that_are_no_links(void **state)
{
    static const struct obstacle rows[] = {{"file", put_file, "cannot"},
                                           {"fifo", put_fifo, "cannot"},
                                           {"directory", put_public, "cannot"}};
    (void)state;
    assert_int_equal(receipt_time("order_b", NOW), NOW);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rows[i].put(path_of("state/received", "order_a"));
        assert_no_receipt(rows[i].name, "state/received", rows[i].word);
        assert_int_equal(remove(path_of("state/received", "order_a")), 0);
    }
}

/* Neither of the two directories may be anything else. */
static void test_strange_state(void **state)
{
    static const struct obstacle rows[] = {
        {"file", put_file, "must be a directory"},
        {"fifo", put_fifo, "must be a directory"},
        {"link", put_link, "no symbolic link"},
        {"dangling link", put_dangling_link, "no symbolic link"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        renew_spool();
        rows[i].put(path_in_spool("state"));
        assert_no_receipt(rows[i].name, "state", rows[i].word);
        renew_spool();
        assert_int_equal(mkdir(path_in_spool("state"), 0700), 0);
        rows[i].put(path_in_spool("state/received"));
        assert_no_receipt(rows[i].name, "state/received", rows[i].word);
    }
}

/* --- state/ --- */

static void test_opens_state(void **state)
{
    static const mode_t masks[] = {0, 007, 022, 077};
    (void)state;
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        struct problem problem = {0};
        int before = count_descriptors();
        renew_spool();
        assert_int_equal(chmod(spool_path, 02770), 0);
        (void)umask(masks[i]);
        int fd = spool_open_state(spool_path, &problem);
        (void)umask(UMASK);
        assert_true(fd >= 0);
        assert_int_equal(problem.status, 0);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        assert_int_equal(mkdirat(fd, "inside", 0700), 0);
        assert_int_equal(mode_of(path_in_spool("state/inside")) & 0777, 0700);
        assert_int_equal(mode_of(path_in_spool("state")), 0700);
        assert_int_equal(count_in(spool_path), 1);
        assert_int_equal(close(fd), 0);
        assert_int_equal(count_descriptors(), before);
    }
}

static void test_opens_state_again(void **state)
{
    struct problem problem = {0};
    (void)state;
    assert_int_equal(mkdir(path_in_spool("state"), 0700), 0);
    make_file(path_of("state", "token"), "content");
    int fd = spool_open_state(spool_path, &problem);
    assert_true(fd >= 0);
    assert_int_equal(faccessat(fd, "token", R_OK, 0), 0);
    assert_int_equal(close(fd), 0);
}

static void assert_no_state(const char *row, const char *directory, const char *word)
{
    struct problem problem = {0};
    int before = count_descriptors();
    if (spool_open_state(spool_path, &problem) >= 0)
        fail_msg("%s: opened", row);
    assert_problem(row, &problem, directory, word);
    if (count_descriptors() != before)
        fail_msg("%s: left descriptors open", row);
}

static void test_refuses_spool_of_state(void **state)
{
    (void)state;
    assert_int_equal(rmdir(spool_path), 0);
    assert_no_state("missing", "", "create the spool directory");
    for (size_t i = 0; i < sizeof obstacles / sizeof obstacles[0]; i++) {
        obstacles[i].put(spool_path);
        assert_no_state(obstacles[i].name, "", obstacles[i].word);
        assert_int_equal(remove(spool_path), 0);
    }
    make_spool();
}

/* Tokens are kept there: no one else may look. */
static void test_refuses_state(void **state)
{
    static const mode_t modes[] = {0710, 0740, 0720, 0701, 0704, 0702, 0770, 0777, 02750};
    (void)state;
    for (size_t i = 0; i < sizeof obstacles / sizeof obstacles[0]; i++) {
        renew_spool();
        obstacles[i].put(path_in_spool("state"));
        bool open_to_others = strstr(obstacles[i].name, "public") != NULL;
        assert_no_state(obstacles[i].name, "state",
                        open_to_others ? "chmod 700" : obstacles[i].word);
    }
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        char row[32];
        (void)snprintf(row, sizeof row, "mode %04o", (unsigned)modes[i]);
        renew_spool();
        put_with_mode(path_in_spool("state"), modes[i]);
        assert_no_state(row, "state", "chmod 700");
        assert_no_receipt(row, "state", "chmod 700");
        assert_int_equal(mode_of(path_in_spool("state")), modes[i]);
    }
}

/* What another user made would be closed to this one, and the other way round. */
static void test_state_of_another_user(void **state)
{
    struct problem problem = {0};
    (void)state;
    if (geteuid() != 0)
        skip(); /* only root can make something another user's */
    assert_int_equal(mkdir(path_in_spool("state"), 0700), 0);
    assert_int_equal(chown(path_in_spool("state"), NOBODY, NOBODY), 0);
    assert_no_state("state of another", "state", "sudo -u \\#65534");
    assert_int_equal(rmdir(path_in_spool("state")), 0);
    give_place_away();
    assert_int_equal(spool_open_state(spool_path, &problem), -1);
    assert_int_equal(problem.status, 503);
    assert_non_null(strstr(problem.reason, "not as root: sudo -u \\#65534"));
    assert_int_equal(count_in(spool_path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_creates_directories),
        IN_PLACE(test_keeps_directories),
        IN_PLACE(test_creates_what_is_missing),
        IN_PLACE(test_descriptors),
        IN_PLACE(test_refuses_spool),
        IN_PLACE(test_refuses_directories),
        IN_PLACE(test_missing_parent),
        IN_PLACE(test_finds),
        IN_PLACE(test_finds_strange_things),
        IN_PLACE(test_cannot_find),
        IN_PLACE(test_descriptor_limit),
        IN_PLACE(test_denied_open),
        IN_PLACE(test_denied_creation),
        IN_PLACE(test_denied_receipt),
        IN_PLACE(test_receipt_time),
        IN_PLACE(test_receipt_times),
        IN_PLACE(test_receipt_modes),
        IN_PLACE(test_concurrent_receipts),
        IN_PLACE(test_foreign_receipts),
        IN_PLACE(test_receipts_that_are_no_links),
        IN_PLACE(test_strange_state),
        IN_PLACE(test_opens_state),
        IN_PLACE(test_opens_state_again),
        IN_PLACE(test_refuses_spool_of_state),
        IN_PLACE(test_refuses_state),
        IN_PLACE(test_state_of_another_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

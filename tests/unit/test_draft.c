#include "unit.h"

#include "draft.h"
#include "place.h"
#include "process.h"

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

/* --- drafts --- */

/* As programs do it: an entry of that name makes the writing needless. */
static enum spool_outcome publish(struct spool *spool, enum spool_state state, const char *name,
                                  const struct text *parts, int count, struct problem *problem)
{
    struct draft draft;
    uint64_t length = 0;
    enum spool_outcome outcome = SPOOL_ABSENT;
    *problem = (struct problem){0};
    for (int i = 0; i < count; i++)
        length += parts[i].length;
    if (state == SPOOL_NEW)
        outcome = spool_find(spool, name, problem);
    if (outcome != SPOOL_ABSENT)
        return outcome;
    if (!draft_create(&draft, spool, 0, length, problem))
        return SPOOL_FAILURE;
    if (draft_append(&draft, parts, count, problem))
        return draft_publish(&draft, state, name, problem);
    draft_discard(&draft);
    return SPOOL_FAILURE;
}

static enum spool_outcome store(struct spool *spool, const char *name, const char *content,
                                struct problem *problem)
{
    const struct text parts[] = {text_of(content)};
    return publish(spool, SPOOL_NEW, name, parts, 1, problem);
}

static bool reject(struct spool *spool, const char *name, const char *content,
                   struct problem *problem)
{
    const struct text parts[] = {text_of(content)};
    return publish(spool, SPOOL_REJECTED, name, parts, 1, problem) != SPOOL_FAILURE;
}

/* --- storing --- */

static void test_stores(void **state)
{
    const struct text parts[] = {{"{\"data\":", 8}, {"{\0\n\xff}", 5}, {"}", 1}};
    struct problem problem = {0};
    (void)state;
    int before = count_descriptors();
    struct spool spool = open_spool(0);
    assert_int_equal(publish(&spool, SPOOL_NEW, "a.json", parts, 3, &problem), SPOOL_STORED);
    spool_close(&spool);
    assert_int_equal(problem.status, 0);
    assert_entry(SPOOL_NEW, "a.json", (struct text){"{\"data\":{\0\n\xff}}", 14});
    assert_int_equal(count_all(), 1);
    assert_int_equal(count_in(spool_path), SPOOL_STATES);
    assert_int_equal(count_descriptors(), before);
}

/* Whoever else may read it, the web server's umask does not decide. */
static void test_mode(void **state)
{
    struct problem problem;
    struct spool spool = open_spool(0);
    (void)state;
    (void)umask(0);
    enum spool_outcome outcome = store(&spool, "a.json", "content", &problem);
    bool rejected = reject(&spool, "a.txt", "content", &problem);
    (void)umask(UMASK);
    assert_int_equal(outcome, SPOOL_STORED);
    assert_true(rejected);
    assert_entry(SPOOL_NEW, "a.json", text_of("content"));
    assert_entry(SPOOL_REJECTED, "a.txt", text_of("content"));
    spool_close(&spool);
}

static const struct parts {
    struct text parts[DRAFT_PARTS_MAX];
    int count;
    const char *content;
} part_rows[] = {
    {{{"a", 1}}, 1, "a"},
    {{{"a", 1}, {"b", 1}}, 2, "ab"},
    {{{"a", 1}, {"b", 1}, {"c", 1}}, 3, "abc"},
    {{{"", 0}, {"b", 1}, {"c", 1}}, 3, "bc"},
    {{{"a", 1}, {"", 0}, {"c", 1}}, 3, "ac"},
    {{{"a", 1}, {"b", 1}, {"", 0}}, 3, "ab"},
    {{{"", 0}, {"", 0}, {"c", 1}}, 3, "c"},
    {{{"a", 1}, {"", 0}, {"", 0}}, 3, "a"},
    {{{NULL, 0}, {"b", 1}, {NULL, 0}}, 3, "b"},
};

static void test_empty_parts(void **state)
{
    struct spool spool = open_spool(0);
    (void)state;
    for (size_t i = 0; i < sizeof part_rows / sizeof part_rows[0]; i++) {
        const struct parts *row = &part_rows[i];
        char name[32];
        struct problem problem = {0};
        (void)snprintf(name, sizeof name, "row-%zu", i);
        if (publish(&spool, SPOOL_NEW, name, row->parts, row->count, &problem) != SPOOL_STORED)
            fail_msg("%s: %s", name, problem.reason);
        if (!holds(path_of("new", name), row->content, strlen(row->content)))
            fail_msg("%s: not %s", name, row->content);
    }
    assert_int_equal(count_entries(SPOOL_TMP), 0);
    spool_close(&spool);
}

static void test_large_entry(void **state)
{
    struct problem problem = {0};
    struct spool spool = open_spool(0);
    (void)state;
    const size_t length = 5 * MEGABYTE + 3;
    char *bytes = test_malloc(length);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)(i * 31 + (i >> 12));
    const struct text parts[] = {{bytes, 1}, {bytes + 1, length - 2}, {bytes + length - 1, 1}};
    assert_int_equal(publish(&spool, SPOOL_NEW, "large", parts, 3, &problem), SPOOL_STORED);
    assert_entry(SPOOL_NEW, "large", (struct text){bytes, length});
    test_free(bytes);
    spool_close(&spool);
}

/* The file size limit makes each write a short one, until the tracing parent raises it. */
enum { SHORT_WRITE = 10 };

static int short_writes_program(void)
{
    static const char content[] = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const struct text parts[] = {{content, 25}, {content + 25, 5}, {content + 30, 32}};
    const struct rlimit limit = {SHORT_WRITE, RLIM_INFINITY};
    struct spool spool;
    struct problem problem;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
    (void)raise(SIGSTOP);
    CHECK(spool_open(&spool, spool_path, 0, &problem));
    CHECK(publish(&spool, SPOOL_NEW, "a.json", parts, 3, &problem) == SPOOL_STORED);
    CHECK(holds(path_of("new", "a.json"), content, sizeof content - 1));
    CHECK(count_all() == 1);
    return 0;
}

/* The size of the one file in tmp/, if there is one. */
static rlim_t size_in_tmp(void)
{
    rlim_t size = 0;
    DIR *directory = opendir(path_in_spool("tmp"));
    if (directory == NULL)
        return 0;
    for (const struct dirent *entry = readdir(directory); entry != NULL;
         entry = readdir(directory)) {
        struct stat status;
        if (fstatat(dirfd(directory), entry->d_name, &status, 0) == 0 && S_ISREG(status.st_mode))
            size = (rlim_t)status.st_size;
    }
    (void)closedir(directory);
    return size;
}

/* Let a stopped child run on, to its end. Returns how often its limit had to be raised. */
static int raise_limit_on_and_on(pid_t child, int *status)
{
    struct rlimit limit = {SHORT_WRITE, RLIM_INFINITY};
    int raised = 0;
    while (waitpid(child, status, 0) == child && WIFSTOPPED(*status)) {
        if (size_in_tmp() == limit.rlim_cur) {
            limit.rlim_cur += SHORT_WRITE;
            assert_int_equal(prlimit(child, RLIMIT_FSIZE, &limit, NULL), 0);
            raised++;
        }
        bool ours = WSTOPSIG(*status) == SIGTRAP || WSTOPSIG(*status) == SIGSTOP;
        assert_int_equal(
            ptrace(PTRACE_SYSCALL, child, NULL, ours ? NULL : (void *)(intptr_t)WSTOPSIG(*status)),
            0);
    }
    return raised;
}

static void test_short_writes(void **state)
{
    int status;
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(short_writes_program());
    int raised = raise_limit_on_and_on(child, &status);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(raised, 6);
}

static void test_names(void **state)
{
    char name[257];
    struct problem problem;
    struct spool spool = open_spool(0);
    (void)state;
    memset(name, 'n', sizeof name);
    name[255] = '\0';
    assert_int_equal(store(&spool, name, "content", &problem), SPOOL_STORED);
    assert_entry(SPOOL_NEW, name, text_of("content"));
    name[255] = 'n';
    name[256] = '\0';
    assert_int_equal(store(&spool, name, "content", &problem), SPOOL_FAILURE);
    assert_problem("name", &problem, "", "File name too long");
    assert_int_equal(count_all(), 1);
    spool_close(&spool);
}

/* What others write in tmp/ is none of our business, whatever it is called. */
static void test_leaves_tmp_alone(void **state)
{
    struct problem problem;
    struct spool spool = open_spool(0);
    (void)state;
    make_file(path_of("tmp", "a.json"), "half");
    assert_int_equal(store(&spool, "a.json", "whole", &problem), SPOOL_STORED);
    assert_entry(SPOOL_NEW, "a.json", text_of("whole"));
    assert_entry(SPOOL_TMP, "a.json", text_of("half"));
    assert_int_equal(count_all(), 2);
    spool_close(&spool);
}

/* --- duplicates --- */

static void test_duplicates(void **state)
{
    struct spool spool = open_spool(0);
    (void)state;
    for (enum spool_state s = SPOOL_NEW; s < SPOOL_STATES; s++) {
        struct problem problem;
        make_file(path_of(directories[s], "a.json"), "first");
        if (store(&spool, "a.json", "second", &problem) != SPOOL_DUPLICATE)
            fail_msg("%s: no duplicate: %s", directories[s], problem.reason);
        if (!holds(path_of(directories[s], "a.json"), "first", 5) || count_all() != 1)
            fail_msg("%s: something changed", directories[s]);
        assert_int_equal(problem.status, 0);
        assert_int_equal(unlink(path_of(directories[s], "a.json")), 0);
    }
    spool_close(&spool);
}

/* The life of an entry, with a retry at every step, each by a program of its own. */
static void test_duplicates_on_the_way(void **state)
{
    static const enum spool_state way[] = {SPOOL_NEW, SPOOL_WORK, SPOOL_FAILED,
                                           SPOOL_NEW, SPOOL_WORK, SPOOL_DONE};
    char from[PATH_SIZE];
    struct problem problem;
    (void)state;
    struct spool spool = open_spool(0);
    assert_int_equal(store(&spool, "a.json", "first", &problem), SPOOL_STORED);
    spool_close(&spool);
    for (size_t i = 0; i < sizeof way / sizeof way[0]; i++) {
        if (i > 0) {
            (void)snprintf(from, sizeof from, "%s", path_of(directories[way[i - 1]], "a.json"));
            assert_int_equal(rename(from, path_of(directories[way[i]], "a.json")), 0);
        }
        spool = open_spool(0);
        assert_int_equal(store(&spool, "a.json", "second", &problem), SPOOL_DUPLICATE);
        spool_close(&spool);
        assert_entry(way[i], "a.json", text_of("first"));
        assert_int_equal(count_all(), 1);
    }
    /* Once it is gone, it is forgotten. */
    assert_int_equal(unlink(path_of("done", "a.json")), 0);
    spool = open_spool(0);
    assert_int_equal(store(&spool, "a.json", "third", &problem), SPOOL_STORED);
    spool_close(&spool);
}

/* Where an entry of that name stands, whatever it is, it is not followed and not replaced. */
static void test_strange_duplicates(void **state)
{
    static void (*const puts[])(const char *) = {put_file, put_fifo, put_link, put_dangling_link,
                                                 put_public};
    struct spool spool = open_spool(0);
    (void)state;
    for (size_t i = 0; i < sizeof puts / sizeof puts[0]; i++) {
        struct problem problem;
        puts[i](path_of("work", "a.json"));
        if (store(&spool, "a.json", "content", &problem) != SPOOL_DUPLICATE || count_all() != 1)
            fail_msg("row %zu: no duplicate: %s", i, problem.reason);
        assert_int_equal(remove(path_of("work", "a.json")), 0);
    }
    spool_close(&spool);
}

/* --- rejecting --- */

static void test_rejects(void **state)
{
    const struct text parts[] = {{"Status: 400\n\n", 13}, {"\0{", 2}};
    struct problem problem = {0};
    struct spool spool = open_spool(0);
    (void)state;
    assert_int_equal(publish(&spool, SPOOL_REJECTED, "a.txt", parts, 2, &problem), SPOOL_STORED);
    assert_entry(SPOOL_REJECTED, "a.txt", (struct text){"Status: 400\n\n\0{", 15});
    assert_int_equal(count_all(), 1);
    /* The same again counts as stored, and what was there stays. */
    assert_true(reject(&spool, "a.txt", "other", &problem));
    assert_int_equal(problem.status, 0);
    assert_entry(SPOOL_REJECTED, "a.txt", (struct text){"Status: 400\n\n\0{", 15});
    assert_int_equal(count_all(), 1);
    assert_true(reject(&spool, "b.txt", "other", &problem));
    assert_int_equal(count_entries(SPOOL_REJECTED), 2);
    spool_close(&spool);
}

/* --- what prevents it --- */

static void assert_full(const struct problem *problem)
{
    assert_int_equal(problem->status, 503);
    assert_non_null(strstr(problem->reason, spool_path));
    assert_non_null(strstr(problem->reason, "TRADECLOUD_MIN_FREE"));
}

static void test_min_free(void **state)
{
    static const uint64_t rows[] = {INT64_MAX, UINT64_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct problem problem;
        struct spool spool = open_spool(rows[i]);
        assert_int_equal(store(&spool, "a.json", "content", &problem), SPOOL_FAILURE);
        assert_full(&problem);
        assert_false(reject(&spool, "a.txt", "content", &problem));
        assert_full(&problem);
        assert_int_equal(count_all(), 0);
        spool_close(&spool);
    }
}

/* A retry needs no room: it must be told that all is well. */
static void test_duplicate_on_a_full_disk(void **state)
{
    struct problem problem;
    (void)state;
    struct spool spool = open_spool(0);
    assert_int_equal(store(&spool, "a.json", "content", &problem), SPOOL_STORED);
    spool_close(&spool);
    spool = open_spool(INT64_MAX);
    assert_int_equal(store(&spool, "a.json", "content", &problem), SPOOL_DUPLICATE);
    spool_close(&spool);
}

/* As a process of that is started with `ulimit -f`. */
static int file_size_program(void)
{
    enum { LIMIT = 1000 };
    const struct rlimit limit = {LIMIT, LIMIT};
    char content[LIMIT + 2] = {0};
    struct problem problem;
    struct spool spool;
    memset(content, 'c', LIMIT + 1);
    (void)signal(SIGXFSZ, SIG_IGN);
    CHECK(spool_open(&spool, spool_path, 0, &problem));
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    CHECK(store(&spool, "a.json", content, &problem) == SPOOL_FAILURE);
    CHECK(is_problem(&problem, "tmp", "ulimit -f"));
    CHECK(!reject(&spool, "a.txt", content, &problem));
    CHECK(is_problem(&problem, "tmp", "ulimit -f"));
    CHECK(count_all() == 0);
    content[LIMIT] = '\0';
    CHECK(store(&spool, "a.json", content, &problem) == SPOOL_STORED);
    CHECK(holds(path_of("new", "a.json"), content, LIMIT));
    CHECK(count_all() == 1);
    return 0;
}

static void test_file_size_limit(void **state)
{
    (void)state;
    assert_child(file_size_program);
}

static int descriptors_program(void)
{
    enum { STANDARD = 3, OPEN = STANDARD + 1 + SPOOL_STATES };
    struct spool spool;
    struct problem problem = {0};
    for (int fd = STANDARD; fd < 100; fd++)
        (void)close(fd);
    CHECK(limit_descriptors(OPEN));
    CHECK(spool_open(&spool, spool_path, 0, &problem));
    CHECK(store(&spool, "a.json", "content", &problem) == SPOOL_FAILURE);
    CHECK(is_problem(&problem, "tmp", "raise the limit on open files"));
    CHECK(count_all() == 0);
    CHECK(limit_descriptors(OPEN + 1));
    CHECK(store(&spool, "a.json", "content", &problem) == SPOOL_STORED);
    return 0;
}

static void test_descriptor_limit(void **state)
{
    (void)state;
    assert_child(descriptors_program);
}

/* Somebody removes a directory while it is open. */
static void test_vanished_directories(void **state)
{
    static const struct {
        enum spool_state gone;
        const char *directory; /* that is to be named for an event */
    } rows[] = {{SPOOL_TMP, "tmp"}, {SPOOL_NEW, "new"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct problem problem;
        renew_spool();
        struct spool spool = open_spool(0);
        assert_int_equal(rmdir(path_in_spool(rows[i].directory)), 0);
        assert_int_equal(store(&spool, "a.json", "content", &problem), SPOOL_FAILURE);
        assert_problem(rows[i].directory, &problem, rows[i].directory, "No such file");
        assert_int_equal(count_all(), 0);
        spool_close(&spool);
    }
}

/* --- rights --- */

/* A directory with other rights, while a spool is open: what fails, and what is blamed. */
static int denied_store_program(void)
{
    static const struct {
        const char *directory;
        mode_t mode;
        bool stores;
        bool rejects;
    } rows[] = {{"tmp", 0550, false, false},     {"new", 0550, false, true},
                {"rejected", 0550, true, false}, {"work", 0550, true, true},
                {"work", 0660, false, true},     {"done", 0000, false, true},
                {"failed", 0000, false, true},   {"rejected", 0660, false, false}};
    struct spool spool;
    struct problem problem;
    CHECK(become_nobody());
    CHECK(spool_open(&spool, spool_path, 0, &problem));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *directory = rows[i].directory;
        CHECK(chmod(path_in_spool(directory), rows[i].mode) == 0);
        bool stored = store(&spool, "a.json", "content", &problem) == SPOOL_STORED;
        CHECK(stored == rows[i].stores);
        CHECK(stored || is_problem(&problem, directory, "let the web server's user write there"));
        bool rejected = reject(&spool, "a.txt", "content", &problem);
        CHECK(rejected == rows[i].rejects);
        CHECK(rejected || is_problem(&problem, directory, "let the web server's user write there"));
        CHECK(chmod(path_in_spool(directory), 0770) == 0);
        CHECK(count_entries(SPOOL_NEW) == (stored ? 1 : 0));
        CHECK(count_entries(SPOOL_REJECTED) == (rejected ? 1 : 0));
        CHECK(count_all() == stored + rejected);
        CHECK(!stored || unlink(path_of("new", "a.json")) == 0);
        CHECK(!rejected || unlink(path_of("rejected", "a.txt")) == 0);
    }
    return 0;
}

static void test_denied_store(void **state)
{
    (void)state;
    give_place_away();
    assert_child(denied_store_program);
}

/* --- many writers --- */

/* The content of a writer: as long as it takes for a mixture to be seen. */
static void content_of(int writer, char content[20000])
{
    memset(content, 'a' + writer, 19999);
    content[19999] = '\0';
}

static int store_as(int writer, const char *name)
{
    char content[20000];
    struct problem problem = {0};
    struct spool spool;
    content_of(writer, content);
    if (!spool_open(&spool, spool_path, 0, &problem)) {
        (void)dprintf(STDERR_FILENO, "writer %d: %s\n", writer, problem.reason);
        return SPOOL_FAILURE;
    }
    enum spool_outcome outcome = store(&spool, name, content, &problem);
    if (outcome == SPOOL_FAILURE)
        (void)dprintf(STDERR_FILENO, "writer %d: %s\n", writer, problem.reason);
    spool_close(&spool);
    return (int)outcome;
}

static int same_name_program(int number, int result)
{
    (void)result;
    return store_as(number, "same.json");
}

/* They also have to agree on who creates the directories. */
static void test_writers_of_one_name(void **state)
{
    int results[2];
    int statuses[WRITERS];
    char content[20000];
    int winner = -1;
    (void)state;
    run_writers(same_name_program, results, statuses);
    assert_int_equal(close(results[0]), 0);
    for (int i = 0; i < WRITERS; i++) {
        if (statuses[i] != (int)SPOOL_DUPLICATE &&
            (statuses[i] != (int)SPOOL_STORED || winner >= 0))
            fail_msg("writer %d: %d, after writer %d", i, statuses[i], winner);
        if (statuses[i] == (int)SPOOL_STORED)
            winner = i;
    }
    assert_true(winner >= 0);
    content_of(winner, content);
    assert_entry(SPOOL_NEW, "same.json", text_of(content));
    assert_int_equal(count_all(), 1);
    for (enum spool_state s = SPOOL_TMP; s < SPOOL_STATES; s++)
        assert_int_equal(mode_of(path_in_spool(directories[s])), 02770);
}

static int own_name_program(int number, int result)
{
    char name[32];
    (void)result;
    (void)snprintf(name, sizeof name, "%d.json", number);
    return store_as(number, name);
}

static void test_writers_of_different_names(void **state)
{
    int results[2];
    int statuses[WRITERS];
    (void)state;
    run_writers(own_name_program, results, statuses);
    assert_int_equal(close(results[0]), 0);
    for (int i = 0; i < WRITERS; i++) {
        char name[32];
        char content[20000];
        assert_int_equal(statuses[i], SPOOL_STORED);
        (void)snprintf(name, sizeof name, "%d.json", i);
        content_of(i, content);
        assert_entry(SPOOL_NEW, name, text_of(content));
    }
    assert_int_equal(count_all(), WRITERS);
}

/* --- a draft's life --- */

static struct draft create(const struct spool *spool, uint64_t room, uint64_t expected)
{
    struct draft draft;
    struct problem problem = {0};
    if (!draft_create(&draft, spool, room, expected, &problem))
        fail_msg("%s", problem.reason);
    assert_int_equal(problem.status, 0);
    return draft;
}

static void append(struct draft *draft, const char *bytes, size_t length)
{
    const struct text part = {bytes, length};
    struct problem problem = {0};
    if (!draft_append(draft, &part, 1, &problem))
        fail_msg("%s", problem.reason);
    assert_int_equal(problem.status, 0);
}

/* Nobody sees it but in tmp/, under a name that nobody else has. */
static void test_in_the_making(void **state)
{
    int before = count_descriptors();
    struct spool spool = open_spool(0);
    (void)state;
    (void)umask(0);
    struct draft draft = create(&spool, 0, 0);
    struct draft other = create(&spool, 0, 0);
    (void)umask(UMASK);
    assert_string_not_equal(draft.name, other.name);
    assert_int_equal(mode_of(path_of("tmp", draft.name)), 0640);
    assert_int_equal(fcntl(draft.fd, F_GETFD), FD_CLOEXEC);
    append(&draft, "content", 7);
    assert_entry(SPOOL_TMP, draft.name, text_of("content"));
    assert_entry(SPOOL_TMP, other.name, text_of(""));
    assert_int_equal(count_all(), 2);
    draft_discard(&draft);
    draft_discard(&other);
    assert_int_equal(count_all(), 0);
    spool_close(&spool);
    assert_int_equal(count_descriptors(), before);
}

static void test_head(void **state)
{
    static const size_t rooms[] = {1, 7, 4096, 300000};
    static char head[300000];
    struct spool spool = open_spool(0);
    (void)state;
    memset(head, 'h', sizeof head);
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        char name[32];
        char whole[300008];
        struct problem problem = {0};
        (void)snprintf(name, sizeof name, "head-%zu", rooms[i]);
        (void)snprintf(whole, sizeof whole, "%.*sa\nbody", (int)rooms[i], head);
        struct draft draft = create(&spool, rooms[i], 3);
        append(&draft, "a\n", 2);
        append(&draft, "body", 4);
        assert_int_equal(draft.length, rooms[i] + 6);
        assert_true(draft_write_head(&draft, (struct text){head, rooms[i]}, &problem));
        assert_int_equal(draft_publish(&draft, SPOOL_NEW, name, &problem), SPOOL_STORED);
        assert_entry(SPOOL_NEW, name, text_of(whole));
    }
    assert_int_equal(count_entries(SPOOL_TMP), 0);
    spool_close(&spool);
}

static void test_reads_back(void **state)
{
    static const struct {
        uint64_t offset;
        const char *bytes;
    } rows[] = {{5, "content"}, {5, "c"}, {11, "t"}, {7, "nten"}, {12, ""}};
    char bytes[16];
    struct problem problem = {0};
    struct spool spool = open_spool(0);
    (void)state;
    struct draft draft = create(&spool, 5, 7);
    append(&draft, "content", 7);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t length = strlen(rows[i].bytes);
        assert_true(draft_read(&draft, rows[i].offset, bytes, length, &problem));
        assert_memory_equal(bytes, rows[i].bytes, length);
    }
    /* What is missing was cut off by somebody else. */
    assert_false(draft_read(&draft, 5, bytes, 8, &problem));
    assert_problem("beyond the end", &problem, "tmp", strerror(EIO));
    /* That it was read changes nothing for what is written. */
    append(&draft, "!", 1);
    assert_true(draft_write_head(&draft, text_of("head:"), &problem));
    assert_int_equal(draft_publish(&draft, SPOOL_NEW, "a.json", &problem), SPOOL_STORED);
    assert_entry(SPOOL_NEW, "a.json", text_of("head:content!"));
    spool_close(&spool);
}

/* In appends of all sizes, around those of one write. */
static void test_many_appends(void **state)
{
    static const size_t sizes[] = {1,      4095,   262143, 1,      262144, 262145,
                                   524288, 524289, 3,      786433, 65536,  65536};
    enum { LENGTH = 3 * MEGABYTE };
    size_t done = 0;
    struct problem problem = {0};
    struct spool spool = open_spool(0);
    char *bytes = test_malloc(LENGTH);
    (void)state;
    for (size_t i = 0; i < LENGTH; i++)
        bytes[i] = (char)(i * 31 + (i >> 12));
    struct draft draft = create(&spool, 0, 0);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        append(&draft, bytes + done, sizes[i]);
        done += sizes[i];
    }
    assert_true(done < LENGTH);
    assert_int_equal(draft_publish(&draft, SPOOL_REJECTED, "a.txt", &problem), SPOOL_STORED);
    assert_entry(SPOOL_REJECTED, "a.txt", (struct text){bytes, done});
    test_free(bytes);
    spool_close(&spool);
}

static void test_publishes_in_each_state(void **state)
{
    struct spool spool = open_spool(0);
    (void)state;
    for (enum spool_state s = SPOOL_NEW; s < SPOOL_STATES; s++) {
        struct problem problem = {0};
        struct draft draft = create(&spool, 0, 0);
        append(&draft, "content", 7);
        assert_int_equal(draft_publish(&draft, s, "a.json", &problem), SPOOL_STORED);
        assert_entry(s, "a.json", text_of("content"));
        assert_int_equal(count_all(), 1);
        assert_int_equal(unlink(path_of(directories[s], "a.json")), 0);
    }
    spool_close(&spool);
}

/* While one is written, another delivery is stored, and may be anywhere by the time it is done. */
static void test_late_duplicates(void **state)
{
    int before = count_descriptors();
    struct spool spool = open_spool(0);
    (void)state;
    for (enum spool_state s = SPOOL_NEW; s < SPOOL_STATES; s++) {
        struct problem problem = {0};
        struct draft draft = create(&spool, 0, 0);
        append(&draft, "second", 6);
        make_file(path_of(directories[s], "a.json"), "first");
        if (draft_publish(&draft, SPOOL_NEW, "a.json", &problem) != SPOOL_DUPLICATE ||
            problem.status != 0)
            fail_msg("%s: no duplicate: %s", directories[s], problem.reason);
        assert_entry(s, "a.json", text_of("first"));
        assert_int_equal(count_all(), 1);
        assert_int_equal(unlink(path_of(directories[s], "a.json")), 0);
    }
    spool_close(&spool);
    assert_int_equal(count_descriptors(), before);
}

/* Elsewhere only the name itself is in the way. */
static void test_rejection_beside_others(void **state)
{
    struct spool spool = open_spool(0);
    struct problem problem = {0};
    (void)state;
    make_file(path_of("new", "a.txt"), "first");
    struct draft draft = create(&spool, 0, 0);
    append(&draft, "second", 6);
    assert_int_equal(draft_publish(&draft, SPOOL_REJECTED, "a.txt", &problem), SPOOL_STORED);
    assert_entry(SPOOL_REJECTED, "a.txt", text_of("second"));
    assert_entry(SPOOL_NEW, "a.txt", text_of("first"));
    spool_close(&spool);
}

/* What was announced is looked for once; what goes beyond it, as it comes. */
static void test_room_is_looked_for_again(void **state)
{
    static const struct {
        uint64_t room;
        uint64_t expected;
        size_t fits;
    } rows[] = {{0, 7, 7}, {4, 7, 7}, {4, 0, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct text more = {"x", 1};
        struct problem problem = {0};
        struct spool spool = open_spool(0);
        struct draft draft = create(&spool, rows[i].room, rows[i].expected);
        spool.min_free = INT64_MAX; /* as if others had filled the disk */
        if (rows[i].fits > 0)
            append(&draft, "content", rows[i].fits);
        assert_false(draft_append(&draft, &more, 1, &problem));
        assert_full(&problem);
        spool.min_free = 0;
        append(&draft, "x", 1);
        draft_discard(&draft);
        assert_int_equal(count_all(), 0);
        spool_close(&spool);
    }
}

/* One draft is published before the last is begun, or none. */
static int ended_program(bool published)
{
    struct spool spool;
    struct draft draft;
    struct problem problem;
    process_start(0);
    CHECK(close(STDOUT_FILENO) == 0 && close(STDERR_FILENO) == 0);
    CHECK(spool_open(&spool, spool_path, 0, &problem));
    CHECK(draft_create(&draft, &spool, 0, 0, &problem));
    if (published) {
        CHECK(draft_publish(&draft, SPOOL_NEW, "a.json", &problem) == SPOOL_STORED);
        CHECK(draft_create(&draft, &spool, 0, 0, &problem));
    }
    (void)raise(SIGTERM);
    return 2;
}

/* A draft that was begun last goes with its process; nothing that was published does. */
static void test_ended_by_a_signal(void **state)
{
    (void)state;
    for (int number = 0; number < 2; number++) {
        int status;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(ended_program(number == 1));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
        assert_int_equal(count_entries(SPOOL_TMP), 0);
        assert_int_equal(count_entries(SPOOL_NEW), number);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_stores),
        IN_PLACE(test_mode),
        IN_PLACE(test_empty_parts),
        IN_PLACE(test_large_entry),
        IN_PLACE(test_short_writes),
        IN_PLACE(test_names),
        IN_PLACE(test_leaves_tmp_alone),
        IN_PLACE(test_duplicates),
        IN_PLACE(test_duplicates_on_the_way),
        IN_PLACE(test_strange_duplicates),
        IN_PLACE(test_rejects),
        IN_PLACE(test_min_free),
        IN_PLACE(test_duplicate_on_a_full_disk),
        IN_PLACE(test_file_size_limit),
        IN_PLACE(test_descriptor_limit),
        IN_PLACE(test_vanished_directories),
        IN_PLACE(test_denied_store),
        IN_PLACE(test_in_the_making),
        IN_PLACE(test_head),
        IN_PLACE(test_reads_back),
        IN_PLACE(test_many_appends),
        IN_PLACE(test_publishes_in_each_state),
        IN_PLACE(test_late_duplicates),
        IN_PLACE(test_rejection_beside_others),
        IN_PLACE(test_room_is_looked_for_again),
        IN_PLACE(test_ended_by_a_signal),
        IN_PLACE(test_writers_of_one_name),
        IN_PLACE(test_writers_of_different_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

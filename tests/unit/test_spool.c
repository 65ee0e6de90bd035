#include "unit.h"

#include "spool.h"

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

enum {
    PATH_SIZE = 512,
    WRITERS = 20,
    NOBODY = 65534,
    UMASK = 007, /* as of process_start() */
    MEGABYTE = 1024 * 1024,
};

static const int64_t NOW = 1745402513812; /* 2025-04-23T10:01:53.812Z */

static const char *const directories[SPOOL_STATES] = {"tmp",  "new",    "work",
                                                      "done", "failed", "rejected"};

/* --- the place: a directory for the test, with an empty directory for the spool in it --- */

static char base[64];
static char spool_path[96];

static void make_spool(void)
{
    assert_int_equal(mkdir(spool_path, 0770), 0);
}

static int make_place(void **state)
{
    (void)state;
    (void)snprintf(base, sizeof base, "/tmp/test_spool.XXXXXX");
    (void)umask(UMASK);
    if (mkdtemp(base) == NULL)
        return -1;
    (void)snprintf(spool_path, sizeof spool_path, "%s/spool", base);
    return mkdir(spool_path, 0770);
}

static int make_removable(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status;
    (void)at;
    return type == FTW_D || type == FTW_DNR ? chmod(path, 0700) : 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status;
    (void)type;
    (void)at;
    return remove(path);
}

static int remove_tree(const char *path)
{
    (void)nftw(path, make_removable, 16, FTW_PHYS);
    return nftw(path, remove_one, 16, FTW_PHYS | FTW_DEPTH);
}

static int remove_place(void **state)
{
    (void)state;
    (void)umask(UMASK);
    return remove_tree(base);
}

/* Start afresh, between the rows of a table. */
static void renew_spool(void)
{
    assert_int_equal(remove_tree(spool_path), 0);
    make_spool();
}

static const char *path_of(const char *directory, const char *name)
{
    static char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s/%s", spool_path, directory, name);
    return path;
}

static const char *path_in_spool(const char *name)
{
    static char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s", spool_path, name);
    return path;
}

static void make_file(const char *path, const char *content)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    assert_int_equal(close(fd), 0);
}

/* How many entries a directory has; none if it is not there. */
static int count_in(const char *path)
{
    int count = 0;
    DIR *directory = opendir(path);
    if (directory == NULL)
        return 0;
    for (const struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    (void)closedir(directory);
    return count;
}

static int count_entries(enum spool_state state)
{
    return count_in(path_in_spool(directories[state]));
}

/* How many entries there are, whatever their state, with what is in tmp/. */
static int count_all(void)
{
    int count = 0;
    for (enum spool_state state = SPOOL_TMP; state < SPOOL_STATES; state++)
        count += count_entries(state);
    return count;
}

static int count_descriptors(void)
{
    return count_in("/proc/self/fd");
}

static mode_t mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(lstat(path, &status), 0);
    return status.st_mode & 07777;
}

/* Whether the file holds these bytes and no others. */
static bool holds(const char *path, const char *bytes, size_t length)
{
    char *content = malloc(length + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool same = content != NULL && fd >= 0 && read(fd, content, length + 1) == (ssize_t)length &&
                memcmp(content, bytes, length) == 0;
    free(content);
    (void)close(fd);
    return same;
}

static void assert_entry(enum spool_state state, const char *name, struct text content)
{
    struct stat status;
    const char *path = path_of(directories[state], name);
    assert_int_equal(lstat(path, &status), 0);
    assert_true(S_ISREG(status.st_mode));
    assert_int_equal(status.st_mode & 07777, 0640);
    assert_int_equal(status.st_nlink, 1);
    assert_int_equal(status.st_size, content.length);
    assert_true(holds(path, content.data, content.length));
}

/* --- the spool --- */

static struct spool open_spool(uint64_t min_free)
{
    struct spool spool;
    struct problem problem = {0};
    if (!spool_open(&spool, spool_path, min_free, &problem))
        fail_msg("%s", problem.reason);
    assert_int_equal(problem.status, 0);
    return spool;
}

static enum spool_outcome store(struct spool *spool, const char *name, const char *content,
                                struct problem *problem)
{
    const struct text parts[] = {text_of(content)};
    *problem = (struct problem){0};
    return spool_store(spool, name, parts, 1, problem);
}

static bool reject(struct spool *spool, const char *name, const char *content,
                   struct problem *problem)
{
    const struct text parts[] = {text_of(content)};
    *problem = (struct problem){0};
    return spool_reject(spool, name, parts, 1, problem);
}

/* A problem is ours, names the place, and says what is the matter. */
static bool is_problem(const struct problem *problem, const char *directory, const char *word)
{
    return problem->status == 503 && strstr(problem->reason, path_in_spool(directory)) != NULL &&
           strstr(problem->reason, word) != NULL;
}

static void assert_problem(const char *row, const struct problem *problem, const char *directory,
                           const char *word)
{
    if (!is_problem(problem, directory, word))
        fail_msg("%s: %d %s", row, problem->status, problem->reason);
}

/* --- programs: what limits, rights and other processes need is done in a child, which must not
 * use cmocka's assertions: they would jump into the next test --- */

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)dprintf(STDERR_FILENO, "line %d: %s\n", __LINE__, #condition);                   \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

static void assert_child(int (*program)(void))
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(program());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Who is root may do all; the place becomes nobody's. */
static void give_place_away(void)
{
    if (geteuid() != 0)
        return;
    assert_int_equal(chown(base, NOBODY, NOBODY), 0);
    assert_int_equal(chown(spool_path, NOBODY, NOBODY), 0);
}

static bool become_nobody(void)
{
    return geteuid() != 0 ||
           (setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
}

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

static void put_file(const char *path)
{
    make_file(path, "");
}

static void put_fifo(const char *path)
{
    assert_int_equal(mkfifo(path, 0660), 0);
}

static void put_link(const char *path)
{
    char target[PATH_SIZE];
    (void)snprintf(target, sizeof target, "%s/target", base);
    assert_true(mkdir(target, 0770) == 0 || errno == EEXIST);
    assert_int_equal(symlink(target, path), 0);
}

static void put_dangling_link(const char *path)
{
    assert_int_equal(symlink("nowhere", path), 0);
}

static void put_looping_link(const char *path)
{
    assert_int_equal(symlink(path, path), 0);
}

static void put_with_mode(const char *path, mode_t mode)
{
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void put_public(const char *path)
{
    put_with_mode(path, 0777);
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

/* --- storing --- */

static void test_stores(void **state)
{
    const struct text parts[] = {{"{\"data\":", 8}, {"{\0\n\xff}", 5}, {"}", 1}};
    struct problem problem = {0};
    (void)state;
    int before = count_descriptors();
    struct spool spool = open_spool(0);
    assert_int_equal(spool_store(&spool, "a.json", parts, 3, &problem), SPOOL_STORED);
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
    struct text parts[SPOOL_PARTS_MAX];
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
        if (spool_store(&spool, name, row->parts, row->count, &problem) != SPOOL_STORED)
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
    assert_int_equal(spool_store(&spool, "large", parts, 3, &problem), SPOOL_STORED);
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
    CHECK(spool_store(&spool, "a.json", parts, 3, &problem) == SPOOL_STORED);
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
    assert_true(spool_reject(&spool, "a.txt", parts, 2, &problem));
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

static bool limit_descriptors(rlim_t count)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return false;
    limit.rlim_cur = count;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

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
    CHECK(store(&spool, "a.json", "content", &problem) == SPOOL_FAILURE);
    CHECK(is_problem(&problem, "tmp", "raise the limit on open files"));
    for (rlim_t count = OPEN; count < OPEN + 2; count++) {
        CHECK(limit_descriptors(count));
        CHECK(!spool_receipt_time(&spool, "order_a", NOW, &first, &problem));
        CHECK(is_problem(&problem, "state", "raise the limit on open files"));
    }
    CHECK(limit_descriptors(OPEN + 2));
    CHECK(count_all() == 0);
    CHECK(spool_receipt_time(&spool, "order_a", NOW, &first, &problem) && first == NOW);
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

/* --- many at once --- */

/* Run a program in many processes that set off together. Each gets its number, and a pipe to tell
 * what it found. Their exit statuses are returned. */
static void run_writers(int (*program)(int number, int result), int results[2],
                        int statuses[WRITERS])
{
    int start[2];
    pid_t children[WRITERS];
    char byte;
    assert_int_equal(pipe(start), 0);
    assert_int_equal(pipe(results), 0);
    for (int i = 0; i < WRITERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] != 0)
            continue;
        (void)close(start[1]);
        if (read(start[0], &byte, 1) != 0)
            _exit(100);
        _exit(program(i, results[1]));
    }
    assert_int_equal(close(start[0]) + close(start[1]) + close(results[1]), 0);
    for (int i = 0; i < WRITERS; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        statuses[i] = WEXITSTATUS(status);
    }
}

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

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

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
        IN_PLACE(test_denied_open),
        IN_PLACE(test_denied_creation),
        IN_PLACE(test_denied_store),
        IN_PLACE(test_denied_receipt),
        IN_PLACE(test_writers_of_one_name),
        IN_PLACE(test_writers_of_different_names),
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

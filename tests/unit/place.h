/*
 * A directory for a test, with an empty directory for the spool in it; and what is asked of it.
 *
 * Calling sequence: IN_PLACE around each test; open_spool; what follows.
 */
#ifndef TESTS_UNIT_PLACE_H
#define TESTS_UNIT_PLACE_H

#include "spool.h"
#include "unit.h"

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

static const char *const directories[SPOOL_STATES] = {"tmp",  "new",    "work",
                                                      "done", "failed", "rejected"};

/* --- the place: a directory for the test, with an empty directory for the spool in it --- */

static char base[64];
static char spool_path[96];

static inline void make_spool(void)
{
    assert_int_equal(mkdir(spool_path, 0770), 0);
}

static inline int make_place(void **state)
{
    (void)state;
    (void)snprintf(base, sizeof base, "/tmp/test_spool.XXXXXX");
    (void)umask(UMASK);
    if (mkdtemp(base) == NULL)
        return -1;
    (void)snprintf(spool_path, sizeof spool_path, "%s/spool", base);
    return mkdir(spool_path, 0770);
}

static inline int make_removable(const char *path, const struct stat *status, int type,
                                 struct FTW *at)
{
    (void)status;
    (void)at;
    return type == FTW_D || type == FTW_DNR ? chmod(path, 0700) : 0;
}

static inline int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status;
    (void)type;
    (void)at;
    return remove(path);
}

static inline int remove_tree(const char *path)
{
    (void)nftw(path, make_removable, 16, FTW_PHYS);
    return nftw(path, remove_one, 16, FTW_PHYS | FTW_DEPTH);
}

static inline int remove_place(void **state)
{
    (void)state;
    (void)umask(UMASK);
    return remove_tree(base);
}

/* Start afresh, between the rows of a table. */
static inline void renew_spool(void)
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

static inline void make_file(const char *path, const char *content)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    assert_int_equal(close(fd), 0);
}

/* How many entries a directory has; none if it is not there. */
static inline int count_in(const char *path)
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

static inline int count_entries(enum spool_state state)
{
    return count_in(path_in_spool(directories[state]));
}

/* How many entries there are, whatever their state, with what is in tmp/. */
static inline int count_all(void)
{
    int count = 0;
    for (enum spool_state state = SPOOL_TMP; state < SPOOL_STATES; state++)
        count += count_entries(state);
    return count;
}

static inline int count_descriptors(void)
{
    return count_in("/proc/self/fd");
}

static inline mode_t mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(lstat(path, &status), 0);
    return status.st_mode & 07777;
}

/* Whether the file holds these bytes and no others. */
static inline bool holds(const char *path, const char *bytes, size_t length)
{
    char *content = malloc(length + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool same = content != NULL && fd >= 0 && read(fd, content, length + 1) == (ssize_t)length &&
                memcmp(content, bytes, length) == 0;
    free(content);
    (void)close(fd);
    return same;
}

static inline void assert_entry(enum spool_state state, const char *name, struct text content)
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

static inline struct spool open_spool(uint64_t min_free)
{
    struct spool spool;
    struct problem problem = {0};
    if (!spool_open(&spool, spool_path, min_free, &problem))
        fail_msg("%s", problem.reason);
    assert_int_equal(problem.status, 0);
    return spool;
}

/* A problem is ours, names the place, and says what is the matter. */
static inline bool is_problem(const struct problem *problem, const char *directory,
                              const char *word)
{
    return problem->status == 503 && strstr(problem->reason, path_in_spool(directory)) != NULL &&
           strstr(problem->reason, word) != NULL;
}

static inline void assert_problem(const char *row, const struct problem *problem,
                                  const char *directory, const char *word)
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

static inline void assert_child(int (*program)(void))
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
static inline void give_place_away(void)
{
    if (geteuid() != 0)
        return;
    assert_int_equal(chown(base, NOBODY, NOBODY), 0);
    assert_int_equal(chown(spool_path, NOBODY, NOBODY), 0);
}

static inline bool become_nobody(void)
{
    return geteuid() != 0 ||
           (setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
}

/* --- what may be in the way --- */

static inline void put_file(const char *path)
{
    make_file(path, "");
}

static inline void put_fifo(const char *path)
{
    assert_int_equal(mkfifo(path, 0660), 0);
}

static inline void put_link(const char *path)
{
    char target[PATH_SIZE];
    (void)snprintf(target, sizeof target, "%s/target", base);
    assert_true(mkdir(target, 0770) == 0 || errno == EEXIST);
    assert_int_equal(symlink(target, path), 0);
}

static inline void put_dangling_link(const char *path)
{
    assert_int_equal(symlink("nowhere", path), 0);
}

static inline void put_with_mode(const char *path, mode_t mode)
{
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static inline void put_public(const char *path)
{
    put_with_mode(path, 0777);
}

/* --- many at once --- */

/* Run a program in many processes that set off together. Each gets its number, and a pipe to tell
 * what it found. Their exit statuses are returned. */
static inline void run_writers(int (*program)(int number, int result), int results[2],
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

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

/* Let this process have no descriptor from `count` on. */
__attribute__((unused)) static bool limit_descriptors(rlim_t count)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return false;
    limit.rlim_cur = count;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

#endif

#include "unit.h"

#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Ids that nobody has. */
enum { SERVER = 64001, CONSUMER = 64002, STRANGER = 64003, GROUP = 64100, PATH_SIZE = 128 };

static char base[64];
static char spool[96];

static const char *path_of(const char *name)
{
    static char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s", spool, name);
    return path;
}

/* The spool as it is shipped: of the server's user and the consumers' group. */
static int make_place(void **state)
{
    (void)state;
    (void)umask(007);
    (void)snprintf(base, sizeof base, "/tmp/test_directory.XXXXXX");
    if (mkdtemp(base) == NULL)
        return -1;
    (void)snprintf(spool, sizeof spool, "%s/spool", base);
    if (mkdir(spool, 0770) != 0 || chmod(base, 0755) != 0)
        return -1;
    return geteuid() == 0 && (chown(spool, SERVER, GROUP) != 0 || chmod(spool, 02770) != 0) ? -1
                                                                                            : 0;
}

static int remove_place(void **state)
{
    (void)state;
    (void)rmdir(path_of("new"));
    (void)unlink(path_of("new"));
    return rmdir(spool) == 0 && rmdir(base) == 0 ? 0 : -1;
}

/* --- users: what each finds is found in a child, which says so by its exit status --- */

struct user {
    uid_t id;
    bool in_group;
};

static const struct user server = {SERVER, false};
static const struct user consumer = {CONSUMER, true};
static const struct user other_consumer = {STRANGER, true};
static const struct user stranger = {STRANGER, false};
static const struct user root = {0, false};

static bool become(struct user user)
{
    static const gid_t groups[] = {GROUP};
    return setgroups(user.in_group ? 1 : 0, groups) == 0 &&
           (user.id == 0 || (setgid(user.id) == 0 && setuid(user.id) == 0));
}

/* What is to be found: the words of a problem; or none, and success. */
struct trial {
    int (*open)(struct problem *problem);
    const char *words;
};

static int judge(struct user user, struct trial trial)
{
    struct problem problem = {0};
    if (!become(user))
        return 2;
    bool opened = trial.open(&problem) >= 0;
    bool right = opened ? trial.words == NULL && problem.status == 0
                        : trial.words != NULL && problem.status == 503 &&
                              strstr(problem.reason, spool) != NULL &&
                              strstr(problem.reason, trial.words) != NULL;
    if (!right)
        (void)dprintf(STDERR_FILENO, "user %d: %d %s\n", (int)user.id, problem.status,
                      problem.reason);
    return right ? 0 : 1;
}

static void assert_trial(struct user user, int (*open)(struct problem *problem), const char *words)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(judge(user, (struct trial){open, words}));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static int open_root(struct problem *problem)
{
    struct stat status;
    return directory_open_root(spool, &status, problem);
}

static int author(struct problem *problem)
{
    struct stat status;
    int fd = directory_open_root(spool, &status, problem);
    return fd >= 0 && directory_check_author(spool, &status, problem) ? fd : -1;
}

static int open_new(struct problem *problem)
{
    struct stat status;
    int fd = directory_open_root(spool, &status, problem);
    return fd < 0 ? -1 : directory_open(spool, fd, &status, "new", true, problem);
}

static int open_shared(struct problem *problem)
{
    int fd = open_root(problem);
    return fd < 0 ? -1 : directory_open_shared(spool, fd, "new", problem);
}

static int open_private(struct problem *problem)
{
    int fd = open_root(problem);
    return fd < 0 ? -1 : directory_open_private(spool, fd, "new", problem);
}

static void put(const char *name, uid_t owner, gid_t group, mode_t mode)
{
    assert_int_equal(mkdir(path_of(name), 0700), 0);
    assert_int_equal(chown(path_of(name), owner, group), 0);
    assert_int_equal(chmod(path_of(name), mode), 0);
}

static void assert_facts(const char *name, uid_t owner, mode_t mode)
{
    struct stat status;
    assert_int_equal(lstat(path_of(name), &status), 0);
    assert_int_equal(status.st_uid, owner);
    assert_int_equal(status.st_mode & 07777, mode);
}

/* Only root can act as several users. */
static void need_root(void)
{
    if (geteuid() != 0)
        skip();
}

/* --- the spool --- */

static void test_users_of_a_spool(void **state)
{
    (void)state;
    need_root();
    assert_trial(server, open_root, NULL);
    assert_trial(consumer, open_root, NULL);
    assert_trial(stranger, open_root, "Permission denied");
    assert_trial(root, open_root, NULL);
    assert_trial(server, author, NULL);
    assert_trial(consumer, author, NULL);
    assert_trial(root, author, "not as root: sudo -u \\#64001");
}

/* A stranger can make a directory under the name of the spool, but not give it to our group. */
static void test_spools_of_others(void **state)
{
    static const struct {
        uid_t owner;
        gid_t group;
        mode_t mode;
        const char *words; /* for the server's user */
    } rows[] = {
        {SERVER, SERVER, 0700, NULL},
        {SERVER, STRANGER, 0770, NULL},
        {0, 0, 0755, NULL},
        {0, SERVER, 02770, NULL},
        {STRANGER, STRANGER, 0775, "belongs to another user (64003)"},
        {STRANGER, SERVER, 0770, NULL},
        {SERVER, SERVER, 0702, "chmod o-w"},
        {SERVER, SERVER, 01777, "chmod o-w"},
        {0, 0, 01777, "chmod o-w"},
    };
    (void)state;
    need_root();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(chown(spool, rows[i].owner, rows[i].group), 0);
        assert_int_equal(chmod(spool, rows[i].mode), 0);
        assert_trial(server, author, rows[i].words);
    }
}

/* --- directories in it --- */

static void test_owners_of_a_directory(void **state)
{
    static const struct {
        uid_t owner;
        mode_t mode;
        const char *words;
    } rows[] = {
        {SERVER, 02770, NULL},
        {0, 02777, "chmod o-w"},
        {0, 02775, NULL},
        {STRANGER, 02775, "belongs to another user (64003) than the spool (64001)"},
        {CONSUMER, 02775, "(64002)"},
        {SERVER, 03777, "chmod o-w"},
    };
    (void)state;
    need_root();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put("new", rows[i].owner, GROUP, rows[i].mode);
        assert_trial(server, open_new, rows[i].words);
        assert_int_equal(rmdir(path_of("new")), 0);
    }
}

static void test_who_makes_a_directory(void **state)
{
    (void)state;
    need_root();
    assert_trial(consumer, open_new, "is missing: let the spool's user make it");
    assert_int_equal(access(path_of("new"), F_OK), -1);
    assert_trial(server, open_new, NULL);
    assert_facts("new", SERVER, 02770);
    assert_trial(consumer, open_new, NULL);
    assert_int_equal(rmdir(path_of("new")), 0);
    /* The consumers' own are whoever's comes first. */
    assert_trial(consumer, open_shared, NULL);
    assert_facts("new", CONSUMER, 02770);
    assert_trial(other_consumer, open_shared, NULL);
    assert_trial(other_consumer, open_new, "(64002) than the spool (64001)");
}

static void test_private_directory(void **state)
{
    (void)state;
    need_root();
    assert_trial(server, open_private, NULL);
    assert_facts("new", SERVER, 0700);
    assert_trial(consumer, open_private, "Permission denied");
    assert_trial(root, open_private, "sudo -u \\#64001");
    assert_int_equal(chmod(path_of("new"), 0750), 0);
    assert_trial(server, open_private, "chmod 700");
    assert_trial(consumer, open_private, "must belong to the web server's user alone");
}

/* --- a service that must not set the set-group-ID bit, as systemd's RestrictSUIDSGID has it --- */

static bool forbid_fchmod(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fchmod, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int open_new_forbidden(struct problem *problem)
{
    return forbid_fchmod() ? open_new(problem) : -1;
}

static void test_without_the_right_to_set_modes(void **state)
{
    (void)state;
    need_root();
    assert_trial(server, open_new_forbidden, NULL);
    assert_facts("new", SERVER, 02770);
    assert_int_equal(rmdir(path_of("new")), 0);
    assert_int_equal(chmod(spool, 0770), 0);
    assert_trial(server, open_new_forbidden, NULL);
    assert_facts("new", SERVER, 0770);
}

/* --- */

static void test_sync(void **state)
{
    (void)state;
    int fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(directory_sync(fd));
    assert_int_equal(close(fd), 0);
    /* A pipe cannot be synced, which is EINVAL, as it is for directories of some file systems. */
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_true(directory_sync(ends[0]));
    assert_int_equal(close(ends[0]) + close(ends[1]), 0);
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_users_of_a_spool),
        IN_PLACE(test_spools_of_others),
        IN_PLACE(test_owners_of_a_directory),
        IN_PLACE(test_who_makes_a_directory),
        IN_PLACE(test_private_directory),
        IN_PLACE(test_without_the_right_to_set_modes),
        IN_PLACE(test_sync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

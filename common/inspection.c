#include "inspection.h"

#include "attempt.h"
#include "census.h"
#include "command.h"
#include "directory.h"
#include "findings.h"
#include "lease.h"
#include "survey.h"
#include "sweep.h"
#include "temporary.h"
#include "timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    OPEN_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
    SKEW_MAX = 5000, /* milliseconds */
};

static const char help[] =
    "Usage: tradecloud-spool check [--json]\n"
    "Look for what is wrong with the spool: directories, owners and modes, file systems, room, "
    "clocks,\n"
    "and files that are no entries. Remove what killed processes have left behind for 36 hours.\n"
    "Best run by the web server's user or root, who may see all of it.\n"
    "\n"
    "  --json  print each finding as a JSON object in a line of its own\n"
    "  --help  print this and exit\n"
    "\n"
    "Exit status: 0 if all is well, 78 if there is a problem.\n";

struct inspection {
    struct findings findings;
    struct spool spool;
    struct stat root;
    int attempts;
};

/* --- directories --- */

/* What a directory is for decides who may do what in it. */
enum purpose {
    ROOT,    /* the spool itself: the group need not be able to make anything in it */
    ENTRIES, /* states, and tmp/ */
    SHARED,  /* the consumers' own: any of them may have made it */
    PRIVATE, /* state/: the web server's user's alone */
};

static void judge_private_mode(struct inspection *inspection, const char *name, mode_t mode)
{
    if ((mode & 077) != 0 || (mode & 0700) != 0700)
        findings_add(&inspection->findings, FINDING_PROBLEM, name, NULL,
                     "its mode is %04o, which shows tokens to others: chmod 700", (unsigned)mode);
}

static void judge_mode(struct inspection *inspection, const char *name, mode_t mode,
                       enum purpose purpose)
{
    mode_t group = purpose == ROOT ? 0750 : 0770;
    if ((mode & S_IWOTH) != 0)
        findings_add(&inspection->findings, FINDING_PROBLEM, name, NULL,
                     "its mode is %04o: everybody can add and remove events: chmod o-w",
                     (unsigned)mode);
    if ((mode & S_ISGID) == 0 || (mode & group) != group)
        findings_add(&inspection->findings, FINDING_PROBLEM, name, NULL,
                     "its mode is %04o: the group of the consumer must be able to %s, and files "
                     "made there must be that group's: chmod 2%03o",
                     (unsigned)mode, purpose == ROOT ? "search it" : "read and write it",
                     (unsigned)group);
}

static void judge_owner(struct inspection *inspection, const char *name, const struct stat *status,
                        enum purpose purpose)
{
    struct findings *findings = &inspection->findings;
    const struct stat *root = &inspection->root;
    if (purpose != SHARED && status->st_uid != root->st_uid && status->st_uid != 0)
        findings_add(findings, FINDING_PROBLEM, name, NULL,
                     "its owner is user %ju, and the spool's is %ju: it must be the web server's "
                     "user: chown it",
                     (uintmax_t)status->st_uid, (uintmax_t)root->st_uid);
    if (purpose != PRIVATE && status->st_gid != root->st_gid)
        findings_add(findings, FINDING_PROBLEM, name, NULL,
                     "its group is %ju, and the spool's is %ju: chgrp it",
                     (uintmax_t)status->st_gid, (uintmax_t)root->st_gid);
    if (status->st_dev != root->st_dev)
        findings_add(findings, FINDING_PROBLEM, name, NULL,
                     "it is on another file system than the spool: no file can be moved there");
}

/* What is missing is made when it is needed, by those who can. */
static void report_missing(struct inspection *inspection, const char *name, enum purpose purpose)
{
    if (purpose == SHARED && (inspection->root.st_mode & S_IWGRP) == 0)
        findings_add(&inspection->findings, FINDING_PROBLEM, name, NULL,
                     "it is missing, and the group of the consumers cannot make it: make it for "
                     "them, with mode 2770");
}

/* errno says why it could not be opened. */
static void report_unopened(struct inspection *inspection, const char *name, enum purpose purpose)
{
    if (errno == ENOENT)
        report_missing(inspection, name, purpose);
    else if (errno == ENOTDIR || errno == ELOOP)
        findings_add(&inspection->findings, FINDING_PROBLEM, name, NULL,
                     "it is no directory, or a symbolic link to one, which is not followed");
    /* That others cannot look into state/ is as it should be. */
    else if (purpose != PRIVATE || errno != EACCES)
        findings_add(&inspection->findings, FINDING_PROBLEM, name, NULL,
                     "this user cannot look into it: %s", strerror(errno));
}

/* Returns a descriptor, or -1. */
static int look_at_directory(struct inspection *inspection, const char *name, enum purpose purpose)
{
    struct stat status;
    int fd = openat(inspection->spool.root, name, OPEN_FLAGS);
    if (fd < 0)
        report_unopened(inspection, name, purpose);
    if (fstatat(inspection->spool.root, name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISDIR(status.st_mode))
        return fd;
    if (purpose == PRIVATE)
        judge_private_mode(inspection, name, status.st_mode & 07777);
    else
        judge_mode(inspection, name, status.st_mode & 07777, purpose);
    judge_owner(inspection, name, &status, purpose);
    return fd;
}

static void look_at_directories(struct inspection *inspection)
{
    for (int state = 0; state < SPOOL_STATES; state++)
        inspection->spool.directories[state] =
            look_at_directory(inspection, spool_state_name((enum spool_state)state), ENTRIES);
    inspection->attempts = look_at_directory(inspection, ATTEMPT_DIRECTORY, SHARED);
    int leases = look_at_directory(inspection, LEASE_DIRECTORY, SHARED);
    int state = look_at_directory(inspection, "state", PRIVATE);
    if (leases >= 0)
        (void)close(leases);
    if (state >= 0)
        (void)close(state);
}

/* --- room and clocks --- */

static void look_at_room(struct inspection *inspection)
{
    struct findings *findings = &inspection->findings;
    struct statvfs fs;
    if (fstatvfs(inspection->spool.root, &fs) != 0) {
        findings_add(findings, FINDING_PROBLEM, NULL, NULL, "its file system: %s", strerror(errno));
        return;
    }
    uint64_t available = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (available < inspection->spool.min_free)
        findings_add(findings, FINDING_PROBLEM, NULL, NULL,
                     "%" PRIu64 " bytes are free, below TRADECLOUD_MIN_FREE=%" PRIu64
                     ": no event is received: free space",
                     available, inspection->spool.min_free);
    if (fs.f_files > 0 && fs.f_favail < SPOOL_MIN_FREE_INODES)
        findings_add(findings, FINDING_PROBLEM, NULL, NULL,
                     "%ju inodes are free: no event is received: remove files",
                     (uintmax_t)fs.f_favail);
}

/* The time that the file system gives to a file made now; -1, with errno, if none can be made. */
static int64_t ask_clock(int directory)
{
    char name[TEMPORARY_SIZE];
    struct stat status;
    int fd = temporary_create(directory, name);
    if (fd < 0)
        return -1;
    int64_t time = fstat(fd, &status) == 0 ? timestamp_of(status.st_mtim) : -1;
    (void)close(fd);
    (void)unlinkat(directory, name, 0);
    return time;
}

/* Returns the file system's time, or, where it does not tell, this machine's. */
static int64_t look_at_clocks(struct inspection *inspection)
{
    int tmp = inspection->spool.directories[SPOOL_TMP];
    int64_t now = timestamp_now();
    int64_t time = tmp < 0 ? now : ask_clock(tmp);
    if (time < 0) {
        findings_add(&inspection->findings, FINDING_PROBLEM, spool_state_name(SPOOL_TMP), NULL,
                     "this user can make no file there: %s", strerror(errno));
        return now;
    }
    int64_t skew = time - now;
    if (skew > SKEW_MAX || skew < -SKEW_MAX)
        findings_add(&inspection->findings, FINDING_PROBLEM, NULL, NULL,
                     "the clock of its file system is %" PRId64
                     " seconds %s of this machine's: set the clocks by NTP",
                     (skew < 0 ? -skew : skew) / 1000, skew < 0 ? "behind" : "ahead");
    return time;
}

/* --- all --- */

static bool open_root(struct inspection *inspection, const char *path)
{
    struct findings *findings = &inspection->findings;
    struct spool *spool = &inspection->spool;
    spool->root = open(path, OPEN_FLAGS);
    if (spool->root >= 0 && fstat(spool->root, &inspection->root) == 0)
        return true;
    findings_add(
        findings, FINDING_PROBLEM, NULL, NULL, "cannot open %s: %s%s", path, strerror(errno),
        errno == ENOTDIR || errno == ELOOP ? ": it must be a directory, and no symbolic link" : "");
    return false;
}

static void inspect(struct inspection *inspection, const char *path)
{
    if (!open_root(inspection, path))
        return;
    judge_mode(inspection, NULL, inspection->root.st_mode & 07777, ROOT);
    look_at_directories(inspection);
    look_at_room(inspection);
    int64_t now = look_at_clocks(inspection);
    sweep_temporary(&inspection->findings, &inspection->spool, now);
    sweep_attempts(&inspection->findings, &inspection->spool, inspection->attempts, now);
    survey_entries(&inspection->findings, &inspection->spool, inspection->root.st_gid, now);
}

static int conclude(struct inspection *inspection)
{
    struct findings *findings = &inspection->findings;
    findings_end(findings);
    if (inspection->attempts >= 0)
        (void)close(inspection->attempts);
    spool_close(&inspection->spool);
    if (findings->no_memory) {
        command_say("out of memory");
        return command_end(EX_OSERR);
    }
    if (findings->problems == 0 && findings->table.terminal.present && !findings->json)
        command_say("all is well");
    return command_end(findings->problems == 0 ? EX_OK : EX_CONFIG);
}

/* Returns -1 to go on, else the exit status. */
static int parse(int argc, char **argv, bool *json)
{
    int status = command_flag(argc, argv, help, "json", json);
    if (status != -1)
        return status;
    return argc > optind ? command_misused(help, "no argument is wanted: %s", argv[optind]) : -1;
}

int inspection_command(int argc, char **argv)
{
    struct config config;
    struct problem problem;
    struct inspection inspection = {.attempts = -1, .spool = {.root = -1}};
    bool json = false;
    int status = parse(argc, argv, &json);
    if (status != -1)
        return status;
    for (int i = 0; i < SPOOL_STATES; i++)
        inspection.spool.directories[i] = -1;
    findings_init(&inspection.findings, json);
    if (config_read(&config, &problem) && directory_check_path(config.spool, &problem)) {
        inspection.spool.path = config.spool;
        inspection.spool.min_free = config.min_free;
        inspect(&inspection, config.spool);
    } else {
        findings_add(&inspection.findings, FINDING_PROBLEM, NULL, NULL, "%s", problem.reason);
    }
    return conclude(&inspection);
}

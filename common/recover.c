#include "runner.h"

#include "timestamp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* Call `each` for the names in a directory, as it is now. What cannot be read is to be looked at
 * again. */
static void list(struct runner *runner, int directory, void (*each)(struct runner *, const char *))
{
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (stream == NULL) {
        runner->recover = true;
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    const struct dirent *found;
    for (errno = 0; (found = readdir(stream)) != NULL; errno = 0)
        if (found->d_name[0] != '.')
            each(runner, found->d_name);
    if (errno != 0)
        runner->recover = true;
    (void)closedir(stream);
}

/* --- leases of dead runners --- */

static void adopt(struct runner *runner, const char *name)
{
    struct subject subject;
    struct problem problem;
    char holder[LEASE_HOLDER_SIZE];
    if (!subject_parse_hex(name, &subject) || subject_table_get(&runner->held, &subject) != NULL ||
        runner->held.count >= RUNNER_HELD_MAX || !lease_is_dead(&runner->leases, name, holder) ||
        lease_take(&runner->leases, &subject, &problem) != LEASE_TAKEN_OVER)
        return;
    if (!subject_table_put(&runner->held, &subject, RUNNER_IDLE) ||
        !subject_table_put(&runner->orphaned, &subject, 0))
        runner->recover = true;
}

/* --- claims --- */

static bool is_own(const struct runner *runner, const char *name)
{
    for (unsigned i = 0; i < runner->job_count; i++)
        if (runner->jobs[i].state != JOB_FREE && strcmp(runner->jobs[i].name, name) == 0)
            return true;
    return false;
}

/* By the file system's clock, and when it was renamed. A file that is gone is not old. */
static bool is_abandoned(struct runner *runner, const char *name)
{
    struct stat status;
    return fstatat(runner->spool.directories[SPOOL_WORK], name, &status, AT_SYMLINK_NOFOLLOW) ==
               0 &&
           lease_renew(&runner->leases) &&
           (runner->leases.own.st_mtim.tv_sec - status.st_ctim.tv_sec) * 1000 > RUNNER_CLAIM_AGE;
}

/* Take the lease if need be, and see whether the claim is to be returned. */
static bool is_dead_claim(struct runner *runner, const char *name, const struct subject *subject)
{
    struct problem problem;
    if (subject_table_get(&runner->orphaned, subject) != NULL)
        return true;
    if (subject_table_get(&runner->held, subject) != NULL)
        return is_abandoned(runner, name);
    if (runner->held.count >= RUNNER_HELD_MAX)
        return false;
    enum lease_outcome outcome = lease_take(&runner->leases, subject, &problem);
    if (outcome != LEASE_TAKEN && outcome != LEASE_TAKEN_OVER)
        return false;
    (void)subject_table_put(&runner->held, subject, RUNNER_IDLE);
    if (outcome == LEASE_TAKEN_OVER)
        (void)subject_table_put(&runner->orphaned, subject, 0);
    return outcome == LEASE_TAKEN_OVER || is_abandoned(runner, name);
}

/* Count it as an attempt that failed: an entry that kills the machine must come to an end, too. */
static bool count(struct runner *runner, const char *name, struct attempt *attempt, int64_t *wait,
                  struct problem *problem)
{
    uint64_t random = 0;
    if (!attempt_read(runner->attempts_directory, name, attempt, problem))
        return false;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = 0;
    attempt->attempts++;
    attempt->failures++;
    *wait = attempt_delay(attempt->attempts, random);
    attempt->retry = timestamp_now() + *wait;
    (void)snprintf(attempt->error, sizeof attempt->error,
                   "whoever had claimed it died or went away while it was in work/");
    return attempt_write(&runner->spool, runner->attempts_directory, name, attempt, problem);
}

static bool give_back(struct runner *runner, const char *name, const struct subject *subject,
                      const struct entry *entry, struct problem *problem)
{
    int64_t wait;
    struct attempt attempt;
    if (!count(runner, name, &attempt, &wait, problem))
        return false;
    bool wanted = claim_wants(runner, entry);
    bool give_up = wanted && attempt.failures >= runner->options->attempts;
    enum spool_state to = give_up ? SPOOL_FAILED : SPOOL_NEW;
    enum move_outcome moved = move_entry(&runner->spool, name, SPOOL_WORK, to, problem);
    if (moved == MOVE_GONE)
        return true;
    if (moved == MOVE_FAILED ||
        (moved == MOVE_TWIN && !move_aside(&runner->spool, name, SPOOL_WORK, to, problem)) ||
        !move_sync(&runner->spool, to, problem))
        return false;
    report_returned(runner, name, entry, &attempt, give_up);
    runner->look = true;
    if (give_up) {
        runner->given_up++;
        if (runner->options->strict_order)
            (void)subject_table_put(&runner->failed, subject, 0);
        return true;
    }
    if (wanted)
        (void)subject_table_put(&runner->held, subject, timestamp_monotonic() + wait);
    (void)window_insert(&runner->front, name);
    return true;
}

static void look_at_claim(struct runner *runner, const char *name)
{
    struct entry entry;
    struct subject subject;
    struct problem problem;
    if (is_own(runner, name))
        return;
    if (!entry_is_name(name)) {
        report_odd(runner, SPOOL_WORK, name, "its name is no entry's");
        return;
    }
    enum entry_verdict verdict =
        entry_open(runner->spool.directories[SPOOL_WORK], name, &entry, &problem);
    if (verdict == ENTRY_ODD)
        report_odd(runner, SPOOL_WORK, name, problem.reason);
    if (verdict == ENTRY_FAILED)
        runner->recover = true;
    if (verdict != ENTRY_READ)
        return;
    subject_key(&entry, name, &subject);
    if (is_dead_claim(runner, name, &subject) &&
        !give_back(runner, name, &subject, &entry, &problem)) {
        report_problem(runner, &problem);
        runner->recover = true;
    }
    entry_close(&entry);
}

/* --- all of it --- */

/* Those whose entries do not wait need no lease any more. */
static void release_idle(struct runner *runner)
{
    for (size_t i = 0; i < runner->held.size;) {
        struct subject_slot *slot = &runner->held.slots[i];
        const struct subject subject = slot->subject;
        if (slot->used && slot->value == RUNNER_IDLE) {
            claim_release(runner, &subject);
            /* Another may have moved up to here. */
            continue;
        }
        i++;
    }
}

void recover_claims(struct runner *runner)
{
    runner->recover = false;
    runner->look = true;
    list(runner, runner->leases_directory, adopt);
    list(runner, runner->spool.directories[SPOOL_WORK], look_at_claim);
    /* What could not be returned stays orphaned, and its lease taken. */
    if (runner->recover)
        return;
    subject_table_clear(&runner->orphaned);
    release_idle(runner);
    lease_sweep(&runner->leases);
}

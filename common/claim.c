#include "runner.h"

#include "timestamp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

bool claim_wants(const struct runner *runner, const struct entry *entry)
{
    char type[1024];
    if (runner->options->type_count == 0)
        return true;
    if (entry->type.length >= sizeof type || memchr(entry->type.data, '\0', entry->type.length))
        return false;
    memcpy(type, entry->type.data, entry->type.length);
    type[entry->type.length] = '\0';
    for (size_t i = 0; i < runner->options->type_count; i++)
        if (fnmatch(runner->options->types[i], type, 0) == 0)
            return true;
    return false;
}

void claim_release(struct runner *runner, const struct subject *subject)
{
    const int64_t *value = subject_table_get(&runner->held, subject);
    if (value == NULL || *value != RUNNER_IDLE)
        return;
    lease_release(&runner->leases, subject);
    subject_table_remove(&runner->held, subject);
    /* Its next entry may be where it was looked before. */
    if (subject_table_get(&runner->passed, subject) != NULL)
        runner->behind_stale = true;
}

static struct job *free_job(const struct runner *runner)
{
    for (unsigned i = 0; i < runner->job_count; i++)
        if (runner->jobs[i].state == JOB_FREE)
            return &runner->jobs[i];
    return NULL;
}

static void look_later(struct runner *runner, int64_t when)
{
    if (when < runner->look_at)
        runner->look_at = when;
}

/* The spool does not let itself be used. A runner that does not watch ends, others try again. */
static void give_pause(struct runner *runner, const struct problem *problem)
{
    report_problem(runner, problem);
    runner->halt = true;
    runner->look_at = timestamp_monotonic() + RUNNER_RETRY;
    if (!runner->options->watch)
        runner->trouble = EX_IOERR;
}

/* --- one entry --- */

/* This entry waits, and so do all that come after it of its subject. */
static bool skip(struct runner *runner, const struct slot *slot)
{
    if (!subject_table_put(&runner->skipped, &slot->subject, 0))
        runner->halt = true;
    return true;
}

/* Find out what the entry is about. An entry may be in work/ for now. Returns false if it is
 * gone. */
static bool learn(struct runner *runner, struct slot *slot)
{
    struct entry entry;
    struct problem problem;
    enum entry_verdict verdict = ENTRY_GONE;
    enum spool_state state = SPOOL_NEW;
    for (; state <= SPOOL_WORK && verdict == ENTRY_GONE; state++)
        verdict = entry_open(runner->spool.directories[state], slot->name, &entry, &problem);
    switch (verdict) {
    case ENTRY_GONE:
        return false;
    case ENTRY_FAILED:
        give_pause(runner, &problem);
        return true;
    case ENTRY_ODD:
        report_odd(runner, state - 1, slot->name, problem.reason);
        slot->ignored = true;
        break;
    case ENTRY_READ:
        subject_key(&entry, slot->name, &slot->subject);
        slot->ignored = !claim_wants(runner, &entry);
        entry_close(&entry);
    }
    slot->known = true;
    return true;
}

/* Take the lease of a subject that is not held. Returns whether it may be gone on with it. */
static bool take(struct runner *runner, const struct slot *slot)
{
    struct problem problem;
    const int64_t *again = subject_table_get(&runner->foreign, &slot->subject);
    int64_t now = timestamp_monotonic();
    enum lease_outcome outcome = LEASE_HELD;
    if (runner->held.count >= RUNNER_HELD_MAX)
        return false;
    if (again == NULL || *again <= now)
        outcome = lease_take(&runner->leases, &slot->subject, &problem);
    else
        now = *again - RUNNER_RETRY;
    switch (outcome) {
    case LEASE_HELD:
        runner->waiting++;
        look_later(runner, now + RUNNER_RETRY);
        /* If there is no room to remember it, it is asked again all the sooner. */
        (void)subject_table_put(&runner->foreign, &slot->subject, now + RUNNER_RETRY);
        return false;
    case LEASE_FAILED:
        give_pause(runner, &problem);
        return false;
    case LEASE_TAKEN_OVER:
        runner->recover = runner->halt = true;
        (void)subject_table_put(&runner->orphaned, &slot->subject, 0);
        break;
    case LEASE_TAKEN:
        break;
    }
    subject_table_remove(&runner->foreign, &slot->subject);
    if (!subject_table_put(&runner->held, &slot->subject, RUNNER_IDLE)) {
        lease_release(&runner->leases, &slot->subject);
        runner->halt = true;
    }
    return outcome == LEASE_TAKEN && !runner->halt;
}

/* Open it and see whether it is time to run it. */
static enum entry_verdict open_for(struct runner *runner, const struct slot *slot, struct job *job,
                                   struct problem *problem)
{
    struct subject subject;
    enum entry_verdict verdict =
        entry_open(runner->spool.directories[SPOOL_NEW], slot->name, &job->entry, problem);
    if (verdict != ENTRY_READ)
        return verdict;
    subject_key(&job->entry, slot->name, &subject);
    if (memcmp(&subject, &slot->subject, sizeof subject) != 0)
        verdict = ENTRY_ODD;
    else if (!attempt_read(runner->attempts_directory, slot->name, &job->attempt, problem))
        verdict = ENTRY_FAILED;
    return verdict;
}

/* Whether it is to wait because of an attempt that failed, perhaps made by another runner: not
 * longer than the longest wait, whatever the clock says. */
static bool must_wait(struct runner *runner, const struct slot *slot, const struct job *job)
{
    int64_t wait = job->attempt.retry - timestamp_now();
    if (wait <= 0)
        return false;
    int64_t until = timestamp_monotonic() + (wait < ATTEMPT_CAP ? wait : ATTEMPT_CAP);
    (void)subject_table_put(&runner->held, &slot->subject, until);
    return true;
}

static void begin(struct runner *runner, const struct slot *slot, struct job *job)
{
    memcpy(job->name, slot->name, sizeof job->name);
    job->subject = slot->subject;
    job->attempt.attempts++;
    job->attempt.retry = 0;
    job->state = JOB_CLAIMED;
    runner->active++;
    runner->claimed = true;
    runner->unsynced[SPOOL_WORK] = true;
    (void)subject_table_put(&runner->held, &slot->subject, RUNNER_BUSY);
}

/* It is not in new/. In work/ it is somebody's claim, who has no lease, and is waited for. */
static bool is_in_work(const struct runner *runner, const char *name)
{
    struct stat status;
    return fstatat(runner->spool.directories[SPOOL_WORK], name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The lease is held, and nothing of the subject is under way. If it was taken just now
 * (`fresh`), what is remembered of the entry tells when it is due; if not, that has been waited
 * for by a better clock. Returns whether to keep the slot. */
static bool claim(struct runner *runner, struct slot *slot, bool fresh)
{
    struct problem problem;
    struct job *job = free_job(runner);
    enum move_outcome moved = MOVE_FAILED;
    /* There is one as long as the runner is not busy. */
    if (job == NULL)
        return true;
    enum entry_verdict verdict = open_for(runner, slot, job, &problem);
    if (verdict == ENTRY_READ && fresh && must_wait(runner, slot, job)) {
        job_release(job);
        return skip(runner, slot);
    }
    if (verdict == ENTRY_READ)
        moved = move_entry(&runner->spool, slot->name, SPOOL_NEW, SPOOL_WORK, &problem);
    if (moved == MOVED) {
        begin(runner, slot, job);
        return skip(runner, slot);
    }
    job_release(job);
    claim_release(runner, &slot->subject);
    slot->known = false;
    bool gone = verdict == ENTRY_GONE || moved == MOVE_GONE;
    if (gone && !is_in_work(runner, slot->name))
        return false;
    if (gone || moved == MOVE_TWIN) {
        runner->waiting++;
        look_later(runner, timestamp_monotonic() + RUNNER_RETRY);
    } else if (verdict == ENTRY_ODD) {
        runner->look = true;
    } else {
        give_pause(runner, &problem);
    }
    return skip(runner, slot);
}

/* Whether the lease that was held for long still is. */
static bool still_holds(struct runner *runner, const struct slot *slot)
{
    if (lease_holds(&runner->leases, &slot->subject))
        return true;
    subject_table_remove(&runner->held, &slot->subject);
    runner->look = true;
    return false;
}

/* Returns whether to keep the slot. */
static bool consider(struct runner *runner, struct slot *slot)
{
    if (runner->halt || slot->ignored ||
        subject_table_get(&runner->skipped, &slot->subject) != NULL)
        return true;
    if (subject_table_get(&runner->orphaned, &slot->subject) != NULL)
        return skip(runner, slot);
    const int64_t *held = subject_table_get(&runner->held, &slot->subject);
    if (held != NULL && (*held > timestamp_monotonic() || !still_holds(runner, slot)))
        return skip(runner, slot);
    if (held == NULL && subject_table_get(&runner->failed, &slot->subject) != NULL) {
        runner->blocked++;
        return skip(runner, slot);
    }
    bool fresh = held == NULL;
    if (fresh && !take(runner, slot))
        return skip(runner, slot);
    return claim(runner, slot, fresh);
}

/* A window_keep. */
static bool walk_front(void *context, struct slot *slot, bool *stop)
{
    struct runner *runner = context;
    bool busy = runner->active == runner->options->jobs;
    bool keep = busy || ((slot->known || learn(runner, slot)) && consider(runner, slot));
    *stop = busy || runner->halt;
    return keep;
}

/* Behind, also what waits in the windows that were left holds its subject back. */
static bool walk_behind(void *context, struct slot *slot, bool *stop)
{
    struct runner *runner = context;
    if (slot->known && subject_table_get(&runner->passed, &slot->subject) != NULL)
        return true;
    bool busy = runner->active == runner->options->jobs;
    bool keep = busy || slot->known || learn(runner, slot);
    if (!busy && keep && subject_table_get(&runner->passed, &slot->subject) == NULL)
        keep = consider(runner, slot);
    *stop = busy || runner->halt;
    return keep;
}

/* --- all entries --- */

/* That of work/ is recover.c's to report. */
static void report_name(void *context, int directory, const char *name)
{
    struct runner *runner = context;
    if (directory == runner->spool.directories[SPOOL_NEW])
        report_odd(runner, SPOOL_NEW, name, "its name is no entry's");
}

/* What is in work/ returns to new/, perhaps after it was read, so it is looked for there before and
 * after. */
static bool fill(struct runner *runner, struct window *window, const char *after)
{
    struct problem problem;
    const int directories[] = {runner->spool.directories[SPOOL_WORK],
                               runner->spool.directories[SPOOL_NEW],
                               runner->spool.directories[SPOOL_WORK]};
    if (window_fill(window, directories, 3, after, report_name, runner))
        return true;
    (void)problem_set(&problem, 503, "cannot read %s: %s", runner->spool.path, strerror(errno));
    give_pause(runner, &problem);
    return false;
}

static void restart_behind(struct runner *runner)
{
    runner->behind.count = 0;
    runner->behind_done = runner->behind_stale = false;
    subject_table_clear(&runner->passed);
    memcpy(runner->behind.last, runner->front.last, sizeof runner->behind.last);
    runner->behind.complete = runner->front.complete;
}

void claim_rescan(struct runner *runner)
{
    runner->claimed = false;
    runner->look = true;
    subject_table_clear(&runner->foreign);
    if (fill(runner, &runner->front, ""))
        runner->total = runner->done + runner->given_up + runner->front.seen;
    restart_behind(runner);
}

/* All that waits in this window holds back what comes behind it. */
static bool leave(struct runner *runner)
{
    for (size_t i = 0; i < runner->behind.count; i++) {
        const struct slot *slot = runner->behind.order[i];
        if (slot->known && !slot->ignored && !subject_table_put(&runner->passed, &slot->subject, 0))
            return false;
    }
    return true;
}

/* Everything in front waits: look behind it, window by window. That takes long if there is much: no
 * more than a tenth of the time is spent so. */
static void look_behind(struct runner *runner)
{
    int64_t started = timestamp_monotonic();
    if (started < runner->behind_at) {
        look_later(runner, runner->behind_at);
        return;
    }
    if (runner->behind_stale)
        restart_behind(runner);
    while (!runner->behind_done) {
        window_filter(&runner->behind, walk_behind, runner);
        if (runner->active == runner->options->jobs || runner->halt)
            return;
        if (runner->behind.complete || !leave(runner) ||
            !fill(runner, &runner->behind, runner->behind.last))
            runner->behind_done = true;
    }
    runner->behind_at = started + (timestamp_monotonic() - started) * 10;
}

void claim_all(struct runner *runner)
{
    runner->look = runner->halt = false;
    runner->look_at = INT64_MAX;
    runner->waiting = runner->blocked = 0;
    subject_table_clear(&runner->skipped);
    window_filter(&runner->front, walk_front, runner);
    if (runner->active == runner->options->jobs || runner->halt || runner->front.complete)
        return;
    if (runner->front.count < WINDOW_SIZE / 2)
        claim_rescan(runner);
    else if (!runner->behind_done || runner->behind_stale)
        look_behind(runner);
}

/* --- failed/ --- */

/* Returns false if the subject of an entry that failed cannot be found out or remembered. */
static bool read_one_failed(struct runner *runner, const char *name)
{
    struct entry entry;
    struct subject subject;
    struct problem problem;
    if (!entry_is_name(name))
        return true;
    enum entry_verdict verdict =
        entry_open(runner->spool.directories[SPOOL_FAILED], name, &entry, &problem);
    if (verdict != ENTRY_READ)
        return verdict != ENTRY_FAILED;
    subject_key(&entry, name, &subject);
    entry_close(&entry);
    return subject_table_put(&runner->failed, &subject, 0);
}

static bool read_failed(struct runner *runner, DIR *directory)
{
    const struct dirent *found;
    for (errno = 0; (found = readdir(directory)) != NULL; errno = 0)
        if (!read_one_failed(runner, found->d_name))
            return false;
    return errno == 0;
}

void claim_read_failed(struct runner *runner)
{
    struct problem problem;
    if (!runner->options->strict_order)
        return;
    subject_table_clear(&runner->failed);
    int fd =
        openat(runner->spool.directories[SPOOL_FAILED], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    bool read = directory != NULL && read_failed(runner, directory);
    if (directory != NULL)
        (void)closedir(directory);
    else if (fd >= 0)
        (void)close(fd);
    if (read)
        return;
    runner->trouble = EX_IOERR;
    (void)problem_set(&problem, 503,
                      "cannot keep the order: %s/failed cannot be read, or holds more than %d "
                      "subjects",
                      runner->spool.path, RUNNER_PASSED_MAX);
    report_problem(runner, &problem);
}

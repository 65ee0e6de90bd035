#include "runner.h"

#include "timestamp.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

enum { EVENTS_SIZE = 65536 };

/* errno says why. */
static bool failed(const char *what, struct problem *problem)
{
    return problem_set(problem, 503, "cannot %s: %s", what, strerror(errno));
}

/* --- opening and closing --- */

static bool open_signals(struct runner *runner, struct problem *problem)
{
    sigset_t set;
    const struct sigaction action = {.sa_handler = SIG_DFL};
    (void)sigaction(SIGCHLD, &action, NULL);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    runner->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return runner->signals >= 0 || failed("receive signals", problem);
}

/* Through the descriptor, as the path may lead elsewhere by now. */
static bool watch(const struct runner *runner, enum spool_state state, struct problem *problem)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", runner->spool.directories[state]);
    return inotify_add_watch(runner->inotify, path, IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE) >=
               0 ||
           failed("watch the spool (see /proc/sys/fs/inotify)", problem);
}

static bool open_watch(struct runner *runner, struct problem *problem)
{
    if (!runner->options->watch)
        return true;
    runner->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (runner->inotify < 0)
        return failed("watch the spool (see /proc/sys/fs/inotify)", problem);
    return watch(runner, SPOOL_NEW, problem);
}

static bool open_memory(struct runner *runner, struct problem *problem)
{
    subject_table_init(&runner->held, RUNNER_HELD_MAX);
    subject_table_init(&runner->skipped, RUNNER_PASSED_MAX);
    subject_table_init(&runner->passed, RUNNER_PASSED_MAX);
    subject_table_init(&runner->foreign, RUNNER_PASSED_MAX);
    subject_table_init(&runner->failed, RUNNER_PASSED_MAX);
    subject_table_init(&runner->orphaned, RUNNER_HELD_MAX);
    subject_table_init(&runner->reported, RUNNER_REPORTED_MAX);
    runner->job_count = 2 * runner->options->jobs;
    runner->jobs = calloc(runner->job_count, sizeof *runner->jobs);
    bool opened =
        runner->jobs != NULL && window_init(&runner->front) && window_init(&runner->behind);
    for (unsigned i = 0; runner->jobs != NULL && i < runner->job_count; i++)
        job_init(&runner->jobs[i]);
    return opened || problem_set(problem, 503, "out of memory");
}

/* What is open or allocated after a failure is closed by close_all() all the same. */
static bool open_all(struct runner *runner, struct problem *problem)
{
    if (!spool_enter(&runner->spool, runner->setting.spool, problem))
        return false;
    runner->attempts_directory = spool_open_shared(&runner->spool, ATTEMPT_DIRECTORY, problem);
    if (runner->attempts_directory < 0)
        return false;
    runner->leases_directory = spool_open_shared(&runner->spool, LEASE_DIRECTORY, problem);
    if (runner->leases_directory < 0 ||
        !lease_open(&runner->leases, runner->leases_directory, problem))
        return false;
    runner->setting.lock = runner->leases.fd;
    runner->renewed = timestamp_monotonic();
    return open_memory(runner, problem) && open_signals(runner, problem) &&
           open_watch(runner, problem);
}

static void close_descriptor(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

/* The lease of an entry that stays claimed dies with the runner, so that it is returned; also if it
 * was claimed by another one, which died before. */
static void release_all(const struct runner *runner)
{
    for (size_t i = 0; i < runner->held.size; i++) {
        const struct subject_slot *slot = &runner->held.slots[i];
        if (slot->used && slot->value != RUNNER_BUSY &&
            subject_table_get(&runner->orphaned, &slot->subject) == NULL)
            lease_release(&runner->leases, &slot->subject);
    }
}

static void close_all(struct runner *runner)
{
    struct subject_table *const tables[] = {&runner->held,    &runner->skipped, &runner->passed,
                                            &runner->foreign, &runner->failed,  &runner->orphaned,
                                            &runner->reported};
    release_all(runner);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        subject_table_release(tables[i]);
    for (unsigned i = 0; runner->jobs != NULL && i < runner->job_count; i++)
        job_release(&runner->jobs[i]);
    free(runner->jobs);
    window_release(&runner->front);
    window_release(&runner->behind);
    close_descriptor(runner->signals);
    close_descriptor(runner->inotify);
    if (runner->leases.fd >= 0)
        lease_close(&runner->leases);
    close_descriptor(runner->leases_directory);
    close_descriptor(runner->attempts_directory);
    if (runner->spool.root >= 0)
        spool_close(&runner->spool);
}

/* --- what happens from outside --- */

static void interrupt_all(struct runner *runner)
{
    for (unsigned i = 0; i < runner->job_count; i++) {
        struct job *job = &runner->jobs[i];
        if (job->state != JOB_RUNNING)
            continue;
        job->interrupted = true;
        job_kill(job);
    }
}

static void receive_signals(struct runner *runner)
{
    struct signalfd_siginfo info;
    while (read(runner->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo != SIGCHLD && ++runner->stopping > 1)
            interrupt_all(runner);
    }
    for (unsigned i = 0; i < runner->job_count; i++)
        if (runner->jobs[i].state == JOB_RUNNING)
            (void)job_reap(&runner->jobs[i]);
}

static void receive_name(struct runner *runner, const struct inotify_event *event)
{
    runner->look = true;
    if ((event->mask & IN_Q_OVERFLOW) != 0)
        runner->rescan_at = 0;
    else if (event->len > 0 && !entry_is_name(event->name))
        report_odd(runner, SPOOL_NEW, event->name, "its name is no entry's");
    else if (event->len > 0 && !window_insert(&runner->front, event->name))
        runner->behind_stale = true;
}

static void receive_names(struct runner *runner)
{
    static const size_t header = sizeof(struct inotify_event);
    _Alignas(struct inotify_event) char events[EVENTS_SIZE];
    ssize_t length = read(runner->inotify, events, sizeof events);
    for (ssize_t at = 0; at < length;) {
        /* Events are aligned in the buffer: inotify(7). */
        const struct inotify_event *event = (const void *)&events[at];
        receive_name(runner, event);
        at += (ssize_t)(header + event->len);
    }
}

/* --- what is due --- */

/* Leases that are lost, to whoever believed that this runner is dead, or to rm. */
static void check_leases(struct runner *runner)
{
    for (unsigned i = 0; i < runner->job_count; i++) {
        struct job *job = &runner->jobs[i];
        if (job->state != JOB_RUNNING || lease_holds(&runner->leases, &job->subject))
            continue;
        job->lost = true;
        job_kill(job);
    }
}

static void renew(struct runner *runner, int64_t now)
{
    struct problem problem;
    runner->renew_at = now + LEASE_RENEW;
    if (lease_renew(&runner->leases)) {
        runner->renewed = now;
    } else if (now - runner->renewed > LEASE_AGE / 2 || runner->leases.own.st_nlink == 0) {
        (void)problem_set(&problem, 503,
                          "the leases in %s/" LEASE_DIRECTORY
                          " cannot be renewed: others will take them over; ending",
                          runner->spool.path);
        report_problem(runner, &problem);
        runner->trouble = EX_IOERR;
    }
    check_leases(runner);
}

static void check_deadlines(struct runner *runner, int64_t now)
{
    for (unsigned i = 0; i < runner->job_count; i++) {
        struct job *job = &runner->jobs[i];
        if (job->state != JOB_RUNNING || now < job->deadline)
            continue;
        if (job->timed_out)
            job_kill(job);
        else
            job_stop(job);
    }
}

/* The earliest time at which a subject that waits may go on; INT64_MAX if none waits. */
static int64_t next_held(const struct runner *runner)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < runner->held.size; i++) {
        const struct subject_slot *slot = &runner->held.slots[i];
        if (slot->used && slot->value != RUNNER_IDLE && slot->value < next)
            next = slot->value;
    }
    return next;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool ends(const struct runner *runner)
{
    return runner->stopping > 0 || runner->trouble != 0;
}

static int64_t next_deadline(const struct runner *runner)
{
    int64_t next = runner->renew_at;
    for (unsigned i = 0; i < runner->job_count; i++)
        if (runner->jobs[i].state == JOB_RUNNING || runner->jobs[i].state == JOB_ENDED)
            next = earlier(next, runner->jobs[i].deadline);
    if (ends(runner))
        return next;
    next = earlier(next, earlier(runner->look_at, runner->rescan_at));
    if (runner->active < runner->options->jobs)
        next = earlier(next, next_held(runner));
    return runner->recover ? earlier(next, runner->recover_at) : next;
}

static void look_again(struct runner *runner, int64_t now)
{
    if (now >= runner->rescan_at && !runner->behind_walking) {
        runner->rescan_at = now + RUNNER_RESCAN;
        runner->recover = true;
        claim_rescan(runner);
    }
    if (runner->recover && now >= runner->recover_at) {
        recover_claims(runner);
        if (runner->recover)
            runner->recover_at = now + RUNNER_RETRY;
    }
    bool due = now >= next_held(runner);
    runner->look = runner->look || due || now >= runner->look_at;
    /* What waited may be behind the front. */
    runner->behind_stale = runner->behind_stale || (due && !runner->front.complete);
}

/* An entry that waited would have been claimed by now: somebody has taken it away. Where not all
 * was looked at, it is looked for again later. */
static void drop_held(struct runner *runner, int64_t now)
{
    bool through =
        !runner->halt && (runner->front.complete || (runner->behind_done && !runner->behind_stale));
    if (runner->active == runner->options->jobs)
        return;
    for (size_t i = 0; i < runner->held.size; i++) {
        struct subject_slot *slot = &runner->held.slots[i];
        if (!slot->used || slot->value == RUNNER_IDLE || slot->value > now)
            continue;
        slot->value = through ? RUNNER_IDLE : now + RUNNER_RETRY;
        if (!through)
            continue;
        const struct subject subject = slot->subject;
        claim_release(runner, &subject);
        /* Another may have moved up to here. */
        i--;
    }
}

/* --- the loop --- */

static void settle_all(struct runner *runner)
{
    for (unsigned i = 0; i < runner->job_count; i++)
        if (runner->jobs[i].state == JOB_ENDED)
            settle_move(runner, &runner->jobs[i]);
}

static bool sync_state(struct runner *runner, enum spool_state state)
{
    struct problem problem;
    bool unsynced = runner->unsynced[state];
    runner->unsynced[state] = false;
    if (!unsynced || move_sync(&runner->spool, state, &problem))
        return true;
    report_problem(runner, &problem);
    runner->trouble = EX_IOERR;
    return false;
}

/* All moves of this turn at once, as syncing takes longest. */
static bool sync_ended(struct runner *runner)
{
    bool done = sync_state(runner, SPOOL_DONE);
    bool given_up = sync_state(runner, SPOOL_FAILED);
    bool returned = sync_state(runner, SPOOL_NEW);
    return done && given_up && returned;
}

/* It may have taken long to come here, so it is asked once more whose the entry is. */
static void start(struct runner *runner, struct job *job)
{
    struct problem problem;
    job->lost = !lease_holds(&runner->leases, &job->subject);
    if (!job->lost && job_start(job, &runner->setting))
        return;
    /* As if it had been stopped at once: not the entry's fault. */
    job->state = JOB_ENDED;
    job->interrupted = true;
    job->status = SIGKILL;
    job->started = job->ended = timestamp_monotonic();
    if (job->lost)
        return;
    (void)failed("start the command", &problem);
    report_problem(runner, &problem);
    if (!runner->options->watch)
        runner->trouble = EX_OSERR;
}

/* The moves are durable: what has ended is finished, what was claimed, perhaps of its subject, may
 * start. */
static void go_on(struct runner *runner)
{
    for (unsigned i = 0; i < runner->job_count; i++) {
        struct job *job = &runner->jobs[i];
        if (job->state == JOB_DONE || job->state == JOB_FAILED || job->state == JOB_RETURNED)
            settle_finish(runner, job);
        else if (job->state == JOB_CLAIMED)
            start(runner, job);
    }
}

static void wait_for_events(struct runner *runner)
{
    struct pollfd polls[2 + 2 * RUNNER_JOBS_MAX] = {{.fd = runner->signals, .events = POLLIN},
                                                    {.fd = runner->inotify, .events = POLLIN}};
    int64_t wait = next_deadline(runner) - timestamp_monotonic();
    int timeout = wait < 0 ? 0 : (int)earlier(wait, INT_MAX);
    for (unsigned i = 0; i < runner->job_count; i++)
        polls[2 + i] = (struct pollfd){.fd = runner->jobs[i].errors, .events = POLLIN};
    if (poll(polls, 2 + runner->job_count, runner->look && !ends(runner) ? 0 : timeout) <= 0)
        return;
    for (unsigned i = 0; i < runner->job_count; i++)
        if (polls[2 + i].revents != 0)
            job_read(&runner->jobs[i]);
    if (polls[1].revents != 0)
        receive_names(runner);
    if (polls[0].revents != 0)
        receive_signals(runner);
}

/* Nothing is left that it could run, also among what has come since it looked. */
static bool is_through(struct runner *runner)
{
    if (runner->options->watch || runner->look || runner->recover ||
        next_held(runner) != INT64_MAX ||
        (!runner->front.complete && (!runner->behind_done || runner->behind_stale)))
        return false;
    if (runner->claimed)
        claim_rescan(runner);
    return !runner->look;
}

/* It is to end at once, and what is left can only stay claimed. */
static bool is_stuck(const struct runner *runner)
{
    bool stuck = runner->stopping > 1;
    for (unsigned i = 0; stuck && i < runner->job_count; i++)
        stuck = runner->jobs[i].state == JOB_FREE || runner->jobs[i].complained;
    return stuck;
}

static void loop(struct runner *runner)
{
    for (;;) {
        int64_t now = timestamp_monotonic();
        if (now >= runner->renew_at)
            renew(runner, now);
        if (!ends(runner))
            look_again(runner, now);
        check_deadlines(runner, now);
        settle_all(runner);
        if (runner->look && !ends(runner)) {
            claim_all(runner);
            drop_held(runner, now);
        }
        if (!sync_ended(runner))
            return;
        go_on(runner);
        /* Only so that a command that brings down the machine is counted: no reason to start
         * later. */
        if (!sync_state(runner, SPOOL_WORK))
            return;
        if ((runner->active == 0 && (ends(runner) || is_through(runner))) || is_stuck(runner))
            return;
        wait_for_events(runner);
    }
}

static int exit_status(const struct runner *runner)
{
    if (runner->trouble != 0)
        return runner->trouble;
    if (runner->options->watch)
        return EX_OK;
    if (runner->given_up > 0 || runner->blocked > 0)
        return EX_DATAERR;
    return runner->waiting > 0 || runner->stopping > 0 ? EX_TEMPFAIL : EX_OK;
}

int runner_run(const char *spool, const struct runner_options *options)
{
    struct problem problem;
    struct runner runner = {.options = options,
                            .setting = {options->command, spool, options->timeout, -1},
                            .spool = {.root = -1},
                            .attempts_directory = -1,
                            .leases_directory = -1,
                            .leases = {.fd = -1},
                            .signals = -1,
                            .inotify = -1,
                            .look_at = INT64_MAX};
    int status = EX_IOERR;
    /* What the runner was started with is not its commands' business. */
    (void)close_range(STDERR_FILENO + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC);
    if (open_all(&runner, &problem)) {
        progress_start(&runner.progress, !options->watch);
        loop(&runner);
        status = exit_status(&runner);
        report_end(&runner, status);
        progress_end(&runner.progress);
    } else {
        report_problem(&runner, &problem);
    }
    close_all(&runner);
    return status;
}

#include "runner.h"

#include "timestamp.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <sysexits.h>

/* --- where it belongs --- */

static bool exited_with(const struct job *job, int status)
{
    return WIFEXITED(job->status) && WEXITSTATUS(job->status) == status;
}

/* A command that is told to stop may still have come to an end that counts. */
static enum job_state judge(const struct runner *runner, struct job *job)
{
    if (exited_with(job, EX_OK))
        return JOB_DONE;
    if (job->interrupted) {
        job->attempt.attempts--;
        return JOB_RETURNED;
    }
    if (exited_with(job, EX_DATAERR)) {
        job->attempt.failures++;
        return JOB_FAILED;
    }
    if (job->timed_out || exited_with(job, EX_TEMPFAIL))
        return JOB_RETURNED;
    job->attempt.failures++;
    return job->attempt.failures >= runner->options->attempts ? JOB_FAILED : JOB_RETURNED;
}

/* When it is to be tried again, by the clock that does not jump. */
static int64_t set_retry(struct job *job)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = 0;
    int64_t delay = attempt_delay(job->attempt.attempts, random);
    job->attempt.retry = timestamp_now() + delay;
    return timestamp_monotonic() + delay;
}

/* What is remembered stands before the move: it may count an attempt too many, never one too
 * few. */
static bool remember(struct runner *runner, struct job *job, enum job_state outcome, int64_t *next,
                     struct problem *problem)
{
    bool returned = outcome == JOB_RETURNED && job->interrupted;
    *next = returned ? timestamp_monotonic() + RUNNER_RETRY : RUNNER_IDLE;
    if (outcome == JOB_DONE || returned)
        return true;
    if (outcome == JOB_RETURNED)
        *next = set_retry(job);
    report_error(job, runner->options->timeout, job->attempt.error, sizeof job->attempt.error);
    return attempt_write(&runner->spool, runner->attempts_directory, job->name, &job->attempt,
                         problem);
}

static enum spool_state state_of(enum job_state outcome)
{
    switch (outcome) {
    case JOB_DONE:
        return SPOOL_DONE;
    case JOB_FAILED:
        return SPOOL_FAILED;
    case JOB_FREE:
    case JOB_CLAIMED:
    case JOB_RUNNING:
    case JOB_ENDED:
    case JOB_RETURNED:
        break;
    }
    return SPOOL_NEW;
}

/* --- moving it --- */

/* It cannot be moved, as the disk is full, say: it stays claimed, and this is tried again. */
static void put_off(struct runner *runner, struct job *job, const struct problem *problem)
{
    if (!job->complained)
        report_problem(runner, problem);
    job->complained = true;
    job->deadline = timestamp_monotonic() + RUNNER_RETRY;
}

static void lose(struct runner *runner, struct job *job)
{
    job->lost = true;
    report_job(runner, job);
    subject_table_remove(&runner->held, &job->subject);
    job_release(job);
    runner->active--;
    runner->look = true;
}

static void moved(struct runner *runner, struct job *job, enum job_state outcome, int64_t next)
{
    job->state = outcome;
    runner->active--;
    runner->unsynced[state_of(outcome)] = true;
    runner->look = true;
    (void)subject_table_put(&runner->held, &job->subject, next);
    if (outcome == JOB_RETURNED)
        (void)window_insert(&runner->front, job->name);
    else
        window_remove(&runner->front, job->name);
    if (outcome == JOB_FAILED && runner->options->strict_order &&
        !subject_table_put(&runner->failed, &job->subject, 0))
        runner->trouble = EX_IOERR;
}

static void move_to(struct runner *runner, struct job *job, enum job_state outcome, int64_t next)
{
    struct problem problem;
    enum spool_state to = state_of(outcome);
    switch (move_entry(&runner->spool, job->name, SPOOL_WORK, to, &problem)) {
    case MOVED:
        moved(runner, job, outcome, next);
        break;
    case MOVE_GONE:
        lose(runner, job);
        break;
    case MOVE_TWIN:
        /* A second delivery that came while this one was claimed: see spool_store(). It takes the
         * name, and this one is out of its way. */
        report_problem(runner, &problem);
        if (move_aside(&runner->spool, job->name, SPOOL_WORK, to, &problem)) {
            moved(runner, job, outcome, next);
            break;
        }
        put_off(runner, job, &problem);
        break;
    case MOVE_FAILED:
        put_off(runner, job, &problem);
    }
}

/* Without its lease, an entry is not to be touched; nor left, as long as the lease may be there. */
static void act_without_lease(struct runner *runner, struct job *job)
{
    struct problem problem;
    if (errno == 0) {
        lose(runner, job);
        return;
    }
    (void)problem_set(&problem, 503, "cannot look at a lease in %s/" LEASE_DIRECTORY ": %s",
                      runner->spool.path, strerror(errno));
    put_off(runner, job, &problem);
}

void settle_move(struct runner *runner, struct job *job)
{
    int64_t next;
    struct problem problem;
    if (timestamp_monotonic() < job->deadline)
        return;
    errno = 0;
    if (job->lost || !lease_holds(&runner->leases, &job->subject)) {
        act_without_lease(runner, job);
        return;
    }
    const struct attempt before = job->attempt;
    enum job_state outcome = judge(runner, job);
    if (remember(runner, job, outcome, &next, &problem))
        move_to(runner, job, outcome, next);
    else
        put_off(runner, job, &problem);
    /* Judged again when it is tried again. */
    if (job->state == JOB_ENDED)
        job->attempt = before;
}

void settle_finish(struct runner *runner, struct job *job)
{
    report_job(runner, job);
    if (job->state == JOB_DONE) {
        runner->done++;
        if (job->attempt.attempts > 1)
            attempt_forget(runner->attempts_directory, job->name);
    } else if (job->state == JOB_FAILED) {
        runner->given_up++;
    }
    progress_show(&runner->progress, runner->done + runner->given_up, runner->total);
    claim_release(runner, &job->subject);
    job_release(job);
}

/*
 * runner: hands entries to a consumer's command, in order, at least once: tradecloud-spool run.
 *
 * Calling sequence: fill in struct runner_options; runner_run.
 *
 * How an entry moves, and what each step leaves if the runner dies behind it:
 *
 *   step                                it is in   if the runner dies then
 *   the subject's lease is taken        new/       the lease is dead: whoever wants it takes it
 *   it is renamed                       work/      the claim is dead: whoever takes the lease over
 *   its command starts                  work/        returns it to new/, and counts an attempt
 *   work/ is synced, its command ends   work/        that failed
 *   what is remembered is written       work/
 *   it is renamed, the directory synced done/ ...  the lease is dead
 *   the lease is released, or the next entry of the subject is claimed
 *
 * So it is always in one state; and as each step on an entry is made by the holder of its
 * subject's lease, at one place, entries of a subject are never run at once or out of order. One
 * that waits to be tried again keeps its lease, and so holds back its subject.
 *
 * The parts: runner.c, the loop; claim.c, which entry is next; settle.c, what becomes of one whose
 * command has ended; recover.c, what the dead have left; report.c, what is logged.
 */
#ifndef COMMON_RUNNER_H
#define COMMON_RUNNER_H

#include "job.h"
#include "lease.h"
#include "move.h"
#include "problem.h"
#include "progress.h"
#include "spool.h"
#include "subject.h"
#include "window.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RUNNER_JOBS_MAX = 256,
    RUNNER_HELD_MAX = 10000,    /* leases at once, those of entries that wait among them */
    RUNNER_PASSED_MAX = 65536,  /* subjects that wait before the place where it looks on */
    RUNNER_REPORTED_MAX = 1024, /* odd names that are remembered, to be reported once */
    RUNNER_RESCAN = 30000,      /* milliseconds between looking at everything again */
    RUNNER_RETRY = 2000,        /* milliseconds until what could not be done is tried again */
    RUNNER_CLAIM_AGE = 3600000, /* milliseconds after which a claim without a lease, somebody's own
                                   rename into work/, counts as abandoned */
};

struct runner_options {
    char **command; /* argv, NULL at its end */
    unsigned jobs;
    unsigned attempts;
    int64_t timeout; /* milliseconds */
    const char **types;
    size_t type_count; /* 0: all types */
    bool watch;
    bool strict_order;
};

/* Values in runner->held beside times (timestamp_monotonic) before which the subject waits. */
#define RUNNER_IDLE INT64_C(0)
#define RUNNER_BUSY INT64_MAX

struct runner {
    const struct runner_options *options;
    struct job_setting setting;
    struct spool spool;
    int attempts_directory;
    int leases_directory;
    int signals;
    int inotify; /* -1 if it does not watch */
    struct leases leases;
    struct job *jobs; /* twice options->jobs: while one is made durable, the next is claimed */
    unsigned job_count;
    unsigned active;      /* claimed, running or ended: options->jobs at most */
    struct window front;  /* the oldest entries */
    struct window behind; /* more of them, where those in front wait */
    bool behind_done;     /* nothing can be run behind, until that changes: */
    bool behind_stale;    /* it is to be looked at from its beginning, */
    bool behind_walking;  /* but not before the present walk has come to its end */
    int64_t behind_spent; /* milliseconds, on this walk */
    uint64_t behind_waiting, behind_blocked; /* in what this walk has seen */
    struct subject_table held;     /* subjects of which it has the lease: when they may go on */
    struct subject_table skipped;  /* by the present walk: an older entry of that subject waits */
    struct subject_table passed;   /* in the windows behind that were left */
    struct subject_table foreign;  /* held by others: when to ask again */
    struct subject_table failed;   /* of which an entry is in failed/; with strict_order only: */
    struct stat failed_status;     /* of that directory, before it was last read */
    int64_t failed_read;           /* and when that was, in seconds of its file system's clock */
    struct subject_table orphaned; /* taken over from dead runners, whose claims are to return */
    struct subject_table reported; /* odd names */
    bool unsynced[SPOOL_STATES];
    bool look;    /* there may be something to be claimed */
    bool halt;    /* the present walk is not to go on */
    bool recover; /* there are orphaned claims */
    bool claimed; /* something was, since everything was looked at */
    int64_t renewed;
    int64_t renew_at;
    int64_t rescan_at;
    int64_t recover_at; /* not to be tried before */
    int64_t look_at;    /* when `look` becomes true by itself */
    int64_t behind_at;  /* not to be looked at behind before */
    unsigned stopping;  /* how often it was asked to end */
    int trouble;        /* exit status, if it must end */
    uint64_t done, given_up, waiting, blocked;
    uint64_t total; /* entries, when everything was last looked at, and those that were done */
    struct progress progress;
};

/* Run until it is stopped or, without `watch`, until nothing is left that it could run. Returns the
 * exit status (sysexits(3)): see tradecloud-spool(1). */
int runner_run(const char *spool, const struct runner_options *options);

/* --- claim.c --- */

/* Claim what can be run, as long as there are free jobs: in JOB_CLAIMED then. */
void claim_all(struct runner *runner);

/* Look at all of new/ again from its beginning. */
void claim_rescan(struct runner *runner);

/* Whether entries of this type are to be run. */
bool claim_wants(const struct runner *runner, const struct entry *entry);

/* Give the lease of a subject up, unless a job has it or an entry waits. */
void claim_release(struct runner *runner, const struct subject *subject);

/* --- settle.c --- */

/* Move the entry of a job that has ended to where it belongs. The job stays JOB_ENDED if that is
 * not possible now. */
void settle_move(struct runner *runner, struct job *job);

/* The moves are durable: log it, and free the job. */
void settle_finish(struct runner *runner, struct job *job);

/* --- recover.c --- */

/* Return the claims of dead runners, and abandoned ones, to new/. */
void recover_claims(struct runner *runner);

/* --- report.c --- */

/* What became of a job. */
void report_job(struct runner *runner, const struct job *job);

/* Nothing could become of it, as it is not the runner's any more. */
void report_lost(struct runner *runner, const struct job *job);

/* What became of the claim of a dead runner. */
void report_returned(struct runner *runner, const char *name, const struct entry *entry,
                     const struct attempt *attempt, bool given_up);

/* An odd file, once: where, which, why. */
void report_odd(struct runner *runner, enum spool_state state, const char *name, const char *why);

/* Let the problem that entry_open has set say with which entry. */
void report_which(enum spool_state state, const char *name, struct problem *problem);

/* Trouble with the spool. */
void report_problem(struct runner *runner, const struct problem *problem);

/* The last line: how much was done. */
void report_end(struct runner *runner, int status);

/* "exit 1", "signal 9", "no end within 300 s", and the last line of standard error. */
void report_error(const struct job *job, int64_t timeout, char *text, size_t size);

#endif

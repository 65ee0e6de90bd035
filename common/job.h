/*
 * job: one attempt to hand an entry to the consumer's command.
 *
 * Calling sequence: job_init; fill in what stands first in struct job; job_start; job_read whenever
 * `errors` can be read; job_stop or job_kill if need be; job_reap after each SIGCHLD; job_release.
 *
 * The command runs in a process group of its own, with
 *   - the entry's file on standard input, at its beginning; standard output is the runner's; what
 *     it writes to standard error is passed on to the runner's as it comes, its last line kept;
 *   - an environment of JOB_VARIABLES (those that the runner has) and
 *       CE_ID CE_SOURCE CE_TYPE CE_SUBJECT CE_TIME   the event's attributes, those it has;
 *                     a NUL, which no variable can hold, is U+FFFD
 *       SPOOL_FILE    the entry's path, in work/: absolute
 *       SPOOL_ATTEMPT which attempt this is, from 1
 *     Whatever else it needs is to be given to it by env(1);
 *   - all signals as they are by default, umask 007, and the runner's working directory;
 *   - one more descriptor, the lock that tells that the entry is being worked on (see lease.h).
 * If the runner dies, however it does, the kernel kills the command (PR_SET_PDEATHSIG).
 */
#ifndef COMMON_JOB_H
#define COMMON_JOB_H

#include "attempt.h"
#include "entry.h"
#include "subject.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Everything else of the runner's environment is its own. A name that ends in _ is a prefix. */
#define JOB_VARIABLES "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_", "TZ", "TMPDIR"

enum {
    JOB_LINE_MAX = 256, /* bytes kept of the last line of standard error */
    JOB_GRACE = 10000,  /* milliseconds from SIGTERM to SIGKILL */
};

enum job_state {
    JOB_FREE,
    JOB_CLAIMED,  /* the entry is in work/, the command not started */
    JOB_RUNNING,  /* the command runs */
    JOB_ENDED,    /* the command has ended, the entry is in work/ */
    JOB_DONE,     /* the entry was moved to done/, not yet durably */
    JOB_FAILED,   /* ... to failed/ */
    JOB_RETURNED, /* ... to new/, to be tried again */
};

struct job {
    enum job_state state;
    char name[ENTRY_NAME_MAX + 1];
    struct subject subject;
    struct attempt attempt; /* this one included */
    struct entry entry;     /* open */
    pid_t pid;
    int errors;      /* the reading end of its standard error, -1 after it was closed */
    int status;      /* as waitpid() tells it */
    int64_t started; /* timestamp_monotonic() */
    int64_t ended;
    int64_t deadline; /* when job_stop or job_kill is due */
    bool timed_out;   /* it was stopped because of its deadline */
    bool interrupted; /* it was killed because the runner is to end */
    bool lost;        /* its lease was, so it was killed: the entry is somebody else's */
    bool complained;  /* that it cannot be moved has been logged */
    bool line_ended;
    size_t line_length;
    char line[JOB_LINE_MAX];
};

/* What is the same for all jobs. */
struct job_setting {
    char **command;    /* argv, NULL at its end */
    const char *spool; /* absolute path */
    int64_t timeout;   /* milliseconds */
    int lock;          /* descriptor to be inherited */
};

/* JOB_FREE, with nothing open. */
void job_init(struct job *job);

/* Whether the command can be found and run, by PATH if it has no slash in it. */
bool job_can_run(const char *command);

/* Start the command. Returns false with errno if there is no process or memory to be had; what goes
 * wrong after that looks like a command that says so and exits 75. */
bool job_start(struct job *job, const struct job_setting *setting);

/* Pass on what is there to be read of standard error; at its end, close it. */
void job_read(struct job *job);

/* Ask the process group to end, with SIGTERM; job_kill is due after JOB_GRACE. */
void job_stop(struct job *job);

/* End it, with SIGKILL. */
void job_kill(struct job *job);

/* Whether the process has ended. If so, it is JOB_ENDED with its status, what is left of standard
 * error was read and, if it was to be stopped, what is left of its process group killed. */
bool job_reap(struct job *job);

/* Close and free what it has; it is JOB_FREE then. */
void job_release(struct job *job);

#endif

#include "runner.h"

#include "log.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static void write_line(struct runner *runner, struct log_line *line)
{
    progress_hide(&runner->progress);
    log_write(line);
}

/* What it says is escaped where it is shown. */
static void copy_line(const struct job *job, char line[JOB_LINE_MAX + 1])
{
    for (size_t i = 0; i < job->line_length; i++) {
        unsigned char byte = (unsigned char)job->line[i];
        line[i] = job->line[i];
        if (byte == '\t' || byte == '\r')
            line[i] = ' ';
        else if (byte < 0x20 || byte == 0x7f)
            line[i] = '?';
    }
    line[job->line_length] = '\0';
}

void report_error(const struct job *job, int64_t timeout, char *text, size_t size)
{
    char line[JOB_LINE_MAX + 1];
    const char *separator = job->line_length > 0 ? ": " : "";
    copy_line(job, line);
    if (job->timed_out)
        (void)snprintf(text, size, "no end within %lld s%s%s", (long long)(timeout / 1000),
                       separator, line);
    else if (WIFSIGNALED(job->status))
        (void)snprintf(text, size, "signal %d%s%s", WTERMSIG(job->status), separator, line);
    else
        (void)snprintf(text, size, "exit %d%s%s", WEXITSTATUS(job->status), separator, line);
}

static const char *outcome_of(const struct job *job)
{
    if (job->state == JOB_DONE)
        return "done";
    if (job->state == JOB_FAILED)
        return "failed";
    return job->interrupted ? "returned" : "retry";
}

static void write_job(struct runner *runner, const struct job *job, const char *outcome,
                      const char *reason)
{
    struct log_line line = LOG_LINE_INIT;
    log_text(&line, "outcome", text_of(outcome));
    log_text(&line, "file", text_of(job->name));
    log_text(&line, "subject", job->entry.subject);
    log_number(&line, "attempt", job->attempt.attempts);
    if (WIFSIGNALED(job->status))
        log_number(&line, "signal", WTERMSIG(job->status));
    else
        log_number(&line, "exit", WEXITSTATUS(job->status));
    log_number(&line, "ms", job->ended - job->started);
    log_text(&line, "reason", text_of(reason));
    write_line(runner, &line);
}

void report_job(struct runner *runner, const struct job *job)
{
    write_job(runner, job, outcome_of(job), job->state == JOB_DONE ? NULL : job->attempt.error);
}

void report_lost(struct runner *runner, const struct job *job)
{
    write_job(runner, job, "lost",
              job->lost ? "its lease was lost: another runner goes on with it"
                        : "somebody has taken it out of work/ meanwhile");
}

void report_returned(struct runner *runner, const char *name, const struct entry *entry,
                     const struct attempt *attempt, bool given_up)
{
    struct log_line line = LOG_LINE_INIT;
    log_text(&line, "outcome", text_of(given_up ? "failed" : "returned"));
    log_text(&line, "file", text_of(name));
    log_text(&line, "subject", entry->subject);
    log_number(&line, "attempt", attempt->attempts);
    log_text(&line, "reason", text_of(attempt->error));
    write_line(runner, &line);
}

void report_odd(struct runner *runner, enum spool_state state, const char *name, const char *why)
{
    struct subject key;
    const struct entry nothing = {.fd = -1};
    struct log_line line = LOG_LINE_INIT;
    subject_key(&nothing, name, &key);
    key.hash[0] ^= state;
    if (subject_table_get(&runner->reported, &key) != NULL ||
        !subject_table_put(&runner->reported, &key, 0))
        return;
    log_text(&line, "outcome", text_of("odd"));
    log_text(&line, "directory", text_of(spool_state_name(state)));
    log_text(&line, "file", text_of(name));
    log_text(&line, "reason", text_of(why));
    write_line(runner, &line);
}

void report_which(enum spool_state state, const char *name, struct problem *problem)
{
    const struct problem what = *problem;
    (void)problem_set(problem, what.status, "%s/%s: %s", spool_state_name(state), name,
                      what.reason);
}

void report_problem(struct runner *runner, const struct problem *problem)
{
    struct log_line line = LOG_LINE_INIT;
    log_text(&line, "outcome", text_of("trouble"));
    log_text(&line, "reason", text_of(problem->reason));
    write_line(runner, &line);
}

void report_end(struct runner *runner, int status)
{
    struct log_line line = LOG_LINE_INIT;
    log_text(&line, "outcome", text_of("end"));
    log_number(&line, "status", status);
    log_number(&line, "done", (int64_t)runner->done);
    log_number(&line, "failed", (int64_t)runner->given_up);
    log_number(&line, "waiting", (int64_t)runner->waiting);
    log_number(&line, "blocked", (int64_t)runner->blocked);
    write_line(runner, &line);
}

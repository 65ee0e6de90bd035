#include "job.h"

#include "spool.h"
#include "timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    VARIABLES_MAX = 64, /* of the environment; LC_* has a dozen */
    OWN_VARIABLES = 7,
};

void job_init(struct job *job)
{
    memset(job, 0, sizeof *job);
    job->errors = -1;
    job->entry.fd = -1;
}

/* --- the command --- */

static bool is_program(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

bool job_can_run(const char *command)
{
    const char *path = getenv("PATH");
    if (strchr(command, '/') != NULL)
        return is_program(command);
    if (path == NULL)
        path = "/bin:/usr/bin";
    while (true) {
        char program[4096];
        size_t length = strcspn(path, ":");
        int written = snprintf(program, sizeof program, "%.*s%s%s", (int)length, path,
                               length == 0 ? "" : "/", command);
        if (written > 0 && (size_t)written < sizeof program && is_program(program))
            return true;
        if (path[length] == '\0')
            return false;
        path += length + 1;
    }
}

/* --- the environment --- */

/* The strings one after the other, each with a NUL at its end. */
struct environment {
    struct buffer strings;
    size_t offsets[VARIABLES_MAX];
    char *variables[VARIABLES_MAX + 1];
    size_t count;
};

static bool add(struct environment *environment, const char *name, struct text value)
{
    struct buffer *strings = &environment->strings;
    if (value.data == NULL || environment->count == VARIABLES_MAX)
        return true;
    environment->offsets[environment->count++] = strings->length;
    bool added = buffer_append_string(strings, name) && buffer_append_string(strings, "=");
    for (size_t i = 0; added && i < value.length; i++)
        added = value.data[i] == '\0' ? buffer_append_string(strings, "\xef\xbf\xbd")
                                      : buffer_append(strings, &value.data[i], 1);
    return added && buffer_append(strings, "", 1);
}

static bool is_wanted(const char *variable)
{
    static const char *const names[] = {JOB_VARIABLES};
    size_t length = strcspn(variable, "=");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t wanted = strlen(names[i]);
        if (strncmp(variable, names[i], wanted) == 0 &&
            (length == wanted || names[i][wanted - 1] == '_'))
            return true;
    }
    return false;
}

static bool add_base(struct environment *environment)
{
    bool added = true;
    for (char **variable = environ; added && *variable != NULL; variable++) {
        if (!is_wanted(*variable) || environment->count == VARIABLES_MAX - OWN_VARIABLES)
            continue;
        environment->offsets[environment->count++] = environment->strings.length;
        added = buffer_append(&environment->strings, *variable, strlen(*variable) + 1);
    }
    return added;
}

static bool build(const struct job *job, const struct job_setting *setting,
                  struct environment *environment)
{
    char attempt[16];
    char file[4096];
    const struct entry *entry = &job->entry;
    (void)snprintf(attempt, sizeof attempt, "%u", job->attempt.attempts);
    (void)snprintf(file, sizeof file, "%s/%s/%s", setting->spool, spool_state_name(SPOOL_WORK),
                   job->name);
    if (!add_base(environment) || !add(environment, "CE_ID", entry->id) ||
        !add(environment, "CE_SOURCE", entry->source) ||
        !add(environment, "CE_TYPE", entry->type) ||
        !add(environment, "CE_SUBJECT", entry->subject) ||
        !add(environment, "CE_TIME", entry->time) ||
        !add(environment, "SPOOL_FILE", text_of(file)) ||
        !add(environment, "SPOOL_ATTEMPT", text_of(attempt)))
        return false;
    for (size_t i = 0; i < environment->count; i++)
        environment->variables[i] = environment->strings.data + environment->offsets[i];
    return true;
}

/* --- starting --- */

/* In the child: undo what the runner has set for itself. */
static void reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int number = 1; number < NSIG; number++)
        (void)sigaction(number, &action, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child: the runner has not been here yet if it died at once. */
static bool prepare(const struct job *job, const struct job_setting *setting, pid_t runner,
                    int errors)
{
    reset_signals();
    return setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == runner &&
           dup2(job->entry.fd, STDIN_FILENO) >= 0 && dup2(errors, STDERR_FILENO) >= 0 &&
           fcntl(STDIN_FILENO, F_SETFL, 0) == 0 && fcntl(setting->lock, F_SETFD, 0) == 0;
}

/* That a command cannot be run is not its entry's fault: it is tried again without end. */
__attribute__((noreturn)) static void become(const struct job *job,
                                             const struct job_setting *setting, pid_t runner,
                                             int errors, char **variables)
{
    if (prepare(job, setting, runner, errors))
        (void)execvpe(setting->command[0], setting->command, variables);
    (void)dprintf(errors, "cannot run %s: %s\n", setting->command[0], strerror(errno));
    _exit(EX_TEMPFAIL);
}

static bool start(struct job *job, const struct job_setting *setting, char **variables)
{
    int errors[2];
    pid_t runner = getpid();
    if (pipe2(errors, O_CLOEXEC) != 0)
        return false;
    job->pid = fork();
    if (job->pid == 0)
        become(job, setting, runner, errors[1], variables);
    int error = errno;
    (void)close(errors[1]);
    if (job->pid < 0) {
        (void)close(errors[0]);
        errno = error;
        return false;
    }
    /* Both do it, as neither knows who comes first. It fails if the child has gone on already. */
    (void)setpgid(job->pid, job->pid);
    (void)fcntl(errors[0], F_SETFL, O_NONBLOCK);
    job->errors = errors[0];
    return true;
}

bool job_start(struct job *job, const struct job_setting *setting)
{
    struct environment environment = {.count = 0};
    job->errors = -1;
    bool started = build(job, setting, &environment);
    if (!started)
        errno = ENOMEM;
    else
        started = start(job, setting, environment.variables);
    int error = errno;
    buffer_release(&environment.strings);
    errno = error;
    if (!started)
        return false;
    job->state = JOB_RUNNING;
    job->started = timestamp_monotonic();
    job->deadline = job->started + setting->timeout;
    return true;
}

/* --- standard error --- */

/* Keep the last line that is not empty. */
static void keep_line(struct job *job, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n') {
            job->line_ended = true;
            continue;
        }
        if (job->line_ended)
            job->line_length = 0;
        job->line_ended = false;
        if (job->line_length < sizeof job->line)
            job->line[job->line_length++] = bytes[i];
    }
}

static void pass_on(const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDERR_FILENO, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        bytes += written;
        length -= (size_t)written;
    }
}

void job_read(struct job *job)
{
    char bytes[4096];
    ssize_t got = read(job->errors, bytes, sizeof bytes);
    if (got > 0) {
        keep_line(job, bytes, (size_t)got);
        pass_on(bytes, (size_t)got);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        (void)close(job->errors);
        job->errors = -1;
    }
}

/* --- ending --- */

void job_stop(struct job *job)
{
    job->timed_out = true;
    job->deadline = timestamp_monotonic() + JOB_GRACE;
    (void)kill(-job->pid, SIGTERM);
}

void job_kill(struct job *job)
{
    job->deadline = INT64_MAX;
    (void)kill(-job->pid, SIGKILL);
}

static void drain(struct job *job)
{
    enum { READS = 17 }; /* a pipe holds 64 KiB, and a child of the command may write for ever */
    for (int i = 0; i < READS && job->errors >= 0; i++)
        job_read(job);
    if (job->errors >= 0)
        (void)close(job->errors);
    job->errors = -1;
    /* The next line in the log is another's. */
    if (job->line_length > 0 && !job->line_ended)
        pass_on("\n", 1);
}

bool job_reap(struct job *job)
{
    siginfo_t info = {.si_pid = 0};
    if (waitid(P_PID, (id_t)job->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
        return false;
    /* As long as it was not waited for, its id is nobody else's. */
    if (job->timed_out || job->interrupted || job->lost)
        job_kill(job);
    while (waitpid(job->pid, &job->status, 0) != job->pid)
        if (errno != EINTR)
            return false;
    job->state = JOB_ENDED;
    job->ended = timestamp_monotonic();
    job->deadline = 0;
    drain(job);
    return true;
}

void job_release(struct job *job)
{
    if (job->errors >= 0)
        (void)close(job->errors);
    entry_close(&job->entry);
    job_init(job);
}

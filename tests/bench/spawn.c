/*
 * Run CGI programs in turn as a web server would, without one, and time each run: from before the
 * process is made until it has ended, its answer read.
 *
 *     spawn ROUNDS BODY OFFSET [NAME=VALUE...] PROGRAM [NAME=VALUE...] PROGRAM ...
 *
 * The body is the file BODY, in which at OFFSET a new message id (36 bytes) is put for each run;
 * -1 leaves it as it is. A program gets this program's environment, in which the variables that
 * stand before it take precedence, and pipes as standard input and output. In each round every
 * program runs once; each round begins with another one and goes the other way round, so that none
 * always comes after the same. The first round is not counted. For each run a line is printed: the
 * program's number, wall time in nanoseconds, processor time in microseconds, peak memory in kB,
 * and the status it answered, 0 if there was none or it failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ID_LENGTH = 36, TARGETS_MAX = 16, VARIABLES_MAX = 64 };

struct target {
    char *program;
    char *environment[VARIABLES_MAX + 1];
};

struct body {
    int fd;
    off_t length;
    off_t id_at;
};

struct run {
    int64_t wall;
    struct rusage usage;
    char answer[4096];
    bool ended_well;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* From the file into the pipe, never through this process: the peak memory of a child begins with
 * that of its parent. A program that does not read is told by its answer. */
static void send_until(int pipe, const struct body *body, off_t *from, off_t to)
{
    while (*from < to)
        if (sendfile(pipe, body->fd, from, (size_t)(to - *from)) <= 0) {
            if (errno != EPIPE)
                die("sendfile");
            return;
        }
}

static void send_id(int pipe)
{
    static uint64_t count;
    char id[ID_LENGTH + 1];
    (void)snprintf(id, sizeof id, "%08x-0000-4000-8000-%012" PRIx64, (unsigned)getpid(), ++count);
    if (write(pipe, id, ID_LENGTH) != ID_LENGTH && errno != EPIPE)
        die("write");
}

static void send_body(int pipe, const struct body *body)
{
    off_t at = 0;
    if (body->id_at >= 0) {
        send_until(pipe, body, &at, body->id_at);
        send_id(pipe);
        at = body->id_at + ID_LENGTH;
    }
    send_until(pipe, body, &at, body->length);
}

static void read_answer(int pipe, struct run *run)
{
    size_t length = 0;
    ssize_t got;
    while ((got = read(pipe, run->answer + length, sizeof run->answer - 1 - length)) > 0)
        length += (size_t)got;
    run->answer[length] = '\0';
}

static pid_t start(const struct target *target, int input, int output)
{
    pid_t pid;
    char *arguments[] = {target->program, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t usual;
    (void)sigemptyset(&usual);
    (void)sigaddset(&usual, SIGPIPE);
    if (posix_spawn_file_actions_init(&actions) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO) != 0 ||
        posix_spawnattr_init(&attributes) != 0 ||
        posix_spawnattr_setsigdefault(&attributes, &usual) != 0 ||
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF) != 0 ||
        posix_spawn(&pid, target->program, &actions, &attributes, arguments, target->environment) !=
            0)
        die(target->program);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return pid;
}

static void measure(const struct target *target, const struct body *body, struct run *run)
{
    int input[2];
    int output[2];
    int status;
    int64_t begun = now();
    if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0)
        die("pipe2");
    pid_t pid = start(target, input[0], output[1]);
    (void)close(input[0]);
    (void)close(output[1]);
    send_body(input[1], body);
    (void)close(input[1]);
    read_answer(output[0], run);
    if (wait4(pid, &status, 0, &run->usage) != pid)
        die("wait4");
    run->wall = now() - begun;
    run->ended_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    (void)close(output[0]);
}

static void print(int program, const struct run *run)
{
    static const char field[] = "Status: ";
    const struct timeval *user = &run->usage.ru_utime;
    const struct timeval *system = &run->usage.ru_stime;
    const char *status = strstr(run->answer, field);
    (void)printf("%d %" PRId64 " %ld %ld %ld\n", program, run->wall,
                 (user->tv_sec + system->tv_sec) * 1000000 + user->tv_usec + system->tv_usec,
                 run->usage.ru_maxrss,
                 status == NULL || !run->ended_well ? 0
                                                    : strtol(status + sizeof field - 1, NULL, 10));
}

/* Take the next program and its variables from the arguments. */
static void read_target(char ***arguments, struct target *target)
{
    int count = 0;
    for (; **arguments != NULL && strchr(**arguments, '=') != NULL; ++*arguments)
        if (count < VARIABLES_MAX)
            target->environment[count++] = **arguments;
    for (char **variable = environ; *variable != NULL && count < VARIABLES_MAX; variable++)
        target->environment[count++] = *variable;
    target->environment[count] = NULL;
    target->program = **arguments;
    if (target->program == NULL) {
        (void)fputs("spawn: variables without a program\n", stderr);
        exit(2);
    }
    ++*arguments;
}

static void run_all(long rounds, const struct body *body, const struct target *targets, int count)
{
    static struct run run;
    for (long round = 0; round <= rounds; round++) {
        for (int i = 0; i < count; i++) {
            int number = (int)((round + (round % 2 == 0 ? i : count - i)) % count);
            measure(&targets[number], body, &run);
            if (round > 0)
                print(number, &run);
        }
    }
}

int main(int argc, char **argv)
{
    struct stat status;
    static struct target targets[TARGETS_MAX];
    int count = 0;
    if (argc < 5) {
        (void)fputs("usage: spawn ROUNDS BODY OFFSET [NAME=VALUE...] PROGRAM ...\n", stderr);
        return 2;
    }
    struct body body = {open(argv[2], O_RDONLY | O_CLOEXEC), 0, (off_t)strtol(argv[3], NULL, 10)};
    if (body.fd < 0 || fstat(body.fd, &status) != 0)
        die(argv[2]);
    body.length = status.st_size;
    for (char **arguments = argv + 4; *arguments != NULL && count < TARGETS_MAX; count++)
        read_target(&arguments, &targets[count]);
    (void)signal(SIGPIPE, SIG_IGN);
    run_all(strtol(argv[1], NULL, 10), &body, targets, count);
    return fflush(stdout) == 0 ? 0 : 1;
}

/*
 * shorten CALL N SHARE PROGRAM...: run a program and let its Nth system call CALL (read, write,
 * writev, pwritev, pread64, pwrite64) move fewer bytes than it was asked to, as the kernel may at
 * any time: SHARE percent of them, at least one; of several buffers, the first only. Ends as the
 * program does; with 99 if there was no such call, or it moved one byte.
 *
 * It changes the number in the processor's register, or the buffer's length in the program's
 * memory, as the call is entered, so the program needs no library to be preloaded and may be
 * static. Only for x86-64.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { USAGE = 64, NOT_REACHED = 99 };

static const struct call {
    const char *name;
    unsigned long long number;
} calls[] = {
    {"read", SYS_read},       {"write", SYS_write},     {"writev", SYS_writev},
    {"pwritev", SYS_pwritev}, {"pread64", SYS_pread64}, {"pwrite64", SYS_pwrite64},
};

static const struct call *find(const char *name)
{
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (strcmp(calls[i].name, name) == 0)
            return &calls[i];
    return NULL;
}

static unsigned long long share_of(unsigned long long asked, unsigned long long share)
{
    unsigned long long moved = asked * share / 100;
    return moved == 0 ? 1 : moved;
}

/* The length of the one buffer, in the program's memory. */
static int shorten_buffer(pid_t pid, unsigned long long vector, unsigned long long share)
{
    char *length = (char *)vector + offsetof(struct iovec, iov_len);
    errno = 0;
    unsigned long long asked = (unsigned long long)ptrace(PTRACE_PEEKDATA, pid, length, NULL);
    if (errno != 0 || asked < 2)
        return 0;
    return ptrace(PTRACE_POKEDATA, pid, length, (void *)share_of(asked, share)) == 0;
}

/* The third argument of all these calls is how much is to be moved, or how many buffers. */
static int shorten(pid_t pid, struct user_regs_struct *registers, const struct call *call,
                   unsigned long long share)
{
    unsigned long long asked = registers->rdx;
    int buffers = call->number == SYS_writev || call->number == SYS_pwritev;
    if (buffers && asked == 1)
        return shorten_buffer(pid, registers->rsi, share);
    if (asked < 2)
        return 0;
    registers->rdx = buffers ? 1 : share_of(asked, share);
    return ptrace(PTRACE_SETREGS, pid, NULL, registers) == 0;
}

/* Every call stops twice: as it is entered and as it returns. */
static int follow(pid_t pid, const struct call *call, long nth, unsigned long long share)
{
    int status;
    int done = 0;
    int entered = 0;
    long seen = 0;
    int signal = 0;
    while (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)signal) == 0 &&
           waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
        struct user_regs_struct registers;
        signal = WSTOPSIG(status);
        if (signal == SIGTRAP && status >> 16 != 0)
            signal = 0; /* a program was executed */
        if (signal != (SIGTRAP | 0x80))
            continue;
        signal = 0;
        entered = !entered;
        if (!entered || ptrace(PTRACE_GETREGS, pid, NULL, &registers) != 0)
            continue;
        if (registers.orig_rax == call->number && ++seen == nth)
            done = shorten(pid, &registers, call, share);
    }
    if (!done)
        return NOT_REACHED;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    const struct call *call = argc < 5 ? NULL : find(argv[1]);
    if (call == NULL) {
        (void)fprintf(stderr, "usage: shorten CALL N SHARE PROGRAM...\n");
        return USAGE;
    }
    pid_t pid = fork();
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
            (void)execvp(argv[4], argv + 4);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, NULL, 0) != pid)
        return 1;
    (void)ptrace(PTRACE_SETOPTIONS, pid, NULL,
                 (void *)(long)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL));
    return follow(pid, call, strtol(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
}

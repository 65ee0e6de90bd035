/*
 * Linked to the programs that count what is executed: ends that leave no time to write the counts
 * do so all the same, and a child's until it becomes another program.
 */
#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>
#include <unistd.h>

void __gcov_dump(void);
void __gcov_reset(void);
_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);
int __real_execvpe(const char *file, char *const *argv, char *const *variables);
int __wrap_execvpe(const char *file, char *const *argv, char *const *variables);
int __real_sigaction(int number, const struct sigaction *action, struct sigaction *before);
int __wrap_sigaction(int number, const struct sigaction *action, struct sigaction *before);

/* Of hunger.c, if that is preloaded: what is allocated here is not the program's. */
__attribute__((weak)) void hunger_pause(void);
__attribute__((weak)) void hunger_go_on(void);
pid_t __real___gcov_fork(void);
pid_t __wrap___gcov_fork(void);

static void pause_hunger(void)
{
    if (hunger_pause != NULL)
        hunger_pause();
}

__attribute__((constructor)) static void begin(void)
{
    (void)atexit(pause_hunger);
}

/* Which fork() is, then: it writes the counts. */
pid_t __wrap___gcov_fork(void)
{
    pause_hunger();
    pid_t pid = __real___gcov_fork();
    if (hunger_go_on != NULL)
        hunger_go_on();
    return pid;
}

/* On a stack of its own, as that of a handler of signals is too small for it. */
static void dump(void)
{
    static char stack[1 << 18];
    ucontext_t here;
    ucontext_t there;
    pause_hunger();
    (void)getcontext(&there);
    there.uc_stack = (stack_t){.ss_sp = stack, .ss_size = sizeof stack};
    there.uc_link = &here;
    makecontext(&there, __gcov_dump, 0);
    (void)swapcontext(&here, &there);
}

void __wrap__exit(int status)
{
    dump();
    __real__exit(status);
}

int __wrap_execvpe(const char *file, char *const *argv, char *const *variables)
{
    dump();
    __gcov_reset();
    return __real_execvpe(file, argv, variables);
}

static void end(int number)
{
    const struct sigaction action = {.sa_handler = SIG_DFL};
    dump();
    (void)__real_sigaction(number, &action, NULL);
    (void)raise(number);
}

/* Who asks to be ended by a signal is, a little later. */
int __wrap_sigaction(int number, const struct sigaction *action, struct sigaction *before)
{
    struct sigaction later = {.sa_handler = end};
    if ((number != SIGTERM && number != SIGINT) || action->sa_handler != SIG_DFL)
        return __real_sigaction(number, action, before);
    return __real_sigaction(number, &later, before);
}

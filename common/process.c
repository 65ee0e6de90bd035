#include "process.h"

#include "response.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HANDLER_STACK_SIZE = 32768 };

/* The signals that end the process, each with its line for the log before and after the answer. */
static const struct ending {
    int number;
    const char *failed;
    const char *ended;
} endings[] = {
#define ENDING(number, reason)                                                                     \
    {                                                                                              \
        number, "outcome=failed status=503 reason=\"" reason "\"\n",                               \
            "outcome=ended reason=\"" reason "\"\n"                                                \
    }
    ENDING(SIGALRM, "SIGALRM: the deadline passed: the body did not arrive in time, or the disk or "
                    "the name server hangs"),
    ENDING(SIGTERM, "SIGTERM: stopped from outside"),
    ENDING(SIGXCPU, "SIGXCPU: the web server's limit on processor time is too low"),
    ENDING(SIGSEGV, "SIGSEGV: a defect of this program; please report it"),
    ENDING(SIGBUS, "SIGBUS: a defect of this program or of the machine; please report it"),
    ENDING(SIGABRT, "SIGABRT: a defect of this program; please report it"),
    ENDING(SIGFPE, "SIGFPE: a defect of this program; please report it"),
    ENDING(SIGILL, "SIGILL: this machine cannot run this program; build it here"),
#undef ENDING
};

/* What process_remove_at_end was told; no name: nothing. */
static struct {
    volatile sig_atomic_t directory;
    const char *volatile name;
} removed[PROCESS_REMOVED_MAX];

/* Only calls what signal-safety(7) allows. */
static void end(int number)
{
    bool failed = response_emergency();
    for (size_t i = 0; i < PROCESS_REMOVED_MAX; i++)
        if (removed[i].name != NULL)
            (void)unlinkat(removed[i].directory, removed[i].name, 0);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        if (endings[i].number != number)
            continue;
        const char *line = failed ? endings[i].failed : endings[i].ended;
        ssize_t written = write(STDERR_FILENO, line, strlen(line));
        (void)written;
    }
    _exit(1);
}

/* If even /dev/null cannot be opened, the first use of the closed descriptor fails by itself. */
static void open_standard_descriptors(void)
{
    /* open() takes the lowest number that is free. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", O_RDWR);
}

static void catch_signals(void)
{
    static char stack[HANDLER_STACK_SIZE];
    const stack_t handler_stack = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = end, .sa_flags = SA_ONSTACK};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    /* Of these calls none can fail: the arguments are constant. */
    (void)sigaltstack(&handler_stack, NULL);
    (void)sigfillset(&action.sa_mask);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        (void)sigaction(endings[i].number, &action, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)sigaction(SIGXFSZ, &ignore, NULL);
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

void process_remove_at_end(int directory, const char *name)
{
    size_t slot = 0;
    while (slot < PROCESS_REMOVED_MAX - 1 && removed[slot].name != NULL)
        slot++;
    removed[slot].name = NULL; /* the two never belong to different files */
    removed[slot].directory = directory;
    removed[slot].name = name;
}

void process_keep(const char *name)
{
    for (size_t i = 0; i < PROCESS_REMOVED_MAX; i++)
        if (removed[i].name == name)
            removed[i].name = NULL;
}

void process_start(unsigned seconds)
{
    open_standard_descriptors();
    (void)umask(007);
    catch_signals();
    (void)alarm(seconds);
}

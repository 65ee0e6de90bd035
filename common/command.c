#include "command.h"

#include "attempt.h"
#include "legible.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { LINE_SIZE = 1024 };

static void say(const char *format, va_list arguments)
{
    char line[LINE_SIZE];
    size_t columns = 0;
    struct buffer out = BUFFER_INIT;
    struct terminal terminal = terminal_of(STDERR_FILENO);
    (void)vsnprintf(line, sizeof line, format, arguments);
    /* Without memory for the message, there is only this to say. */
    if (legible_append(&out, text_of(line), terminal.ascii, &columns))
        (void)fprintf(stderr, "tradecloud-spool: %.*s\n", (int)out.length, out.data);
    else
        (void)fputs("tradecloud-spool: out of memory\n", stderr);
    buffer_release(&out);
}

void command_say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
}

int command_misused(const char *help, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    (void)fputs(help, stderr);
    return EX_USAGE;
}

int command_help(const char *help)
{
    (void)fputs(help, stdout);
    return command_end(EX_OK);
}

int command_option(int argc, char **argv, const char *help, const struct option *options)
{
    opterr = 0;
    int option = getopt_long(argc, argv, "", options, NULL);
    if (option == '?')
        (void)command_misused(help,
                              "%s: there is no such option, or its argument is missing, or it "
                              "takes none",
                              argv[optind - 1]);
    return option;
}

int command_flag(int argc, char **argv, const char *help, const char *flag, bool *given)
{
    const struct option options[] = {
        COMMAND_OPTION_HELP, {flag, no_argument, NULL, 'f'}, {NULL, 0, NULL, 0}};
    int option;
    *given = false;
    while ((option = command_option(argc, argv, help, options)) != -1) {
        if (option == COMMAND_HELP)
            return command_help(help);
        if (option != 'f')
            return EX_USAGE;
        *given = true;
    }
    return -1;
}

int command_open(struct config *config, struct spool *spool)
{
    struct problem problem;
    if (config_read(config, &problem) &&
        spool_look(spool, config->spool, config->min_free, &problem))
        return EX_OK;
    command_say("%s", problem.reason);
    return EX_CONFIG;
}

int command_open_attempts(const struct spool *spool)
{
    return openat(spool->root, ATTEMPT_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

bool command_parse_state(const char *word, enum spool_state *state)
{
    for (*state = SPOOL_NEW; *state < SPOOL_STATES; ++*state)
        if (strcmp(word, spool_state_name(*state)) == 0)
            return true;
    return false;
}

int command_end(int status)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    command_say("cannot write standard output%s%s", errno == 0 ? "" : ": ",
                errno == 0 ? "" : strerror(errno));
    return EX_IOERR;
}

/*
 * tradecloud-spool: what operators and consumers run. See tradecloud-spool(1).
 *
 * A table of subcommands; each is told by the header of its own module.
 */
#include "consume.h"
#include "display.h"
#include "follower.h"
#include "inspection.h"
#include "listing.h"
#include "process.h"
#include "pruning.h"
#include "response.h"
#include "status.h"
#include "transfer.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

/* A subcommand gets the arguments from its own name on, and returns the exit status (sysexits). */
static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"run", consume_run, "run a command for each entry, in order"},
    {"list", listing_command, "list the entries of a state"},
    {"show", display_command, "show entries, or their data"},
    {"retry", transfer_retry_command, "move entries from failed/ back to new/"},
    {"reject", transfer_reject_command, "move entries that are not to be consumed to rejected/"},
    {"prune", pruning_command, "remove old entries"},
    {"status", status_command, "count the entries, for people and for monitoring"},
    {"check", inspection_command, "look for what is wrong with the spool, and sweep it"},
    {"follow", follower_command, "print a line for each entry that arrives"},
    {NULL, NULL, NULL},
};

static int usage(FILE *stream, int status)
{
    (void)fputs("Usage: tradecloud-spool COMMAND [OPTION]... [ARGUMENT]...\n"
                "Hand the events in the spool to a consumer, and show what is going on.\n"
                "\n",
                stream);
    for (const struct command *command = commands; command->name != NULL; command++)
        (void)fprintf(stream, "  %-8s  %s\n", command->name, command->help);
    (void)fputs("\n"
                "  --help     print this and exit; after a COMMAND, print what that takes\n"
                "  --version  print the version and exit\n"
                "\n"
                "TRADECLOUD_SPOOL names the spool, " SPOOL_PATH " if it is not set.\n"
                "See tradecloud-spool(1).\n",
                stream);
    return ferror(stream) || fflush(stream) != 0 ? EX_IOERR : status;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    process_start(0);
    response_to_nobody();
    if (strcmp(name, "--help") == 0)
        return usage(stdout, EX_OK);
    if (strcmp(name, "--version") == 0)
        return puts("tradecloud-spool " PROGRAM_VERSION) < 0 || fflush(stdout) != 0 ? EX_IOERR
                                                                                    : EX_OK;
    for (const struct command *command = commands; command->name != NULL; command++)
        if (strcmp(name, command->name) == 0)
            return command->run(argc - 1, argv + 1);
    (void)fprintf(stderr, "tradecloud-spool: %s%s\n",
                  *name == '\0' ? "a command is needed" : "no such command: ", name);
    return usage(stderr, EX_USAGE);
}

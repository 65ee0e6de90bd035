/*
 * command: what the subcommands of tradecloud-spool have in common: how they open the spool, speak
 * to the operator and end.
 *
 * A command's help is one text: its usage, what it does, and a line for each option.
 */
#ifndef COMMON_COMMAND_H
#define COMMON_COMMAND_H

#include "config.h"
#include "spool.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

/* Every command has it; what it adds comes before. Its value is COMMAND_HELP. */
enum { COMMAND_HELP = 'h' };
#define COMMAND_OPTION_HELP                                                                        \
    {                                                                                              \
        "help", no_argument, NULL, COMMAND_HELP                                                    \
    }

/*
 * The next option, as getopt_long() gives it, or -1 when there are no more. For one that is
 * unknown, or lacks its argument, '?' after saying so; the command returns EX_USAGE then.
 */
int command_option(int argc, char **argv, const char *help, const struct option *options);

/*
 * Read the options of a command that has no other one than `flag` (NULL: none, either) and --help,
 * and set *given if it is there. The arguments begin at argv[optind] then. Returns -1 to go on,
 * else the exit status.
 */
int command_flag(int argc, char **argv, const char *help, const char *flag, bool *given);

/* Print the help; returns the exit status. */
int command_help(const char *help);

/* Say what is wrong with the arguments, and print the help. Returns EX_USAGE. */
__attribute__((format(printf, 2, 3))) int command_misused(const char *help, const char *format,
                                                          ...);

/* Say something on standard error, in one line and legible (legible.h). A long line is cut. */
__attribute__((format(printf, 1, 2))) void command_say(const char *format, ...);

/* Read the configuration and open the spool as spool_look does. Returns EX_OK, or says what is
 * wrong and returns EX_CONFIG. The caller ends with spool_close. */
int command_open(struct config *config, struct spool *spool);

/* Open the directory of attempts (attempt.h) of an open spool. Returns a descriptor; -1 if there is
 * none, or it may not be read. */
int command_open_attempts(const struct spool *spool);

/* Whether `word` is the name of a state; tmp/ is none. */
bool command_parse_state(const char *word, enum spool_state *state);

/* Write out standard output. Returns `status`, or, after saying so, EX_IOERR if it could not be
 * written. To be the last thing. */
int command_end(int status);

#endif

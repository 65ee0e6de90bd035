#include "consume.h"

#include "config.h"
#include "job.h"
#include "runner.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum {
    TYPES_MAX = 64,
    DEFAULT_ATTEMPTS = 10,
    DEFAULT_TIMEOUT = 300, /* seconds */
    TIMEOUT_MAX = 86400,
    ATTEMPTS_MAX = 1000000,
};

static int usage(FILE *stream, int status)
{
    static const char text[] =
        "Usage: tradecloud-spool run [OPTION]... -- COMMAND [ARGUMENT]...\n"
        "Run COMMAND for each entry in new/, oldest first, those of a subject one after the "
        "other.\n"
        "The entry is on its standard input, its attributes are in the environment: CE_ID,\n"
        "CE_SOURCE, CE_TYPE, CE_SUBJECT, CE_TIME, SPOOL_FILE, SPOOL_ATTEMPT. When it exits with "
        "0,\n"
        "the entry is done; 65: give it up; 75: try again, without end; others: try again.\n"
        "\n"
        "  --watch         go on: wait for entries to come\n"
        "  --jobs N        run N commands at a time (1)\n"
        "  --attempts N    give an entry up after N attempts that failed (10)\n"
        "  --timeout S     stop a command after S seconds (300), and try again, without end\n"
        "  --type PATTERN  only entries whose type matches, as in 'com.tradecloud1.order*'; may\n"
        "                  be given several times\n"
        "  --strict-order  an entry that was given up holds back its subject\n"
        "  --help          print this and exit\n"
        "\n"
        "Exit status: 0 nothing is left; 65 entries were given up, or wait behind one that was;\n"
        "75 other runners have what is left, or it was stopped; 64 usage; 69 no such COMMAND;\n"
        "71, 74 the system or the spool failed; 78 configuration. See tradecloud-spool(1).\n";
    return fputs(text, stream) < 0 || fflush(stream) != 0 ? EX_IOERR : status;
}

static int complain(const char *option, const char *value, const char *what)
{
    (void)fprintf(stderr, "tradecloud-spool run: %s%s: %s\nTry tradecloud-spool run --help.\n",
                  option, value, what);
    return EX_USAGE;
}

/* A number from 1 to `high`, digits only. */
static bool read_number(const char *text, unsigned long high, unsigned long *number)
{
    errno = 0;
    *number = strtoul(text, NULL, 10);
    return *text != '\0' && strspn(text, "0123456789") == strlen(text) && errno == 0 &&
           *number >= 1 && *number <= high;
}

/* Returns 0 to go on, else the exit status. */
static int set_number(const char *option, unsigned long high, unsigned *number)
{
    char what[64];
    unsigned long value;
    (void)snprintf(what, sizeof what, "is not a number from 1 to %lu", high);
    if (!read_number(optarg, high, &value))
        return complain(option, optarg, what);
    *number = (unsigned)value;
    return 0;
}

static int add_type(struct runner_options *options)
{
    if (options->type_count == TYPES_MAX)
        return complain("--type ", optarg, "there are too many");
    options->types[options->type_count++] = optarg;
    return 0;
}

/* Returns 0 to go on, else the exit status. */
static int set_option(int option, struct runner_options *options)
{
    unsigned seconds;
    int status = 0;
    switch (option) {
    case 'w':
        options->watch = true;
        return 0;
    case 's':
        options->strict_order = true;
        return 0;
    case 'j':
        return set_number("--jobs ", RUNNER_JOBS_MAX, &options->jobs);
    case 'a':
        return set_number("--attempts ", ATTEMPTS_MAX, &options->attempts);
    case 't':
        status = set_number("--timeout ", TIMEOUT_MAX, &seconds);
        if (status == 0)
            options->timeout = (int64_t)seconds * 1000;
        return status;
    case 'y':
        return add_type(options);
    default:
        return usage(stderr, EX_USAGE);
    }
}

/* Returns -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct runner_options *options)
{
    static const struct option names[] = {
        {"watch", no_argument, NULL, 'w'},          {"jobs", required_argument, NULL, 'j'},
        {"attempts", required_argument, NULL, 'a'}, {"timeout", required_argument, NULL, 't'},
        {"type", required_argument, NULL, 'y'},     {"strict-order", no_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    int option;
    /* The plus: what begins with a dash behind COMMAND is the command's. */
    while ((option = getopt_long(argc, argv, "+", names, NULL)) != -1) {
        if (option == 'h')
            return usage(stdout, EX_OK);
        int status = set_option(option, options);
        if (status != 0)
            return status;
    }
    if (optind == argc)
        return complain("", "COMMAND", "is missing");
    options->command = argv + optind;
    return -1;
}

int consume_run(int argc, char **argv)
{
    struct config config;
    struct problem problem;
    const char *types[TYPES_MAX];
    struct runner_options options = {.jobs = 1,
                                     .attempts = DEFAULT_ATTEMPTS,
                                     .timeout = (int64_t)DEFAULT_TIMEOUT * 1000,
                                     .types = types};
    int status = parse(argc, argv, &options);
    if (status != -1)
        return status;
    if (!config_read(&config, &problem)) {
        (void)fprintf(stderr, "tradecloud-spool run: %s\n", problem.reason);
        return EX_CONFIG;
    }
    if (!job_can_run(options.command[0])) {
        (void)fprintf(stderr,
                      "tradecloud-spool run: %s: no such program, or it may not be run by this "
                      "user\n",
                      options.command[0]);
        return EX_UNAVAILABLE;
    }
    return runner_run(config.spool, &options);
}

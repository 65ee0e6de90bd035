#include "status.h"

#include "age.h"
#include "bulletin.h"
#include "census.h"
#include "command.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static const char help[] =
    "Usage: tradecloud-spool status [--json | --prometheus | [--max-age AGE[,AGE]] [--max-failed "
    "N[,N]]]\n"
    "Say how many entries are in which state, since when, and how much room there is.\n"
    "\n"
    "  --json              print a JSON object\n"
    "  --prometheus        print metrics for the textfile collector of Prometheus' node exporter\n"
    "  --max-age AGE       be a monitoring plugin: one line, and exit status 2 (CRITICAL) if the\n"
    "                      oldest entry in new/ and work/ is older; of two ages with a comma, 1\n"
    "                      (WARNING) above the first; 0 if all is well, 3 if it cannot be said\n"
    "  --max-failed N      the same, if more than N entries are in failed/\n"
    "  --help              print this and exit\n"
    "\n"
    "An AGE is a number and s, m, h, d or w, as in 90s or 12h.\n";

enum form { FORM_TABLE, FORM_JSON, FORM_PROMETHEUS };

struct request {
    enum form form;
    int forms; /* options that choose one */
    struct bulletin_limits age;
    struct bulletin_limits failed;
};

static bool parse_number(const char *text, int64_t *number)
{
    *number = 0;
    const char *digits = text;
    for (; *text >= '0' && *text <= '9' && *number < INT64_MAX / 100; text++)
        *number = *number * 10 + (*text - '0');
    return text != digits && *text == '\0';
}

/* One limit is the critical one; two are warning and critical. */
static bool parse_limits(const char *text, bool (*parse)(const char *, int64_t *),
                         struct bulletin_limits *limits)
{
    char first[AGE_SIZE];
    const char *comma = strchr(text, ',');
    limits->set = true;
    limits->warning = INT64_MAX;
    if (comma == NULL)
        return parse(text, &limits->critical);
    if ((size_t)(comma - text) >= sizeof first)
        return false;
    memcpy(first, text, (size_t)(comma - text));
    first[comma - text] = '\0';
    return parse(first, &limits->warning) && parse(comma + 1, &limits->critical) &&
           limits->warning <= limits->critical;
}

/* Returns -1 to go on, else the exit status. */
static int take_option(int option, struct request *request)
{
    switch (option) {
    case COMMAND_HELP:
        return command_help(help);
    case 'j':
    case 'p':
        request->form = option == 'j' ? FORM_JSON : FORM_PROMETHEUS;
        request->forms++;
        return -1;
    case 'a':
        return parse_limits(optarg, age_parse, &request->age)
                   ? -1
                   : command_misused(help,
                                     "--max-age %s: it is no age, as 90s or 12h, nor two, the "
                                     "smaller one first",
                                     optarg);
    case 'f':
        return parse_limits(optarg, parse_number, &request->failed)
                   ? -1
                   : command_misused(help,
                                     "--max-failed %s: it is no number, nor two, the smaller "
                                     "one first",
                                     optarg);
    default:
        return EX_USAGE;
    }
}

static bool is_plugin(const struct request *request)
{
    return request->age.set || request->failed.set;
}

static int parse(int argc, char **argv, struct request *request)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"prometheus", no_argument, NULL, 'p'},
                                            {"max-age", required_argument, NULL, 'a'},
                                            {"max-failed", required_argument, NULL, 'f'},
                                            COMMAND_OPTION_HELP,
                                            {NULL, 0, NULL, 0}};
    int option;
    int status = -1;
    while (status == -1 && (option = command_option(argc, argv, help, options)) != -1)
        status = take_option(option, request);
    if (status == -1 && argc > optind)
        return command_misused(help, "no argument is wanted: %s", argv[optind]);
    if (status == -1 && request->forms + (is_plugin(request) ? 1 : 0) > 1)
        return command_misused(help, "one form at a time");
    return status;
}

static int print(const struct request *request, const struct census *census, const char *spool)
{
    bool printed = true;
    if (is_plugin(request))
        return bulletin_plugin(census, &request->age, &request->failed);
    if (request->form == FORM_TABLE)
        printed = bulletin_table(census);
    else if (request->form == FORM_JSON)
        printed = bulletin_json(census, spool);
    else
        bulletin_prometheus(census, spool);
    if (!printed)
        command_say("out of memory");
    return printed ? EX_OK : EX_OSERR;
}

static int complain(const struct request *request, const struct problem *problem, int status)
{
    if (is_plugin(request))
        return bulletin_unknown(problem->reason);
    command_say("%s", problem->reason);
    return status;
}

int status_command(int argc, char **argv)
{
    struct config config;
    struct spool spool;
    struct census census;
    struct problem problem;
    struct request request = {.form = FORM_TABLE};
    int status = parse(argc, argv, &request);
    if (status != -1)
        return status;
    if (!config_read(&config, &problem) ||
        !spool_look(&spool, config.spool, config.min_free, &problem))
        return command_end(complain(&request, &problem, EX_CONFIG));
    if (census_take(&census, &spool, &problem))
        status = print(&request, &census, config.spool);
    else
        status = complain(&request, &problem, EX_IOERR);
    spool_close(&spool);
    return command_end(status);
}

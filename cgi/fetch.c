/*
 * tradecloud-fetch: bring an order or a shipment from Tradecloud's API into the spool. See
 * tradecloud-fetch(1).
 *
 * Under CGI it goes on where tradecloud-webhook left off with a GET, and answers in its stead; on a
 * command line it says on standard output which file it made.
 */
#include "api.h"
#include "auth.h"
#include "notification.h"
#include "process.h"
#include "receipt.h"
#include "response.h"
#include "spool.h"
#include "timestamp.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* Seconds more than TRADECLOUD_TIMEOUT, for what comes before and after it. */
enum { GRACE = 5 };

struct work {
    struct receipt receipt;
    struct notification what;
    bool configured; /* all that is configured is as it should be */
    bool refused;    /* Tradecloud refuses our credentials */
};

/* The object's bytes become an entry. */
static enum outcome store(struct work *work)
{
    struct receipt *receipt = &work->receipt;
    const struct config *config = &receipt->config;
    bool legacy = work->what.kind == EVENT_LEGACY_ORDER_FETCHED;
    if (event_read_object(work->what.kind, text_of(work->what.id), &receipt->body, &receipt->event,
                          &receipt->problem) != EVENT_READ)
        return FAILED;
    return receipt_store(receipt, legacy ? config->legacy_api_url : config->api_url);
}

static enum outcome fetch_with(struct work *work, struct api *api)
{
    struct receipt *receipt = &work->receipt;
    enum outcome outcome = FAILED;
    if (api_fetch(api, work->what.id, &receipt->body.window, &receipt->problem))
        outcome = store(work);
    else if (receipt->problem.status == 404)
        /* An operator who asks by hand needs no record of it. */
        outcome = receipt->request.method_name == NULL ? REJECTED : receipt_reject(receipt);
    work->refused = api->refused;
    return outcome;
}

static enum outcome fetch(struct work *work, int64_t deadline)
{
    struct api api;
    struct receipt *receipt = &work->receipt;
    int state = spool_open_state(receipt->config.spool, &receipt->problem);
    if (state < 0)
        return FAILED;
    enum outcome outcome = FAILED;
    work->configured =
        api_open(&api, &receipt->config, work->what.kind, state, deadline, &receipt->problem);
    if (work->configured) {
        outcome = fetch_with(work, &api);
        api_close(&api);
    }
    (void)close(state);
    return outcome;
}

static enum outcome run(struct work *work)
{
    struct receipt *receipt = &work->receipt;
    int64_t started = timestamp_monotonic();
    if (!config_read(&receipt->config, &receipt->problem))
        return FAILED;
    (void)alarm((unsigned)receipt->config.timeout + GRACE);
    return fetch(work, started + (int64_t)receipt->config.timeout * 1000);
}

/* sysexits(3) for a command line. */
static int exit_status(const struct work *work, enum outcome outcome)
{
    if (outcome == SPOOLED || outcome == DUPLICATE)
        return EX_OK;
    if (!work->configured)
        return EX_CONFIG;
    if (work->refused)
        return EX_NOPERM;
    switch (work->receipt.problem.status) {
    case 404:
        return EX_NOINPUT;
    case 502:
        return EX_UNAVAILABLE;
    default:
        return EX_TEMPFAIL;
    }
}

static int report_to_operator(const struct work *work, enum outcome outcome)
{
    int status = exit_status(work, outcome);
    if (status != EX_OK)
        (void)fprintf(stderr, "tradecloud-fetch: %s\n", work->receipt.problem.reason);
    else if (printf("%s\n", work->receipt.file) < 0 || fflush(stdout) != 0)
        status = EX_IOERR;
    return status;
}

static int report_to_server(struct work *work, enum outcome outcome)
{
    /* Also of what could not be fetched, the log should say what it was. */
    if (work->receipt.event.subject.data == NULL && work->what.id[0] != '\0')
        work->receipt.event.subject = text_of(work->what.id);
    receipt_log(&work->receipt, outcome);
    return receipt_answer(&work->receipt, outcome) ? 0 : 1;
}

static int usage(FILE *stream, int status)
{
    static const char text[] =
        "Usage: tradecloud-fetch KIND ID\n"
        "Fetch an object from Tradecloud's API into the spool, and print its file's name.\n"
        "\n"
        "KIND is order, shipment or legacy-order; ID is its id, as it is, not percent-encoded.\n"
        "\n"
        "  --help     print this and exit\n"
        "  --version  print the version and exit\n"
        "\n"
        "Configured by the environment: TRADECLOUD_SPOOL, TRADECLOUD_API_URL, TRADECLOUD_NETRC "
        "...\n"
        "Exit status: 0 it is in the spool; 64 usage; 66 no such object; 69 the API is unwell;\n"
        "75 try again later; 77 credentials refused; 78 configuration. See tradecloud-fetch(1).\n";
    return fputs(text, stream) < 0 || fflush(stream) != 0 ? EX_IOERR : status;
}

static int complain(const char *what)
{
    (void)fprintf(stderr, "tradecloud-fetch: %s\n", what);
    return usage(stderr, EX_USAGE);
}

/* Returns -1 to go on with `what`, else the exit status. */
static int parse_arguments(int argc, char **argv, struct notification *what)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};
    struct problem problem;
    int option = getopt_long(argc, argv, "h", options, NULL);
    if (option == 'h')
        return usage(stdout, EX_OK);
    if (option == 'V')
        return puts("tradecloud-fetch " PROGRAM_VERSION) < 0 ? EX_IOERR : EX_OK;
    if (option != -1)
        return usage(stderr, EX_USAGE);
    if (argc - optind != 2)
        return complain("KIND and ID are needed");
    if (!notification_parse_kind(argv[optind], &what->kind))
        return complain("KIND is none of order, shipment, legacy-order");
    if (!notification_check_id(argv[optind + 1], &problem))
        return complain(problem.reason);
    (void)snprintf(what->id, sizeof what->id, "%s", argv[optind + 1]);
    return -1;
}

/* As tradecloud-webhook calls it: KIND -- ID. Called by a web server itself, the arguments come
 * from whoever wrote the URL; but then it serves only those whom tradecloud-webhook would serve. */
static int serve(struct work *work, int argc, char **argv)
{
    enum outcome outcome = FAILED;
    struct problem *problem = &work->receipt.problem;
    if (!auth_check(&work->receipt.request, NULL, problem)) {
        outcome = REFUSED;
    } else if (argc != 4 || !notification_parse_kind(argv[1], &work->what.kind)) {
        problem_set(problem, 503,
                    "tradecloud-fetch is not to be called by a web server, but by "
                    "tradecloud-webhook");
    } else if (!notification_check_id(argv[3], problem)) {
        outcome = REJECTED;
    } else {
        (void)snprintf(work->what.id, sizeof work->what.id, "%s", argv[3]);
        outcome = run(work);
    }
    return report_to_server(work, outcome);
}

int main(int argc, char **argv)
{
    struct work work = {.configured = false};
    process_start(0);
    receipt_init(&work.receipt);
    /* RFC 3875 section 4.1.12: set for every CGI program, and in nobody's shell. */
    bool cgi = work.receipt.request.method_name != NULL;
    int status = cgi ? serve(&work, argc, argv) : parse_arguments(argc, argv, &work.what);
    if (!cgi && status == -1) {
        response_to_nobody();
        status = report_to_operator(&work, run(&work));
    }
    receipt_release(&work.receipt);
    return status;
}

#include "listing.h"

#include "command.h"
#include "names.h"
#include "summary.h"
#include "terminal.h"
#include "timestamp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static const char help[] =
    "Usage: tradecloud-spool list [--json] [STATE]\n"
    "List the entries of a state in the order of their names, which is that of their creation.\n"
    "STATE is new (if none is given), work, done, failed or rejected.\n"
    "\n"
    "  --json  print each entry as a JSON object in a line of its own\n"
    "  --help  print this and exit\n";

struct listing {
    bool json;
    enum spool_state state;
    struct spool spool;
    int attempts; /* the directory; -1: there is none */
    struct table table;
    int64_t now;
};

static bool print(struct listing *listing, struct summary *summary)
{
    struct cell cells[SUMMARY_COLUMNS];
    const struct terminal *terminal = &listing->table.terminal;
    if (listing->json)
        return summary_print(summary, stdout, terminal->ascii);
    summary_cells(summary, terminal->present, listing->now, cells);
    return table_row(&listing->table, cells);
}

/* An entry that is moved while we look is no error. */
static int list_entry(struct listing *listing, const char *name)
{
    struct summary summary;
    int status = EX_OK;
    switch (summary_read(&summary, &listing->spool, listing->attempts, listing->state, name)) {
    case ENTRY_READ:
    case ENTRY_ODD:
        status = print(listing, &summary) ? EX_OK : EX_OSERR;
        break;
    case ENTRY_GONE:
        break;
    case ENTRY_FAILED:
        command_say("%s/%s: %s", spool_state_name(listing->state), name, summary.note);
        status = EX_IOERR;
        break;
    }
    summary_release(&summary);
    return status;
}

static int list_names(struct listing *listing, const struct names *names)
{
    int status = EX_OK;
    for (size_t i = 0; i < names->count && status != EX_OSERR && !ferror(stdout); i++) {
        int one = list_entry(listing, names_at(names, i));
        status = one == EX_OK ? status : one;
    }
    if (status == EX_OSERR)
        command_say("out of memory");
    if (names->odd > 0)
        command_say("%s/ also holds %" PRIu64
                    " files that are no entries; `tradecloud-spool check` "
                    "names them",
                    spool_state_name(listing->state), names->odd);
    return status;
}

static int list(struct listing *listing)
{
    struct names names;
    if (!names_read(&names, &listing->spool, listing->state)) {
        command_say("cannot list %s/%s: %s", listing->spool.path, spool_state_name(listing->state),
                    strerror(errno));
        return EX_IOERR;
    }
    table_init(&listing->table, stdout, summary_columns, SUMMARY_COLUMNS);
    listing->now = timestamp_now();
    int status = list_names(listing, &names);
    table_end(&listing->table);
    names_release(&names);
    return command_end(status);
}

/* Returns -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct listing *listing)
{
    int status = command_flag(argc, argv, help, "json", &listing->json);
    if (status != -1)
        return status;
    if (argc - optind > 1)
        return command_misused(help, "one STATE is enough");
    if (argc > optind && !command_parse_state(argv[optind], &listing->state))
        return command_misused(help, "there is no state %s", argv[optind]);
    return -1;
}

int listing_command(int argc, char **argv)
{
    struct config config;
    struct listing listing = {.state = SPOOL_NEW};
    int status = parse(argc, argv, &listing);
    if (status == -1 && (status = command_open(&config, &listing.spool)) == EX_OK) {
        listing.attempts = command_open_attempts(&listing.spool);
        status = list(&listing);
        if (listing.attempts >= 0)
            (void)close(listing.attempts);
        spool_close(&listing.spool);
    }
    return status;
}

#include "pruning.h"

#include "age.h"
#include "attempt.h"
#include "command.h"
#include "directory.h"
#include "names.h"
#include "progress.h"
#include "receipts.h"
#include "timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

static const char help[] =
    "Usage: tradecloud-spool prune --older-than AGE [--force] [STATE]\n"
    "Remove entries that came into a state longer ago than that: done (if none is given), failed "
    "or\n"
    "rejected. Without --force, say only which would be removed.\n"
    "Of done, also remove the memory of the times of receipt of entries that are gone.\n"
    "\n"
    "  --older-than AGE  a number and s, m, h, d or w, as in 12h or 30d\n"
    "  --force           do it\n"
    "  --help            print this and exit\n"
    "\n"
    "Keep entries in done for some weeks: by them, late retries are recognised.\n";

struct pruning {
    bool force;
    enum spool_state state;
    int64_t age;    /* -1: not given */
    int64_t before; /* what is older goes */
    struct spool spool;
    int attempts; /* the directory of attempts; -1: there is none */
    struct progress progress;
    uint64_t total;
    uint64_t seen;
    uint64_t removed;
    uint64_t bytes;
    uint64_t links;
};

/* --- entries --- */

/* The later of both times: a file may have been written long before it came here, or have been
 * restored from a backup with an inode that was changed just now. */
static int64_t came(const struct stat *status)
{
    int64_t written = timestamp_of(status->st_mtim);
    int64_t changed = timestamp_of(status->st_ctim);
    return written > changed ? written : changed;
}

/* Returns false with errno. Gone is gone, whoever removed or moved it. */
static bool prune_entry(struct pruning *pruning, const char *name)
{
    struct stat status;
    int directory = pruning->spool.directories[pruning->state];
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT;
    if (!S_ISREG(status.st_mode) || came(&status) >= pruning->before)
        return true;
    if (!pruning->force)
        (void)printf("%s/%s\n", spool_state_name(pruning->state), name);
    else if (unlinkat(directory, name, 0) != 0)
        return errno == ENOENT;
    if (pruning->force && pruning->attempts >= 0)
        (void)attempt_forget(pruning->attempts, name);
    pruning->removed++;
    pruning->bytes += (uint64_t)status.st_size;
    return true;
}

/* Entries are removed while they are listed, which POSIX allows, so that a million needs no
 * memory. */
static bool prune_all(struct pruning *pruning)
{
    struct names_cursor cursor;
    const char *name;
    bool good = true;
    if (!names_open(&cursor, &pruning->spool, pruning->state))
        return false;
    while (good && !ferror(stdout) && (name = names_next(&cursor)) != NULL) {
        progress_show(&pruning->progress, ++pruning->seen, pruning->total);
        good = prune_entry(pruning, name);
    }
    int error = good && ferror(stdout) ? 0 : errno;
    names_close(&cursor);
    errno = error;
    return error == 0;
}

/* For the bar only. */
static uint64_t count(const struct pruning *pruning)
{
    struct names_cursor cursor;
    uint64_t total = 0;
    if (!pruning->progress.enabled || !names_open(&cursor, &pruning->spool, pruning->state))
        return 0;
    while (names_next(&cursor) != NULL)
        total++;
    names_close(&cursor);
    return total;
}

static bool prune(struct pruning *pruning)
{
    int directory = pruning->spool.directories[pruning->state];
    progress_start(&pruning->progress, true);
    pruning->total = count(pruning);
    bool good = prune_all(pruning);
    int error = errno;
    progress_end(&pruning->progress);
    if (pruning->removed > 0 && pruning->force && !directory_sync(directory) && good) {
        good = false;
        error = errno;
    }
    errno = error;
    return good;
}

/* --- the command --- */

static int fail(const struct pruning *pruning)
{
    bool forbidden = errno == EACCES || errno == EPERM || errno == EROFS;
    command_say("cannot remove anything more from %s/%s: %s%s", pruning->spool.path,
                spool_state_name(pruning->state), strerror(errno),
                forbidden ? ": this is for the spool's owner or a member of its group" : "");
    return forbidden ? EX_NOPERM : EX_IOERR;
}

static void conclude(const struct pruning *pruning)
{
    bool force = pruning->force;
    char age[AGE_SIZE];
    age_format(pruning->age, age);
    command_say("%s %" PRIu64 " entries (%" PRIu64
                " bytes) from %s/ that came there more than %s ago"
                "%s",
                force ? "removed" : "would remove", pruning->removed, pruning->bytes,
                spool_state_name(pruning->state), age,
                force ? "" : "; nothing was removed: add --force to do it");
    if (pruning->links > 0)
        command_say("%s the times of receipt of %" PRIu64 " entries that are gone",
                    force ? "removed" : "would remove", pruning->links);
}

static int run(struct pruning *pruning)
{
    int status = EX_OK;
    pruning->before = timestamp_now() - pruning->age;
    pruning->attempts = command_open_attempts(&pruning->spool);
    if (!prune(pruning))
        status = fail(pruning);
    if (pruning->attempts >= 0)
        (void)close(pruning->attempts);
    if (status == EX_OK && pruning->state == SPOOL_DONE)
        pruning->links = receipts_prune(&pruning->spool, pruning->before, pruning->force);
    conclude(pruning);
    return command_end(status);
}

static int take_option(int option, struct pruning *pruning)
{
    switch (option) {
    case COMMAND_HELP:
        return command_help(help);
    case 'f':
        pruning->force = true;
        return -1;
    case 'o':
        if (age_parse(optarg, &pruning->age))
            return -1;
        return command_misused(help, "--older-than %s: it is no age, as 12h or 30d", optarg);
    default:
        return EX_USAGE;
    }
}

/* Returns -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct pruning *pruning)
{
    static const struct option options[] = {{"older-than", required_argument, NULL, 'o'},
                                            {"force", no_argument, NULL, 'f'},
                                            COMMAND_OPTION_HELP,
                                            {NULL, 0, NULL, 0}};
    int option;
    int status = -1;
    while (status == -1 && (option = command_option(argc, argv, help, options)) != -1)
        status = take_option(option, pruning);
    if (status != -1)
        return status;
    if (pruning->age < 0)
        return command_misused(help, "--older-than AGE is needed");
    if (argc - optind > 1)
        return command_misused(help, "one STATE is enough");
    if (argc > optind && !command_parse_state(argv[optind], &pruning->state))
        return command_misused(help, "there is no state %s", argv[optind]);
    if (pruning->state == SPOOL_NEW || pruning->state == SPOOL_WORK)
        return command_misused(help,
                               "%s holds what is still to be consumed: nothing is removed there",
                               spool_state_name(pruning->state));
    return -1;
}

int pruning_command(int argc, char **argv)
{
    struct config config;
    struct pruning pruning = {.state = SPOOL_DONE, .age = -1};
    int status = parse(argc, argv, &pruning);
    if (status == -1 && (status = command_open(&config, &pruning.spool)) == EX_OK) {
        status = run(&pruning);
        spool_close(&pruning.spool);
    }
    return status;
}

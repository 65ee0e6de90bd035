#include "transfer.h"

#include "attempt.h"
#include "command.h"
#include "directory.h"
#include "entry.h"
#include "move.h"
#include "names.h"
#include "progress.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

static const char retry_help[] = "Usage: tradecloud-spool retry NAME...\n"
                                 "       tradecloud-spool retry --all\n"
                                 "Move entries from failed/ back to new/, in the order of their "
                                 "names, to be consumed as if for the\n"
                                 "first time.\n"
                                 "\n"
                                 "  --all   all that are in failed/\n"
                                 "  --help  print this and exit\n";

static const char reject_help[] = "Usage: tradecloud-spool reject NAME...\n"
                                  "Move entries from new/ or failed/ to rejected/: they are not "
                                  "consumed, and a further delivery of\n"
                                  "them is still recognised as a duplicate.\n"
                                  "\n"
                                  "  --help  print this and exit\n";

struct transfer {
    struct spool spool;
    int attempts; /* the directory; -1: there is none */
    bool all;
    struct progress progress;
    uint64_t moved;
};

/* --- both --- */

static int compare(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Open the spool, and see whether this user may move entries at all. Returns EX_OK or the exit
 * status. */
static int open_transfer(struct transfer *transfer)
{
    static const enum spool_state states[] = {SPOOL_NEW, SPOOL_FAILED, SPOOL_REJECTED};
    struct config config;
    struct problem problem;
    if (!config_read(&config, &problem) || !spool_enter(&transfer->spool, config.spool, &problem)) {
        command_say("%s", problem.reason);
        return EX_CONFIG;
    }
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (faccessat(transfer->spool.directories[states[i]], ".", W_OK | X_OK, AT_EACCESS) != 0) {
            command_say("cannot move entries in %s: %s/: %s: this is for the spool's owner or a "
                        "member of its group",
                        config.spool, spool_state_name(states[i]), strerror(errno));
            spool_close(&transfer->spool);
            return EX_NOPERM;
        }
    transfer->attempts = command_open_attempts(&transfer->spool);
    return EX_OK;
}

static void close_transfer(struct transfer *transfer)
{
    if (transfer->attempts >= 0)
        (void)close(transfer->attempts);
    spool_close(&transfer->spool);
}

/* Whether an entry is there: a name that is none, such as ../x, or no regular file, is left
 * alone. */
static bool is_there(const struct transfer *transfer, enum spool_state state, const char *name)
{
    struct stat status;
    return entry_is_name(name) &&
           fstatat(transfer->spool.directories[state], name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(status.st_mode);
}

static enum move_outcome move(struct transfer *transfer, const char *name, enum spool_state from,
                              enum spool_state to, struct problem *problem)
{
    if (!is_there(transfer, from, name))
        return MOVE_GONE;
    enum move_outcome outcome = move_entry(&transfer->spool, name, from, to, problem);
    if (outcome == MOVED)
        transfer->moved++;
    return outcome;
}

/* Where it is going first: a crash must not find it nowhere. */
static int sync_both(const struct transfer *transfer, enum spool_state from, enum spool_state to)
{
    struct problem problem;
    if (move_sync(&transfer->spool, to, &problem) && move_sync(&transfer->spool, from, &problem))
        return EX_OK;
    command_say("%s", problem.reason);
    return EX_IOERR;
}

static int report(const char *name, enum move_outcome outcome, enum spool_state to,
                  const struct problem *problem)
{
    if (outcome == MOVE_TWIN) {
        command_say("%s: another file has that name in %s/; it stays where it is", name,
                    spool_state_name(to));
        return EX_DATAERR;
    }
    command_say("%s: %s", name, problem->reason);
    return EX_IOERR;
}

/* Say where it is instead. */
static int not_there(const struct transfer *transfer, const char *name, const char *wanted)
{
    enum spool_state state = names_find(&transfer->spool, name);
    if (!entry_is_name(name))
        command_say("%s: no entry has such a name", name);
    else if (state == SPOOL_STATES)
        command_say("%s: there is no such entry in %s", name, transfer->spool.path);
    else
        command_say("%s: it is in %s/, and no file in %s%s", name, spool_state_name(state), wanted,
                    state == SPOOL_WORK ? ": it is being consumed, try again later" : "");
    return EX_NOINPUT;
}

/* --- retry --- */

static int retry_one(struct transfer *transfer, const char *name)
{
    struct problem problem;
    enum move_outcome outcome = move(transfer, name, SPOOL_FAILED, SPOOL_NEW, &problem);
    if (outcome == MOVED)
        return EX_OK;
    if (outcome != MOVE_GONE)
        return report(name, outcome, SPOOL_NEW, &problem);
    return transfer->all ? EX_OK : not_there(transfer, name, "failed/");
}

/* Forget the attempts at those that are there, all of them, durably, before the first is moved. */
static int forget(const struct transfer *transfer, const char *const *names, size_t count)
{
    if (transfer->attempts < 0)
        return EX_OK;
    for (size_t i = 0; i < count; i++)
        if (is_there(transfer, SPOOL_FAILED, names[i]) &&
            !attempt_forget(transfer->attempts, names[i])) {
            bool forbidden = errno == EACCES || errno == EPERM;
            command_say("%s: cannot forget the attempts at it: %s; nothing was moved", names[i],
                        strerror(errno));
            return forbidden ? EX_NOPERM : EX_IOERR;
        }
    if (directory_sync(transfer->attempts))
        return EX_OK;
    command_say("cannot sync %s/" ATTEMPT_DIRECTORY ": %s", transfer->spool.path, strerror(errno));
    return EX_IOERR;
}

static int retry(struct transfer *transfer, const char *const *names, size_t count)
{
    int status = forget(transfer, names, count);
    if (status != EX_OK)
        return status;
    progress_start(&transfer->progress, transfer->all);
    for (size_t i = 0; i < count; i++) {
        progress_show(&transfer->progress, i, count);
        int one = retry_one(transfer, names[i]);
        status = one == EX_OK ? status : one;
    }
    progress_end(&transfer->progress);
    int synced = transfer->moved == 0 ? EX_OK : sync_both(transfer, SPOOL_FAILED, SPOOL_NEW);
    return synced == EX_OK ? status : synced;
}

static int retry_all(struct transfer *transfer)
{
    struct names found;
    if (!names_read(&found, &transfer->spool, SPOOL_FAILED)) {
        command_say("cannot list %s/failed: %s", transfer->spool.path, strerror(errno));
        return EX_IOERR;
    }
    int status = EX_OSERR;
    const char **names = calloc(found.count + 1, sizeof *names);
    if (names == NULL) {
        command_say("out of memory");
    } else {
        for (size_t i = 0; i < found.count; i++)
            names[i] = names_at(&found, i);
        status = retry(transfer, names, found.count);
        command_say("moved %" PRIu64 " entries from failed/ to new/", transfer->moved);
    }
    free(names);
    names_release(&found);
    return status;
}

/* Returns -1 to go on, else the exit status. */
static int parse_retry(int argc, char **argv, bool *all)
{
    int status = command_flag(argc, argv, retry_help, "all", all);
    if (status != -1)
        return status;
    if (*all == (argc > optind))
        return command_misused(retry_help, "either NAMEs or --all are needed");
    return -1;
}

int transfer_retry_command(int argc, char **argv)
{
    struct transfer transfer = {.all = false};
    int status = parse_retry(argc, argv, &transfer.all);
    if (status != -1 || (status = open_transfer(&transfer)) != EX_OK)
        return status;
    qsort(argv + optind, (size_t)(argc - optind), sizeof *argv, compare);
    if (transfer.all)
        status = retry_all(&transfer);
    else
        status = retry(&transfer, (const char *const *)(argv + optind), (size_t)(argc - optind));
    close_transfer(&transfer);
    return command_end(status);
}

/* --- reject --- */

/* It may be moving from one to the other, or from work/ to either: look more than once. */
static int reject(struct transfer *transfer, const char *name)
{
    static const enum spool_state states[] = {SPOOL_NEW, SPOOL_FAILED, SPOOL_NEW, SPOOL_FAILED};
    struct problem problem;
    if (!entry_is_name(name))
        return not_there(transfer, name, "");
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        enum move_outcome outcome = move(transfer, name, states[i], SPOOL_REJECTED, &problem);
        if (outcome == MOVE_GONE)
            continue;
        if (outcome != MOVED)
            return report(name, outcome, SPOOL_REJECTED, &problem);
        int status = sync_both(transfer, states[i], SPOOL_REJECTED);
        if (transfer->attempts >= 0)
            (void)attempt_forget(transfer->attempts, name);
        return status;
    }
    return is_there(transfer, SPOOL_REJECTED, name) ? EX_OK
                                                    : not_there(transfer, name, "new/ or failed/");
}

static int parse_reject(int argc, char **argv)
{
    bool flag;
    int status = command_flag(argc, argv, reject_help, NULL, &flag);
    if (status != -1)
        return status;
    return argc == optind ? command_misused(reject_help, "a NAME is needed") : -1;
}

int transfer_reject_command(int argc, char **argv)
{
    struct transfer transfer = {.all = false};
    int status = parse_reject(argc, argv);
    if (status != -1 || (status = open_transfer(&transfer)) != EX_OK)
        return status;
    for (int i = optind; i < argc; i++) {
        int one = reject(&transfer, argv[i]);
        status = one == EX_OK ? status : one;
    }
    close_transfer(&transfer);
    return command_end(status);
}

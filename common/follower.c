#include "follower.h"

#include "command.h"
#include "known.h"
#include "names.h"
#include "summary.h"
#include "table.h"
#include "timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    STATES = 2,
    RESCAN = 2000, /* milliseconds between two looks for what inotify did not tell, at least */
    SHARE = 10,    /* of the time, not more than one part in so many is spent on them */
    GRACE = 5000,  /* how exact the times of directories are, and the clocks of hosts */
    LOOKS = 3,     /* for what moves on while we look */
    COLUMNS = 6,
};

static const char help[] =
    "Usage: tradecloud-spool follow [--json]\n"
    "Print a line for each entry that arrives in new/ or rejected/, until interrupted.\n"
    "\n"
    "  --json  print each as a JSON object\n"
    "  --help  print this and exit\n";

static const struct column headings[COLUMNS] = {{"STATE", false},   {"NAME", false},
                                                {"BYTES", true},    {"TYPE", false},
                                                {"SUBJECT", false}, {"NOTE", false}};

/* One directory that is followed. */
struct followed {
    enum spool_state state;
    int watch;
    bool scanned; /* what is there now was there before, or has been told */
    struct known known;
    int64_t seen;     /* when the last scan began */
    struct stat last; /* of the directory, before that scan */
};

struct follower {
    bool json;
    bool no_memory;
    bool begun; /* what is found now is new */
    int notify; /* the inotify descriptor; -1: there is none */
    struct spool spool;
    struct followed followed[STATES];
    struct table table;
};

/* --- telling --- */

static bool print(struct follower *follower, struct summary *summary)
{
    struct cell cells[SUMMARY_COLUMNS];
    if (follower->json)
        return summary_print(summary, stdout, follower->table.terminal.ascii);
    summary_cells(summary, follower->table.terminal.present, 0, cells);
    enum hue hue = summary->state == SPOOL_REJECTED ? HUE_BAD : HUE_GOOD;
    const struct cell row[COLUMNS] = {{text_of(spool_state_name(summary->state)), hue},
                                      cells[0],
                                      cells[2],
                                      cells[3],
                                      cells[4],
                                      cells[6]};
    bool printed = table_row(&follower->table, row);
    table_flush(&follower->table);
    return printed;
}

/* A runner may have claimed it before it could be read: then it is read where it went. */
static void tell(struct follower *follower, enum spool_state state, const char *name)
{
    struct summary summary;
    enum spool_state at = state;
    enum entry_verdict verdict = summary_read(&summary, &follower->spool, -1, at, name);
    for (int look = 0; verdict == ENTRY_GONE && look < LOOKS; look++) {
        summary_release(&summary);
        at = names_find(&follower->spool, name);
        verdict =
            summary_read(&summary, &follower->spool, -1, at == SPOOL_STATES ? state : at, name);
    }
    if (verdict == ENTRY_GONE) {
        summary.arrived = timestamp_now();
        (void)snprintf(summary.note, sizeof summary.note, "it has been moved or removed already");
    }
    summary.state = state;
    if (!print(follower, &summary))
        follower->no_memory = true;
    (void)fflush(stdout);
    summary_release(&summary);
}

/* --- scanning --- */

/* Directories that were missing may have been made, and watches have been lost with theirs. */
static void open_followed(struct follower *follower, struct followed *followed)
{
    char path[PATH_MAX];
    const char *name = spool_state_name(followed->state);
    int *directory = &follower->spool.directories[followed->state];
    if (*directory < 0)
        *directory =
            openat(follower->spool.root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*directory < 0 || followed->watch >= 0 || follower->notify < 0)
        return;
    if (snprintf(path, sizeof path, "%s/%s", follower->spool.path, name) < (int)sizeof path)
        followed->watch = inotify_add_watch(follower->notify, path,
                                            IN_CREATE | IN_MOVED_TO | IN_ONLYDIR | IN_DONT_FOLLOW);
}

/* Whether nothing was added or removed since the last scan. A directory's time is not exact, so one
 * that is recent proves nothing. */
static bool is_unchanged(const struct followed *followed, const struct stat *now)
{
    return followed->scanned && now->st_ino == followed->last.st_ino &&
           memcmp(&now->st_mtim, &followed->last.st_mtim, sizeof now->st_mtim) == 0 &&
           timestamp_of(now->st_mtim) < followed->seen - GRACE;
}

/* Remember the names that are there, and no others; tell those that were not known. */
static bool scan_directory(struct follower *follower, struct followed *followed)
{
    struct names names;
    struct known known = KNOWN_INIT;
    if (!names_read(&names, &follower->spool, followed->state))
        return false;
    for (size_t i = 0; i < names.count && !follower->no_memory && !ferror(stdout); i++) {
        const char *name = names_at(&names, i);
        if (!known_add(&known, name))
            follower->no_memory = true;
        if (follower->begun && !known_has(&followed->known, name))
            tell(follower, followed->state, name);
    }
    known_release(&followed->known);
    followed->known = known;
    names_release(&names);
    return true;
}

static int look_into(struct follower *follower, struct followed *followed)
{
    struct stat status;
    open_followed(follower, followed);
    int directory = follower->spool.directories[followed->state];
    if (directory < 0)
        return EX_OK;
    int64_t now = timestamp_now();
    if (fstat(directory, &status) == 0 && is_unchanged(followed, &status))
        return EX_OK;
    if (!scan_directory(follower, followed)) {
        command_say("cannot list %s/%s: %s", follower->spool.path,
                    spool_state_name(followed->state), strerror(errno));
        return EX_IOERR;
    }
    followed->scanned = true;
    followed->last = status;
    followed->seen = now;
    return EX_OK;
}

static int look_into_all(struct follower *follower)
{
    int status = EX_OK;
    for (size_t i = 0; i < STATES && status == EX_OK; i++)
        status = look_into(follower, &follower->followed[i]);
    return status;
}

/* --- events --- */

static void lose(struct follower *follower, struct followed *followed)
{
    int *directory = &follower->spool.directories[followed->state];
    followed->watch = -1;
    followed->scanned = false;
    if (*directory >= 0)
        (void)close(*directory);
    *directory = -1;
}

/* What was moved here is no arrival, but is known from now on. */
static void handle_name(struct follower *follower, struct followed *followed,
                        const struct inotify_event *event)
{
    if (event->len == 0 || !names_fit(followed->state, event->name) ||
        known_has(&followed->known, event->name))
        return;
    if (!known_add(&followed->known, event->name))
        follower->no_memory = true;
    if ((event->mask & IN_CREATE) != 0)
        tell(follower, followed->state, event->name);
}

static void handle(struct follower *follower, const struct inotify_event *event)
{
    for (size_t i = 0; i < STATES; i++) {
        struct followed *followed = &follower->followed[i];
        if ((event->mask & IN_Q_OVERFLOW) != 0)
            followed->scanned = false;
        if (event->wd != followed->watch || followed->watch < 0)
            continue;
        if ((event->mask & IN_IGNORED) != 0)
            lose(follower, followed);
        else
            handle_name(follower, followed, event);
    }
}

static void read_events(struct follower *follower)
{
    _Alignas(struct inotify_event) char events[16384];
    ssize_t length = read(follower->notify, events, sizeof events);
    for (char *at = events; length > 0 && at < events + length;) {
        const struct inotify_event *event = (const void *)at;
        at += sizeof *event + event->len;
        handle(follower, event);
    }
}

/* Look at all, and say when to do so again. */
static int rescan(struct follower *follower, int64_t *next)
{
    int64_t begun = timestamp_monotonic();
    int status = look_into_all(follower);
    int64_t ended = timestamp_monotonic();
    *next = ended + RESCAN + SHARE * (ended - begun);
    return status;
}

static int follow(struct follower *follower)
{
    int64_t next;
    int status = rescan(follower, &next);
    follower->begun = true;
    while (status == EX_OK && !follower->no_memory && !ferror(stdout)) {
        struct pollfd ready = {.fd = follower->notify, .events = POLLIN};
        int64_t left = next - timestamp_monotonic();
        if (left <= 0)
            status = rescan(follower, &next);
        else if (poll(&ready, 1, (int)left) > 0)
            read_events(follower);
    }
    if (follower->no_memory)
        command_say("out of memory");
    return follower->no_memory ? EX_OSERR : status;
}

/* --- the command --- */

/* Interrupted is how it ends: by the signal, as the shell expects it. */
static void die_by_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
}

static void open_follower(struct follower *follower)
{
    follower->followed[0] = (struct followed){.state = SPOOL_NEW, .watch = -1};
    follower->followed[1] = (struct followed){.state = SPOOL_REJECTED, .watch = -1};
    follower->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (follower->notify < 0)
        command_say("inotify: %s; directories are only scanned, every %d seconds", strerror(errno),
                    RESCAN / 1000);
    table_init(&follower->table, stdout, headings, COLUMNS);
    die_by_signals();
}

static void close_follower(struct follower *follower)
{
    table_end(&follower->table);
    for (size_t i = 0; i < STATES; i++)
        known_release(&follower->followed[i].known);
    if (follower->notify >= 0)
        (void)close(follower->notify);
    spool_close(&follower->spool);
}

/* Returns -1 to go on, else the exit status. */
static int parse(int argc, char **argv, bool *json)
{
    int status = command_flag(argc, argv, help, "json", json);
    if (status != -1)
        return status;
    return argc > optind ? command_misused(help, "no argument is wanted: %s", argv[optind]) : -1;
}

int follower_command(int argc, char **argv)
{
    struct config config;
    struct follower follower = {.json = false};
    int status = parse(argc, argv, &follower.json);
    if (status != -1 || (status = command_open(&config, &follower.spool)) != EX_OK)
        return status;
    open_follower(&follower);
    status = follow(&follower);
    close_follower(&follower);
    return command_end(status);
}

/*
 * A link in state/received/: its name is the first line of the input, where it points to the
 * second. Whatever it is, sweeping removes it only if it is the time of receipt of an entry that is
 * gone, and nothing else; an entry never.
 */
#include "entry.h"
#include "fuzz.h"
#include "receipts.h"
#include "spool.h"
#include "timestamp.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[] = "/dev/shm/tradecloud-fuzz.XXXXXX";
static struct spool spool;
static int received = -1;

static void remove_spool(void)
{
    (void)unlinkat(spool.root, "state/received", AT_REMOVEDIR);
    (void)unlinkat(spool.root, "state", AT_REMOVEDIR);
    for (enum spool_state state = SPOOL_TMP; state < SPOOL_STATES; state++)
        (void)unlinkat(spool.root, spool_state_name(state), AT_REMOVEDIR);
    (void)rmdir(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct problem problem;
    (void)argc;
    (void)argv;
    CHECK(mkdtemp(path) != NULL && spool_open(&spool, path, 0, &problem));
    CHECK(mkdirat(spool.root, "state", 0700) == 0);
    CHECK(mkdirat(spool.root, "state/received", 0700) == 0);
    received = openat(spool.root, "state/received", O_RDONLY | O_DIRECTORY);
    CHECK(received >= 0);
    return atexit(remove_spool);
}

/* Returns false if there can be no such link. */
static bool make_link(const char *name, const char *target)
{
    const struct timespec old[2] = {{1, 0}, {1, 0}};
    return strchr(name, '/') == NULL && strlen(target) < PATH_MAX &&
           symlinkat(target, received, name) == 0 &&
           utimensat(received, name, old, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool is_there(int directory, const char *name)
{
    return faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void check(const char *name, const char *target)
{
    char entry[2 * NAME_MAX + 16];
    const int64_t now = timestamp_now();
    const int to = spool.directories[SPOOL_DONE];
    int written = snprintf(entry, sizeof entry, "%.*s_%s.json", NAME_MAX, target, name);
    bool ours = strlen(target) == TIMESTAMP_NAME_SIZE - 1 && written <= ENTRY_NAME_MAX &&
                entry_is_name(entry);
    if (ours) {
        int fd = openat(to, entry, O_WRONLY | O_CREAT | O_EXCL, 0640);
        CHECK(fd >= 0 && close(fd) == 0);
        CHECK(receipts_prune(&spool, now, true) == 0 && is_there(received, name));
        CHECK(is_there(to, entry) && unlinkat(to, entry, 0) == 0);
    }
    CHECK(receipts_prune(&spool, 500, true) == 0 && is_there(received, name));
    CHECK(receipts_prune(&spool, now, false) == (ours ? 1 : 0) && is_there(received, name));
    CHECK(receipts_prune(&spool, now, true) == (ours ? 1 : 0));
    CHECK(is_there(received, name) != ours);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *name = take_line(&data, &size);
    char *target = take_line(&data, &size);
    if (name != NULL && target != NULL && make_link(name, target)) {
        check(name, target);
        (void)unlinkat(received, name, 0);
    }
    free(name);
    free(target);
    return 0;
}

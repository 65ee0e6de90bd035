#include "receipts.h"

#include "directory.h"
#include "entry.h"
#include "names.h"
#include "stream.h"
#include "timestamp.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The name of the link's entry; false if it is no link of ours. */
static bool read_entry_name(int directory, const char *link, char name[ENTRY_NAME_MAX + 1])
{
    char time[TIMESTAMP_NAME_SIZE];
    ssize_t length = readlinkat(directory, link, time, sizeof time);
    if (length != TIMESTAMP_NAME_SIZE - 1)
        return false;
    int written = snprintf(name, ENTRY_NAME_MAX + 1, "%.*s_%s.json", (int)length, time, link);
    return written <= ENTRY_NAME_MAX && entry_is_name(name);
}

static bool is_needless(const struct spool *spool, int directory, const char *link, int64_t before)
{
    struct stat status;
    char name[ENTRY_NAME_MAX + 1];
    return fstatat(directory, link, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode) &&
           timestamp_of(status.st_mtim) < before && read_entry_name(directory, link, name) &&
           /* Twice, as it may be moving. */
           names_find(spool, name) == SPOOL_STATES && names_find(spool, name) == SPOOL_STATES;
}

static uint64_t prune(const struct spool *spool, int directory, int64_t before, bool force)
{
    uint64_t count = 0;
    const struct dirent *found;
    DIR *stream = stream_open(directory);
    if (stream == NULL)
        return 0;
    while ((found = stream_next(stream)) != NULL)
        if (is_needless(spool, directory, found->d_name, before) &&
            (!force || unlinkat(directory, found->d_name, 0) == 0))
            count++;
    if (force && count > 0)
        /* One that comes back after a crash is removed the next time. */
        (void)directory_sync(directory);
    (void)closedir(stream);
    return count;
}

uint64_t receipts_prune(const struct spool *spool, int64_t before, bool force)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int64_t latest = timestamp_now() - RECEIPTS_AGE;
    int state = openat(spool->root, "state", flags);
    int directory = state < 0 ? -1 : openat(state, "received", flags);
    if (state >= 0)
        (void)close(state);
    if (directory < 0)
        return 0;
    uint64_t count = prune(spool, directory, before < latest ? before : latest, force);
    (void)close(directory);
    return count;
}

#include "sweep.h"

#include "attempt.h"
#include "entry.h"
#include "names.h"
#include "stream.h"
#include "temporary.h"
#include "timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether it is a regular file; then its age. What is gone meanwhile is none, and no finding. */
static bool find_age(int directory, const char *name, int64_t now, int64_t *age)
{
    struct stat status;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        *age = 0;
        return errno == ENOENT;
    }
    *age = now - timestamp_of(status.st_mtim);
    return S_ISREG(status.st_mode);
}

static void clear(struct findings *findings, const char *path, int directory, const char *name,
                  const char *why)
{
    if (unlinkat(directory, name, 0) == 0)
        findings_add(findings, FINDING_NOTE, path, name, "removed: %s", why);
    else if (errno != ENOENT)
        findings_add(findings, FINDING_PROBLEM, path, name, "%s, but it cannot be removed: %s", why,
                     strerror(errno));
}

static void sweep_one(struct findings *findings, const struct spool *spool, int directory,
                      const char *name, int64_t now)
{
    (void)spool;
    const char *path = spool_state_name(SPOOL_TMP);
    int64_t age;
    if (!temporary_is_name(name) || !find_age(directory, name, now, &age))
        findings_add(findings, FINDING_PROBLEM, path, name,
                     "it is no file of ours, and left alone");
    else if (age > SWEEP_AGE)
        clear(findings, path, directory, name, "it was left behind by a process that was killed");
}

static bool is_needed(const struct spool *spool, const char *name)
{
    /* Twice, as it may be moving. */
    for (int look = 0; look < 2; look++) {
        enum spool_state state = names_find(spool, name);
        if (state == SPOOL_NEW || state == SPOOL_WORK || state == SPOOL_FAILED)
            return true;
    }
    return false;
}

static void sweep_attempt(struct findings *findings, const struct spool *spool, int directory,
                          const char *name, int64_t now)
{
    int64_t age;
    if (!entry_is_name(name) || !find_age(directory, name, now, &age))
        findings_add(findings, FINDING_PROBLEM, ATTEMPT_DIRECTORY, name,
                     "it is no file of tradecloud-spool, and left alone");
    else if (age > SWEEP_AGE && !is_needed(spool, name))
        clear(findings, ATTEMPT_DIRECTORY, directory, name, "its entry is gone, done or rejected");
}

/* Sweep all of the directory `path` with `each`. */
typedef void sweep_file(struct findings *findings, const struct spool *spool, int directory,
                        const char *name, int64_t now);

static void sweep(struct findings *findings, const struct spool *spool, int directory,
                  const char *path, int64_t now, sweep_file *each)
{
    const struct dirent *found;
    if (directory < 0)
        return;
    DIR *stream = stream_open(directory);
    while (stream != NULL && (found = stream_next(stream)) != NULL)
        each(findings, spool, directory, found->d_name, now);
    if (stream == NULL || errno != 0)
        findings_add(findings, FINDING_PROBLEM, path, NULL, "it cannot be listed: %s",
                     strerror(errno));
    if (stream != NULL)
        (void)closedir(stream);
}

void sweep_temporary(struct findings *findings, const struct spool *spool, int64_t now)
{
    sweep(findings, spool, spool->directories[SPOOL_TMP], spool_state_name(SPOOL_TMP), now,
          sweep_one);
}

void sweep_attempts(struct findings *findings, const struct spool *spool, int attempts, int64_t now)
{
    sweep(findings, spool, attempts, ATTEMPT_DIRECTORY, now, sweep_attempt);
}

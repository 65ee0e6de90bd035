#include "survey.h"

#include "entry.h"
#include "names.h"
#include "stream.h"
#include "timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

/* Milliseconds that a message may have been created, or a file written, ahead of this clock. */
enum {
    NAME_AHEAD = 24 * 3600 * 1000,
    FILE_AHEAD = 60 * 1000,
};

struct survey {
    struct findings *findings;
    const struct spool *spool;
    enum spool_state state;
    gid_t gid;
    int64_t now;
    uint64_t future;
    char first[256]; /* of those of the future; NAME_MAX + 1 */
};

static void add(const struct survey *survey, const char *name, const char *what)
{
    findings_add(survey->findings, FINDING_PROBLEM, spool_state_name(survey->state), name, "%s",
                 what);
}

static bool is_in(const struct survey *survey, enum spool_state state, const char *name)
{
    struct stat status;
    int directory = survey->spool->directories[state];
    return directory >= 0 && fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What moves from here to there while we look seems to be in both, but is not here any more
 * then. */
static void look_for_twins(const struct survey *survey, const char *name)
{
    for (enum spool_state other = SPOOL_NEW; other < SPOOL_STATES; other++)
        if (other != survey->state && is_in(survey, other, name) &&
            is_in(survey, survey->state, name) && is_in(survey, other, name))
            findings_add(survey->findings, FINDING_PROBLEM, spool_state_name(survey->state), name,
                         "the same name is in %s/: move one of them out of the spool",
                         spool_state_name(other));
}

static void look_at_time(struct survey *survey, const char *name, const struct stat *status)
{
    struct entry_name parts;
    bool ahead = timestamp_of(status->st_mtim) > survey->now + FILE_AHEAD ||
                 (entry_parse_name(name, &parts) && parts.time > survey->now + NAME_AHEAD);
    if (ahead && survey->future++ == 0)
        (void)snprintf(survey->first, sizeof survey->first, "%s", name);
}

static void look_inside(const struct survey *survey, const char *name)
{
    struct entry entry;
    struct problem problem;
    switch (entry_open(survey->spool->directories[survey->state], name, &entry, &problem)) {
    case ENTRY_READ:
        entry_close(&entry);
        break;
    case ENTRY_ODD:
    case ENTRY_FAILED:
        add(survey, name, problem.reason);
        break;
    case ENTRY_GONE:
        break;
    }
}

/* An entry that is still to be consumed. */
static void look_closely(struct survey *survey, const char *name)
{
    struct stat status;
    if (fstatat(survey->spool->directories[survey->state], name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    if (!S_ISREG(status.st_mode)) {
        add(survey, name, "it is no regular file, and left alone");
        return;
    }
    look_at_time(survey, name, &status);
    if (status.st_gid != survey->gid || (status.st_mode & S_IRGRP) == 0)
        add(survey, name, "the spool's group cannot read it: chgrp it to that, and chmod g+r");
    look_for_twins(survey, name);
    look_inside(survey, name);
}

static void look_at(struct survey *survey, const struct dirent *found)
{
    bool consumed = survey->state == SPOOL_DONE || survey->state == SPOOL_REJECTED;
    if (!names_fit(survey->state, found->d_name))
        add(survey, found->d_name,
            "no entry has such a name; it is never consumed, and left alone");
    else if (!consumed)
        look_closely(survey, found->d_name);
    else if (found->d_type != DT_REG && found->d_type != DT_UNKNOWN)
        add(survey, found->d_name, "it is no regular file, and left alone");
}

static void look_through(struct survey *survey)
{
    struct names_cursor cursor;
    const struct dirent *found;
    if (!names_open(&cursor, survey->spool, survey->state)) {
        add(survey, NULL, strerror(errno));
        return;
    }
    errno = 0;
    while (cursor.stream != NULL && (found = stream_next(cursor.stream)) != NULL)
        look_at(survey, found);
    if (errno != 0)
        add(survey, NULL, strerror(errno));
    names_close(&cursor);
}

void survey_entries(struct findings *findings, const struct spool *spool, gid_t gid, int64_t now)
{
    struct survey survey = {.findings = findings, .spool = spool, .gid = gid, .now = now};
    for (survey.state = SPOOL_NEW; survey.state < SPOOL_STATES; survey.state++)
        look_through(&survey);
    if (survey.future > 0)
        findings_add(findings, FINDING_PROBLEM, NULL, NULL,
                     "%" PRIu64 " entries are of the future, the first found being %s: is this "
                     "machine's clock slow?",
                     survey.future, survey.first);
}

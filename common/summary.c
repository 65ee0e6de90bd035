#include "summary.h"

#include "age.h"
#include "attempt.h"
#include "fields.h"
#include "regular.h"

#include <json-c/json.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REJECTION_HEAD_MAX = 4096 };

const struct column summary_columns[SUMMARY_COLUMNS] = {
    {"NAME", false},    {"AGE", true},      {"BYTES", true}, {"TYPE", false},
    {"SUBJECT", false}, {"ATTEMPTS", true}, {"NOTE", false},
};

static void set_status(struct summary *summary, const struct stat *status)
{
    summary->arrived = timestamp_of(status->st_mtim);
    summary->bytes = (uint64_t)status->st_size;
}

/* The value of a line `name: value` at the beginning of a rejected request's file. */
static struct text find_line(struct text head, const char *name)
{
    const char *line = head.data;
    const char *end = head.data + head.length;
    size_t length = strlen(name);
    while (line < end && *line != '\n') {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *stop = newline == NULL ? end : newline;
        if ((size_t)(stop - line) > length && memcmp(line, name, length) == 0)
            return (struct text){line + length, (size_t)(stop - line) - length};
        line = newline == NULL ? end : newline + 1;
    }
    return (struct text){"", 0};
}

/* The note says what was answered, and why. */
static enum entry_verdict read_rejection(struct summary *summary, int directory)
{
    struct stat status;
    char head[REJECTION_HEAD_MAX];
    int fd = regular_open(directory, summary->name, &status, summary->note, sizeof summary->note);
    if (fd < 0)
        return errno == ENOENT ? ENTRY_GONE : errno == 0 ? ENTRY_ODD : ENTRY_FAILED;
    set_status(summary, &status);
    ssize_t length = pread(fd, head, sizeof head, 0);
    if (length < 0)
        (void)snprintf(summary->note, sizeof summary->note, "cannot read it: %s", strerror(errno));
    (void)close(fd);
    if (length < 0)
        return ENTRY_FAILED;
    struct text lines = {head, (size_t)length};
    struct text answer = find_line(lines, "Status: ");
    struct text reason = find_line(lines, "Reason: ");
    if (answer.length == 0) {
        (void)snprintf(summary->note, sizeof summary->note,
                       "it does not say what was answered, as a rejected request does");
        return ENTRY_ODD;
    }
    (void)snprintf(summary->note, sizeof summary->note, "%.*s: %.*s", (int)answer.length,
                   answer.data, (int)reason.length, reason.data);
    return ENTRY_READ;
}

static enum entry_verdict read_entry(struct summary *summary, int directory)
{
    struct stat status;
    struct problem problem;
    enum entry_verdict verdict = entry_open(directory, summary->name, &summary->entry, &problem);
    bool known = verdict == ENTRY_READ
                     ? fstat(summary->entry.fd, &status) == 0
                     : fstatat(directory, summary->name, &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (known)
        set_status(summary, &status);
    if (verdict == ENTRY_ODD || verdict == ENTRY_FAILED)
        (void)snprintf(summary->note, sizeof summary->note, "%s", problem.reason);
    return verdict;
}

/* That they cannot be read hides nothing of the entry itself. What is odd with it is worth more. */
static void read_attempts(struct summary *summary, int directory)
{
    struct problem problem;
    struct attempt attempt;
    if (!attempt_read(directory, summary->name, &attempt, &problem))
        return;
    summary->attempts = attempt.attempts;
    if (summary->note[0] == '\0')
        (void)snprintf(summary->note, sizeof summary->note, "%s", attempt.error);
}

enum entry_verdict summary_read(struct summary *summary, const struct spool *spool, int attempts,
                                enum spool_state state, const char *name)
{
    *summary = (struct summary){.name = name, .state = state, .entry = {.fd = -1}};
    bool event = entry_is_name(name);
    summary->verdict = event ? read_entry(summary, spool->directories[state])
                             : read_rejection(summary, spool->directories[state]);
    bool open = state == SPOOL_NEW || state == SPOOL_WORK || state == SPOOL_FAILED;
    if (attempts >= 0 && event && open && summary->verdict != ENTRY_GONE)
        read_attempts(summary, attempts);
    return summary->verdict;
}

static struct text short_type(struct text type)
{
    static const char prefix[] = "com.tradecloud1.";
    const size_t length = sizeof prefix - 1;
    if (type.length <= length || memcmp(type.data, prefix, length) != 0)
        return type;
    return (struct text){type.data + length, type.length - length};
}

static enum hue note_hue(const struct summary *summary)
{
    return summary->verdict == ENTRY_ODD || summary->state == SPOOL_FAILED ? HUE_BAD : HUE_DOUBTFUL;
}

void summary_cells(struct summary *summary, bool terminal, int64_t now,
                   struct cell cells[SUMMARY_COLUMNS])
{
    struct text type = summary->entry.type;
    timestamp_rfc3339(summary->arrived, summary->arrived_text);
    age_format(now - summary->arrived, summary->age_text);
    (void)snprintf(summary->bytes_text, sizeof summary->bytes_text, "%" PRIu64, summary->bytes);
    (void)snprintf(summary->attempts_text, sizeof summary->attempts_text, "%u", summary->attempts);
    cells[0] = (struct cell){text_of(summary->name), HUE_PLAIN};
    cells[1] =
        (struct cell){text_of(terminal ? summary->age_text : summary->arrived_text), HUE_PLAIN};
    cells[2] = (struct cell){text_of(summary->bytes_text), HUE_PLAIN};
    cells[3] = (struct cell){terminal ? short_type(type) : type, HUE_GOOD};
    cells[4] = (struct cell){summary->entry.subject, HUE_PLAIN};
    cells[5] = (struct cell){text_of(summary->attempts == 0 ? NULL : summary->attempts_text),
                             HUE_DOUBTFUL};
    cells[6] = (struct cell){text_of(summary->note), note_hue(summary)};
}

static bool add_note(struct json_object *object, const struct summary *summary)
{
    return summary->note[0] == '\0' ||
           fields_text(object, summary->verdict == ENTRY_ODD ? "odd" : "note",
                       text_of(summary->note));
}

static bool fill(struct json_object *object, const struct summary *summary)
{
    char arrived[TIMESTAMP_RFC3339_SIZE];
    const struct entry *entry = &summary->entry;
    timestamp_rfc3339(summary->arrived, arrived);
    return fields_text(object, "name", text_of(summary->name)) &&
           fields_text(object, "state", text_of(spool_state_name(summary->state))) &&
           fields_text(object, "arrived", text_of(arrived)) &&
           fields_number(object, "bytes", (int64_t)summary->bytes) &&
           fields_text(object, "id", entry->id) && fields_text(object, "type", entry->type) &&
           fields_text(object, "subject", entry->subject) &&
           fields_text(object, "time", entry->time) &&
           (summary->attempts == 0 || fields_number(object, "attempts", summary->attempts)) &&
           add_note(object, summary);
}

bool summary_print(const struct summary *summary, FILE *stream, bool ascii)
{
    struct json_object *object = json_object_new_object();
    if (fill(object, summary))
        return fields_print(object, stream, ascii);
    json_object_put(object);
    return false;
}

void summary_release(struct summary *summary)
{
    entry_close(&summary->entry);
}

#include "entry.h"

#include "regular.h"
#include "scan.h"
#include "timestamp.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FIRST_READ = 4096, /* nearly every head, in one call */
    TAIL_MAX = 64,     /* bytes of white space that may follow the end of the event */
    WHY_SIZE = 256,
};

/* --- names --- */

/* Take `length` bytes off the front. */
static struct text take(struct text *text, size_t length)
{
    struct text front = {text->data, length};
    text->data += length;
    text->length -= length;
    return front;
}

/* Take what stands before the first underscore, and that. */
static bool take_part(struct text *rest, struct text *part)
{
    const char *end = memchr(rest->data, '_', rest->length);
    if (end == NULL)
        return false;
    *part = take(rest, (size_t)(end - rest->data));
    (void)take(rest, 1);
    return true;
}

static bool equals(struct text text, const char *string)
{
    return text.length == strlen(string) && memcmp(text.data, string, text.length) == 0;
}

static bool parse_kind(struct text text, enum event_kind *kind)
{
    for (*kind = EVENT_UNKNOWN; *kind <= EVENT_LEGACY_ORDER_FETCHED; ++*kind)
        if (equals(text, event_kind_name(*kind)))
            return true;
    return false;
}

bool entry_parse_name(const char *name, struct entry_name *parts)
{
    static const char suffix[] = ".json";
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    struct text time;
    struct text kind;
    struct text rest = text_of(name);
    if (rest.length > ENTRY_NAME_MAX || !take_part(&rest, &time) || !take_part(&rest, &kind) ||
        rest.length < sizeof suffix || strspn(rest.data, safe) != rest.length)
        return false;
    parts->key = take(&rest, rest.length - (sizeof suffix - 1));
    return equals(rest, suffix) && parts->key.length <= ENVELOPE_KEY_MAX &&
           timestamp_parse_name(time, &parts->time) && parse_kind(kind, &parts->kind);
}

bool entry_is_name(const char *name)
{
    struct entry_name parts;
    return entry_parse_name(name, &parts);
}

/* --- contents --- */

static enum entry_verdict odd(struct problem *problem, const char *why)
{
    (void)problem_set(problem, 503, "%s", why);
    return ENTRY_ODD;
}

/* errno says why. */
static enum entry_verdict failed(struct problem *problem, const char *what)
{
    (void)problem_set(problem, 503, "cannot %s it: %s", what, strerror(errno));
    return ENTRY_FAILED;
}

/* What is no regular file, or may not be read, is odd; what else goes wrong is our trouble. */
static enum entry_verdict open_file(int directory, const char *name, struct entry *entry,
                                    struct problem *problem)
{
    struct stat status;
    char why[WHY_SIZE];
    entry->fd = regular_open(directory, name, &status, why, sizeof why);
    if (entry->fd < 0) {
        enum entry_verdict verdict = errno == 0        ? ENTRY_ODD
                                     : errno == ENOENT ? ENTRY_GONE
                                                       : ENTRY_FAILED;
        (void)problem_set(problem, 503, "%s", why);
        return verdict;
    }
    entry->size = (uint64_t)status.st_size;
    return entry->size == 0 ? odd(problem, "it is empty") : ENTRY_READ;
}

/* Read on until the buffer holds `wanted` bytes or the whole file. */
static bool read_up_to(struct entry *entry, struct buffer *head, size_t wanted)
{
    if (!buffer_reserve(head, wanted - head->length)) {
        errno = ENOMEM;
        return false;
    }
    while (head->length < wanted) {
        ssize_t got =
            pread(entry->fd, head->data + head->length, wanted - head->length, (off_t)head->length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        head->length += (size_t)got;
    }
    return true;
}

/* Where the string that begins at `at` ends: behind its closing quote, or `end`. */
static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++)
        if (*at == '\\' && ++at == end)
            return end;
    return at < end ? at + 1 : end;
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

/* The offset of the value of the member `data` of the object on top: behind the colon after that
 * name, at the first level and outside strings; 0 if it is not among these bytes. Whether the bytes
 * before it are JSON is not judged here. */
static size_t find_data(const char *head, size_t length)
{
    static const char name[] = "\"data\"";
    const char *end = head + length;
    unsigned depth = 0;
    for (const char *at = head; at < end;) {
        const char *start = at++;
        if (*start == '"') {
            at = skip_string(start, end);
            const char *colon = skip_space(at, end);
            if (depth == 1 && colon < end && *colon == ':' &&
                equals((struct text){start, (size_t)(at - start)}, name))
                return (size_t)(colon + 1 - head);
        } else if (*start == '{' || *start == '[') {
            depth++;
        } else if (*start == '}' || *start == ']') {
            depth--;
        }
    }
    return 0;
}

/* Read the head into the buffer, and find where the data begin in it. */
static enum entry_verdict read_head(struct entry *entry, struct buffer *head,
                                    struct problem *problem)
{
    for (size_t wanted = FIRST_READ; wanted <= ENTRY_HEAD_MAX; wanted *= 4) {
        size_t before = head->length;
        if (!read_up_to(entry, head, wanted))
            return failed(problem, "read");
        entry->data_offset = find_data(head->data, head->length);
        if (entry->data_offset > 0) {
            head->length = (size_t)entry->data_offset;
            return ENTRY_READ;
        }
        if (head->length == before || head->length < wanted)
            return odd(problem, "it is no CloudEvents event: it has no member `data`");
    }
    return odd(problem, "it is no CloudEvents event: no member `data` near its beginning");
}

/* The event ends with the brace behind its data; somebody's editor may have added a newline. */
static enum entry_verdict find_end(struct entry *entry, struct problem *problem)
{
    char tail[TAIL_MAX];
    uint64_t rest = entry->size - entry->data_offset;
    size_t wanted = rest < sizeof tail ? (size_t)rest : sizeof tail;
    ssize_t got = pread(entry->fd, tail, wanted, (off_t)(entry->size - wanted));
    if (got < 0)
        return failed(problem, "read");
    size_t length = (size_t)got;
    while (length > 0 && skip_space(&tail[length - 1], &tail[length]) == &tail[length])
        length--;
    if ((size_t)got < wanted || length == 0 || tail[length - 1] != '}')
        return odd(problem, "it is cut short: it does not end with the brace of its event");
    entry->data_length = rest - (wanted - length) - 1;
    return entry->data_length > 0 ? ENTRY_READ : odd(problem, "it has no data");
}

/* --- attributes --- */

enum { SPECVERSION, ID, SOURCE, TYPE, SUBJECT, TIME, ATTRIBUTES };

static bool decode_all(const char *head, const struct scan_member *members, struct entry *entry,
                       size_t ends[ATTRIBUTES])
{
    for (int i = 0; i < ATTRIBUTES; i++) {
        const struct text raw = {head + members[i].offset, members[i].length};
        if (!scan_decode(members[i].type, raw, &entry->values))
            return false;
        ends[i] = entry->values.length;
    }
    return true;
}

/* Only now do the values stay where they are. An empty text counts as absent. */
static enum entry_verdict set_attributes(struct entry *entry, const size_t ends[ATTRIBUTES],
                                         struct problem *problem)
{
    struct text values[ATTRIBUTES];
    size_t start = 0;
    for (int i = 0; i < ATTRIBUTES; i++) {
        bool present = ends[i] > start;
        values[i] = present ? (struct text){entry->values.data + start, ends[i] - start}
                            : (struct text){NULL, 0};
        start = ends[i];
    }
    entry->id = values[ID];
    entry->source = values[SOURCE];
    entry->type = values[TYPE];
    entry->subject = values[SUBJECT];
    entry->time = values[TIME];
    if (!equals(values[SPECVERSION], "1.0") || entry->id.length == 0 || entry->source.length == 0 ||
        entry->type.length == 0)
        return odd(problem, "it is no CloudEvents 1.0 event: it lacks specversion 1.0, id, source "
                            "or type");
    return ENTRY_READ;
}

/* With a null in the data's place the head is a JSON text of its own. */
static enum entry_verdict read_attributes(struct entry *entry, struct buffer *head,
                                          struct problem *problem)
{
    static const char ending[] = "null}";
    size_t ends[ATTRIBUTES];
    struct scan_member members[ATTRIBUTES] = {
        [SPECVERSION] = {.path = "specversion"}, [ID] = {.path = "id"},
        [SOURCE] = {.path = "source"},           [TYPE] = {.path = "type"},
        [SUBJECT] = {.path = "subject"},         [TIME] = {.path = "time"},
    };
    if (!buffer_append(head, ending, sizeof ending - 1)) {
        errno = ENOMEM;
        return failed(problem, "read");
    }
    struct scan_result result = scan(head->data, head->length, members, ATTRIBUTES);
    if (result.verdict != SCAN_VALID || result.top != SCAN_OBJECT)
        return odd(problem, "it is no CloudEvents event: it is not JSON");
    for (int i = 0; i < ATTRIBUTES; i++)
        if (members[i].type != SCAN_STRING && members[i].type != SCAN_ABSENT)
            return odd(problem, "it is no CloudEvents event: an attribute is no string");
    if (!decode_all(head->data, members, entry, ends)) {
        errno = ENOMEM;
        return failed(problem, "read");
    }
    return set_attributes(entry, ends, problem);
}

enum entry_verdict entry_open(int directory, const char *name, struct entry *entry,
                              struct problem *problem)
{
    struct buffer head = BUFFER_INIT;
    *entry = (struct entry){.fd = -1};
    enum entry_verdict verdict = open_file(directory, name, entry, problem);
    if (verdict == ENTRY_READ)
        verdict = read_head(entry, &head, problem);
    if (verdict == ENTRY_READ)
        verdict = find_end(entry, problem);
    if (verdict == ENTRY_READ)
        verdict = read_attributes(entry, &head, problem);
    buffer_release(&head);
    if (verdict != ENTRY_READ)
        entry_close(entry);
    return verdict;
}

void entry_close(struct entry *entry)
{
    /* It was opened to be read only: closing it can lose nothing. */
    if (entry->fd >= 0)
        (void)close(entry->fd);
    buffer_release(&entry->values);
    entry->fd = -1;
}

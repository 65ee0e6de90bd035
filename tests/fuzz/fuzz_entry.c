/*
 * A file of the spool as its reader sees it. The first line of the input is a name; the rest is
 * what the file holds. It may be anybody's: nothing in it may do harm; and what the reader takes
 * for an event must be found the same by Jansson. Then the same bytes as the body of an event that
 * we store ourselves: the reader must find them.
 */
#include "entry.h"
#include "fuzz.h"
#include "timestamp.h"

#include <jansson.h>

#include <fcntl.h>
#include <unistd.h>

static const char api[] = "https://a.example/v2";
static const char file[] = "20250423T100153.812Z_order_m.json";
static char path[] = "/dev/shm/tradecloud-fuzz.XXXXXX";
static int directory = -1;

static void remove_directory(void)
{
    (void)unlinkat(directory, file, 0);
    (void)rmdir(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    CHECK(mkdtemp(path) != NULL);
    directory = open(path, O_RDONLY | O_DIRECTORY);
    CHECK(directory >= 0);
    return atexit(remove_directory);
}

static void write_file(struct text content)
{
    int fd = openat(directory, file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, content.data, content.length) == (ssize_t)content.length);
    CHECK(close(fd) == 0);
}

static void check_name(const char *name)
{
    struct entry_name parts;
    if (!entry_parse_name(name, &parts))
        return;
    char stamp[TIMESTAMP_NAME_SIZE];
    char again[ENVELOPE_NAME_SIZE];
    timestamp_name(parts.time, stamp);
    (void)snprintf(again, sizeof again, "%s_%s_%.*s.json", stamp, event_kind_name(parts.kind),
                   (int)parts.key.length, parts.key.data);
    CHECK(strcmp(again, name) == 0);
    CHECK(strchr(name, '/') == NULL && name[0] != '.' && strlen(name) <= 200);
}

static void check_attribute(json_t *event, const char *name, struct text value)
{
    json_t *member = json_object_get(event, name);
    if (value.data == NULL) {
        CHECK(!json_is_string(member) || json_string_length(member) == 0);
        return;
    }
    CHECK(json_string_length(member) == value.length);
    CHECK(memcmp(json_string_value(member), value.data, value.length) == 0);
}

/* Where the file is JSON as a whole and no name is repeated, both readers must agree. */
static void compare(const struct entry *entry, struct text content)
{
    json_error_t error;
    const size_t flags = JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL | JSON_REJECT_DUPLICATES;
    json_t *event = json_loadb(content.data, content.length, flags, &error);
    if (event != NULL) {
        check_attribute(event, "id", entry->id);
        check_attribute(event, "source", entry->source);
        check_attribute(event, "type", entry->type);
        check_attribute(event, "subject", entry->subject);
        check_attribute(event, "time", entry->time);
        json_t *data = json_loadb(content.data + entry->data_offset, entry->data_length,
                                  flags | JSON_DECODE_ANY, &error);
        CHECK(json_equal(json_object_get(event, "data"), data));
        json_decref(data);
    }
    json_decref(event);
}

static void check_anything(struct text content)
{
    struct entry entry;
    struct problem problem;
    write_file(content);
    switch (entry_open(directory, file, &entry, &problem)) {
    case ENTRY_READ:
        CHECK(entry.size == content.length && entry.data_length > 0);
        CHECK(entry.data_offset + entry.data_length < entry.size);
        CHECK(entry.id.length > 0 && entry.source.length > 0 && entry.type.length > 0);
        compare(&entry, content);
        entry_close(&entry);
        break;
    case ENTRY_ODD:
        CHECK(problem.reason[0] != '\0');
        break;
    case ENTRY_GONE:
    case ENTRY_FAILED:
        CHECK(!"the file is there");
    }
}

static void check_ours(struct text body)
{
    struct event event;
    struct entry entry;
    struct problem problem;
    struct envelope envelope;
    struct body whole = body_of(body);
    const size_t room = body.length * 7 % 1000;
    if (event_read(&whole, &event, &problem) != EVENT_READ)
        return;
    memset(&envelope, 0, sizeof envelope);
    CHECK(envelope_identify(&envelope, &event, &whole, &problem));
    CHECK(envelope_build(&envelope, &event, api, event.time, room));
    CHECK(entry_is_name(envelope.name));
    size_t offset = envelope.head.length;
    CHECK(buffer_append(&envelope.head, body.data, body.length) &&
          buffer_append_string(&envelope.head, ENVELOPE_TAIL));
    write_file((struct text){envelope.head.data, envelope.head.length});
    CHECK(entry_open(directory, file, &entry, &problem) == ENTRY_READ);
    CHECK(entry.data_offset == offset && entry.data_length == body.length);
    CHECK(entry.id.length == envelope.id.length &&
          memcmp(entry.id.data, envelope.id.data, entry.id.length) == 0);
    entry_close(&entry);
    envelope_release(&envelope);
    event_release(&event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *name = take_line(&data, &size);
    if (name != NULL)
        check_name(name);
    free(name);
    check_anything((struct text){(const char *)data, size});
    check_ours((struct text){(const char *)data, size});
    return 0;
}

#include "display.h"

#include "buffer.h"
#include "command.h"
#include "entry.h"
#include "legible.h"
#include "names.h"
#include "regular.h"
#include "scan.h"
#include "terminal.h"

#include <json-c/json.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    LOOKS = 3,        /* for what moves from state to state meanwhile */
    DIGITS_SURE = 19, /* bytes of a number; fewer fit into 64 bits */
    DIGITS_MAX = 20,  /* more do not */
};

static const char help[] =
    "Usage: tradecloud-spool show [--data] NAME...\n"
    "Show entries, whatever state they are in, in readable JSON; of a file of rejected/, the "
    "text.\n"
    "\n"
    "  --data  print only the data as they were received, byte for byte, without a newline\n"
    "  --help  print this and exit\n";

/* --- reading --- */

/* Read `length` bytes from `offset`. Returns false with errno. */
static bool read_range(int fd, uint64_t offset, uint64_t length, struct buffer *bytes)
{
    errno = ENOMEM;
    if (length > SIZE_MAX / 2 || !buffer_reserve(bytes, (size_t)length))
        return false;
    while (bytes->length < length) {
        ssize_t got = pread(fd, bytes->data + bytes->length, (size_t)length - bytes->length,
                            (off_t)(offset + bytes->length));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (got == 0)
            break;
        bytes->length += (size_t)got;
    }
    return true;
}

/* --- printing --- */

/* Byte for byte, but not to a terminal. Returns false with errno when memory runs out. */
static bool print_bytes(struct text bytes)
{
    struct terminal terminal = terminal_of(STDOUT_FILENO);
    struct buffer out = BUFFER_INIT;
    bool made = !terminal.present || legible_append_lines(&out, bytes, terminal.ascii);
    if (!made)
        errno = ENOMEM;
    if (!terminal.present)
        (void)fwrite(bytes.data, 1, bytes.length, stdout);
    else if (made)
        (void)fwrite(out.data, 1, out.length, stdout);
    buffer_release(&out);
    return made;
}

static bool is_of_number(char byte)
{
    return byte != '\0' && strchr("-+.0123456789eE", byte) != NULL;
}

/* The bytes of the string or number that begins the text, or 1 for anything else. */
static size_t token_length(struct text json)
{
    size_t length = 1;
    if (*json.data == '"') {
        while (length < json.length && json.data[length] != '"')
            length += json.data[length] == '\\' ? 2 : 1;
        return length + 1;
    }
    while (is_of_number(*json.data) && length < json.length && is_of_number(json.data[length]))
        length++;
    return length;
}

/* Whether it is an integer that json-c would silently replace by the nearest that it can hold. */
static bool is_beyond_64_bits(struct text token)
{
    char text[DIGITS_MAX + 1];
    if (!is_of_number(*token.data) || token.length < DIGITS_SURE)
        return false;
    for (size_t i = 0; i < token.length; i++)
        if (strchr(".eE", token.data[i]) != NULL)
            return false;
    if (token.length > DIGITS_MAX)
        return true;
    (void)snprintf(text, sizeof text, "%.*s", (int)token.length, token.data);
    errno = 0;
    if (text[0] == '-')
        (void)strtoll(text, NULL, 10);
    else
        (void)strtoull(text, NULL, 10);
    return errno == ERANGE;
}

static bool has_beyond_64_bits(struct text json)
{
    while (json.length > 0) {
        size_t length = token_length(json);
        if (length > json.length)
            return false;
        if (is_beyond_64_bits((struct text){json.data, length}))
            return true;
        json.data += length;
        json.length -= length;
    }
    return false;
}

/* NULL if it is not JSON, as our scanner has it (json-c 0.18, when it is strict, refuses letters
 * beyond ASCII), or json-c could only read it by changing something. */
static struct json_object *parse(struct text json)
{
    struct json_object *object = NULL;
    if (scan(json.data, json.length, NULL, 0).verdict != SCAN_VALID || has_beyond_64_bits(json))
        return NULL;
    struct json_tokener *tokener = json_tokener_new_ex(SCAN_DEPTH_MAX + 2);
    if (tokener != NULL && json.length <= INT_MAX) {
        json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8);
        object = json_tokener_parse_ex(tokener, json.data, (int)json.length);
        if (json_tokener_get_error(tokener) != json_tokener_success) {
            json_object_put(object);
            object = NULL;
        }
    }
    if (tokener != NULL)
        json_tokener_free(tokener);
    return object;
}

static bool print_legibly(const char *json)
{
    struct terminal terminal = terminal_of(STDOUT_FILENO);
    struct buffer out = BUFFER_INIT;
    bool made = json != NULL && legible_append_lines(&out, text_of(json), terminal.ascii) &&
                buffer_append_string(&out, "\n");
    if (made)
        (void)fwrite(out.data, 1, out.length, stdout);
    buffer_release(&out);
    return made;
}

static int print_pretty(const char *name, struct text json)
{
    static const int form =
        JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE;
    struct json_object *object = parse(json);
    bool printed = object != NULL && print_legibly(json_object_to_json_string_ext(object, form));
    json_object_put(object);
    if (printed)
        return EX_OK;
    command_say(
        "%s: it cannot be laid out, as it is no JSON, or JSON with numbers beyond 64 bits or "
        "too large for the memory; it follows as it is",
        name);
    (void)print_bytes(json);
    (void)fputc('\n', stdout);
    return EX_DATAERR;
}

/* --- entries and rejected requests --- */

static int cannot_read(const char *name)
{
    command_say("cannot read %s: %s", name, strerror(errno));
    return EX_IOERR;
}

static int print_range(const char *name, int fd, uint64_t offset, uint64_t length, bool pretty)
{
    struct buffer bytes = BUFFER_INIT;
    int status = EX_OK;
    bool read = read_range(fd, offset, length, &bytes);
    struct text text = {bytes.data, bytes.length};
    if (read && pretty)
        status = print_pretty(name, text);
    else if (!read || !print_bytes(text))
        status = cannot_read(name);
    buffer_release(&bytes);
    return status;
}

/* Returns -1 if the entry is not there (any more). */
static int show_event(int directory, const char *name, bool data)
{
    struct entry entry;
    struct problem problem;
    switch (entry_open(directory, name, &entry, &problem)) {
    case ENTRY_GONE:
        return -1;
    case ENTRY_ODD:
        command_say("%s: %s", name, problem.reason);
        return EX_DATAERR;
    case ENTRY_FAILED:
        command_say("%s: %s", name, problem.reason);
        return EX_IOERR;
    case ENTRY_READ:
        break;
    }
    int status = data ? print_range(name, entry.fd, entry.data_offset, entry.data_length, false)
                      : print_range(name, entry.fd, 0, entry.size, true);
    entry_close(&entry);
    return status;
}

/* The body stands behind the first empty line. */
static struct text body_of(struct text file)
{
    const char *end = file.length == 0 ? NULL : memmem(file.data, file.length, "\n\n", 2);
    size_t head = end == NULL ? file.length : (size_t)(end - file.data) + 2;
    return (struct text){file.data + head, file.length - head};
}

static int show_rejection(int directory, const char *name, bool data)
{
    char why[256];
    struct stat status;
    struct buffer bytes = BUFFER_INIT;
    int fd = regular_open(directory, name, &status, why, sizeof why);
    if (fd < 0 && errno == ENOENT)
        return -1;
    if (fd < 0) {
        int result = errno == 0 ? EX_DATAERR : EX_IOERR;
        command_say("%s: %s", name, why);
        return result;
    }
    int result = EX_OK;
    struct text file = {NULL, 0};
    if (read_range(fd, 0, (uint64_t)status.st_size, &bytes))
        file = (struct text){bytes.data, bytes.length};
    else
        result = cannot_read(name);
    if (result == EX_OK && !print_bytes(data ? body_of(file) : file))
        result = cannot_read(name);
    buffer_release(&bytes);
    (void)close(fd);
    return result;
}

static int show(const struct spool *spool, const char *name, bool data)
{
    bool event = entry_is_name(name);
    for (int look = 0; names_fit(SPOOL_REJECTED, name) && look < LOOKS; look++) {
        enum spool_state state = names_find(spool, name);
        int directory = state == SPOOL_STATES ? -1 : spool->directories[state];
        int status = directory < 0 ? -1
                     : event       ? show_event(directory, name, data)
                                   : show_rejection(directory, name, data);
        if (status != -1)
            return status;
    }
    command_say("there is no entry %s in %s", name, spool->path);
    return EX_NOINPUT;
}

/* Returns -1 to go on, else the exit status. */
static int parse_arguments(int argc, char **argv, bool *data)
{
    int status = command_flag(argc, argv, help, "data", data);
    if (status != -1)
        return status;
    return argc == optind ? command_misused(help, "a NAME is needed") : -1;
}

int display_command(int argc, char **argv)
{
    struct config config;
    struct spool spool;
    bool data = false;
    int status = parse_arguments(argc, argv, &data);
    if (status != -1 || (status = command_open(&config, &spool)) != EX_OK)
        return status;
    for (int i = optind; i < argc; i++) {
        int one = show(&spool, argv[i], data);
        status = one == EX_OK ? status : one;
    }
    spool_close(&spool);
    return command_end(status);
}

/*
 * Whatever bytes a sender chooses, where they are written: in the log, in a rejection, as a JSON
 * string. They can be read back, and forge nothing.
 */
#include "fuzz.h"
#include "lexeme.h"
#include "log.h"
#include "rejection.h"
#include "scan.h"

/* Undo log_escape. Returns the length; `*cut` if the value was. */
static size_t unescape(const char *text, char *out)
{
    static const char letters[] = "\"\\nrt";
    static const char bytes[] = "\"\\\n\r\t";
    size_t length = 0;
    while (*text != '\0') {
        if (*text != '\\') {
            out[length++] = *text++;
        } else if (text[1] == 'x') {
            char hex[3] = {text[2], text[3], '\0'};
            out[length++] = (char)strtol(hex, NULL, 16);
            text += 4;
        } else {
            const char *letter = strchr(letters, text[1]);
            CHECK(letter != NULL);
            out[length++] = bytes[letter - letters];
            text += 2;
        }
    }
    return length;
}

static void check_escape(struct text value)
{
    char escaped[LOG_VALUE_MAX];
    char back[LOG_VALUE_MAX];
    size_t length = log_escape(value, escaped, sizeof escaped);
    CHECK(length == strlen(escaped) && length < sizeof escaped);
    for (size_t i = 0; i < length; i++)
        CHECK(escaped[i] >= ' ' && escaped[i] <= '~');
    size_t bytes = unescape(escaped, back);
    if (bytes != value.length || memcmp(back, value.data, bytes) != 0) {
        CHECK(length >= 3 && strcmp(escaped + length - 3, "...") == 0);
        CHECK(length > LOG_VALUE_MAX - 8 && bytes - 3 <= value.length);
        CHECK(memcmp(back, value.data, bytes - 3) == 0);
    }
}

static void check_line(struct text value)
{
    struct log_line line = LOG_LINE_INIT;
    log_text(&line, "first", value);
    log_text(&line, "second", value);
    log_number(&line, "third", (int64_t)value.length);
    CHECK(line.length < sizeof line.text);
    CHECK(memchr(line.text, '\n', line.length) == NULL);
}

static void check_string(struct text value)
{
    struct buffer json = BUFFER_INIT;
    struct buffer object = BUFFER_INIT;
    struct buffer back = BUFFER_INIT;
    struct scan_member member = {.path = "a"};
    CHECK(lexeme_encode(value, &json));
    CHECK(buffer_append_string(&object, "{\"a\":"));
    CHECK(buffer_append(&object, json.data, json.length));
    CHECK(buffer_append_string(&object, "}"));
    /* What is not UTF-8 cannot be a string; where it is one, it is the same. */
    if (scan(object.data, object.length, &member, 1).verdict == SCAN_VALID) {
        const struct text raw = {object.data + member.offset, member.length};
        CHECK(scan_decode(member.type, raw, &back));
        CHECK(back.length == value.length);
        CHECK(value.length == 0 || memcmp(back.data, value.data, value.length) == 0);
    }
    buffer_release(&json);
    buffer_release(&object);
    buffer_release(&back);
}

static void check_rejection(const uint8_t *data, size_t size)
{
    struct buffer head = BUFFER_INIT;
    char name[REJECTION_NAME_SIZE];
    char *lines[5];
    struct problem problem = {.status = 400, .reason = "a reason"};
    for (int i = 0; i < 5; i++)
        lines[i] = take_line(&data, &size);
    const struct request request = {.method_name = lines[0],
                                    .path_info = lines[1],
                                    .query_string = lines[2],
                                    .request_uri = lines[3],
                                    .content_type = lines[4]};
    const struct body body = body_of((struct text){(const char *)data, size});
    struct problem none;
    CHECK(rejection_build(&request, &body, &problem, 0, &head, name, &none));
    int newlines = 0;
    for (size_t i = 0; i < head.length; i++) {
        newlines += head.data[i] == '\n';
        CHECK(head.data[i] == '\n' || (head.data[i] >= ' ' && head.data[i] <= '~'));
    }
    int present = 0;
    for (int i = 0; i < 5; i++)
        present += lines[i] != NULL;
    CHECK(newlines == 3 + present + 1 && memcmp(head.data + head.length - 2, "\n\n", 2) == 0);
    CHECK(strlen(name) < sizeof name);
    for (int i = 0; i < 5; i++)
        free(lines[i]);
    buffer_release(&head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct text value = {(const char *)data, size};
    check_escape(value);
    check_line(value);
    check_string(value);
    check_rejection(data, size);
    return 0;
}

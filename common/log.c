#include "log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* How the byte is written: itself, or an escape. `out` has room for "\xNN". Returns its length. */
static size_t escape_byte(unsigned char byte, char out[5])
{
    static const char letters[] = "\"\\\n\r\t";
    static const char escapes[] = "\"\\nrt";
    if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\') {
        out[0] = (char)byte;
        return 1;
    }
    const char *letter = byte == '\0' ? NULL : strchr(letters, byte);
    if (letter == NULL)
        return (size_t)snprintf(out, 5, "\\x%02x", (unsigned)byte);
    return (size_t)snprintf(out, 5, "\\%c", escapes[letter - letters]);
}

size_t log_escape(struct text value, char *out, size_t size)
{
    static const char cut[] = "...";
    size_t length = 0;
    for (size_t i = 0; i < value.length; i++) {
        char one[5];
        size_t bytes = escape_byte((unsigned char)value.data[i], one);
        if (length + bytes + sizeof cut > size) {
            memcpy(out + length, cut, sizeof cut);
            return length + sizeof cut - 1;
        }
        memcpy(out + length, one, bytes);
        length += bytes;
    }
    out[length] = '\0';
    return length;
}

static bool needs_quotes(const char *escaped)
{
    return *escaped == '\0' || strpbrk(escaped, " =\"\\") != NULL;
}

static void append(struct log_line *line, const char *bytes, size_t length)
{
    memcpy(line->text + line->length, bytes, length);
    line->length += length;
}

void log_text(struct log_line *line, const char *key, struct text value)
{
    if (value.data == NULL)
        return;
    char escaped[LOG_VALUE_MAX];
    size_t length = log_escape(value, escaped, sizeof escaped);
    /* One byte stays free for the newline. */
    size_t room = sizeof line->text - 1 - line->length;
    if (strlen(key) + length + sizeof " =\"\"" > room)
        return;
    size_t quotes = needs_quotes(escaped) ? 1 : 0;
    append(line, " ", line->length == 0 ? 0 : 1);
    append(line, key, strlen(key));
    append(line, "=\"", 1 + quotes);
    append(line, escaped, length);
    append(line, "\"", quotes);
}

void log_number(struct log_line *line, const char *key, int64_t number)
{
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%lld", (long long)number);
    log_text(line, key, text_of(digits));
}

void log_write(struct log_line *line)
{
    line->text[line->length++] = '\n';
    ssize_t written = write(STDERR_FILENO, line->text, line->length);
    (void)written;
}

#include "legible.h"

#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

enum { UNICODE_MAX = 0x10ffff };

bool legible_start(void)
{
    bool utf8 = setlocale(LC_CTYPE, "") != NULL && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    /* Where there is no such locale, nothing beyond ASCII is a character, and all is escaped. */
    (void)setlocale(LC_CTYPE, "C.UTF-8");
    return utf8;
}

/* Formatting characters: they are printable by the C library's tables, and yet can make a text look
 * like another one. */
static bool is_deceptive(wchar_t character)
{
    static const struct {
        wchar_t first;
        wchar_t last;
    } ranges[] = {{0xad, 0xad},     {0x61c, 0x61c},   {0x180e, 0x180e},
                  {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},
                  {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (character >= ranges[i].first && character <= ranges[i].last)
            return true;
    return false;
}

/* The character at the front of the text: its length in bytes, at least 1; 0 in *character for what
 * is none or a NUL. (glibc still knows characters of six bytes.) */
static size_t take(struct text text, wchar_t *character)
{
    mbstate_t state = {0};
    size_t length = mbrtowc(character, text.data, text.length, &state);
    if (length > 0 && length <= text.length && *character <= UNICODE_MAX)
        return length;
    *character = 0;
    return 1;
}

/* The letter of a character's escape, or NUL. */
static char letter_of(wchar_t character)
{
    static const wchar_t characters[] = L"\\\t\n\r";
    static const char letters[] = "\\tnr";
    const wchar_t *found = character == 0 ? NULL : wcschr(characters, character);
    if (found == NULL)
        return '\0';
    return letters[found - characters];
}

static bool is_harmless(wchar_t character, bool ascii)
{
    return character != 0 && iswprint((wint_t)character) && !is_deceptive(character) &&
           !(ascii && character > 0x7e);
}

/* Write a character to `out` as it is to be shown; returns how many bytes. */
static size_t show(const char *bytes, size_t length, wchar_t character, bool ascii, char out[24])
{
    size_t written = 0;
    char letter = letter_of(character);
    if (letter != '\0')
        return (size_t)snprintf(out, 24, "\\%c", letter);
    if (is_harmless(character, ascii)) {
        memcpy(out, bytes, length);
        return length;
    }
    for (size_t i = 0; i < length; i++)
        written += (size_t)snprintf(out + written, 24 - written, "\\x%02x",
                                    (unsigned)(unsigned char)bytes[i]);
    return written;
}

static size_t width_of(wchar_t character)
{
    int width = wcwidth(character);
    return width < 0 ? 0 : (size_t)width;
}

bool legible_append(struct buffer *out, struct text value, bool ascii, size_t *columns)
{
    /* The longest: an escape for each byte. */
    if (!buffer_reserve(out, 4 * value.length + 24))
        return false;
    while (value.length > 0) {
        wchar_t character = 0;
        size_t length = take(value, &character);
        size_t written = show(value.data, length, character, ascii, out->data + out->length);
        bool same = written == length && memcmp(out->data + out->length, value.data, length) == 0;
        *columns += same ? width_of(character) : written;
        out->length += written;
        value.data += length;
        value.length -= length;
    }
    return true;
}

/* A carriage return lets what follows cover what stands before it. */
static bool is_space(wchar_t character)
{
    return character == ' ' || character == '\t' || character == '\n';
}

/* Bytes that are no character are kept out, too: a terminal may read them in another encoding. */
static size_t show_in_lines(const char *bytes, size_t length, wchar_t character, bool ascii,
                            char out[24])
{
    if (is_space(character) || is_harmless(character, ascii)) {
        memcpy(out, bytes, length);
        return length;
    }
    if (character == 0)
        return (size_t)snprintf(out, 24, "\\u%04x", (unsigned)(unsigned char)*bytes);
    if (character <= 0xffff)
        return (size_t)snprintf(out, 24, "\\u%04x", (unsigned)character);
    unsigned above = (unsigned)character - 0x10000;
    return (size_t)snprintf(out, 24, "\\u%04x\\u%04x", 0xd800 + (above >> 10),
                            0xdc00 + (above & 0x3ff));
}

bool legible_append_lines(struct buffer *out, struct text lines, bool ascii)
{
    if (!buffer_reserve(out, 6 * lines.length + 24))
        return false;
    while (lines.length > 0) {
        wchar_t character = 0;
        size_t length = take(lines, &character);
        out->length += show_in_lines(lines.data, length, character, ascii, out->data + out->length);
        lines.data += length;
        lines.length -= length;
    }
    return true;
}

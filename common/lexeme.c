#include "lexeme.h"

#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

bool cursor_invalid(struct cursor *c, const char *problem)
{
    c->problem = problem;
    return false;
}

bool cursor_more(struct cursor *c)
{
    const char *bytes;
    size_t kept = c->mark == NULL ? 0 : (size_t)(c->end - c->mark);
    if (c->source == NULL)
        return false;
    if (kept > SCAN_NAME_MAX) {
        c->mark = NULL;
        kept = 0;
    }
    size_t more = c->source->more(c->source->context, kept, &bytes);
    if (more == 0)
        return false;
    if (c->mark != NULL)
        c->mark = (const unsigned char *)bytes;
    c->at = (const unsigned char *)bytes + kept;
    c->end = c->at + more;
    c->end_offset += more;
    return true;
}

void cursor_incomplete(struct cursor *c)
{
    c->incomplete = true;
    c->problem = "the text ends before it is complete";
}

void cursor_skip_run(struct cursor *c)
{
    static const char indent[] = "        ";
    const ptrdiff_t step = sizeof indent - 1;
    while (!cursor_ended(c) &&
           (*c->at == ' ' || *c->at == '\n' || *c->at == '\r' || *c->at == '\t')) {
        c->at++;
        while (c->end - c->at >= step && memcmp(c->at, indent, (size_t)step) == 0)
            c->at += step;
    }
}

/* How many of the eight bytes, up to the first that is not, are plain: ASCII, no control character,
 * no quote, no backslash. The subtractions borrow from the byte above a special one, which then may
 * look special, too; those below it are told rightly. */
static unsigned plain_bytes(const unsigned char *bytes)
{
    const uint64_t ones = 0x0101010101010101U;
    const uint64_t highs = ones * 0x80;
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    word = le64toh(word);
    uint64_t quote = word ^ (ones * '"');
    uint64_t backslash = word ^ (ones * '\\');
    uint64_t special = (word - ones * 0x20) | (quote - ones) | (backslash - ones) | word;
    special &= highs;
    return special == 0 ? 8 : (unsigned)__builtin_ctzll(special) / 8;
}

/* To a byte that is not plain, or to the end of those that are here. */
static void skip_plain(struct cursor *c)
{
    while (c->end - c->at >= 8) {
        unsigned plain = plain_bytes(c->at);
        c->at += plain;
        if (plain < 8)
            return;
    }
    while (c->at < c->end && *c->at >= 0x20 && *c->at < 0x80 && *c->at != '"' && *c->at != '\\')
        c->at++;
}

/* RFC 3629 section 4: how many bytes follow a leading byte, and the range of the first of them. */
static unsigned utf8_follow(unsigned char lead, unsigned char *low, unsigned char *high)
{
    *low = 0x80;
    *high = 0xbf;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    if (lead < 0xe0)
        return 1;
    if (lead == 0xe0)
        *low = 0xa0;
    if (lead == 0xed)
        *high = 0x9f;
    if (lead == 0xf0)
        *low = 0x90;
    if (lead == 0xf4)
        *high = 0x8f;
    return lead < 0xf0 ? 2 : 3;
}

static bool scan_utf8(struct cursor *c)
{
    unsigned char low;
    unsigned char high;
    unsigned follow = utf8_follow(*c->at, &low, &high);
    if (follow == 0)
        return cursor_invalid(c, "a byte that is not UTF-8");
    c->at++;
    for (; follow > 0; follow--) {
        if (cursor_at_end(c))
            return false;
        if (*c->at < low || *c->at > high)
            return cursor_invalid(c, "a byte that is not UTF-8");
        c->at++;
        low = 0x80;
        high = 0xbf;
    }
    return true;
}

static int hex_value(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool scan_hex4(struct cursor *c, unsigned *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        if (cursor_at_end(c))
            return false;
        int digit = hex_value(*c->at);
        if (digit < 0)
            return cursor_invalid(c, "a \\u escape needs four hexadecimal digits");
        *unit = *unit * 16 + (unsigned)digit;
        c->at++;
    }
    return true;
}

static bool is_high_surrogate(unsigned unit)
{
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low_surrogate(unsigned unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

/* Behind "\u": four digits, and a second escape if they are half of a pair. */
static bool scan_unicode_escape(struct cursor *c)
{
    static const char lone[] = "an escaped surrogate without its other half";
    unsigned unit;
    if (!scan_hex4(c, &unit))
        return false;
    if (is_low_surrogate(unit))
        return cursor_invalid(c, lone);
    if (!is_high_surrogate(unit))
        return true;
    for (const char *expected = "\\u"; *expected != '\0'; expected++) {
        if (cursor_at_end(c))
            return false;
        if (*c->at != (unsigned char)*expected)
            return cursor_invalid(c, lone);
        c->at++;
    }
    if (!scan_hex4(c, &unit))
        return false;
    return is_low_surrogate(unit) ? true : cursor_invalid(c, lone);
}

static bool scan_escape(struct cursor *c)
{
    c->at++;
    if (cursor_at_end(c))
        return false;
    unsigned char letter = *c->at;
    if (letter == '\0' || strchr("\"\\/bfnrtu", letter) == NULL)
        return cursor_invalid(c, "an escape that JSON does not have");
    c->at++;
    return letter == 'u' ? scan_unicode_escape(c) : true;
}

/* Behind plain bytes: what may follow them inside a string, also more of them. */
static bool scan_special(struct cursor *c)
{
    if (c->at == c->end)
        return !cursor_at_end(c);
    if (*c->at < 0x20)
        return cursor_invalid(c, "a control character inside a string");
    return *c->at == '\\' ? scan_escape(c) : scan_utf8(c);
}

bool lexeme_string(struct cursor *c)
{
    c->at++;
    do
        skip_plain(c);
    while ((c->at == c->end || *c->at != '"') && scan_special(c));
    if (c->problem != NULL)
        return false;
    c->at++;
    return true;
}

static bool is_digit(unsigned char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool scan_digits(struct cursor *c)
{
    if (cursor_at_end(c))
        return false;
    if (!is_digit(*c->at))
        return cursor_invalid(c, "a number needs a digit here");
    while (!cursor_ended(c) && is_digit(*c->at))
        c->at++;
    return true;
}

/* The digits before the point. */
static bool scan_whole(struct cursor *c)
{
    if (cursor_at_end(c) || *c->at != '0')
        return scan_digits(c);
    c->at++;
    return cursor_ended(c) || !is_digit(*c->at)
               ? true
               : cursor_invalid(c, "a number may not begin with 0");
}

bool lexeme_number(struct cursor *c)
{
    if (*c->at == '-')
        c->at++;
    if (!scan_whole(c))
        return false;
    if (!cursor_ended(c) && *c->at == '.') {
        c->at++;
        if (!scan_digits(c))
            return false;
    }
    if (!cursor_ended(c) && (*c->at == 'e' || *c->at == 'E')) {
        c->at++;
        if (!cursor_ended(c) && (*c->at == '+' || *c->at == '-'))
            c->at++;
        return scan_digits(c);
    }
    return true;
}

bool lexeme_word(struct cursor *c, const char *word)
{
    for (; *word != '\0'; word++, c->at++) {
        if (cursor_at_end(c))
            return false;
        if (*c->at != (unsigned char)*word)
            return cursor_invalid(c, "a word that is not true, false or null");
    }
    return true;
}

static size_t encode_utf8(unsigned point, unsigned char out[4])
{
    if (point < 0x80) {
        out[0] = (unsigned char)point;
        return 1;
    }
    size_t length = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (unsigned char)(0x80 | (point & 0x3f));
        point >>= 6;
    }
    out[0] = (unsigned char)(lead[length] | point);
    return length;
}

static unsigned decode_hex4(const unsigned char *digits)
{
    unsigned unit = 0;
    for (int i = 0; i < 4; i++)
        unit = unit * 16 + (unsigned)hex_value(digits[i]);
    return unit;
}

size_t lexeme_decode(const unsigned char **at, unsigned char out[4])
{
    static const char letters[] = "bfnrt";
    static const char meanings[] = "\b\f\n\r\t";
    if (**at != '\\') {
        out[0] = *(*at)++;
        return 1;
    }
    unsigned char c = (*at)[1];
    *at += 2;
    if (c != 'u') {
        const char *letter = strchr(letters, c);
        out[0] = letter == NULL ? c : (unsigned char)meanings[letter - letters];
        return 1;
    }
    unsigned point = decode_hex4(*at);
    *at += 4;
    if (is_high_surrogate(point)) {
        point = 0x10000 + ((point & 0x3ff) << 10) + (decode_hex4(*at + 2) & 0x3ff);
        *at += 6;
    }
    return encode_utf8(point, out);
}

static bool stands_for_itself(unsigned char byte)
{
    return byte >= 0x20 && byte != '"' && byte != '\\';
}

/* Returns the length, 2 to 6. */
static size_t encode_byte(unsigned char byte, char out[7])
{
    static const char letters[] = "bfnrt";
    static const char meanings[] = "\b\f\n\r\t";
    const char *meaning = byte == '\0' ? NULL : strchr(meanings, byte);
    if (meaning != NULL)
        return (size_t)snprintf(out, 7, "\\%c", letters[meaning - meanings]);
    return (size_t)snprintf(out, 7, byte < 0x20 ? "\\u%04x" : "\\%c", (unsigned)byte);
}

bool lexeme_encode(struct text value, struct buffer *json)
{
    size_t done = 0;
    bool added = buffer_append(json, "\"", 1);
    for (size_t i = 0; added && i < value.length; i++) {
        char escape[7];
        unsigned char byte = (unsigned char)value.data[i];
        if (stands_for_itself(byte))
            continue;
        added = buffer_append(json, value.data + done, i - done) &&
                buffer_append(json, escape, encode_byte(byte, escape));
        done = i + 1;
    }
    return added && buffer_append(json, value.data + done, value.length - done) &&
           buffer_append(json, "\"", 1);
}

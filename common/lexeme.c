#include "lexeme.h"

#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

const unsigned char *cursor_more(struct cursor *c)
{
    const char *bytes;
    size_t kept = c->mark == NULL ? 0 : (size_t)(c->end - c->mark);
    if (c->source == NULL)
        return c->end;
    if (kept > SCAN_NAME_MAX) {
        c->mark = NULL;
        kept = 0;
    }
    size_t more = c->source->more(c->source->context, kept, &bytes);
    if (more == 0)
        return c->end;
    const unsigned char *at = (const unsigned char *)bytes + kept;
    if (c->mark != NULL)
        c->mark = at - kept;
    c->end = at + more;
    c->end_offset += more;
    return at;
}

const unsigned char *cursor_invalid(struct cursor *c, const unsigned char *at, const char *problem)
{
    c->problem = problem;
    c->problem_offset = cursor_offset(c, at);
    return NULL;
}

const unsigned char *cursor_incomplete(struct cursor *c)
{
    c->incomplete = true;
    return cursor_invalid(c, c->end, "the text ends before it is complete");
}

const unsigned char *cursor_skip_run(struct cursor *c, const unsigned char *at)
{
    static const char indent[] = "        ";
    const ptrdiff_t step = sizeof indent - 1;
    while (!cursor_ended(c, &at) && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
        while (c->end - at >= step && memcmp(at, indent, (size_t)step) == 0)
            at += step;
    }
    return at;
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

/* The first byte that is not plain, or `end`. */
static const unsigned char *skip_plain(const unsigned char *at, const unsigned char *end)
{
    while (end - at >= 8) {
        unsigned plain = plain_bytes(at);
        at += plain;
        if (plain < 8)
            return at;
    }
    while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return at;
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

static const unsigned char *scan_utf8(struct cursor *c, const unsigned char *at)
{
    static const char wrong[] = "a byte that is not UTF-8";
    unsigned char low;
    unsigned char high;
    unsigned follow = utf8_follow(*at, &low, &high);
    if (follow == 0)
        return cursor_invalid(c, at, wrong);
    at++;
    for (; follow > 0; follow--) {
        if (cursor_ended(c, &at))
            return cursor_incomplete(c);
        if (*at < low || *at > high)
            return cursor_invalid(c, at, wrong);
        at++;
        low = 0x80;
        high = 0xbf;
    }
    return at;
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

static const unsigned char *scan_hex4(struct cursor *c, const unsigned char *at, unsigned *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        if (cursor_ended(c, &at))
            return cursor_incomplete(c);
        int digit = hex_value(*at);
        if (digit < 0)
            return cursor_invalid(c, at, "a \\u escape needs four hexadecimal digits");
        *unit = *unit * 16 + (unsigned)digit;
        at++;
    }
    return at;
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
static const unsigned char *scan_unicode_escape(struct cursor *c, const unsigned char *at)
{
    static const char lone[] = "an escaped surrogate without its other half";
    unsigned unit;
    at = scan_hex4(c, at, &unit);
    if (at == NULL)
        return NULL;
    if (is_low_surrogate(unit))
        return cursor_invalid(c, at, lone);
    if (!is_high_surrogate(unit))
        return at;
    for (const char *expected = "\\u"; *expected != '\0'; expected++) {
        if (cursor_ended(c, &at))
            return cursor_incomplete(c);
        if (*at != (unsigned char)*expected)
            return cursor_invalid(c, at, lone);
        at++;
    }
    at = scan_hex4(c, at, &unit);
    return at == NULL || is_low_surrogate(unit) ? at : cursor_invalid(c, at, lone);
}

/* A backslash stands at `at`. */
static const unsigned char *scan_escape(struct cursor *c, const unsigned char *at)
{
    at++;
    if (cursor_ended(c, &at))
        return cursor_incomplete(c);
    unsigned char letter = *at;
    if (letter == '\0' || strchr("\"\\/bfnrtu", letter) == NULL)
        return cursor_invalid(c, at, "an escape that JSON does not have");
    at++;
    return letter == 'u' ? scan_unicode_escape(c, at) : at;
}

/* Behind plain bytes inside a string: anything but its end, also more of them. In line, the
 * registers that it takes would have to be saved for every string. */
__attribute__((noinline)) static const unsigned char *scan_special(struct cursor *c,
                                                                   const unsigned char *at)
{
    if (at == c->end)
        return cursor_ended(c, &at) ? cursor_incomplete(c) : at;
    if (*at < 0x20)
        return cursor_invalid(c, at, "a control character inside a string");
    return *at == '\\' ? scan_escape(c, at) : scan_utf8(c, at);
}

const unsigned char *lexeme_string_from(struct cursor *c, const unsigned char *at)
{
    while (at != NULL) {
        at = skip_plain(at, c->end);
        if (at < c->end && *at == '"')
            return at + 1;
        at = scan_special(c, at);
    }
    return NULL;
}

static bool is_digit(unsigned char byte)
{
    return byte >= '0' && byte <= '9';
}

static const unsigned char *scan_digits(struct cursor *c, const unsigned char *at)
{
    if (cursor_ended(c, &at))
        return cursor_incomplete(c);
    if (!is_digit(*at))
        return cursor_invalid(c, at, "a number needs a digit here");
    while (!cursor_ended(c, &at) && is_digit(*at))
        at++;
    return at;
}

/* The digits before the point. */
static const unsigned char *scan_whole(struct cursor *c, const unsigned char *at)
{
    if (cursor_ended(c, &at) || *at != '0')
        return scan_digits(c, at);
    at++;
    return cursor_ended(c, &at) || !is_digit(*at)
               ? at
               : cursor_invalid(c, at, "a number may not begin with 0");
}

const unsigned char *lexeme_number(struct cursor *c, const unsigned char *at)
{
    at = scan_whole(c, *at == '-' ? at + 1 : at);
    if (at != NULL && !cursor_ended(c, &at) && *at == '.')
        at = scan_digits(c, at + 1);
    if (at != NULL && !cursor_ended(c, &at) && (*at == 'e' || *at == 'E')) {
        at++;
        if (!cursor_ended(c, &at) && (*at == '+' || *at == '-'))
            at++;
        at = scan_digits(c, at);
    }
    return at;
}

const unsigned char *lexeme_word(struct cursor *c, const unsigned char *at, const char *word)
{
    for (; *word != '\0'; word++, at++) {
        if (cursor_ended(c, &at))
            return cursor_incomplete(c);
        if (*at != (unsigned char)*word)
            return cursor_invalid(c, at, "a word that is not true, false or null");
    }
    return at;
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

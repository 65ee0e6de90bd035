/*
 * lexeme: the strings, numbers and words of a JSON text (RFC 8259 sections 3, 6 and 7), checked
 * in place. A part of the scanner: scan.h says what is accepted.
 *
 * What reads takes the position where it begins and returns the one behind what it read; or NULL
 * with the problem noted in the cursor, and where: at the byte that is wrong, or at the end if one
 * is missing. A position that went through memory with each byte would take half of the scanner's
 * time; so it is handed on in registers.
 */
#ifndef COMMON_LEXEME_H
#define COMMON_LEXEME_H

#include "buffer.h"
#include "scan.h"

#include <stdbool.h>
#include <stddef.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

struct cursor {
    const unsigned char *end;         /* of the bytes that are here */
    size_t end_offset;                /* where that is in the text */
    const struct scan_source *source; /* of further bytes; NULL: there are none */
    const unsigned char *mark;        /* from here on bytes stay when more come; NULL: none need */
    const char *problem;              /* NULL while nothing is wrong; a constant */
    size_t problem_offset;            /* where in the text */
    bool incomplete;                  /* the problem is that the text ends there */
};

/* Get more bytes, at the end of those that are here, and return where they begin. If more than
 * SCAN_NAME_MAX bytes are marked, the mark is given up. Returns the end if the text ends here. */
const unsigned char *cursor_more(struct cursor *c);

/* Note that the byte at `at` is wrong. Returns NULL, for the caller to return. */
const unsigned char *cursor_invalid(struct cursor *c, const unsigned char *at, const char *problem);

/* Note that the text ends too early. Returns NULL. */
const unsigned char *cursor_incomplete(struct cursor *c);

/* Move over a run of white space, none included. */
const unsigned char *cursor_skip_run(struct cursor *c, const unsigned char *at);

/* Where a position is in the text. */
static inline size_t cursor_offset(const struct cursor *c, const unsigned char *at)
{
    return c->end_offset - (size_t)(c->end - at);
}

/* Whether the text ends here; if only the bytes that are here do, the position moves to more. */
static inline bool cursor_ended(struct cursor *c, const unsigned char **at)
{
    if (*at == c->end)
        *at = cursor_more(c);
    return *at == c->end;
}

/* Move over white space, if any. */
static inline const unsigned char *cursor_skip_space(struct cursor *c, const unsigned char *at)
{
    return at == c->end || *at <= ' ' ? cursor_skip_run(c, at) : at;
}

/* The rest of a string, of which the byte at `at` is the next. */
const unsigned char *lexeme_string_from(struct cursor *c, const unsigned char *at);

/* A string; its opening quote stands at `at`. Nine of ten in an order end within sixteen bytes and
 * hold nothing but ASCII; these are found without a call. */
static inline const unsigned char *lexeme_string(struct cursor *c, const unsigned char *at)
{
    at++;
#ifdef __SSE2__
    if (c->end - at >= 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        const __m128i quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
        /* As signed numbers, bytes above ASCII are less than 0x20, too. */
        const __m128i others = _mm_or_si128(_mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)),
                                            _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
        const unsigned quote = (unsigned)_mm_movemask_epi8(quotes);
        const unsigned other = (unsigned)_mm_movemask_epi8(others);
        const unsigned up_to_quote = quote ^ (quote - 1);
        if (quote != 0 && (other & up_to_quote) == 0)
            return at + __builtin_ctz(quote) + 1;
    }
#endif
    return lexeme_string_from(c, at);
}

/* A number; its sign or first digit stands at `at`. */
const unsigned char *lexeme_number(struct cursor *c, const unsigned char *at);

/* The given word (true, false or null) and no other. */
const unsigned char *lexeme_word(struct cursor *c, const unsigned char *at, const char *word);

/* Decode the character at *at, which must stand in a string that lexeme_string accepted, and
 * move behind it. `out` gets UTF-8: the whole character if it was escaped, one byte of it if not.
 * Returns how many bytes, 1 to 4. */
size_t lexeme_decode(const unsigned char **at, unsigned char out[4]);

/*
 * The reverse: append `value`, UTF-8 that may hold any character, NUL too, as a string with its
 * quotes. Returns false when memory runs out. (json-c's writer cannot be used for what a sender
 * chooses: when memory runs out, it goes on with a part of the text and says nothing.)
 */
bool lexeme_encode(struct text value, struct buffer *json);

#endif

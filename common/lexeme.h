/*
 * lexeme: the strings, numbers and words of a JSON text (RFC 8259 sections 3, 6 and 7), checked
 * in place. A part of the scanner: scan.h says what is accepted.
 *
 * Each function but cursor_skip_space and lexeme_decode returns true with the cursor behind what
 * it read, or false with the cursor at the byte that is wrong, or at the end if one is missing.
 */
#ifndef COMMON_LEXEME_H
#define COMMON_LEXEME_H

#include "buffer.h"
#include "scan.h"

#include <stdbool.h>
#include <stddef.h>

struct cursor {
    const unsigned char *at;
    const unsigned char *end;         /* of the bytes that are here */
    size_t end_offset;                /* where that is in the text */
    const struct scan_source *source; /* of further bytes; NULL: there are none */
    const unsigned char *mark;        /* from here on bytes stay when more come; NULL: none need */
    bool incomplete;                  /* the text ended where more was needed */
    const char *problem;              /* NULL while nothing is wrong; a constant */
};

/* Get more bytes, for a cursor that stands at the end of those that are here. If more than
 * SCAN_NAME_MAX of them are marked, the mark is given up. Returns false if the text ends here. */
bool cursor_more(struct cursor *c);

/* Note that the byte at the cursor is wrong. Returns false, for the caller to return. */
bool cursor_invalid(struct cursor *c, const char *problem);

/* Note that the text ends too early. */
void cursor_incomplete(struct cursor *c);

/* Move over a run of white space, none included. */
void cursor_skip_run(struct cursor *c);

/* Where the cursor stands in the text. */
static inline size_t cursor_offset(const struct cursor *c)
{
    return c->end_offset - (size_t)(c->end - c->at);
}

/* Whether the text ends here. (This and the next two stand between all tokens: called instead of
 * inlined, they take a quarter of the scanner's time.) */
static inline bool cursor_ended(struct cursor *c)
{
    return c->at == c->end && !cursor_more(c);
}

/* The same where a byte more is needed: its end is noted. */
static inline bool cursor_at_end(struct cursor *c)
{
    if (!cursor_ended(c))
        return false;
    cursor_incomplete(c);
    return true;
}

/* Move over white space, if any. */
static inline void cursor_skip_space(struct cursor *c)
{
    if (c->at == c->end || *c->at <= ' ')
        cursor_skip_run(c);
}

/* A string; the cursor stands at its opening quote. */
bool lexeme_string(struct cursor *c);

/* A number; the cursor stands at its sign or first digit. */
bool lexeme_number(struct cursor *c);

/* The given word (true, false or null) and no other. */
bool lexeme_word(struct cursor *c, const char *word);

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

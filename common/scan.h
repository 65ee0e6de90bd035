/*
 * scan: a strict RFC 8259 reader over bytes, which may still be arriving. It says whether they are
 * one JSON text and, if not, what is wrong and at which byte; and it finds a few named members on
 * the way. It copies nothing, allocates nothing, does not recurse, and reads every byte once.
 *
 * Calling sequence: fill an array of struct scan_member with paths, call scan() or scan_from(),
 * look at the verdict, then at the members' types; scan_decode() gives the value of a string.
 *
 * Strict means: UTF-8 only (RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF),
 * no byte order mark, no control character inside a string, escaped surrogates only in pairs,
 * numbers as the grammar has them, nothing but white space behind the text, at most
 * SCAN_DEPTH_MAX levels of nesting. Numbers are never converted, so none is too large.
 */
#ifndef COMMON_SCAN_H
#define COMMON_SCAN_H

#include "buffer.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    SCAN_DEPTH_MAX = 512,  /* levels of arrays and objects */
    SCAN_PATH_MAX = 3,     /* names in a path */
    SCAN_MEMBERS_MAX = 64, /* members in one call */
    SCAN_NAME_MAX = 1024,  /* bytes of a member's name, with its opening quote, to be found in a
                              text that is still arriving */
};

enum scan_verdict {
    SCAN_VALID,
    SCAN_INVALID,    /* no continuation could make it valid */
    SCAN_INCOMPLETE, /* valid as far as it goes, but it ends too early */
};

enum scan_type {
    SCAN_ABSENT,
    SCAN_NULL,
    SCAN_BOOLEAN,
    SCAN_NUMBER,
    SCAN_STRING,
    SCAN_ARRAY,
    SCAN_OBJECT,
};

struct scan_member {
    /* In: member names from the top-level object down, joined by dots: "orderEvent.meta". Names
     * that contain a dot cannot be asked for. Compared with the names in the text after their
     * escapes are decoded. NULL is never found. */
    const char *path;
    /* Out: the last member of that path, as most JSON readers see it when names are repeated;
     * a repeated parent hides all that was found below the earlier one. */
    enum scan_type type;
    /* Out: where the value stands in the text (a string with its quotes). Of an array or an object,
     * only the opening bracket. */
    size_t offset;
    size_t length;
};

/* A text that is still arriving. */
struct scan_source {
    /* Make more bytes of the text available. Returns how many; they stand at *bytes, behind the
     * last `keep` (at most SCAN_NAME_MAX) of those given before; where the others were may hold
     * anything now. Returns 0 where the text ends, again and again. */
    size_t (*more)(void *context, size_t keep, const char **bytes);
    void *context;
};

struct scan_result {
    enum scan_verdict verdict;
    enum scan_type top;  /* of the text as a whole; SCAN_ABSENT if there is no value */
    size_t offset;       /* not valid: of the byte that is wrong or missing, from 0 */
    const char *problem; /* not valid: what is wrong there, in words; a constant */
};

/*
 * Scan `length` bytes at `json`. `members` (`count` of them, at most SCAN_MEMBERS_MAX, paths at
 * most SCAN_PATH_MAX names long) are filled; their values count only if the verdict is
 * SCAN_VALID.
 */
struct scan_result scan(const char *json, size_t length, struct scan_member *members, size_t count);

/* Scan what comes from `source`, likewise: to the end, unless it is invalid. */
struct scan_result scan_from(const struct scan_source *source, struct scan_member *members,
                             size_t count);

/*
 * Append the value of a member of a valid text, whose bytes there are `raw`: a string decoded to
 * UTF-8, without quotes (it may hold NULs), or a number as it is written. Returns false when memory
 * runs out. Any other type appends nothing and returns true.
 */
bool scan_decode(enum scan_type type, struct text raw, struct buffer *value);

#endif

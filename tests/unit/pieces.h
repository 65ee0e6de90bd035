/*
 * A text that arrives in pieces, for scan_from: each time in memory of exactly the size of what
 * stays and what comes, the memory before being freed. So the sanitizer sees every look at anything
 * else.
 *
 * Calling sequence: pieces_scan, as often as there are ways to cut the text.
 */
#ifndef TESTS_UNIT_PIECES_H
#define TESTS_UNIT_PIECES_H

#include "scan.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct pieces {
    struct text text;
    size_t given;
    const unsigned char *sizes; /* of the pieces, from the first on, again and again */
    size_t count;               /* of sizes */
    size_t split;               /* instead, where there are none: of the first of two pieces */
    size_t number;              /* of pieces given */
    char *memory;
};

static inline size_t pieces_next(const struct pieces *pieces)
{
    const size_t left = pieces->text.length - pieces->given;
    size_t size = left;
    if (pieces->count > 0)
        size = 1U + pieces->sizes[pieces->number % pieces->count];
    else if (pieces->number == 0 && pieces->split > 0)
        size = pieces->split;
    return size < left ? size : left;
}

/* Who wants to keep what he may not, or cannot have seen, is wrong beyond any doubt. */
static inline size_t pieces_more(void *context, size_t keep, const char **bytes)
{
    struct pieces *pieces = context;
    const size_t size = pieces_next(pieces);
    if (keep > SCAN_NAME_MAX || keep > pieces->given)
        abort();
    if (size == 0)
        return 0;
    char *memory = malloc(keep + size);
    if (memory == NULL)
        abort();
    memcpy(memory, pieces->text.data + pieces->given - keep, keep + size);
    free(pieces->memory);
    pieces->memory = memory;
    pieces->given += size;
    pieces->number++;
    *bytes = memory;
    return size;
}

/* Scan the text in pieces of the given sizes (each 1 more than the byte), or if there are none, in
 * two, of which the first has `split` bytes. */
static inline struct scan_result pieces_scan(struct text text, const unsigned char *sizes,
                                             size_t count, size_t split,
                                             struct scan_member *members, size_t member_count)
{
    struct pieces pieces = {.text = text, .sizes = sizes, .count = count, .split = split};
    const struct scan_source source = {pieces_more, &pieces};
    struct scan_result result = scan_from(&source, members, member_count);
    free(pieces.memory);
    return result;
}

/* Whether two scans of one text, for the same members, found the same. */
static inline bool pieces_agree(const struct scan_result *one, const struct scan_member *members,
                                const struct scan_result *other,
                                const struct scan_member *other_members, size_t count)
{
    if (one->verdict != other->verdict || one->top != other->top || one->offset != other->offset ||
        (one->problem == NULL) != (other->problem == NULL) ||
        (one->problem != NULL && strcmp(one->problem, other->problem) != 0))
        return false;
    for (size_t i = 0; i < count; i++)
        if (members[i].type != other_members[i].type ||
            (members[i].type != SCAN_ABSENT && (members[i].offset != other_members[i].offset ||
                                                members[i].length != other_members[i].length)))
            return false;
    return true;
}

#endif

/*
 * What the fuzzing harnesses share. Each is a libFuzzer target (LLVMFuzzerTestOneInput) of one
 * module; what must hold is CHECKed, and everything runs under ASan and UBSan.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "../unit/body_of.h"
#include "../unit/pieces.h"
#include "buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Scan a text once more, in pieces whose sizes come from the text itself: the same must be
 * found. */
static inline void check_in_pieces(struct text text, const struct scan_result *whole,
                                   const struct scan_member *members, size_t count)
{
    enum { SIZES = 8 };
    unsigned char sizes[SIZES] = {0};
    struct scan_member found[SCAN_MEMBERS_MAX];
    CHECK(count <= SCAN_MEMBERS_MAX);
    for (size_t i = 0; i < text.length; i++)
        sizes[i % SIZES] =
            (unsigned char)(sizes[i % SIZES] * 31 + (unsigned char)text.data[i]) % 24;
    for (size_t i = 0; i < count; i++)
        found[i].path = members[i].path;
    struct scan_result result = pieces_scan(text, sizes, SIZES, 0, found, count);
    CHECK(pieces_agree(whole, members, &result, found, count));
    result = pieces_scan(text, NULL, 0, sizes[0] * text.length / 24, found, count);
    CHECK(pieces_agree(whole, members, &result, found, count));
}

/* What another parser says of a JSON text. */
enum opinion {
    ACCEPTED,
    REFUSED,
    NO_OPINION, /* beyond a limit of that parser, not of JSON */
};

/* RapidJSON 1.1: iterative, validating the encoding, keeping numbers as they are written. */
enum opinion rapidjson_opinion(const char *json, size_t length);

/* Take the bytes up to the next newline off the front, as a string of its own; the caller frees it.
 * NULL when there are none left. */
static inline char *take_line(const uint8_t **data, size_t *size)
{
    if (*size == 0)
        return NULL;
    const uint8_t *newline = memchr(*data, '\n', *size);
    size_t length = newline == NULL ? *size : (size_t)(newline - *data);
    char *line = strndup((const char *)*data, length);
    CHECK(line != NULL);
    *data += length;
    *size -= length;
    if (newline != NULL) {
        ++*data;
        --*size;
    }
    return line;
}

#endif

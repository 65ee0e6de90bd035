/*
 * What the fuzzing harnesses share. Each is a libFuzzer target (LLVMFuzzerTestOneInput) of one
 * module; what must hold is CHECKed, and everything runs under ASan and UBSan.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

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

/*
 * buffer: bytes that grow.
 *
 * Calling sequence: start with BUFFER_INIT, append, read `data` and `length`, buffer_release.
 * The bytes may hold NULs; nothing is NUL-terminated unless the caller appends one.
 *
 * text: bytes that somebody else owns, with a length because they may hold NULs.
 */
#ifndef COMMON_BUFFER_H
#define COMMON_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct buffer {
    char *data; /* NULL until the first byte */
    size_t length;
    size_t capacity;
};

#define BUFFER_INIT                                                                                \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

struct text {
    const char *data; /* NULL: absent */
    size_t length;
};

/*
 * Make room for `more` bytes behind the present ones, so that a caller can read() into
 * data + length. Room at least doubles, so that appending stays linear; memory that was never
 * written costs nothing. Returns false, with the buffer as it was, when there is no memory.
 */
bool buffer_reserve(struct buffer *buffer, size_t more);

/* Append `length` bytes. Returns false, with the buffer as it was, when there is no memory. */
bool buffer_append(struct buffer *buffer, const void *bytes, size_t length);

/* Append a string without its NUL. As buffer_append. */
bool buffer_append_string(struct buffer *buffer, const char *string);

/* Free the bytes. The buffer is empty and can be used again. */
void buffer_release(struct buffer *buffer);

/* A string as a text; NULL gives an absent one. The text lives as long as the string. */
struct text text_of(const char *string);

#endif

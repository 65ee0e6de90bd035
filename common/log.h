/*
 * log: one logfmt line (key=value key="a value") on standard error for each request.
 *
 * Calling sequence: start with LOG_LINE_INIT, add keys in the order to be read, log_write.
 * A line lives on the stack and needs no memory, so that running out of it can be logged. What
 * does not fit into a line is left out.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "buffer.h"

#include <stdint.h>

enum {
    LOG_LINE_SIZE = 4096, /* PIPE_BUF: a line that fits is written in one piece */
    LOG_VALUE_MAX = 1024, /* bytes of a value with its escapes, "..." and NUL, if it is cut */
};

struct log_line {
    char text[LOG_LINE_SIZE];
    size_t length;
};

#define LOG_LINE_INIT                                                                              \
    {                                                                                              \
        {0}, 0                                                                                     \
    }

/*
 * Add `key=value`. The value is quoted where logfmt wants it; quotes, backslashes, control
 * characters and all bytes beyond ASCII are escaped (\", \\, \n, \xNN), so that nothing a sender
 * writes can forge a line or move an operator's cursor. A long value is cut and ends in "...".
 * An absent text adds nothing.
 */
void log_text(struct log_line *line, const char *key, struct text value);

/* Add `key=number`. */
void log_number(struct log_line *line, const char *key, int64_t number);

/* Write the line to standard error. That it cannot be written is nobody's to know. */
void log_write(struct log_line *line);

/* Write a text escaped as log_text does it, without quotes around it, to `out` of `size` bytes, at
 * least 8; NUL-terminated, cut like a value. Returns its length. */
size_t log_escape(struct text value, char *out, size_t size);

#endif

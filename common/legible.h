/*
 * legible: text of whatever origin, made fit for a terminal and for one cell of a table.
 *
 * File names and the contents of entries come from others. A terminal obeys control characters,
 * some of them hidden in what another character set would call letters, so none is ever written as
 * it is.
 */
#ifndef COMMON_LEGIBLE_H
#define COMMON_LEGIBLE_H

#include "buffer.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * To be called before anything else here. Reads how the terminal encodes characters from the
 * environment (LC_ALL, LC_CTYPE, LANG); the program itself then reads UTF-8. Returns whether the
 * terminal does so, too.
 */
bool legible_start(void);

/*
 * Append `value` with a backslash as \\, a tab, newline and carriage return as \t, \n, \r, and each
 * byte of what is no printable character of UTF-8 as \xNN: control characters, what turns the
 * direction of writing, what has no width and is no accent, broken encoding; and of everything
 * beyond ASCII if `ascii`. Adds the columns that it takes on a terminal to *columns. Returns false,
 * with the buffer as it was, when memory runs out.
 */
bool legible_append(struct buffer *out, struct text value, bool ascii, size_t *columns);

/*
 * Append a text of several lines, JSON above all, as it is, but for what legible_append would
 * escape: that is written as \uNNNN, which is the same to JSON where it stands in a string.
 * Backslashes, tabs and newlines stay. Returns false when memory runs out.
 */
bool legible_append_lines(struct buffer *out, struct text lines, bool ascii);

#endif

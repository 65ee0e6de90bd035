/*
 * table: rows for people and for programs. On a terminal, columns are aligned below headings, and
 * cells may have colours; elsewhere a row is a line of cells between tabs, without headings.
 *
 * Calling sequence: table_init; table_row for each row; table_end.
 *
 * Cells may hold anything; they are made legible (legible.h), so that they hold neither a tab nor a
 * newline. On a terminal, rows are held back a screen or so at a time, to find how wide the columns
 * must be; memory does not grow with the number of rows.
 */
#ifndef COMMON_TABLE_H
#define COMMON_TABLE_H

#include "buffer.h"
#include "terminal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum {
    TABLE_COLUMNS_MAX = 8,
    TABLE_ROWS_HELD = 100,
};

enum hue { HUE_PLAIN, HUE_FAINT, HUE_GOOD, HUE_DOUBTFUL, HUE_BAD };

struct column {
    const char *heading;
    bool right; /* its cells are aligned to the right, as numbers are */
};

struct cell {
    struct text text; /* absent: empty */
    enum hue hue;
};

struct table {
    FILE *stream;
    struct terminal terminal;
    const struct column *columns; /* the caller's */
    size_t count;
    size_t widths[TABLE_COLUMNS_MAX];
    size_t rows; /* held back */
    bool headed; /* the headings are printed */
    struct buffer held;
    struct held {
        size_t offset;
        size_t length;
        size_t width;
        enum hue hue;
    } cells[TABLE_ROWS_HELD][TABLE_COLUMNS_MAX];
};

/* Get ready to print to `stream`, whose descriptor tells the form. At most TABLE_COLUMNS_MAX
 * columns. */
void table_init(struct table *table, FILE *stream, const struct column *columns, size_t count);

/* Add a row of as many cells as there are columns. Returns false if memory runs out; that a stream
 * could not be written is seen at the stream (ferror). */
bool table_row(struct table *table, const struct cell *cells);

/* Print the rows that are held back. */
void table_flush(struct table *table);

/* Print what is held back and free it. */
void table_end(struct table *table);

#endif

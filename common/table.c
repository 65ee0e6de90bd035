#include "table.h"

#include "legible.h"

#include <string.h>

static const char *const colours[] = {
    [HUE_PLAIN] = "",        [HUE_FAINT] = "\033[2m",
    [HUE_GOOD] = "\033[32m", [HUE_DOUBTFUL] = "\033[33m",
    [HUE_BAD] = "\033[31m",
};

void table_init(struct table *table, FILE *stream, const struct column *columns, size_t count)
{
    memset(table, 0, sizeof *table);
    table->stream = stream;
    table->terminal = terminal_of(fileno(stream));
    table->columns = columns;
    table->count = count;
    for (size_t i = 0; i < count; i++)
        table->widths[i] = strlen(columns[i].heading);
}

static void pad(struct table *table, size_t width)
{
    (void)fprintf(table->stream, "%*s", (int)width, "");
}

/* Nothing is padded at the end of a line. */
static void print_cell(struct table *table, size_t column, struct text text, size_t width,
                       enum hue hue)
{
    size_t missing = table->widths[column] - width;
    bool coloured = table->terminal.colour && hue != HUE_PLAIN && text.length > 0;
    if (table->columns[column].right)
        pad(table, missing);
    if (coloured)
        (void)fputs(colours[hue], table->stream);
    (void)fwrite(text.data, 1, text.length, table->stream);
    if (coloured)
        (void)fputs("\033[0m", table->stream);
    bool last = column + 1 == table->count;
    if (!table->columns[column].right && !last)
        pad(table, missing);
    (void)fputs(last ? "\n" : "  ", table->stream);
}

static void print_headings(struct table *table)
{
    table->headed = true;
    for (size_t i = 0; i < table->count; i++) {
        struct text heading = text_of(table->columns[i].heading);
        print_cell(table, i, heading, heading.length, HUE_FAINT);
    }
}

static void print_held_row(struct table *table, const struct held *cells)
{
    for (size_t i = 0; i < table->count; i++)
        print_cell(table, i, (struct text){table->held.data + cells[i].offset, cells[i].length},
                   cells[i].width, cells[i].hue);
}

void table_flush(struct table *table)
{
    if (table->rows > 0 && !table->headed)
        print_headings(table);
    for (size_t i = 0; i < table->rows; i++)
        print_held_row(table, table->cells[i]);
    table->rows = 0;
    table->held.length = 0;
}

/* Hold a row back. */
static bool hold(struct table *table, const struct cell *cells)
{
    for (size_t i = 0; i < table->count; i++) {
        struct held *cell = &table->cells[table->rows][i];
        *cell = (struct held){.offset = table->held.length, .hue = cells[i].hue};
        if (!legible_append(&table->held, cells[i].text, table->terminal.ascii, &cell->width))
            return false;
        cell->length = table->held.length - cell->offset;
        if (cell->width > table->widths[i])
            table->widths[i] = cell->width;
    }
    table->rows++;
    return true;
}

static bool print_plain(struct table *table, const struct cell *cells)
{
    size_t width = 0;
    table->held.length = 0;
    for (size_t i = 0; i < table->count; i++)
        if (!legible_append(&table->held, cells[i].text, false, &width) ||
            !buffer_append_string(&table->held, i + 1 < table->count ? "\t" : "\n"))
            return false;
    (void)fwrite(table->held.data, 1, table->held.length, table->stream);
    return true;
}

bool table_row(struct table *table, const struct cell *cells)
{
    if (!table->terminal.present)
        return print_plain(table, cells);
    bool held = hold(table, cells);
    if (table->rows == TABLE_ROWS_HELD)
        table_flush(table);
    return held;
}

void table_end(struct table *table)
{
    table_flush(table);
    buffer_release(&table->held);
}

/*
 * summary: what there is to say of an entry in one line, for `list` and `follow`.
 *
 * Calling sequence: summary_read; summary_cells or summary_print; summary_release.
 */
#ifndef COMMON_SUMMARY_H
#define COMMON_SUMMARY_H

#include "entry.h"
#include "spool.h"
#include "table.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { SUMMARY_NOTE_SIZE = 512 };

struct summary {
    const char *name; /* the caller's */
    enum spool_state state;
    enum entry_verdict verdict;
    int64_t arrived; /* when the file was written; see timestamp.h */
    uint64_t bytes;
    unsigned attempts;            /* that were made */
    char note[SUMMARY_NOTE_SIZE]; /* what is odd with it, the last error, or why it was rejected */
    struct entry entry;           /* its attributes, if it was read and is one */
    char arrived_text[TIMESTAMP_RFC3339_SIZE]; /* these are for summary_cells */
    char age_text[24];
    char bytes_text[24];
    char attempts_text[12];
};

/* In the order of summary_cells. */
enum { SUMMARY_COLUMNS = 7 };
extern const struct column summary_columns[SUMMARY_COLUMNS];

/*
 * Read the head of the entry, or of the file in rejected/, `name` in `state`, and what is
 * remembered in the directory `attempts` (a descriptor; -1: there is none). The verdict is that of
 * entry_open: ENTRY_ODD has a note, and may lack all but the name; after ENTRY_GONE and
 * ENTRY_FAILED there is nothing to show, and the note says why. To be released in any case.
 */
enum entry_verdict summary_read(struct summary *summary, const struct spool *spool, int attempts,
                                enum spool_state state, const char *name);

/* The cells of a table's row. On a terminal, the second is the age as of `now`, and types lack
 * what they all begin with. They live as long as the summary. */
void summary_cells(struct summary *summary, bool terminal, int64_t now,
                   struct cell cells[SUMMARY_COLUMNS]);

/* Print it as a line of JSON. Returns false if memory runs out. */
bool summary_print(const struct summary *summary, FILE *stream, bool ascii);

/* Let go of it. */
void summary_release(struct summary *summary);

#endif

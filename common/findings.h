/*
 * findings: what `tradecloud-spool check` has found, printed as it is found.
 */
#ifndef COMMON_FINDINGS_H
#define COMMON_FINDINGS_H

#include "table.h"

#include <stdbool.h>
#include <stdint.h>

enum finding {
    FINDING_PROBLEM, /* somebody must do something */
    FINDING_NOTE,    /* it was mended, or is only to be known */
};

struct findings {
    bool json;
    bool no_memory; /* not all could be printed */
    uint64_t problems;
    struct table table;
};

/* Begin, with one line of JSON for each finding, or a table. */
void findings_init(struct findings *findings, bool json);

/* Add what was found at `directory` (a path within the spool; NULL: the spool itself) and `name` in
 * it (NULL: the directory itself), in words. */
__attribute__((format(printf, 5, 6))) void findings_add(struct findings *findings,
                                                        enum finding finding, const char *directory,
                                                        const char *name, const char *format, ...);

/* Print what is held back. */
void findings_end(struct findings *findings);

#endif

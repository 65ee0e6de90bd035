/*
 * bulletin: a census (census.h) in each of the forms that somebody reads it in.
 *
 * All print to standard output; that it could not be written is seen there (ferror).
 */
#ifndef COMMON_BULLETIN_H
#define COMMON_BULLETIN_H

#include "census.h"

#include <stdbool.h>
#include <stdint.h>

/* A table. Returns false if memory runs out. */
bool bulletin_table(const struct census *census);

/* A JSON object in one line. Returns false if memory runs out. */
bool bulletin_json(const struct census *census, const char *spool);

/* Metrics in Prometheus' text format, for the textfile collector of its node exporter. */
void bulletin_prometheus(const struct census *census, const char *spool);

/* What a monitoring plugin is to find fault with: more than `warning` or `critical`; INT64_MAX:
 * never. */
struct bulletin_limits {
    bool set;
    int64_t warning;
    int64_t critical;
};

/* The exit status of a monitoring plugin. */
enum { BULLETIN_OK, BULLETIN_WARNING, BULLETIN_CRITICAL, BULLETIN_UNKNOWN };

/* The one line of a monitoring plugin: the age (milliseconds) of the oldest entry that waits, and
 * the number of those that failed, judged by limits; a disk that is full is critical. Returns the
 * plugin's exit status. */
int bulletin_plugin(const struct census *census, const struct bulletin_limits *age,
                    const struct bulletin_limits *failed);

/* The line, and exit status, of a plugin that cannot say. */
int bulletin_unknown(const char *reason);

#endif

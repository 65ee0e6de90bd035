/*
 * timestamp: points in time, as milliseconds since 1970-01-01T00:00:00Z.
 */
#ifndef COMMON_TIMESTAMP_H
#define COMMON_TIMESTAMP_H

#include "buffer.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum {
    TIMESTAMP_NAME_SIZE = sizeof "20250423T100153.812Z",
    TIMESTAMP_RFC3339_SIZE = sizeof "2025-04-23T10:01:53.812Z",
};

/*
 * Read a time as Tradecloud has been seen to write it: RFC 3339, or RFC 3339 without a zone, which
 * is taken for UTC; any number of decimals, of which three count; a zone may lack its colon. The
 * year is 0001 to 9999, before and after the zone is applied. Returns false for anything else.
 */
bool timestamp_parse(struct text text, int64_t *milliseconds);

/* What system calls give, rounded down; and, as anybody can set a file's time, not before the year
 * 1 nor after 9999. */
int64_t timestamp_of(struct timespec time);

/* The clock, now. */
int64_t timestamp_now(void);

/* Milliseconds of a clock that never jumps, for deadlines. Not comparable with any of the above. */
int64_t timestamp_monotonic(void);

/* "20250423T100153.812Z": for a file name. The time must come from
 * timestamp_parse or timestamp_now. */
void timestamp_name(int64_t milliseconds, char name[TIMESTAMP_NAME_SIZE]);

/* Read back what timestamp_name wrote; returns false for anything else. */
bool timestamp_parse_name(struct text name, int64_t *milliseconds);

/* "2025-04-23T10:01:53.812Z": for CloudEvents (RFC 3339). The time as for timestamp_name. */
void timestamp_rfc3339(int64_t milliseconds, char text[TIMESTAMP_RFC3339_SIZE]);

#endif

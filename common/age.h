/*
 * age: lengths of time as operators write and read them: "90s", "15m", "12h", "30d", "4w".
 */
#ifndef COMMON_AGE_H
#define COMMON_AGE_H

#include <stdbool.h>
#include <stdint.h>

enum { AGE_SIZE = 24 };

/*
 * Read digits and one unit: s, m, h, d (of 24 hours) or w. At most 36500 days. Returns false for
 * anything else: a number without a unit, too, as whoever wrote it may have had another one in
 * mind.
 */
bool age_parse(const char *text, int64_t *milliseconds);

/*
 * Write a length of time, rounded down, in the largest unit of s, m, h, d of which there are at
 * least two: "119s", "2m", "47h", "2d". What is below zero, as clocks of several hosts may have it,
 * is "0s".
 */
void age_format(int64_t milliseconds, char text[AGE_SIZE]);

#endif

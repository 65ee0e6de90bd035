/*
 * problem: why a request cannot be met. Functions that can fail take one, fill it and return
 * false; the caller passes it up to where it is answered and logged.
 */
#ifndef COMMON_PROBLEM_H
#define COMMON_PROBLEM_H

#include <stdbool.h>

enum { PROBLEM_REASON_SIZE = 512 };

struct problem {
    int status;                       /* the HTTP status to answer; 0: no problem */
    char reason[PROBLEM_REASON_SIZE]; /* for the log: what, why, and what to do about it */
};

/* Fill the problem in, as printf does; a longer reason is cut. Returns false, for the caller to
 * return. Nothing secret belongs into a reason. */
__attribute__((format(printf, 3, 4))) bool problem_set(struct problem *problem, int status,
                                                       const char *format, ...);

/* The problem that memory has run out: 503. Returns false. */
bool problem_memory(struct problem *problem);

#endif

/*
 * receipt: what becomes of one request: stored or not, logged, answered. Shared by the program
 * that receives and the one that fetches.
 *
 * Calling sequence: receipt_init; then receipt_store or receipt_reject where it comes to that;
 * receipt_log; receipt_answer, the last thing; receipt_release.
 */
#ifndef COMMON_RECEIPT_H
#define COMMON_RECEIPT_H

#include "body.h"
#include "config.h"
#include "envelope.h"
#include "event.h"
#include "problem.h"
#include "request.h"

#include <stdbool.h>
#include <stdint.h>

enum outcome {
    SPOOLED,
    DUPLICATE,
    REJECTED, /* 4xx; what there was to keep is kept */
    REFUSED,  /* 401; nothing is kept */
    FAILED,   /* 5xx; the sender tries again */
};

struct receipt {
    int64_t started; /* see timestamp.h */
    struct request request;
    struct config config;
    struct body body; /* received or fetched */
    struct event event;
    struct envelope envelope;
    char file[ENVELOPE_NAME_SIZE]; /* the name in the spool; empty if there is none */
    struct problem problem;        /* why it was not stored */
};

/* Note the time, and copy the meta-variables out of the environment. */
void receipt_init(struct receipt *receipt);

/* Store the event that event_read or event_read_object found in the body, coming from `source`.
 * Returns SPOOLED, DUPLICATE, or FAILED with the problem. */
enum outcome receipt_store(struct receipt *receipt, const char *source);

/* Keep the request, with its finished body, in rejected/ with the problem at hand, a 4xx. Returns
 * REJECTED; or FAILED, with the new problem, if it cannot be kept: the sender must try again
 * then. */
enum outcome receipt_reject(struct receipt *receipt);

/* Write the line of the log. */
void receipt_log(const struct receipt *receipt, enum outcome outcome);

/* Write the answer. Returns false if that failed. */
bool receipt_answer(const struct receipt *receipt, enum outcome outcome);

/* Free everything. */
void receipt_release(struct receipt *receipt);

#endif

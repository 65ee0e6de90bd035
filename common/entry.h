/*
 * entry: a file of the spool as its reader sees it: what its name says, what its CloudEvents
 * attributes say, and where its data are.
 *
 * Calling sequence: entry_is_name or entry_parse_name for what a directory lists; entry_open for
 * what is in one; entry_close.
 *
 * A spool directory may hold anything, put there by anybody of the spool's group. What is no entry
 * is odd: reported by whoever comes across it, and otherwise left alone. A name that
 * entry_is_name refuses is not even opened; what entry_open finds odd is one of:
 *   - no regular file: a directory, a symbolic link, a socket, a pipe ...
 *   - no CloudEvents 1.0 event in JSON: empty, cut short, not JSON, an attribute that is missing or
 *     no string, `data` missing or not last, more than ENTRY_HEAD_MAX bytes before the data;
 *   - a file that may not be read.
 *
 * Only the head is read, up to the data, and the last few bytes: a file of 80 MB costs no more than
 * a small one. So the data themselves are not judged here; tradecloud-webhook did so.
 */
#ifndef COMMON_ENTRY_H
#define COMMON_ENTRY_H

#include "buffer.h"
#include "envelope.h"
#include "event.h"
#include "problem.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    ENTRY_NAME_MAX = ENVELOPE_NAME_SIZE - 1,
    ENTRY_HEAD_MAX = 65536, /* bytes before the data; an honest head has some 400 */
};

/* The parts of a name; `key` points into it. */
struct entry_name {
    int64_t time; /* see timestamp.h */
    enum event_kind kind;
    struct text key;
};

/* The attributes are decoded, may hold any character, NUL too, and belong to `values`. Where the
 * entry has no subject or time, these are absent. */
struct entry {
    int fd; /* open for reading, at the start of the file */
    uint64_t size;
    uint64_t data_offset; /* of the JSON value `data`, which is what was received */
    uint64_t data_length;
    struct text id;
    struct text source;
    struct text type;
    struct text subject;
    struct text time;
    struct buffer values;
};

enum entry_verdict {
    ENTRY_READ,
    ENTRY_ODD,    /* the problem says in which way */
    ENTRY_GONE,   /* there is no such file, or not any more: somebody else has moved it */
    ENTRY_FAILED, /* it cannot be said: the problem (503) says why */
};

/* Whether `name` is one that tradecloud-webhook or tradecloud-fetch gives: see envelope.h. */
bool entry_is_name(const char *name);

/* Take such a name apart. Returns false if it is none. */
bool entry_parse_name(const char *name, struct entry_name *parts);

/* Open the entry `name` in `directory` and read its attributes. Where the verdict is not ENTRY_READ
 * nothing is open or allocated; else the caller ends with entry_close. */
enum entry_verdict entry_open(int directory, const char *name, struct entry *entry,
                              struct problem *problem);

/* Close the file and free the attributes. */
void entry_close(struct entry *entry);

#endif

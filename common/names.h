/*
 * names: the entries of a directory, by name only.
 *
 * Calling sequence: names_read; `count` times names_at; names_release. Or, for who need not have
 * them in order or at once: names_open; names_next until it returns NULL; names_close.
 *
 * Names in order are read as a whole, since a directory lists them in none: they take their own
 * length and nine bytes each, some 100 MB for a million entries. Nothing is opened or even asked
 * about: whether a name stands for a regular file, and what is in it, is for the caller to see.
 */
#ifndef COMMON_NAMES_H
#define COMMON_NAMES_H

#include "buffer.h"
#include "spool.h"

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct names {
    struct buffer bytes;
    size_t *offsets; /* into the bytes, in the order of the names */
    size_t count;
    size_t capacity;
    uint64_t odd; /* other names that were found */
};

struct names_cursor {
    DIR *stream;
    enum spool_state state;
    uint64_t odd; /* other names that were passed over */
};

/* Whether an entry may have that name in that state: as entry.h says, and in rejected/ also as
 * rejection.h says. */
bool names_fit(enum spool_state state, const char *name);

/* The first state, in the order in which an entry moves, that has something of that name, or that
 * cannot say so; SPOOL_STATES if none has. What is moving meanwhile can be missed: look twice. */
enum spool_state names_find(const struct spool *spool, const char *name);

/* The names in a directory of the spool, which is empty if it is missing. Returns false with
 * errno. */
bool names_read(struct names *names, const struct spool *spool, enum spool_state state);

/* The name at `index`. It lives as long as `names`. */
const char *names_at(const struct names *names, size_t index);

/* Free them. */
void names_release(struct names *names);

/* Begin to read a directory; a missing one is empty. Returns false with errno. */
bool names_open(struct names_cursor *cursor, const struct spool *spool, enum spool_state state);

/* The next name, which lives until the next call; NULL with errno 0 at the end, else with what went
 * wrong. */
const char *names_next(struct names_cursor *cursor);

/* Close it. */
void names_close(struct names_cursor *cursor);

#endif

/*
 * subject: the subjects of entries as keys of 16 bytes, and tables of them.
 *
 * Calling sequence: subject_key; subject_table_init, then put, get and remove, and in the end
 * subject_table_release.
 *
 * A table holds a number for each key. It grows by doubling up to its limit and takes 24 to 64
 * bytes a key, so that what is remembered of any number of entries stays bounded.
 */
#ifndef COMMON_SUBJECT_H
#define COMMON_SUBJECT_H

#include "entry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SUBJECT_HEX_SIZE = 32 + 1 };

struct subject {
    uint64_t hash[2];
};

struct subject_slot {
    struct subject subject;
    int64_t value;
    bool used;
};

struct subject_table {
    struct subject_slot *slots; /* the caller may look at those that are used */
    size_t size;                /* a power of two, or 0 */
    size_t count;
    size_t limit;
};

/*
 * The first 16 bytes of the SHA-256 of the entry's subject; of its file name, where it has none: it
 * is a subject of its own then.
 */
void subject_key(const struct entry *entry, const char *name, struct subject *subject);

/* The key as 32 lower-case hexadecimal digits and a NUL; and back, false if it is none. */
void subject_hex(const struct subject *subject, char hex[SUBJECT_HEX_SIZE]);
bool subject_parse_hex(const char *hex, struct subject *subject);

/* An empty table for at most `limit` keys. */
void subject_table_init(struct subject_table *table, size_t limit);

/* Free it; it is empty then, and may be used on. */
void subject_table_release(struct subject_table *table);

/* Take all keys out. */
void subject_table_clear(struct subject_table *table);

/* Put the key in with this value, or set its value. Returns false if there is no room or no
 * memory. */
bool subject_table_put(struct subject_table *table, const struct subject *subject, int64_t value);

/* The value of a key, to be read or set; NULL if it is not in the table. Valid until the next put
 * or remove. */
int64_t *subject_table_get(const struct subject_table *table, const struct subject *subject);

/* Take a key out, if it is in. */
void subject_table_remove(struct subject_table *table, const struct subject *subject);

#endif

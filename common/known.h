/*
 * known: a set of names.
 *
 * Calling sequence: start with KNOWN_INIT; known_add, known_has; known_release.
 */
#ifndef COMMON_KNOWN_H
#define COMMON_KNOWN_H

#include <stdbool.h>

struct known {
    void *root; /* by tsearch(3) */
};

#define KNOWN_INIT                                                                                 \
    {                                                                                              \
        NULL                                                                                       \
    }

/* Add a name, which is copied. Returns false if memory runs out. */
bool known_add(struct known *known, const char *name);

/* Whether the name is in the set. */
bool known_has(const struct known *known, const char *name);

/* Free the names. The set is empty and can be used again. */
void known_release(struct known *known);

#endif

#include "known.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

/* tsearch() keeps what it is given, which gcc's analyser does not know. */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"

static int compare(const void *left, const void *right)
{
    return strcmp(left, right);
}

/* A node of the tree begins with a pointer to what it was made for (tsearch(3)): a new one gets a
 * copy in the place of the caller's. */
bool known_add(struct known *known, const char *name)
{
    const char **node = tsearch(name, &known->root, compare);
    if (node == NULL || *node != name)
        return node != NULL;
    const char *copy = strdup(name);
    if (copy != NULL)
        *node = copy;
    else
        (void)tdelete(name, &known->root, compare);
    return copy != NULL;
}

bool known_has(const struct known *known, const char *name)
{
    return tfind(name, &known->root, compare) != NULL;
}

void known_release(struct known *known)
{
    tdestroy(known->root, free);
    known->root = NULL;
}

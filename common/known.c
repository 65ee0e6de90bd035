#include "known.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *left, const void *right)
{
    return strcmp(left, right);
}

bool known_add(struct known *known, const char *name)
{
    if (known_has(known, name))
        return true;
    char *copy = strdup(name);
    if (copy != NULL && tsearch(copy, &known->root, compare) != NULL)
        return true;
    free(copy);
    return false;
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

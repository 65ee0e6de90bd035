/*
 * temporary: files in tmp/ of the spool, where they are written before they get their own name; and
 * whose they are if they are found there.
 */
#ifndef COMMON_TEMPORARY_H
#define COMMON_TEMPORARY_H

#include <stdbool.h>

enum { TEMPORARY_SIZE = 64 };

/* Create a file in the directory, to be written and read, under a name that no other process on no
 * other host has: <process>.<32 hexadecimal digits>. Returns a descriptor, or -1 with errno. */
int temporary_create(int directory, char name[TEMPORARY_SIZE]);

/* Whether it is such a name. */
bool temporary_is_name(const char *name);

#endif

/*
 * regular: a file that is one, whatever else a name in the spool may stand for. Neither a link is
 * followed nor a pipe waited for, nor a device touched.
 */
#ifndef COMMON_REGULAR_H
#define COMMON_REGULAR_H

#include <stddef.h>
#include <sys/stat.h>

/*
 * Open the regular file `name` in `directory` for reading. Returns a descriptor, and what fstat
 * says of it; or -1 with `why`, a phrase, and errno: 0 if it is no regular file or may not be read,
 * else what went wrong; ENOENT if it is not there.
 */
int regular_open(int directory, const char *name, struct stat *status, char *why, size_t size);

#endif

/*
 * stream: what a directory holds, name by name, in no order.
 *
 * Calling sequence: stream_open; stream_next until it returns NULL; closedir().
 */
#ifndef COMMON_STREAM_H
#define COMMON_STREAM_H

#include <dirent.h>

/* Begin to list the directory that `directory` is a descriptor of: through one of its own, so that
 * it is read from its beginning, whoever else reads it. Returns NULL with errno. */
DIR *stream_open(int directory);

/* What comes next, but for . and .. themselves; NULL with errno 0 at the end, or with what went
 * wrong: what was listed until then is not all. */
const struct dirent *stream_next(DIR *stream);

#endif

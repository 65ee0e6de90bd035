/*
 * directory: the directories of the spool: never reached through a symbolic link, made where they
 * are missing, and used only if nobody has a hand in them who is not meant to.
 *
 * Calling sequence: directory_open_root; directory_open and directory_open_private for what is in
 * it; directory_sync after each change of names; close().
 *
 * Who is meant to: the spool belongs to one user, whom the programs run as; directories in it
 * belong to that user, too; and their group, that of the consumers, may add, move and remove
 * entries. Everything may also belong to root. Directories cannot be hard-linked.
 */
#ifndef COMMON_DIRECTORY_H
#define COMMON_DIRECTORY_H

#include "problem.h"

#include <stdbool.h>
#include <sys/stat.h>

/* Whether the path of a spool can be used; the problem (503) says why not. Behind a slash or a dot
 * at its end, a symbolic link could not be told. */
bool directory_check_path(const char *spool, struct problem *problem);

/*
 * Open the spool itself; `status` becomes what fstat() says of it, for the calls below. Returns a
 * descriptor; or -1 with a problem (503), if it does not exist, is a symbolic link or no directory,
 * or everybody may write to it. Whose it is does not matter to those who only look at it.
 */
int directory_open_root(const char *spool, struct stat *status, struct problem *problem);

/*
 * Whether this process may put events into the spool of that status. Returns false with a problem
 * (503) if it belongs to somebody who is neither root nor the user who runs this, and it is not
 * shared with that user by its group; or if root runs this, though the spool is another user's: the
 * files would be closed to that one.
 */
bool directory_check_author(const char *spool, const struct stat *status, struct problem *problem);

/*
 * Open the directory `name` of entries in the spool at `spool`, which is open as `root`; `parent`
 * is its status. If it is missing and to be created, it is (02770), but only by the spool's user:
 * others could not write to another's. Returns a descriptor; or -1 with a problem (503), if it is a
 * symbolic link or no directory, everybody may write to it, it is on another file system than the
 * spool, or it belongs to somebody who is neither root nor the spool's nor this process's user. The
 * problem's status is 0 if it is only missing and not to be created.
 */
int directory_open(const char *spool, int root, const struct stat *parent, const char *name,
                   bool create, struct problem *problem);

/*
 * Open a directory of the consumers' own, creating it (02770) if it is missing: anybody of the
 * spool's group may have done so. Returns a descriptor, or -1 with a problem (503) otherwise as
 * above.
 */
int directory_open_shared(const char *spool, int root, const char *name, struct problem *problem);

/*
 * Open a directory that is its user's alone, creating it (0700) if it is missing: in the directory
 * `parent`, as the last part of `name`, which is its path in the spool. Returns a descriptor, or -1
 * with a problem (503), also if it belongs to another user, as files made there now would be closed
 * to that user's processes.
 */
int directory_open_private(const char *spool, int parent, const char *name,
                           struct problem *problem);

/* Sync a directory. Returns false with errno; but true on file systems that say that they cannot:
 * their entries need no sync, or get none whatever we do. */
bool directory_sync(int fd);

/* Set the problem (503) that `what`, as in "write a file in", cannot be done to `name` in the spool
 * for the reason that errno says, with what to do about it. Returns false. */
bool directory_failed(const char *spool, const char *what, const char *name,
                      struct problem *problem);

#endif

/*
 * move: take an entry from one state to another.
 */
#ifndef COMMON_MOVE_H
#define COMMON_MOVE_H

#include "problem.h"
#include "spool.h"

#include <stdbool.h>

enum move_outcome {
    MOVED,
    MOVE_GONE,   /* it is not where it was to be moved from: somebody else was faster */
    MOVE_TWIN,   /* another file has its name where it was to go; nothing is changed */
    MOVE_FAILED, /* the problem (503) says why; nothing is changed */
};

/*
 * Rename the entry `name`, which is never in two states or in none by this, however it is
 * interrupted. Nothing is replaced: where the file system cannot promise that (NFS), it is looked
 * first, and what could be replaced after that is a second delivery of the same message, that
 * is being stored at that very moment. Nothing is durable before move_sync.
 */
enum move_outcome move_entry(const struct spool *spool, const char *name, enum spool_state from,
                             enum spool_state to, struct problem *problem);

/* Where a twin is in the way: move the entry out of the way of the consumers, into the state `to`
 * under its name and a random ending, by which it is an entry no more; for the operator. */
bool move_aside(const struct spool *spool, const char *name, enum spool_state from,
                enum spool_state to, struct problem *problem);

/* Make what was moved into a state durable. */
bool move_sync(const struct spool *spool, enum spool_state state, struct problem *problem);

#endif

/*
 * census: how many entries each state has, and how long they have been there.
 *
 * No file is opened. In new/, work/ and failed/, whose entries somebody is to do something about,
 * each is asked about its age and size; in done/ and rejected/, which may hold millions, names are
 * counted.
 */
#ifndef COMMON_CENSUS_H
#define COMMON_CENSUS_H

#include "problem.h"
#include "spool.h"

#include <stdbool.h>
#include <stdint.h>

struct census {
    int64_t now; /* when it was taken; see timestamp.h */
    struct census_state {
        uint64_t entries; /* of tmp/: files */
        uint64_t odd;     /* what is no entry, by its name or because it is no regular file */
        bool detailed;    /* what follows is known */
        uint64_t bytes;
        int64_t oldest; /* when the first that is still there arrived, if there are entries */
    } states[SPOOL_STATES];
    uint64_t free_bytes; /* on the spool's file system, for others than root */
    uint64_t free_inodes;
    bool counts_inodes; /* the file system has a number of them */
    uint64_t min_free;  /* TRADECLOUD_MIN_FREE */
};

/* Count. Returns false with the problem if a directory cannot be read. */
bool census_take(struct census *census, const struct spool *spool, struct problem *problem);

/* When the oldest entry that waits to be consumed arrived, in new/ or work/. Returns false if there
 * is none. */
bool census_oldest(const struct census *census, int64_t *oldest);

/* Whether the file system is so full that tradecloud-webhook refuses events. */
bool census_full(const struct census *census);

#endif

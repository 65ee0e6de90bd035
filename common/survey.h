/*
 * survey: the entries of a spool, looked at one by one for what is not as it should be.
 */
#ifndef COMMON_SURVEY_H
#define COMMON_SURVEY_H

#include "findings.h"
#include "spool.h"

#include <stdint.h>
#include <sys/types.h>

/*
 * Look at all states, of which those that are missing have the descriptor -1. Found are files that
 * are no entries, by name or kind; and, in new/, work/ and failed/, whose entries are still to be
 * consumed, also by their contents; entries there that the group `gid` cannot read; those that are
 * in another state, too; and those of the future (`now`: timestamp.h). Nothing is changed. What is
 * moved meanwhile is no finding.
 */
void survey_entries(struct findings *findings, const struct spool *spool, gid_t gid, int64_t now);

#endif

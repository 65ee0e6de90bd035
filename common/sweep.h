/*
 * sweep: what killed processes have left behind in a spool, and nobody needs.
 */
#ifndef COMMON_SWEEP_H
#define COMMON_SWEEP_H

#include "findings.h"
#include "spool.h"

#include <stdint.h>

/*
 * Milliseconds after which a file counts as left behind: 36 hours. A writer lives for 60 seconds
 * (tradecloud-webhook) or for TRADECLOUD_TIMEOUT, of 300 at most, and 5 seconds more
 * (tradecloud-fetch), so no file is swept away under one, whatever the clocks of the hosts say.
 */
#define SWEEP_AGE INT64_C(129600000)

/* Remove the files of that age from tmp/; each is a note. What else is in there is a problem, and
 * left alone. `now` is the file system's clock. */
void sweep_temporary(struct findings *findings, const struct spool *spool, int64_t now);

/* The same for attempts/ (attempt.h; a descriptor): what is remembered of entries that are gone,
 * done or rejected. */
void sweep_attempts(struct findings *findings, const struct spool *spool, int attempts,
                    int64_t now);

#endif

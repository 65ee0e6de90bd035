/*
 * config: what the operator set, from the environment (SetEnv, fastcgi_param). The variables are
 * told in tradecloud-webhook(8). A variable that is set must have a good value: nothing falls
 * back to a default in silence.
 */
#ifndef COMMON_CONFIG_H
#define COMMON_CONFIG_H

#include "problem.h"

#include <stdbool.h>
#include <stdint.h>

struct config {
    const char *spool;          /* TRADECLOUD_SPOOL: an absolute path */
    uint64_t max_body;          /* TRADECLOUD_MAX_BODY: bytes, 1 to 1 GiB */
    uint64_t min_free;          /* TRADECLOUD_MIN_FREE: bytes */
    const char *bearer_file;    /* TRADECLOUD_BEARER_FILE: an absolute path; NULL: none */
    const char *api_url;        /* TRADECLOUD_API_URL: the source of every event */
    const char *legacy_api_url; /* TRADECLOUD_LEGACY_API_URL; NULL: none */
    const char *netrc;          /* TRADECLOUD_NETRC: an absolute path */
    const char *ca_file;        /* TRADECLOUD_CA_FILE: an absolute path; NULL: the system's CAs */
    uint64_t timeout;           /* TRADECLOUD_TIMEOUT: seconds, 1 to 300 */
    const char *fetch_program;  /* TRADECLOUD_FETCH_PROGRAM: an absolute path */
};

/* Read all variables; the strings belong to the environment. Returns false, with the variable and
 * what is wrong with it as the problem (503), if one is bad. */
bool config_read(struct config *config, struct problem *problem);

#endif

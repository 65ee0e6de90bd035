/*
 * token: what is remembered of logging in to Tradecloud's API, shared by all processes through the
 * file `token.json` in state/ (0600): the tokens; or that logging in failed, lest the next process
 * try it again at once.
 *
 * The file is a cache: when it is missing, damaged, not ours alone, of another API or of other
 * credentials, there is simply no token.
 */
#ifndef COMMON_TOKEN_H
#define COMMON_TOKEN_H

#include "problem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TOKEN_MAX = 16384,      /* bytes of a token; seen were 519 and 812 */
    TOKEN_MARGIN = 30000,   /* milliseconds before its end in which a token is not used any more */
    TOKEN_DEFAULT = 540000, /* milliseconds that a token is good for if it does not say */
    TOKEN_PAUSE = 5000,     /* milliseconds after a failed log-in before the next */
};

struct token {
    char access[TOKEN_MAX + 1];  /* empty: none */
    char refresh[TOKEN_MAX + 1]; /* empty: none */
    int64_t expires;             /* of the access token; see timestamp.h */
    int64_t failed_at;           /* when logging in failed; 0: it did not */
    struct problem failure;      /* how */
    bool refused;                /* it failed because the credentials were refused */
};

/* Read what is remembered for that API and those credentials (any strings that tell them from
 * others). */
void token_load(struct token *token, int directory, const char *api, const char *credentials);

/* Replace what is remembered. Returns false with a 503 if that fails. */
bool token_save(const struct token *token, int directory, const char *api, const char *credentials,
                struct problem *problem);

/* Whether the access token can be used now. */
bool token_is_fresh(const struct token *token);

/* Whether logging in failed less than TOKEN_PAUSE ago. */
bool token_is_pausing(const struct token *token);

/* When an access token received now expires: as the `exp` of its JWT (RFC 7519 section 4.1.4) says,
 * whose signature is not ours to check, else after TOKEN_DEFAULT. At least a minute from now, as a
 * clock that is wrong must not make every process log in: a token that was over is found out by
 * its being refused. */
int64_t token_expiry(const char *access);

#endif

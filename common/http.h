/*
 * http: one GET to Tradecloud's API, by libcurl, within its limits: a deadline, a turn among all
 * processes (pace.h), a cap on the answer, TLS 1.2 or newer with chain and host verified, https
 * only (http to this machine only), no redirects.
 *
 * Calling sequence: http_open; exchanges; http_close. An exchange starts with its first group of
 * members set and the rest zero, and ends with exchange_release.
 */
#ifndef COMMON_HTTP_H
#define COMMON_HTTP_H

#include "buffer.h"
#include "config.h"
#include "pace.h"
#include "problem.h"
#include "token.h"

#include <stdbool.h>
#include <stdint.h>

struct http {
    void *curl;
    const struct config *config;
    struct pace pace;
    char error[256];        /* CURL_ERROR_SIZE */
    struct problem *unsent; /* where to say why a request was not sent */
};

struct exchange {
    const char *url;
    bool basic;                /* with user and password from the netrc file */
    const char *bearer;        /* with an access token, or NULL */
    const char *refresh_token; /* with a Refresh-Token header, or NULL */

    int status;         /* of the answer */
    struct buffer body; /* decoded, if it was compressed */
    uint64_t max_body;  /* TRADECLOUD_MAX_BODY */
    bool too_large;     /* the body is over it */
    bool begun;         /* an answer has begun to arrive */
    bool no_memory;
    char access[TOKEN_MAX + 1];  /* Set-Authorization, or empty */
    char refresh[TOKEN_MAX + 1]; /* Set-Refresh-Token, or empty */
};

/* Get ready. `state` and `config` must live as long. Returns false with a 503 if that fails. */
bool http_open(struct http *http, const struct config *config, int state, int64_t deadline,
               struct problem *problem);

/* Let go of everything. */
void http_close(struct http *http);

/* Whether the API's URL is one that may be called: https, or http to a loopback address. */
bool http_check_url(const char *variable, const char *url, struct problem *problem);

/* The id as one segment of a path: everything but RFC 3986's unreserved characters is encoded.
 * NULL if memory runs out; the caller frees it with http_free. */
char *http_escape(struct http *http, const char *id);
void http_free(char *escaped);

/*
 * Ask and wait for the answer, whatever its status. Where there is none, or it is a 5xx, it is
 * asked once more after a moment, if the deadline allows. Returns false without an answer: 502 for
 * a failure of connection or TLS, 504 when the deadline passed, 503 for an answer over the cap, for
 * turns that are all taken, and for trouble of our own.
 */
bool http_get(struct http *http, struct exchange *exchange, struct problem *problem);

/* Free the body, and forget the tokens. */
void exchange_release(struct exchange *exchange);

#endif

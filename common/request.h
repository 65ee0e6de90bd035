/*
 * request: what the web server passes to a CGI program (RFC 3875): meta-variables in the
 * environment, the message body on standard input.
 *
 * Calling sequence: request_init first of all; then request_read_body or request_drain, one of
 * them always: a web server whose CGI program answers without having read its input may throw
 * that answer away; request_release.
 *
 * Meta-variables whose names begin with HTTP_ are the client's own words and are not looked at, but
 * for the one that says who it claims to be.
 */
#ifndef COMMON_REQUEST_H
#define COMMON_REQUEST_H

#include "buffer.h"
#include "problem.h"

#include <stdbool.h>
#include <stdint.h>

enum request_method {
    REQUEST_GET,
    REQUEST_POST,
    REQUEST_PUT,
    REQUEST_OTHER, /* any other, known or not, or none */
};

/* The meta-variables. An absent or empty one is NULL, as RFC 3875 section 4.1 makes no difference
 * between the two. The strings belong to the environment. */
struct request {
    enum request_method method;
    const char *method_name;    /* REQUEST_METHOD (4.1.12) */
    const char *auth_type;      /* AUTH_TYPE (4.1.1): set by the server for whom it authenticated */
    const char *authorization;  /* HTTP_AUTHORIZATION (4.1.18): the client's claim; secret */
    const char *content_length; /* CONTENT_LENGTH (4.1.2), not yet parsed */
    const char *content_type;   /* CONTENT_TYPE (4.1.3) */
    const char *path_info;      /* PATH_INFO (4.1.5), percent-decoded by the server */
    const char *query_string;   /* QUERY_STRING (4.1.7), as it was sent */
    const char *script_name;    /* SCRIPT_NAME (4.1.13): the path of this program, decoded */
    const char *request_uri;    /* REQUEST_URI: path and query as they were sent; not of RFC 3875,
                                   but set by all servers */
    const char *remote_addr;    /* REMOTE_ADDR (4.1.8) */
    struct buffer body;         /* empty until request_read_body */
};

/* Copy the meta-variables out of the environment; nothing looks there later. */
void request_init(struct request *request);

/*
 * Read the whole body: CONTENT_LENGTH bytes without waiting for the end of input, or up to the end
 * of input if it is absent (a chunked request under Apache). Returns false with a 503 when the
 * input ends early, the body is larger than `max_body` bytes, CONTENT_LENGTH is not a number, or
 * memory runs out; the rest of the input has been read even so.
 */
bool request_read_body(struct request *request, uint64_t max_body, struct problem *problem);

/* Read the whole body and forget it. Errors end the reading and are of no interest. */
void request_drain(const struct request *request);

/* Whether CONTENT_TYPE says JSON: application/json, application/...+json (RFC 6839 section 3.1),
 * or nothing at all, which is how Tradecloud posted before March 2020. Parameters do not count. */
bool request_is_json(const struct request *request);

/* Free the body. */
void request_release(struct request *request);

#endif

/*
 * request: what the web server tells a CGI program in its environment (RFC 3875). The message body,
 * on standard input, is body.h's.
 *
 * Meta-variables whose names begin with HTTP_ are the client's own words and are not looked at, but
 * for the one that says who it claims to be.
 */
#ifndef COMMON_REQUEST_H
#define COMMON_REQUEST_H

#include <stdbool.h>

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
};

/* Copy the meta-variables out of the environment; nothing looks there later. */
void request_init(struct request *request);

/* Whether CONTENT_TYPE says JSON: application/json, application/...+json (RFC 6839 section 3.1),
 * or nothing at all, which is how Tradecloud posted before March 2020. Parameters do not count. */
bool request_is_json(const struct request *request);

#endif

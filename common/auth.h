/*
 * auth: who may be served.
 *
 * Two parties can vouch for a caller. The web server does by setting AUTH_TYPE, which it does where
 * it demands and checks credentials, and which a client cannot do: its headers arrive with HTTP_
 * before their names. REMOTE_USER proves nothing: nginx fills it from unchecked credentials. And we
 * do, if the caller brings a bearer token (RFC 6750) whose hash the operator has written into the
 * file that TRADECLOUD_BEARER_FILE names.
 *
 * The file has one token a line, as the 64 lower-case hexadecimal digits of its SHA-256; empty
 * lines and lines that begin with # are passed over. Any of the tokens admits, so one can be added
 * before the other is taken away. As tokens are long and random, a hash gives none away, and the
 * file may be read by everybody; but who can write it can let anybody in.
 */
#ifndef COMMON_AUTH_H
#define COMMON_AUTH_H

#include "problem.h"
#include "request.h"

#include <stdbool.h>

enum {
    AUTH_FILE_MAX = 65536, /* bytes of the file, enough for a thousand tokens */
    AUTH_TOKEN_MAX = 8192, /* bytes of a token; more than web servers let a header have */
};

/*
 * Whether the caller may be served. `bearer_file` is the path of the file; NULL: there is none, and
 * no token admits. Returns false with
 *
 *     401  nobody is authenticated: AUTH_TYPE is not set, and no token came, or a malformed one, or
 *          one that the file has not;
 *     503  a token came, but the file cannot be read, is larger than AUTH_FILE_MAX, has a line that
 *          is no hash, or no token at all, or may be written by its group or by everybody. This is
 *          trouble of ours, so the sender is to try again; the whole file must be good, not only
 *          the lines before the one that is sought.
 *
 * A token is compared with all lines, each in a time that does not depend on where it differs. The
 * file is read only for a caller who needs it, which is one with a token and without AUTH_TYPE.
 */
bool auth_check(const struct request *request, const char *bearer_file, struct problem *problem);

/*
 * The header line of WWW-Authenticate, with CR and LF, for the 401 of auth_check (RFC 9110 section
 * 11.6.1, RFC 6750 section 3): Basic, which is the web server's to check, and Bearer if there is a
 * file.
 */
const char *auth_challenge(const struct request *request, const char *bearer_file);

#endif

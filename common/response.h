/*
 * response: the answer, as a CGI document response on standard output (RFC 3875 section 6.2).
 *
 * A response is put together in memory and written once, so that a late failure can still choose
 * its status. Every body is JSON; every answer says Cache-Control: no-store; 401 carries
 * WWW-Authenticate, 405 Allow, and 502, 503 and 504 Retry-After. When memory runs out, the answer
 * is response_emergency's instead.
 */
#ifndef COMMON_RESPONSE_H
#define COMMON_RESPONSE_H

#include "buffer.h"
#include "problem.h"

#include <stdbool.h>

/*
 * Answer that the event or object `id` is in the spool under the name `file`: 202 if it was put
 * there now, 200 if it was there before. Returns false if the answer could not be written: the
 * sender will try again and hear 200.
 */
bool response_stored(struct text id, const char *file, bool duplicate);

/*
 * Answer with a problem (RFC 9457, application/problem+json). The client is told the reason of a
 * 4xx, which is about what it sent; of a 5xx, which is about us, only that it should try again.
 * With a 401 goes `challenge`, the header line of WWW-Authenticate with its CR and LF, which is not
 * looked at otherwise. Returns false if the answer could not be written.
 */
bool response_problem(const struct problem *problem, const char *challenge);

/* Answer 503 by one constant write(), unless an answer was begun before. For signal handlers and
 * where there is no memory left: calls nothing but write(). Returns whether the request has failed
 * by this: false if it was answered before. */
bool response_emergency(void);

/* There is nobody to be answered, as on a command line: response_emergency is to be silent. */
void response_to_nobody(void);

#endif

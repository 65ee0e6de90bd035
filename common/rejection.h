/*
 * rejection: what is kept in rejected/ of a request that was answered 4xx, which the sender will
 * never send again.
 *
 * The file begins with lines of `Name: value`, as a mail does (values escaped as in the log):
 * Status and Reason of the answer, Received (RFC 3339), Method, Path, Query, URI (path and query as
 * they were sent), Content-Type and Remote-Address of the request where it had them; then an empty
 * line; then the body, byte for byte, to the end of the file.
 */
#ifndef COMMON_REJECTION_H
#define COMMON_REJECTION_H

#include "body.h"
#include "buffer.h"
#include "problem.h"
#include "request.h"

#include <stdbool.h>
#include <stdint.h>

enum { REJECTION_NAME_SIZE = 201 };

/*
 * Append the lines up to and including the empty one to `head`, and make the file's name, `<time of
 * receipt>_rejected_<SHA-256 of all that>.txt`. The request was answered with `reason`, its `body`
 * is finished. Returns false with a problem (503) if memory runs out or the body cannot be read.
 */
bool rejection_build(const struct request *request, const struct body *body,
                     const struct problem *reason, int64_t now, struct buffer *head,
                     char name[REJECTION_NAME_SIZE], struct problem *problem);

#endif

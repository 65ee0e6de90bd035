/*
 * body: the data of one message, while they arrive and until they are stored.
 *
 * They stand in a window in memory. What does not fit into it is written to a draft (draft.h) in
 * the spool while it arrives, so that a body of any size takes little memory, and little time at
 * its end. The spool is opened when it is needed first.
 *
 * Calling sequence for a request: body_init; then body_more, which event_read calls, and
 * body_finish always: a web server whose CGI program answers without having read its input may
 * throw that answer away; then body_piece and body_draft; body_release. Data that are in memory
 * already, such as the API's answer, are put into the window of a BODY_INIT.
 */
#ifndef COMMON_BODY_H
#define COMMON_BODY_H

#include "buffer.h"
#include "config.h"
#include "draft.h"
#include "problem.h"
#include "spool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BODY_WINDOW = 131072, /* bytes; what a processor's cache holds */
    BODY_ROOM = 4096,     /* bytes before a body that arrives in a draft, for the head to come */
};

/* To stay where it is once there is a draft, which points into it. */
struct body {
    struct buffer window; /* all the data, or where there is a draft, the last of them */
    size_t before;        /* bytes that came before those in the window */
    size_t given;         /* bytes of the window that body_more has given */
    size_t written;       /* bytes of the window that stand in the draft, too */
    uint64_t left;        /* bytes still to come; UINT64_MAX: to the end of input */
    bool failed;          /* they did not all come */
    bool drafted;         /* there is a draft */
    bool opened;          /* the spool is open */
    const struct config *config;
    struct spool spool;
    struct draft draft;
};

#define BODY_INIT                                                                                  \
    {                                                                                              \
        .window = BUFFER_INIT                                                                      \
    }

/*
 * Prepare to read from standard input: `content_length` bytes (RFC 3875 section 4.1.2), or if that
 * is NULL, to the end of input (a chunked request under Apache), and no more than the configuration
 * allows. Nothing is read before body_more or body_finish. Returns false, having read and forgotten
 * everything, with a problem (503), if it is too much or no number, or memory runs out.
 */
bool body_init(struct body *body, const char *content_length, const struct config *config,
               struct problem *problem);

/* Read and forget a whole body. Errors end the reading and are of no interest. */
void body_drain(const char *content_length);

/*
 * Make more of the data available: as the function of a struct scan_source (scan.h). Where input
 * ends early, is too long, or cannot be read or kept, the problem (503) says so, the rest of it is
 * read and forgotten, and the data end here with `failed` set.
 */
size_t body_more(struct body *body, size_t keep, const char **bytes, struct problem *problem);

/* Read what is left, if anything. Returns false, with the problem, if not all of the data came. */
bool body_finish(struct body *body, struct problem *problem);

/* How many bytes there are. */
size_t body_length(const struct body *body);

/* `length` bytes from `offset` on, at least one, of a finished body. They stand in the body, or
 * else are read into `space`. Returns false with a problem (503) if that fails. */
bool body_piece(const struct body *body, size_t offset, size_t length, struct buffer *space,
                struct text *piece, struct problem *problem);

/* The SHA-256 of `head` and the whole of a finished body, as digest.h writes it. Returns false with
 * a problem (503) if it cannot be read. */
bool body_digest(const struct body *body, struct text head, char *hex, struct problem *problem);

/* The spool, opened with all its directories; NULL with a problem if that fails. */
const struct spool *body_spool(struct body *body, struct problem *problem);

/* How long the head of a finished body should be: if it is, body_draft has little to do. 0: it does
 * not matter. */
size_t body_room(const struct body *body);

/*
 * Make a draft of `head`, a finished body, and `tail`. That is the body's own one, if there is one
 * and the head is as long as its room, or else `other`. Returns the draft, for the caller to end;
 * or NULL with a problem (503), and nothing left to end.
 */
struct draft *body_draft(struct body *body, struct text head, struct text tail, struct draft *other,
                         struct problem *problem);

/* Remove the body's draft if there still is one, as nothing more is wanted of the data. To be
 * called before an answer: a web server may kill a program that has answered. */
void body_discard(struct body *body);

/* The same; and close the spool, free everything. */
void body_release(struct body *body);

#endif

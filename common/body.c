#include "body.h"

#include "digest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_SIZE = 65536 };

/* --- reading --- */

/* Digits only, no sign, no white space, no overflow. */
static bool parse_length(const char *text, uint64_t *length)
{
    errno = 0;
    *length = strtoumax(text, NULL, 10);
    return strspn(text, "0123456789") == strlen(text) && errno == 0;
}

/* read(), again after a signal. */
static ssize_t read_some(char *bytes, size_t size)
{
    ssize_t got;
    do
        got = read(STDIN_FILENO, bytes, size);
    while (got < 0 && errno == EINTR);
    return got;
}

static void drain(uint64_t left)
{
    char bytes[PIECE_SIZE];
    while (left > 0) {
        ssize_t got = read_some(bytes, left < sizeof bytes ? (size_t)left : sizeof bytes);
        if (got <= 0)
            return;
        left -= (uint64_t)got;
    }
}

void body_drain(const char *content_length)
{
    uint64_t length;
    if (content_length == NULL || !parse_length(content_length, &length))
        length = UINT64_MAX;
    drain(length);
}

static bool too_large(const struct config *config, struct problem *problem)
{
    return problem_set(problem, 503,
                       "the body is larger than TRADECLOUD_MAX_BODY=%" PRIu64
                       ": raise it, and the web server's own limit on bodies",
                       config->max_body);
}

/* If it is a pipe, let it hold more than the window: each read wakes whoever fills it, which was
 * measured to take a tenth of the time of a large body. */
static void widen_input(void)
{
    (void)fcntl(STDIN_FILENO, F_SETPIPE_SZ, 2 * BODY_WINDOW);
}

bool body_init(struct body *body, const char *content_length, const struct config *config,
               struct problem *problem)
{
    *body = (struct body){.window = BUFFER_INIT, .config = config, .left = UINT64_MAX};
    bool good = true;
    if (content_length != NULL && !parse_length(content_length, &body->left)) {
        body->left = UINT64_MAX;
        good = problem_set(problem, 503,
                           "the web server passed a CONTENT_LENGTH that is not a number");
    } else if (content_length != NULL && body->left > config->max_body) {
        good = too_large(config, problem);
    } else if (!buffer_reserve(&body->window,
                               body->left < BODY_WINDOW ? (size_t)body->left : BODY_WINDOW)) {
        good = problem_memory(problem);
    }
    if (!good)
        drain(body->left);
    else if (body->left > BODY_WINDOW)
        widen_input();
    return good;
}

/* Write the first `length` bytes of the window, but for those that are in the draft already. */
static bool spill(struct body *body, size_t length, struct problem *problem)
{
    if (!body->drafted) {
        const struct spool *spool = body_spool(body, problem);
        uint64_t expected = body->window.length + (body->left == UINT64_MAX ? 0 : body->left);
        body->drafted =
            spool != NULL && draft_create(&body->draft, spool, BODY_ROOM, expected, problem);
    }
    const struct text rest = {body->window.data + body->written, length - body->written};
    if (!body->drafted || (rest.length > 0 && !draft_append(&body->draft, &rest, 1, problem)))
        return false;
    body->written = length;
    return true;
}

/* Make room in the window, of which the last `keep` bytes stay. Those beyond a multiple of the size
 * of a piece of the file are written with the next: the kernel caches what does not begin at one in
 * small blocks, and writing a large body that way took a third longer. */
static bool slide(struct body *body, size_t keep, struct problem *problem)
{
    struct buffer *window = &body->window;
    const size_t odd = (BODY_ROOM + body_length(body)) % PIECE_SIZE;
    if (!spill(body, window->length - odd, problem))
        return false;
    if (keep < odd)
        keep = odd;
    memmove(window->data, window->data + window->length - keep, keep);
    body->before += window->length - keep;
    window->length = body->given = keep;
    body->written = keep - odd;
    return true;
}

/* Returns whether all is well with what was read, and whether the data go on. */
static bool note_arrival(struct body *body, ssize_t got, struct problem *problem)
{
    if (got < 0)
        return problem_set(problem, 503, "cannot read the request body: %s", strerror(errno));
    body->window.length += (size_t)got;
    if (body->left == UINT64_MAX) {
        if (got == 0)
            body->left = 0;
        return body_length(body) <= body->config->max_body || too_large(body->config, problem);
    }
    if (got == 0)
        return problem_set(problem, 503, "the body was cut short: %zu of %" PRIu64 " bytes arrived",
                           body_length(body), body_length(body) + body->left);
    body->left -= (uint64_t)got;
    return true;
}

/* Read into the window. Returns false where the data end. */
static bool read_on(struct body *body, size_t keep, struct problem *problem)
{
    struct buffer *window = &body->window;
    const size_t before = body_length(body);
    if (body->left == 0)
        return false;
    body->failed = window->length == window->capacity && !slide(body, keep, problem);
    if (!body->failed) {
        size_t room = window->capacity - window->length;
        ssize_t got =
            read_some(window->data + window->length, body->left < room ? (size_t)body->left : room);
        body->failed = !note_arrival(body, got, problem);
    }
    if (!body->failed)
        return body_length(body) > before;
    drain(body->left);
    body->left = 0;
    body->given = window->length; /* of what came last, nothing more is */
    return false;
}

size_t body_more(struct body *body, size_t keep, const char **bytes, struct problem *problem)
{
    if (body->given == body->window.length && !read_on(body, keep, problem))
        return 0;
    size_t more = body->window.length - body->given;
    *bytes = body->window.data + body->given - keep;
    body->given = body->window.length;
    return more;
}

bool body_finish(struct body *body, struct problem *problem)
{
    while (read_on(body, 0, problem))
        ;
    body->given = body->window.length;
    if (!body->failed && body->drafted)
        body->failed = !spill(body, body->window.length, problem);
    return !body->failed;
}

/* --- what was read --- */

size_t body_length(const struct body *body)
{
    return body->before + body->window.length;
}

bool body_piece(const struct body *body, size_t offset, size_t length, struct buffer *space,
                struct text *piece, struct problem *problem)
{
    if (!body->drafted) {
        *piece = (struct text){body->window.data + offset, length};
        return true;
    }
    space->length = 0;
    if (!buffer_reserve(space, length))
        return problem_memory(problem);
    *piece = (struct text){space->data, length};
    return draft_read(&body->draft, BODY_ROOM + offset, space->data, length, problem);
}

/* The next piece of the whole, from `*offset` on; of no length behind the last. */
static bool next_piece(const struct body *body, size_t *offset, struct buffer *space,
                       struct text *piece, struct problem *problem)
{
    size_t length = body_length(body) - *offset;
    if (body->drafted && length > PIECE_SIZE)
        length = PIECE_SIZE;
    *piece = (struct text){NULL, 0};
    if (length > 0 && !body_piece(body, *offset, length, space, piece, problem))
        return false;
    *offset += length;
    return true;
}

bool body_digest(const struct body *body, struct text head, char *hex, struct problem *problem)
{
    struct digest digest;
    struct buffer space = BUFFER_INIT;
    struct text piece = head;
    size_t offset = 0;
    bool read;
    digest_start(&digest);
    do {
        digest_add(&digest, piece);
        read = next_piece(body, &offset, &space, &piece, problem);
    } while (read && piece.length > 0);
    digest_finish(&digest, hex);
    buffer_release(&space);
    return read;
}

/* --- storing --- */

const struct spool *body_spool(struct body *body, struct problem *problem)
{
    if (!body->opened)
        body->opened =
            spool_open(&body->spool, body->config->spool, body->config->min_free, problem);
    return body->opened ? &body->spool : NULL;
}

size_t body_room(const struct body *body)
{
    return body->drafted ? BODY_ROOM : 0;
}

/* Append the body in pieces. */
static bool copy(const struct body *body, struct draft *draft, struct problem *problem)
{
    struct buffer space = BUFFER_INIT;
    struct text piece;
    size_t offset = 0;
    bool copied;
    do
        copied = next_piece(body, &offset, &space, &piece, problem) &&
                 (piece.length == 0 || draft_append(draft, &piece, 1, problem));
    while (copied && piece.length > 0);
    buffer_release(&space);
    return copied;
}

static bool append(struct draft *draft, struct text part, struct problem *problem)
{
    return part.length == 0 || draft_append(draft, &part, 1, problem);
}

static bool write_whole(const struct body *body, struct text head, struct text tail,
                        struct draft *draft, struct problem *problem)
{
    const struct text parts[] = {head, {body->window.data, body->window.length}, tail};
    if (!body->drafted)
        return draft_append(draft, parts, 3, problem);
    return append(draft, head, problem) && copy(body, draft, problem) &&
           append(draft, tail, problem);
}

static struct draft *complete_own(struct body *body, struct text head, struct text tail,
                                  struct problem *problem)
{
    if (!append(&body->draft, tail, problem) || !draft_write_head(&body->draft, head, problem))
        return NULL;
    body->drafted = false;
    return &body->draft;
}

struct draft *body_draft(struct body *body, struct text head, struct text tail, struct draft *other,
                         struct problem *problem)
{
    const struct spool *spool = body_spool(body, problem);
    uint64_t length = head.length + body_length(body) + tail.length;
    if (spool == NULL)
        return NULL;
    if (body->drafted && head.length == BODY_ROOM)
        return complete_own(body, head, tail, problem);
    if (!draft_create(other, spool, 0, length, problem))
        return NULL;
    if (write_whole(body, head, tail, other, problem) &&
        (!body->drafted || draft_is_sound(&body->draft, problem)))
        return other;
    draft_discard(other);
    return NULL;
}

void body_discard(struct body *body)
{
    if (body->drafted)
        draft_discard(&body->draft);
    body->drafted = false;
}

void body_release(struct body *body)
{
    body_discard(body);
    if (body->opened)
        spool_close(&body->spool);
    buffer_release(&body->window);
}

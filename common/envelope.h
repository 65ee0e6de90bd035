/*
 * envelope: the CloudEvents 1.0 event (JSON format) that a spool file holds, and the file's name.
 *
 * The envelope is the head built here, then the data as it was received, byte for byte, then
 * ENVELOPE_TAIL. Nothing else stands between or behind. The head of a body that was too large for
 * the memory is filled up with spaces before its last member's name, as the length of the head had
 * to be chosen before anything of it was known.
 */
#ifndef COMMON_ENVELOPE_H
#define COMMON_ENVELOPE_H

#include "body.h"
#include "buffer.h"
#include "event.h"
#include "problem.h"

#include <stdbool.h>
#include <stdint.h>

#define ENVELOPE_TAIL "}"

enum {
    ENVELOPE_KEY_MAX = 128, /* bytes of a key; a longer message id is hashed */
    ENVELOPE_NAME_SIZE = 201,
};

struct envelope {
    char key[ENVELOPE_KEY_MAX + 1];
    char name[ENVELOPE_NAME_SIZE];
    struct text id; /* the CloudEvents id: the message id, or else the key */
    struct buffer head;
};

/*
 * The key, by which a message is told from others of its kind: the message id if it consists of
 * [A-Za-z0-9._-] and fits, else its SHA-256. Without a message id it is the SHA-256 of a fetched
 * object's id, version and last update (joined by NULs), and where there is neither of those two,
 * or it is an event, of the whole body, which must be finished. Fills key and id; the id lives as
 * long as the event and the envelope. Returns false with a problem (503) if the body cannot be
 * read.
 */
bool envelope_identify(struct envelope *envelope, const struct event *event,
                       const struct body *body, struct problem *problem);

/*
 * The name, `<time>_<kind>_<key>.json`, and the head, for an event that took place at `time`. To
 * be called after envelope_identify. Values are put in as they are: CloudEvents would rather not
 * have control characters in a subject, but the truth is worth more. A head shorter than `room`
 * bytes is filled up to these.
 * The head must be BUFFER_INIT before. Returns false if memory runs out. The caller ends with
 * envelope_release in any case.
 */
bool envelope_build(struct envelope *envelope, const struct event *event, const char *source,
                    int64_t time, size_t room);

/* Free the head. */
void envelope_release(struct envelope *envelope);

#endif

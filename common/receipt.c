#include "receipt.h"

#include "auth.h"
#include "log.h"
#include "rejection.h"
#include "response.h"
#include "timestamp.h"

#include <stdio.h>
#include <string.h>

void receipt_init(struct receipt *receipt)
{
    *receipt = (struct receipt){.started = timestamp_now(), .body = BODY_INIT};
    receipt->body.config = &receipt->config;
    request_init(&receipt->request);
}

/* The time of the event's name and envelope: its own, or that of its first receipt. */
static bool find_time(struct receipt *receipt, const struct spool *spool, int64_t *time)
{
    char name[ENVELOPE_NAME_SIZE];
    *time = receipt->event.time;
    if (receipt->event.has_time)
        return true;
    (void)snprintf(name, sizeof name, "%s_%s", event_kind_name(receipt->event.kind),
                   receipt->envelope.key);
    return spool_receipt_time(spool, name, receipt->started, time, &receipt->problem);
}

static bool build_envelope(struct receipt *receipt, const struct spool *spool, const char *source)
{
    int64_t time;
    struct envelope *envelope = &receipt->envelope;
    struct problem *problem = &receipt->problem;
    return envelope_identify(envelope, &receipt->event, &receipt->body, problem) &&
           find_time(receipt, spool, &time) &&
           (envelope_build(envelope, &receipt->event, source, time, body_room(&receipt->body)) ||
            problem_memory(problem));
}

/* Write a head, the body and a tail as the entry `name`. */
static enum spool_outcome write_entry(struct receipt *receipt, enum spool_state state,
                                      const char *name, const struct buffer *head, const char *tail)
{
    struct draft other;
    struct draft *draft = body_draft(&receipt->body, (struct text){head->data, head->length},
                                     text_of(tail), &other, &receipt->problem);
    if (draft == NULL)
        return SPOOL_FAILURE;
    return draft_publish(draft, state, name, &receipt->problem);
}

enum outcome receipt_store(struct receipt *receipt, const char *source)
{
    struct envelope *envelope = &receipt->envelope;
    const struct spool *spool = body_spool(&receipt->body, &receipt->problem);
    if (spool == NULL || !build_envelope(receipt, spool, source))
        return FAILED;
    enum spool_outcome outcome = spool_find(spool, envelope->name, &receipt->problem);
    if (outcome == SPOOL_ABSENT)
        outcome = write_entry(receipt, SPOOL_NEW, envelope->name, &envelope->head, ENVELOPE_TAIL);
    if (outcome == SPOOL_FAILURE)
        return FAILED;
    memcpy(receipt->file, envelope->name, sizeof receipt->file);
    return outcome == SPOOL_STORED ? SPOOLED : DUPLICATE;
}

enum outcome receipt_reject(struct receipt *receipt)
{
    const struct problem reason = receipt->problem;
    struct buffer head = BUFFER_INIT;
    char name[REJECTION_NAME_SIZE];
    bool kept = rejection_build(&receipt->request, &receipt->body, &reason, receipt->started, &head,
                                name, &receipt->problem) &&
                write_entry(receipt, SPOOL_REJECTED, name, &head, NULL) != SPOOL_FAILURE;
    buffer_release(&head);
    if (!kept)
        return FAILED;
    memcpy(receipt->file, name, sizeof receipt->file);
    return REJECTED;
}

static bool is_stored(enum outcome outcome)
{
    return outcome == SPOOLED || outcome == DUPLICATE;
}

void receipt_log(const struct receipt *receipt, enum outcome outcome)
{
    static const char *const words[] = {
        [SPOOLED] = "spooled", [DUPLICATE] = "duplicate", [REJECTED] = "rejected",
        [REFUSED] = "refused", [FAILED] = "failed",
    };
    const int success = outcome == SPOOLED ? 202 : 200;
    struct log_line line = LOG_LINE_INIT;
    log_text(&line, "outcome", text_of(words[outcome]));
    log_number(&line, "status", is_stored(outcome) ? success : receipt->problem.status);
    log_text(&line, "method", text_of(receipt->request.method_name));
    log_text(&line, "remote", text_of(receipt->request.remote_addr));
    if (is_stored(outcome)) {
        log_text(&line, "kind", text_of(event_kind_name(receipt->event.kind)));
        log_text(&line, "event", receipt->event.name);
        log_text(&line, "id", receipt->envelope.id);
    }
    log_text(&line, "subject", receipt->event.subject);
    log_text(&line, "version", receipt->event.version);
    if (receipt->file[0] != '\0')
        log_text(&line, "file", text_of(receipt->file));
    log_number(&line, "bytes", (int64_t)body_length(&receipt->body));
    log_number(&line, "ms", timestamp_now() - receipt->started);
    if (!is_stored(outcome))
        log_text(&line, "reason", text_of(receipt->problem.reason));
    log_write(&line);
}

bool receipt_answer(const struct receipt *receipt, enum outcome outcome)
{
    if (!is_stored(outcome))
        return response_problem(&receipt->problem,
                                auth_challenge(&receipt->request, receipt->config.bearer_file));
    return response_stored(receipt->envelope.id, receipt->file, outcome == DUPLICATE);
}

void receipt_release(struct receipt *receipt)
{
    envelope_release(&receipt->envelope);
    event_release(&receipt->event);
    body_release(&receipt->body);
}

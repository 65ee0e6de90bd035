#include "receipt.h"

#include "auth.h"
#include "log.h"
#include "rejection.h"
#include "response.h"
#include "spool.h"
#include "timestamp.h"

#include <stdio.h>
#include <string.h>

void receipt_init(struct receipt *receipt)
{
    *receipt = (struct receipt){.started = timestamp_now()};
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

static enum outcome store_in(struct receipt *receipt, const struct spool *spool, const char *source,
                             struct text body)
{
    int64_t time;
    struct envelope *envelope = &receipt->envelope;
    envelope_identify(envelope, &receipt->event, body);
    if (!find_time(receipt, spool, &time))
        return FAILED;
    if (!envelope_build(envelope, &receipt->event, source, time)) {
        problem_memory(&receipt->problem);
        return FAILED;
    }
    const struct text parts[] = {
        {envelope->head.data, envelope->head.length}, body, text_of(ENVELOPE_TAIL)};
    enum spool_outcome stored = spool_store(spool, envelope->name, parts, 3, &receipt->problem);
    if (stored == SPOOL_FAILURE)
        return FAILED;
    memcpy(receipt->file, envelope->name, sizeof receipt->file);
    return stored == SPOOL_STORED ? SPOOLED : DUPLICATE;
}

enum outcome receipt_store(struct receipt *receipt, const char *source, struct text body)
{
    struct spool spool;
    if (!spool_open(&spool, receipt->config.spool, receipt->config.min_free, &receipt->problem))
        return FAILED;
    enum outcome outcome = store_in(receipt, &spool, source, body);
    spool_close(&spool);
    return outcome;
}

enum outcome receipt_reject(struct receipt *receipt)
{
    struct problem reason = receipt->problem;
    struct buffer head = BUFFER_INIT;
    struct spool spool;
    char name[REJECTION_NAME_SIZE];
    bool kept = false;
    if (!rejection_build(&receipt->request, &reason, receipt->started, &head, name)) {
        problem_memory(&receipt->problem);
    } else if (spool_open(&spool, receipt->config.spool, receipt->config.min_free,
                          &receipt->problem)) {
        const struct text parts[] = {{head.data, head.length},
                                     {receipt->request.body.data, receipt->request.body.length}};
        kept = spool_reject(&spool, name, parts, 2, &receipt->problem);
        spool_close(&spool);
    }
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
    log_number(&line, "bytes", (int64_t)receipt->bytes);
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
    request_release(&receipt->request);
}

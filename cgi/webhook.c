/*
 * tradecloud-webhook: the CGI program that Tradecloud's webhooks call. See tradecloud-webhook(8).
 *
 * One request, one process, one durable file: authenticate, read, judge, store, and only then
 * answer. Whatever fails on our side is 503, which the sender retries; 4xx, which it does not, is
 * for what no retry can mend, and then the body is kept.
 */
#include "auth.h"
#include "config.h"
#include "envelope.h"
#include "event.h"
#include "log.h"
#include "problem.h"
#include "process.h"
#include "rejection.h"
#include "request.h"
#include "response.h"
#include "spool.h"
#include "timestamp.h"

#include <stdio.h>
#include <string.h>

/* Seconds for a whole run. Far below the 36 hours after which a file in the spool's tmp/ counts as
 * abandoned, so that none is swept away under its writer. */
enum { DEADLINE = 60 };

enum outcome {
    SPOOLED,
    DUPLICATE,
    REJECTED, /* 4xx; the body, if any, is kept */
    REFUSED,  /* 401; nothing is kept */
    FAILED,   /* 5xx; the sender tries again */
};

/* One request, from beginning to end. */
struct work {
    int64_t started; /* see timestamp.h */
    struct request request;
    struct config config;
    struct event event;
    struct envelope envelope;
    char file[ENVELOPE_NAME_SIZE]; /* the name in the spool; empty if there is none */
    struct problem problem;
};

static struct text body_of(const struct work *work)
{
    return (struct text){work->request.body.data, work->request.body.length};
}

/* Answer with the problem at hand, a 4xx, but only if the body can be kept. */
static enum outcome reject(struct work *work)
{
    struct problem reason = work->problem;
    struct buffer head = BUFFER_INIT;
    struct spool spool;
    char name[REJECTION_NAME_SIZE];
    bool kept = false;
    if (work->request.body.length == 0)
        return REJECTED;
    if (!rejection_build(&work->request, &reason, work->started, &head, name)) {
        problem_memory(&work->problem);
    } else if (spool_open(&spool, work->config.spool, work->config.min_free, &work->problem)) {
        const struct text parts[] = {{head.data, head.length}, body_of(work)};
        kept = spool_reject(&spool, name, parts, 2, &work->problem);
        spool_close(&spool);
    }
    buffer_release(&head);
    if (!kept)
        return FAILED;
    (void)snprintf(work->file, sizeof work->file, "%s", name);
    return REJECTED;
}

/* The time of the event's name and envelope: its own, or that of its first receipt. */
static bool find_time(struct work *work, struct spool *spool, int64_t *time)
{
    char name[ENVELOPE_NAME_SIZE];
    *time = work->event.time;
    if (work->event.has_time)
        return true;
    (void)snprintf(name, sizeof name, "%s_%s", event_kind_name(work->event.kind),
                   work->envelope.key);
    return spool_receipt_time(spool, name, work->started, time, &work->problem);
}

static enum outcome store_in(struct work *work, struct spool *spool)
{
    int64_t time;
    struct envelope *envelope = &work->envelope;
    envelope_identify(envelope, &work->event, body_of(work));
    if (!find_time(work, spool, &time))
        return FAILED;
    if (!envelope_build(envelope, &work->event, work->config.api_url, time)) {
        problem_memory(&work->problem);
        return FAILED;
    }
    const struct text parts[] = {
        {envelope->head.data, envelope->head.length},
        body_of(work),
        text_of(ENVELOPE_TAIL),
    };
    switch (spool_store(spool, envelope->name, parts, 3, &work->problem)) {
    case SPOOL_STORED:
        (void)memcpy(work->file, envelope->name, sizeof work->file);
        return SPOOLED;
    case SPOOL_DUPLICATE:
        (void)memcpy(work->file, envelope->name, sizeof work->file);
        return DUPLICATE;
    case SPOOL_FAILURE:
        break;
    }
    return FAILED;
}

static enum outcome store(struct work *work)
{
    struct spool spool;
    if (!spool_open(&spool, work->config.spool, work->config.min_free, &work->problem))
        return FAILED;
    enum outcome outcome = store_in(work, &spool);
    spool_close(&spool);
    return outcome;
}

static enum outcome judge(struct work *work)
{
    struct problem *problem = &work->problem;
    if (work->request.body.length == 0) {
        problem_set(problem, 400, "the body is empty");
        return REJECTED;
    }
    switch (event_read(body_of(work), &work->event, problem)) {
    case EVENT_READ:
        return store(work);
    case EVENT_INCOMPLETE:
        /* Where no length was announced, an upload that broke off looks like this. */
        if (work->request.content_length != NULL)
            return reject(work);
        problem->status = 503;
        return FAILED;
    case EVENT_MALFORMED:
        return reject(work);
    case EVENT_NO_MEMORY:
        break;
    }
    return FAILED;
}

/* What the request is, is judged only after its body was read: it may have to be kept. */
static enum outcome receive(struct work *work)
{
    struct request *request = &work->request;
    struct problem *problem = &work->problem;
    if (!request_read_body(request, work->config.max_body, problem))
        return FAILED;
    if (request->method == REQUEST_OTHER) {
        problem_set(problem, 405, "the method is not GET, POST or PUT");
        return reject(work);
    }
    if (request->method == REQUEST_GET) {
        problem_set(problem, 503, "GET webhooks are not served yet: configure POST or PUT");
        return FAILED;
    }
    if (!request_is_json(request)) {
        problem_set(problem, 415, "the content type is not JSON: configure JSON, not tXML");
        return reject(work);
    }
    return judge(work);
}

static enum outcome admit(struct work *work)
{
    bool authenticated = auth_check(&work->request, &work->problem);
    if (authenticated && config_read(&work->config, &work->problem))
        return receive(work);
    request_drain(&work->request);
    return authenticated ? FAILED : REFUSED;
}

static bool is_stored(enum outcome outcome)
{
    return outcome == SPOOLED || outcome == DUPLICATE;
}

static void report(const struct work *work, enum outcome outcome)
{
    static const char *const words[] = {
        [SPOOLED] = "spooled", [DUPLICATE] = "duplicate", [REJECTED] = "rejected",
        [REFUSED] = "refused", [FAILED] = "failed",
    };
    const int success = outcome == SPOOLED ? 202 : 200;
    struct log_line line = LOG_LINE_INIT;
    log_text(&line, "outcome", text_of(words[outcome]));
    log_number(&line, "status", is_stored(outcome) ? success : work->problem.status);
    log_text(&line, "method", text_of(work->request.method_name));
    log_text(&line, "remote", text_of(work->request.remote_addr));
    if (is_stored(outcome)) {
        log_text(&line, "kind", text_of(event_kind_name(work->event.kind)));
        log_text(&line, "event", work->event.name);
        log_text(&line, "id", work->envelope.id);
        log_text(&line, "subject", work->event.subject);
        log_text(&line, "version", work->event.version);
    }
    if (work->file[0] != '\0')
        log_text(&line, "file", text_of(work->file));
    log_number(&line, "bytes", (int64_t)work->request.body.length);
    log_number(&line, "ms", timestamp_now() - work->started);
    if (!is_stored(outcome))
        log_text(&line, "reason", text_of(work->problem.reason));
    log_write(&line);
}

static bool answer(const struct work *work, enum outcome outcome)
{
    if (!is_stored(outcome))
        return response_problem(&work->problem);
    return response_stored(work->envelope.id, work->file, outcome == DUPLICATE);
}

/* The arguments are ignored: a web server makes them of a query string (RFC 3875 section 4.4). */
int main(void)
{
    struct work work = {0};
    process_start(DEADLINE);
    work.started = timestamp_now();
    request_init(&work.request);
    enum outcome outcome = admit(&work);
    /* The log first: the answer is the last thing that is sure to happen. */
    report(&work, outcome);
    bool answered = answer(&work, outcome);
    envelope_release(&work.envelope);
    event_release(&work.event);
    request_release(&work.request);
    return answered ? 0 : 1;
}

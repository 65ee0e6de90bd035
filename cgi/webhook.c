/*
 * tradecloud-webhook: the CGI program that Tradecloud's webhooks call. See tradecloud-webhook(8).
 *
 * One request, one process, one durable file: authenticate, read, judge, store, and only then
 * answer. Whatever fails on our side is 503, which the sender retries; 4xx, which it does not, is
 * for what no retry can mend, and then the body is kept. A GET, which only announces an object, is
 * handed to tradecloud-fetch, so that nobody else pays for libcurl.
 */
#include "auth.h"
#include "notification.h"
#include "process.h"
#include "receipt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Seconds for a whole run. Far below the 36 hours after which a file in the spool's tmp/ counts as
 * abandoned, so that none is swept away under its writer. */
enum { DEADLINE = 60 };

/* Nothing is kept of a request without a body. */
static enum outcome reject(struct receipt *receipt)
{
    return body_length(&receipt->body) == 0 ? REJECTED : receipt_reject(receipt);
}

static enum outcome judge(struct receipt *receipt)
{
    struct problem *problem = &receipt->problem;
    enum event_verdict verdict = event_read(&receipt->body, &receipt->event, problem);
    if (verdict == EVENT_READ)
        return receipt_store(receipt, receipt->config.api_url);
    if (verdict == EVENT_FAILED)
        return FAILED;
    if (body_length(&receipt->body) == 0)
        (void)problem_set(problem, 400, "the body is empty");
    else if (verdict == EVENT_INCOMPLETE && receipt->request.content_length == NULL) {
        /* Where no length was announced, an upload that broke off looks like this. */
        problem->status = 503;
        return FAILED;
    }
    return reject(receipt);
}

/* Refuse what needs no look at the body; but it has to be kept. */
static enum outcome refuse(struct receipt *receipt, int status, const char *reason)
{
    if (!body_finish(&receipt->body, &receipt->problem))
        return FAILED;
    (void)problem_set(&receipt->problem, status, "%s", reason);
    return reject(receipt);
}

/* What the client says of itself (HTTP_*) must not reach libcurl, to which HTTP_PROXY is a proxy,
 * nor does the fetching program need any of it: that somebody was authenticated, AUTH_TYPE says. */
static void drop_headers(char **environment)
{
    char **kept = environment;
    for (; *environment != NULL; environment++)
        if (strncmp(*environment, "HTTP_", 5) != 0)
            *kept++ = *environment;
    *kept = NULL;
}

/* Go on as tradecloud-fetch. Returns only if that fails. */
static enum outcome fetch(struct receipt *receipt)
{
    struct notification notification;
    const char *program = receipt->config.fetch_program;
    if (!notification_read(&receipt->request, &notification, &receipt->problem))
        return REJECTED;
    drop_headers(environ);
    if (receipt->request.auth_type == NULL && setenv("AUTH_TYPE", "Bearer", 1) != 0) {
        problem_memory(&receipt->problem);
        return FAILED;
    }
    (void)execl(program, "tradecloud-fetch", notification_kind_name(notification.kind), "--",
                notification.id, (char *)NULL);
    problem_set(&receipt->problem, 503,
                "cannot run %s: %s: set TRADECLOUD_FETCH_PROGRAM to where it is installed", program,
                strerror(errno));
    return FAILED;
}

static enum outcome receive(struct receipt *receipt)
{
    struct request *request = &receipt->request;
    if (request->method == REQUEST_GET) {
        body_drain(request->content_length);
        return fetch(receipt);
    }
    if (!body_init(&receipt->body, request->content_length, &receipt->config, &receipt->problem))
        return FAILED;
    if (request->method == REQUEST_OTHER)
        return refuse(receipt, 405, "the method is not GET, POST or PUT");
    if (!request_is_json(request))
        return refuse(receipt, 415, "the content type is not JSON: configure JSON, not tXML");
    return judge(receipt);
}

static enum outcome admit(struct receipt *receipt)
{
    struct problem *problem = &receipt->problem;
    if (config_read(&receipt->config, problem) &&
        auth_check(&receipt->request, receipt->config.bearer_file, problem))
        return receive(receipt);
    body_drain(receipt->request.content_length);
    return problem->status == 401 ? REFUSED : FAILED;
}

/* The arguments are ignored: a web server makes them of a query string (RFC 3875 section 4.4). */
int main(void)
{
    struct receipt receipt;
    process_start(DEADLINE);
    receipt_init(&receipt);
    enum outcome outcome = admit(&receipt);
    body_discard(&receipt.body);
    /* The log first: the answer is the last thing that is sure to happen. */
    receipt_log(&receipt, outcome);
    bool answered = receipt_answer(&receipt, outcome);
    receipt_release(&receipt);
    return answered ? 0 : 1;
}

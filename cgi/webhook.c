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
    return receipt->request.body.length == 0 ? REJECTED : receipt_reject(receipt);
}

static enum outcome judge(struct receipt *receipt)
{
    struct problem *problem = &receipt->problem;
    const struct text body = {receipt->request.body.data, receipt->request.body.length};
    if (body.length == 0) {
        problem_set(problem, 400, "the body is empty");
        return REJECTED;
    }
    switch (event_read(body, &receipt->event, problem)) {
    case EVENT_READ:
        return receipt_store(receipt, receipt->config.api_url, body);
    case EVENT_INCOMPLETE:
        /* Where no length was announced, an upload that broke off looks like this. */
        if (receipt->request.content_length != NULL)
            return reject(receipt);
        problem->status = 503;
        return FAILED;
    case EVENT_MALFORMED:
        return reject(receipt);
    case EVENT_NO_MEMORY:
        break;
    }
    return FAILED;
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

/* What the request is, is judged only after its body was read: it may have to be kept. */
static enum outcome receive(struct receipt *receipt)
{
    struct request *request = &receipt->request;
    struct problem *problem = &receipt->problem;
    if (!request_read_body(request, receipt->config.max_body, problem))
        return FAILED;
    receipt->bytes = request->body.length;
    if (request->method == REQUEST_OTHER) {
        problem_set(problem, 405, "the method is not GET, POST or PUT");
        return reject(receipt);
    }
    if (request->method == REQUEST_GET)
        return fetch(receipt);
    if (!request_is_json(request)) {
        problem_set(problem, 415, "the content type is not JSON: configure JSON, not tXML");
        return reject(receipt);
    }
    return judge(receipt);
}

static enum outcome admit(struct receipt *receipt)
{
    struct problem *problem = &receipt->problem;
    if (config_read(&receipt->config, problem) &&
        auth_check(&receipt->request, receipt->config.bearer_file, problem))
        return receive(receipt);
    request_drain(&receipt->request);
    return problem->status == 401 ? REFUSED : FAILED;
}

/* The arguments are ignored: a web server makes them of a query string (RFC 3875 section 4.4). */
int main(void)
{
    struct receipt receipt;
    process_start(DEADLINE);
    receipt_init(&receipt);
    enum outcome outcome = admit(&receipt);
    /* The log first: the answer is the last thing that is sure to happen. */
    receipt_log(&receipt, outcome);
    bool answered = receipt_answer(&receipt, outcome);
    receipt_release(&receipt);
    return answered ? 0 : 1;
}

#include "response.h"

#include "lexeme.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RETRY_AFTER "60" /* seconds */
#define RETRY_LATER                                                                                \
    "The receiver cannot take this now. It has not been accepted; send it again later."

static const char emergency[] =
    "Status: 503 Service Unavailable\r\n"
    "Content-Type: application/problem+json\r\n"
    "Cache-Control: no-store\r\n"
    "Retry-After: " RETRY_AFTER "\r\n"
    "\r\n"
    "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,"
    "\"detail\":\"" RETRY_LATER "\"}\n";

/* Set before the first byte of an answer: a signal that comes later must not add a second one. */
enum { UNANSWERED, ANSWERED, NOBODY };
static volatile sig_atomic_t begun = UNANSWERED;

/* The statuses there are, with what each needs beside a body. The last stands for any that is not
 * here, which would be a mistake of ours. */
static const struct status {
    int code;
    const char *title;  /* RFC 9110 section 15 */
    const char *header; /* a further header line */
} statuses[] = {
    {200, "OK", ""},
    {202, "Accepted", ""},
    {400, "Bad Request", ""},
    {401, "Unauthorized", NULL}, /* the challenge */
    {404, "Not Found", ""},
    {405, "Method Not Allowed", "Allow: GET, POST, PUT\r\n"},
    {415, "Unsupported Media Type", ""},
    {502, "Bad Gateway", "Retry-After: " RETRY_AFTER "\r\n"},
    {504, "Gateway Timeout", "Retry-After: " RETRY_AFTER "\r\n"},
    {503, "Service Unavailable", "Retry-After: " RETRY_AFTER "\r\n"},
};

static const struct status *find_status(int code)
{
    size_t i = 0;
    while (i < sizeof statuses / sizeof statuses[0] - 1 && statuses[i].code != code)
        i++;
    return &statuses[i];
}

static bool write_all(const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes += written;
        length -= (size_t)written;
    }
    return true;
}

bool response_emergency(void)
{
    bool first = begun == UNANSWERED;
    bool anybody = begun != NOBODY;
    if (first) {
        begun = ANSWERED;
        ssize_t written = write(STDOUT_FILENO, emergency, sizeof emergency - 1);
        (void)written;
    }
    return first || !anybody;
}

void response_to_nobody(void)
{
    begun = NOBODY;
}

/* Send what could be put together. */
static bool send(const struct buffer *answer, bool built)
{
    if (!built) {
        (void)response_emergency();
        return false;
    }
    begun = ANSWERED;
    return write_all(answer->data, answer->length);
}

static bool add_head(struct buffer *answer, const struct status *status, const char *type,
                     const char *header)
{
    static const char format[] = "Status: %d %s\r\n"
                                 "Content-Type: %s\r\n"
                                 "Cache-Control: no-store\r\n"
                                 "%s"
                                 "\r\n";
    char head[512];
    (void)snprintf(head, sizeof head, format, status->code, status->title, type, header);
    return buffer_append_string(answer, head);
}

/* Append `"name":"value"` behind what `before` says: an opening brace or a comma. */
static bool add(struct buffer *answer, const char *before, const char *name, struct text value)
{
    return buffer_append_string(answer, before) && lexeme_encode(text_of(name), answer) &&
           buffer_append_string(answer, ":") && lexeme_encode(value, answer);
}

bool response_stored(struct text id, const char *file, bool duplicate)
{
    struct buffer answer = BUFFER_INIT;
    const struct status *status = find_status(duplicate ? 200 : 202);
    bool built = add_head(&answer, status, "application/json", status->header) &&
                 add(&answer, "{", "status", text_of(duplicate ? "duplicate" : "spooled")) &&
                 add(&answer, ",", "id", id) && add(&answer, ",", "file", text_of(file)) &&
                 buffer_append_string(&answer, "}\n");
    bool sent = send(&answer, built);
    buffer_release(&answer);
    return sent;
}

bool response_problem(const struct problem *problem, const char *challenge)
{
    char number[24];
    struct buffer answer = BUFFER_INIT;
    const struct status *status = find_status(problem->status);
    const char *header = status->header == NULL ? challenge : status->header;
    const char *detail = status->code < 500 ? problem->reason : RETRY_LATER;
    (void)snprintf(number, sizeof number, ",\"status\":%d", status->code);
    bool built = add_head(&answer, status, "application/problem+json", header) &&
                 add(&answer, "{", "type", text_of("about:blank")) &&
                 add(&answer, ",", "title", text_of(status->title)) &&
                 buffer_append_string(&answer, number) &&
                 add(&answer, ",", "detail", text_of(detail)) &&
                 buffer_append_string(&answer, "}\n");
    bool sent = send(&answer, built);
    buffer_release(&answer);
    return sent;
}

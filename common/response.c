#include "response.h"

#include <json-c/json.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RETRY_AFTER "60" /* seconds */
#define JSON_STYLE  (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
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
static volatile sig_atomic_t begun;

/* The statuses there are, with what each needs beside a body. */
static const struct status {
    int code;
    const char *title;  /* RFC 9110 section 15 */
    const char *header; /* a further header line */
} statuses[] = {
    {200, "OK", ""},
    {202, "Accepted", ""},
    {400, "Bad Request", ""},
    {401, "Unauthorized", "WWW-Authenticate: Basic realm=\"tradecloud\", charset=\"UTF-8\"\r\n"},
    {404, "Not Found", ""},
    {405, "Method Not Allowed", "Allow: GET, POST, PUT\r\n"},
    {415, "Unsupported Media Type", ""},
    {502, "Bad Gateway", "Retry-After: " RETRY_AFTER "\r\n"},
    {503, "Service Unavailable", "Retry-After: " RETRY_AFTER "\r\n"},
    {504, "Gateway Timeout", "Retry-After: " RETRY_AFTER "\r\n"},
};

/* A status that is not in the table would be a mistake of ours, hence 503. */
static const struct status *find_status(int code)
{
    const struct status *found = NULL;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (statuses[i].code == code || (statuses[i].code == 503 && found == NULL))
            found = &statuses[i];
    return found;
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

void response_emergency(void)
{
    if (begun != 0)
        return;
    begun = 1;
    ssize_t written = write(STDOUT_FILENO, emergency, sizeof emergency - 1);
    (void)written;
}

void response_to_nobody(void)
{
    begun = 1;
}

static bool send(const struct status *status, const char *type, const char *json)
{
    static const char format[] = "Status: %d %s\r\n"
                                 "Content-Type: %s\r\n"
                                 "Cache-Control: no-store\r\n"
                                 "%s"
                                 "\r\n";
    char head[512];
    int length =
        snprintf(head, sizeof head, format, status->code, status->title, type, status->header);
    struct buffer answer = BUFFER_INIT;
    bool sent = false;
    if (length > 0 && buffer_append(&answer, head, (size_t)length) &&
        buffer_append_string(&answer, json) && buffer_append_string(&answer, "\n")) {
        begun = 1;
        sent = write_all(answer.data, answer.length);
    } else {
        response_emergency();
    }
    buffer_release(&answer);
    return sent;
}

/* Add a member whose value may be NULL for want of memory, in which case it is false. */
static bool add(struct json_object *object, const char *key, struct json_object *value)
{
    if (object != NULL && value != NULL && json_object_object_add(object, key, value) == 0)
        return true;
    json_object_put(value);
    return false;
}

/* Send an object if it could be built, and free it. */
static bool send_object(const struct status *status, const char *type, struct json_object *object,
                        bool built)
{
    const char *json = built ? json_object_to_json_string_ext(object, JSON_STYLE) : NULL;
    bool sent = false;
    if (json != NULL)
        sent = send(status, type, json);
    else
        response_emergency();
    json_object_put(object);
    return sent;
}

static struct json_object *string(const char *text)
{
    return json_object_new_string(text);
}

bool response_stored(struct text id, const char *file, bool duplicate)
{
    struct json_object *object = json_object_new_object();
    bool built = add(object, "status", string(duplicate ? "duplicate" : "spooled")) &&
                 add(object, "id", json_object_new_string_len(id.data, (int)id.length)) &&
                 add(object, "file", string(file));
    return send_object(find_status(duplicate ? 200 : 202), "application/json", object, built);
}

bool response_problem(const struct problem *problem)
{
    const struct status *status = find_status(problem->status);
    const char *detail = status->code < 500 ? problem->reason : RETRY_LATER;
    struct json_object *object = json_object_new_object();
    bool built = add(object, "type", string("about:blank")) &&
                 add(object, "title", string(status->title)) &&
                 add(object, "status", json_object_new_int(status->code)) &&
                 add(object, "detail", string(detail));
    return send_object(status, "application/problem+json", object, built);
}

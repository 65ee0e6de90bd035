#include "request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { READ_SIZE = 65536 }; /* a pipe's size on Linux */

static const char *meta_variable(const char *name)
{
    const char *value = getenv(name);
    return value == NULL || *value == '\0' ? NULL : value;
}

/* Methods are case-sensitive (RFC 9110 section 9.1). */
static enum request_method method_of(const char *name)
{
    if (name == NULL)
        return REQUEST_OTHER;
    if (strcmp(name, "GET") == 0)
        return REQUEST_GET;
    if (strcmp(name, "POST") == 0)
        return REQUEST_POST;
    return strcmp(name, "PUT") == 0 ? REQUEST_PUT : REQUEST_OTHER;
}

void request_init(struct request *request)
{
    *request = (struct request){
        .method_name = meta_variable("REQUEST_METHOD"),
        .auth_type = meta_variable("AUTH_TYPE"),
        .authorization = meta_variable("HTTP_AUTHORIZATION"),
        .content_length = meta_variable("CONTENT_LENGTH"),
        .content_type = meta_variable("CONTENT_TYPE"),
        .path_info = meta_variable("PATH_INFO"),
        .query_string = meta_variable("QUERY_STRING"),
        .script_name = meta_variable("SCRIPT_NAME"),
        .request_uri = meta_variable("REQUEST_URI"),
        .remote_addr = meta_variable("REMOTE_ADDR"),
        .body = BUFFER_INIT,
    };
    request->method = method_of(request->method_name);
}

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
    char bytes[READ_SIZE];
    while (left > 0) {
        ssize_t got = read_some(bytes, left < sizeof bytes ? (size_t)left : sizeof bytes);
        if (got <= 0)
            return;
        left -= (uint64_t)got;
    }
}

void request_drain(const struct request *request)
{
    uint64_t length;
    if (request->content_length == NULL || !parse_length(request->content_length, &length))
        length = UINT64_MAX;
    drain(length);
}

static bool read_failed(struct problem *problem)
{
    return problem_set(problem, 503, "cannot read the request body: %s", strerror(errno));
}

static bool too_large(uint64_t max_body, struct problem *problem)
{
    return problem_set(problem, 503,
                       "the body is larger than TRADECLOUD_MAX_BODY=%" PRIu64
                       ": raise it, and the web server's own limit on bodies",
                       max_body);
}

/* Exactly `length` bytes. */
static bool read_counted(struct buffer *body, uint64_t length, struct problem *problem)
{
    if (!buffer_reserve(body, (size_t)length)) {
        drain(length);
        return problem_memory(problem);
    }
    while (body->length < length) {
        ssize_t got = read_some(body->data + body->length, (size_t)length - body->length);
        if (got < 0)
            return read_failed(problem);
        if (got == 0)
            return problem_set(problem, 503,
                               "the body was cut short: %zu of %" PRIu64 " bytes arrived",
                               body->length, length);
        body->length += (size_t)got;
    }
    return true;
}

/* To the end of input, but no more than `max_body` bytes. */
static bool read_to_end(struct buffer *body, uint64_t max_body, struct problem *problem)
{
    for (;;) {
        if (!buffer_reserve(body, READ_SIZE)) {
            drain(UINT64_MAX);
            return problem_memory(problem);
        }
        ssize_t got = read_some(body->data + body->length, body->capacity - body->length);
        if (got < 0)
            return read_failed(problem);
        if (got == 0)
            return true;
        body->length += (size_t)got;
        if (body->length > max_body) {
            drain(UINT64_MAX);
            return too_large(max_body, problem);
        }
    }
}

bool request_read_body(struct request *request, uint64_t max_body, struct problem *problem)
{
    uint64_t length;
    if (request->content_length == NULL)
        return read_to_end(&request->body, max_body, problem);
    if (!parse_length(request->content_length, &length)) {
        drain(UINT64_MAX);
        return problem_set(problem, 503,
                           "the web server passed a CONTENT_LENGTH that is not a number");
    }
    if (length > max_body) {
        drain(length);
        return too_large(max_body, problem);
    }
    return read_counted(&request->body, length, problem);
}

bool request_is_json(const struct request *request)
{
    static const char tree[] = "application/";
    static const char suffix[] = "+json";
    const char *type = request->content_type;
    if (type == NULL)
        return true;
    type += strspn(type, " \t");
    size_t length = strcspn(type, "; \t");
    if (length < sizeof tree || strncasecmp(type, tree, sizeof tree - 1) != 0)
        return false;
    type += sizeof tree - 1;
    length -= sizeof tree - 1;
    if (length == 4 && strncasecmp(type, "json", 4) == 0)
        return true;
    const size_t tail = sizeof suffix - 1;
    return length > tail && strncasecmp(type + length - tail, suffix, tail) == 0;
}

void request_release(struct request *request)
{
    buffer_release(&request->body);
}

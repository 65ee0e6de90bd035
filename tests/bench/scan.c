/*
 * How fast bodies are judged: our scanner, as the program calls it, and json-c's strict parser on
 * the same bytes.
 *
 *     scan ROUNDS BODY
 *
 * For each round a line is printed: nanoseconds of the one and of the other.
 */
#include "event.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static bool read_file(const char *path, struct buffer *body)
{
    enum { STEP = 1 << 20 };
    size_t got = 0;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    do {
        if (!buffer_reserve(body, STEP))
            break;
        got = fread(body->data + body->length, 1, STEP, file);
        body->length += got;
    } while (got > 0);
    bool whole = feof(file) != 0;
    (void)fclose(file);
    return whole;
}

static bool scan_once(const struct buffer *bytes)
{
    struct event event = {.values = BUFFER_INIT};
    struct problem problem = {.status = 0};
    struct body body = {.window = *bytes};
    bool valid = event_read(&body, &event, &problem) == EVENT_READ;
    event_release(&event);
    return valid;
}

static bool parse_once(const struct buffer *body)
{
    struct json_tokener *parser = json_tokener_new();
    if (parser == NULL)
        return false;
    json_tokener_set_flags(parser, JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *object = json_tokener_parse_ex(parser, body->data, (int)body->length);
    bool valid = object != NULL;
    (void)json_object_put(object);
    json_tokener_free(parser);
    return valid;
}

static bool run(long rounds, const struct buffer *body)
{
    for (long round = 0; round < rounds; round++) {
        int64_t begun = now();
        bool scanned = scan_once(body);
        int64_t between = now();
        bool parsed = parse_once(body);
        int64_t ended = now();
        if (!scanned || !parsed)
            return false;
        (void)printf("%" PRId64 " %" PRId64 "\n", between - begun, ended - between);
    }
    return fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
    struct buffer body = BUFFER_INIT;
    if (argc != 3) {
        (void)fputs("usage: scan ROUNDS BODY\n", stderr);
        return 2;
    }
    bool done = read_file(argv[2], &body) && run(strtol(argv[1], NULL, 10), &body);
    buffer_release(&body);
    return done ? 0 : 1;
}

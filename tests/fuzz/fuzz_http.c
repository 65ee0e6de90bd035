/*
 * The API's answer as far as we read it ourselves: header lines and body, in the pieces in which
 * libcurl hands them over, and URLs. The functions are static, hence the source.
 */
/* NOLINTNEXTLINE(bugprone-suspicious-include) */
#include "../../common/http.c"

#include "fuzz.h"

static void check_token(const char *token)
{
    size_t length = strnlen(token, TOKEN_MAX + 1);
    CHECK(length <= TOKEN_MAX);
    for (size_t i = 0; i < length; i++)
        CHECK(token[i] > ' ' && token[i] <= '~');
}

static void check_lines(const uint8_t *data, size_t size)
{
    static struct exchange exchange;
    exchange = (struct exchange){.max_body = 100};
    char *line;
    while ((line = take_line(&data, &size)) != NULL) {
        size_t length = strlen(line);
        /* Without a NUL behind it, as it comes. */
        char *bytes = malloc(length + 1);
        CHECK(bytes != NULL);
        memcpy(bytes, line, length);
        bytes = realloc(bytes, length == 0 ? 1 : length);
        CHECK(take_header(bytes, 1, length, &exchange) == length);
        size_t taken = take_body(bytes, 1, length, &exchange);
        CHECK(taken == length || exchange.too_large);
        CHECK(exchange.body.length <= 100);
        if (strncmp(line, "http", 4) == 0) {
            struct problem problem;
            if (!http_check_url("X", line, &problem))
                CHECK(problem.status == 503);
        }
        free(bytes);
        free(line);
    }
    check_token(exchange.access);
    check_token(exchange.refresh);
    exchange_release(&exchange);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_lines(data, size);
    return 0;
}

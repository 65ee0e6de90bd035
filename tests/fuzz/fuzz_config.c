/*
 * Configuration: one variable a line, in the order of the table in tradecloud-webhook(8). What is
 * accepted is within its limits.
 */
#include "config.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {
        "TRADECLOUD_SPOOL",          "TRADECLOUD_MAX_BODY", "TRADECLOUD_MIN_FREE",
        "TRADECLOUD_API_URL",        "TRADECLOUD_TIMEOUT",  "TRADECLOUD_NETRC",
        "TRADECLOUD_LEGACY_API_URL", "TRADECLOUD_CA_FILE",  "TRADECLOUD_FETCH_PROGRAM"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *value = take_line(&data, &size);
        /* "-" is not set, so that any other can be tried alone. */
        if (value == NULL || strcmp(value, "-") == 0)
            CHECK(unsetenv(names[i]) == 0);
        else
            CHECK(setenv(names[i], value, 1) == 0);
        free(value);
    }
    struct config config;
    struct problem problem;
    if (!config_read(&config, &problem)) {
        CHECK(problem.status == 503 && strstr(problem.reason, "TRADECLOUD_") != NULL);
        return 0;
    }
    CHECK(config.spool[0] == '/' && config.netrc[0] == '/' && config.fetch_program[0] == '/');
    CHECK(config.max_body >= 1 && config.max_body <= UINT64_C(1) << 30);
    CHECK(config.timeout >= 1 && config.timeout <= 300);
    CHECK(strncmp(config.api_url, "http", 4) == 0 && strpbrk(config.api_url, "\" \\?#") == NULL);
    return 0;
}

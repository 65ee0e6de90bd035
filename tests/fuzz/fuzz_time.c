/*
 * A time as a sender may write it: what is understood can be written and read again, and is what
 * the C library makes of it.
 */
#include "fuzz.h"
#include "timestamp.h"

#include <time.h>

static void check_written(int64_t time)
{
    char text[TIMESTAMP_RFC3339_SIZE];
    char name[TIMESTAMP_NAME_SIZE];
    char expected[64];
    int64_t again;
    timestamp_rfc3339(time, text);
    timestamp_name(time, name);
    CHECK(timestamp_parse(text_of(text), &again) && again == time);
    CHECK(timestamp_parse_name(text_of(name), &again) && again == time);
    int64_t fraction = ((time % 1000) + 1000) % 1000;
    time_t seconds = (time_t)((time - fraction) / 1000);
    struct tm parts;
    CHECK(gmtime_r(&seconds, &parts) != NULL);
    (void)snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                   parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                   parts.tm_min, parts.tm_sec, (int)fraction);
    CHECK(strcmp(text, expected) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct text text = {(const char *)data, size};
    char name[TIMESTAMP_NAME_SIZE];
    int64_t time;
    if (timestamp_parse(text, &time))
        check_written(time);
    if (timestamp_parse_name(text, &time)) {
        timestamp_name(time, name);
        CHECK(size == sizeof name - 1 && memcmp(name, data, size) == 0);
        check_written(time);
    }
    return 0;
}

#include "age.h"

#include <stddef.h>
#include <stdio.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define MOST   (36500 * DAY)

static const struct unit {
    char letter;
    int64_t length;
} units[] = {{'d', DAY}, {'h', HOUR}, {'m', MINUTE}, {'s', SECOND}, {'w', 7 * DAY}};

/* The last one that age_format uses. */
enum { SMALLEST = 3 };

static int64_t unit_length(char letter)
{
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (units[i].letter == letter)
            return units[i].length;
    return 0;
}

bool age_parse(const char *text, int64_t *milliseconds)
{
    int64_t number = 0;
    const char *digits = text;
    /* No number of that many of any unit is below the limit. */
    for (; *text >= '0' && *text <= '9' && number <= MOST; text++)
        number = number * 10 + (*text - '0');
    int64_t unit = *text == '\0' ? 0 : unit_length(*text);
    if (text == digits || unit == 0 || text[1] != '\0' || number > MOST / unit)
        return false;
    *milliseconds = number * unit;
    return true;
}

void age_format(int64_t milliseconds, char text[AGE_SIZE])
{
    const struct unit *unit = units;
    if (milliseconds < 0)
        milliseconds = 0;
    while (unit != &units[SMALLEST] && milliseconds < 2 * unit->length)
        unit++;
    (void)snprintf(text, AGE_SIZE, "%lld%c", (long long)(milliseconds / unit->length),
                   unit->letter);
}

#include "timestamp.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const int64_t YEAR_1 = -62135596800000;    /* 0001-01-01T00:00:00.000Z */
static const int64_t YEAR_9999 = 253402300799999; /* 9999-12-31T23:59:59.999Z */

enum { DAY = 24 * 60 * 60, ERA = 400 * 365 + 97 }; /* seconds; days in 400 years */

/* A date and time of the Gregorian calendar, UTC. The C library's functions for this read the
 * machine's time zone first, which is of no use here and costs more than all the rest. */
struct date {
    int year;
    int month; /* 1 to 12 */
    int day;   /* 1 to 31 */
    int hour;
    int minute;
    int second;
};

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Days from 0001-01-01 to the first day of a year. */
static int64_t days_before_year(int year)
{
    int64_t past = year - 1;
    return past * 365 + past / 4 - past / 100 + past / 400;
}

static int64_t seconds_of(const struct date *date)
{
    int64_t days = days_before_year(date->year) + date->day - 1;
    for (int month = 1; month < date->month; month++)
        days += days_in_month(date->year, month);
    int64_t minutes = (int64_t)date->hour * 60 + date->minute;
    return YEAR_1 / 1000 + days * DAY + minutes * 60 + date->second;
}

static struct date date_of(int64_t seconds)
{
    int64_t since = seconds - YEAR_1 / 1000;
    int64_t days = since / DAY;
    int rest = (int)(since % DAY);
    struct date date = {.hour = rest / 3600, .minute = rest / 60 % 60, .second = rest % 60};
    /* Never too late, and early by one at most. */
    date.year = (int)(days * 400 / ERA) + 1;
    if (days_before_year(date.year + 1) <= days)
        date.year++;
    days -= days_before_year(date.year);
    for (date.month = 1; days >= days_in_month(date.year, date.month); date.month++)
        days -= days_in_month(date.year, date.month);
    date.day = (int)days + 1;
    return date;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Take `digits` digits off the text; the number must be from low to high. */
static bool take_number(struct text *text, int digits, int low, int high, int *number)
{
    *number = 0;
    for (; digits > 0; digits--) {
        if (text->length == 0 || !is_digit(*text->data))
            return false;
        *number = *number * 10 + (*text->data - '0');
        text->data++;
        text->length--;
    }
    return *number >= low && *number <= high;
}

/* Take one character off the text if it is one of those. Returns it, or NUL. */
static char take_one_of(struct text *text, const char *characters)
{
    if (text->length == 0 || *text->data == '\0' || strchr(characters, *text->data) == NULL)
        return '\0';
    text->length--;
    return *text->data++;
}

static bool take_date(struct text *text, const char *separator, struct date *date)
{
    bool dashes = *separator != '\0';
    return take_number(text, 4, 1, 9999, &date->year) &&
           (!dashes || take_one_of(text, separator) != '\0') &&
           take_number(text, 2, 1, 12, &date->month) &&
           (!dashes || take_one_of(text, separator) != '\0') &&
           take_number(text, 2, 1, days_in_month(date->year, date->month), &date->day);
}

/* A second of 60 is RFC 3339's leap second; it counts as the first second of the next minute. */
static bool take_time(struct text *text, const char *separator, struct date *date)
{
    bool colons = *separator != '\0';
    return take_number(text, 2, 0, 23, &date->hour) &&
           (!colons || take_one_of(text, separator) != '\0') &&
           take_number(text, 2, 0, 59, &date->minute) &&
           (!colons || take_one_of(text, separator) != '\0') &&
           take_number(text, 2, 0, 60, &date->second);
}

/* An optional fraction, cut to milliseconds. */
static bool take_fraction(struct text *text, int *milliseconds)
{
    *milliseconds = 0;
    if (take_one_of(text, ".") == '\0')
        return true;
    if (text->length == 0 || !is_digit(*text->data))
        return false;
    for (int weight = 100; text->length > 0 && is_digit(*text->data); weight /= 10) {
        *milliseconds += (*text->data - '0') * weight;
        text->data++;
        text->length--;
    }
    return true;
}

/* An optional zone: Z, or hours and minutes east of UTC. */
static bool take_zone(struct text *text, int *minutes)
{
    *minutes = 0;
    if (text->length == 0 || take_one_of(text, "Zz") != '\0')
        return true;
    char sign = take_one_of(text, "+-");
    int hours;
    int rest;
    if (sign == '\0' || !take_number(text, 2, 0, 23, &hours))
        return false;
    (void)take_one_of(text, ":");
    if (!take_number(text, 2, 0, 59, &rest))
        return false;
    *minutes = (hours * 60 + rest) * (sign == '-' ? -1 : 1);
    return true;
}

bool timestamp_parse(struct text text, int64_t *milliseconds)
{
    struct date date;
    int fraction;
    int east;
    if (!take_date(&text, "-", &date) || take_one_of(&text, "Tt ") == '\0' ||
        !take_time(&text, ":", &date) || !take_fraction(&text, &fraction) ||
        !take_zone(&text, &east) || text.length > 0)
        return false;
    *milliseconds = (seconds_of(&date) - (int64_t)east * 60) * 1000 + fraction;
    return *milliseconds >= YEAR_1 && *milliseconds <= YEAR_9999;
}

/* Whether timestamp_name would write it so; a leap second, for one, it would not. */
static bool is_name_of(const char *name, int64_t milliseconds)
{
    char written[TIMESTAMP_NAME_SIZE];
    timestamp_name(milliseconds, written);
    return memcmp(name, written, TIMESTAMP_NAME_SIZE - 1) == 0;
}

bool timestamp_parse_name(struct text name, int64_t *milliseconds)
{
    const char *whole = name.data;
    struct date date;
    int fraction;
    if (name.length != TIMESTAMP_NAME_SIZE - 1 || !take_date(&name, "", &date) ||
        take_one_of(&name, "T") == '\0' || !take_time(&name, "", &date) ||
        !take_fraction(&name, &fraction) || take_one_of(&name, "Z") == '\0')
        return false;
    *milliseconds = seconds_of(&date) * 1000 + fraction;
    return *milliseconds <= YEAR_9999 && is_name_of(whole, *milliseconds);
}

int64_t timestamp_of(struct timespec time)
{
    if (time.tv_sec < YEAR_1 / 1000)
        return YEAR_1;
    if (time.tv_sec >= YEAR_9999 / 1000)
        return YEAR_9999;
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;
    /* These clocks cannot fail on any system this runs on. */
    (void)clock_gettime(clock, &now);
    return timestamp_of(now);
}

int64_t timestamp_now(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t timestamp_monotonic(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

void timestamp_name(int64_t milliseconds, char name[TIMESTAMP_NAME_SIZE])
{
    /* Never negative, also before 1970. */
    int rest = (int)(((milliseconds % 1000) + 1000) % 1000);
    struct date date = date_of((milliseconds - rest) / 1000);
    /* The remainders change nothing; they show the compiler that the text fits. */
    (void)snprintf(name, TIMESTAMP_NAME_SIZE, "%04u%02u%02uT%02u%02u%02u.%03uZ",
                   (unsigned)date.year % 10000, (unsigned)date.month % 100,
                   (unsigned)date.day % 100, (unsigned)date.hour % 100, (unsigned)date.minute % 100,
                   (unsigned)date.second % 100, (unsigned)rest % 1000);
}

void timestamp_rfc3339(int64_t milliseconds, char text[TIMESTAMP_RFC3339_SIZE])
{
    char name[TIMESTAMP_NAME_SIZE];
    timestamp_name(milliseconds, name);
    (void)snprintf(text, TIMESTAMP_RFC3339_SIZE, "%.4s-%.2s-%.5s:%.2s:%s", name, name + 4, name + 6,
                   name + 11, name + 13);
}

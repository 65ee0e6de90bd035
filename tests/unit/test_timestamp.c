#include "unit.h"

#include "timestamp.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* 0001-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z. */
#define FIRST INT64_C(-62135596800000)
#define LAST  INT64_C(253402300799999)

static const struct {
    const char *text;
    int64_t milliseconds;
} good[] = {
    /* the ways to write one and the same time */
    {"2025-04-23T10:01:53.812Z", INT64_C(1745402513812)},
    {"2025-04-23T10:01:53Z", INT64_C(1745402513000)},
    {"2025-04-23T10:01:53", INT64_C(1745402513000)},
    {"2025-04-23T10:01:53.812", INT64_C(1745402513812)},
    {"2025-04-23t10:01:53.812z", INT64_C(1745402513812)},
    {"2025-04-23 10:01:53.812Z", INT64_C(1745402513812)},
    /* 1970 and before, and the limits of the years */
    {"1970-01-01T00:00:00Z", INT64_C(0)},
    {"1970-01-01T00:00:00.001Z", INT64_C(1)},
    {"1969-12-31T23:59:59Z", INT64_C(-1000)},
    {"1969-12-31T23:59:59.999Z", INT64_C(-1)},
    {"1969-12-31T23:59:59.001Z", INT64_C(-999)},
    {"1900-03-01T12:00:00Z", INT64_C(-2203848000000)},
    {"1600-02-29T00:00:00Z", INT64_C(-11670998400000)},
    {"0001-01-01T00:00:00Z", INT64_C(-62135596800000)},
    {"0001-01-01T00:00:00.000Z", INT64_C(-62135596800000)},
    {"9999-12-31T23:59:59.999Z", INT64_C(253402300799999)},
    /* long after */
    {"2038-01-19T03:14:08Z", INT64_C(2147483648000)},
    /* the ends of the months */
    {"2000-02-29T23:59:59.999Z", INT64_C(951868799999)},
    {"2024-02-29T00:00:00Z", INT64_C(1709164800000)},
    {"2024-12-31T23:59:59Z", INT64_C(1735689599000)},
    {"2025-01-31T00:00:00Z", INT64_C(1738281600000)},
    {"2025-03-31T00:00:00Z", INT64_C(1743379200000)},
    {"2025-04-30T00:00:00Z", INT64_C(1745971200000)},
    {"2025-05-31T00:00:00Z", INT64_C(1748649600000)},
    {"2025-06-30T00:00:00Z", INT64_C(1751241600000)},
    {"2025-07-31T00:00:00Z", INT64_C(1753920000000)},
    {"2025-08-31T00:00:00Z", INT64_C(1756598400000)},
    {"2025-09-30T00:00:00Z", INT64_C(1759190400000)},
    {"2025-10-31T00:00:00Z", INT64_C(1761868800000)},
    {"2025-11-30T00:00:00Z", INT64_C(1764460800000)},
    {"2025-02-28T23:59:59Z", INT64_C(1740787199000)},
    /* zones */
    {"2025-04-23T00:00:00+00:00", INT64_C(1745366400000)},
    {"2025-04-23T00:00:00-00:00", INT64_C(1745366400000)},
    {"2025-04-23T02:00:00+02:00", INT64_C(1745366400000)},
    {"2025-04-23T10:01:53.812+02:00", INT64_C(1745395313812)},
    {"2025-04-23T10:01:53.812-05:30", INT64_C(1745422313812)},
    {"2025-04-23T00:30:00+01:00", INT64_C(1745364600000)},
    {"2025-12-31T23:30:00-01:00", INT64_C(1767227400000)},
    {"2024-03-01T00:30:00+01:00", INT64_C(1709249400000)},
    {"2025-04-23T10:01:53+23:59", INT64_C(1745316173000)},
    {"2025-04-23T10:01:53-23:59", INT64_C(1745488853000)},
    {"1970-01-01T00:00:00+00:01", INT64_C(-60000)},
    {"0001-01-01T00:00:00-00:01", INT64_C(-62135596740000)},
    {"0001-01-01T01:00:00+01:00", INT64_C(-62135596800000)},
    {"9999-12-31T23:59:59.999+00:00", INT64_C(253402300799999)},
    {"9999-12-31T22:59:59.999-01:00", INT64_C(253402300799999)},
    {"9999-12-31T23:59:59+00:01", INT64_C(253402300739000)},
};

static const char *const bad[] = {
    /* incomplete */
    "",
    " ",
    "2025",
    "2025-04",
    "2025-04-23",
    "2025-04-23T",
    "2025-04-23T10",
    "2025-04-23T10:01",
    "2025-04-23T10:01Z",
    "2025-04-23T10:01:",
    "2025-04-23T10:01:5",
    "2025-04-23T10:01:53.",
    "2025-04-23T10:01:53.Z",
    "2025-04-23T10:01:53+",
    "2025-04-23T10:01:53+0",
    "2025-04-23T10:01:53+02",
    "2025-04-23T10:01:53+02:",
    "2025-04-23T10:01:53+02:0",
    /* too much */
    " 2025-04-23T10:01:53Z",
    "2025-04-23T10:01:53Z ",
    "2025-04-23T10:01:53Z\n",
    "2025-04-23T10:01:53ZZ",
    "2025-04-23T10:01:53Z+00:00",
    "2025-04-23T10:01:53 Z",
    "2025-04-23T10:01:53 +02:00",
    "2025-04-23T10:01:53+02:000",
    "2025-04-23T10:01:53.8.1Z",
    "2025-04-23T10:01:53.812Z[Europe/Amsterdam]",
    "2025-04-23T10:01:53CEST",
    "02025-04-23T10:01:53Z",
    "12025-04-23T10:01:53Z",
    "+2025-04-23T10:01:53Z",
    "-2025-04-23T10:01:53Z",
    /* too few digits, or other than digits */
    "25-04-23T10:01:53Z",
    "2025-4-23T10:01:53Z",
    "2025-04-3T10:01:53Z",
    "2025-04-23T1:01:53Z",
    "2025-04-23T10:1:53Z",
    "2025-04-23T10:01:3Z",
    "2025-04-23T10:01:53.-12Z",
    "2025-04-23T10:01:53.+12Z",
    "2025-04-23T10:01:53. 12Z",
    "2025-04-23T10:01:53.1e2Z",
    "2025-04-23T-1:01:53Z",
    "2025-04-23T+1:01:53Z",
    "2025-04-23T 1:01:53Z",
    "2025-0a-23T10:01:53Z",
    "2025-04-2xT10:01:53Z",
    "0x25-04-23T10:01:53Z",
    "\xd9\xa2\xd9\xa0\xd9\xa2\xd9\xa5-04-23T10:01:53Z",
    /* other separators, other forms */
    "2025/04/23T10:01:53Z",
    "2025.04.23T10:01:53Z",
    "20250423T100153Z",
    "20250423T100153.812Z",
    "202504-23T10:01:53Z",
    "2025-0423T10:01:53Z",
    "2025-04-23T1001:53Z",
    "2025-04-23T10:0153Z",
    "2025-04-23T10:01:5302:00",
    "2025-04-23T10:01:53\"02:00",
    "2025-04-23T10.01.53Z",
    "2025-04-23_10:01:53Z",
    "2025-04-23  10:01:53Z",
    "2025-04-23\t10:01:53Z",
    "2025-04-23X10:01:53Z",
    "2025-04-2310:01:53Z",
    "23-04-2025T10:01:53Z",
    "04/23/2025 10:01:53",
    "Wed, 23 Apr 2025 10:01:53 GMT",
    "Wed Apr 23 10:01:53 2025",
    "2025-W17-3T10:01:53Z",
    "2025-113T10:01:53Z",
    "1745402513",
    "1745402513812",
    "now",
    "null",
    "2025\xe2\x80\x93"
    "04-23T10:01:53Z",
    "2025-04-23T10:01:53\xe2\x88\x92"
    "02:00",
    /* numbers out of range */
    "0000-01-01T00:00:00Z",
    "2025-00-01T00:00:00Z",
    "2025-13-01T00:00:00Z",
    "2025-99-01T00:00:00Z",
    "2025-01-00T00:00:00Z",
    "2025-01-32T00:00:00Z",
    "2025-02-29T00:00:00Z",
    "2024-02-30T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "2100-02-29T00:00:00Z",
    "2025-02-31T00:00:00Z",
    "2025-04-31T00:00:00Z",
    "2025-06-31T00:00:00Z",
    "2025-09-31T00:00:00Z",
    "2025-11-31T00:00:00Z",
    "2025-04-23T24:00:00Z",
    "2025-04-23T25:00:00Z",
    "2025-04-23T10:60:00Z",
    "2025-04-23T10:01:61Z",
    "2025-04-23T10:01:99Z",
    /* zones that there are not */
    "2025-04-23T10:01:53+24:00",
    "2025-04-23T10:01:53-24:00",
    "2025-04-23T10:01:53+02:60",
    "2025-04-23T10:01:53+99:99",
    "2025-04-23T10:01:53+2:00",
    "2025-04-23T10:01:53+-2:00",
    "2025-04-23T10:01:53++02:00",
    "2025-04-23T10:01:53=02:00",
    "2025-04-23T10:01:53UTC",
    "2025-04-23T10:01:53A",
    "2025-04-23T10:01:53Z02:00",
    /* out of the years once the zone is applied */
    "0001-01-01T00:00:00+00:01",
    "0001-01-01T00:59:59.999+01:00",
    "0001-01-01T23:58:59.999+23:59",
    "9999-12-31T23:59:00-00:01",
    "9999-12-31T23:00:00-01:00",
    "9999-12-31T00:01:00-23:59",
    "9999-12-31T23:59:60Z",
    "10000-01-01T00:00:00Z",
};

/* The time in a text in an allocation of exactly its size, so that the sanitizer sees overruns. */
static bool parse(const char *text, size_t length, int64_t *milliseconds)
{
    char *copy = malloc(length);
    assert_non_null(copy);
    memcpy(copy, text, length);
    bool parsed = timestamp_parse((struct text){copy, length}, milliseconds);
    free(copy);
    return parsed;
}

static bool parse_name(const char *name, size_t length, int64_t *milliseconds)
{
    char *copy = malloc(length);
    assert_non_null(copy);
    memcpy(copy, name, length);
    bool parsed = timestamp_parse_name((struct text){copy, length}, milliseconds);
    free(copy);
    return parsed;
}

static void test_good(void **state)
{
    (void)state;
    int faults = 0;
    for (size_t i = 0; i < COUNT(good); i++) {
        int64_t milliseconds = 42;
        bool parsed = parse(good[i].text, strlen(good[i].text), &milliseconds);
        if (parsed && milliseconds == good[i].milliseconds)
            continue;
        print_error("%s: %s, %lld instead of %lld\n", good[i].text, parsed ? "parsed" : "refused",
                    (long long)milliseconds, (long long)good[i].milliseconds);
        faults++;
    }
    assert_int_equal(faults, 0);
}

static void test_bad(void **state)
{
    (void)state;
    int faults = 0;
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t milliseconds;
        if (!parse(bad[i], strlen(bad[i]), &milliseconds))
            continue;
        print_error("\"%s\" is taken for %lld\n", bad[i], (long long)milliseconds);
        faults++;
    }
    assert_int_equal(faults, 0);
}

static void test_absent_text(void **state)
{
    (void)state;
    int64_t milliseconds;
    assert_false(timestamp_parse(text_of(NULL), &milliseconds));
    assert_false(timestamp_parse_name(text_of(NULL), &milliseconds));
}

static void test_nuls_are_refused(void **state)
{
    (void)state;
    static const char sample[] = "2025-04-23T10:01:53.812+02:00";
    for (size_t at = 0; at <= strlen(sample); at++) {
        char text[sizeof sample];
        int64_t milliseconds;
        memcpy(text, sample, sizeof text);
        text[at] = '\0';
        if (parse(text, sizeof text - (at < strlen(sample)), &milliseconds))
            fail_msg("a NUL at byte %zu is accepted", at);
    }
}

/* Of any number of decimals three count, and nothing is rounded. */
static void test_decimals(void **state)
{
    (void)state;
    static const struct {
        const char *decimals;
        int milliseconds;
    } rows[] = {
        {"", 0},
        {".9", 900},
        {".09", 90},
        {".98", 980},
        {".009", 9},
        {".987", 987},
        {".9876", 987},
        {".98765", 987},
        {".987654", 987},
        {".9876543", 987},
        {".98765432", 987},
        {".987654321", 987},
        {".9999999999", 999},
        {".00099999999", 0},
        {".000999999999", 0},
        {".123456789012", 123},
        {".0", 0},
        {".000000000000", 0},
        {".1000000000000000000000000000000000000000000000000000000000000001", 100},
    };
    static const char *const zones[] = {"", "Z", "+00:00"};
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t j = 0; j < COUNT(zones); j++) {
            char text[128];
            int64_t milliseconds;
            (void)snprintf(text, sizeof text, "2025-04-23T10:01:53%s%s", rows[i].decimals,
                           zones[j]);
            if (!parse(text, strlen(text), &milliseconds) ||
                milliseconds != INT64_C(1745402513000) + rows[i].milliseconds)
                fail_msg("%s is wrong", text);
        }
}

/* Before 1970 the decimals still count towards the future. */
static void test_decimals_before_1970(void **state)
{
    (void)state;
    for (int n = 0; n < 1000; n++) {
        char text[40];
        char again[TIMESTAMP_RFC3339_SIZE];
        int64_t milliseconds;
        (void)snprintf(text, sizeof text, "1969-07-20T20:17:40.%03dZ", n);
        assert_true(parse(text, strlen(text), &milliseconds));
        assert_true(milliseconds == INT64_C(-14182940000) + n);
        timestamp_rfc3339(milliseconds, again);
        assert_string_equal(again, text);
    }
}

/* Every minute of every zone that there can be. */
static void test_zones(void **state)
{
    (void)state;
    for (int east = -(23 * 60 + 59); east <= 23 * 60 + 59; east++) {
        char text[64];
        int64_t milliseconds;
        (void)snprintf(text, sizeof text, "2025-04-23T10:01:53.812%c%02d:%02d",
                       east < 0 ? '-' : '+', abs(east) / 60, abs(east) % 60);
        if (!parse(text, strlen(text), &milliseconds) ||
            milliseconds != INT64_C(1745402513812) - (int64_t)east * 60000)
            fail_msg("%s is wrong", text);
    }
}

static bool is_leap(int year)
{
    return year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
}

static int month_days(int year, int month)
{
    if (month == 2)
        return is_leap(year) ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* One day, with all four functions; the last day of a month has none behind it. */
static void check_day(int year, int month, int day, int64_t days)
{
    char text[40];
    char name[40];
    char written[TIMESTAMP_RFC3339_SIZE];
    char written_name[TIMESTAMP_NAME_SIZE];
    int64_t expected = FIRST + days * 86400000 + 86399999;
    int64_t milliseconds = 0;
    (void)snprintf(text, sizeof text, "%04d-%02d-%02dT23:59:59.999Z", year, month, day);
    (void)snprintf(name, sizeof name, "%04d%02d%02dT235959.999Z", year, month, day);
    bool exists = day <= month_days(year, month);
    if (parse(text, strlen(text), &milliseconds) != exists ||
        (exists && milliseconds != expected) ||
        parse_name(name, strlen(name), &milliseconds) != exists ||
        (exists && milliseconds != expected))
        fail_msg("%s is %lld", text, (long long)milliseconds);
    if (!exists)
        return;
    timestamp_rfc3339(expected, written);
    timestamp_name(expected, written_name);
    assert_string_equal(written, text);
    assert_string_equal(written_name, name);
}

/* All years, counted up by hand: the first and the last days of every month. */
static void test_calendar(void **state)
{
    (void)state;
    int64_t days = 0;
    for (int year = 1; year <= 9999; year++)
        for (int month = 1; month <= 12; month++) {
            int length = month_days(year, month);
            check_day(year, month, 1, days);
            check_day(year, month, length, days + length - 1);
            check_day(year, month, length + 1, days + length);
            days += length;
        }
    assert_int_equal(FIRST + days * 86400000 - 1, LAST);
}

static void test_leap_second(void **state)
{
    (void)state;
    int64_t milliseconds;
    static const char text[] = "2016-12-31T23:59:60Z";
    assert_true(parse(text, strlen(text), &milliseconds));
    assert_true(milliseconds == INT64_C(1483228800000));
    static const char with_zone[] = "2017-01-01T01:59:60.500+02:00";
    assert_true(parse(with_zone, strlen(with_zone), &milliseconds));
    assert_true(milliseconds == INT64_C(1483228800500));
}

/* --- names --- */

static void check_round_trip(int64_t milliseconds)
{
    char name[TIMESTAMP_NAME_SIZE];
    char text[TIMESTAMP_RFC3339_SIZE];
    int64_t from_name = 42;
    int64_t from_text = 42;
    timestamp_name(milliseconds, name);
    timestamp_rfc3339(milliseconds, text);
    if (strlen(name) != TIMESTAMP_NAME_SIZE - 1 || strlen(text) != TIMESTAMP_RFC3339_SIZE - 1 ||
        !parse_name(name, strlen(name), &from_name) || !parse(text, strlen(text), &from_text) ||
        from_name != milliseconds || from_text != milliseconds)
        fail_msg("%lld becomes %s and %s", (long long)milliseconds, name, text);
}

static void test_round_trips(void **state)
{
    (void)state;
    static const int64_t edges[] = {FIRST, 0, INT64_C(951782400000), INT64_C(2147483648000), LAST};
    for (size_t i = 0; i < COUNT(edges); i++)
        for (int64_t step = -2100; step <= 2100; step += 7)
            if (edges[i] + step >= FIRST && edges[i] + step <= LAST)
                check_round_trip(edges[i] + step);
    check_round_trip(FIRST);
    check_round_trip(LAST);
    /* A step that is prime: in time it meets every second of a day and every millisecond. */
    for (int64_t at = FIRST; at <= LAST; at += INT64_C(2147483647))
        check_round_trip(at);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        int64_t milliseconds;
        const char *name;
        const char *rfc3339;
    } rows[] = {
        {INT64_C(1745402513812), "20250423T100153.812Z", "2025-04-23T10:01:53.812Z"},
        {0, "19700101T000000.000Z", "1970-01-01T00:00:00.000Z"},
        {1, "19700101T000000.001Z", "1970-01-01T00:00:00.001Z"},
        {-1, "19691231T235959.999Z", "1969-12-31T23:59:59.999Z"},
        {-1000, "19691231T235959.000Z", "1969-12-31T23:59:59.000Z"},
        {-1001, "19691231T235958.999Z", "1969-12-31T23:59:58.999Z"},
        {FIRST, "00010101T000000.000Z", "0001-01-01T00:00:00.000Z"},
        {LAST, "99991231T235959.999Z", "9999-12-31T23:59:59.999Z"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char name[TIMESTAMP_NAME_SIZE];
        char text[TIMESTAMP_RFC3339_SIZE];
        timestamp_name(rows[i].milliseconds, name);
        timestamp_rfc3339(rows[i].milliseconds, text);
        assert_string_equal(name, rows[i].name);
        assert_string_equal(text, rows[i].rfc3339);
    }
}

/* Files in a directory are to be sorted by name. */
static void test_names_sort_by_time(void **state)
{
    (void)state;
    char earlier[TIMESTAMP_NAME_SIZE];
    timestamp_name(FIRST, earlier);
    for (int64_t at = FIRST + 1; at <= LAST; at += INT64_C(6710886407)) {
        char name[TIMESTAMP_NAME_SIZE];
        timestamp_name(at, name);
        assert_true(strcmp(earlier, name) < 0);
        memcpy(earlier, name, sizeof name);
    }
}

static const char *const bad_names[] = {
    "",
    "2",
    "20250423",
    "20250423T100153Z",
    "20250423T100153.Z",
    "20250423T100153.8Z",
    "20250423T100153.81Z",
    "20250423T100153.8120Z",
    "20250423T100153.812",
    "20250423T100153.8123",
    "20250423T100153.812z",
    "20250423t100153.812Z",
    "20250423 100153.812Z",
    "20250423T100153.812ZZ",
    " 20250423T100153.812Z",
    "20250423T100153.812Z ",
    "20250423T100153.812Z_order",
    "20250423T10:01:53.8Z",
    "2025-04-23T10:01:53Z",
    "2025-04-23T10:01:53.812Z",
    "20250423T100153+0000",
    "20250423T1001538120Z",
    "20250423100153.8123Z",
    "20250423T100153:812Z",
    "00000423T100153.812Z",
    "20250023T100153.812Z",
    "20251323T100153.812Z",
    "20250400T100153.812Z",
    "20250431T100153.812Z",
    "20250229T100153.812Z",
    "20250423T240153.812Z",
    "20250423T106053.812Z",
    "20250423T100161.812Z",
    "2025042XT100153.812Z",
    "-0250423T100153.812Z",
    "+0250423T100153.812Z",
    "20250423T100153.8 2Z",
    "20250423T100153.-12Z",
};

static void test_bad_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_names); i++) {
        int64_t milliseconds;
        if (parse_name(bad_names[i], strlen(bad_names[i]), &milliseconds))
            fail_msg("\"%s\" is taken for %lld", bad_names[i], (long long)milliseconds);
    }
}

/* --- corrupted --- */

/* Whatever is accepted looks like RFC 3339 and is within the years. The comma, ISO 8601's other
 * sign for decimals, is left out: RFC 3339 does not have it, the parser does. */
static void test_corrupted_times(void **state)
{
    (void)state;
    static const char *const samples[] = {
        "2025-04-23T10:01:53.812Z", "9999-12-31T23:59:59.9999-00:00", "0001-02-28T00:00:00+10:30"};
    regex_t rfc3339;
    assert_int_equal(regcomp(&rfc3339,
                             "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)"
                             "?([Zz]|[+-][0-9]{2}:[0-9]{2})?$",
                             REG_EXTENDED | REG_NOSUB),
                     0);
    for (size_t i = 0; i < COUNT(samples); i++)
        for (size_t at = 0; at < strlen(samples[i]); at++)
            for (unsigned byte = 1; byte < 256; byte++) {
                char text[64];
                int64_t milliseconds;
                (void)snprintf(text, sizeof text, "%s", samples[i]);
                text[at] = (char)byte;
                if (byte == ',' || !parse(text, strlen(text), &milliseconds))
                    continue;
                if (regexec(&rfc3339, text, 0, NULL, 0) != 0 || milliseconds < FIRST ||
                    milliseconds > LAST)
                    fail_msg("%s is taken for %lld", text, (long long)milliseconds);
            }
    regfree(&rfc3339);
}

/* Whatever is accepted is written again as it was; but for the comma, as above. */
static void test_corrupted_names(void **state)
{
    (void)state;
    static const char sample[] = "20250423T100153.812Z";
    for (size_t at = 0; at < strlen(sample); at++)
        for (unsigned byte = 0; byte < 256; byte++) {
            char name[sizeof sample];
            char again[TIMESTAMP_NAME_SIZE];
            int64_t milliseconds;
            memcpy(name, sample, sizeof name);
            name[at] = (char)byte;
            if (byte == ',' || !parse_name(name, strlen(sample), &milliseconds))
                continue;
            timestamp_name(milliseconds, again);
            assert_string_equal(again, name);
        }
}

static void test_every_prefix(void **state)
{
    (void)state;
    static const char text[] = "2025-04-23T10:01:53.812+02:00";
    static const char name[] = "20250423T100153.812Z";
    for (size_t length = 0; length < strlen(text); length++) {
        int64_t milliseconds;
        /* Whole seconds, and then any of the decimals. */
        bool whole = length == 19 || (length >= 21 && length <= 23);
        assert_int_equal(parse(text, length, &milliseconds), whole);
    }
    for (size_t length = 0; length < strlen(name); length++) {
        int64_t milliseconds;
        assert_false(parse_name(name, length, &milliseconds));
    }
}

static int64_t clock_now(clockid_t clock)
{
    struct timespec now;
    assert_int_equal(clock_gettime(clock, &now), 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Several times, at other milliseconds of a second. */
static void test_clocks(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        const struct timespec pause = {0, 3000000};
        int64_t before = clock_now(CLOCK_REALTIME);
        int64_t now = timestamp_now();
        int64_t after = clock_now(CLOCK_REALTIME);
        assert_true(before <= now && now <= after);
        check_round_trip(now);
        before = clock_now(CLOCK_MONOTONIC);
        now = timestamp_monotonic();
        after = clock_now(CLOCK_MONOTONIC);
        assert_true(before <= now && now <= after);
        (void)nanosleep(&pause, NULL);
    }
}

/* What a file system holds that is beyond our years is the nearest of them. */
static void test_of_any_time(void **state)
{
    char text[TIMESTAMP_RFC3339_SIZE];
    (void)state;
    assert_int_equal(timestamp_of((struct timespec){1, 500000000}), 1500);
    timestamp_rfc3339(timestamp_of((struct timespec){INT64_MIN, 0}), text);
    assert_string_equal(text, "0001-01-01T00:00:00.000Z");
    timestamp_rfc3339(timestamp_of((struct timespec){INT64_MAX, 0}), text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

int main(void)
{
    /* No time zone of the machine may make a difference. */
    if (setenv("TZ", "America/St_Johns", 1) != 0)
        return 1;
    tzset();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_any_time),
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_absent_text),
        cmocka_unit_test(test_nuls_are_refused),
        cmocka_unit_test(test_decimals),
        cmocka_unit_test(test_decimals_before_1970),
        cmocka_unit_test(test_zones),
        cmocka_unit_test(test_calendar),
        cmocka_unit_test(test_leap_second),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_names_sort_by_time),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_corrupted_times),
        cmocka_unit_test(test_corrupted_names),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

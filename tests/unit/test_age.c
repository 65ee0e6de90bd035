#include "unit.h"

#include "age.h"

#include <string.h>

#define DAY INT64_C(86400000)

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t milliseconds;
    } cases[] = {
        {"0s", 0},
        {"1s", 1000},
        {"90s", 90000},
        {"15m", 900000},
        {"12h", DAY / 2},
        {"30d", 30 * DAY},
        {"4w", 28 * DAY},
        {"007d", 7 * DAY},
        {"00000000000000000000001d", DAY},
        {"36500d", 36500 * DAY},
        {"3153600000s", 36500 * DAY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t read = -1;
        assert_true(age_parse(cases[i].text, &read));
        assert_int_equal(read, cases[i].milliseconds);
    }
}

static void test_parse_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "s",
        "d",
        "30",
        "0",
        "-1d",
        "+1d",
        " 1d",
        "1d ",
        "1 d",
        "1.5d",
        "1D",
        "1y",
        "1dd",
        "1d12h",
        "0x1d",
        "1e3s",
        "36501d",
        "5215w",
        "3153600001s",
        "9223372036854775808s",
        "18446744073709551617s",
        "99999999999999999999999999999999999999d",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int64_t read = -1;
        assert_false(age_parse(texts[i], &read));
        assert_int_equal(read, -1);
    }
}

static void test_format(void **state)
{
    (void)state;
    static const struct {
        int64_t milliseconds;
        const char *text;
    } cases[] = {
        {INT64_MIN, "0s"},
        {-1, "0s"},
        {0, "0s"},
        {999, "0s"},
        {1000, "1s"},
        {119999, "119s"},
        {120000, "2m"},
        {7199999, "119m"},
        {7200000, "2h"},
        {2 * DAY - 1, "47h"},
        {2 * DAY, "2d"},
        {400 * DAY + 5, "400d"},
        {INT64_MAX, "106751991167d"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[AGE_SIZE];
        age_format(cases[i].milliseconds, text);
        assert_string_equal(text, cases[i].text);
    }
}

/* What is shown can be given back as an option. */
static void test_round_trip(void **state)
{
    (void)state;
    for (int64_t age = 0; age < 36500 * DAY; age = age * 3 + 777) {
        char text[AGE_SIZE];
        int64_t read;
        age_format(age, text);
        assert_true(age_parse(text, &read));
        assert_true(read <= age);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_refused),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests_name("age", tests, NULL, NULL);
}

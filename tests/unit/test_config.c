#include "unit.h"

#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SPOOL    "TRADECLOUD_SPOOL"
#define MAX_BODY "TRADECLOUD_MAX_BODY"
#define MIN_FREE "TRADECLOUD_MIN_FREE"
#define API_URL  "TRADECLOUD_API_URL"

static int unset_all(void **state)
{
    (void)state;
    return unsetenv(SPOOL) + unsetenv(MAX_BODY) + unsetenv(MIN_FREE) + unsetenv(API_URL);
}

static void test_defaults(void **state)
{
    (void)state;
    struct config config;
    struct problem problem = {0};
    assert_true(config_read(&config, &problem));
    assert_int_equal(problem.status, 0);
    assert_string_equal(config.spool, "/var/spool/tradecloud");
    assert_int_equal(config.max_body, 32 * 1024 * 1024);
    assert_int_equal(config.min_free, 64 * 1024 * 1024);
    assert_string_equal(config.api_url, "https://api.accp.tradecloud1.com/v2");
}

static void test_all_together(void **state)
{
    (void)state;
    struct config config;
    struct problem problem = {0};
    assert_int_equal(setenv(SPOOL, "/srv/spool", 1), 0);
    assert_int_equal(setenv(MAX_BODY, "1000", 1), 0);
    assert_int_equal(setenv(MIN_FREE, "2000", 1), 0);
    assert_int_equal(setenv(API_URL, "https://api.tradecloud1.com/v2", 1), 0);
    assert_true(config_read(&config, &problem));
    assert_int_equal(problem.status, 0);
    assert_string_equal(config.spool, "/srv/spool");
    assert_int_equal(config.max_body, 1000);
    assert_int_equal(config.min_free, 2000);
    assert_string_equal(config.api_url, "https://api.tradecloud1.com/v2");
}

static const struct number {
    const char *variable;
    const char *value;
    uint64_t bytes;
} numbers[] = {
    {MAX_BODY, "1", 1},
    {MAX_BODY, "33554433", 33554433},
    {MAX_BODY, "1073741824", 1073741824},
    {MAX_BODY, "010", 10},
    {MAX_BODY, "00000000000000000000000001", 1},
    {MIN_FREE, "0", 0},
    {MIN_FREE, "1", 1},
    {MIN_FREE, "4294967296", UINT64_C(4294967296)},
    {MIN_FREE, "9223372036854775807", INT64_MAX},
};

static void test_good_numbers(void **state)
{
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const struct number *row = &numbers[i];
        struct config config = {0};
        struct problem problem = {0};
        assert_int_equal(unset_all(state), 0);
        assert_int_equal(setenv(row->variable, row->value, 1), 0);
        bool good = config_read(&config, &problem);
        uint64_t bytes = strcmp(row->variable, MAX_BODY) == 0 ? config.max_body : config.min_free;
        if (!good || bytes != row->bytes)
            fail_msg("%s=%s: %" PRIu64 ", %s", row->variable, row->value, bytes, problem.reason);
    }
}

static const struct string {
    const char *variable;
    const char *value;
} strings[] = {
    {SPOOL, "/"},
    {SPOOL, "/srv/a b"},
    {SPOOL, "/srv/\xc3\xa9"},
    {API_URL, "https://api.tradecloud1.com/v2"},
    {API_URL, "http://localhost:8080"},
    {API_URL, "https://[2001:db8::1]:8443/a%20b/c;d=e,f&i-k_l.m~n!$'()*+"},
};

static void test_good_strings(void **state)
{
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        const struct string *row = &strings[i];
        struct config config = {0};
        struct problem problem = {0};
        assert_int_equal(unset_all(state), 0);
        assert_int_equal(setenv(row->variable, row->value, 1), 0);
        if (!config_read(&config, &problem))
            fail_msg("%s=%s: %s", row->variable, row->value, problem.reason);
        const char *value = strcmp(row->variable, SPOOL) == 0 ? config.spool : config.api_url;
        if (strcmp(value, row->value) != 0)
            fail_msg("%s=%s: became %s", row->variable, row->value, value);
    }
}

static const struct string bad[] = {
    {SPOOL, ""},
    {SPOOL, "."},
    {SPOOL, "spool"},
    {SPOOL, "./spool"},
    {SPOOL, "~/spool"},
    {SPOOL, " /var/spool"},
    {SPOOL, "\"/var/spool\""},
    {MAX_BODY, ""},
    {MAX_BODY, "0"},
    {MAX_BODY, "-1"},
    {MAX_BODY, "+1"},
    {MAX_BODY, " 1"},
    {MAX_BODY, "1 "},
    {MAX_BODY, "1\n"},
    {MAX_BODY, "\t1"},
    {MAX_BODY, "32M"},
    {MAX_BODY, "32 MiB"},
    {MAX_BODY, "0x10"},
    {MAX_BODY, "1e6"},
    {MAX_BODY, "1.5"},
    {MAX_BODY, "1,000"},
    {MAX_BODY, "\xd9\xa1"},
    {MAX_BODY, "many"},
    {MAX_BODY, "1073741825"},
    {MAX_BODY, "18446744073709551615"},
    {MAX_BODY, "18446744073709551616"},
    {MAX_BODY, "18446744073709551617"},
    {MAX_BODY, "99999999999999999999999999999999999999"},
    {MIN_FREE, ""},
    {MIN_FREE, "-1"},
    {MIN_FREE, "-0"},
    {MIN_FREE, "+0"},
    {MIN_FREE, " 0"},
    {MIN_FREE, "0 "},
    {MIN_FREE, "64M"},
    {MIN_FREE, "64K"},
    {MIN_FREE, "10%"},
    {MIN_FREE, "0x0"},
    {MIN_FREE, "none"},
    {MIN_FREE, "9223372036854775808"},
    {MIN_FREE, "18446744073709551615"},
    {MIN_FREE, "18446744073709551616"},
    {MIN_FREE, "-18446744073709551615"},
    {API_URL, ""},
    {API_URL, "api.tradecloud1.com/v2"},
    {API_URL, "//api.tradecloud1.com/v2"},
    {API_URL, "ftp://api.tradecloud1.com/v2"},
    {API_URL, "https:/api.tradecloud1.com"},
    {API_URL, "https:api.tradecloud1.com"},
    {API_URL, "httpss://api.tradecloud1.com"},
    {API_URL, " https://api.tradecloud1.com"},
    {API_URL, "https://api.tradecloud1.com "},
    {API_URL, "https://api.tradecloud1.com\n"},
    {API_URL, "https://api.tradecloud1.com/a b"},
    {API_URL, "https://api.tradecloud1.com/\"}"},
    {API_URL, "https://api.tradecloud1.com/\\"},
    {API_URL, "https://api.tradecloud1.com/<v2>"},
    {API_URL, "https://api.tradecloud1.com/{v2}"},
    {API_URL, "https://api.tradecloud1.com/v\xc3\xa9"},
    {API_URL, "https://api.tradecloud1.com/\x7f"},
};

static void test_bad(void **state)
{
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct config config;
        struct problem problem = {0};
        assert_int_equal(unset_all(state), 0);
        assert_int_equal(setenv(bad[i].variable, bad[i].value, 1), 0);
        if (config_read(&config, &problem))
            fail_msg("%s=%s: accepted", bad[i].variable, bad[i].value);
        if (problem.status != 503 || strstr(problem.reason, bad[i].variable) == NULL ||
            strstr(problem.reason, bad[i].value) == NULL)
            fail_msg("%s=%s: %d %s", bad[i].variable, bad[i].value, problem.status, problem.reason);
    }
}

/* Cut, the reason must still say which variable it is. */
static void test_bad_and_long(void **state)
{
    static const char *const variables[] = {SPOOL, MAX_BODY, MIN_FREE, API_URL};
    char value[4096];
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        struct config config;
        struct problem problem = {0};
        assert_int_equal(unset_all(state), 0);
        assert_int_equal(setenv(variables[i], value, 1), 0);
        if (config_read(&config, &problem) || problem.status != 503 ||
            strstr(problem.reason, variables[i]) == NULL)
            fail_msg("%s: %d %s", variables[i], problem.status, problem.reason);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_defaults, unset_all),
        cmocka_unit_test_setup(test_all_together, unset_all),
        cmocka_unit_test(test_good_numbers),
        cmocka_unit_test(test_good_strings),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_bad_and_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

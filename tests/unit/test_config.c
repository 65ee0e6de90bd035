#include "unit.h"

#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPOOL    "TRADECLOUD_SPOOL"
#define MAX_BODY "TRADECLOUD_MAX_BODY"
#define MIN_FREE "TRADECLOUD_MIN_FREE"
#define API_URL  "TRADECLOUD_API_URL"
#define LEGACY   "TRADECLOUD_LEGACY_API_URL"
#define BEARER   "TRADECLOUD_BEARER_FILE"
#define NETRC    "TRADECLOUD_NETRC"
#define CA_FILE  "TRADECLOUD_CA_FILE"
#define TIMEOUT  "TRADECLOUD_TIMEOUT"
#define FETCH    "TRADECLOUD_FETCH_PROGRAM"

/* Every variable, with where its value comes to be: a string, or else a number. */
static const struct variable {
    const char *name;
    size_t offset;
    bool is_string;
} variables[] = {
    {SPOOL, offsetof(struct config, spool), true},
    {MAX_BODY, offsetof(struct config, max_body), false},
    {MIN_FREE, offsetof(struct config, min_free), false},
    {API_URL, offsetof(struct config, api_url), true},
    {LEGACY, offsetof(struct config, legacy_api_url), true},
    {BEARER, offsetof(struct config, bearer_file), true},
    {NETRC, offsetof(struct config, netrc), true},
    {CA_FILE, offsetof(struct config, ca_file), true},
    {TIMEOUT, offsetof(struct config, timeout), false},
    {FETCH, offsetof(struct config, fetch_program), true},
};

enum { VARIABLES = sizeof variables / sizeof variables[0] };

static int unset_all(void **state)
{
    int failures = 0;
    (void)state;
    for (size_t i = 0; i < VARIABLES; i++)
        failures += unsetenv(variables[i].name) != 0;
    return failures;
}

/* Read the configuration with one variable set and all others not. */
static bool read_with(const char *name, const char *value, struct config *config,
                      struct problem *problem)
{
    *problem = (struct problem){0};
    assert_int_equal(unset_all(NULL), 0);
    assert_int_equal(setenv(name, value, 1), 0);
    return config_read(config, problem);
}

/* The field of a variable, which must be of the given type. */
static const void *field_of(const struct config *config, const char *name, bool is_string)
{
    for (size_t i = 0; i < VARIABLES; i++)
        if (strcmp(variables[i].name, name) == 0 && variables[i].is_string == is_string)
            return (const char *)config + variables[i].offset;
    fail_msg("%s is of another type", name);
    return NULL;
}

static uint64_t number_of(const struct config *config, const char *name)
{
    uint64_t number = 0;
    memcpy(&number, field_of(config, name, false), sizeof number);
    return number;
}

static const char *string_of(const struct config *config, const char *name)
{
    const char *string = NULL;
    memcpy(&string, field_of(config, name, true), sizeof string);
    return string;
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
    assert_null(config.legacy_api_url);
    assert_string_equal(config.netrc, "/etc/tradecloud/netrc");
    assert_null(config.ca_file);
    assert_int_equal(config.timeout, 25);
    assert_string_equal(config.fetch_program, FETCH_PROGRAM);
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
    assert_int_equal(setenv(LEGACY, "https://portal.tradecloud.nl/api/v1", 1), 0);
    assert_int_equal(setenv(BEARER, "/srv/bearer", 1), 0);
    assert_int_equal(setenv(NETRC, "/srv/netrc", 1), 0);
    assert_int_equal(setenv(CA_FILE, "/srv/ca.pem", 1), 0);
    assert_int_equal(setenv(TIMEOUT, "30", 1), 0);
    assert_int_equal(setenv(FETCH, "/srv/fetch", 1), 0);
    assert_true(config_read(&config, &problem));
    assert_int_equal(problem.status, 0);
    assert_string_equal(config.spool, "/srv/spool");
    assert_int_equal(config.max_body, 1000);
    assert_int_equal(config.min_free, 2000);
    assert_string_equal(config.api_url, "https://api.tradecloud1.com/v2");
    assert_string_equal(config.legacy_api_url, "https://portal.tradecloud.nl/api/v1");
    assert_string_equal(config.netrc, "/srv/netrc");
    assert_string_equal(config.ca_file, "/srv/ca.pem");
    assert_string_equal(config.bearer_file, "/srv/bearer");
    assert_int_equal(config.timeout, 30);
    assert_string_equal(config.fetch_program, "/srv/fetch");
}

static const struct number {
    const char *variable;
    const char *value;
    uint64_t number;
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
    {TIMEOUT, "1", 1},
    {TIMEOUT, "025", 25},
    {TIMEOUT, "300", 300},
};

static void test_good_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const struct number *row = &numbers[i];
        struct config config;
        struct problem problem;
        if (!read_with(row->variable, row->value, &config, &problem))
            fail_msg("%s=%s: %s", row->variable, row->value, problem.reason);
        uint64_t number = number_of(&config, row->variable);
        if (number != row->number)
            fail_msg("%s=%s: became %" PRIu64, row->variable, row->value, number);
    }
}

static const struct string {
    const char *variable;
    const char *value;
} strings[] = {
    {SPOOL, "/"},
    {SPOOL, "/srv/a b"},
    {SPOOL, "/srv/\xc3\xa9"},
    {BEARER, "/etc/tradecloud/bearer"},
    {NETRC, "/etc/netrc"},
    {CA_FILE, "/etc/ssl/certs/ca.pem"},
    {FETCH, "/usr/libexec/tradecloud/tradecloud-fetch"},
    {LEGACY, "https://portal.tradecloud.nl/api/v1"},
    {API_URL, "https://api.tradecloud1.com/v2"},
    {API_URL, "http://localhost:8080"},
    {API_URL, "https://[2001:db8::1]:8443/a%20b/c;d=e,f&i-k_l.m~n!$'()*+"},
};

static void test_good_strings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        const struct string *row = &strings[i];
        struct config config;
        struct problem problem;
        if (!read_with(row->variable, row->value, &config, &problem))
            fail_msg("%s=%s: %s", row->variable, row->value, problem.reason);
        const char *value = string_of(&config, row->variable);
        if (value == NULL || strcmp(value, row->value) != 0)
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
    {API_URL, "https://api.tradecloud1.com/v2?a=b"},
    {API_URL, "https://api.tradecloud1.com/v2#a"},
    {LEGACY, ""},
    {LEGACY, "portal.tradecloud.nl"},
    {LEGACY, "file:///etc/passwd"},
    {LEGACY, " https://portal.tradecloud.nl"},
    {LEGACY, "https://portal.tradecloud.nl/\r\n"},
    {BEARER, ""},
    {BEARER, "bearer"},
    {BEARER, " /etc/bearer"},
    {NETRC, ""},
    {NETRC, ".netrc"},
    {NETRC, "~/.netrc"},
    {NETRC, " /etc/netrc"},
    {CA_FILE, ""},
    {CA_FILE, "ca.pem"},
    {CA_FILE, " /etc/ca.pem"},
    {TIMEOUT, ""},
    {TIMEOUT, "0"},
    {TIMEOUT, "301"},
    {TIMEOUT, "-1"},
    {TIMEOUT, "+25"},
    {TIMEOUT, " 25"},
    {TIMEOUT, "25 "},
    {TIMEOUT, "25s"},
    {TIMEOUT, "2.5"},
    {TIMEOUT, "0x19"},
    {TIMEOUT, "18446744073709551616"},
    {TIMEOUT, "18446744073709551641"},
    {FETCH, ""},
    {FETCH, "tradecloud-fetch"},
    {FETCH, "./tradecloud-fetch"},
    {FETCH, " /usr/libexec/tradecloud-fetch"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct config config;
        struct problem problem;
        if (read_with(bad[i].variable, bad[i].value, &config, &problem))
            fail_msg("%s=%s: accepted", bad[i].variable, bad[i].value);
        char named[256];
        (void)snprintf(named, sizeof named, "%s=%s", bad[i].variable, bad[i].value);
        if (problem.status != 503 || strstr(problem.reason, named) == NULL)
            fail_msg("%s: %d %s", named, problem.status, problem.reason);
    }
}

/* Cut, the reason must still say which variable it is. */
static void test_bad_and_long(void **state)
{
    (void)state;
    char value[4096];
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (size_t i = 0; i < VARIABLES; i++) {
        struct config config;
        struct problem problem;
        if (read_with(variables[i].name, value, &config, &problem) || problem.status != 503 ||
            strstr(problem.reason, variables[i].name) == NULL)
            fail_msg("%s: %d %s", variables[i].name, problem.status, problem.reason);
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

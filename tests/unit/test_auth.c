#include "unit.h"

#include "auth.h"

#include <stdlib.h>
#include <string.h>

static const char *const variables[] = {"AUTH_TYPE", "REMOTE_USER", "HTTP_AUTH_TYPE",
                                        "HTTP_AUTHORIZATION", "HTTP_REMOTE_USER"};

/* A NULL is not set; the others go by name, as a web server or a client would set them. */
static const struct row {
    const char *name;
    const char *values[sizeof variables / sizeof variables[0]];
    bool admitted;
} rows[] = {
    {"basic", {"Basic", NULL, NULL, NULL, NULL}, true},
    {"basic with a user", {"Basic", "tradecloud", NULL, "Basic dDp0", NULL}, true},
    {"any other scheme", {"Digest", NULL, NULL, NULL, NULL}, true},
    {"nothing", {NULL, NULL, NULL, NULL, NULL}, false},
    {"empty", {"", NULL, NULL, NULL, NULL}, false},
    {"user only", {NULL, "tradecloud", NULL, NULL, NULL}, false},
    {"empty with a user", {"", "tradecloud", NULL, NULL, NULL}, false},
    {"credentials that nobody checked", {NULL, "tradecloud", NULL, "Basic dDp0", NULL}, false},
    {"headers of the client", {NULL, NULL, "Basic", "Basic dDp0", "tradecloud"}, false},
};

static void set_environment(const char *const *values)
{
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        assert_int_equal(
            values[i] == NULL ? unsetenv(variables[i]) : setenv(variables[i], values[i], 1), 0);
}

static void test_check(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct request request;
        struct problem problem = {0};
        set_environment(rows[i].values);
        request_init(&request);
        bool admitted = auth_check(&request, &problem);
        request_release(&request);
        if (admitted != rows[i].admitted || problem.status != (admitted ? 0 : 401))
            fail_msg("%s: %d, status %d", rows[i].name, admitted, problem.status);
        if (!admitted && strstr(problem.reason, "AUTH_TYPE") == NULL)
            fail_msg("%s: %s", rows[i].name, problem.reason);
    }
}

/* "Nothing secret belongs into a reason." */
static void test_tells_no_secret(void **state)
{
    const char *const values[] = {NULL, "hunter1", NULL, "Basic aHVudGVyMTpodW50ZXIy", NULL};
    (void)state;
    struct request request;
    struct problem problem = {0};
    set_environment(values);
    request_init(&request);
    assert_false(auth_check(&request, &problem));
    assert_null(strstr(problem.reason, "hunter1"));
    assert_null(strstr(problem.reason, "aHVudGVy"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_tells_no_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

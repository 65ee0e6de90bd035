#include "unit.h"

#include "problem.h"

#include <string.h>

static void test_set(void **state)
{
    (void)state;
    struct problem problem = {0};
    assert_false(problem_set(&problem, 415, "%s is %d %c%%", "type", 7, 'x'));
    assert_int_equal(problem.status, 415);
    assert_string_equal(problem.reason, "type is 7 x%");
}

/* The one that counts is the last one. */
static void test_set_again(void **state)
{
    (void)state;
    struct problem problem = {0};
    assert_false(problem_set(&problem, 400, "%s", "the first and longer reason"));
    assert_false(problem_set(&problem, 503, "%s", "second"));
    assert_int_equal(problem.status, 503);
    assert_string_equal(problem.reason, "second");
}

static void test_set_cuts(void **state)
{
    static const size_t lengths[] = {0,
                                     1,
                                     PROBLEM_REASON_SIZE - 2,
                                     PROBLEM_REASON_SIZE - 1,
                                     PROBLEM_REASON_SIZE,
                                     4 * PROBLEM_REASON_SIZE};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char text[4 * PROBLEM_REASON_SIZE + 1] = {0};
        memset(text, 'r', lengths[i]);
        struct problem problem = {0};
        assert_false(problem_set(&problem, 400, "%s", text));
        text[PROBLEM_REASON_SIZE - 1] = '\0';
        if (strcmp(problem.reason, text) != 0)
            fail_msg("a reason of %zu bytes became one of %zu", lengths[i], strlen(problem.reason));
    }
}

static void test_memory(void **state)
{
    (void)state;
    struct problem problem = {0};
    assert_false(problem_memory(&problem));
    assert_int_equal(problem.status, 503);
    assert_non_null(strstr(problem.reason, "memory"));
    /* It says all that it has to say. */
    assert_true(strlen(problem.reason) < PROBLEM_REASON_SIZE - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_set_again),
        cmocka_unit_test(test_set_cuts),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

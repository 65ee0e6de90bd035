#include "unit.h"

#include "known.h"

#include <stdio.h>

static void test_set(void **state)
{
    (void)state;
    struct known known = KNOWN_INIT;
    assert_false(known_has(&known, "a"));
    assert_true(known_add(&known, "a"));
    assert_true(known_add(&known, "a"));
    assert_true(known_add(&known, ""));
    assert_true(known_has(&known, "a"));
    assert_true(known_has(&known, ""));
    assert_false(known_has(&known, "b"));
    known_release(&known);
    assert_false(known_has(&known, "a"));
    assert_true(known_add(&known, "b"));
    known_release(&known);
    known_release(&known);
}

/* The names are copied. */
static void test_many(void **state)
{
    (void)state;
    struct known known = KNOWN_INIT;
    char name[16];
    for (int i = 0; i < 1000; i += 2) {
        (void)snprintf(name, sizeof name, "%d", i * 7 % 1000);
        assert_true(known_add(&known, name));
    }
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        assert_int_equal(known_has(&known, name), i % 2 == 0);
    }
    known_release(&known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests_name("known", tests, NULL, NULL);
}

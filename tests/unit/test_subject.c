#include "unit.h"

#include "subject.h"

#include <stdlib.h>
#include <string.h>

enum { MANY = 300 };

static struct subject key_of(uint64_t number)
{
    /* All fall into few places, so that they collide. */
    return (struct subject){{number % 7, number}};
}

static void test_keys(void **state)
{
    char hex[SUBJECT_HEX_SIZE];
    struct subject subject;
    struct subject back;
    const struct entry with = {.subject = {"abc", 3}};
    const struct entry without = {.fd = -1};
    (void)state;
    /* The first half of SHA-256("abc"): FIPS 180-2, appendix B.1. */
    subject_key(&with, "name", &subject);
    subject_hex(&subject, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223");
    assert_true(subject_parse_hex(hex, &back));
    assert_memory_equal(&back, &subject, sizeof back);
    subject_key(&without, "abc", &back);
    assert_memory_equal(&back, &subject, sizeof back);
}

static void test_foreign_hex(void **state)
{
    struct subject subject;
    (void)state;
    assert_false(subject_parse_hex("", &subject));
    assert_false(subject_parse_hex("ba7816bf8f01cfea414140de5dae222", &subject));
    assert_false(subject_parse_hex("ba7816bf8f01cfea414140de5dae22233", &subject));
    assert_false(subject_parse_hex("BA7816bf8f01cfea414140de5dae2223", &subject));
    assert_false(subject_parse_hex("ba7816bf8f01cfea414140de5dae2223.x", &subject));
    assert_false(subject_parse_hex("runner-0123456789abcdef", &subject));
}

static void test_table(void **state)
{
    struct subject_table table;
    (void)state;
    subject_table_init(&table, MANY);
    for (uint64_t i = 0; i < MANY; i++) {
        struct subject key = key_of(i);
        assert_null(subject_table_get(&table, &key));
        assert_true(subject_table_put(&table, &key, (int64_t)i));
    }
    struct subject more = key_of(MANY);
    assert_false(subject_table_put(&table, &more, 0));
    for (uint64_t i = 0; i < MANY; i += 2) {
        struct subject key = key_of(i);
        subject_table_remove(&table, &key);
        subject_table_remove(&table, &key);
    }
    assert_int_equal(table.count, MANY / 2);
    for (uint64_t i = 0; i < MANY; i++) {
        struct subject key = key_of(i);
        int64_t *value = subject_table_get(&table, &key);
        if (i % 2 == 0) {
            assert_null(value);
        } else {
            assert_non_null(value);
            assert_int_equal(*value, i);
        }
    }
    struct subject one = key_of(1);
    assert_true(subject_table_put(&table, &one, -5));
    assert_int_equal(*subject_table_get(&table, &one), -5);
    assert_int_equal(table.count, MANY / 2);
    subject_table_clear(&table);
    assert_null(subject_table_get(&table, &one));
    assert_true(subject_table_put(&table, &one, 1));
    subject_table_release(&table);
    assert_null(subject_table_get(&table, &one));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_foreign_hex),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "unit.h"

#include "digest.h"

#include <stdlib.h>
#include <string.h>

enum { MILLION = 1000000 };

/* The first four are NIST's examples for FIPS 180, the fifth is from NIST's additional vectors. */
static const struct vector {
    const char *name;
    struct text bytes;
    const char *hex;
} vectors[] = {
    {"one block", {"abc", 3}, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"two blocks",
     {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56},
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"896 bits",
     {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
      "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
      112},
     "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    {"empty", {"", 0}, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"a byte beyond ASCII",
     {"\xbd", 1},
     "68325720aabd7c82f30f554b313d0570c95accbb7dc4b5aae11204c08ffe732b"},
    {"absent", {NULL, 0}, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"NUL", {"", 1}, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
};

static void test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        char hex[DIGEST_HEX_SIZE];
        digest_hex(&vectors[i].bytes, 1, hex);
        if (strcmp(hex, vectors[i].hex) != 0)
            fail_msg("%s: %s", vectors[i].name, hex);
    }
}

/* However it is divided, it is the same. */
static void test_parts(void **state)
{
    static const struct {
        struct text parts[4];
        int count;
    } rows[] = {
        {{{"abc", 3}}, 1},
        {{{"a", 1}, {"bc", 2}}, 2},
        {{{"a", 1}, {"b", 1}, {"c", 1}}, 3},
        {{{"", 0}, {"abc", 3}, {NULL, 0}, {"", 0}}, 4},
        {{{NULL, 0}, {"ab", 2}, {"", 0}, {"c", 1}}, 4},
    };
    (void)state;
    char hex[DIGEST_HEX_SIZE];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        digest_hex(rows[i].parts, rows[i].count, hex);
        if (strcmp(hex, vectors[0].hex) != 0)
            fail_msg("row %zu: %s", i, hex);
    }
    digest_hex(NULL, 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_million(void **state)
{
    (void)state;
    char hex[DIGEST_HEX_SIZE];
    char *bytes = malloc(MILLION);
    assert_non_null(bytes);
    memset(bytes, 'a', MILLION);
    digest_hex(&(const struct text){bytes, MILLION}, 1, hex);
    free(bytes);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* Names are made of it: neither the length nor what is behind may be touched. */
static void test_stays_inside(void **state)
{
    (void)state;
    char hex[DIGEST_HEX_SIZE + 1];
    memset(hex, '~', sizeof hex);
    digest_hex(&vectors[0].bytes, 1, hex);
    assert_int_equal(hex[DIGEST_HEX_SIZE - 1], '\0');
    assert_int_equal(hex[DIGEST_HEX_SIZE], '~');
    assert_int_equal(strspn(hex, "0123456789abcdef"), DIGEST_HEX_SIZE - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_million),
        cmocka_unit_test(test_stays_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

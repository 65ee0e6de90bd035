#include "unit.h"

#include "legible.h"

#include <stdlib.h>
#include <string.h>

static void check(struct text value, bool ascii, const char *expected, size_t columns)
{
    struct buffer out = BUFFER_INIT;
    size_t width = 0;
    assert_true(legible_append(&out, value, ascii, &width));
    assert_int_equal(out.length, strlen(expected));
    assert_memory_equal(out.data, expected, out.length);
    assert_int_equal(width, columns);
    buffer_release(&out);
}

static void check_json(const char *json, bool ascii, const char *expected)
{
    struct buffer out = BUFFER_INIT;
    assert_true(legible_append_lines(&out, text_of(json), ascii));
    assert_int_equal(out.length, strlen(expected));
    assert_memory_equal(out.data, expected, out.length);
    buffer_release(&out);
}

static int set_up(void **state)
{
    (void)state;
    (void)legible_start();
    return 0;
}

static void test_plain(void **state)
{
    (void)state;
    check(text_of(""), false, "", 0);
    check((struct text){NULL, 0}, false, "", 0);
    check(text_of("PO-05-#51388860 ~"), true, "PO-05-#51388860 ~", 17);
}

static void test_letters(void **state)
{
    (void)state;
    check(text_of("één"), false, "één", 3);
    check(text_of("e\xcc\x81"), false, "e\xcc\x81", 1); /* an accent of its own */
    check(text_of("注文"), false, "注文", 4);
    check(text_of("\xf0\x9f\x9a\x9a"), false, "\xf0\x9f\x9a\x9a", 2);
    check(text_of("é"), true, "\\xc3\\xa9", 8);
}

static void test_controls(void **state)
{
    (void)state;
    check((struct text){"a\0b", 3}, false, "a\\x00b", 6);
    check(text_of("\t\n\r\\"), false, "\\t\\n\\r\\\\", 8);
    check(text_of("\033[2J\a\x7f"), false, "\\x1b[2J\\x07\\x7f", 15);
    check(text_of("\xc2\x9b"), false, "\\xc2\\x9b", 8);             /* CSI, a C1 control */
    check(text_of("\xe2\x80\xae"), false, "\\xe2\\x80\\xae", 12);   /* right to left */
    check(text_of("a\xe2\x80\x8b"), false, "a\\xe2\\x80\\x8b", 13); /* no width */
    check(text_of("\xef\xbb\xbf"), false, "\\xef\\xbb\\xbf", 12);
    check(text_of("\xe2\x80\xa8"), false, "\\xe2\\x80\\xa8", 12); /* a line separator */
}

static void test_broken_encoding(void **state)
{
    (void)state;
    check(text_of("\xff"), false, "\\xff", 4);
    check(text_of("\x9b"), false, "\\x9b", 4);
    check(text_of("\xc3"), false, "\\xc3", 4);
    check(text_of("\xc3(a"), false, "\\xc3(a", 6);
    check(text_of("\xc0\xaf"), false, "\\xc0\\xaf", 8);
    check(text_of("\xed\xa0\x80"), false, "\\xed\\xa0\\x80", 12);
    check(text_of("\xf4\x90\x80\x80"), false, "\\xf4\\x90\\x80\\x80", 16);
    check(text_of("\xfc\xbc\xbc\xbc\xbc\xbc"), false, "\\xfc\\xbc\\xbc\\xbc\\xbc\\xbc", 24);
}

static void test_json(void **state)
{
    (void)state;
    check_json("{\n\t\"a\": \"\\u0000é注\\\\\"\r\n}", false,
               "{\n\t\"a\": \"\\u0000é注\\\\\"\\u000d\n}");
    check_json("\"\x7f\xc2\x9b\xe2\x80\xae\"", false, "\"\\u007f\\u009b\\u202e\"");
    check_json("\"\xf3\xa0\x81\x81\"", false, "\"\\udb40\\udc41\"");
    check_json("\"é\xf0\x9f\x9a\x9a\"", true, "\"\\u00e9\\ud83d\\ude9a\"");
    check_json("\"\033[2J\xff\"", false, "\"\\u001b[2J\\u00ff\"");
}

static void test_terminal(void **state)
{
    (void)state;
    static const struct {
        const char *locale;
        bool utf8;
    } cases[] = {{"C.UTF-8", true}, {"C", false}, {"POSIX", false}, {"no_SUCH", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(setenv("LC_ALL", cases[i].locale, 1), 0);
        assert_int_equal(legible_start(), cases[i].utf8);
        check(text_of("é"), false, "é", 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),    cmocka_unit_test(test_letters),
        cmocka_unit_test(test_controls), cmocka_unit_test(test_broken_encoding),
        cmocka_unit_test(test_json),     cmocka_unit_test(test_terminal),
    };
    return cmocka_run_group_tests_name("legible", tests, set_up, NULL);
}

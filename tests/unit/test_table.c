/* What a terminal sees is tested with a real one, in tests/system. */
#include "unit.h"

#include "table.h"

#include <stdlib.h>
#include <string.h>

static const struct column COLUMNS[] = {{"NAME", false}, {"BYTES", true}, {"TYPE", false}};

static struct cell cell(const char *text)
{
    return (struct cell){text_of(text), HUE_BAD};
}

/* Print rows as if to a terminal (or not) and give the text; the caller frees it. */
static char *print(struct terminal terminal, const char *const rows[][3], size_t count)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    struct table *table = malloc(sizeof *table);
    assert_non_null(stream);
    assert_non_null(table);
    table_init(table, stream, COLUMNS, 3);
    table->terminal = terminal;
    for (size_t i = 0; i < count; i++) {
        const struct cell cells[] = {cell(rows[i][0]), cell(rows[i][1]), cell(rows[i][2])};
        assert_true(table_row(table, cells));
    }
    table_end(table);
    free(table);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void check(struct terminal terminal, const char *const rows[][3], size_t count,
                  const char *expected)
{
    char *text = print(terminal, rows, count);
    assert_string_equal(text, expected);
    free(text);
}

static const char *const ROWS[][3] = {
    {"a.json", "1", "order"}, {"longer.json", "1234567", "注文"}, {"t\tn\n", NULL, NULL}};

static void test_tab_separated(void **state)
{
    (void)state;
    check((struct terminal){false, false, false}, ROWS, 3,
          "a.json\t1\torder\nlonger.json\t1234567\t注文\nt\\tn\\n\t\t\n");
    check((struct terminal){false, false, false}, ROWS, 0, "");
}

static void test_aligned(void **state)
{
    (void)state;
    check((struct terminal){true, false, false}, ROWS, 3,
          "NAME           BYTES  TYPE\n"
          "a.json             1  order\n"
          "longer.json  1234567  注文\n"
          "t\\tn\\n                \n");
    check((struct terminal){true, false, false}, ROWS, 0, "");
}

static void test_wide_characters_in_the_middle(void **state)
{
    (void)state;
    static const char *const rows[][3] = {{"注文", "1", "x"}, {"abcdef", "2", "y"}};
    check((struct terminal){true, false, false}, rows, 2,
          "NAME    BYTES  TYPE\n"
          "注文        1  x\n"
          "abcdef      2  y\n");
    check((struct terminal){true, false, true}, rows, 1,
          "NAME                      BYTES  TYPE\n"
          "\\xe6\\xb3\\xa8\\xe6\\x96\\x87      1  x\n");
}

static void test_colour(void **state)
{
    (void)state;
    check((struct terminal){true, true, false}, ROWS, 1,
          "\033[2mNAME\033[0m    \033[2mBYTES\033[0m  \033[2mTYPE\033[0m\n"
          "\033[31ma.json\033[0m      \033[31m1\033[0m  \033[31morder\033[0m\n");
}

/* Memory stays the same, and the headings are printed once. */
static void test_many_rows(void **state)
{
    (void)state;
    static const char *const rows[3 * TABLE_ROWS_HELD][3] = {[150] = {"a longer name"}};
    char *text = print((struct terminal){true, false, false}, rows, 3 * TABLE_ROWS_HELD);
    size_t lines = 0;
    for (const char *at = strchr(text, '\n'); at != NULL; at = strchr(at + 1, '\n'))
        lines++;
    assert_int_equal(lines, 3 * TABLE_ROWS_HELD + 1);
    assert_null(strstr(strstr(text, "NAME") + 1, "NAME"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tab_separated),
        cmocka_unit_test(test_aligned),
        cmocka_unit_test(test_wide_characters_in_the_middle),
        cmocka_unit_test(test_colour),
        cmocka_unit_test(test_many_rows),
    };
    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}

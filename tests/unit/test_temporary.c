#include "unit.h"

#include "temporary.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEX "0123456789abcdef0123456789abcdef"

static void test_names(void **state)
{
    static const char *const good[] = {"1." HEX, "4194304." HEX};
    static const char *const bad[] = {"",           ".",
                                      "1",          "." HEX,
                                      "1." HEX "0", "1.0123456789abcdef",
                                      "x." HEX,     "1 ." HEX,
                                      "-1." HEX,    "1.0123456789ABCDEF" HEX,
                                      ".1." HEX,    "1." HEX ".",
                                      "1.." HEX};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(temporary_is_name(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(temporary_is_name(bad[i]));
}

/* What is created has such a name, another one each time, and is for the group to read. */
static void test_created(void **state)
{
    char base[] = "/tmp/test_temporary.XXXXXX";
    char first[TEMPORARY_SIZE];
    char second[TEMPORARY_SIZE];
    struct stat status;
    (void)state;
    (void)umask(007);
    assert_non_null(mkdtemp(base));
    int directory = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int one = temporary_create(directory, first);
    int two = temporary_create(directory, second);
    assert_true(one >= 0 && two >= 0);
    assert_true(temporary_is_name(first) && temporary_is_name(second));
    assert_string_not_equal(first, second);
    assert_int_equal(fstatat(directory, first, &status, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    assert_int_equal(close(one), 0);
    assert_int_equal(close(two), 0);
    assert_int_equal(unlinkat(directory, first, 0), 0);
    assert_int_equal(unlinkat(directory, second, 0), 0);
    assert_int_equal(close(directory), 0);
    assert_int_equal(temporary_create(directory, first), -1);
    assert_int_equal(rmdir(base), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_created),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

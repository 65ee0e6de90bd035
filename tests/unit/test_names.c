#include "unit.h"

#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVENT     "20250423T100153.812Z_order_67aa8ece.json"
#define HEX       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define REJECTION "20250423T100153.812Z_rejected_" HEX ".txt"

static void test_fit(void **state)
{
    (void)state;
    static const char *const others[] = {
        "",
        ".",
        "..",
        "x",
        "x.json",
        EVENT "~",
        "../" EVENT,
        "20250423T100153.812Z_rejected_" HEX,
        "20250423T100153.812Z_rejected_" HEX "0.txt",
        "20250423T100153.812Z_Rejected_" HEX ".txt",
        "20250423T100153.8123_rejected_" HEX ".txt",
        "20251323T100153.812Z_rejected_" HEX ".txt",
        "20250423T100153.812Z_rejected_0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789"
        "abcdef.txt",
        "20250423T100153.812Z_rejected_" HEX ".TXT",
    };
    for (enum spool_state at = SPOOL_NEW; at < SPOOL_STATES; at++) {
        assert_true(names_fit(at, EVENT));
        assert_int_equal(names_fit(at, REJECTION), at == SPOOL_REJECTED);
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
            assert_false(names_fit(at, others[i]));
    }
}

/* A spool of which only new/ and done/ are there, and open. */
static int set_up(void **state)
{
    static char path[] = "/tmp/tradecloud-names.XXXXXX";
    static struct spool spool;
    assert_non_null(mkdtemp(path));
    spool = (struct spool){.path = path, .root = open(path, O_RDONLY | O_DIRECTORY)};
    for (int i = 0; i < SPOOL_STATES; i++)
        spool.directories[i] = -1;
    static const enum spool_state made[] = {SPOOL_NEW, SPOOL_DONE};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        assert_int_equal(mkdirat(spool.root, spool_state_name(made[i]), 0700), 0);
        spool.directories[made[i]] =
            openat(spool.root, spool_state_name(made[i]), O_RDONLY | O_DIRECTORY);
    }
    *state = &spool;
    return 0;
}

static void put(const struct spool *spool, enum spool_state state, const char *name)
{
    int fd = openat(spool->directories[state], name, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static int tear_down(void **state)
{
    struct spool *spool = *state;
    for (int at = 0; at < SPOOL_STATES; at++) {
        struct names names;
        assert_true(names_read(&names, spool, (enum spool_state)at));
        for (size_t i = 0; i < names.count; i++)
            assert_int_equal(unlinkat(spool->directories[at], names_at(&names, i), 0), 0);
        names_release(&names);
        if (spool->directories[at] >= 0)
            assert_int_equal(
                unlinkat(spool->root, spool_state_name((enum spool_state)at), AT_REMOVEDIR), 0);
    }
    assert_int_equal(rmdir(spool->path), 0);
    spool_close(spool);
    return 0;
}

static void test_read(void **state)
{
    const struct spool *spool = *state;
    struct names names;
    char name[64];
    for (int i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof name, "20250423T100153.%03dZ_order_k.json", i * 37 % 200);
        put(spool, SPOOL_NEW, name);
    }
    put(spool, SPOOL_NEW, "foreign");
    assert_true(names_read(&names, spool, SPOOL_NEW));
    assert_int_equal(names.count, 200);
    assert_int_equal(names.odd, 1);
    for (int i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof name, "20250423T100153.%03dZ_order_k.json", i);
        assert_string_equal(names_at(&names, (size_t)i), name);
    }
    names_release(&names);
    assert_int_equal(unlinkat(spool->directories[SPOOL_NEW], "foreign", 0), 0);
}

static void test_read_nothing(void **state)
{
    const struct spool *spool = *state;
    struct names names;
    assert_true(names_read(&names, spool, SPOOL_DONE));
    assert_int_equal(names.count, 0);
    names_release(&names);
    assert_true(names_read(&names, spool, SPOOL_FAILED));
    assert_int_equal(names.count, 0);
    names_release(&names);
}

static void test_read_what_is_no_directory(void **state)
{
    struct spool broken = *(const struct spool *)*state;
    struct names names;
    broken.directories[SPOOL_NEW] = open("/dev/null", O_RDONLY);
    errno = 0;
    assert_false(names_read(&names, &broken, SPOOL_NEW));
    assert_int_equal(errno, ENOTDIR);
    assert_int_equal(close(broken.directories[SPOOL_NEW]), 0);
}

static void test_find(void **state)
{
    const struct spool *spool = *state;
    assert_int_equal(names_find(spool, EVENT), SPOOL_STATES);
    put(spool, SPOOL_DONE, EVENT);
    assert_int_equal(names_find(spool, EVENT), SPOOL_DONE);
    put(spool, SPOOL_NEW, EVENT);
    assert_int_equal(names_find(spool, EVENT), SPOOL_NEW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fit),          cmocka_unit_test(test_read),
        cmocka_unit_test(test_read_nothing), cmocka_unit_test(test_read_what_is_no_directory),
        cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests_name("names", tests, set_up, tear_down);
}

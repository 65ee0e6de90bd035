#include "unit.h"

#include "window.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_SIZE = 64 };

static char base[64];
static int directories[2];
static int odd_count;

static int make_place(void **state)
{
    char path[80];
    (void)state;
    (void)snprintf(base, sizeof base, "/tmp/test_window.XXXXXX");
    if (mkdtemp(base) == NULL)
        return -1;
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/%d", base, i);
        if (mkdir(path, 0700) != 0)
            return -1;
        directories[i] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    odd_count = 0;
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status;
    (void)type;
    (void)at;
    return remove(path);
}

static int remove_place(void **state)
{
    (void)state;
    (void)close(directories[0]);
    (void)close(directories[1]);
    return nftw(base, remove_one, 16, FTW_PHYS | FTW_DEPTH);
}

static const char *name_of(int number)
{
    static char name[NAME_SIZE];
    (void)snprintf(name, sizeof name, "20250423T%02d%02d%02d.%03dZ_order_m.json", number / 3600000,
                   number / 60000 % 60, number / 1000 % 60, number % 1000);
    return name;
}

static void make(int directory, const char *name)
{
    int fd = openat(directories[directory], name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static void count_odd(void *context, int directory, const char *name)
{
    (void)context;
    (void)name;
    assert_true(directory == directories[0] || directory == directories[1]);
    odd_count++;
}

static void assert_names(const struct window *window, const int *numbers, size_t count)
{
    assert_int_equal(window->count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(window->order[i]->name, name_of(numbers[i]));
}

static void fill(struct window *window, const char *after)
{
    assert_true(window_fill(window, directories, 2, after, count_odd, NULL));
}

static void test_small(void **state)
{
    static const int all[] = {1, 2, 3, 5};
    static const int more[] = {0, 1, 2, 3, 4, 5, 9};
    static const int rest[] = {0, 1, 3, 4, 5};
    struct window window;
    (void)state;
    make(0, name_of(5));
    make(0, name_of(1));
    make(0, name_of(3));
    make(1, name_of(2));
    make(1, name_of(3));
    make(0, "README");
    make(1, ".x");
    assert_true(window_init(&window));
    fill(&window, "");
    assert_names(&window, all, 4);
    assert_true(window.complete);
    assert_int_equal(odd_count, 2);
    assert_true(window_insert(&window, name_of(9)));
    assert_true(window_insert(&window, name_of(0)));
    assert_true(window_insert(&window, name_of(4)));
    window.order[1]->known = window.order[1]->ignored = true;
    assert_true(window_insert(&window, name_of(1)));
    assert_false(window.order[1]->known || window.order[1]->ignored);
    assert_names(&window, more, 7);
    window_remove(&window, name_of(9));
    window_remove(&window, name_of(2));
    window_remove(&window, name_of(7));
    assert_names(&window, rest, 5);
    fill(&window, name_of(3));
    assert_int_equal(window.count, 1);
    assert_string_equal(window.order[0]->name, name_of(5));
    window_release(&window);
}

static void test_empty(void **state)
{
    struct window window;
    (void)state;
    assert_true(window_init(&window));
    fill(&window, "");
    assert_int_equal(window.count, 0);
    assert_true(window.complete);
    assert_true(window_insert(&window, name_of(1)));
    assert_int_equal(window.count, 1);
    window_release(&window);
}

static void test_larger_than_a_window(void **state)
{
    struct window window;
    (void)state;
    /* In an order that is none. */
    for (int i = 0; i < WINDOW_SIZE + 100; i++)
        make(0, name_of((i * 7919) % (WINDOW_SIZE + 100) * 2));
    assert_true(window_init(&window));
    fill(&window, "");
    assert_int_equal(window.count, WINDOW_SIZE);
    assert_int_equal(window.seen, WINDOW_SIZE + 100);
    assert_false(window.complete);
    for (int i = 0; i < WINDOW_SIZE; i++)
        assert_string_equal(window.order[i]->name, name_of(2 * i));
    /* What is behind its end has no place in it; what is not takes the newest one's. */
    assert_false(window_insert(&window, name_of(2 * WINDOW_SIZE + 1)));
    assert_true(window_insert(&window, name_of(1)));
    assert_int_equal(window.count, WINDOW_SIZE);
    assert_string_equal(window.order[1]->name, name_of(1));
    assert_string_equal(window.last, name_of(2 * WINDOW_SIZE - 4));
    /* Also when there is room again, nothing is taken in beyond what it knows of. */
    window_remove(&window, name_of(0));
    assert_false(window_insert(&window, name_of(2 * WINDOW_SIZE - 3)));
    fill(&window, name_of(2 * WINDOW_SIZE - 2));
    assert_int_equal(window.count, 100);
    assert_true(window.complete);
    assert_string_equal(window.order[0]->name, name_of(2 * WINDOW_SIZE));
    window_release(&window);
}

static void test_unreadable(void **state)
{
    static const int none[] = {-1};
    struct window window;
    (void)state;
    make(0, name_of(1));
    assert_true(window_init(&window));
    fill(&window, "");
    assert_false(window_fill(&window, none, 1, "", count_odd, NULL));
    assert_int_equal(errno, EBADF);
    assert_int_equal(window.count, 0);
    window_release(&window);
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_small),
        IN_PLACE(test_empty),
        IN_PLACE(test_larger_than_a_window),
        IN_PLACE(test_unreadable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

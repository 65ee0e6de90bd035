#include "unit.h"

#include "buffer.h"

#include <stdlib.h>
#include <string.h>

const char *__asan_default_options(void);

/* Let the sanitizer's malloc fail as the real one does, instead of ending the program. */
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void assert_holds(const struct buffer *buffer, const char *bytes, size_t length)
{
    assert_int_equal(buffer->length, length);
    assert_true(buffer->capacity >= length);
    if (length > 0)
        assert_memory_equal(buffer->data, bytes, length);
}

static void test_starts_empty(void **state)
{
    (void)state;
    struct buffer buffer = BUFFER_INIT;
    assert_null(buffer.data);
    assert_int_equal(buffer.length, 0);
    assert_int_equal(buffer.capacity, 0);
    buffer_release(&buffer);
    assert_null(buffer.data);
}

static void test_append_nothing(void **state)
{
    (void)state;
    struct buffer buffer = BUFFER_INIT;
    assert_true(buffer_append(&buffer, NULL, 0));
    assert_true(buffer_append(&buffer, "x", 0));
    assert_true(buffer_append_string(&buffer, ""));
    assert_true(buffer_reserve(&buffer, 0));
    assert_null(buffer.data);
    assert_int_equal(buffer.length, 0);
}

static void test_append_keeps_order_and_nuls(void **state)
{
    (void)state;
    struct buffer buffer = BUFFER_INIT;
    assert_true(buffer_append(&buffer, "a\0b", 3));
    assert_true(buffer_append_string(&buffer, "cd"));
    assert_true(buffer_append(&buffer, "\0", 1));
    assert_holds(&buffer, "a\0bcd\0", 6);
    buffer_release(&buffer);
}

/* Byte by byte, so that every length up to the last is a place where it may have to grow. */
static void test_growth_keeps_contents(void **state)
{
    (void)state;
    enum { BYTES = 20000 };
    struct buffer buffer = BUFFER_INIT;
    size_t moves = 0;
    for (size_t i = 0; i < BYTES; i++) {
        size_t capacity = buffer.capacity;
        char byte = (char)(i * 7 % 251);
        assert_true(buffer_append(&buffer, &byte, 1));
        assert_int_equal(buffer.length, i + 1);
        moves += buffer.capacity != capacity;
    }
    for (size_t i = 0; i < BYTES; i++)
        if (buffer.data[i] != (char)(i * 7 % 251))
            fail_msg("byte %zu has changed", i);
    /* It doubles: 2^15 is the first power of two that holds them. */
    assert_true(moves <= 16);
    buffer_release(&buffer);
}

static void test_growth_in_pieces(void **state)
{
    (void)state;
    enum { PIECES = 300 };
    struct buffer buffer = BUFFER_INIT;
    char piece[PIECES];
    for (size_t length = 1; length <= PIECES; length++) {
        memset(piece, (int)(length % 128), length);
        assert_true(buffer_append(&buffer, piece, length));
    }
    size_t at = 0;
    for (size_t length = 1; length <= PIECES; length++)
        for (size_t i = 0; i < length; i++, at++)
            if (buffer.data[at] != (char)(length % 128))
                fail_msg("byte %zu, of the piece of %zu bytes, has changed", at, length);
    assert_int_equal(buffer.length, at);
    buffer_release(&buffer);
}

/* As a caller does who reads into the room himself. */
static void test_reserve_gives_room(void **state)
{
    (void)state;
    static const size_t rooms[] = {1, 2, 7, 8, 100, 4096, 65536};
    struct buffer buffer = BUFFER_INIT;
    size_t expected = 0;
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        assert_true(buffer_reserve(&buffer, rooms[i]));
        assert_int_equal(buffer.length, expected);
        assert_true(buffer.capacity - buffer.length >= rooms[i]);
        memset(buffer.data + buffer.length, (int)i, rooms[i]);
        buffer.length += rooms[i];
        expected += rooms[i];
    }
    for (size_t i = 0, at = 0; i < sizeof rooms / sizeof rooms[0]; at += rooms[i++])
        assert_int_equal(buffer.data[at], i);
    buffer_release(&buffer);
}

static void test_reserve_within_capacity_moves_nothing(void **state)
{
    (void)state;
    struct buffer buffer = BUFFER_INIT;
    assert_true(buffer_reserve(&buffer, 64));
    const char *data = buffer.data;
    size_t capacity = buffer.capacity;
    for (size_t i = 0; i < 64; i++) {
        assert_true(buffer_reserve(&buffer, 64 - i));
        assert_true(buffer_append(&buffer, "x", 1));
    }
    assert_ptr_equal(buffer.data, data);
    assert_int_equal(buffer.capacity, capacity);
    buffer_release(&buffer);
}

static void test_reserve_doubles(void **state)
{
    (void)state;
    struct buffer buffer = BUFFER_INIT;
    assert_true(buffer_reserve(&buffer, 1000));
    buffer.length = buffer.capacity;
    memset(buffer.data, 'x', buffer.length);
    size_t before = buffer.capacity;
    assert_true(buffer_reserve(&buffer, 1));
    assert_true(buffer.capacity >= 2 * before);
    buffer_release(&buffer);
}

/* Sums that wrap around, sums that do not but that no machine has: all leave the buffer alone. */
static void test_huge_reserve_is_refused(void **state)
{
    (void)state;
    static const size_t huge[] = {
        SIZE_MAX,         SIZE_MAX - 1,     SIZE_MAX - 3, SIZE_MAX - 4,
        SIZE_MAX / 2 + 1, SIZE_MAX / 2 - 2, SIZE_MAX / 2, SIZE_MAX / 4,
    };
    struct buffer buffer = BUFFER_INIT;
    for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
        if (buffer_reserve(&buffer, huge[i]) || buffer.data != NULL || buffer.capacity != 0)
            fail_msg("%zu bytes in an empty buffer are not refused", huge[i]);
    }
    assert_true(buffer_append_string(&buffer, "kept"));
    const struct buffer before = buffer;
    for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
        if (buffer_reserve(&buffer, huge[i]))
            fail_msg("%zu bytes behind others are not refused", huge[i]);
        assert_memory_equal(&buffer, &before, sizeof before);
        assert_holds(&buffer, "kept", 4);
    }
    assert_true(buffer_append_string(&buffer, " and used"));
    assert_holds(&buffer, "kept and used", 13);
    buffer_release(&buffer);
}

static void test_huge_append_is_refused(void **state)
{
    (void)state;
    struct buffer buffer = BUFFER_INIT;
    assert_true(buffer_append_string(&buffer, "kept"));
    const struct buffer before = buffer;
    assert_false(buffer_append(&buffer, "x", SIZE_MAX));
    assert_false(buffer_append(&buffer, "x", SIZE_MAX / 2));
    assert_memory_equal(&buffer, &before, sizeof before);
    assert_holds(&buffer, "kept", 4);
    buffer_release(&buffer);
}

static void test_release_allows_reuse(void **state)
{
    (void)state;
    struct buffer buffer = BUFFER_INIT;
    for (int i = 0; i < 3; i++) {
        assert_true(buffer_append_string(&buffer, "again"));
        assert_holds(&buffer, "again", 5);
        buffer_release(&buffer);
        assert_null(buffer.data);
        assert_int_equal(buffer.length, 0);
        assert_int_equal(buffer.capacity, 0);
    }
    buffer_release(&buffer);
}

static void test_text_of(void **state)
{
    (void)state;
    static const char string[] = "abc";
    struct text text = text_of(string);
    assert_ptr_equal(text.data, string);
    assert_int_equal(text.length, 3);
    text = text_of(NULL);
    assert_null(text.data);
    assert_int_equal(text.length, 0);
    text = text_of("");
    assert_non_null(text.data);
    assert_int_equal(text.length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_empty),
        cmocka_unit_test(test_append_nothing),
        cmocka_unit_test(test_append_keeps_order_and_nuls),
        cmocka_unit_test(test_growth_keeps_contents),
        cmocka_unit_test(test_growth_in_pieces),
        cmocka_unit_test(test_reserve_gives_room),
        cmocka_unit_test(test_reserve_within_capacity_moves_nothing),
        cmocka_unit_test(test_reserve_doubles),
        cmocka_unit_test(test_huge_reserve_is_refused),
        cmocka_unit_test(test_huge_append_is_refused),
        cmocka_unit_test(test_release_allows_reuse),
        cmocka_unit_test(test_text_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

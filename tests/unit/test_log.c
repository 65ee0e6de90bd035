#include "unit.h"

#include "log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define TEXT(string)                                                                               \
    {                                                                                              \
        string, sizeof string - 1                                                                  \
    }

/* What a byte is written as. */
static const char *escaped_byte(unsigned byte)
{
    static char escaped[8];
    (void)snprintf(escaped, sizeof escaped, "\\x%02x", byte);
    if (byte >= 0x20 && byte < 0x7f)
        (void)snprintf(escaped, sizeof escaped, "%c", (int)byte);
    switch (byte) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        return escaped;
    }
}

/* Escape into an allocation of exactly the size, so that the sanitizer sees overruns. The caller
 * frees. */
static char *escape(struct text value, size_t size)
{
    char *out = malloc(size);
    assert_non_null(out);
    memset(out, '#', size);
    size_t length = log_escape(value, out, size);
    assert_true(length < size);
    assert_int_equal(out[length], '\0');
    assert_int_equal(strlen(out), length);
    return out;
}

/* A copy of the line's text as a string, up to its length. The caller frees. */
static char *text_of_line(const struct log_line *line)
{
    assert_true(line->length < LOG_LINE_SIZE);
    char *copy = calloc(1, line->length + 1);
    assert_non_null(copy);
    memcpy(copy, line->text, line->length);
    return copy;
}

static void assert_line(const struct log_line *line, const char *expected)
{
    char *text = text_of_line(line);
    assert_string_equal(text, expected);
    free(text);
}

/* --- escapes --- */

static void test_every_byte(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        const char value[] = {(char)byte};
        char *escaped = escape((struct text){value, 1}, 16);
        if (strcmp(escaped, escaped_byte(byte)) != 0)
            fail_msg("byte 0x%02x is written as %s", byte, escaped);
        free(escaped);
    }
}

/* All bytes in a row, once forwards and once backwards: no two of them run together. */
static void test_all_bytes(void **state)
{
    (void)state;
    for (int backwards = 0; backwards < 2; backwards++) {
        char value[256];
        char expected[2048] = "";
        for (unsigned i = 0; i < 256; i++) {
            unsigned byte = backwards ? 255 - i : i;
            value[i] = (char)byte;
            strcat(expected, escaped_byte(byte));
        }
        char *escaped = escape((struct text){value, sizeof value}, 2048);
        assert_string_equal(escaped, expected);
        free(escaped);
    }
}

static void test_escape(void **state)
{
    (void)state;
    static const struct {
        struct text value;
        const char *escaped;
    } rows[] = {
        {TEXT(""), ""},
        {TEXT("plain"), "plain"},
        {TEXT("two words"), "two words"},
        {TEXT("\"quoted\""), "\\\"quoted\\\""},
        {TEXT("back\\slash"), "back\\\\slash"},
        {TEXT("\\n"), "\\\\n"},
        {TEXT("\\x41"), "\\\\x41"},
        {TEXT("a\nstatus=200"), "a\\nstatus=200"},
        {TEXT("a\r\nb\tc"), "a\\r\\nb\\tc"},
        {TEXT("a\0b"), "a\\x00b"},
        {TEXT("\0"), "\\x00"},
        {TEXT("\x1b[2J\x07"), "\\x1b[2J\\x07"},
        {TEXT("\x7f"), "\\x7f"},
        {TEXT("\x0b\x0c\x08"), "\\x0b\\x0c\\x08"},
        {TEXT("caf\xc3\xa9"), "caf\\xc3\\xa9"},
        {TEXT("\xc2\x9b"
              "31m"),
         "\\xc2\\x9b31m"},
        {TEXT("\xe2\x80\xae"
              "abc"),
         "\\xe2\\x80\\xaeabc"},
        {TEXT("\xff\xfe"), "\\xff\\xfe"},
        {TEXT("%s%n"), "%s%n"},
        {TEXT("'`$(x)`'"), "'`$(x)`'"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *escaped = escape(rows[i].value, 64);
        if (strcmp(escaped, rows[i].escaped) != 0)
            fail_msg("%s is expected, got %s", rows[i].escaped, escaped);
        free(escaped);
    }
}

static void test_escape_of_nothing(void **state)
{
    (void)state;
    char *escaped = escape((struct text){NULL, 0}, 4);
    assert_string_equal(escaped, "");
    free(escaped);
}

/* --- cuts --- */

/* A value cut at any size is a beginning of the whole one and "...", and no escape is torn. */
static void check_cut(struct text value, size_t size)
{
    char *whole = escape(value, 4096);
    char *cut = escape(value, size);
    size_t length = strlen(cut);
    if (strcmp(cut, whole) == 0) {
        free(cut);
        free(whole);
        return;
    }
    if (length < 3 || strcmp(cut + length - 3, "...") != 0 || strncmp(cut, whole, length - 3) != 0)
        fail_msg("%zu bytes: %s becomes %s", size, whole, cut);
    /* What is left is the escaped form of some number of bytes of the value. */
    size_t at = 0;
    for (size_t i = 0; at < length - 3; i++)
        at += strlen(escaped_byte((unsigned char)value.data[i]));
    if (at != length - 3)
        fail_msg("%zu bytes: an escape is torn: %s", size, cut);
    free(cut);
    free(whole);
}

static void test_cut_at_every_size(void **state)
{
    (void)state;
    static const struct text values[] = {
        TEXT("0123456789012345678901234567890123456789"),
        TEXT("\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"),
        TEXT("\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c"),
        TEXT("a\nb\x01"
             "c\"d\xff"
             "e\\f\0g"),
        TEXT("\0\0\0\0\0\0\0\0\0\0"),
        TEXT("..............................."),
        TEXT("a"),
        TEXT("ab"),
        TEXT("abc"),
        TEXT("abcd"),
        TEXT("\xff"),
    };
    for (size_t i = 0; i < COUNT(values); i++)
        for (size_t size = 4; size <= 100; size++)
            check_cut(values[i], size);
}

/* There is always room for what is much shorter, and no more than the room is used. */
static void test_cut_leaves_as_much_as_fits(void **state)
{
    (void)state;
    char value[300];
    memset(value, 'v', sizeof value);
    for (size_t size = 8; size <= 200; size++) {
        char *escaped = escape((struct text){value, size - 4}, size);
        assert_int_equal(strlen(escaped), size - 4);
        assert_null(strchr(escaped, '.'));
        free(escaped);
        escaped = escape((struct text){value, sizeof value}, size);
        assert_int_equal(strlen(escaped), size - 1);
        free(escaped);
    }
}

static void test_huge_value(void **state)
{
    (void)state;
    enum { HUGE = 10 << 20 };
    char *value = malloc(HUGE);
    assert_non_null(value);
    memset(value, '\xff', HUGE);
    struct log_line line = LOG_LINE_INIT;
    log_text(&line, "huge", (struct text){value, HUGE});
    char *text = text_of_line(&line);
    assert_true(line.length <= strlen("huge=\"\"") + LOG_VALUE_MAX);
    assert_true(line.length >= strlen("huge=\"\"") + LOG_VALUE_MAX - 8);
    assert_string_equal(text + line.length - 4, "...\"");
    free(text);
    free(value);
}

/* --- lines --- */

static void test_quotes(void **state)
{
    (void)state;
    static const struct {
        struct text value;
        const char *line;
    } rows[] = {
        {TEXT("plain"), "k=plain"},
        {TEXT("/a/b?c;d:e,f"), "k=/a/b?c;d:e,f"},
        {TEXT("-1.5"), "k=-1.5"},
        {TEXT(""), "k=\"\""},
        {TEXT(" "), "k=\" \""},
        {TEXT("two words"), "k=\"two words\""},
        {TEXT("a=b"), "k=\"a=b\""},
        {TEXT("="), "k=\"=\""},
        {TEXT("a\"b"), "k=\"a\\\"b\""},
        {TEXT("\""), "k=\"\\\"\""},
        {TEXT("a\\b"), "k=\"a\\\\b\""},
        {TEXT("a\nb"), "k=\"a\\nb\""},
        {TEXT("\t"), "k=\"\\t\""},
        {TEXT("\0"), "k=\"\\x00\""},
        {TEXT("\x7f"), "k=\"\\x7f\""},
        {TEXT("\xc3\xa9"), "k=\"\\xc3\\xa9\""},
        {TEXT("x status=200\nforged=yes"), "k=\"x status=200\\nforged=yes\""},
        {TEXT("x\" status=\"200"), "k=\"x\\\" status=\\\"200\""},
        {TEXT("x\\\" status=200"), "k=\"x\\\\\\\" status=200\""},
        {TEXT("%d %s %n"), "k=\"%d %s %n\""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct log_line line = LOG_LINE_INIT;
        log_text(&line, "k", rows[i].value);
        char *text = text_of_line(&line);
        if (strcmp(text, rows[i].line) != 0)
            fail_msg("%s is expected, got %s", rows[i].line, text);
        free(text);
    }
}

static void test_keys_in_order(void **state)
{
    (void)state;
    struct log_line line = LOG_LINE_INIT;
    assert_int_equal(line.length, 0);
    log_text(&line, "outcome", text_of("spooled"));
    log_number(&line, "status", 200);
    log_text(&line, "reason", text_of("two words"));
    log_text(&line, "empty", text_of(""));
    log_number(&line, "bytes", 0);
    assert_line(&line, "outcome=spooled status=200 reason=\"two words\" empty=\"\" bytes=0");
}

static void test_absent_text_adds_nothing(void **state)
{
    (void)state;
    struct log_line line = LOG_LINE_INIT;
    log_text(&line, "a", text_of(NULL));
    assert_int_equal(line.length, 0);
    log_text(&line, "b", text_of("1"));
    log_text(&line, "c", text_of(NULL));
    log_text(&line, "d", text_of("2"));
    assert_line(&line, "b=1 d=2");
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        int64_t number;
        const char *line;
    } rows[] = {
        {0, "n=0"},
        {1, "n=1"},
        {-1, "n=-1"},
        {1745402513812, "n=1745402513812"},
        {INT64_MAX, "n=9223372036854775807"},
        {INT64_MIN, "n=-9223372036854775808"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct log_line line = LOG_LINE_INIT;
        log_number(&line, "n", rows[i].number);
        assert_line(&line, rows[i].line);
    }
}

/* The value of `k=` as a reader of logfmt takes it, in quotes or not. */
static size_t read_back(const char *text, char *value)
{
    size_t length = 0;
    bool quoted = text[2] == '"';
    const char *at = text + (quoted ? 3 : 2);
    while (*at != '\0' && !(quoted && *at == '"')) {
        unsigned byte = (unsigned char)*at++;
        if (byte == '\\' && *at == 'x') {
            assert_int_equal(sscanf(at + 1, "%2x", &byte), 1);
            at += 3;
        } else if (byte == '\\') {
            byte = *at == 'n' ? '\n' : *at == 'r' ? '\r' : *at == 't' ? '\t' : (unsigned)*at;
            at++;
        }
        value[length++] = (char)byte;
    }
    assert_string_equal(at, quoted ? "\"" : "");
    return length;
}

/* Whatever the bytes, a reader gets them back and the line is printable ASCII. */
static void test_any_bytes_come_back(void **state)
{
    (void)state;
    uint64_t seed = 20250423;
    for (int n = 0; n < 5000; n++) {
        char value[64];
        char back[LOG_VALUE_MAX];
        size_t length = (size_t)(n % 64);
        for (size_t i = 0; i < length; i++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            value[i] = n % 3 == 0 ? "\"\\ =\nx\x01"[seed >> 61] : (char)(seed >> 56);
        }
        struct log_line line = LOG_LINE_INIT;
        log_text(&line, "k", (struct text){value, length});
        char *text = text_of_line(&line);
        for (size_t i = 0; i < line.length; i++)
            assert_in_range(text[i], 0x20, 0x7e);
        assert_int_equal(read_back(text, back), length);
        assert_memory_equal(back, value, length);
        free(text);
    }
}

/* --- full lines --- */

/* What does not fit is left out as a whole, and what is small enough may still follow. */
static void test_too_many_keys(void **state)
{
    (void)state;
    struct log_line *line = calloc(1, sizeof *line);
    assert_non_null(line);
    size_t before = 0;
    int keys = 0;
    for (int i = 0; i < 10000; i++) {
        log_number(line, "key", 1000000);
        keys += line->length > before;
        before = line->length;
    }
    assert_true(line->length < LOG_LINE_SIZE);
    assert_true(line->length > LOG_LINE_SIZE - 32);
    assert_int_equal(line->length, (size_t)keys * sizeof "key=1000000" - 1);
    char *text = text_of_line(line);
    for (size_t at = 0; at < line->length; at += sizeof "key=1000000")
        assert_memory_equal(text + at, "key=1000000", sizeof "key=1000000" - 1);
    free(text);
    free(line);
}

/* Until no more of them fit. */
static void fill(struct log_line *line, struct text value)
{
    size_t before;
    do {
        before = line->length;
        log_text(line, "key", value);
    } while (line->length > before);
}

static void test_long_values_until_full(void **state)
{
    (void)state;
    char value[2 * LOG_VALUE_MAX];
    for (int quoted = 0; quoted < 2; quoted++)
        for (size_t length = 0; length <= sizeof value; length += 17) {
            struct log_line *line = calloc(1, sizeof *line);
            assert_non_null(line);
            memset(value, quoted ? ' ' : 'v', sizeof value);
            fill(line, (struct text){value, length});
            assert_true(line->length < LOG_LINE_SIZE);
            /* Whole values only: the last byte is that of a value, or of its cut. */
            char last = line->text[line->length - 1];
            if (strchr(quoted || length == 0 ? "\"" : "v.", last) == NULL)
                fail_msg("the last of the values of %zu bytes ends in %c", length, last);
            free(line);
        }
}

/* Filled to each of the last bytes, one more key of each length must not overrun. */
static void test_every_rest_of_room(void **state)
{
    (void)state;
    static const char filler[] = "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv";
    for (size_t start = LOG_LINE_SIZE - 60; start < LOG_LINE_SIZE - 1; start++)
        for (size_t length = 0; length < sizeof filler; length++) {
            struct log_line *line = calloc(1, sizeof *line);
            assert_non_null(line);
            memset(line->text, 'x', start);
            line->length = start;
            log_text(line, "k", (struct text){filler, length});
            if (line->length > LOG_LINE_SIZE - 1 ||
                (line->length != start && line->length != start + strlen(" k=") + length &&
                 (length > 0 || line->length != start + strlen(" k=\"\""))))
                fail_msg("%zu bytes behind %zu make %zu", length, start, line->length);
            free(line);
        }
}

static void test_key_too_long(void **state)
{
    (void)state;
    char key[LOG_LINE_SIZE + 10];
    memset(key, 'k', sizeof key);
    key[sizeof key - 1] = '\0';
    struct log_line line = LOG_LINE_INIT;
    log_text(&line, key, text_of("v"));
    assert_int_equal(line.length, 0);
    log_text(&line, "short", text_of("v"));
    assert_line(&line, "short=v");
}

/* --- writing --- */

/* What log_write puts on standard error. Returns how many bytes. */
static size_t written(struct log_line *line, char *out, size_t size)
{
    int ends[2];
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    log_write(line);
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(saved), 0);
    assert_int_equal(close(ends[1]), 0);
    size_t length = 0;
    ssize_t got;
    while ((got = read(ends[0], out + length, size - length)) > 0)
        length += (size_t)got;
    assert_int_equal(close(ends[0]), 0);
    return length;
}

static void test_write(void **state)
{
    (void)state;
    static const char expected[] = "outcome=rejected reason=\"a\\nb\\x00c\" bytes=12\n";
    char out[2 * LOG_LINE_SIZE];
    struct log_line line = LOG_LINE_INIT;
    log_text(&line, "outcome", text_of("rejected"));
    log_text(&line, "reason", (struct text)TEXT("a\nb\0c"));
    log_number(&line, "bytes", 12);
    assert_int_equal(written(&line, out, sizeof out), sizeof expected - 1);
    assert_memory_equal(out, expected, sizeof expected - 1);
}

static void test_write_empty_line(void **state)
{
    (void)state;
    char out[16];
    struct log_line line = LOG_LINE_INIT;
    assert_int_equal(written(&line, out, sizeof out), 1);
    assert_int_equal(out[0], '\n');
}

/* A line as full as it gets is one line, has one newline, and is short enough for one piece. */
static void test_write_full_line(void **state)
{
    (void)state;
    char value[2 * LOG_VALUE_MAX];
    for (size_t length = 0; length < sizeof value; length += 61)
        for (const char *byte = "v \n"; *byte != '\0'; byte++) {
            char out[2 * LOG_LINE_SIZE];
            struct log_line *line = calloc(1, sizeof *line);
            assert_non_null(line);
            memset(value, *byte, sizeof value);
            fill(line, (struct text){value, length});
            size_t bytes = written(line, out, sizeof out);
            assert_true(bytes <= LOG_LINE_SIZE);
            assert_ptr_equal(memchr(out, '\n', bytes), out + bytes - 1);
            free(line);
        }
}

/* It must not end the program. */
static void test_write_to_nowhere(void **state)
{
    (void)state;
    struct log_line line = LOG_LINE_INIT;
    log_text(&line, "k", text_of("v"));
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    assert_int_equal(dup2(full, STDERR_FILENO), STDERR_FILENO);
    log_write(&line);
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(full), 0);
    assert_int_equal(close(saved), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_all_bytes),
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_escape_of_nothing),
        cmocka_unit_test(test_cut_at_every_size),
        cmocka_unit_test(test_cut_leaves_as_much_as_fits),
        cmocka_unit_test(test_huge_value),
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_keys_in_order),
        cmocka_unit_test(test_absent_text_adds_nothing),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_any_bytes_come_back),
        cmocka_unit_test(test_too_many_keys),
        cmocka_unit_test(test_long_values_until_full),
        cmocka_unit_test(test_every_rest_of_room),
        cmocka_unit_test(test_key_too_long),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_empty_line),
        cmocka_unit_test(test_write_full_line),
        cmocka_unit_test(test_write_to_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

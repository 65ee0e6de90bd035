#include "unit.h"

#include "entry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NAME         "20250423T100153.812Z_order_m.json"
#define K128                                                                                       \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"                             \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char base[64];
static int directory;

static int make_place(void **state)
{
    (void)state;
    (void)snprintf(base, sizeof base, "/tmp/test_entry.XXXXXX");
    if (mkdtemp(base) == NULL)
        return -1;
    directory = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return directory < 0 ? -1 : 0;
}

static int remove_place(void **state)
{
    (void)state;
    if (unlinkat(directory, NAME, 0) != 0)
        (void)unlinkat(directory, NAME, AT_REMOVEDIR);
    (void)close(directory);
    return rmdir(base);
}

static void put(const char *content, size_t length)
{
    int fd = openat(directory, NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, length), length);
    assert_int_equal(close(fd), 0);
}

static void assert_text(struct text text, const char *expected)
{
    if (expected == NULL) {
        assert_null(text.data);
        return;
    }
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.data, expected, text.length);
}

/* --- names --- */

static void test_names(void **state)
{
    struct entry_name parts;
    (void)state;
    assert_true(entry_parse_name("20250423T100153.812Z_order-documents_a_b.json.json", &parts));
    assert_int_equal(parts.time, INT64_C(1745402513812));
    assert_int_equal(parts.kind, EVENT_ORDER_DOCUMENTS);
    assert_text(parts.key, "a_b.json");
    for (enum event_kind kind = EVENT_UNKNOWN; kind <= EVENT_LEGACY_ORDER_FETCHED; kind++) {
        char name[100];
        (void)snprintf(name, sizeof name, "20250423T100153.812Z_%s_m.json", event_kind_name(kind));
        assert_true(entry_parse_name(name, &parts));
        assert_int_equal(parts.kind, kind);
    }
    assert_true(entry_is_name("20250423T100153.812Z_order_" K128 ".json"));
}

static void test_foreign_names(void **state)
{
    static const char *const names[] = {
        "",
        ".",
        "..",
        ".nfs0001",
        "README",
        "x.json",
        "_order_m.json",
        "20250423T100153.812Z",
        "20250423T100153.812Z_order.json",
        "20250423T100153.812Z_order_.json",
        "20250423T100153.812Z_order_m.jso",
        "20250423T100153.812Z_order_m.json~",
        "20250423T100153.812Z_order_m.json.new",
        "20250423T100153.812Z_orders_m.json",
        "20250423T100153.812Z__m.json",
        "20250423T100153.812Z_Order_m.json",
        "20250423T100153.812_order_m.json",
        "20250423T100153Z_order_m.json",
        "20251323T100153.812Z_order_m.json",
        "20250423T250153.812Z_order_m.json",
        "20250423T100153.812Z_order_a b.json",
        "20250423T100153.812Z_order_a\nb.json",
        "20250423T100153.812Z_order_\xc3\xa9.json",
        "20250423T100153.812Z_order_" K128 "x.json",
        "20250423T100153.812Z_order_" K128 K128 ".json",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        if (entry_is_name(names[i]))
            fail_msg("taken for an entry: %s", names[i]);
}

/* --- heads --- */

#define REQUIRED "\"specversion\":\"1.0\",\"id\":\"m\",\"source\":\"https://x\",\"type\":\"t\""

static void check(const char *content, const char *subject, const char *data)
{
    struct entry entry;
    struct problem problem;
    char read_back[64];
    put(content, strlen(content));
    assert_int_equal(entry_open(directory, NAME, &entry, &problem), ENTRY_READ);
    assert_text(entry.id, "m");
    assert_text(entry.source, "https://x");
    assert_text(entry.type, "t");
    assert_text(entry.subject, subject);
    assert_int_equal(entry.size, strlen(content));
    assert_int_equal(lseek(entry.fd, 0, SEEK_CUR), 0);
    ssize_t got = pread(entry.fd, read_back, (size_t)entry.data_length, (off_t)entry.data_offset);
    assert_true(got >= 0);
    assert_text((struct text){read_back, (size_t)got}, data);
    entry_close(&entry);
}

static void test_heads(void **state)
{
    (void)state;
    check("{" REQUIRED ",\"data\":{\"a\":1}}", NULL, "{\"a\":1}");
    check("{" REQUIRED ",\"subject\":\"s\",\"time\":\"2025\",\"data\":{}}", "s", "{}");
    check("{" REQUIRED ",\"subject\":\"\",\"data\":{}}", NULL, "{}");
    check("{" REQUIRED ",\"subject\":\"a\\\"b\\u00e9\",\"data\":1}", "a\"b\xc3\xa9", "1");
    /* Names that only look like the data's. */
    check("{" REQUIRED ",\"subject\":\"data\",\"data\":1}", "data", "1");
    check("{" REQUIRED ",\"subject\":\"\\\"data\\\":\",\"data\":1}", "\"data\":", "1");
    check("{" REQUIRED ",\"xdata\":\"data\",\"x\":{\"data\":0},\"data\":1}", NULL, "1");
    /* As a person might write it. */
    check(" { " REQUIRED " ,\n \"data\" : {}}\n", NULL, " {}");
    check("{" REQUIRED ",\"data\":{\"data\":[1]}} \n\n", NULL, "{\"data\":[1]}");
}

static void test_odd_contents(void **state)
{
    static const char *const contents[] = {
        "",
        " ",
        "x",
        "{",
        "{}",
        "[]",
        "null",
        "{" REQUIRED "}",
        "{" REQUIRED ",\"data\"",
        "{" REQUIRED ",\"data\":",
        "{" REQUIRED ",\"data\":}",
        "{" REQUIRED ",\"data\":{\"a\":[",
        "{" REQUIRED ",\"data\":1}x",
        "[" REQUIRED ",\"data\":1}",
        "{" REQUIRED " \"data\":1}",
        "{" REQUIRED ",\"subject\":7,\"data\":1}",
        "{" REQUIRED ",\"time\":{},\"data\":1}",
        "{" REQUIRED ",\"subject\":\"\\ud800\",\"data\":1}",
        "{" REQUIRED ",\"subject\":\"\xff\",\"data\":1}",
        "{" REQUIRED ",\"id\":\"\",\"data\":1}",
        "{" REQUIRED ",\"specversion\":\"0.3\",\"data\":1}",
        "{\"specversion\":\"1.0\",\"id\":\"m\",\"type\":\"t\",\"data\":1}",
        "}}}}\"data\":1}",
        "\"data\":1}",
        "{\"data\":1}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(contents); i++) {
        struct entry entry;
        struct problem problem = {.status = 0};
        put(contents[i], strlen(contents[i]));
        if (entry_open(directory, NAME, &entry, &problem) != ENTRY_ODD)
            fail_msg("not odd: %s", contents[i]);
        assert_true(problem.reason[0] != '\0');
    }
}

/* Every way of cutting it off is noticed, but for that behind the last brace. */
static void test_cut_heads(void **state)
{
    static const char whole[] = "{" REQUIRED ",\"subject\":\"a\\\"b\",\"data\":[1,2]}";
    (void)state;
    for (size_t length = 0; length < sizeof whole - 1; length++) {
        struct entry entry;
        struct problem problem;
        put(whole, length);
        assert_int_equal(entry_open(directory, NAME, &entry, &problem), ENTRY_ODD);
    }
}

static void try_head_of(size_t padding, enum entry_verdict expected)
{
    struct entry entry;
    struct problem problem;
    char *content = malloc(padding + 200);
    assert_non_null(content);
    int front = snprintf(content, 200, "{%s,\"subject\":\"", REQUIRED);
    memset(content + front, 'x', padding);
    int back = snprintf(content + front + padding, 20, "\",\"data\":1}");
    put(content, (size_t)front + padding + (size_t)back);
    assert_int_equal(entry_open(directory, NAME, &entry, &problem), expected);
    if (expected == ENTRY_READ) {
        assert_int_equal(entry.subject.length, padding);
        assert_int_equal(entry.data_length, 1);
        entry_close(&entry);
    }
    free(content);
}

static void test_long_heads(void **state)
{
    (void)state;
    /* Around the first read, with its end inside every part of what follows the subject. */
    for (size_t padding = 3960; padding < 4100; padding++)
        try_head_of(padding, ENTRY_READ);
    try_head_of(65000, ENTRY_READ);
    try_head_of(65536, ENTRY_ODD);
    try_head_of(1000000, ENTRY_ODD);
}

static void test_nul_in_subject(void **state)
{
    static const char content[] = "{" REQUIRED ",\"subject\":\"a\\u0000b\",\"data\":1}";
    struct entry entry;
    struct problem problem;
    (void)state;
    put(content, sizeof content - 1);
    assert_int_equal(entry_open(directory, NAME, &entry, &problem), ENTRY_READ);
    assert_int_equal(entry.subject.length, 3);
    assert_memory_equal(entry.subject.data, "a\0b", 3);
    entry_close(&entry);
}

/* --- what is no file --- */

static void open_odd(void)
{
    struct entry entry;
    struct problem problem;
    assert_int_equal(entry_open(directory, NAME, &entry, &problem), ENTRY_ODD);
    assert_string_equal(problem.reason, "it is no regular file");
}

static void make_socket(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/" NAME, base);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(close(fd), 0);
}

static void test_no_files(void **state)
{
    (void)state;
    assert_int_equal(mkdirat(directory, NAME, 0700), 0);
    open_odd();
    assert_int_equal(unlinkat(directory, NAME, AT_REMOVEDIR), 0);
    assert_int_equal(symlinkat("/etc/passwd", directory, NAME), 0);
    open_odd();
    assert_int_equal(unlinkat(directory, NAME, 0), 0);
    assert_int_equal(mkfifoat(directory, NAME, 0600), 0);
    open_odd();
    assert_int_equal(unlinkat(directory, NAME, 0), 0);
    make_socket();
    open_odd();
}

static void test_gone(void **state)
{
    struct entry entry;
    struct problem problem;
    (void)state;
    assert_int_equal(entry_open(directory, NAME, &entry, &problem), ENTRY_GONE);
    put("x", 1);
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),  cmocka_unit_test(test_foreign_names),
        IN_PLACE(test_heads),          IN_PLACE(test_odd_contents),
        IN_PLACE(test_cut_heads),      IN_PLACE(test_long_heads),
        IN_PLACE(test_nul_in_subject), IN_PLACE(test_no_files),
        IN_PLACE(test_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

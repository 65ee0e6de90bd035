#include "unit.h"

#include "request.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PATIENCE = 60, /* seconds; who waits for an end of input that does not come is killed */
    MEGABYTE = 1024 * 1024,
};

/* Refuse single allocations beyond this, and by NULL, so that memory can run out. The small tables
 * that the sanitizer itself needs are not counted. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1:max_allocation_size_mb=64";
}

/* --- the environment --- */

static const char *const names[] = {"REQUEST_METHOD", "AUTH_TYPE",   "CONTENT_LENGTH",
                                    "CONTENT_TYPE",   "PATH_INFO",   "QUERY_STRING",
                                    "SCRIPT_NAME",    "REQUEST_URI", "REMOTE_ADDR"};

static void set_all(const char *value)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(value == NULL ? unsetenv(names[i]) : setenv(names[i], value, 1), 0);
}

static struct request request_with(const char *name, const char *value)
{
    struct request request;
    set_all(NULL);
    if (value != NULL)
        assert_int_equal(setenv(name, value, 1), 0);
    request_init(&request);
    return request;
}

/* --- standard input --- */

static int saved_stdin;

static int keep_stdin(void **state)
{
    (void)state;
    saved_stdin = dup(STDIN_FILENO);
    (void)alarm(PATIENCE);
    return saved_stdin < 0;
}

static int restore_stdin(void **state)
{
    (void)state;
    (void)alarm(0);
    return dup2(saved_stdin, STDIN_FILENO) < 0 || close(saved_stdin) != 0;
}

/* Make standard input an empty pipe. Returns its writing end. */
static int pipe_stdin(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    assert_int_equal(close(ends[0]), 0);
    return ends[1];
}

/* Put bytes that fit into a pipe on standard input. Returns the writing end. */
static int feed(const char *bytes, size_t length)
{
    int end = pipe_stdin();
    assert_int_equal(write(end, bytes, length), length);
    return end;
}

/* How many bytes are left on standard input; -1 if it has not ended, but has none. */
static ssize_t left_on_stdin(void)
{
    char bytes[64];
    assert_int_equal(fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK), 0);
    return read(STDIN_FILENO, bytes, sizeof bytes);
}

/* A byte of a body whose every position can be told from its neighbours'. */
static char pattern(size_t position)
{
    return (char)(position * 31 + (position >> 8) * 7 + (position >> 16));
}

/* Write a pattern to standard input from another process, in pieces of no even size, pausing after
 * each for some microseconds. The writing end is closed afterwards. */
static pid_t feed_from_child(size_t length, useconds_t pause)
{
    int end = pipe_stdin();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child != 0) {
        assert_int_equal(close(end), 0);
        return child;
    }
    (void)close(STDIN_FILENO);
    static char piece[60013];
    for (size_t done = 0; done < length;) {
        size_t size = length - done < sizeof piece ? length - done : sizeof piece;
        for (size_t i = 0; i < size; i++)
            piece[i] = pattern(done + i);
        ssize_t written = write(end, piece, size);
        if (written < 0)
            _exit(1);
        done += (size_t)written;
        (void)usleep(pause);
    }
    _exit(0);
}

/* The writer could write everything: nobody closed the pipe before it had been read. */
static void await(pid_t child)
{
    int status;
    pid_t got;
    do
        got = waitpid(child, &status, 0);
    while (got < 0 && errno == EINTR);
    assert_int_equal(got, child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void assert_pattern(const struct buffer *body, size_t length)
{
    assert_int_equal(body->length, length);
    for (size_t i = 0; i < length; i++)
        if (body->data[i] != pattern(i))
            fail_msg("byte %zu of %zu is wrong", i, length);
}

/* --- meta-variables --- */

static void test_method(void **state)
{
    static const struct {
        const char *name;
        enum request_method method;
    } rows[] = {{"GET", REQUEST_GET},       {"POST", REQUEST_POST},     {"PUT", REQUEST_PUT},
                {"HEAD", REQUEST_OTHER},    {"DELETE", REQUEST_OTHER},  {"PATCH", REQUEST_OTHER},
                {"OPTIONS", REQUEST_OTHER}, {"post", REQUEST_OTHER},    {"Put", REQUEST_OTHER},
                {"get", REQUEST_OTHER},     {"POSTS", REQUEST_OTHER},   {"POS", REQUEST_OTHER},
                {"PUT ", REQUEST_OTHER},    {" PUT", REQUEST_OTHER},    {"GET\n", REQUEST_OTHER},
                {"", REQUEST_OTHER},        {"NONSENSE", REQUEST_OTHER}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct request request = request_with("REQUEST_METHOD", rows[i].name);
        const char *name = request.method_name == NULL ? "" : request.method_name;
        if (request.method != rows[i].method || strcmp(name, rows[i].name) != 0)
            fail_msg("%s: %d, %s", rows[i].name, (int)request.method, name);
    }
}

static void assert_all_absent(const struct request *request)
{
    assert_int_equal(request->method, REQUEST_OTHER);
    assert_null(request->method_name);
    assert_null(request->auth_type);
    assert_null(request->content_length);
    assert_null(request->content_type);
    assert_null(request->path_info);
    assert_null(request->query_string);
    assert_null(request->script_name);
    assert_null(request->request_uri);
    assert_null(request->remote_addr);
    assert_int_equal(request->body.length, 0);
}

static void test_unset_variables(void **state)
{
    (void)state;
    struct request request;
    memset(&request, 0x55, sizeof request);
    set_all(NULL);
    request_init(&request);
    assert_all_absent(&request);
}

static void test_empty_variables(void **state)
{
    (void)state;
    struct request request;
    memset(&request, 0x55, sizeof request);
    set_all("");
    request_init(&request);
    assert_all_absent(&request);
}

static void test_set_variables(void **state)
{
    (void)state;
    struct request request;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(setenv(names[i], names[i], 1), 0);
    request_init(&request);
    assert_string_equal(request.method_name, "REQUEST_METHOD");
    assert_string_equal(request.auth_type, "AUTH_TYPE");
    assert_string_equal(request.content_length, "CONTENT_LENGTH");
    assert_string_equal(request.content_type, "CONTENT_TYPE");
    assert_string_equal(request.path_info, "PATH_INFO");
    assert_string_equal(request.query_string, "QUERY_STRING");
    assert_string_equal(request.script_name, "SCRIPT_NAME");
    assert_string_equal(request.request_uri, "REQUEST_URI");
    assert_string_equal(request.remote_addr, "REMOTE_ADDR");
}

/* What a client says in headers is not a meta-variable. */
static void test_headers_of_the_client(void **state)
{
    (void)state;
    char name[64];
    struct request request;
    set_all(NULL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(name, sizeof name, "HTTP_%s", names[i]);
        assert_int_equal(setenv(name, "client", 1), 0);
    }
    request_init(&request);
    assert_all_absent(&request);
}

/* --- the body --- */

static const struct body {
    const char *name;
    const char *length; /* CONTENT_LENGTH */
    const char *input;
    size_t left; /* bytes of the input that belong to nobody */
    uint64_t max;
    const char *reason; /* a word of it; NULL: the body is good */
    bool ends;          /* the writing end is closed; else nobody may wait for that */
} bodies[] = {
    {"exact", "5", "12345", 0, 100, NULL, false},
    {"exact and ended", "5", "12345", 0, 100, NULL, true},
    {"leading zeros", "0005", "12345", 0, 100, NULL, false},
    {"one byte", "1", "{", 0, 100, NULL, false},
    {"nothing", "0", "", 0, 100, NULL, false},
    {"no further than told", "5", "12345678", 3, 100, NULL, false},
    {"the cap", "8", "12345678", 0, 8, NULL, false},
    {"one beyond the cap", "9", "123456789", 0, 8, "TRADECLOUD_MAX_BODY=8", false},
    {"beyond the cap of one", "2", "12", 0, 1, "TRADECLOUD_MAX_BODY=1", false},
    {"far beyond the cap", "18446744073709551615", "12345", 0, 8, "TRADECLOUD_MAX_BODY=8", true},
    {"short", "6", "12345", 0, 100, "5 of 6", true},
    {"short of everything", "6", "", 0, 100, "0 of 6", true},
    {"a sign", "+5", "12345", 0, 100, "CONTENT_LENGTH", true},
    {"negative", "-5", "12345", 0, 100, "CONTENT_LENGTH", true},
    {"minus one", "-1", "12345", 0, 100, "CONTENT_LENGTH", true},
    {"space before", " 5", "12345", 0, 100, "CONTENT_LENGTH", true},
    {"space behind", "5 ", "12345", 0, 100, "CONTENT_LENGTH", true},
    {"space alone", " ", "12345", 0, 100, "CONTENT_LENGTH", true},
    {"hexadecimal", "0x5", "12345", 0, 100, "CONTENT_LENGTH", true},
    {"decimals", "5.0", "12345", 0, 100, "CONTENT_LENGTH", true},
    {"twice", "5, 5", "12345", 0, 100, "CONTENT_LENGTH", true},
    {"words", "five", "12345", 0, 100, "CONTENT_LENGTH", true},
    {"overflow", "18446744073709551616", "12345", 0, 100, "CONTENT_LENGTH", true},
    {"overflow to five", "18446744073709551621", "12345", 0, 100, "CONTENT_LENGTH", true},
    {"great overflow", "55555555555555555555555555", "12345", 0, 100, "CONTENT_LENGTH", true},
    {"absent", NULL, "12345", 0, 100, NULL, true},
    {"empty length", "", "12345", 0, 100, NULL, true},
    {"absent and nothing", NULL, "", 0, 100, NULL, true},
    {"absent, the cap", NULL, "12345678", 0, 8, NULL, true},
    {"absent, one beyond the cap", NULL, "123456789", 0, 8, "TRADECLOUD_MAX_BODY=8", true},
};

static void check_good_body(const struct body *row, const struct request *request, bool good,
                            const struct problem *problem)
{
    size_t length = strlen(row->input) - row->left;
    if (!good || problem->status != 0)
        fail_msg("%s: %d %s", row->name, problem->status, problem->reason);
    if (request->body.length != length ||
        (length > 0 && memcmp(request->body.data, row->input, length) != 0))
        fail_msg("%s: %zu bytes", row->name, request->body.length);
}

static void check_bad_body(const struct body *row, bool good, const struct problem *problem)
{
    if (good || problem->status != 503 || strstr(problem->reason, row->reason) == NULL)
        fail_msg("%s: %d %s", row->name, problem->status, problem->reason);
}

static void test_body(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        const struct body *row = &bodies[i];
        struct problem problem = {0};
        struct request request = request_with("CONTENT_LENGTH", row->length);
        int end = feed(row->input, strlen(row->input));
        if (row->ends)
            assert_int_equal(close(end), 0);
        bool good = request_read_body(&request, row->max, &problem);
        if (row->reason == NULL)
            check_good_body(row, &request, good, &problem);
        else
            check_bad_body(row, good, &problem);
        request_release(&request);
        ssize_t left = left_on_stdin();
        ssize_t expected = row->left > 0 || row->ends ? (ssize_t)row->left : -1;
        if (left != expected)
            fail_msg("%s: %zd bytes are left, not %zd", row->name, left, expected);
        if (!row->ends)
            assert_int_equal(close(end), 0);
    }
}

static void test_body_with_nul(void **state)
{
    static const char bytes[] = "\0{\0\xff\r\n\x1a\0";
    (void)state;
    struct problem problem = {0};
    struct request request = request_with("CONTENT_LENGTH", NULL);
    assert_int_equal(close(feed(bytes, sizeof bytes)), 0);
    assert_true(request_read_body(&request, 100, &problem));
    assert_int_equal(request.body.length, sizeof bytes);
    assert_memory_equal(request.body.data, bytes, sizeof bytes);
    request_release(&request);
}

/* Read a body of `length` bytes whose length is told or not, from a writer that is slow or not. */
static void read_pattern(size_t length, bool told, uint64_t max, useconds_t pause, bool good)
{
    char text[24];
    struct problem problem = {0};
    (void)snprintf(text, sizeof text, "%zu", length);
    struct request request = request_with("CONTENT_LENGTH", told ? text : NULL);
    pid_t child = feed_from_child(length, pause);
    bool result = request_read_body(&request, max, &problem);
    await(child);
    if (result != good || problem.status != (good ? 0 : 503))
        fail_msg("%zu of %" PRIu64 " bytes, %s: %s", length, max, told ? "told" : "not told",
                 problem.reason);
    if (good)
        assert_pattern(&request.body, length);
    else
        assert_non_null(strstr(problem.reason, "TRADECLOUD_MAX_BODY"));
    assert_int_equal(left_on_stdin(), 0);
    request_release(&request);
}

/* Around the sizes in which a pipe is read. */
static void test_body_sizes(void **state)
{
    static const size_t sizes[] = {65535, 65536, 65537, 131071, 131072, 131073, 200000};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        read_pattern(sizes[i], true, sizes[i], 0, true);
        read_pattern(sizes[i], false, sizes[i], 0, true);
        read_pattern(sizes[i], true, sizes[i] - 1, 0, false);
        read_pattern(sizes[i], false, sizes[i] - 1, 0, false);
    }
}

static void test_large_body(void **state)
{
    (void)state;
    read_pattern(5 * MEGABYTE + 1, true, 32 * MEGABYTE, 0, true);
    read_pattern(5 * MEGABYTE + 1, false, 32 * MEGABYTE, 0, true);
    read_pattern(5 * MEGABYTE + 1, true, MEGABYTE, 0, false);
    read_pattern(5 * MEGABYTE + 1, false, MEGABYTE, 0, false);
}

static void do_nothing(int number)
{
    (void)number;
}

/* A signal that is handled and does not restart read() is no error. */
static void test_signals(void **state)
{
    const struct itimerval often = {{0, 1000}, {0, 1000}};
    const struct itimerval never = {{0, 0}, {0, 0}};
    const struct sigaction interrupt = {.sa_handler = do_nothing};
    struct sigaction before;
    (void)state;
    (void)alarm(0);
    assert_int_equal(sigaction(SIGALRM, &interrupt, &before), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    read_pattern(MEGABYTE, true, MEGABYTE, 5000, true);
    read_pattern(MEGABYTE, false, MEGABYTE, 5000, true);
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
}

static void test_no_memory(void **state)
{
    static const struct {
        const char *length;
        size_t written;
    } rows[] = {{"1073741824", 3 * MEGABYTE}, {NULL, 100 * MEGABYTE}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct problem problem = {0};
        struct request request = request_with("CONTENT_LENGTH", rows[i].length);
        pid_t child = feed_from_child(rows[i].written, 0);
        bool good = request_read_body(&request, 1024 * MEGABYTE, &problem);
        await(child);
        if (good || problem.status != 503 || strstr(problem.reason, "memory") == NULL)
            fail_msg("row %zu: %d %s", i, problem.status, problem.reason);
        assert_int_equal(left_on_stdin(), 0);
        request_release(&request);
    }
}

static void test_unreadable_input(void **state)
{
    static const char *const lengths[] = {NULL, "5"};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct problem problem = {0};
        struct request request = request_with("CONTENT_LENGTH", lengths[i]);
        int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(dup2(directory, STDIN_FILENO), STDIN_FILENO);
        assert_int_equal(close(directory), 0);
        assert_false(request_read_body(&request, 100, &problem));
        assert_int_equal(problem.status, 503);
        assert_non_null(strstr(problem.reason, strerror(EISDIR)));
        request_drain(&request);
        request_release(&request);
    }
}

/* --- drain --- */

static void test_drain(void **state)
{
    static const struct {
        const char *length;
        bool ends;
    } rows[] = {{"5", false}, {"5", true},    {"6", true}, {NULL, true},
                {"", true},   {"five", true}, {"-1", true}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct request request = request_with("CONTENT_LENGTH", rows[i].length);
        int end = feed("12345", 5);
        if (rows[i].ends)
            assert_int_equal(close(end), 0);
        request_drain(&request);
        ssize_t left = left_on_stdin();
        if (left != (rows[i].ends ? 0 : -1) || request.body.length != 0)
            fail_msg("row %zu: %zd bytes are left", i, left);
        if (!rows[i].ends)
            assert_int_equal(close(end), 0);
    }
}

static void test_drain_much(void **state)
{
    static const char *const lengths[] = {NULL, "3145729"};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct request request = request_with("CONTENT_LENGTH", lengths[i]);
        pid_t child = feed_from_child(3 * MEGABYTE + 1, 0);
        request_drain(&request);
        await(child);
        assert_int_equal(left_on_stdin(), 0);
    }
}

/* --- media types --- */

static const struct media_type {
    const char *type;
    bool json;
} media_types[] = {
    {NULL, true},
    {"", true},
    {"application/json", true},
    {"APPLICATION/JSON", true},
    {"Application/Json", true},
    {"application/json;charset=utf-8", true},
    {"application/json; charset=utf-8", true},
    {"application/json ; charset=\"utf-8\"", true},
    {"application/json\t;charset=utf-8", true},
    {"application/json;", true},
    {" application/json", true},
    {"application/json ", true},
    {"application/cloudevents+json", true},
    {"application/cloudevents+json; charset=utf-8", true},
    {"application/vnd.tradecloud.v2+JSON", true},
    {"application/problem+json", true},
    {"application/a+b+json", true},
    {"application/+json", false},
    {"application/", false},
    {"application", false},
    {"application/jso", false},
    {"application/jsonx", false},
    {"application/json+xml", false},
    {"application/json5", false},
    {"application/xjson", false},
    {"application/x-json", false},
    {"application/x+jso", false},
    {"application/x+jsonx", false},
    {"application/x;+json", false},
    {"application/octet-stream; type=application/json", false},
    {"application/json-seq", false},
    {"application/x-www-form-urlencoded", false},
    {"application/xml", false},
    {"text/json", false},
    {"text/xml", false},
    {"text/plain", false},
    {"text/x+json", false},
    {"text/xxxxxxxjson", false}, /* as long as application/json */
    {"text/vnd.tradecloud.v2+json", false},
    {"xapplication/json", false},
    {"json", false},
    {"/json", false},
    {"+json", false},
    {";", false},
    {"; charset=utf-8", false},
    {"multipart/form-data; boundary=application/json", false},
};

static void test_is_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof media_types / sizeof media_types[0]; i++) {
        const char *type = media_types[i].type;
        struct request request = request_with("CONTENT_TYPE", type);
        if (request_is_json(&request) != media_types[i].json)
            fail_msg("%s: taken for %s", type == NULL ? "absent" : type,
                     media_types[i].json ? "something else" : "JSON");
    }
}

#define WITH_STDIN(test) cmocka_unit_test_setup_teardown(test, keep_stdin, restore_stdin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_method),
        cmocka_unit_test(test_unset_variables),
        cmocka_unit_test(test_empty_variables),
        cmocka_unit_test(test_set_variables),
        cmocka_unit_test(test_headers_of_the_client),
        WITH_STDIN(test_body),
        WITH_STDIN(test_body_with_nul),
        WITH_STDIN(test_body_sizes),
        WITH_STDIN(test_large_body),
        WITH_STDIN(test_signals),
        WITH_STDIN(test_no_memory),
        WITH_STDIN(test_unreadable_input),
        WITH_STDIN(test_drain),
        WITH_STDIN(test_drain_much),
        cmocka_unit_test(test_is_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

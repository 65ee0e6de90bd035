#include "unit.h"

#include "response.h"

#include <json-c/json.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MEGABYTE = 1024 * 1024 };

#define SECRET "/var/spool/secret: disk error"

/* Refuse allocations beyond this by NULL, so that memory can run out. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1:max_allocation_size_mb=64";
}

/* --- standard output --- */

static int saved_stdout;

static int keep_stdout(void **state)
{
    (void)state;
    (void)fflush(stdout);
    saved_stdout = dup(STDOUT_FILENO);
    return saved_stdout < 0;
}

static int restore_stdout(void **state)
{
    (void)state;
    return dup2(saved_stdout, STDOUT_FILENO) < 0 || close(saved_stdout) != 0;
}

/* Assertions print: standard output must be back before any. */
static void replace_stdout(int fd)
{
    if (dup2(fd, STDOUT_FILENO) < 0 || close(fd) != 0)
        abort();
}

static void bring_stdout_back(void)
{
    if (dup2(saved_stdout, STDOUT_FILENO) < 0)
        abort();
}

static int memory_file(void)
{
    int fd = memfd_create("stdout", MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* All of an open file, as a string. */
static char *contents(int fd)
{
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    size_t length = (size_t)status.st_size;
    char *bytes = test_malloc(length + 1);
    assert_int_equal(pread(fd, bytes, length, 0), length);
    bytes[length] = '\0';
    assert_int_equal(strlen(bytes), length);
    return bytes;
}

/* --- an answer, taken apart --- */

struct answer {
    char *text; /* the head is a string, without its empty line */
    struct json_object *json;
};

/* Each line of a head ends in CR LF, and neither stands elsewhere. */
static void assert_lines(const char *head)
{
    for (const char *c = head; *c != '\0'; c++)
        if ((*c == '\r' && c[1] != '\n') || (*c == '\n' && (c == head || c[-1] != '\r')))
            fail_msg("a line end is wrong: %s", head);
}

/* Take the answer in an open file apart, and close it. */
static struct answer take_apart(int fd)
{
    struct answer answer = {.text = contents(fd)};
    assert_int_equal(close(fd), 0);
    char *end = strstr(answer.text, "\r\n\r\n");
    assert_non_null(end);
    end[2] = '\0';
    assert_lines(answer.text);
    const char *body = end + 4;
    size_t length = strcspn(body, "\n");
    struct json_tokener *tokener = json_tokener_new();
    assert_non_null(tokener);
    /* Not strict: json-c 0.18 takes every letter beyond ASCII for a control character then. */
    json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8);
    answer.json = json_tokener_parse_ex(tokener, body, (int)length);
    if (answer.json == NULL || json_tokener_get_parse_end(tokener) != length ||
        strcmp(body + length, "\n") != 0)
        fail_msg("not one line of JSON: %s", body);
    json_tokener_free(tokener);
    return answer;
}

static void release(struct answer *answer)
{
    test_free(answer->text);
    assert_int_equal(json_object_put(answer->json), 1);
}

static const char challenge[] = "WWW-Authenticate: Basic realm=\"here\"\r\n";

static struct answer problem_answer(int code, const char *reason)
{
    struct problem problem = {0};
    (void)problem_set(&problem, code, "%s", reason);
    int fd = memory_file();
    replace_stdout(dup(fd));
    bool sent = response_problem(&problem, challenge);
    bring_stdout_back();
    assert_true(sent);
    return take_apart(fd);
}

static struct answer stored_answer(struct text id, const char *file, bool duplicate)
{
    int fd = memory_file();
    replace_stdout(dup(fd));
    bool sent = response_stored(id, file, duplicate);
    bring_stdout_back();
    assert_true(sent);
    return take_apart(fd);
}

/* Whether a line stands in a head. The first one stands behind no other. */
static bool has_line(const char *head, const char *line)
{
    char text[256];
    (void)snprintf(text, sizeof text, "\n%s\r\n", line);
    return strncmp(head, text + 1, strlen(text + 1)) == 0 || strstr(head, text) != NULL;
}

static int count_lines(const char *head)
{
    int lines = 0;
    for (; *head != '\0'; head++)
        lines += *head == '\n';
    return lines;
}

static struct text member(const struct answer *answer, const char *key)
{
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(answer->json, key, &value))
        fail_msg("%s is missing: %s", key, json_object_to_json_string(answer->json));
    return (struct text){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
}

static void assert_member(const struct answer *answer, const char *key, struct text expected)
{
    struct text value = member(answer, key);
    assert_int_equal(value.length, expected.length);
    assert_memory_equal(value.data, expected.data, expected.length);
}

static void assert_code(const struct answer *answer, int code)
{
    struct json_object *value = NULL;
    assert_true(json_object_object_get_ex(answer->json, "status", &value));
    assert_int_equal(json_object_get_type(value), json_type_int);
    assert_int_equal(json_object_get_int(value), code);
}

/* --- problems --- */

static const struct status {
    int code;
    const char *line;
    const char *title;
    const char *further; /* header; NULL: none */
} statuses[] = {
    {400, "Status: 400 Bad Request", "Bad Request", NULL},
    {401, "Status: 401 Unauthorized", "Unauthorized", "WWW-Authenticate: Basic realm=\"here\""},
    {404, "Status: 404 Not Found", "Not Found", NULL},
    {405, "Status: 405 Method Not Allowed", "Method Not Allowed", "Allow: GET, POST, PUT"},
    {415, "Status: 415 Unsupported Media Type", "Unsupported Media Type", NULL},
    {502, "Status: 502 Bad Gateway", "Bad Gateway", "Retry-After: 60"},
    {503, "Status: 503 Service Unavailable", "Service Unavailable", "Retry-After: 60"},
    {504, "Status: 504 Gateway Timeout", "Gateway Timeout", "Retry-After: 60"},
};

static void test_problem_head(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        const struct status *row = &statuses[i];
        struct answer answer = problem_answer(row->code, "why");
        if (strncmp(answer.text, "Status: ", 8) != 0 || !has_line(answer.text, row->line) ||
            !has_line(answer.text, "Content-Type: application/problem+json") ||
            !has_line(answer.text, "Cache-Control: no-store") ||
            (row->further != NULL && !has_line(answer.text, row->further)) ||
            count_lines(answer.text) != (row->further == NULL ? 3 : 4))
            fail_msg("%d: %s", row->code, answer.text);
        release(&answer);
    }
}

static void test_problem_body(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        struct answer answer = problem_answer(statuses[i].code, SECRET);
        assert_code(&answer, statuses[i].code);
        assert_member(&answer, "title", text_of(statuses[i].title));
        assert_member(&answer, "type", text_of("about:blank"));
        const char *detail = member(&answer, "detail").data;
        if (statuses[i].code < 500 ? strcmp(detail, SECRET) != 0 : strstr(detail, "again") == NULL)
            fail_msg("%d: %s", statuses[i].code, detail);
        release(&answer);
    }
}

/* What is wrong here is not for the one who sent something. */
static void test_server_problems_leak_nothing(void **state)
{
    static const int codes[] = {500, 502, 503, 504};
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct answer answer = problem_answer(codes[i], SECRET);
        const char *json = json_object_to_json_string_ext(answer.json, JSON_C_TO_STRING_PLAIN);
        if (strstr(answer.text, "secret") != NULL || strstr(json, "secret") != NULL)
            fail_msg("%d: %s%s", codes[i], answer.text, json);
        release(&answer);
    }
}

/* A status that there is not must become one that makes the sender try again. */
static void test_unknown_status(void **state)
{
    static const int codes[] = {-1, 0, 1, 402, 418, 500, 505, 999};
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct answer answer = problem_answer(codes[i], SECRET);
        if (!has_line(answer.text, "Status: 503 Service Unavailable") ||
            !has_line(answer.text, "Retry-After: 60"))
            fail_msg("%d: %s", codes[i], answer.text);
        release(&answer);
    }
}

static const struct text awkward[] = {
    {"msg-1", 5},
    {"a\0b\0", 4},
    {"\0", 1},
    {"say \"hi\" \\ / '", 14},
    {"\x01\x02\b\t\n\f\r\x1b\x1f\x7f", 10},
    {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x9a\x9a\xe2\x80\xa8", 12},
    {"</script>", 9},
    {"%s%n%d", 6},
    {"x\r\nSet-Cookie: a=b\r\n\r\n{}", 25},
    {"", 0},
};

static void test_awkward_reasons(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof awkward / sizeof awkward[0]; i++) {
        struct answer answer = problem_answer(400, awkward[i].data);
        if (strcmp(member(&answer, "detail").data, awkward[i].data) != 0 ||
            count_lines(answer.text) != 3)
            fail_msg("reason %zu: %s", i, answer.text);
        release(&answer);
    }
}

/* --- stored --- */

static void test_stored(void **state)
{
    static const char file[] = "20250423T100153.812Z_order_msg-1.json";
    (void)state;
    for (int duplicate = 0; duplicate <= 1; duplicate++) {
        struct answer answer = stored_answer(text_of("msg-1"), file, duplicate == 1);
        assert_true(has_line(answer.text, duplicate ? "Status: 200 OK" : "Status: 202 Accepted"));
        assert_true(has_line(answer.text, "Content-Type: application/json"));
        assert_true(has_line(answer.text, "Cache-Control: no-store"));
        assert_int_equal(count_lines(answer.text), 3);
        assert_member(&answer, "status", text_of(duplicate ? "duplicate" : "spooled"));
        assert_member(&answer, "id", text_of("msg-1"));
        assert_member(&answer, "file", text_of(file));
        release(&answer);
    }
}

static void test_awkward_ids(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof awkward / sizeof awkward[0]; i++) {
        struct answer answer = stored_answer(awkward[i], "file.json", false);
        struct text id = member(&answer, "id");
        if (id.length != awkward[i].length || memcmp(id.data, awkward[i].data, id.length) != 0 ||
            count_lines(answer.text) != 3 || !has_line(answer.text, "Status: 202 Accepted"))
            fail_msg("id %zu: %s", i, answer.text);
        release(&answer);
    }
}

/* --- writing --- */

/* Answer on a descriptor that takes nothing, in each way. Returns how many were said to be sent. */
static int answers_sent(void)
{
    const struct problem problem = {404, "no"};
    return response_stored(text_of("msg-1"), "file", false) +
           response_stored(text_of("msg-1"), "file", true) + response_problem(&problem, NULL);
}

static void test_closed_stdout(void **state)
{
    (void)state;
    (void)close(STDOUT_FILENO);
    int sent = answers_sent();
    bring_stdout_back();
    assert_int_equal(sent, 0);
}

static void test_full_stdout(void **state)
{
    (void)state;
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    replace_stdout(full);
    int sent = answers_sent();
    bring_stdout_back();
    assert_int_equal(sent, 0);
}

static void test_broken_pipe(void **state)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction before;
    int ends[2];
    (void)state;
    assert_int_equal(sigaction(SIGPIPE, &ignore, &before), 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(close(ends[0]), 0);
    replace_stdout(ends[1]);
    int sent = answers_sent();
    bring_stdout_back();
    assert_int_equal(sent, 0);
    assert_int_equal(sigaction(SIGPIPE, &before, NULL), 0);
}

/* Copy a pipe to a file from another process, pausing for some microseconds after each piece. */
static pid_t copy_in_child(int from, int to, int other, useconds_t pause)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child != 0)
        return child;
    static char piece[65536];
    ssize_t length;
    (void)close(other);
    while ((length = read(from, piece, sizeof piece)) > 0) {
        if (write(to, piece, (size_t)length) != length)
            _exit(1);
        (void)usleep(pause);
    }
    _exit(length < 0);
}

static void do_nothing(int number)
{
    (void)number;
}

/* Signals cut a long write() into pieces, or interrupt it before it wrote. */
static void test_slow_reader_and_signals(void **state)
{
    const struct itimerval often = {{0, 1000}, {0, 1000}};
    const struct itimerval never = {{0, 0}, {0, 0}};
    const struct sigaction interrupt = {.sa_handler = do_nothing};
    struct sigaction before;
    int ends[2];
    int status;
    (void)state;
    char *id = test_malloc(MEGABYTE);
    memset(id, 'i', MEGABYTE);
    int file = memory_file();
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = copy_in_child(ends[0], file, ends[1], 5000);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(sigaction(SIGALRM, &interrupt, &before), 0);
    replace_stdout(ends[1]);
    (void)setitimer(ITIMER_REAL, &often, NULL);
    bool sent = response_stored((struct text){id, MEGABYTE}, "file", false);
    (void)setitimer(ITIMER_REAL, &never, NULL);
    bring_stdout_back();
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    assert_true(sent);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct answer answer = take_apart(file);
    assert_member(&answer, "id", (struct text){id, MEGABYTE});
    release(&answer);
    test_free(id);
}

/* --- emergencies --- */

/* What a program that does this puts on standard output; each starts without an answer begun. */
static int output_of(void (*program)(void))
{
    int status;
    int fd = memory_file();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        replace_stdout(dup(fd));
        program();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    return fd;
}

/* It says whether it is by it that the request has failed. */
static void expect_emergency(bool fails)
{
    if (response_emergency() != fails)
        _exit(1);
}

static void emergency_once(void)
{
    expect_emergency(true);
}

static void emergency_twice(void)
{
    expect_emergency(true);
    expect_emergency(false);
}

static void emergency_after_stored(void)
{
    (void)response_stored(text_of("msg-1"), "file", false);
    expect_emergency(false);
}

static void emergency_after_problem(void)
{
    const struct problem problem = {404, "no"};
    (void)response_problem(&problem, NULL);
    expect_emergency(false);
}

/* The answer is too large for any allocation. */
static void store_without_memory(size_t length, char filling)
{
    char *id = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (id == MAP_FAILED)
        _exit(1);
    memset(id, filling, length);
    if (response_stored((struct text){id, length}, "file", false))
        _exit(2);
}

static void no_memory_for_id(void)
{
    store_without_memory(65 * MEGABYTE, 'i');
}

/* Each byte is written as six. */
static void no_memory_for_escapes(void)
{
    store_without_memory(11 * MEGABYTE, '\x01');
}

static void assert_is_emergency(struct answer *answer)
{
    assert_true(has_line(answer->text, "Status: 503 Service Unavailable"));
    assert_true(has_line(answer->text, "Content-Type: application/problem+json"));
    assert_true(has_line(answer->text, "Cache-Control: no-store"));
    assert_true(has_line(answer->text, "Retry-After: 60"));
    assert_int_equal(count_lines(answer->text), 4);
    assert_member(answer, "type", text_of("about:blank"));
    assert_member(answer, "title", text_of("Service Unavailable"));
    assert_code(answer, 503);
    assert_non_null(strstr(member(answer, "detail").data, "again"));
}

static void test_emergency(void **state)
{
    static void (*const programs[])(void) = {emergency_once, emergency_twice, no_memory_for_id,
                                             no_memory_for_escapes};
    (void)state;
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        struct answer answer = take_apart(output_of(programs[i]));
        assert_is_emergency(&answer);
        release(&answer);
    }
}

/* There is one answer, whatever goes wrong behind it. */
static void test_emergency_after_an_answer(void **state)
{
    static const struct {
        void (*program)(void);
        const char *line;
    } rows[] = {
        {emergency_after_stored, "Status: 202 Accepted"},
        {emergency_after_problem, "Status: 404 Not Found"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct answer answer = take_apart(output_of(rows[i].program));
        assert_true(has_line(answer.text, rows[i].line));
        release(&answer);
    }
}

static void emergency_to_nobody(void)
{
    response_to_nobody();
    expect_emergency(true);
}

/* An answer of which nothing arrived was begun, too: half of it may have. */
static void emergency_after_failure(void)
{
    int file = dup(STDOUT_FILENO);
    (void)close(STDOUT_FILENO);
    if (answers_sent() != 0)
        _exit(1);
    replace_stdout(file);
    expect_emergency(false);
}

static void test_silent_emergencies(void **state)
{
    static void (*const programs[])(void) = {emergency_after_failure, emergency_to_nobody};
    (void)state;
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        int fd = output_of(programs[i]);
        char *text = contents(fd);
        assert_string_equal(text, "");
        test_free(text);
        assert_int_equal(close(fd), 0);
    }
}

#define WITH_STDOUT(test) cmocka_unit_test_setup_teardown(test, keep_stdout, restore_stdout)

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* These fork, so that none has begun an answer: they must come first. */
        WITH_STDOUT(test_emergency),
        WITH_STDOUT(test_emergency_after_an_answer),
        WITH_STDOUT(test_silent_emergencies),
        WITH_STDOUT(test_problem_head),
        WITH_STDOUT(test_problem_body),
        WITH_STDOUT(test_server_problems_leak_nothing),
        WITH_STDOUT(test_unknown_status),
        WITH_STDOUT(test_awkward_reasons),
        WITH_STDOUT(test_stored),
        WITH_STDOUT(test_awkward_ids),
        WITH_STDOUT(test_closed_stdout),
        WITH_STDOUT(test_full_stdout),
        WITH_STDOUT(test_broken_pipe),
        WITH_STDOUT(test_slow_reader_and_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "body.h"
#include "digest.h"
#include "place.h"
#include "scan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE = 60 }; /* seconds; who waits for an end of input that does not come is killed */

/* Refuse single allocations beyond this, and by NULL, so that memory can run out. The small tables
 * that the sanitizer itself needs are not counted. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1:max_allocation_size_mb=64";
}

/* --- standard input --- */

static int saved_stdin;

static int set_up(void **state)
{
    saved_stdin = dup(STDIN_FILENO);
    (void)alarm(PATIENCE);
    return saved_stdin < 0 ? -1 : make_place(state);
}

static int tear_down(void **state)
{
    (void)alarm(0);
    return dup2(saved_stdin, STDIN_FILENO) < 0 || close(saved_stdin) != 0 ? -1
                                                                          : remove_place(state);
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

/* --- bodies --- */

/* What is asked of the operator; each test has its own copy. */
static struct config configure(uint64_t max_body)
{
    return (struct config){.spool = spool_path, .max_body = max_body};
}

/* Whether `length` bytes are those of the pattern from `offset` on. */
static bool is_pattern(const char *bytes, size_t offset, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != pattern(offset + i))
            return false;
    return true;
}

static void assert_piece(const struct body *body, size_t offset, size_t length)
{
    struct buffer space = BUFFER_INIT;
    struct problem problem = {0};
    struct text piece;
    if (!body_piece(body, offset, length, &space, &piece, &problem))
        fail_msg("%zu bytes at %zu: %s", length, offset, problem.reason);
    assert_int_equal(piece.length, length);
    if (!is_pattern(piece.data, offset, length))
        fail_msg("%zu bytes at %zu are wrong", length, offset);
    buffer_release(&space);
}

/* A finished body has the pattern's bytes: as a whole, and in pieces of no even size. */
static void assert_pattern(const struct body *body, size_t length)
{
    enum { SIZE = 60013 };
    assert_int_equal(body_length(body), length);
    assert_piece(body, 0, length);
    for (size_t offset = 0; offset < length; offset += SIZE)
        assert_piece(body, offset, length - offset < SIZE ? length - offset : SIZE);
}

static void assert_nothing_in_tmp(void)
{
    assert_int_equal(count_entries(SPOOL_TMP), 0);
}

/* --- reading --- */

static const struct reading {
    const char *name;
    const char *length; /* CONTENT_LENGTH */
    const char *input;
    size_t left; /* bytes of the input that belong to nobody */
    uint64_t max;
    const char *reason; /* a word of it; NULL: the body is good */
    bool ends;          /* the writing end is closed; else nobody may wait for that */
} readings[] = {
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

static void check_good_reading(const struct reading *row, const struct body *body, bool good,
                               const struct problem *problem)
{
    size_t length = strlen(row->input) - row->left;
    if (!good || problem->status != 0 || body->failed)
        fail_msg("%s: %d %s", row->name, problem->status, problem->reason);
    if (body_length(body) != length ||
        (length > 0 && memcmp(body->window.data, row->input, length) != 0))
        fail_msg("%s: %zu bytes", row->name, body_length(body));
}

static void check_bad_reading(const struct reading *row, bool good, const struct problem *problem)
{
    if (good || problem->status != 503 || strstr(problem->reason, row->reason) == NULL)
        fail_msg("%s: %d %s", row->name, problem->status, problem->reason);
}

static void test_reading(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof readings / sizeof readings[0]; i++) {
        const struct reading *row = &readings[i];
        struct problem problem = {0};
        struct body body;
        const struct config config = configure(row->max);
        const char *length = row->length != NULL && row->length[0] == '\0' ? NULL : row->length;
        int end = feed(row->input, strlen(row->input));
        if (row->ends)
            assert_int_equal(close(end), 0);
        bool good = body_init(&body, length, &config, &problem) && body_finish(&body, &problem);
        if (row->reason == NULL)
            check_good_reading(row, &body, good, &problem);
        else
            check_bad_reading(row, good, &problem);
        body_release(&body);
        ssize_t left = left_on_stdin();
        ssize_t expected = row->left > 0 || row->ends ? (ssize_t)row->left : -1;
        if (left != expected)
            fail_msg("%s: %zd bytes are left, not %zd", row->name, left, expected);
        if (!row->ends)
            assert_int_equal(close(end), 0);
    }
    /* None of them needed the spool. */
    assert_int_equal(count_in(spool_path), 0);
}

static void test_nuls(void **state)
{
    static const char bytes[] = "\0{\0\xff\r\n\x1a\0";
    const struct config config = configure(100);
    struct problem problem = {0};
    struct body body;
    (void)state;
    assert_int_equal(close(feed(bytes, sizeof bytes)), 0);
    assert_true(body_init(&body, NULL, &config, &problem) && body_finish(&body, &problem));
    assert_int_equal(body_length(&body), sizeof bytes);
    assert_memory_equal(body.window.data, bytes, sizeof bytes);
    body_release(&body);
}

/* Read it as a scanner does that wants `keep` bytes to stay, or SIZE_MAX: as nobody does who only
 * wants it read. */
static bool read_all(struct body *body, size_t keep, struct problem *problem)
{
    size_t offset = 0;
    while (keep != SIZE_MAX) {
        const char *bytes;
        size_t kept = offset < keep ? offset : keep;
        size_t more = body_more(body, kept, &bytes, problem);
        if (more == 0)
            break;
        if (!is_pattern(bytes, offset - kept, kept + more))
            fail_msg("%zu bytes at %zu, behind %zu: wrong", more, offset, kept);
        offset += more;
    }
    if (keep != SIZE_MAX) {
        const char *bytes;
        assert_int_equal(body_more(body, 0, &bytes, problem), 0);
        assert_true(body->failed || offset == body_length(body));
    }
    return body_finish(body, problem);
}

static const size_t keeps[] = {0, 1, 13, SCAN_NAME_MAX, SIZE_MAX};

/* Read a body of `length` bytes whose length is told or not, from a writer that is slow or not. */
static void read_pattern(size_t length, bool told, size_t keep, uint64_t max, useconds_t pause)
{
    char text[24];
    struct problem problem = {0};
    struct body body;
    const struct config config = configure(max);
    (void)snprintf(text, sizeof text, "%zu", length);
    pid_t child = feed_from_child(length, pause);
    bool good =
        body_init(&body, told ? text : NULL, &config, &problem) && read_all(&body, keep, &problem);
    await(child);
    assert_int_equal(left_on_stdin(), 0);
    if (good != (length <= max) || problem.status != (good ? 0 : 503))
        fail_msg("%zu of %" PRIu64 " bytes, %s: %s", length, max, told ? "told" : "not told",
                 problem.reason);
    if (good) {
        assert_pattern(&body, length);
        assert_int_equal(body.drafted, told ? length > BODY_WINDOW : length >= BODY_WINDOW);
        assert_int_equal(body_room(&body), body.drafted ? BODY_ROOM : 0);
    } else {
        assert_non_null(strstr(problem.reason, "TRADECLOUD_MAX_BODY"));
        assert_true(!body.failed || !body_finish(&body, &problem));
    }
    assert_int_equal(count_entries(SPOOL_TMP), body.drafted);
    body_release(&body);
    assert_nothing_in_tmp();
}

static const size_t sizes[] = {1,
                               1024,
                               1025,
                               65535,
                               65536,
                               65537,
                               BODY_WINDOW - 1,
                               BODY_WINDOW,
                               BODY_WINDOW + 1,
                               BODY_WINDOW + 1024,
                               2 * BODY_WINDOW - BODY_ROOM,
                               2 * BODY_WINDOW - BODY_ROOM + 1,
                               2 * BODY_WINDOW - 1,
                               2 * BODY_WINDOW,
                               2 * BODY_WINDOW + 1,
                               3 * BODY_WINDOW + 12345};

static void test_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t j = 0; j < sizeof keeps / sizeof keeps[0]; j++) {
            read_pattern(sizes[i], true, keeps[j], sizes[i], 0);
            read_pattern(sizes[i], false, keeps[j], sizes[i], 0);
        }
}

static void test_too_large(void **state)
{
    (void)state;
    for (size_t i = 1; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t j = 0; j < sizeof keeps / sizeof keeps[0]; j += 2) {
            read_pattern(sizes[i], true, keeps[j], sizes[i] - 1, 0);
            read_pattern(sizes[i], false, keeps[j], sizes[i] - 1, 0);
        }
    read_pattern(5 * MEGABYTE + 1, true, 0, MEGABYTE, 0);
    read_pattern(5 * MEGABYTE + 1, false, 0, MEGABYTE, 0);
}

static void test_large(void **state)
{
    (void)state;
    read_pattern(5 * MEGABYTE + 1, true, 100, 32 * MEGABYTE, 0);
    read_pattern(5 * MEGABYTE + 1, false, 100, 32 * MEGABYTE, 0);
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
    read_pattern(MEGABYTE, true, 0, MEGABYTE, 5000);
    read_pattern(MEGABYTE, false, 0, MEGABYTE, 5000);
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
}

static void test_unreadable_input(void **state)
{
    static const char *const lengths[] = {NULL, "5"};
    const struct config config = configure(100);
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct problem problem = {0};
        struct body body;
        int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(dup2(directory, STDIN_FILENO), STDIN_FILENO);
        assert_int_equal(close(directory), 0);
        assert_true(body_init(&body, lengths[i], &config, &problem));
        assert_false(body_finish(&body, &problem));
        assert_int_equal(problem.status, 503);
        assert_non_null(strstr(problem.reason, strerror(EISDIR)));
        body_drain(lengths[i]);
        body_release(&body);
    }
}

/* --- what goes wrong once it is large --- */

/* A body that cannot be kept is read to its end all the same, or an answer could be lost. */
static void fail_to_read(const struct config *config, size_t length, size_t announced,
                         const char *word)
{
    for (size_t j = 0; j < sizeof keeps / sizeof keeps[0]; j++)
        for (int told = announced == length ? 0 : 1; told < 2; told++) {
            char text[24];
            struct problem problem = {0};
            struct body body;
            int before = count_descriptors();
            (void)snprintf(text, sizeof text, "%zu", announced);
            pid_t child = feed_from_child(length, 0);
            assert_true(body_init(&body, told == 1 ? text : NULL, config, &problem));
            assert_false(read_all(&body, keeps[j], &problem));
            await(child);
            assert_int_equal(left_on_stdin(), 0);
            if (problem.status != 503 || strstr(problem.reason, word) == NULL)
                fail_msg("%s is expected, got %s", word, problem.reason);
            assert_true(body.failed);
            body_release(&body);
            assert_nothing_in_tmp();
            assert_int_equal(count_descriptors(), before);
        }
}

static void test_cut_short(void **state)
{
    const struct config config = configure(32 * MEGABYTE);
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char word[64];
        (void)snprintf(word, sizeof word, "cut short: %zu of %zu", sizes[i], sizes[i] + 1);
        fail_to_read(&config, sizes[i], sizes[i] + 1, word);
    }
    fail_to_read(&config, BODY_WINDOW, 2 * MEGABYTE, "cut short");
}

static void test_no_spool(void **state)
{
    const struct config config = configure(32 * MEGABYTE);
    (void)state;
    assert_int_equal(rmdir(spool_path), 0);
    fail_to_read(&config, 2 * BODY_WINDOW, 2 * BODY_WINDOW, "create the spool directory");
}

static void test_full_disk(void **state)
{
    struct config config = configure(32 * MEGABYTE);
    (void)state;
    config.min_free = INT64_MAX;
    fail_to_read(&config, 3 * BODY_WINDOW, 3 * BODY_WINDOW, "the disk is full");
}

/* It becomes full, or a limit is reached, when some of it has been written. */
static void test_disk_that_becomes_full(void **state)
{
    static const rlim_t limits[] = {1, BODY_WINDOW, BODY_WINDOW + BODY_ROOM, 200001,
                                    2 * BODY_WINDOW + BODY_ROOM};
    const struct config config = configure(32 * MEGABYTE);
    struct rlimit limit;
    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    const rlim_t before = limit.rlim_cur;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        limit.rlim_cur = limits[i];
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        fail_to_read(&config, 3 * BODY_WINDOW, 3 * BODY_WINDOW, "ulimit -f");
    }
    limit.rlim_cur = before;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* --- drain --- */

static void test_drain(void **state)
{
    static const struct {
        const char *length;
        bool ends;
    } rows[] = {{"5", false}, {"5", true}, {"6", true}, {NULL, true}, {"five", true}, {"-1", true}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int end = feed("12345", 5);
        if (rows[i].ends)
            assert_int_equal(close(end), 0);
        body_drain(rows[i].length);
        ssize_t left = left_on_stdin();
        if (left != (rows[i].ends ? 0 : -1))
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
        pid_t child = feed_from_child(3 * MEGABYTE + 1, 0);
        body_drain(lengths[i]);
        await(child);
        assert_int_equal(left_on_stdin(), 0);
    }
}

/* --- what was read --- */

/* A finished body of the pattern. Its draft points into it: it must not be moved. */
static void read_body(struct body *body, const struct config *config, size_t length)
{
    struct problem problem = {0};
    pid_t child = feed_from_child(length, 0);
    assert_true(body_init(body, NULL, config, &problem));
    assert_true(body_finish(body, &problem));
    await(child);
}

/* Across all edges of the window, and of what it is read in. */
static void test_pieces(void **state)
{
    static const size_t lengths[] = {BODY_WINDOW - 1, 3 * BODY_WINDOW + 77};
    static const size_t edges[] = {1, 4096, 65536, BODY_WINDOW, 2 * BODY_WINDOW, 3 * BODY_WINDOW};
    const struct config config = configure(32 * MEGABYTE);
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct body body;
        read_body(&body, &config, lengths[i]);
        for (size_t j = 0; j < sizeof edges / sizeof edges[0]; j++)
            for (size_t offset = edges[j] - 1; offset < edges[j] + 2; offset++)
                for (size_t length = 1; offset + length <= lengths[i]; length = length * 3 + 1)
                    assert_piece(&body, offset, length);
        assert_piece(&body, 0, lengths[i]);
        assert_piece(&body, lengths[i] - 1, 1);
        body_release(&body);
    }
}

static void test_piece_that_cannot_be_had(void **state)
{
    enum { LENGTH = 2 * BODY_WINDOW };
    const struct config config = configure(32 * MEGABYTE);
    struct buffer space = BUFFER_INIT;
    struct text piece;
    struct problem problem = {0};
    char hex[DIGEST_HEX_SIZE];
    (void)state;
    struct body body;
    read_body(&body, &config, LENGTH);
    assert_false(body_piece(&body, 0, 100 * MEGABYTE, &space, &piece, &problem));
    assert_non_null(strstr(problem.reason, "memory"));
    /* Somebody cuts the file. */
    assert_int_equal(ftruncate(body.draft.fd, BODY_ROOM + LENGTH - 1), 0);
    assert_false(body_piece(&body, LENGTH - 1, 1, &space, &piece, &problem));
    assert_problem("cut", &problem, "tmp", strerror(EIO));
    assert_false(body_digest(&body, (struct text){NULL, 0}, hex, &problem));
    assert_problem("cut", &problem, "tmp", strerror(EIO));
    struct draft other;
    assert_null(body_draft(&body, text_of("{"), text_of("}"), &other, &problem));
    assert_int_equal(count_entries(SPOOL_TMP), 1);
    buffer_release(&space);
    body_release(&body);
    assert_nothing_in_tmp();
}

static void test_digest(void **state)
{
    static const char head[] = "a head\n";
    const struct config config = configure(32 * MEGABYTE);
    char *bytes = test_malloc(4 * BODY_WINDOW);
    (void)state;
    for (size_t i = 0; i < 4 * BODY_WINDOW; i++)
        bytes[i] = pattern(i);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char hex[DIGEST_HEX_SIZE];
        char expected[DIGEST_HEX_SIZE];
        struct problem problem = {0};
        const struct text parts[] = {text_of(head), {bytes, sizes[i]}};
        struct body body;
        read_body(&body, &config, sizes[i]);
        assert_true(body_digest(&body, parts[0], hex, &problem));
        digest_hex(parts, 2, expected);
        assert_string_equal(hex, expected);
        assert_true(body_digest(&body, (struct text){NULL, 0}, hex, &problem));
        digest_hex(&parts[1], 1, expected);
        assert_string_equal(hex, expected);
        body_release(&body);
    }
    test_free(bytes);
}

static void test_digest_of_nothing(void **state)
{
    char hex[DIGEST_HEX_SIZE];
    char expected[DIGEST_HEX_SIZE];
    struct problem problem = {0};
    const struct body body = BODY_INIT;
    const struct text head = {"head", 4};
    (void)state;
    assert_true(body_digest(&body, head, hex, &problem));
    digest_hex(&head, 1, expected);
    assert_string_equal(hex, expected);
}

/* --- storing --- */

/* Store a body of `length` bytes behind a head of `head` bytes, and look at what was stored. */
static void store_pattern(size_t length, size_t head, const char *tail)
{
    const struct config config = configure(32 * MEGABYTE);
    const size_t size = head + length + strlen(tail);
    struct problem problem = {0};
    struct draft other;
    char *content = test_malloc(size + 1);
    int before = count_descriptors();
    struct body body;
    read_body(&body, &config, length);
    bool own = body.drafted && head == BODY_ROOM;
    memset(content, 'h', head);
    for (size_t i = 0; i < length; i++)
        content[head + i] = pattern(i);
    memcpy(content + head + length, tail, strlen(tail));
    struct draft *draft =
        body_draft(&body, (struct text){content, head}, text_of(tail), &other, &problem);
    if (draft == NULL)
        fail_msg("%zu and %zu bytes: %s", head, length, problem.reason);
    assert_ptr_equal(draft, own ? &body.draft : &other);
    assert_int_equal(count_entries(SPOOL_TMP), body.drafted ? 2 : 1);
    assert_int_equal(draft_publish(draft, SPOOL_NEW, "a.json", &problem), SPOOL_STORED);
    assert_entry(SPOOL_NEW, "a.json", (struct text){content, size});
    assert_int_equal(body_length(&body), length);
    body_release(&body);
    assert_int_equal(count_all(), 1);
    assert_int_equal(unlink(path_of("new", "a.json")), 0);
    assert_int_equal(count_descriptors(), before);
    test_free(content);
}

static void test_drafts(void **state)
{
    static const size_t heads[] = {0, 1, BODY_ROOM - 1, BODY_ROOM, BODY_ROOM + 1, 300000};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t j = 0; j < sizeof heads / sizeof heads[0]; j++) {
            store_pattern(sizes[i], heads[j], "}");
            if (j > 0)
                store_pattern(sizes[i], heads[j], "");
        }
}

static void test_data_in_memory(void **state)
{
    const struct config config = configure(0);
    struct body body = BODY_INIT;
    struct problem problem = {0};
    struct draft other;
    const char *bytes;
    (void)state;
    body.config = &config;
    assert_true(buffer_append_string(&body.window, "answer"));
    assert_int_equal(body_more(&body, 0, &bytes, &problem), 6);
    assert_memory_equal(bytes, "answer", 6);
    assert_int_equal(body_more(&body, 0, &bytes, &problem), 0);
    assert_true(body_finish(&body, &problem));
    assert_int_equal(body_length(&body), 6);
    struct draft *draft = body_draft(&body, text_of("{"), text_of("}"), &other, &problem);
    assert_ptr_equal(draft, &other);
    assert_int_equal(draft_publish(draft, SPOOL_NEW, "a.json", &problem), SPOOL_STORED);
    assert_entry(SPOOL_NEW, "a.json", text_of("{answer}"));
    body_release(&body);
}

/* The disk is full by the time that all is there. */
static void test_draft_that_cannot_be_had(void **state)
{
    static const size_t heads[] = {1, BODY_ROOM};
    static const char head[BODY_ROOM] = "";
    const struct config config = configure(32 * MEGABYTE);
    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct problem problem = {0};
        struct draft other;
        struct body body;
        read_body(&body, &config, 2 * BODY_WINDOW);
        body.spool.min_free = INT64_MAX;
        assert_null(
            body_draft(&body, (struct text){head, heads[i]}, text_of("}"), &other, &problem));
        assert_int_equal(problem.status, 503);
        assert_non_null(strstr(problem.reason, "the disk is full"));
        assert_int_equal(count_entries(SPOOL_TMP), 1);
        body_release(&body);
        assert_int_equal(count_all(), 0);
    }
}

/* A sync failed while the body arrived: what can still be read of it may not be what came, so it is
 * neither completed nor copied. */
static void test_draft_that_is_not_sound(void **state)
{
    static const size_t heads[] = {1, BODY_ROOM};
    static const char head[BODY_ROOM] = "";
    const struct config config = configure(32 * MEGABYTE);
    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct problem problem = {0};
        struct draft other;
        struct body body;
        read_body(&body, &config, 2 * BODY_WINDOW);
        body.draft.presync.error = EIO;
        struct draft *draft =
            body_draft(&body, (struct text){head, heads[i]}, text_of("}"), &other, &problem);
        if (heads[i] == BODY_ROOM)
            assert_int_equal(draft_publish(draft, SPOOL_NEW, "a.json", &problem), SPOOL_FAILURE);
        else
            assert_null(draft);
        assert_int_equal(problem.status, 503);
        assert_non_null(strstr(problem.reason, strerror(EIO)));
        body_release(&body);
        assert_int_equal(count_all(), 0);
    }
}

/* Whenever it is let go of, nothing stays: not in the spool, not open, not in memory. */
static void test_release(void **state)
{
    static const char *const lengths[] = {NULL, "500000"};
    const struct config config = configure(MEGABYTE);
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        for (int pieces = 0; pieces < 12; pieces++) {
            const char *bytes;
            struct problem problem = {0};
            struct body body;
            pid_t child = feed_from_child(500000, 0);
            int before = count_descriptors();
            assert_true(body_init(&body, lengths[i], &config, &problem));
            for (int n = 0; n < pieces; n++)
                (void)body_more(&body, 0, &bytes, &problem);
            body_release(&body);
            assert_int_equal(count_descriptors(), before);
            assert_nothing_in_tmp();
            body_drain(NULL);
            await(child);
        }
    struct body never = BODY_INIT;
    body_release(&never);
}

#define WITH_STDIN(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STDIN(test_reading),
        WITH_STDIN(test_nuls),
        WITH_STDIN(test_sizes),
        WITH_STDIN(test_too_large),
        WITH_STDIN(test_large),
        WITH_STDIN(test_signals),
        WITH_STDIN(test_unreadable_input),
        WITH_STDIN(test_cut_short),
        WITH_STDIN(test_no_spool),
        WITH_STDIN(test_full_disk),
        WITH_STDIN(test_disk_that_becomes_full),
        WITH_STDIN(test_drain),
        WITH_STDIN(test_drain_much),
        WITH_STDIN(test_pieces),
        WITH_STDIN(test_piece_that_cannot_be_had),
        WITH_STDIN(test_digest),
        WITH_STDIN(test_digest_of_nothing),
        WITH_STDIN(test_drafts),
        WITH_STDIN(test_data_in_memory),
        WITH_STDIN(test_draft_that_cannot_be_had),
        WITH_STDIN(test_draft_that_is_not_sound),
        WITH_STDIN(test_release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "unit.h"

#include "auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As sha256sum(1) says of "first", "second" and "a~b-c.d_e+f/g==". */
#define FIRST  "a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e"
#define SECOND "16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4"
#define ODD    "91653c8825d8e6af0b3e5ab2bf1502e251b454461ca4db7c0917c4a1ecd5fcb6"
#define NONE   "0000000000000000000000000000000000000000000000000000000000000000"
/* Of AUTH_TOKEN_MAX times an x. */
#define LONG "18f8d2eb4a387bbc1e37ec099a7326805739bc9c99ecf0f14b808a5bcb65bf49"

/* --- the web server's word --- */

static const char *const variables[] = {"AUTH_TYPE", "REMOTE_USER", "HTTP_AUTH_TYPE",
                                        "HTTP_AUTHORIZATION", "HTTP_REMOTE_USER"};

/* A NULL is not set; the others go by name, as a web server or a client would set them. */
static const struct row {
    const char *name;
    const char *values[sizeof variables / sizeof variables[0]];
    bool admitted;
} rows[] = {
    {"basic", {"Basic", NULL, NULL, NULL, NULL}, true},
    {"basic with a user", {"Basic", "tradecloud", NULL, "Basic dDp0", NULL}, true},
    {"any other scheme", {"Digest", NULL, NULL, NULL, NULL}, true},
    {"another's bearer token", {"oauth20", NULL, NULL, "Bearer x", NULL}, true},
    {"nothing", {NULL, NULL, NULL, NULL, NULL}, false},
    {"empty", {"", NULL, NULL, NULL, NULL}, false},
    {"user only", {NULL, "tradecloud", NULL, NULL, NULL}, false},
    {"empty with a user", {"", "tradecloud", NULL, NULL, NULL}, false},
    {"credentials that nobody checked", {NULL, "tradecloud", NULL, "Basic dDp0", NULL}, false},
    {"headers of the client", {NULL, NULL, "Basic", "Basic dDp0", "tradecloud"}, false},
    {"an empty header", {NULL, NULL, NULL, "", NULL}, false},
    {"a scheme that begins alike", {NULL, NULL, NULL, "Bearers first", NULL}, false},
    {"a scheme cut short", {NULL, NULL, NULL, "Beare first", NULL}, false},
    {"a space before", {NULL, NULL, NULL, " Bearer first", NULL}, false},
};

static void set_environment(const char *const *values)
{
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        assert_int_equal(
            values[i] == NULL ? unsetenv(variables[i]) : setenv(variables[i], values[i], 1), 0);
}

static bool check_row(const struct row *row, const char *bearer_file, struct problem *problem)
{
    struct request request;
    set_environment(row->values);
    request_init(&request);
    bool admitted = auth_check(&request, bearer_file, problem);
    return admitted;
}

/* The file is not even looked at for those who bring no token: it does not exist. */
static void test_server(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int configured = 0; configured < 2; configured++) {
            struct problem problem = {0};
            bool admitted = check_row(&rows[i], configured == 0 ? NULL : "/nonexistent", &problem);
            if (admitted != rows[i].admitted || problem.status != (admitted ? 0 : 401))
                fail_msg("%s: %d, status %d", rows[i].name, admitted, problem.status);
            if (!admitted && strstr(problem.reason, "AUTH_TYPE") == NULL)
                fail_msg("%s: %s", rows[i].name, problem.reason);
        }
}

/* --- tokens --- */

struct place {
    char directory[32];
    char file[64];
};

static void make_place(struct place *place)
{
    (void)snprintf(place->directory, sizeof place->directory, "/tmp/test_auth.XXXXXX");
    assert_non_null(mkdtemp(place->directory));
    (void)snprintf(place->file, sizeof place->file, "%s/bearer", place->directory);
}

static void remove_place(const struct place *place)
{
    if (unlink(place->file) != 0)
        assert_int_equal(rmdir(place->file), 0);
    assert_int_equal(rmdir(place->directory), 0);
}

static void write_file(const struct place *place, const void *bytes, size_t length, mode_t mode)
{
    FILE *file = fopen(place->file, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(place->file, mode), 0);
}

/* The status that is answered to the header, 200 for who is admitted; the reason goes with it. */
static int check_header(const char *authorization, const char *bearer_file, struct problem *problem)
{
    const struct request request = {.authorization = authorization};
    *problem = (struct problem){0};
    return auth_check(&request, bearer_file, problem) ? 200 : problem->status;
}

static const struct header {
    const char *authorization;
    int status;
} headers[] = {
    {"Bearer first", 200},
    {"Bearer second", 200},
    {"Bearer a~b-c.d_e+f/g==", 200},
    {"bearer first", 200},
    {"BEARER first", 200},
    {"bEaReR    second", 200},
    {"Bearer third", 401},
    {"Bearer firs", 401},
    {"Bearer firstt", 401},
    {"Bearer First", 401},
    {"Bearer " FIRST, 401},
    {"Bearer", 401},
    {"Bearer ", 401},
    {"Bearer =", 401},
    {"Bearer ==first", 401},
    {"Bearer first ", 401},
    {"Bearer first second", 401},
    {"Bearer first,second", 401},
    {"Bearer first, Basic dDp0", 401},
    {"Bearer first=a", 401},
    {"Bearer \"first\"", 401},
    {"Bearer token=first", 401},
    {"Bearer first\n", 401},
    {"Bearer first\x80", 401},
    {"Bearer fi\xc3\xa9rst", 401},
    {"Bearer\tfirst", 401},
    {"Basic first", 401},
    {"first", 401},
};

static const char tokens[] = "# the one in use\n" FIRST "\n\n#" NONE "\n" SECOND "\n" ODD "\n";

static void test_header(void **state)
{
    (void)state;
    struct place place;
    struct problem problem;
    make_place(&place);
    write_file(&place, tokens, sizeof tokens - 1, 0640);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        const struct header *row = &headers[i];
        int status = check_header(row->authorization, place.file, &problem);
        if (status != row->status)
            fail_msg("%s: %d %s", row->authorization, status, problem.reason);
        if (check_header(row->authorization, NULL, &problem) != 401)
            fail_msg("%s: admitted without a file", row->authorization);
    }
    remove_place(&place);
}

/* The longest token that is looked at, and one byte more. */
static void test_long_token(void **state)
{
    (void)state;
    struct place place;
    struct problem problem;
    char header[sizeof "Bearer " + AUTH_TOKEN_MAX + 1] = "Bearer ";
    memset(header + strlen(header), 'x', AUTH_TOKEN_MAX);
    make_place(&place);
    write_file(&place, LONG "\n", sizeof LONG, 0640);
    assert_int_equal(check_header(header, place.file, &problem), 200);
    header[strlen(header)] = 'x';
    assert_int_equal(check_header(header, place.file, &problem), 401);
    assert_non_null(strstr(problem.reason, "malformed"));
    remove_place(&place);
}

/* --- the file --- */

#define BYTES(text) text, sizeof text - 1

static const struct file {
    const char *name;
    const char *bytes;
    size_t length;
    const char *reason; /* NULL: the file is good */
} files[] = {
    {"one", BYTES(FIRST "\n"), NULL},
    {"without its newline", BYTES(FIRST), NULL},
    {"last of many", BYTES(NONE "\n" NONE "\n" SECOND "\n" FIRST), NULL},
    {"first of many", BYTES(FIRST "\n" NONE "\n" SECOND "\n"), NULL},
    {"twice", BYTES(FIRST "\n" FIRST "\n"), NULL},
    {"comments", BYTES("#\n# a\n\n\n" FIRST "\n#" SECOND), NULL},
    {"a comment with a NUL", BYTES("#\0\n" FIRST "\n"), NULL},
    {"nothing", BYTES(""), "has no token"},
    {"a newline", BYTES("\n"), "has no token"},
    {"comments only", BYTES("# " FIRST "\n"), "has no token"},
    {"the token itself", BYTES("first\n"), "line 1 of"},
    {"upper case", BYTES("A7937B64B8CAA58F03721BB6BACF5C78CB235FEBE0E70B1B84CD99541461A08E\n"),
     "line 1 of"},
    {"behind the right one", BYTES(FIRST "\nx\n"), "line 2 of"},
    {"before the right one", BYTES("# a\n\nx\n" FIRST "\ny\n"), "line 3 of"},
    {"as sha256sum prints it", BYTES(FIRST "  -\n"), "line 1 of"},
    {"a space behind", BYTES(FIRST " \n"), "line 1 of"},
    {"a space before", BYTES(" " FIRST "\n"), "line 1 of"},
    {"a comment behind", BYTES(FIRST "#\n"), "line 1 of"},
    {"a space before a comment", BYTES(FIRST "\n #\n"), "line 2 of"},
    {"from another system", BYTES(FIRST "\r\n"), "line 1 of"},
    {"a NUL", BYTES(FIRST "\n\0\n"), "line 2 of"},
    {"a NUL behind", BYTES(FIRST "\0\n"), "line 1 of"},
    {"cut short", BYTES("a7937b64b8caa58f03721bb6bacf5c78"), "line 1 of"},
    {"no digit at the end",
     BYTES("a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08g"), "line 1 of"},
    {"no digit at the start",
     BYTES("/7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e"), "line 1 of"},
};

static void test_file(void **state)
{
    (void)state;
    struct place place;
    struct problem problem;
    make_place(&place);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const struct file *row = &files[i];
        write_file(&place, row->bytes, row->length, 0640);
        for (int wrong = 0; wrong < 2; wrong++) {
            int status =
                check_header(wrong != 0 ? "Bearer x" : "Bearer first", place.file, &problem);
            int expected = row->reason != NULL ? 503 : wrong != 0 ? 401 : 200;
            if (status != expected)
                fail_msg("%s: %d %s", row->name, status, problem.reason);
            if (row->reason != NULL && (strstr(problem.reason, row->reason) == NULL ||
                                        strstr(problem.reason, place.file) == NULL))
                fail_msg("%s: %s", row->name, problem.reason);
        }
    }
    remove_place(&place);
}

/* A file of the largest size, and one byte more. */
static void test_size(void **state)
{
    (void)state;
    struct place place;
    struct problem problem;
    char content[AUTH_FILE_MAX + 1];
    memset(content, '#', sizeof content);
    memcpy(content, FIRST "\n", sizeof FIRST);
    make_place(&place);
    write_file(&place, content, AUTH_FILE_MAX, 0640);
    assert_int_equal(check_header("Bearer first", place.file, &problem), 200);
    write_file(&place, content, AUTH_FILE_MAX + 1, 0640);
    assert_int_equal(check_header("Bearer first", place.file, &problem), 503);
    assert_non_null(strstr(problem.reason, "larger than 65536 bytes"));
    remove_place(&place);
}

/* A thousand tokens, each of which admits. */
static void test_many_tokens(void **state)
{
    (void)state;
    struct place place;
    struct problem problem;
    char content[AUTH_FILE_MAX];
    enum { LINES = AUTH_FILE_MAX / sizeof FIRST };
    make_place(&place);
    for (size_t i = 0; i < LINES; i += LINES / 10) {
        for (size_t j = 0; j < LINES; j++)
            memcpy(content + j * sizeof FIRST, (i == j ? FIRST "\n" : NONE "\n"), sizeof FIRST);
        write_file(&place, content, LINES * sizeof FIRST, 0640);
        assert_int_equal(check_header("Bearer first", place.file, &problem), 200);
        assert_int_equal(check_header("Bearer second", place.file, &problem), 401);
    }
    remove_place(&place);
}

static void test_modes(void **state)
{
    (void)state;
    struct place place;
    struct problem problem;
    make_place(&place);
    write_file(&place, tokens, sizeof tokens - 1, 0640);
    for (mode_t mode = 0400; mode <= 0777; mode++) {
        assert_int_equal(chmod(place.file, mode), 0);
        int expected = (mode & 022) != 0 ? 503 : 200;
        int status = check_header("Bearer first", place.file, &problem);
        if (status != expected)
            fail_msg("%o: %d %s", (unsigned)mode, status, problem.reason);
        if (status == 503 && strstr(problem.reason, "chmod go-w") == NULL)
            fail_msg("%o: %s", (unsigned)mode, problem.reason);
    }
    remove_place(&place);
}

static void test_no_file(void **state)
{
    (void)state;
    struct place place;
    struct problem problem;
    make_place(&place);
    assert_int_equal(check_header("Bearer first", place.file, &problem), 503);
    assert_non_null(strstr(problem.reason, "No such file"));
    assert_int_equal(mkdir(place.file, 0755), 0);
    assert_int_equal(check_header("Bearer first", place.file, &problem), 503);
    assert_int_equal(rmdir(place.file), 0);
    /* One that nobody writes to, which must not be waited for. */
    assert_int_equal(mkfifo(place.file, 0640), 0);
    assert_int_equal(check_header("Bearer first", place.file, &problem), 503);
    assert_int_equal(unlink(place.file), 0);
    assert_int_equal(symlink("/dev/zero", place.file), 0);
    assert_int_equal(check_header("Bearer first", place.file, &problem), 503);
    /* Where secrets are mounted, the files are often links. */
    assert_int_equal(unlink(place.file), 0);
    assert_int_equal(symlink("real", place.file), 0);
    struct place real = place;
    (void)snprintf(real.file, sizeof real.file, "%s/real", place.directory);
    write_file(&real, tokens, sizeof tokens - 1, 0640);
    assert_int_equal(check_header("Bearer first", place.file, &problem), 200);
    assert_int_equal(unlink(real.file), 0);
    remove_place(&place);
}

/* --- what is told --- */

/* "Nothing secret belongs into a reason." */
static void test_tells_no_secret(void **state)
{
    static const char *const claims[] = {"Basic aHVudGVyMTpodW50ZXIy", "Bearer hunter2",
                                         "Bearer hunter2 hunter2", "hunter2"};
    (void)state;
    struct place place;
    struct problem problem;
    make_place(&place);
    write_file(&place, tokens, sizeof tokens - 1, 0640);
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++)
        for (int configured = 0; configured < 2; configured++) {
            int status = check_header(claims[i], configured == 0 ? NULL : place.file, &problem);
            assert_int_equal(status, 401);
            assert_null(strstr(problem.reason, "hunter2"));
            assert_null(strstr(problem.reason, "aHVudGVy"));
            /* The client is told this reason: no paths of ours. */
            assert_null(strchr(problem.reason, '/'));
        }
    remove_place(&place);
}

static void test_challenge(void **state)
{
    static const struct {
        const char *authorization;
        const char *bearer_file;
        const char *challenge;
    } table[] = {
        {NULL, NULL, "Basic realm=\"tradecloud\", charset=\"UTF-8\""},
        {"Bearer x", NULL, "Basic realm=\"tradecloud\", charset=\"UTF-8\""},
        {NULL, "/x", "Basic realm=\"tradecloud\", charset=\"UTF-8\", Bearer realm=\"tradecloud\""},
        {"Basic dDp0", "/x",
         "Basic realm=\"tradecloud\", charset=\"UTF-8\", Bearer realm=\"tradecloud\""},
        {"bearer x", "/x",
         "Basic realm=\"tradecloud\", charset=\"UTF-8\", Bearer realm=\"tradecloud\", "
         "error=\"invalid_token\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct request request = {.authorization = table[i].authorization};
        char expected[256];
        (void)snprintf(expected, sizeof expected, "WWW-Authenticate: %s\r\n", table[i].challenge);
        assert_string_equal(auth_challenge(&request, table[i].bearer_file), expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_long_token),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_many_tokens),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_tells_no_secret),
        cmocka_unit_test(test_challenge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

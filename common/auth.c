#include "auth.h"

#include "digest.h"

#include <openssl/crypto.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static const char scheme[] = "Bearer";

/* --- the request --- */

/* The name of a scheme may be written in any case (RFC 9110 section 11.1). */
static bool is_bearer(const struct request *request)
{
    const size_t length = sizeof scheme - 1;
    const char *authorization = request->authorization;
    return authorization != NULL && strncasecmp(authorization, scheme, length) == 0 &&
           (authorization[length] == ' ' || authorization[length] == '\0');
}

/* Take the token68 (RFC 9110 section 11.2), which must be all the rest, or else this is false. */
static bool take_token(const char *authorization, struct text *token)
{
    static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-._~+/";
    authorization += sizeof scheme - 1;
    authorization += strspn(authorization, " ");
    size_t length = strspn(authorization, characters);
    *token = text_of(authorization);
    return length > 0 && length + strspn(authorization + length, "=") == token->length &&
           token->length <= AUTH_TOKEN_MAX;
}

/* --- the file --- */

static bool check_file(int fd, const char *path, struct problem *problem)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return problem_set(problem, 503, "cannot look at TRADECLOUD_BEARER_FILE=%s: %s", path,
                           strerror(errno));
    if (!S_ISREG(status.st_mode))
        return problem_set(problem, 503, "TRADECLOUD_BEARER_FILE=%s is not a file", path);
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return problem_set(
            problem, 503,
            "others may write TRADECLOUD_BEARER_FILE=%s, and so let anybody in: chmod go-w it",
            path);
    return true;
}

/* Read the bytes, and put a NUL behind them. */
static bool read_all(int fd, const char *path, struct buffer *content, struct problem *problem)
{
    ssize_t got = 1;
    if (!buffer_reserve(content, AUTH_FILE_MAX + 1))
        return problem_memory(problem);
    while (got > 0 && content->length <= AUTH_FILE_MAX) {
        got = read(fd, content->data + content->length, AUTH_FILE_MAX + 1 - content->length);
        if (got < 0)
            return problem_set(problem, 503, "cannot read TRADECLOUD_BEARER_FILE=%s: %s", path,
                               strerror(errno));
        content->length += (size_t)got;
    }
    if (content->length > AUTH_FILE_MAX)
        return problem_set(problem, 503,
                           "TRADECLOUD_BEARER_FILE=%s is larger than %d bytes: it should have one "
                           "line for each token",
                           path, AUTH_FILE_MAX);
    content->data[content->length] = '\0';
    return true;
}

static bool read_file(const char *path, struct buffer *content, struct problem *problem)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return problem_set(problem, 503,
                           "cannot read TRADECLOUD_BEARER_FILE=%s: %s: create it, readable for the "
                           "web server's user",
                           path, strerror(errno));
    bool good = check_file(fd, path, problem) && read_all(fd, path, content, problem);
    (void)close(fd);
    return good;
}

/* Behind the line stands its newline or a NUL. */
static bool is_hash(struct text line)
{
    return line.length == DIGEST_HEX_SIZE - 1 &&
           strspn(line.data, "0123456789abcdef") == line.length;
}

/* Take the next line, without its end, off the content. */
static struct text take_line(struct text *content)
{
    const char *end = memchr(content->data, '\n', content->length);
    size_t length = end == NULL ? content->length : (size_t)(end - content->data);
    size_t taken = end == NULL ? length : length + 1;
    struct text line = {content->data, length};
    *content = (struct text){content->data + taken, content->length - taken};
    return line;
}

/* Count the tokens, and those that have this hash. No line is spared, lest the time tell which of
 * them it was. Returns 0, or the number of the first line that is no hash. */
static int count(struct text content, const char *hash, int *tokens, int *matches)
{
    int malformed = 0;
    *tokens = *matches = 0;
    for (int number = 1; content.length > 0; number++) {
        struct text line = take_line(&content);
        if (line.length == 0 || *line.data == '#')
            continue;
        ++*tokens;
        if (is_hash(line))
            *matches += CRYPTO_memcmp(line.data, hash, line.length) == 0;
        else if (malformed == 0)
            malformed = number;
    }
    return malformed;
}

/* --- the verdict --- */

static bool find(struct text token, const char *path, struct text content, struct problem *problem)
{
    char hash[DIGEST_HEX_SIZE];
    int tokens;
    int matches;
    digest_hex(&token, 1, hash);
    int malformed = count(content, hash, &tokens, &matches);
    if (malformed != 0)
        return problem_set(problem, 503,
                           "line %d of TRADECLOUD_BEARER_FILE=%s is not a SHA-256 in 64 lower-case "
                           "hexadecimal digits: mend or remove it",
                           malformed, path);
    if (tokens == 0)
        return problem_set(problem, 503,
                           "TRADECLOUD_BEARER_FILE=%s has no token: add one, or do not set it",
                           path);
    return matches > 0 ||
           problem_set(problem, 401, "the bearer token is none of those in TRADECLOUD_BEARER_FILE");
}

static bool check_bearer(const struct request *request, const char *path, struct problem *problem)
{
    struct text token;
    struct buffer content = BUFFER_INIT;
    if (!take_token(request->authorization, &token))
        return problem_set(problem, 401, "the bearer token is malformed");
    bool admitted = read_file(path, &content, problem) &&
                    find(token, path, (struct text){content.data, content.length}, problem);
    buffer_release(&content);
    return admitted;
}

bool auth_check(const struct request *request, const char *bearer_file, struct problem *problem)
{
    if (request->auth_type != NULL)
        return true;
    if (!is_bearer(request))
        return problem_set(
            problem, 401,
            "nobody is authenticated: the web server did not set AUTH_TYPE; protect this "
            "location as the shipped configuration does");
    if (bearer_file == NULL)
        return problem_set(problem, 401,
                           "a bearer token came, but none is accepted here: set "
                           "TRADECLOUD_BEARER_FILE, or configure user and password at Tradecloud");
    return check_bearer(request, bearer_file, problem);
}

/* In one line, as Apache would make one of two. */
#define BASIC  "WWW-Authenticate: Basic realm=\"tradecloud\", charset=\"UTF-8\""
#define BEARER BASIC ", Bearer realm=\"tradecloud\""

const char *auth_challenge(const struct request *request, const char *bearer_file)
{
    if (bearer_file == NULL)
        return BASIC "\r\n";
    return is_bearer(request) ? BEARER ", error=\"invalid_token\"\r\n" : BEARER "\r\n";
}

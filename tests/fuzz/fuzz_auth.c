/*
 * Bearer tokens. The first line of the input is an Authorization header, the rest the file of
 * hashes. The verdict must be that of a second, simpler reader of both.
 */
#include "auth.h"
#include "digest.h"
#include "fuzz.h"

#include <regex.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[] = "/dev/shm/tradecloud-fuzz.XXXXXX";
static regex_t bearer;
static regex_t hash;

static void remove_file(void)
{
    (void)unlink(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    int fd = mkstemp(path);
    CHECK(fd >= 0 && close(fd) == 0);
    CHECK(regcomp(&bearer, "^[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)$", REG_EXTENDED) ==
          0);
    CHECK(regcomp(&hash, "^[0-9a-f]{64}$", REG_EXTENDED) == 0);
    return atexit(remove_file);
}

/* 0: admitted; else the status. */
static int expected(const char *authorization, const uint8_t *data, size_t size)
{
    regmatch_t found[2];
    char wanted[DIGEST_HEX_SIZE];
    int tokens = 0;
    int matches = 0;
    bool malformed = memchr(data, '\0', size) != NULL;
    if (authorization == NULL || regexec(&bearer, authorization, 2, found, 0) != 0 ||
        found[1].rm_eo - found[1].rm_so > AUTH_TOKEN_MAX)
        return 401;
    if (size > AUTH_FILE_MAX)
        return 503;
    const struct text token = {authorization + found[1].rm_so,
                               (size_t)(found[1].rm_eo - found[1].rm_so)};
    digest_hex(&token, 1, wanted);
    char *line;
    while ((line = take_line(&data, &size)) != NULL) {
        if (line[0] != '\0' && line[0] != '#') {
            tokens++;
            malformed = malformed || regexec(&hash, line, 0, NULL, 0) != 0;
            matches += strcmp(line, wanted) == 0;
        }
        free(line);
    }
    if (malformed || tokens == 0)
        return 503;
    return matches > 0 ? 0 : 401;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problem problem = {0};
    char *authorization = take_line(&data, &size);
    int fd = open(path, O_WRONLY | O_TRUNC);
    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size && close(fd) == 0);
    const struct request request = {.authorization = authorization};
    bool admitted = auth_check(&request, path, &problem);
    /* A comment may hold a NUL: only whether anybody is let in is compared then. */
    if (memchr(data, '\0', size) != NULL)
        CHECK(!admitted || expected(authorization, data, size) != 401);
    else
        CHECK((admitted ? 0 : problem.status) == expected(authorization, data, size));
    const char *challenge = auth_challenge(&request, path);
    CHECK(strncmp(challenge, "WWW-Authenticate: ", 18) == 0 && strchr(challenge, '\n')[1] == '\0');
    free(authorization);
    return 0;
}

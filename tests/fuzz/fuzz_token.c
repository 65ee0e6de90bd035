/*
 * The file that remembers tokens, and the expiry inside a token. The first byte chooses. What was
 * loaded is saved and must be loaded the same.
 */
#include "fuzz.h"
#include "timestamp.h"
#include "token.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char api[] = "https://a/v2";
static const char credentials[] = "c";
static char path[] = "/dev/shm/tradecloud-fuzz.XXXXXX";
static int directory = -1;

static void remove_directory(void)
{
    (void)unlinkat(directory, "token.json", 0);
    (void)rmdir(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    CHECK(mkdtemp(path) != NULL);
    directory = open(path, O_RDONLY | O_DIRECTORY);
    CHECK(directory >= 0);
    return atexit(remove_directory);
}

static void write_file(const void *data, size_t size)
{
    int fd = openat(directory, "token.json", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size && close(fd) == 0);
}

static void check_file(const uint8_t *data, size_t size)
{
    static struct token token;
    static struct token again;
    struct problem problem;
    write_file(data, size);
    token_load(&token, directory, api, credentials);
    CHECK(memchr(token.access, '\0', sizeof token.access) != NULL);
    CHECK(memchr(token.refresh, '\0', sizeof token.refresh) != NULL);
    CHECK(token.failed_at == 0 || (token.failure.status >= 502 && token.failure.status <= 504));
    (void)token_is_fresh(&token);
    (void)token_is_pausing(&token);
    CHECK(token_save(&token, directory, api, credentials, &problem));
    token_load(&again, directory, api, credentials);
    CHECK(strcmp(token.access, again.access) == 0 && strcmp(token.refresh, again.refresh) == 0);
    CHECK(token.expires == again.expires && token.failed_at == again.failed_at);
    CHECK(token.refused == again.refused);
}

static void check_expiry(const uint8_t *data, size_t size)
{
    char *access = strndup((const char *)data, size < TOKEN_MAX ? size : TOKEN_MAX);
    CHECK(access != NULL);
    int64_t now = timestamp_now();
    int64_t expires = token_expiry(access);
    CHECK(expires >= now + 59000);
    free(access);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == 'x')
        check_expiry(data + 1, size - 1);
    else
        check_file(data + 1, size - 1);
    return 0;
}

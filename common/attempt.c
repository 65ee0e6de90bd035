#include "attempt.h"

#include "directory.h"
#include "regular.h"
#include "temporary.h"
#include "timestamp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { FILE_SIZE = ATTEMPT_ERROR_SIZE + 128 };

/* errno says why. */
static bool failed(const char *what, const char *name, struct problem *problem)
{
    return problem_set(problem, 503, "cannot %s " ATTEMPT_DIRECTORY "/%s: %s", what, name,
                       strerror(errno));
}

/* --- reading --- */

/* The value of the line that begins with `key`, without its newline; absent if there is none. */
static struct text find_line(const char *content, const char *key)
{
    size_t length = strlen(key);
    for (const char *line = content; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        if (strncmp(line, key, length) == 0 && line[length] == ' ' && end != NULL)
            return (struct text){line + length + 1, (size_t)(end - line) - length - 1};
        line = end == NULL ? NULL : end + 1;
    }
    return (struct text){NULL, 0};
}

static unsigned read_count(struct text digits)
{
    unsigned count = 0;
    for (size_t i = 0; i < digits.length; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9' || count > 100000000)
            return 0;
        count = count * 10 + (unsigned)(digits.data[i] - '0');
    }
    return count;
}

static void parse(const char *content, struct attempt *attempt)
{
    struct text error = find_line(content, "error");
    attempt->attempts = read_count(find_line(content, "attempts"));
    attempt->failures = read_count(find_line(content, "failures"));
    if (!timestamp_parse(find_line(content, "retry"), &attempt->retry))
        attempt->retry = 0;
    for (size_t i = 0; i < error.length && i + 1 < sizeof attempt->error; i++) {
        bool printable = (unsigned char)error.data[i] >= 0x20 && error.data[i] != 0x7f;
        attempt->error[i] = '?';
        if (printable)
            attempt->error[i] = error.data[i];
    }
}

bool attempt_read(int directory, const char *name, struct attempt *attempt, struct problem *problem)
{
    char why[128];
    char content[FILE_SIZE];
    struct stat status;
    memset(attempt, 0, sizeof *attempt);
    int fd = regular_open(directory, name, &status, why, sizeof why);
    if (fd < 0 && (errno == ENOENT || errno == 0))
        return true;
    if (fd < 0)
        return failed("open", name, problem);
    ssize_t length = read(fd, content, sizeof content - 1);
    bool good = length >= 0 || failed("read", name, problem);
    (void)close(fd);
    if (length > 0) {
        content[length] = '\0';
        parse(content, attempt);
    }
    return good;
}

/* --- writing --- */

static bool fill(int fd, const struct attempt *attempt)
{
    char time[TIMESTAMP_RFC3339_SIZE];
    char content[FILE_SIZE];
    timestamp_rfc3339(attempt->retry, time);
    int length = snprintf(content, sizeof content, "attempts %u\nfailures %u\nretry %s\nerror %s\n",
                          attempt->attempts, attempt->failures, time, attempt->error);
    ssize_t written = write(fd, content, (size_t)length);
    if (written >= 0 && written != length)
        errno = ENOSPC;
    return written == length && fsync(fd) == 0;
}

bool attempt_write(const struct spool *spool, int directory, const char *name,
                   const struct attempt *attempt, struct problem *problem)
{
    char temporary[TEMPORARY_SIZE];
    int tmp = spool->directories[SPOOL_TMP];
    int fd = temporary_create(tmp, temporary);
    if (fd < 0)
        return failed("create", name, problem);
    bool good = fill(fd, attempt);
    int error = errno;
    bool closed = close(fd) == 0;
    if (!good)
        errno = error;
    if (good && closed && renameat(tmp, temporary, directory, name) == 0 &&
        directory_sync(directory))
        return true;
    (void)failed("write", name, problem);
    (void)unlinkat(tmp, temporary, 0);
    return false;
}

bool attempt_forget(int directory, const char *name)
{
    return unlinkat(directory, name, 0) == 0 || errno == ENOENT || errno == EISDIR;
}

/* --- waiting --- */

int64_t attempt_delay(unsigned attempts, uint64_t random)
{
    int64_t whole = ATTEMPT_BASE;
    for (unsigned i = 1; i < attempts && whole < ATTEMPT_CAP; i++)
        whole *= 2;
    if (whole > ATTEMPT_CAP)
        whole = ATTEMPT_CAP;
    return whole / 2 + (int64_t)(random % (uint64_t)(whole / 2 + 1));
}

int64_t attempt_put_off(struct attempt *attempt)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = 0;
    int64_t delay = attempt_delay(attempt->attempts, random);
    attempt->retry = timestamp_now() + delay;
    return delay;
}

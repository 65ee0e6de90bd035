#include "attempt.h"

#include "directory.h"
#include "timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    FILE_SIZE = ATTEMPT_ERROR_SIZE + 128,
    TEMPORARY_SIZE = 64,
};

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
        bool printable = error.data[i] >= 0x20 && error.data[i] < 0x7f;
        attempt->error[i] = '?';
        if (printable)
            attempt->error[i] = error.data[i];
    }
}

bool attempt_read(int directory, const char *name, struct attempt *attempt, struct problem *problem)
{
    char content[FILE_SIZE];
    memset(attempt, 0, sizeof *attempt);
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ELOOP))
        return true;
    if (fd < 0)
        return failed("open", name, problem);
    ssize_t length = read(fd, content, sizeof content - 1);
    bool good = length >= 0 || errno == EISDIR || failed("read", name, problem);
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
    uint64_t random;
    char temporary[TEMPORARY_SIZE];
    int tmp = spool->directories[SPOOL_TMP];
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return failed("find a name for", name, problem);
    (void)snprintf(temporary, sizeof temporary, "%ld.%016jx", (long)getpid(), (uintmax_t)random);
    int fd = openat(tmp, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fd < 0)
        return failed("create", name, problem);
    bool good = fill(fd, attempt);
    int error = errno;
    good = close(fd) == 0 && good;
    errno = error;
    if (good && renameat(tmp, temporary, directory, name) == 0 && directory_sync(directory))
        return true;
    (void)failed("write", name, problem);
    (void)unlinkat(tmp, temporary, 0);
    return false;
}

void attempt_forget(int directory, const char *name)
{
    (void)unlinkat(directory, name, 0);
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

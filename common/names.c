#include "names.h"

#include "digest.h"
#include "entry.h"
#include "rejection.h"
#include "stream.h"
#include "timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* <time>_rejected_<SHA-256>.txt */
static bool is_rejection(const char *name)
{
    static const char middle[] = "_rejected_";
    static const char end[] = ".txt";
    const size_t time = TIMESTAMP_NAME_SIZE - 1;
    const size_t hex = DIGEST_HEX_SIZE - 1;
    int64_t milliseconds;
    if (strlen(name) != time + sizeof middle - 1 + hex + sizeof end - 1)
        return false;
    const char *hash = name + time + sizeof middle - 1;
    return timestamp_parse_name((struct text){name, time}, &milliseconds) &&
           memcmp(name + time, middle, sizeof middle - 1) == 0 &&
           strspn(hash, "0123456789abcdef") == hex && strcmp(hash + hex, end) == 0;
}

bool names_fit(enum spool_state state, const char *name)
{
    return entry_is_name(name) || (state == SPOOL_REJECTED && is_rejection(name));
}

enum spool_state names_find(const struct spool *spool, const char *name)
{
    struct stat status;
    enum spool_state state = SPOOL_NEW;
    while (state < SPOOL_STATES &&
           (spool->directories[state] < 0 ||
            (fstatat(spool->directories[state], name, &status, AT_SYMLINK_NOFOLLOW) != 0 &&
             errno == ENOENT)))
        state++;
    return state;
}

bool names_open(struct names_cursor *cursor, const struct spool *spool, enum spool_state state)
{
    *cursor = (struct names_cursor){.state = state};
    if (spool->directories[state] < 0)
        return true;
    cursor->stream = stream_open(spool->directories[state]);
    return cursor->stream != NULL;
}

const char *names_next(struct names_cursor *cursor)
{
    const struct dirent *found;
    errno = 0;
    while (cursor->stream != NULL && (found = stream_next(cursor->stream)) != NULL) {
        if (names_fit(cursor->state, found->d_name))
            return found->d_name;
        cursor->odd++;
    }
    return NULL;
}

void names_close(struct names_cursor *cursor)
{
    if (cursor->stream != NULL)
        (void)closedir(cursor->stream);
}

static bool add(struct names *names, const char *name)
{
    if (names->count == names->capacity) {
        size_t capacity = names->capacity == 0 ? 64 : 2 * names->capacity;
        size_t *offsets = reallocarray(names->offsets, capacity, sizeof *offsets);
        if (offsets == NULL)
            return false;
        names->offsets = offsets;
        names->capacity = capacity;
    }
    names->offsets[names->count] = names->bytes.length;
    if (!buffer_append(&names->bytes, name, strlen(name) + 1))
        return false;
    names->count++;
    return true;
}

static int compare(const void *left, const void *right, void *bytes)
{
    const char *base = bytes;
    return strcmp(base + *(const size_t *)left, base + *(const size_t *)right);
}

bool names_read(struct names *names, const struct spool *spool, enum spool_state state)
{
    struct names_cursor cursor;
    const char *name;
    *names = (struct names){.count = 0};
    if (!names_open(&cursor, spool, state))
        return false;
    while ((name = names_next(&cursor)) != NULL)
        if (!add(names, name)) {
            errno = ENOMEM;
            break;
        }
    int error = errno;
    names->odd = cursor.odd;
    names_close(&cursor);
    if (error != 0)
        names_release(names);
    else if (names->count > 0)
        qsort_r(names->offsets, names->count, sizeof *names->offsets, compare, names->bytes.data);
    errno = error;
    return error == 0;
}

const char *names_at(const struct names *names, size_t index)
{
    return names->bytes.data + names->offsets[index];
}

void names_release(struct names *names)
{
    buffer_release(&names->bytes);
    free(names->offsets);
    *names = (struct names){.count = 0};
}

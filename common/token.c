#include "token.h"

#include "buffer.h"
#include "timestamp.h"

#include <json-c/json.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char name[] = "token.json";

enum { FILE_MAX = 4 * TOKEN_MAX, SHORTEST = 60000 };

/* --- reading; every reader is total: what is not there or of another type is absent --- */

static void get_string(struct json_object *object, const char *key, char *value, size_t size)
{
    struct json_object *member = NULL;
    value[0] = '\0';
    if (!json_object_object_get_ex(object, key, &member) ||
        !json_object_is_type(member, json_type_string) ||
        (size_t)json_object_get_string_len(member) >= size)
        return;
    (void)snprintf(value, size, "%s", json_object_get_string(member));
}

static int64_t get_number(struct json_object *object, const char *key)
{
    struct json_object *member = NULL;
    if (!json_object_object_get_ex(object, key, &member) ||
        !json_object_is_type(member, json_type_int))
        return 0;
    return json_object_get_int64(member);
}

static bool has_string(struct json_object *object, const char *key, const char *expected)
{
    struct json_object *member = NULL;
    return json_object_object_get_ex(object, key, &member) &&
           json_object_is_type(member, json_type_string) &&
           strcmp(json_object_get_string(member), expected) == 0;
}

/* The file's bytes as a string; only if nobody else can have written or read them. */
static bool read_file(int directory, char *text, size_t size)
{
    struct stat status;
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = -1;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1 &&
        status.st_uid == geteuid() && (status.st_mode & 077) == 0)
        length = read(fd, text, size - 1);
    (void)close(fd);
    text[length > 0 ? length : 0] = '\0';
    return length > 0;
}

void token_load(struct token *token, int directory, const char *api, const char *credentials)
{
    char text[FILE_MAX];
    memset(token, 0, sizeof *token);
    struct json_object *object =
        read_file(directory, text, sizeof text) ? json_tokener_parse(text) : NULL;
    if (json_object_is_type(object, json_type_object) && has_string(object, "api", api) &&
        has_string(object, "credentials", credentials)) {
        get_string(object, "access", token->access, sizeof token->access);
        get_string(object, "refresh", token->refresh, sizeof token->refresh);
        token->expires = get_number(object, "expires");
        token->failed_at = get_number(object, "failedAt");
        token->failure.status = (int)get_number(object, "status");
        get_string(object, "reason", token->failure.reason, sizeof token->failure.reason);
        /* A damaged file must not make a failure look like success. */
        if (token->failure.status < 502 || token->failure.status > 504)
            token->failed_at = 0;
        token->refused = get_number(object, "refused") != 0;
    }
    json_object_put(object);
    explicit_bzero(text, sizeof text);
}

/* --- writing --- */

static bool add(struct json_object *object, const char *key, struct json_object *value)
{
    if (object != NULL && value != NULL && json_object_object_add(object, key, value) == 0)
        return true;
    json_object_put(value);
    return false;
}

static bool write_file(int directory, const char *text)
{
    static const char temporary[] = "token.json.new";
    size_t length = strlen(text);
    /* Under the lock, so that one left behind is a dead process's. */
    (void)unlinkat(directory, temporary, 0);
    int fd =
        openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool written = write(fd, text, length) == (ssize_t)length;
    bool closed = close(fd) == 0;
    /* Not synced: after a power failure it is missing or damaged, and everybody logs in anew. */
    return written && closed && renameat(directory, temporary, directory, name) == 0;
}

bool token_save(const struct token *token, int directory, const char *api, const char *credentials,
                struct problem *problem)
{
    struct json_object *object = json_object_new_object();
    bool built = add(object, "api", json_object_new_string(api)) &&
                 add(object, "credentials", json_object_new_string(credentials)) &&
                 add(object, "access", json_object_new_string(token->access)) &&
                 add(object, "refresh", json_object_new_string(token->refresh)) &&
                 add(object, "expires", json_object_new_int64(token->expires)) &&
                 add(object, "failedAt", json_object_new_int64(token->failed_at)) &&
                 add(object, "status", json_object_new_int(token->failure.status)) &&
                 add(object, "reason", json_object_new_string(token->failure.reason)) &&
                 add(object, "refused", json_object_new_int(token->refused ? 1 : 0));
    const char *text =
        built ? json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN) : NULL;
    bool saved = text != NULL && write_file(directory, text);
    if (text == NULL)
        problem_memory(problem);
    else if (!saved)
        problem_set(problem, 503,
                    "cannot write state/%s in the spool: %s: see tradecloud-fetch(1), "
                    "FILES",
                    name, strerror(errno));
    json_object_put(object);
    return saved;
}

/* --- judging --- */

bool token_is_fresh(const struct token *token)
{
    return token->access[0] != '\0' && token->expires - TOKEN_MARGIN > timestamp_now();
}

bool token_is_pausing(const struct token *token)
{
    int64_t past = timestamp_now() - token->failed_at;
    return token->failed_at != 0 && past >= 0 && past < TOKEN_PAUSE;
}

/* Decode base64url (RFC 4648 section 5) until something else comes. Returns the length. */
static size_t decode_base64url(const char *text, char *out, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned bits = 0;
    unsigned word = 0;
    size_t length = 0;
    for (; *text != '\0' && length < size; text++) {
        const char *digit = strchr(digits, *text);
        if (digit == NULL)
            break;
        word = (word << 6 | (unsigned)(digit - digits)) & 0xffff;
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        out[length++] = (char)(word >> bits & 0xff);
    }
    return length;
}

int64_t token_expiry(const char *access)
{
    int64_t now = timestamp_now();
    int64_t expires = now + TOKEN_DEFAULT;
    const char *dot = strchr(access, '.');
    if (dot != NULL) {
        char claims[TOKEN_MAX + 1];
        claims[decode_base64url(dot + 1, claims, sizeof claims - 1)] = '\0';
        struct json_object *object = json_tokener_parse(claims);
        int64_t seconds =
            json_object_is_type(object, json_type_object) ? get_number(object, "exp") : 0;
        json_object_put(object);
        if (seconds > 0 && seconds < INT64_MAX / 1000)
            expires = seconds * 1000;
    }
    return expires < now + SHORTEST ? now + SHORTEST : expires;
}

/*
 * A receiver of events as one would write it without measuring: json-c's objects, OpenSSL's EVP for
 * bearer tokens, libcurl for GET, all linked as shared libraries, as their manuals say. It makes as
 * durable a file as tradecloud-webhook does, and is a peer in the measurements, nothing more: what
 * it is told of the environment it believes, and its answers are not for Tradecloud.
 */
#include <curl/curl.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value == NULL ? "" : value;
}

static int answer(int status, const char *words)
{
    (void)printf("Status: %d %s\r\nContent-Type: application/json\r\n\r\n{}\n", status, words);
    return fflush(stdout) == 0 ? 0 : 1;
}

static bool digest(const char *text, unsigned char *hash)
{
    return EVP_Digest(text, strlen(text), hash, NULL, EVP_sha256(), NULL) == 1;
}

/* Digests are compared, which have one length and tell nothing by the time that it takes. */
static bool token_is_right(void)
{
    static const char scheme[] = "Bearer ";
    unsigned char sent[EVP_MAX_MD_SIZE];
    unsigned char right[EVP_MAX_MD_SIZE];
    const char *authorization = variable("HTTP_AUTHORIZATION");
    return strncmp(authorization, scheme, strlen(scheme)) == 0 &&
           digest(authorization + strlen(scheme), sent) &&
           digest(variable("BEARER_TOKEN"), right) &&
           CRYPTO_memcmp(sent, right, (size_t)EVP_MD_get_size(EVP_sha256())) == 0;
}

static bool fetch(const char *url)
{
    CURL *curl = curl_easy_init();
    bool fetched = curl != NULL && curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
                   curl_easy_perform(curl) == CURLE_OK;
    curl_easy_cleanup(curl);
    return fetched;
}

static char *read_body(size_t length)
{
    char *body = malloc(length + 1);
    if (body == NULL || fread(body, 1, length, stdin) == length)
        return body;
    free(body);
    return NULL;
}

/* The message id, borrowed from the object. */
static const char *message_id(struct json_object *object)
{
    struct json_object *event;
    struct json_object *meta;
    struct json_object *id;
    if (!json_object_object_get_ex(object, "orderEvent", &event) ||
        !json_object_object_get_ex(event, "meta", &meta) ||
        !json_object_object_get_ex(meta, "messageId", &id))
        return NULL;
    return json_object_get_string(id);
}

static bool write_file(const char *path, const char *bytes, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0)
        return false;
    bool written = write(fd, bytes, length) == (ssize_t)length && fsync(fd) == 0;
    return close(fd) == 0 && written;
}

static bool sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    return fd >= 0 && close(fd) == 0 && synced;
}

static bool store(const char *id, const char *bytes, size_t length)
{
    char temporary[512];
    char entry[512];
    char directory[512];
    const char *spool = variable("TRADECLOUD_SPOOL");
    (void)snprintf(temporary, sizeof temporary, "%s/tmp/%s.%ld", spool, id, (long)getpid());
    (void)snprintf(entry, sizeof entry, "%s/new/%s.json", spool, id);
    (void)snprintf(directory, sizeof directory, "%s/new", spool);
    return write_file(temporary, bytes, length) && link(temporary, entry) == 0 &&
           sync_directory(directory) && unlink(temporary) == 0;
}

int main(void)
{
    const size_t length = strtoul(variable("CONTENT_LENGTH"), NULL, 10);
    if (*variable("AUTH_TYPE") == '\0' && !token_is_right())
        return answer(401, "Unauthorized");
    if (strcmp(variable("REQUEST_METHOD"), "GET") == 0)
        return fetch(variable("PATH_INFO")) ? answer(202, "Accepted") : answer(502, "Bad Gateway");
    char *body = read_body(length);
    struct json_tokener *parser = json_tokener_new();
    if (body == NULL || parser == NULL)
        return answer(503, "Service Unavailable");
    /* Not JSON_TOKENER_STRICT, with which json-c 0.18 refuses letters beyond ASCII. */
    json_tokener_set_flags(parser, JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *object = json_tokener_parse_ex(parser, body, (int)length);
    const char *id = message_id(object);
    bool stored = id != NULL && store(id, body, length);
    int status = stored ? answer(202, "Accepted") : answer(503, "Service Unavailable");
    (void)json_object_put(object);
    json_tokener_free(parser);
    free(body);
    return status;
}

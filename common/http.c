#include "http.h"

#include "pace.h"
#include "timestamp.h"

#include <curl/curl.h>

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    CONNECT_TIMEOUT = 5000,  /* milliseconds */
    RETRY_WAIT_LEAST = 100,  /* milliseconds before the second attempt */
    RETRY_WAIT_SPREAD = 400, /* and up to so many more, so that many do not come at once */
    CONNECT_RESERVE = 4, /* who has waited to connect must have a quarter of the time-out left */
    SEND_RESERVE = 8,    /* who has waited to send, an eighth */
};

static_assert(sizeof((struct http *)NULL)->error >= CURL_ERROR_SIZE, "libcurl writes so much");

/* --- what libcurl calls --- */

/* cppcheck-suppress constParameterCallback; libcurl wants it so */
static size_t take_body(char *bytes, size_t size, size_t count, void *data)
{
    struct exchange *exchange = data;
    size_t length = size * count;
    exchange->too_large = exchange->body.length + length > exchange->max_body;
    if (exchange->too_large)
        return 0;
    exchange->no_memory = !buffer_append(&exchange->body, bytes, length);
    return exchange->no_memory ? 0 : length;
}

static bool is_token(struct text value)
{
    for (size_t i = 0; i < value.length; i++)
        if (value.data[i] <= ' ' || value.data[i] > '~')
            return false;
    return value.length <= TOKEN_MAX;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Copy the value of a header line if it has that name (in any case, as over HTTP/2 it is lower) and
 * is a token: printable, without white space, not too long. */
static void take_token(struct text line, const char *name, char token[TOKEN_MAX + 1])
{
    size_t skip = strlen(name);
    if (line.length <= skip || strncasecmp(line.data, name, skip) != 0 || line.data[skip] != ':')
        return;
    struct text value = {line.data + skip + 1, line.length - skip - 1};
    for (; value.length > 0 && is_space(value.data[0]); value.length--)
        value.data++;
    while (value.length > 0 && is_space(value.data[value.length - 1]))
        value.length--;
    if (!is_token(value))
        return;
    memcpy(token, value.data, value.length);
    token[value.length] = '\0';
}

/* A connection stands: wait until the request may be sent. */
static int wait_to_send(void *data, char *server, char *client, int server_port, int client_port)
{
    const struct http *http = data;
    (void)server;
    (void)client;
    (void)server_port;
    (void)client_port;
    return pace_wait(&http->pace, PACE_SEND, SEND_RESERVE, http->unsent) ? CURL_PREREQFUNC_OK
                                                                         : CURL_PREREQFUNC_ABORT;
}

static size_t take_header(char *line, size_t size, size_t count, void *data)
{
    struct exchange *exchange = data;
    struct text text = {line, size * count};
    exchange->begun = true;
    take_token(text, "Set-Authorization", exchange->access);
    take_token(text, "Set-Refresh-Token", exchange->refresh);
    return text.length;
}

/* --- getting ready --- */

/* An address, as a name that looks like one may be anybody's: 127.example.com. */
static bool is_loopback(const char *host)
{
    struct in_addr address;
    if (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
        return true;
    return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET;
}

bool http_check_url(const char *variable, const char *url, struct problem *problem)
{
    CURLU *parts = curl_url();
    char *scheme = NULL;
    char *host = NULL;
    bool good = parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
                curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK;
    bool allowed = good && (strcmp(scheme, "https") == 0 || is_loopback(host));
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(parts);
    if (allowed)
        return true;
    return problem_set(problem, 503, "%s=%s is not an https URL", variable, url);
}

bool http_open(struct http *http, const struct config *config, int state, int64_t deadline,
               struct problem *problem)
{
    *http = (struct http){.config = config,
                          .pace = {.directory = state,
                                   .timeout = (int64_t)config->timeout * 1000,
                                   .deadline = deadline}};
    if (curl_global_init(CURL_GLOBAL_DEFAULT) == 0)
        http->curl = curl_easy_init();
    return http->curl != NULL || problem_memory(problem);
}

void http_close(struct http *http)
{
    curl_easy_cleanup(http->curl);
    curl_global_cleanup();
}

char *http_escape(struct http *http, const char *id)
{
    return curl_easy_escape(http->curl, id, 0);
}

void http_free(char *escaped)
{
    curl_free(escaped);
}

/* --- one attempt --- */

/* Everything that does not depend on who asks for what. */
static bool set_limits(struct http *http)
{
    CURL *curl = http->curl;
    int64_t left = http->pace.deadline - timestamp_monotonic();
    const char *ca_file = http->config->ca_file;
    return curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, http->error) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           /* Else a name server that is silent holds the process beyond its deadline. */
           curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
           /* What a proxy says before TLS begins is not the API's word. */
           curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_USERAGENT, "tradecloud-webhook/" PROGRAM_VERSION) ==
               CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, left > 0 ? (long)left : 1L) == CURLE_OK &&
           (ca_file == NULL || curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file) == CURLE_OK);
}

/* Who asks, and for what. `headers` must live until the answer. */
static bool set_request(struct http *http, struct exchange *exchange, struct curl_slist *headers)
{
    CURL *curl = http->curl;
    bool set = curl_easy_setopt(curl, CURLOPT_URL, exchange->url) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, wait_to_send) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_PREREQDATA, http) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange) == CURLE_OK;
    if (exchange->basic)
        set = set && curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_REQUIRED) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_NETRC_FILE, http->config->netrc) == CURLE_OK;
    if (exchange->bearer != NULL)
        set = set && curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, exchange->bearer) == CURLE_OK;
    return set;
}

/* The header with the refresh token, if there is to be one. */
static bool make_headers(const struct exchange *exchange, struct curl_slist **headers)
{
    static const char name[] = "Refresh-Token: ";
    char line[sizeof name + TOKEN_MAX];
    *headers = NULL;
    if (exchange->refresh_token == NULL)
        return true;
    (void)snprintf(line, sizeof line, "%s%s", name, exchange->refresh_token);
    *headers = curl_slist_append(NULL, line);
    explicit_bzero(line, sizeof line);
    return *headers != NULL;
}

/* Ask once. What an earlier attempt left is forgotten. */
static CURLcode attempt(struct http *http, struct exchange *exchange)
{
    long status = 0;
    struct curl_slist *headers;
    curl_easy_reset(http->curl);
    http->error[0] = '\0';
    exchange->body.length = 0;
    exchange->begun = false;
    exchange->access[0] = exchange->refresh[0] = '\0';
    exchange->max_body = http->config->max_body;
    CURLcode code = CURLE_OUT_OF_MEMORY;
    if (make_headers(exchange, &headers) && set_limits(http) &&
        set_request(http, exchange, headers))
        code = curl_easy_perform(http->curl);
    if (code == CURLE_OK)
        (void)curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
    exchange->status = (int)status;
    curl_slist_free_all(headers);
    return code;
}

/* --- an answer, or a problem --- */

/* A connection that failed or broke off, or an answer that says the same. */
static bool is_passing(CURLcode code, int status)
{
    switch ((int)code) {
    case CURLE_OK:
        return status >= 500;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return true;
    default:
        return false;
    }
}

/* Wait a moment; false if the deadline leaves no time for another attempt. */
static bool wait_a_moment(const struct http *http)
{
    unsigned random;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = 0; /* no jitter, then */
    int64_t wait = RETRY_WAIT_LEAST + (int64_t)(random % RETRY_WAIT_SPREAD);
    if (timestamp_monotonic() + wait + PACE_INTERVAL >= http->pace.deadline)
        return false;
    (void)usleep((useconds_t)wait * 1000);
    return true;
}

static bool explain(const struct http *http, const struct exchange *exchange, CURLcode code,
                    struct problem *problem)
{
    const char *detail = http->error[0] != '\0' ? http->error : curl_easy_strerror(code);
    if (exchange->too_large)
        return problem_set(
            problem, 503,
            "the answer of Tradecloud's API is larger than TRADECLOUD_MAX_BODY=%" PRIu64
            ": raise it",
            http->config->max_body);
    /* Within an answer, libcurl 7.88 says the same of a header that is too long for it. */
    if (code == CURLE_OUT_OF_MEMORY && exchange->begun)
        return problem_set(problem, 502,
                           "cannot take in the answer of %s: a header of it is too long, or memory "
                           "ran out",
                           exchange->url);
    if (code == CURLE_OUT_OF_MEMORY || exchange->no_memory)
        return problem_memory(problem);
    if (code == CURLE_SSL_CACERT_BADFILE)
        return problem_set(problem, 503, "TRADECLOUD_CA_FILE cannot be used: %s", detail);
    if (code == CURLE_OPERATION_TIMEDOUT && timestamp_monotonic() + 1 >= http->pace.deadline)
        return problem_set(problem, 504,
                           "Tradecloud's API did not answer within TRADECLOUD_TIMEOUT=%" PRIu64
                           " seconds, waiting for others included",
                           http->config->timeout);
    return problem_set(problem, 502, "cannot ask %s: %s", exchange->url, detail);
}

bool http_get(struct http *http, struct exchange *exchange, struct problem *problem)
{
    struct problem unneeded;
    http->unsent = problem;
    if (!pace_wait(&http->pace, PACE_CONNECT, CONNECT_RESERVE, problem))
        return false;
    CURLcode code = attempt(http, exchange);
    /* If there is no turn for a second attempt, the first has told what is wrong. */
    if (is_passing(code, exchange->status) && wait_a_moment(http) &&
        pace_wait(&http->pace, PACE_CONNECT, CONNECT_RESERVE, &unneeded))
        code = attempt(http, exchange);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return false; /* its turn to be sent did not come, and the problem says so */
    return code == CURLE_OK ? true : explain(http, exchange, code, problem);
}

void exchange_release(struct exchange *exchange)
{
    buffer_release(&exchange->body);
    explicit_bzero(exchange->access, sizeof exchange->access);
    explicit_bzero(exchange->refresh, sizeof exchange->refresh);
}

#include "api.h"

#include "lock.h"
#include "timestamp.h"
#include "token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN_LOCK "token.lock"

/* --- credentials --- */

static bool check_netrc(struct api *api, const char *path, struct problem *problem)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        problem_set(problem, 503,
                    "cannot read TRADECLOUD_NETRC=%s: %s: create it, readable for the web server's "
                    "user only",
                    path, strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return false;
    }
    (void)close(fd);
    if (!S_ISREG(status.st_mode) || (status.st_mode & (S_IWGRP | S_IRWXO)) != 0)
        return problem_set(
            problem, 503, "others have access to the password in TRADECLOUD_NETRC=%s: chmod 640 it",
            path);
    (void)snprintf(api->credentials, sizeof api->credentials, "%ju:%ju:%jd.%ld:%jd",
                   (uintmax_t)status.st_dev, (uintmax_t)status.st_ino,
                   (intmax_t)status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                   (intmax_t)status.st_size);
    return true;
}

static bool check_ca_file(const char *path, struct problem *problem)
{
    if (path == NULL || access(path, R_OK) == 0)
        return true;
    return problem_set(problem, 503, "cannot read TRADECLOUD_CA_FILE=%s: %s", path,
                       strerror(errno));
}

static bool check_legacy(const struct config *config, enum event_kind kind, struct problem *problem)
{
    if (config->legacy_api_url != NULL)
        return http_check_url("TRADECLOUD_LEGACY_API_URL", config->legacy_api_url, problem);
    if (kind != EVENT_LEGACY_ORDER_FETCHED)
        return true;
    return problem_set(problem, 503,
                       "TRADECLOUD_LEGACY_API_URL is not set: set it, or configure "
                       "{orderId} instead of {legacyOrderId}");
}

bool api_open(struct api *api, const struct config *config, enum event_kind kind, int state,
              int64_t deadline, struct problem *problem)
{
    *api = (struct api){.kind = kind};
    return http_check_url("TRADECLOUD_API_URL", config->api_url, problem) &&
           check_legacy(config, kind, problem) && check_ca_file(config->ca_file, problem) &&
           check_netrc(api, config->netrc, problem) &&
           http_open(&api->http, config, state, deadline, problem);
}

void api_close(struct api *api)
{
    http_close(&api->http);
}

/* --- URLs --- */

/* Append a base, without the slashes at its end, and a path. */
static bool join(struct buffer *url, const char *base, const char *path)
{
    size_t length = strlen(base);
    while (length > 0 && base[length - 1] == '/')
        length--;
    return buffer_append(url, base, length) && buffer_append_string(url, path);
}

static bool object_url(struct api *api, const char *id, struct buffer *url)
{
    const struct config *config = api->http.config;
    bool legacy = api->kind == EVENT_LEGACY_ORDER_FETCHED;
    const char *path = legacy                                ? "/purchaseOrder/"
                       : api->kind == EVENT_SHIPMENT_FETCHED ? "/shipment/"
                                                             : "/order/";
    char *segment = http_escape(&api->http, id);
    bool built = segment != NULL &&
                 join(url, legacy ? config->legacy_api_url : config->api_url, path) &&
                 buffer_append(url, segment, strlen(segment) + 1);
    http_free(segment);
    return built;
}

/* --- logging in --- */

static bool refuse(struct api *api, int status, struct problem *problem)
{
    api->refused = true;
    return problem_set(problem, 502,
                       "Tradecloud refuses to let us in (%d): correct the user and password that "
                       "TRADECLOUD_NETRC=%s has for the host of the API",
                       status, api->http.config->netrc);
}

/* An answer that is neither success nor one of the caller's own cases. */
static bool unexpected(const struct exchange *exchange, struct problem *problem)
{
    if (exchange->status == 429)
        return problem_set(problem, 503, "Tradecloud's API has too many requests from us (429)");
    return problem_set(problem, 502, "Tradecloud's API answered %d to %s", exchange->status,
                       exchange->url);
}

/* Ask for tokens. Returns false with a problem, or true, with the token fresh if all went well. */
static bool ask_for_token(struct api *api, struct token *token, bool refresh,
                          struct problem *problem)
{
    struct buffer url = BUFFER_INIT;
    struct exchange exchange = {.basic = !refresh,
                                .refresh_token = refresh ? token->refresh : NULL};
    bool asked = (join(&url, api->http.config->api_url,
                       refresh ? "/authentication/refresh" : "/authentication/login") &&
                  buffer_append(&url, "", 1)) ||
                 problem_memory(problem);
    exchange.url = url.data;
    asked = asked && http_get(&api->http, &exchange, problem);
    api->answered = asked;
    if (asked && (exchange.status == 401 || exchange.status == 403))
        asked = refuse(api, exchange.status, problem);
    else if (asked && exchange.status != 200)
        asked = unexpected(&exchange, problem);
    else if (asked && exchange.access[0] == '\0')
        asked = problem_set(problem, 502, "Tradecloud's API answered %s without a token", url.data);
    if (asked) {
        *token = (struct token){.expires = token_expiry(exchange.access)};
        memcpy(token->access, exchange.access, sizeof token->access);
        memcpy(token->refresh, exchange.refresh, sizeof token->refresh);
    }
    exchange_release(&exchange);
    buffer_release(&url);
    return asked;
}

/* Remember for all processes that logging in failed. */
static void remember_failure(const struct api *api, struct token *token,
                             const struct problem *problem)
{
    struct problem unsaved;
    memset(token, 0, sizeof *token);
    token->failed_at = timestamp_now();
    token->failure = *problem;
    token->refused = api->refused;
    (void)token_save(token, api->http.pace.directory, api->http.config->api_url, api->credentials,
                     &unsaved);
}

/* Log in, or refresh where that is enough, and tell all processes how it went. */
static bool log_in(struct api *api, struct token *token, bool refresh, struct problem *problem)
{
    bool in = refresh && token->refresh[0] != '\0' && ask_for_token(api, token, true, problem);
    /* A refresh token that is refused, or a refresh that makes no sense, leaves the log-in;
     * whatever else went wrong would do so again. */
    bool hopeless = !in && (problem->status == 503 || problem->status == 504);
    if (!in && !hopeless) {
        api->refused = false;
        in = ask_for_token(api, token, false, problem);
    }
    if (in)
        return token_save(token, api->http.pace.directory, api->http.config->api_url,
                          api->credentials, problem);
    /* That our own time was too short, or something of ours is wrong, is no reason for others to
     * wait. */
    if (problem->status == 502 || api->answered)
        remember_failure(api, token, problem);
    return false;
}

static bool is_usable(const struct token *token, const char *stale)
{
    return token_is_fresh(token) && (stale == NULL || strcmp(token->access, stale) != 0);
}

/* Under the lock: whoever had it before may have logged in, or failed to. */
static bool get_token_locked(struct api *api, const char *stale, struct token *token,
                             struct problem *problem)
{
    problem->status = 0;
    token_load(token, api->http.pace.directory, api->http.config->api_url, api->credentials);
    if (is_usable(token, stale))
        return true;
    if (!token_is_pausing(token))
        return log_in(api, token, stale == NULL, problem);
    api->refused = token->refused;
    *problem = token->failure;
    return false;
}

/* Get a token that is not `stale`. */
static bool get_token(struct api *api, const char *stale, struct token *token,
                      struct problem *problem)
{
    token_load(token, api->http.pace.directory, api->http.config->api_url, api->credentials);
    if (is_usable(token, stale))
        return true;
    int lock = lock_take(api->http.pace.directory, TOKEN_LOCK, api->http.pace.deadline);
    if (lock < 0 && errno == ETIMEDOUT)
        return problem_set(problem, 504, "another process took too long to log in to Tradecloud");
    if (lock < 0)
        return problem_set(problem, 503,
                           "cannot lock state/token.lock in the spool: %s: see "
                           "tradecloud-fetch(1), FILES",
                           strerror(errno));
    bool got = get_token_locked(api, stale, token, problem);
    (void)close(lock);
    return got;
}

/* --- fetching --- */

/* What the answer means. */
static bool judge(struct api *api, const struct exchange *exchange, struct problem *problem)
{
    switch (exchange->status) {
    case 200:
        return true;
    case 404:
        return problem_set(problem, 404, "Tradecloud has no such object: %s", exchange->url);
    case 401:
        return refuse(api, exchange->status, problem);
    case 403:
        api->refused = true;
        return problem_set(problem, 502,
                           "Tradecloud lets us in, but not see this (403): %s: give the "
                           "user that TRADECLOUD_NETRC=%s has the right to",
                           exchange->url, api->http.config->netrc);
    default:
        return unexpected(exchange, problem);
    }
}

/* Log in again, all of us, but not before the pause after a failed log-in. */
static void give_up_token(const struct api *api, struct token *token, const struct problem *problem)
{
    int lock = lock_take(api->http.pace.directory, TOKEN_LOCK, api->http.pace.deadline);
    if (lock < 0)
        return;
    remember_failure(api, token, problem);
    (void)close(lock);
}

/* With an access token; once more with another, if it is refused. */
static bool get_with_token(struct api *api, struct exchange *exchange, struct problem *problem)
{
    struct token token;
    bool got = get_token(api, NULL, &token, problem);
    exchange->bearer = token.access;
    got = got && http_get(&api->http, exchange, problem);
    if (got && exchange->status == 401) {
        char stale[TOKEN_MAX + 1];
        memcpy(stale, token.access, sizeof stale);
        got = get_token(api, stale, &token, problem) && http_get(&api->http, exchange, problem);
        explicit_bzero(stale, sizeof stale);
    }
    /* A token that was given a moment ago: to log in for each request would not help. */
    if (got && exchange->status == 401) {
        got = refuse(api, exchange->status, problem);
        give_up_token(api, &token, problem);
    }
    exchange->bearer = NULL;
    explicit_bzero(&token, sizeof token);
    return got;
}

bool api_fetch(struct api *api, const char *id, struct buffer *body, struct problem *problem)
{
    bool legacy = api->kind == EVENT_LEGACY_ORDER_FETCHED;
    struct buffer url = BUFFER_INIT;
    struct exchange exchange = {.basic = legacy};
    bool got = object_url(api, id, &url) || problem_memory(problem);
    exchange.url = url.data;
    if (legacy)
        got = got && http_get(&api->http, &exchange, problem);
    else
        got = got && get_with_token(api, &exchange, problem);
    got = got && judge(api, &exchange, problem);
    if (got) {
        *body = exchange.body;
        exchange.body = (struct buffer)BUFFER_INIT;
    }
    exchange_release(&exchange);
    buffer_release(&url);
    return got;
}

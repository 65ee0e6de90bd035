#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A body is held in memory, and json-c counts bytes in an int. */
#define MAX_BODY_LIMIT (UINT64_C(1) << 30)
#define TIMEOUT_LIMIT  300

static const char *variable(const char *name, const char *fallback)
{
    const char *value = getenv(name);
    return value == NULL ? fallback : value;
}

static bool read_number(const char *name, const char *fallback, uint64_t low, uint64_t high,
                        uint64_t *number, struct problem *problem)
{
    const char *value = variable(name, fallback);
    errno = 0;
    *number = strtoumax(value, NULL, 10);
    if (*value == '\0' || strspn(value, "0123456789") != strlen(value) || errno != 0 ||
        *number < low || *number > high)
        return problem_set(problem, 503,
                           "%s=%s is not a number from %" PRIu64 " to %" PRIu64
                           ": write digits only, no unit",
                           name, value, low, high);
    return true;
}

/* Without a fallback, a variable that is not set gives NULL. */
static bool read_path(const char *name, const char *fallback, const char **path,
                      struct problem *problem)
{
    *path = variable(name, fallback);
    if (*path != NULL && **path != '/')
        return problem_set(problem, 503, "%s=%s is not an absolute path", name, *path);
    return true;
}

/* The URL stands in events as the CloudEvents source, so it must be a URI as it is (RFC 3986); and
 * paths are appended to it, so it has no query. Whether plain http is allowed is the API's to say.
 * Without a fallback, a variable that is not set gives NULL. */
static bool read_url(const char *name, const char *fallback, const char **url,
                     struct problem *problem)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789-._~:/[]!$&'()*+,;=%";
    *url = variable(name, fallback);
    if (*url == NULL)
        return true;
    bool scheme = strncmp(*url, "https://", 8) == 0 || strncmp(*url, "http://", 7) == 0;
    if (!scheme || strspn(*url, allowed) != strlen(*url))
        return problem_set(problem, 503, "%s=%s is not an https URL", name, *url);
    return true;
}

bool config_read(struct config *config, struct problem *problem)
{
    return read_path("TRADECLOUD_SPOOL", SPOOL_PATH, &config->spool, problem) &&
           read_number("TRADECLOUD_MAX_BODY", "33554432", 1, MAX_BODY_LIMIT, &config->max_body,
                       problem) &&
           read_number("TRADECLOUD_MIN_FREE", "67108864", 0, INT64_MAX, &config->min_free,
                       problem) &&
           read_path("TRADECLOUD_BEARER_FILE", NULL, &config->bearer_file, problem) &&
           read_url("TRADECLOUD_API_URL", "https://api.accp.tradecloud1.com/v2", &config->api_url,
                    problem) &&
           read_url("TRADECLOUD_LEGACY_API_URL", NULL, &config->legacy_api_url, problem) &&
           read_path("TRADECLOUD_NETRC", NETRC_PATH, &config->netrc, problem) &&
           read_path("TRADECLOUD_CA_FILE", NULL, &config->ca_file, problem) &&
           read_number("TRADECLOUD_TIMEOUT", "25", 1, TIMEOUT_LIMIT, &config->timeout, problem) &&
           read_path("TRADECLOUD_FETCH_PROGRAM", FETCH_PROGRAM, &config->fetch_program, problem);
}

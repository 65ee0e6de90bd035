#include "request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *meta_variable(const char *name)
{
    const char *value = getenv(name);
    return value == NULL || *value == '\0' ? NULL : value;
}

/* Methods are case-sensitive (RFC 9110 section 9.1). */
static enum request_method method_of(const char *name)
{
    if (name == NULL)
        return REQUEST_OTHER;
    if (strcmp(name, "GET") == 0)
        return REQUEST_GET;
    if (strcmp(name, "POST") == 0)
        return REQUEST_POST;
    return strcmp(name, "PUT") == 0 ? REQUEST_PUT : REQUEST_OTHER;
}

void request_init(struct request *request)
{
    *request = (struct request){
        .method_name = meta_variable("REQUEST_METHOD"),
        .auth_type = meta_variable("AUTH_TYPE"),
        .authorization = meta_variable("HTTP_AUTHORIZATION"),
        .content_length = meta_variable("CONTENT_LENGTH"),
        .content_type = meta_variable("CONTENT_TYPE"),
        .path_info = meta_variable("PATH_INFO"),
        .query_string = meta_variable("QUERY_STRING"),
        .script_name = meta_variable("SCRIPT_NAME"),
        .request_uri = meta_variable("REQUEST_URI"),
        .remote_addr = meta_variable("REMOTE_ADDR"),
    };
    request->method = method_of(request->method_name);
}

bool request_is_json(const struct request *request)
{
    static const char tree[] = "application/";
    static const char suffix[] = "+json";
    const char *type = request->content_type;
    if (type == NULL)
        return true;
    type += strspn(type, " \t");
    size_t length = strcspn(type, "; \t");
    if (length < sizeof tree || strncasecmp(type, tree, sizeof tree - 1) != 0)
        return false;
    type += sizeof tree - 1;
    length -= sizeof tree - 1;
    if (length == 4 && strncasecmp(type, "json", 4) == 0)
        return true;
    const size_t tail = sizeof suffix - 1;
    return length > tail && strncasecmp(type + length - tail, suffix, tail) == 0;
}

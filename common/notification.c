#include "notification.h"

#include "scan.h"

#include <stdio.h>
#include <string.h>

static const struct form {
    enum event_kind kind;
    const char *name;      /* in a path */
    const char *parameter; /* in a query */
} forms[] = {
    {EVENT_ORDER_FETCHED, "order", "orderId"},
    {EVENT_SHIPMENT_FETCHED, "shipment", "shipmentId"},
    {EVENT_LEGACY_ORDER_FETCHED, "legacy-order", "legacyOrderId"},
};

enum { FORMS = sizeof forms / sizeof forms[0] };

const char *notification_kind_name(enum event_kind kind)
{
    for (size_t i = 0; i < FORMS; i++)
        if (forms[i].kind == kind)
            return forms[i].name;
    return "unknown";
}

bool notification_parse_kind(const char *name, enum event_kind *kind)
{
    for (size_t i = 0; i < FORMS; i++) {
        if (strcmp(name, forms[i].name) != 0)
            continue;
        *kind = forms[i].kind;
        return true;
    }
    return false;
}

/* UTF-8 without control characters is what may stand in a JSON string; but for the two characters
 * that would end it or begin an escape, which are let through here. */
static bool is_printable(const char *id)
{
    for (; *id != '\0'; id++) {
        unsigned char lead = (unsigned char)*id;
        if (lead < 0x20 || lead == 0x7f)
            return false;
    }
    return true;
}

static bool is_utf8(const char *id)
{
    char quoted[NOTIFICATION_ID_MAX + 3];
    size_t length = 0;
    quoted[length++] = '"';
    for (; *id != '\0'; id++)
        quoted[length++] = (char)(*id == '"' || *id == '\\' ? ' ' : *id);
    quoted[length++] = '"';
    return scan(quoted, length, NULL, 0).verdict == SCAN_VALID;
}

bool notification_check_id(const char *id, struct problem *problem)
{
    if (*id == '\0')
        return problem_set(problem, 400, "the id is empty");
    if (strlen(id) > NOTIFICATION_ID_MAX)
        return problem_set(problem, 400, "the id is longer than %d bytes", NOTIFICATION_ID_MAX);
    if (strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
        return problem_set(problem, 400, "the id is a path, not an id");
    if (!is_printable(id) || !is_utf8(id))
        return problem_set(problem, 400, "the id has a control character or is not UTF-8");
    return true;
}

static int hex_value(char digit)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = digit == '\0' ? NULL : strchr(digits, digit);
    return found == NULL ? -1 : (int)((found - digits) % 16);
}

static bool too_long(struct problem *problem)
{
    return problem_set(problem, 400, "the id is longer than %d bytes", NOTIFICATION_ID_MAX);
}

/* Take one byte off a percent-encoded text (RFC 3986 section 2.1). Returns -1 for a malformed
 * escape. */
static int decode_byte(struct text *raw, char plus)
{
    char first = *raw->data++;
    raw->length--;
    if (first == '+')
        return plus;
    if (first != '%')
        return (unsigned char)first;
    int high = raw->length < 2 ? -1 : hex_value(raw->data[0]);
    int low = raw->length < 2 ? -1 : hex_value(raw->data[1]);
    if (high < 0 || low < 0)
        return -1;
    raw->data += 2;
    raw->length -= 2;
    return high * 16 + low;
}

/* Decode a percent-encoded id. `plus` is what a plus sign means. */
static bool decode(struct text raw, char plus, char id[NOTIFICATION_ID_MAX + 1],
                   struct problem *problem)
{
    size_t length = 0;
    while (raw.length > 0) {
        int byte = decode_byte(&raw, plus);
        if (byte < 0)
            return problem_set(problem, 400, "the id has a %% without two hexadecimal digits");
        if (byte == 0)
            return problem_set(problem, 400, "the id has a control character or is not UTF-8");
        if (length == NOTIFICATION_ID_MAX)
            return too_long(problem);
        id[length++] = (char)byte;
    }
    id[length] = '\0';
    return notification_check_id(id, problem);
}

/* The same for an id that the server has decoded. */
static bool copy(struct text raw, char id[NOTIFICATION_ID_MAX + 1], struct problem *problem)
{
    if (raw.length > NOTIFICATION_ID_MAX)
        return too_long(problem);
    memcpy(id, raw.data, raw.length);
    id[raw.length] = '\0';
    return notification_check_id(id, problem);
}

/* Note what was found at one place; at another there may be the same, but nothing else. */
static bool note(struct notification *notification, const struct notification *found,
                 struct problem *problem)
{
    bool first = notification->id[0] == '\0';
    if (!first && (notification->kind != found->kind || strcmp(notification->id, found->id) != 0))
        return problem_set(problem, 400, "the request names two different objects");
    *notification = *found;
    return true;
}

static bool starts_with(struct text text, const char *prefix)
{
    size_t length = strlen(prefix);
    return text.length >= length && memcmp(text.data, prefix, length) == 0;
}

static struct text skip(struct text text, size_t length)
{
    return (struct text){text.data + length, text.length - length};
}

/* The path behind this program's own; `encoded` if it is as it was sent. */
static struct text find_path(const struct request *request, bool *encoded)
{
    struct text uri = text_of(request->request_uri);
    *encoded =
        uri.data != NULL && request->script_name != NULL && starts_with(uri, request->script_name);
    if (*encoded) {
        struct text path = skip(uri, strlen(request->script_name));
        path.length = strcspn(path.data, "?#");
        if (path.length == 0 || *path.data == '/')
            return path;
    }
    *encoded = false;
    return text_of(request->path_info);
}

static bool read_path(const struct request *request, struct notification *notification,
                      struct problem *problem)
{
    bool encoded;
    struct notification found = {.kind = EVENT_ORDER_FETCHED};
    struct text path = find_path(request, &encoded);
    if (path.length <= 1)
        return true;
    path = skip(path, 1);
    for (size_t i = 0; i < FORMS; i++) {
        size_t length = strlen(forms[i].name);
        if (!starts_with(path, forms[i].name) || (path.length > length && path.data[length] != '/'))
            continue;
        found.kind = forms[i].kind;
        path = skip(path, path.length > length ? length + 1 : length);
        break;
    }
    /* "/order" names nothing by itself; the query may. */
    if (path.length == 0)
        return true;
    bool good = encoded ? decode(path, '+', found.id, problem) : copy(path, found.id, problem);
    return good && note(notification, &found, problem);
}

/* One `name=value` of the query. */
static bool read_parameter(struct text parameter, struct notification *notification,
                           struct problem *problem)
{
    for (size_t i = 0; i < FORMS; i++) {
        struct notification found = {.kind = forms[i].kind};
        size_t length = strlen(forms[i].parameter);
        if (!starts_with(parameter, forms[i].parameter) || parameter.length == length ||
            parameter.data[length] != '=')
            continue;
        return decode(skip(parameter, length + 1), ' ', found.id, problem) &&
               note(notification, &found, problem);
    }
    return true;
}

static bool read_query(const struct request *request, struct notification *notification,
                       struct problem *problem)
{
    const char *at = request->query_string == NULL ? "" : request->query_string;
    while (*at != '\0') {
        size_t length = strcspn(at, "&");
        if (!read_parameter((struct text){at, length}, notification, problem))
            return false;
        at += at[length] == '&' ? length + 1 : length;
    }
    return true;
}

bool notification_read(const struct request *request, struct notification *notification,
                       struct problem *problem)
{
    *notification = (struct notification){.kind = EVENT_UNKNOWN};
    if (!read_path(request, notification, problem) || !read_query(request, notification, problem))
        return false;
    if (notification->id[0] == '\0')
        return problem_set(problem, 400,
                           "the request names no object: the webhook's URL must hold "
                           "{orderId}, {shipmentId} or {legacyOrderId}");
    return true;
}

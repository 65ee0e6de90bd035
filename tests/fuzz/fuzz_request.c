/*
 * What a request says in its meta-variables: which object a GET announces, and whether a body is
 * JSON. One variable a line. An id that is understood is encoded again and must be understood the
 * same.
 */
#include "fuzz.h"
#include "notification.h"
#include "request.h"

#include <curl/curl.h>
#include <regex.h>

enum { VARIABLES = 6 };

static regex_t json_type;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return regcomp(&json_type, "^[ \t]*application/(json|[^; \t]+[+]json)([; \t].*)?$",
                   REG_EXTENDED | REG_ICASE | REG_NOSUB);
}

static void check_again(const struct notification *was, const char *format, const char *kind,
                        bool query)
{
    char *escaped = curl_easy_escape(NULL, was->id, 0);
    size_t size = strlen(escaped) + 64;
    char *text = malloc(size);
    CHECK(text != NULL);
    (void)snprintf(text, size, format, kind, escaped);
    struct request request = {.script_name = "/tradecloud",
                              .request_uri = query ? NULL : text,
                              .query_string = query ? text : NULL};
    struct notification notification;
    struct problem problem;
    CHECK(notification_read(&request, &notification, &problem));
    CHECK(notification.kind == was->kind && strcmp(notification.id, was->id) == 0);
    free(text);
    curl_free(escaped);
}

static void check_notification(const struct request *request)
{
    static const char *const parameters[] = {
        [EVENT_ORDER_FETCHED] = "orderId",
        [EVENT_SHIPMENT_FETCHED] = "shipmentId",
        [EVENT_LEGACY_ORDER_FETCHED] = "legacyOrderId",
    };
    struct notification notification;
    struct problem problem;
    if (!notification_read(request, &notification, &problem)) {
        CHECK(problem.status == 400);
        return;
    }
    CHECK(notification_check_id(notification.id, &problem));
    enum event_kind kind;
    CHECK(notification_parse_kind(notification_kind_name(notification.kind), &kind));
    CHECK(kind == notification.kind);
    check_again(&notification, "/tradecloud/%s/%s", notification_kind_name(kind), false);
    check_again(&notification, "%s=%s", parameters[kind], true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *values[VARIABLES];
    for (int i = 0; i < VARIABLES; i++)
        values[i] = take_line(&data, &size);
    const struct request request = {
        .request_uri = values[0],
        .script_name = values[1],
        .path_info = values[2],
        .query_string = values[3],
        .content_type = values[4],
    };
    check_notification(&request);
    if (values[4] != NULL)
        CHECK(request_is_json(&request) == (regexec(&json_type, values[4], 0, NULL, 0) == 0));
    for (int i = 0; i < VARIABLES; i++)
        free(values[i]);
    return 0;
}

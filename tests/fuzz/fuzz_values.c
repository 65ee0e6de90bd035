/*
 * The values of members of a body, as the scanner finds and decodes them, against json-c's.
 *
 * Known difference: json-c ends a member's name at a NUL, so texts with \u0000 are not compared.
 */
#include "fuzz.h"
#include "scan.h"

#include <json-c/json.h>

/* The value at a path, as json-c sees it; NULL if there is none. */
static struct json_object *look_up(struct json_object *object, const char *path)
{
    char name[64];
    for (;;) {
        size_t length = strcspn(path, ".");
        (void)snprintf(name, sizeof name, "%.*s", (int)length, path);
        if (!json_object_is_type(object, json_type_object) ||
            !json_object_object_get_ex(object, name, &object))
            return NULL;
        if (path[length] == '\0')
            return object;
        path += length + 1;
    }
}

static void compare_values(const char *json, size_t length)
{
    static const char *const paths[] = {
        "eventName",         "orderEvent", "orderEvent.orderId", "orderEvent.meta.messageId",
        "shipment.id",       "meta",       "meta.messageId",     "shipment.meta.lastUpdatedAt",
        "orderEvent.version"};
    enum { PATHS = sizeof paths / sizeof paths[0] };
    struct scan_member members[PATHS];
    memset(members, 0, sizeof members);
    for (size_t i = 0; i < PATHS; i++)
        members[i].path = paths[i];
    struct scan_result result = scan(json, length, members, PATHS);
    check_in_pieces((struct text){json, length}, &result, members, PATHS);
    if (result.verdict != SCAN_VALID || memmem(json, length, "\\u0000", 6) != NULL)
        return;
    struct json_tokener *tokener = json_tokener_new_ex(SCAN_DEPTH_MAX + 2);
    struct json_object *root = json_tokener_parse_ex(tokener, json, (int)length);
    if (root == NULL && json_tokener_get_error(tokener) == json_tokener_continue)
        root = json_tokener_parse_ex(tokener, "", 1); /* a number ends only at a further byte */
    for (size_t i = 0; i < PATHS; i++) {
        struct json_object *value = look_up(root, paths[i]);
        CHECK((members[i].type == SCAN_STRING) == json_object_is_type(value, json_type_string));
        CHECK((members[i].type == SCAN_OBJECT) == json_object_is_type(value, json_type_object));
        CHECK((members[i].type == SCAN_ARRAY) == json_object_is_type(value, json_type_array));
        CHECK((members[i].type == SCAN_BOOLEAN) == json_object_is_type(value, json_type_boolean));
        if (members[i].type != SCAN_STRING)
            continue;
        struct buffer decoded = BUFFER_INIT;
        CHECK(scan_decode(members[i].type,
                          (struct text){json + members[i].offset, members[i].length}, &decoded));
        CHECK(decoded.length == (size_t)json_object_get_string_len(value));
        CHECK(decoded.length == 0 ||
              memcmp(decoded.data, json_object_get_string(value), decoded.length) == 0);
        buffer_release(&decoded);
    }
    json_object_put(root);
    json_tokener_free(tokener);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    compare_values((const char *)data, size);
    return 0;
}

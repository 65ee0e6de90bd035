#include "fields.h"

#include "legible.h"

#include <json-c/json.h>

#include <limits.h>

bool fields_value(struct json_object *object, const char *key, struct json_object *value)
{
    if (object != NULL && value != NULL && json_object_object_add(object, key, value) == 0)
        return true;
    json_object_put(value);
    return false;
}

bool fields_text(struct json_object *object, const char *key, struct text value)
{
    if (value.data == NULL)
        return true;
    if (value.length > INT_MAX)
        return false;
    return fields_value(object, key, json_object_new_string_len(value.data, (int)value.length));
}

bool fields_number(struct json_object *object, const char *key, int64_t value)
{
    return fields_value(object, key, json_object_new_int64(value));
}

static bool print(struct json_object *object, FILE *stream, bool ascii)
{
    struct buffer out = BUFFER_INIT;
    const char *json = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
                                                                  JSON_C_TO_STRING_NOSLASHESCAPE);
    bool printed = json != NULL && legible_append_lines(&out, text_of(json), ascii) &&
                   buffer_append_string(&out, "\n");
    if (printed)
        (void)fwrite(out.data, 1, out.length, stream);
    buffer_release(&out);
    return printed;
}

bool fields_print(struct json_object *object, FILE *stream, bool ascii)
{
    bool printed = object != NULL && print(object, stream, ascii);
    json_object_put(object);
    return printed;
}

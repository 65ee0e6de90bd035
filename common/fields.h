/*
 * fields: the members of a JSON object that is built for output, by json-c.
 *
 * Calling sequence: json_object_new_object; fields_text and fields_number as often as needed;
 * fields_print, which also lets go of the object. Each takes NULL for an object that could not be
 * had, and returns false then, or when memory runs out.
 */
#ifndef COMMON_FIELDS_H
#define COMMON_FIELDS_H

#include "buffer.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json_object;

/* Add a text; an absent one adds nothing. What is no UTF-8 in it is printed as \u00NN. */
bool fields_text(struct json_object *object, const char *key, struct text value);

/* Add a number. */
bool fields_number(struct json_object *object, const char *key, int64_t value);

/* Add a value of which `object` becomes the owner, also if that fails. */
bool fields_value(struct json_object *object, const char *key, struct json_object *value);

/* Print the object in one line, and let go of it. What a terminal could obey is escaped; if
 * `ascii`, all that is not ASCII. That a stream could not be written is seen at the stream
 * (ferror). */
bool fields_print(struct json_object *object, FILE *stream, bool ascii);

#endif

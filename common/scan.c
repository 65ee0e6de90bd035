#include "scan.h"

#include "lexeme.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

/* One bit a level: is the container at that level an object? */
#define LEVEL_WORDS (SCAN_DEPTH_MAX / 64)

struct scanner {
    struct cursor cursor;
    struct scan_member *members;
    unsigned depth;
    uint64_t objects[LEVEL_WORDS];
    /* wanted[d]: one bit for each member whose first d names are those of the value that stands
     * at level d. Levels below SCAN_PATH_MAX + 1 are of interest to nobody. */
    uint64_t wanted[SCAN_PATH_MAX + 1];
};

static_assert(SCAN_MEMBERS_MAX == 64, "a member is a bit of a 64-bit word");
static_assert(SCAN_DEPTH_MAX % 64 == 0, "a level is a bit of a 64-bit word");

/* --- members --- */

/* The end of the name that begins at `path`. */
static const char *name_end(const char *path)
{
    const char *dot = strchr(path, '.');
    return dot == NULL ? path + strlen(path) : dot;
}

/* The name number `level` of a path; NULL behind the last. */
static const char *path_name(const char *path, unsigned level)
{
    for (; level > 0; level--) {
        path = name_end(path);
        if (*path == '\0')
            return NULL;
        path++;
    }
    return path;
}

/* Whether a name of the text, without its quotes, is the one at `name`. */
static bool name_equals(struct text raw, const char *name)
{
    size_t length = (size_t)(name_end(name) - name);
    if (raw.data == NULL)
        return false;
    if (memchr(raw.data, '\\', raw.length) == NULL)
        return raw.length == length && memcmp(raw.data, name, length) == 0;
    const unsigned char *at = (const unsigned char *)raw.data;
    const unsigned char *end = at + raw.length;
    while (at < end) {
        unsigned char one[4];
        size_t bytes = lexeme_decode(&at, one);
        if (bytes > length || memcmp(one, name, bytes) != 0)
            return false;
        name += bytes;
        length -= bytes;
    }
    return length == 0;
}

/* A member name has been read at the present level: which of the wanted paths go on with it? What
 * was found there before is forgotten, as this is a later member of the same name. */
static void enter_member(struct scanner *s, struct text name)
{
    unsigned level = s->depth - 1;
    if (level >= SCAN_PATH_MAX)
        return;
    uint64_t matching = 0;
    for (uint64_t left = s->wanted[level]; left != 0; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);
        const char *wanted = path_name(s->members[i].path, level);
        if (wanted == NULL || !name_equals(name, wanted))
            continue;
        matching |= UINT64_C(1) << i;
        s->members[i].type = SCAN_ABSENT;
    }
    s->wanted[s->depth] = matching;
}

/* A value has been read: note it for the members whose path ends here. */
static void note_value(struct scanner *s, enum scan_type type, size_t start)
{
    if (s->depth == 0 || s->depth > SCAN_PATH_MAX)
        return;
    for (uint64_t left = s->wanted[s->depth]; left != 0; left &= left - 1) {
        struct scan_member *member = &s->members[__builtin_ctzll(left)];
        if (path_name(member->path, s->depth) != NULL)
            continue;
        member->type = type;
        member->offset = start;
        member->length = cursor_offset(&s->cursor) - start;
    }
}

/* --- structure --- */

static bool in_object(const struct scanner *s)
{
    unsigned level = s->depth - 1;
    return (s->objects[level / 64] >> (level % 64) & 1) != 0;
}

static bool open_container(struct scanner *s, bool object)
{
    if (s->depth == SCAN_DEPTH_MAX)
        return cursor_invalid(&s->cursor, "nested more than 512 levels deep");
    size_t start = cursor_offset(&s->cursor);
    s->cursor.at++;
    note_value(s, object ? SCAN_OBJECT : SCAN_ARRAY, start);
    uint64_t bit = UINT64_C(1) << (s->depth % 64);
    uint64_t *word = &s->objects[s->depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    s->depth++;
    if (s->depth <= SCAN_PATH_MAX && !object)
        s->wanted[s->depth] = 0;
    return true;
}

/* The name whose opening quote is marked; absent if it was too long to be kept. */
static struct text marked_name(const struct cursor *c)
{
    if (c->mark == NULL)
        return (struct text){NULL, 0};
    return (struct text){(const char *)c->mark + 1, (size_t)(c->at - c->mark) - 2};
}

/* A member's name and its colon. */
static bool scan_name(struct scanner *s)
{
    cursor_skip_space(&s->cursor);
    if (cursor_at_end(&s->cursor))
        return false;
    if (*s->cursor.at != '"')
        return cursor_invalid(&s->cursor, "a member name in quotes is expected");
    s->cursor.mark = s->cursor.at;
    if (!lexeme_string(&s->cursor))
        return false;
    enter_member(s, marked_name(&s->cursor));
    s->cursor.mark = NULL;
    cursor_skip_space(&s->cursor);
    if (cursor_at_end(&s->cursor))
        return false;
    if (*s->cursor.at != ':')
        return cursor_invalid(&s->cursor, "a colon is expected after a member name");
    s->cursor.at++;
    return true;
}

static bool scan_scalar(struct scanner *s, enum scan_type *type)
{
    size_t start = cursor_offset(&s->cursor);
    bool valid;
    switch (*s->cursor.at) {
    case '"':
        *type = SCAN_STRING;
        valid = lexeme_string(&s->cursor);
        break;
    case 't':
    case 'f':
        *type = SCAN_BOOLEAN;
        valid = lexeme_word(&s->cursor, *s->cursor.at == 't' ? "true" : "false");
        break;
    case 'n':
        *type = SCAN_NULL;
        valid = lexeme_word(&s->cursor, "null");
        break;
    default:
        if (*s->cursor.at != '-' && (*s->cursor.at < '0' || *s->cursor.at > '9'))
            return cursor_invalid(&s->cursor, "a value is expected");
        *type = SCAN_NUMBER;
        valid = lexeme_number(&s->cursor);
    }
    if (valid)
        note_value(s, *type, start);
    return valid;
}

/* Whether the container just opened is closed again at once. */
static bool closes_at_once(struct scanner *s)
{
    cursor_skip_space(&s->cursor);
    if (cursor_ended(&s->cursor) || *s->cursor.at != (in_object(s) ? '}' : ']'))
        return false;
    s->cursor.at++;
    s->depth--;
    return true;
}

/* The next value, down to its first scalar or empty container. */
static bool scan_value(struct scanner *s, enum scan_type *top)
{
    for (;;) {
        enum scan_type type = SCAN_ABSENT;
        cursor_skip_space(&s->cursor);
        if (cursor_at_end(&s->cursor))
            return false;
        bool object = *s->cursor.at == '{';
        if (!object && *s->cursor.at != '[') {
            bool valid = scan_scalar(s, &type);
            if (valid && s->depth == 0)
                *top = type;
            return valid;
        }
        if (s->depth == 0)
            *top = object ? SCAN_OBJECT : SCAN_ARRAY;
        if (!open_container(s, object))
            return false;
        if (closes_at_once(s))
            return true;
        if (object && !scan_name(s))
            return false;
    }
}

/* Behind a value inside containers: close them while they end; true with *more set when a comma
 * leads on to a further value. */
static bool scan_separator(struct scanner *s, bool *more)
{
    *more = false;
    while (s->depth > 0) {
        bool object = in_object(s);
        cursor_skip_space(&s->cursor);
        if (cursor_at_end(&s->cursor))
            return false;
        unsigned char c = *s->cursor.at;
        if (c != ',' && c != (object ? '}' : ']'))
            return cursor_invalid(&s->cursor,
                                  object ? "a comma or } is expected" : "a comma or ] is expected");
        s->cursor.at++;
        if (c == ',') {
            *more = true;
            return object ? scan_name(s) : true;
        }
        s->depth--;
    }
    return true;
}

static bool scan_text(struct scanner *s, enum scan_type *top)
{
    bool more;
    do {
        if (!scan_value(s, top) || !scan_separator(s, &more))
            return false;
    } while (more);
    cursor_skip_space(&s->cursor);
    return cursor_ended(&s->cursor)
               ? true
               : cursor_invalid(&s->cursor, "nothing may follow the end of the text");
}

static struct scan_result scan_with(struct scanner *s, size_t count)
{
    struct scan_result result = {SCAN_VALID, SCAN_ABSENT, 0, NULL};
    for (size_t i = 0; i < count; i++) {
        s->members[i].type = SCAN_ABSENT;
        if (s->members[i].path != NULL)
            s->wanted[0] |= UINT64_C(1) << i;
    }
    if (!scan_text(s, &result.top)) {
        result.verdict = s->cursor.incomplete ? SCAN_INCOMPLETE : SCAN_INVALID;
        result.offset = cursor_offset(&s->cursor);
        result.problem = s->cursor.problem;
    }
    return result;
}

struct scan_result scan(const char *json, size_t length, struct scan_member *members, size_t count)
{
    struct scanner s = {.members = members};
    s.cursor.at = (const unsigned char *)json;
    s.cursor.end = s.cursor.at + length;
    s.cursor.end_offset = length;
    return scan_with(&s, count);
}

struct scan_result scan_from(const struct scan_source *source, struct scan_member *members,
                             size_t count)
{
    struct scanner s = {.members = members, .cursor = {.source = source}};
    return scan_with(&s, count);
}

bool scan_decode(enum scan_type type, struct text raw, struct buffer *value)
{
    if (type == SCAN_NUMBER)
        return buffer_append(value, raw.data, raw.length);
    if (type != SCAN_STRING)
        return true;
    /* Decoding never makes a string longer. */
    if (!buffer_reserve(value, raw.length))
        return false;
    const unsigned char *at = (const unsigned char *)raw.data + 1;
    const unsigned char *end = at + raw.length - 2;
    while (at < end) {
        unsigned char one[4];
        size_t bytes = lexeme_decode(&at, one);
        memcpy(value->data + value->length, one, bytes);
        value->length += bytes;
    }
    return true;
}

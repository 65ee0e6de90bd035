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

/* Whether the present level is one where a path can end. Most of a text lies deeper, and looking
 * for members there took a sixth of the time. */
static bool is_shallow(const struct scanner *s)
{
    return s->depth <= SCAN_PATH_MAX;
}

/* A member name has been read at the present level: which of the wanted paths go on with it? What
 * was found there before is forgotten, as this is a later member of the same name. */
static void enter_member(struct scanner *s, struct text name)
{
    unsigned level = s->depth - 1;
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

/* A value has been read, up to `at`: note it for the members whose path ends here. */
static void note_value(struct scanner *s, enum scan_type type, size_t start,
                       const unsigned char *at)
{
    if (s->depth == 0)
        return;
    for (uint64_t left = s->wanted[s->depth]; left != 0; left &= left - 1) {
        struct scan_member *member = &s->members[__builtin_ctzll(left)];
        if (path_name(member->path, s->depth) != NULL)
            continue;
        member->type = type;
        member->offset = start;
        member->length = cursor_offset(&s->cursor, at) - start;
    }
}

/* --- structure --- */

static bool in_object(const struct scanner *s)
{
    unsigned level = s->depth - 1;
    return (s->objects[level / 64] >> (level % 64) & 1) != 0;
}

static const unsigned char *open_container(struct scanner *s, const unsigned char *at, bool object)
{
    if (s->depth == SCAN_DEPTH_MAX)
        return cursor_invalid(&s->cursor, at, "nested more than 512 levels deep");
    if (is_shallow(s))
        note_value(s, object ? SCAN_OBJECT : SCAN_ARRAY, cursor_offset(&s->cursor, at), at + 1);
    uint64_t bit = UINT64_C(1) << (s->depth % 64);
    uint64_t *word = &s->objects[s->depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    s->depth++;
    if (is_shallow(s) && !object)
        s->wanted[s->depth] = 0;
    return cursor_skip_space(&s->cursor, at + 1);
}

/* The name whose opening quote is marked, and that ends before `at`; absent if it was too long to
 * be kept. */
static struct text marked_name(const struct cursor *c, const unsigned char *at)
{
    if (c->mark == NULL)
        return (struct text){NULL, 0};
    return (struct text){(const char *)c->mark + 1, (size_t)(at - c->mark) - 2};
}

/* A member's name and its colon. */
static const unsigned char *scan_name(struct scanner *s, const unsigned char *at)
{
    struct cursor *c = &s->cursor;
    at = cursor_skip_space(c, at);
    if (at == c->end)
        return cursor_incomplete(c);
    if (*at != '"')
        return cursor_invalid(c, at, "a member name in quotes is expected");
    c->mark = is_shallow(s) ? at : NULL;
    at = lexeme_string(c, at);
    if (at == NULL)
        return NULL;
    if (is_shallow(s))
        enter_member(s, marked_name(c, at));
    c->mark = NULL;
    at = cursor_skip_space(c, at);
    if (at == c->end)
        return cursor_incomplete(c);
    return *at == ':' ? at + 1 : cursor_invalid(c, at, "a colon is expected after a member name");
}

static const unsigned char *scan_scalar(struct scanner *s, const unsigned char *at,
                                        enum scan_type *type)
{
    struct cursor *c = &s->cursor;
    size_t start = cursor_offset(c, at);
    switch (*at) {
    case '"':
        *type = SCAN_STRING;
        at = lexeme_string(c, at);
        break;
    case 't':
    case 'f':
        *type = SCAN_BOOLEAN;
        at = lexeme_word(c, at, *at == 't' ? "true" : "false");
        break;
    case 'n':
        *type = SCAN_NULL;
        at = lexeme_word(c, at, "null");
        break;
    default:
        if (*at != '-' && (*at < '0' || *at > '9'))
            return cursor_invalid(c, at, "a value is expected");
        *type = SCAN_NUMBER;
        at = lexeme_number(c, at);
    }
    if (at != NULL && is_shallow(s))
        note_value(s, *type, start, at);
    return at;
}

/* The next value, down to its first scalar or empty container. */
static const unsigned char *scan_value(struct scanner *s, const unsigned char *at,
                                       enum scan_type *top)
{
    while (at != NULL) {
        enum scan_type type = SCAN_ABSENT;
        at = cursor_skip_space(&s->cursor, at);
        if (at == s->cursor.end)
            return cursor_incomplete(&s->cursor);
        bool object = *at == '{';
        if (!object && *at != '[') {
            at = scan_scalar(s, at, &type);
            if (s->depth == 0)
                *top = type;
            return at;
        }
        if (s->depth == 0)
            *top = object ? SCAN_OBJECT : SCAN_ARRAY;
        at = open_container(s, at, object);
        if (at != NULL && at < s->cursor.end && *at == (object ? '}' : ']')) {
            s->depth--;
            return at + 1;
        }
        if (at != NULL && object)
            at = scan_name(s, at);
    }
    return NULL;
}

/* Behind a value inside containers: close them while they end; with *more set when a comma leads on
 * to a further value. */
static const unsigned char *scan_separator(struct scanner *s, const unsigned char *at, bool *more)
{
    struct cursor *c = &s->cursor;
    *more = false;
    while (s->depth > 0) {
        bool object = in_object(s);
        at = cursor_skip_space(c, at);
        if (at == c->end)
            return cursor_incomplete(c);
        if (*at == ',') {
            *more = true;
            return object ? scan_name(s, at + 1) : at + 1;
        }
        if (*at != (object ? '}' : ']'))
            return cursor_invalid(c, at,
                                  object ? "a comma or } is expected" : "a comma or ] is expected");
        at++;
        s->depth--;
    }
    return at;
}

/* Returns whether that is what there is, from `at` on. */
static bool scan_text(struct scanner *s, const unsigned char *at, enum scan_type *top)
{
    bool more = true;
    while (at != NULL && more) {
        at = scan_value(s, at, top);
        if (at != NULL)
            at = scan_separator(s, at, &more);
    }
    if (at == NULL)
        return false;
    at = cursor_skip_space(&s->cursor, at);
    return at == s->cursor.end ||
           cursor_invalid(&s->cursor, at, "nothing may follow the end of the text") != NULL;
}

/* Where a text of no bytes stands: NULL is no position. */
static const unsigned char nothing[1];

static struct scan_result scan_with(struct scanner *s, const unsigned char *at, size_t count)
{
    struct scan_result result = {SCAN_VALID, SCAN_ABSENT, 0, NULL};
    for (size_t i = 0; i < count; i++) {
        s->members[i].type = SCAN_ABSENT;
        if (s->members[i].path != NULL)
            s->wanted[0] |= UINT64_C(1) << i;
    }
    if (!scan_text(s, at, &result.top)) {
        result.verdict = s->cursor.incomplete ? SCAN_INCOMPLETE : SCAN_INVALID;
        result.offset = s->cursor.problem_offset;
        result.problem = s->cursor.problem;
    }
    return result;
}

struct scan_result scan(const char *json, size_t length, struct scan_member *members, size_t count)
{
    const unsigned char *at = length == 0 ? nothing : (const unsigned char *)json;
    struct scanner s = {.members = members, .cursor = {.end = at + length, .end_offset = length}};
    return scan_with(&s, at, count);
}

struct scan_result scan_from(const struct scan_source *source, struct scan_member *members,
                             size_t count)
{
    struct scanner s = {.members = members, .cursor = {.end = nothing, .source = source}};
    return scan_with(&s, nothing, count);
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

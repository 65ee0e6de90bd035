/* The scanner and, below it, the lexemes. Where a verdict is expected the row proves itself as far
 * as it can: what is incomplete names a way to go on, what is invalid must stay so whatever comes
 * behind it and must not have been so one byte earlier. */
#include "pieces.h"
#include "unit.h"

#include "lexeme.h"
#include "log.h"
#include "scan.h"

#include <json-c/json.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- verdicts --- */

#define ANYWHERE SIZE_MAX

struct row {
    const char *json;
    size_t length;
    enum scan_verdict verdict;
    size_t offset;
    const char *rest; /* of an incomplete text: one way to complete it */
};

#define VALID(json)                                                                                \
    {                                                                                              \
        json, sizeof json - 1, SCAN_VALID, 0, NULL                                                 \
    }
#define INVALID(json, offset)                                                                      \
    {                                                                                              \
        json, sizeof json - 1, SCAN_INVALID, offset, NULL                                          \
    }
#define INCOMPLETE(json, rest)                                                                     \
    {                                                                                              \
        json, sizeof json - 1, SCAN_INCOMPLETE, sizeof json - 1, rest                              \
    }

static const struct row numbers[] = {
    VALID("0"),
    VALID("-0"),
    VALID("7"),
    VALID("-7"),
    VALID("10"),
    VALID("1234567890"),
    VALID("9007199254740993"),
    VALID("-9223372036854775809"),
    VALID("18446744073709551616"),
    VALID("1234567890123456789012345"),
    VALID("-1234567890123456789012345"),
    VALID("0.0"),
    VALID("-0.0"),
    VALID("0.000"),
    VALID("12.50"),
    VALID("0.1234567890123456789012345"),
    VALID("0e0"),
    VALID("-0E-0"),
    VALID("0e00"),
    VALID("3e4"),
    VALID("3E4"),
    VALID("3e+4"),
    VALID("3e-4"),
    VALID("3.25e0007"),
    VALID("-3.25E-7"),
    VALID("1e400"),
    VALID("-1e400"),
    VALID("1e-400"),
    VALID("1e99999999999999999999"),
    INCOMPLETE("-", "0"),
    INCOMPLETE("1.", "5"),
    INCOMPLETE("-0.", "0"),
    INCOMPLETE("1e", "1"),
    INCOMPLETE("1E", "+1"),
    INCOMPLETE("1e+", "1"),
    INCOMPLETE("1e-", "400"),
    INCOMPLETE("1.5e", "9"),
    INVALID("+1", 0),
    INVALID(".5", 0),
    INVALID("-.5", 1),
    INVALID("--1", 1),
    INVALID("-+1", 1),
    INVALID("- 1", 1),
    INVALID("-a", 1),
    INVALID("01", 1),
    INVALID("00", 1),
    INVALID("-01", 2),
    INVALID("-00.5", 2),
    INVALID("1.e5", 2),
    INVALID("1. 5", 2),
    INVALID("1..5", 2),
    INVALID("1.2.3", 3),
    INVALID("1.-5", 2),
    INVALID("1e 5", 2),
    INVALID("1ee5", 2),
    INVALID("1e+-5", 3),
    INVALID("1e5.5", 3),
    INVALID("1e5e5", 3),
    INVALID("1e.5", 2),
    INVALID("0x1F", 1),
    INVALID("0b1", 1),
    INVALID("017", 1),
    INVALID("1_000", 1),
    INVALID("1,000", 1),
    INVALID("[1,000]", 4),
    INVALID("1f", 1),
    INVALID("1L", 1),
    INVALID("1-2", 1),
    INVALID("1 2", 2),
    INVALID("1\0", 1),
    INVALID("1%", 1),
    INVALID("$1", 0),
    INVALID("NaN", 0),
    INVALID("-NaN", 1),
    INVALID("Infinity", 0),
    INVALID("-Infinity", 1),
    INVALID("1\xc2\xb2", 1),
    INVALID("\xef\xbc\x91", 0),
    INVALID("\xd9\xa3", 0),
};

static const struct row words[] = {
    VALID("true"),           VALID("false"),          VALID("null"),
    INCOMPLETE("t", "rue"),  INCOMPLETE("tr", "ue"),  INCOMPLETE("tru", "e"),
    INCOMPLETE("f", "alse"), INCOMPLETE("fals", "e"), INCOMPLETE("n", "ull"),
    INCOMPLETE("nul", "l"),  INVALID("True", 0),      INVALID("FALSE", 0),
    INVALID("Null", 0),      INVALID("trUe", 2),      INVALID("truth", 3),
    INVALID("tr ue", 2),     INVALID("fancy", 2),     INVALID("nil", 1),
    INVALID("none", 1),      INVALID("undefined", 0), INVALID("nulll", 4),
    INVALID("truefalse", 4), INVALID("true null", 5), INVALID("nul\0", 3),
    INVALID("true\0", 4),    INVALID("-true", 1),     INVALID("yes", 0),
    INVALID("hello", 0),
};

static const struct row strings[] = {
    VALID("\"\""),
    VALID("\"a\""),
    VALID("\"a b\""),
    VALID("\"/\""),
    VALID("\"'\""),
    VALID("\"{}[],:\""),
    VALID("\"\x7f\""),
    VALID("\"null\""),
    VALID("\"seven77\""),
    VALID("\"eight888\""),
    VALID("\"nine99999\""),
    INCOMPLETE("\"", "\""),
    INCOMPLETE("\"a", "b\""),
    INCOMPLETE("\"eight888", "\""),
    INCOMPLETE("\"{}", "\""),
    INCOMPLETE("\"a\\\"", "\""),
    INVALID("'a'", 0),
    INVALID("`a`", 0),
    INVALID("a\"", 0),
    INVALID("\"\"\"", 2),
    INVALID("\"a\"b", 3),
    INVALID("\"a\"\"b\"", 3),
    INVALID("\"a\" \"b\"", 4),
    INVALID("\"a\"+\"b\"", 3),
    INVALID("\"a\0b\"", 2),
    INVALID("\"\0\"", 1),
    INVALID("\"\t\"", 1),
    INVALID("\"\n\"", 1),
    INVALID("\"line\r\n\"", 5),
    INVALID("\"a\x1f\"", 2),
    INVALID("\xe2\x80\x9c"
            "a\xe2\x80\x9d",
            0),
};

static const struct row escapes[] = {
    VALID("\"\\\"\""),
    VALID("\"\\\\\""),
    VALID("\"\\/\""),
    VALID("\"\\b\\f\\n\\r\\t\""),
    VALID("\"\\u0000\""),
    VALID("\"\\u001f\""),
    VALID("\"\\u00e9\""),
    VALID("\"\\u00E9\""),
    VALID("\"\\uabcd\\uABCD\\uaBcD\""),
    VALID("\"\\ud7ff\""),
    VALID("\"\\ue000\""),
    VALID("\"\\uFFFF\""),
    VALID("\"\\u00410\""),
    VALID("\"\\\\u\""),
    VALID("\"\\\\\\\"\""),
    INCOMPLETE("\"\\", "n\""),
    INCOMPLETE("\"\\u", "0041\""),
    INCOMPLETE("\"\\u0", "041\""),
    INCOMPLETE("\"\\u00", "41\""),
    INCOMPLETE("\"\\u004", "1\""),
    INCOMPLETE("\"\\u0041", "\""),
    INCOMPLETE("\"\\\\", "\""),
    INVALID("\"\\a\"", 2),
    INVALID("\"\\v\"", 2),
    INVALID("\"\\e\"", 2),
    INVALID("\"\\x41\"", 2),
    INVALID("\"\\'\"", 2),
    INVALID("\"\\0\"", 2),
    INVALID("\"\\101\"", 2),
    INVALID("\"\\ \"", 2),
    INVALID("\"\\N\"", 2),
    INVALID("\"\\U0041\"", 2),
    INVALID("\"\\\n\"", 2),
    INVALID("\"\\\0\"", 2),
    INVALID("\"\\\xc3\xa9\"", 2),
    INVALID("\"\\u\"", 3),
    INVALID("\"\\u004\"", 6),
    INVALID("\"\\u004g\"", 6),
    INVALID("\"\\uG000\"", 3),
    INVALID("\"\\u 041\"", 3),
    INVALID("\"\\u+041\"", 3),
    INVALID("\"\\u-041\"", 3),
    INVALID("\"\\u0x41\"", 4),
    INVALID("\"\\u{41}\"", 3),
    INVALID("\"\\u00\\u00\"", 5),
    INVALID("\"\\u00\0\0\"", 5),
    INVALID("\\n", 0),
    INVALID("\\u0022\"", 0),
};

static const struct row surrogates[] = {
    VALID("\"\\ud83d\\ude00\""),
    VALID("\"\\uD800\\uDC00\""),
    VALID("\"\\udbff\\udfff\""),
    VALID("\"\\uD83d\\uDe00\""),
    VALID("\"\\ud83d\\ude00\\ud83d\\ude00\""),
    VALID("\"\\ud7ff\\ud800\\udc00\\ue000\""),
    INCOMPLETE("\"\\ud", "7ff\""),
    INCOMPLETE("\"\\ud8", "00\\udc00\""),
    INCOMPLETE("\"\\ud83d", "\\ude00\""),
    INCOMPLETE("\"\\ud83d\\", "ude00\""),
    INCOMPLETE("\"\\ud83d\\u", "de00\""),
    INCOMPLETE("\"\\ud83d\\ud", "e00\""),
    INCOMPLETE("\"\\ud83d\\ude", "00\""),
    INCOMPLETE("\"\\ud83d\\ude0", "0\""),
    INCOMPLETE("\"\\ud83d\\ude00", "\""),
    INVALID("\"\\ud83d\"", 7),
    INVALID("\"\\uDBFF\"", 7),
    INVALID("\"\\ud83dx\"", 7),
    INVALID("\"\\ud83d \\ude00\"", 7),
    INVALID("\"\\ud83d\xed\xb8\x80\"", 7),
    INVALID("\"\\ud83d\\n\"", 8),
    INVALID("\"\\ud83d\\\\ude00\"", 8),
    INVALID("\"\\ud83d\\Ude00\"", 8),
    INVALID("\"\\ud83d\\u\"", 9),
    INVALID("\"\\ud83d\\ude0\"", 12),
    /* Which of the digits is the wrong one is left open. */
    INVALID("\"\\ude00\"", ANYWHERE),
    INVALID("\"\\udc00\"", ANYWHERE),
    INVALID("\"\\uDFFF\"", ANYWHERE),
    INVALID("\"\\ude00\\ud83d\"", ANYWHERE),
    INVALID("\"\\ud83d\\ud83d\"", ANYWHERE),
    INVALID("\"\\ud83d\\u0041\"", ANYWHERE),
    INVALID("\"\\ud83d\\ue000\"", ANYWHERE),
    INVALID("\"\\ud83d\\ud83d\\ude00\"", ANYWHERE),
    INVALID("\"\\ud83d\\ude00\\ude00\"", ANYWHERE),
};

static const struct row utf8[] = {
    VALID("\"\xc2\x80\""),
    VALID("\"\xc2\x85\""),
    VALID("\"\xc3\xa9t\xc3\xa9\""),
    VALID("\"\xdf\xbf\""),
    VALID("\"\xe0\xa0\x80\""),
    VALID("\"\xe1\x80\x80\""),
    VALID("\"\xe2\x80\xa8\xe2\x80\xa9\""),
    VALID("\"\xed\x9f\xbf\""),
    VALID("\"\xee\x80\x80\""),
    VALID("\"\xef\xbb\xbf\""),
    VALID("\"\xef\xbf\xbf\""),
    VALID("\"\xf0\x90\x80\x80\""),
    VALID("\"\xf0\x9f\x98\x80\""),
    VALID("\"\xf3\xbf\xbf\xbf\""),
    VALID("\"\xf4\x8f\xbf\xbf\""),
    INCOMPLETE("\"\xc3", "\xa9\""),
    INCOMPLETE("\"\xe0", "\xa0\x80\""),
    INCOMPLETE("\"\xe2\x82", "\xac\""),
    INCOMPLETE("\"\xed", "\x9f\x80\""),
    INCOMPLETE("\"\xf0", "\x9f\x98\x80\""),
    INCOMPLETE("\"\xf0\x9f", "\x98\x80\""),
    INCOMPLETE("\"\xf4\x8f\xbf", "\xbf\""),
    /* no leading byte */
    INVALID("\"\x80\"", 1),
    INVALID("\"\xbf\"", 1),
    INVALID("\"a\xa9\"", 2),
    INVALID("\"\xc3\xa9\xa9\"", 3),
    INVALID("\"\xfe\"", 1),
    INVALID("\"\xff\"", 1),
    /* overlong */
    INVALID("\"\xc0\x80\"", 1),
    INVALID("\"\xc0\xa2\"", 1),
    INVALID("\"\xc1\xbf\"", 1),
    INVALID("\"\xe0\x80\x80\"", 2),
    INVALID("\"\xe0\x9f\xbf\"", 2),
    INVALID("\"\xf0\x80\x80\x80\"", 2),
    INVALID("\"\xf0\x8f\xbf\xbf\"", 2),
    INVALID("\"\xf8\x88\x80\x80\x80\"", 1),
    INVALID("\"\xfc\x84\x80\x80\x80\x80\"", 1),
    /* surrogates */
    INVALID("\"\xed\xa0\x80\"", 2),
    INVALID("\"\xed\xaf\xbf\"", 2),
    INVALID("\"\xed\xb0\x80\"", 2),
    INVALID("\"\xed\xbf\xbf\"", 2),
    INVALID("\"\xed\xa0\xbd\xed\xb8\x80\"", 2),
    /* too high */
    INVALID("\"\xf4\x90\x80\x80\"", 2),
    INVALID("\"\xf5\x80\x80\x80\"", 1),
    INVALID("\"\xf7\xbf\xbf\xbf\"", 1),
    /* too short */
    INVALID("\"\xc3\"", 2),
    INVALID("\"\xc3(\"", 2),
    INVALID("\"\xc3\\u00a9\"", 2),
    INVALID("\"\xc3\xc3\xa9\"", 2),
    INVALID("\"\xe2\"", 2),
    INVALID("\"\xe2\x82\"", 3),
    INVALID("\"\xe2(\xac\"", 2),
    INVALID("\"\xe2\x82\xc3\xa9\"", 3),
    INVALID("\"\xf0\x9f\x98\"", 4),
    INVALID("\"\xf0\x9f\x98\xf0\"", 4),
    INVALID("\"\xf0\x9f"
            "0\x80\"",
            3),
    INVALID("\"caf\xe9\"", 5),
    INVALID("\"\xc3\0\"", 2),
    /* in a name, and outside of strings */
    INVALID("{\"\xff\":1}", 2),
    INVALID("\xc3\xa9", 0),
    INVALID("[\x80]", 1),
};

static const struct row spaces[] = {
    VALID(" 1"),
    VALID("1 "),
    VALID(" \t\r\n1\n\r\t "),
    VALID("[ ]"),
    VALID("{\n}"),
    VALID(" [ 1 , 2 ] "),
    VALID("\t{\r\n\"a\" : [ ] , \"b\"\n:\n{ } }\n"),
    INCOMPLETE("", "0"),
    INCOMPLETE(" ", "0"),
    INCOMPLETE("\t\r\n ", "{}"),
    INCOMPLETE("[ ", "]"),
    INCOMPLETE("{\"a\" ", ":1}"),
    INVALID("\v1", 0),
    INVALID("\f1", 0),
    INVALID("1\f", 1),
    INVALID("\b1", 0),
    INVALID("\x1b[1]", 0),
    INVALID("[\v1]", 1),
    INVALID("[1\v]", 2),
    INVALID("[1,\f2]", 3),
    INVALID("{\"a\"\v:1}", 4),
    INVALID("\xc2\xa0"
            "1",
            0),
    INVALID("1\xc2\xa0", 1),
    INVALID("1\xc2\x85", 1),
    INVALID("\xe2\x80\xa8"
            "1",
            0),
    INVALID("\xe3\x80\x80"
            "1",
            0),
    INVALID("\x7f"
            "1",
            0),
    INVALID("\\n1", 0),
    INVALID("// 1", 0),
    INVALID("/* */1", 0),
    INVALID("[1/**/]", 2),
    INVALID("[1]//", 3),
    INVALID("# 1", 0),
    INVALID("{}#", 2),
    /* byte order marks and NULs */
    INVALID("\xef\xbb\xbf{}", 0),
    INVALID("{}\xef\xbb\xbf", 2),
    INVALID(" \xef\xbb\xbf{}", 1),
    INVALID("\xff\xfe{\0}\0", 0),
    INVALID("\xfe\xff\0{\0}", 0),
    INVALID("{\0}\0", 1),
    INVALID("\0{\0}", 0),
    INVALID("\0", 0),
    INVALID("{}\0", 2),
    INVALID("[\0]", 1),
    INVALID("{\"a\":1\0}", 6),
    INVALID("{\"a\0\":1}", 3),
    INVALID("{\"a\"\0:1}", 4),
};

static const struct row arrays[] = {
    VALID("[]"),
    VALID("[[]]"),
    VALID("[{}]"),
    VALID("[0]"),
    VALID("[0,1]"),
    VALID("[[],[[]],{}]"),
    VALID("[\"\",null,true,false,-1e1,{\"a\":[]}]"),
    INCOMPLETE("[", "]"),
    INCOMPLETE("[1", "]"),
    INCOMPLETE("[1,", "2]"),
    INCOMPLETE("[[]", "]"),
    INCOMPLETE("[\"]", "\"]"),
    INVALID("[,]", 1),
    INVALID("[,1]", 1),
    INVALID("[1,]", 3),
    INVALID("[1, ]", 4),
    INVALID("[1,,2]", 3),
    INVALID("[1 2]", 3),
    INVALID("[1;2]", 2),
    INVALID("[1:2]", 2),
    INVALID("[1=2]", 2),
    INVALID("[\"a\":1]", 4),
    INVALID("[[] []]", 4),
    INVALID("[1}", 2),
    INVALID("[}", 1),
    INVALID("[1)", 2),
    INVALID("(1)", 0),
    INVALID("<1>", 0),
    INVALID("]", 0),
    INVALID("[a]", 1),
    INVALID("[01]", 2),
    INVALID("[-]", 2),
    INVALID("[1.]", 3),
    INVALID("[1e]", 3),
    INVALID("[tru]", 4),
};

static const struct row objects[] = {
    VALID("{}"),
    VALID("{\"a\":1}"),
    VALID("{\"\":0}"),
    VALID("{\"a\":1,\"a\":2}"),
    VALID("{\"\\u0061\":1}"),
    VALID("{\"a\":{\"b\":{\"c\":[{}]}},\"d\":\"}\"}"),
    INCOMPLETE("{", "}"),
    INCOMPLETE("{\"", "\":1}"),
    INCOMPLETE("{\"a", "\":1}"),
    INCOMPLETE("{\"a\\", "n\":1}"),
    INCOMPLETE("{\"a\"", ":1}"),
    INCOMPLETE("{\"a\":", "1}"),
    INCOMPLETE("{\"a\":1", "}"),
    INCOMPLETE("{\"a\":1,", "\"b\":1}"),
    INCOMPLETE("{\"a\":{}", "}"),
    INCOMPLETE("{\"a\":[1,{\"b\":2}", "]}"),
    INVALID("{]", 1),
    INVALID("{,}", 1),
    INVALID("{:1}", 1),
    INVALID("{a:1}", 1),
    INVALID("{'a':1}", 1),
    INVALID("{1:1}", 1),
    INVALID("{null:1}", 1),
    INVALID("{[]:1}", 1),
    INVALID("{{}:1}", 1),
    INVALID("{\"a\"}", 4),
    INVALID("{\"a\",1}", 4),
    INVALID("{\"a\"=1}", 4),
    INVALID("{\"a\" 1}", 5),
    INVALID("{\"a\"\"b\"}", 4),
    INVALID("{\"a\"::1}", 5),
    INVALID("{\"a\":}", 5),
    INVALID("{\"a\":,}", 5),
    INVALID("{\"a\":]", 5),
    INVALID("{\"a\":1]", 6),
    INVALID("{\"a\":[1}", 7),
    INVALID("{\"a\":1,}", 7),
    INVALID("{\"a\":1,,\"b\":2}", 7),
    INVALID("{\"a\":1 \"b\":2}", 7),
    INVALID("{\"a\":1;\"b\":2}", 6),
    INVALID("{\"a\":1:2}", 6),
    INVALID("{\"a\":1,2}", 7),
    INVALID("{\"a\":\"b\":\"c\"}", 8),
    INVALID("{\"a\":tru}", 8),
    INVALID("{\"a\":-}", 6),
    INVALID("{\"a\":b}", 5),
    INVALID("{\"a\":1}}", 7),
    INVALID("}", 0),
    INVALID(",", 0),
    INVALID(":", 0),
    INVALID("\"a\":1", 3),
    /* behind the end */
    INVALID("{}{}", 2),
    INVALID("{}\n{}", 3),
    INVALID("{},", 2),
    INVALID("{};", 2),
    INVALID("{}}", 2),
    INVALID("{}]", 2),
    INVALID("[]]", 2),
    INVALID("[],[]", 2),
    INVALID("[]x", 2),
    INVALID("null,", 4),
    INVALID("{}\"", 2),
    INVALID(")]}',\n{}", 0),
};

/* A copy in an allocation of exactly its size: the sanitizer sees any read beyond. */
static char *exact_copy(const char *bytes, size_t length)
{
    char *copy = malloc(length);
    assert_non_null(copy);
    if (length > 0)
        memcpy(copy, bytes, length);
    return copy;
}

/* A copy right in front of memory that cannot be read: optimised, the sanitizer leaves checks out,
 * and so misses some reads beyond the end. There is one such copy at a time. */
static const char *fenced_copy(const char *bytes, size_t length)
{
    enum { SIZE = 1 << 20, FENCE = 1 << 16 };
    static char *end;
    if (end == NULL) {
        char *memory =
            mmap(NULL, SIZE + FENCE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(memory, MAP_FAILED);
        end = memory + SIZE;
        assert_int_equal(mprotect(end, FENCE, PROT_NONE), 0);
    }
    assert_true(length <= SIZE);
    if (length > 0)
        memcpy(end - length, bytes, length);
    return end - length;
}

static struct scan_result scan_copy(const char *bytes, size_t length)
{
    return scan(fenced_copy(bytes, length), length, NULL, 0);
}

/* The value of a member found in a text, as scan_decode has it. */
static bool decode(const char *json, const struct scan_member *member, struct buffer *value)
{
    const struct text raw = {json + member->offset, member->length};
    return scan_decode(member->type, raw, value);
}

/* Bytes as they can be shown. */
static const char *shown(const char *bytes, size_t length)
{
    static char text[2048];
    (void)log_escape((struct text){bytes, length}, text, sizeof text);
    return text;
}

static const char *verdict_name(enum scan_verdict verdict)
{
    static const char *const names[] = {
        [SCAN_VALID] = "valid",
        [SCAN_INVALID] = "invalid",
        [SCAN_INCOMPLETE] = "incomplete",
    };
    return names[verdict];
}

/* The problem and the offset go with the verdict in the way the header says. */
static bool is_consistent(const struct scan_result *result, size_t length)
{
    switch (result->verdict) {
    case SCAN_VALID:
        return result->problem == NULL && result->top != SCAN_ABSENT;
    case SCAN_INVALID:
        return result->problem != NULL && result->offset <= length;
    case SCAN_INCOMPLETE:
        return result->problem != NULL && result->offset == length;
    }
    return false;
}

/* How many faults there are: 0 or 1. What was expected is told with what was found. */
static int check_verdict(const char *json, size_t length, enum scan_verdict verdict, size_t offset)
{
    struct scan_result result = scan_copy(json, length);
    bool placed = verdict == SCAN_VALID || offset == ANYWHERE || result.offset == offset;
    if (result.verdict == verdict && placed && is_consistent(&result, length))
        return 0;
    print_error("%s: %s at %zu is expected, got %s at %zu (%s)\n", shown(json, length),
                verdict_name(verdict), offset, verdict_name(result.verdict), result.offset,
                result.problem == NULL ? "-" : result.problem);
    return 1;
}

/* As check_verdict, of two pieces put together. */
static int check_joined(struct text first, struct text second, enum scan_verdict verdict,
                        size_t offset)
{
    struct buffer joined = BUFFER_INIT;
    assert_true(buffer_append(&joined, first.data, first.length));
    assert_true(buffer_append(&joined, second.data, second.length));
    int faults = check_verdict(joined.data, joined.length, verdict, offset);
    buffer_release(&joined);
    return faults;
}

/* Every proper prefix of an object's text is incomplete. */
static int check_prefixes(struct text object)
{
    int faults = check_verdict(object.data, object.length, SCAN_VALID, 0);
    for (size_t length = 0; length < object.length; length++)
        faults += check_verdict(object.data, length, SCAN_INCOMPLETE, length);
    return faults;
}

/* A valid text is a valid value of a member, too, and then it must not end early. */
static int check_as_member(struct text value)
{
    struct buffer object = BUFFER_INIT;
    assert_true(buffer_append_string(&object, "{\"k\":"));
    assert_true(buffer_append(&object, value.data, value.length));
    assert_true(buffer_append_string(&object, "}"));
    int faults = check_prefixes((struct text){object.data, object.length});
    buffer_release(&object);
    return faults;
}

static int check_stays_invalid(const struct row *row)
{
    static const char *const suffixes[] = {"\"", "}", "]", "0", " ", ":", "\\", "\x80"};
    const struct text text = {row->json, row->length};
    int faults = 0;
    for (size_t i = 0; i < COUNT(suffixes); i++)
        faults += check_joined(text, text_of(suffixes[i]), SCAN_INVALID, row->offset);
    if (row->offset == ANYWHERE)
        return faults;
    faults += check_verdict(row->json, row->offset + 1, SCAN_INVALID, row->offset);
    if (scan_copy(row->json, row->offset).verdict != SCAN_INVALID)
        return faults;
    print_error("%s: is invalid before the byte %zu already\n", shown(row->json, row->length),
                row->offset);
    return faults + 1;
}

static int check_row(const struct row *row)
{
    const struct text text = {row->json, row->length};
    int faults = check_verdict(row->json, row->length, row->verdict, row->offset);
    switch (row->verdict) {
    case SCAN_VALID:
        return faults + check_as_member(text);
    case SCAN_INVALID:
        return faults + check_stays_invalid(row);
    case SCAN_INCOMPLETE:
        return faults + check_joined(text, text_of(row->rest), SCAN_VALID, 0);
    }
    return 1;
}

static void check_rows(const struct row *rows, size_t count)
{
    int faults = 0;
    for (size_t i = 0; i < count; i++)
        faults += check_row(&rows[i]);
    assert_int_equal(faults, 0);
}

static void test_numbers(void **state)
{
    (void)state;
    check_rows(numbers, COUNT(numbers));
}

static void test_words(void **state)
{
    (void)state;
    check_rows(words, COUNT(words));
}

static void test_strings(void **state)
{
    (void)state;
    check_rows(strings, COUNT(strings));
}

static void test_escapes(void **state)
{
    (void)state;
    check_rows(escapes, COUNT(escapes));
}

static void test_surrogates(void **state)
{
    (void)state;
    check_rows(surrogates, COUNT(surrogates));
}

static void test_utf8(void **state)
{
    (void)state;
    check_rows(utf8, COUNT(utf8));
}

static void test_spaces(void **state)
{
    (void)state;
    check_rows(spaces, COUNT(spaces));
}

static void test_arrays(void **state)
{
    (void)state;
    check_rows(arrays, COUNT(arrays));
}

static void test_objects(void **state)
{
    (void)state;
    check_rows(objects, COUNT(objects));
}

static void test_no_bytes_at_all(void **state)
{
    (void)state;
    struct scan_result result = scan(NULL, 0, NULL, 0);
    assert_int_equal(result.verdict, SCAN_INCOMPLETE);
    assert_int_equal(result.top, SCAN_ABSENT);
    assert_int_equal(result.offset, 0);
}

static void test_top(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum scan_type top;
    } rows[] = {
        {"null", SCAN_NULL},         {"true", SCAN_BOOLEAN}, {" false ", SCAN_BOOLEAN},
        {"-1.5e3", SCAN_NUMBER},     {"\"\"", SCAN_STRING},  {"[]", SCAN_ARRAY},
        {"[{\"a\":1}]", SCAN_ARRAY}, {"{}", SCAN_OBJECT},    {"\n{\"a\":[1,\"2\"]}", SCAN_OBJECT},
        {"", SCAN_ABSENT},           {"  ", SCAN_ABSENT},    {"x", SCAN_ABSENT},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct scan_result result = scan_copy(rows[i].json, strlen(rows[i].json));
        if (result.top != rows[i].top)
            fail_msg("%s: on top is %d, expected %d", rows[i].json, (int)result.top,
                     (int)rows[i].top);
    }
}

/* The words that an operator reads. */
static void test_problems(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *problem; /* a part of it */
    } rows[] = {
        {"", "ends before it is complete"},
        {"[1", "ends before it is complete"},
        {"?", "a value is expected"},
        {"[]]", "nothing may follow"},
        {"[1 2]", "a comma or ] is expected"},
        {"{\"a\":1 2}", "a comma or } is expected"},
        {"{1:2}", "a member name"},
        {"{\"a\" 1}", "a colon is expected"},
        {"tree", "true, false or null"},
        {"-x", "a digit"},
        {"007", "may not begin with 0"},
        {"\"\n\"", "a control character"},
        {"\"\\x\"", "an escape"},
        {"\"\\uxxxx\"", "four hexadecimal digits"},
        {"\"\\ud800\"", "surrogate"},
        {"\"\xff\"", "UTF-8"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct scan_result result = scan_copy(rows[i].json, strlen(rows[i].json));
        if (result.problem == NULL || strstr(result.problem, rows[i].problem) == NULL)
            fail_msg("%s: %s", rows[i].json, result.problem);
    }
}

/* Each of the 256 bytes behind a backslash. */
static void test_every_byte_as_escape(void **state)
{
    (void)state;
    int faults = 0;
    for (unsigned byte = 0; byte < 256; byte++) {
        const char json[] = {'"', '\\', (char)byte, '"'};
        if (byte == 'u')
            continue;
        if (byte == '"')
            faults += check_verdict(json, 3, SCAN_INCOMPLETE, 3);
        else if (byte != 0 && strchr("\\/bfnrt", (int)byte) != NULL)
            faults += check_verdict(json, 4, SCAN_VALID, 0);
        else
            faults += check_verdict(json, 4, SCAN_INVALID, 2);
    }
    assert_int_equal(faults, 0);
}

static void test_every_byte_as_hex_digit(void **state)
{
    (void)state;
    int faults = 0;
    for (unsigned byte = 0; byte < 256; byte++)
        for (size_t digit = 3; digit < 7; digit++) {
            char json[] = "\"\\u0123\"";
            json[digit] = (char)byte;
            bool hex = byte != 0 && strchr("0123456789abcdefABCDEF", (int)byte) != NULL;
            faults += check_verdict(json, 8, hex ? SCAN_VALID : SCAN_INVALID, digit);
        }
    assert_int_equal(faults, 0);
}

static void test_every_byte_alone(void **state)
{
    (void)state;
    int faults = 0;
    for (unsigned byte = 0; byte < 256; byte++) {
        const char json[] = {(char)byte};
        if (byte >= '0' && byte <= '9')
            faults += check_verdict(json, 1, SCAN_VALID, 0);
        else if (byte != 0 && strchr("{[\"-tfn \t\r\n", (int)byte) != NULL)
            faults += check_verdict(json, 1, SCAN_INCOMPLETE, 1);
        else
            faults += check_verdict(json, 1, SCAN_INVALID, 0);
    }
    assert_int_equal(faults, 0);
}

/* Every code point: as UTF-8 it is valid unless it is a surrogate; so are the next ones above. */
static void test_every_code_point(void **state)
{
    (void)state;
    int faults = 0;
    for (unsigned point = 0x80; point < 0x200000; point += point < 0x3000 ? 1 : 37) {
        const char two[] = {'"', (char)(0xc0 | point >> 6), (char)(0x80 | (point & 63)), '"'};
        const char three[] = {'"', (char)(0xe0 | point >> 12), (char)(0x80 | (point >> 6 & 63)),
                              (char)(0x80 | (point & 63)), '"'};
        const char four[] = {'"',
                             (char)(0xf0 | point >> 18),
                             (char)(0x80 | (point >> 12 & 63)),
                             (char)(0x80 | (point >> 6 & 63)),
                             (char)(0x80 | (point & 63)),
                             '"'};
        bool surrogate = point >= 0xd800 && point <= 0xdfff;
        bool high = point >= 0x10000 && point <= 0x10ffff;
        if (point < 0x800)
            faults += check_verdict(two, sizeof two, SCAN_VALID, 0);
        if (point < 0x10000)
            faults += check_verdict(three, sizeof three,
                                    point < 0x800 || surrogate ? SCAN_INVALID : SCAN_VALID, 2);
        faults += check_verdict(four, sizeof four, high ? SCAN_VALID : SCAN_INVALID,
                                point >= 0x140000 ? 1 : 2);
    }
    assert_int_equal(faults, 0);
}

/* --- depth --- */

/* `levels` openings, one inside the other, innermost `value`, and as many closings. */
static void nest(struct buffer *json, const char *pattern, size_t levels, const char *value)
{
    size_t kinds = strlen(pattern);
    for (size_t i = 0; i < levels; i++)
        assert_true(buffer_append_string(json, pattern[i % kinds] == '[' ? "[" : "{\"\":"));
    assert_true(buffer_append_string(json, value));
    for (size_t i = levels; i-- > 0;)
        assert_true(buffer_append_string(json, pattern[i % kinds] == '[' ? "]" : "}"));
}

static int check_nested(const char *pattern, size_t levels, const char *value,
                        enum scan_verdict verdict, size_t offset)
{
    struct buffer json = BUFFER_INIT;
    nest(&json, pattern, levels, value);
    int faults = check_verdict(json.data, json.length, verdict, offset);
    if (verdict == SCAN_VALID)
        faults += check_verdict(json.data, json.length - 1, SCAN_INCOMPLETE, json.length - 1);
    buffer_release(&json);
    return faults;
}

static void test_depth(void **state)
{
    (void)state;
    int faults = 0;
    static const char *const patterns[] = {"[", "{", "[{", "{[", "[[{", "{{{{{{["};
    for (size_t i = 0; i < COUNT(patterns); i++)
        for (size_t levels = 1; levels <= SCAN_DEPTH_MAX; levels++)
            faults += check_nested(patterns[i], levels, "0", SCAN_VALID, 0);
    faults += check_nested("[", 511, "[]", SCAN_VALID, 0);
    faults += check_nested("[", 511, "{}", SCAN_VALID, 0);
    faults += check_nested("[", 512, "", SCAN_VALID, 0);
    faults += check_nested("[", 512, "[]", SCAN_INVALID, 512);
    faults += check_nested("[", 512, "{}", SCAN_INVALID, 512);
    faults += check_nested("[", 513, "0", SCAN_INVALID, 512);
    faults += check_nested("{", 513, "0", SCAN_INVALID, 512 * 4);
    faults += check_nested("[{", 513, "0", SCAN_INVALID, 256 * 5);
    faults += check_nested("[", 100000, "0", SCAN_INVALID, 512);
    assert_int_equal(faults, 0);
}

/* Each level remembers what it is, whatever was opened and closed below it. */
static void test_depth_again_and_again(void **state)
{
    (void)state;
    struct buffer json = BUFFER_INIT;
    assert_true(buffer_append_string(&json, "["));
    for (int i = 0; i < 20; i++) {
        nest(&json, i % 2 == 0 ? "[" : "{", 511, "0");
        assert_true(buffer_append_string(&json, ","));
        nest(&json, i % 2 == 0 ? "{[" : "[{", 511, "0");
        assert_true(buffer_append_string(&json, i < 19 ? "," : "]"));
    }
    assert_int_equal(check_verdict(json.data, json.length, SCAN_VALID, 0), 0);
    buffer_release(&json);
}

/* At each depth the closing bracket of the other kind is wrong. */
static void test_wrong_closing_at_each_depth(void **state)
{
    (void)state;
    int faults = 0;
    for (size_t levels = 1; levels <= SCAN_DEPTH_MAX; levels++)
        for (size_t wrong = 0; wrong < levels; wrong += 61) {
            struct buffer json = BUFFER_INIT;
            nest(&json, "[", levels, "0");
            size_t at = levels + 1 + wrong;
            json.data[at] = '}';
            faults += check_verdict(json.data, json.length, SCAN_INVALID, at);
            buffer_release(&json);
        }
    assert_int_equal(faults, 0);
}

/* --- a byte at each place --- */

static const char sample[] =
    "{\"eventName\":\"Order\\u0043hanged\", \"orderEvent\" : {\"id\":\"b1-\xc3\xa9\xe2\x82\xac\","
    "\"meta\":{\"messageId\":\"\\ud83d\\ude00\\n\\\"\",\"n\":[1,-0.5e+10,{\"x\":null},[]]},"
    "\"version\":12,\"\xf0\x9f\x98\x80\":true},\r\n\t\"empty\":{ },\"long plain name without "
    "anything special in it\":[false]}";

static void test_every_prefix_is_incomplete(void **state)
{
    (void)state;
    assert_int_equal(check_prefixes(text_of(sample)), 0);
}

static bool json_c_accepts(const char *json, size_t length, struct json_object **value)
{
    struct json_tokener *tokener = json_tokener_new_ex(SCAN_DEPTH_MAX + 1);
    assert_non_null(tokener);
    /* Not strict: json-c 0.18 takes every letter beyond ASCII for a control character then. */
    json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8);
    *value = json_tokener_parse_ex(tokener, json, (int)length);
    bool accepted = json_tokener_get_error(tokener) == json_tokener_success;
    json_tokener_free(tokener);
    return accepted;
}

/* Whatever the bytes: no overrun, a consistent result, and nothing valid that json-c refuses. */
static int check_corrupt(const char *json, size_t length)
{
    struct scan_member members[] = {
        {.path = "eventName"},
        {.path = "orderEvent.id"},
        {.path = "orderEvent.meta.messageId"},
        {.path = "orderEvent.meta.n"},
        {.path = "empty"},
        {.path = "orderEvent.version"},
    };
    const char *copy = fenced_copy(json, length);
    struct scan_result result = scan(copy, length, members, COUNT(members));
    bool fine = is_consistent(&result, length);
    if (result.verdict == SCAN_VALID) {
        struct json_object *value;
        fine = fine && json_c_accepts(copy, length, &value);
        json_object_put(value);
        for (size_t i = 0; i < COUNT(members); i++) {
            struct buffer decoded = BUFFER_INIT;
            fine = fine && decode(copy, &members[i], &decoded);
            buffer_release(&decoded);
        }
    }
    if (!fine)
        print_error("%s: %s at %zu\n", shown(json, length), verdict_name(result.verdict),
                    result.offset);
    return fine ? 0 : 1;
}

static void test_every_byte_corrupted(void **state)
{
    (void)state;
    int faults = 0;
    char json[sizeof sample];
    for (size_t at = 0; at < sizeof sample - 1; at++)
        for (unsigned byte = 0; byte < 256; byte++) {
            memcpy(json, sample, sizeof sample);
            json[at] = (char)byte;
            faults += check_corrupt(json, sizeof sample - 1);
        }
    assert_int_equal(faults, 0);
}

static void test_every_byte_removed_or_doubled(void **state)
{
    (void)state;
    int faults = 0;
    for (size_t at = 0; at < sizeof sample - 1; at++) {
        char json[sizeof sample];
        memcpy(json, sample, at);
        memcpy(json + at, sample + at + 1, sizeof sample - at - 1);
        faults += check_corrupt(json, sizeof sample - 2);
        memcpy(json + at + 1, sample + at, sizeof sample - at - 1);
        json[at] = sample[at];
        faults += check_corrupt(json, sizeof sample);
    }
    assert_int_equal(faults, 0);
}

/* --- eight bytes at a time --- */

enum { LONG_LENGTH = 40, LAST_PLACE = 16 };

/* What becomes of a byte inside a string with an x behind it: 0 for valid, else how many bytes
 * there are to the one that is wrong, itself counted. */
static size_t wrong_byte(unsigned byte)
{
    if (byte < 0x20)
        return 1;
    if (byte == '"' || byte == '\\')
        return 2;
    if (byte < 0x80)
        return 0;
    return byte >= 0xc2 && byte <= 0xf4 ? 2 : 1;
}

/* The fillings are plain bytes beside special ones, where arithmetic on words might go wrong. */
static void test_every_byte_at_each_place(void **state)
{
    (void)state;
    int faults = 0;
    for (const char *fill = "x !#[]\x7f@"; *fill != '\0'; fill++)
        for (size_t place = 0; place <= LAST_PLACE; place++)
            for (unsigned byte = 0; byte < 256; byte++) {
                char json[LONG_LENGTH + 2];
                memset(json, *fill, sizeof json);
                json[0] = json[sizeof json - 1] = '"';
                json[1 + place] = (char)byte;
                json[2 + place] = 'x';
                size_t wrong = wrong_byte(byte);
                faults += check_verdict(json, sizeof json, wrong == 0 ? SCAN_VALID : SCAN_INVALID,
                                        place + wrong);
            }
    assert_int_equal(faults, 0);
}

/* What stands behind the closing quote is not a part of the string, whatever it would be in one. */
static void test_every_byte_behind_a_string(void **state)
{
    (void)state;
    int faults = 0;
    for (size_t length = 0; length <= LAST_PLACE; length++)
        for (unsigned byte = 0; byte < 256; byte++) {
            char json[LONG_LENGTH + 2];
            memset(json, ' ', sizeof json);
            memset(json + 1, 'x', length);
            json[0] = json[1 + length] = '"';
            json[2 + length] = (char)byte;
            bool space = byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
            faults += check_verdict(json, sizeof json, space ? SCAN_VALID : SCAN_INVALID,
                                    space ? 0 : length + 2);
        }
    assert_int_equal(faults, 0);
}

/* The same where the text ends behind the byte, or in front of it. */
static void test_every_length_of_string(void **state)
{
    (void)state;
    int faults = 0;
    for (size_t length = 0; length <= LONG_LENGTH; length++) {
        char json[LONG_LENGTH + 2];
        memset(json, 'x', sizeof json);
        json[0] = '"';
        faults += check_verdict(json, length + 1, SCAN_INCOMPLETE, length + 1);
        json[length + 1] = '"';
        faults += check_verdict(json, length + 2, SCAN_VALID, 0);
        json[length + 1] = '\\';
        faults += check_verdict(json, length + 2, SCAN_INCOMPLETE, length + 2);
        json[length + 1] = '\x01';
        faults += check_verdict(json, length + 2, SCAN_INVALID, length + 1);
        json[length + 1] = '\xf4';
        faults += check_verdict(json, length + 2, SCAN_INCOMPLETE, length + 2);
    }
    assert_int_equal(faults, 0);
}

/* Characters of several bytes at each place: found whole, decoded right, incomplete when cut. */
static void test_every_character_at_each_place(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *value;
    } rows[] = {
        {"\xc3\xa9", "\xc3\xa9"},
        {"\xe2\x82\xac", "\xe2\x82\xac"},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
        {"\\n", "\n"},
        {"\\\"", "\""},
        {"\\\\", "\\"},
        {"\\u20ac", "\xe2\x82\xac"},
        {"\\ud83d\\ude00", "\xf0\x9f\x98\x80"},
        {"\\\\\\\"", "\\\""},
    };
    static const char fill[] = "0123456789abcdefghijklmno";
    for (size_t i = 0; i < COUNT(rows); i++)
        for (int place = 0; place <= LAST_PLACE; place++) {
            char json[80];
            char expected[80];
            struct buffer value = BUFFER_INIT;
            struct scan_member member = {.path = "k"};
            (void)snprintf(json, sizeof json, "{\"k\":\"%.*s%s%s\"}", place, fill, rows[i].json,
                           fill);
            (void)snprintf(expected, sizeof expected, "%.*s%s%s", place, fill, rows[i].value, fill);
            assert_int_equal(check_prefixes(text_of(json)), 0);
            assert_int_equal(scan(json, strlen(json), &member, 1).verdict, SCAN_VALID);
            assert_true(decode(json, &member, &value) && buffer_append(&value, "", 1));
            assert_string_equal(value.data, expected);
            buffer_release(&value);
        }
}

/* --- members --- */

/* Tables of members have ' where JSON has ". The caller frees. */
static struct text quoted(const char *text)
{
    char *copy = exact_copy(text, strlen(text));
    for (size_t i = 0; i < strlen(text); i++)
        if (copy[i] == '\'')
            copy[i] = '"';
    return (struct text){copy, strlen(text)};
}

static void release(struct text text)
{
    free((void *)(uintptr_t)text.data);
}

struct member_row {
    const char *json;
    const char *path;
    enum scan_type type;
    const char *raw; /* of what is found */
};

static const struct member_row members_found[] = {
    /* every type, and its raw slice */
    {"{'a':1}", "a", SCAN_NUMBER, "1"},
    {"{'a': -12.50E+7 }", "a", SCAN_NUMBER, "-12.50E+7"},
    {"{'a':'s'}", "a", SCAN_STRING, "'s'"},
    {"{'a' : 's\\u0041\\n' , 'b':1}", "a", SCAN_STRING, "'s\\u0041\\n'"},
    {"{'a':''}", "a", SCAN_STRING, "''"},
    {"{'a':true}", "a", SCAN_BOOLEAN, "true"},
    {"{'a':false}", "a", SCAN_BOOLEAN, "false"},
    {"{'a':null}", "a", SCAN_NULL, "null"},
    {"{'a':[1,2]}", "a", SCAN_ARRAY, "["},
    {"{'a':[]}", "a", SCAN_ARRAY, "["},
    {"{'a':{'b':1}}", "a", SCAN_OBJECT, "{"},
    {"{'a':{}}", "a", SCAN_OBJECT, "{"},
    /* paths of one to three names */
    {"{'x':0,'a':{'x':0,'b':1}}", "a.b", SCAN_NUMBER, "1"},
    {"{'a':{'b':{'c':'deep'}}}", "a.b.c", SCAN_STRING, "'deep'"},
    {"{'a':{'b':{'c':{'d':1}}}}", "a.b.c", SCAN_OBJECT, "{"},
    {"{'a':{'b':{'c':[{'c':1}]}}}", "a.b.c", SCAN_ARRAY, "["},
    {"{'a':{'z':{'c':1},'b':{'c':2}},'b':{'c':3}}", "a.b.c", SCAN_NUMBER, "2"},
    {"{'a':{'b':1},'c':2}", "c", SCAN_NUMBER, "2"},
    {"{'a':{'b':{'c':1}},'d':{'e':2}}", "d.e", SCAN_NUMBER, "2"},
    {"{'a':{'b':{'c':{'d':{'e':{'f':1}}}},'g':2}}", "a.g", SCAN_NUMBER, "2"},
    {"{'a':[{'b':[1]}],'c':{'b':2}}", "c.b", SCAN_NUMBER, "2"},
    {"{'':1}", "", SCAN_NUMBER, "1"},
    {"{'a':{'':1}}", "a.", SCAN_NUMBER, "1"},
    {"{'':{'b':1}}", ".b", SCAN_NUMBER, "1"},
    /* not there */
    {"{}", "a", SCAN_ABSENT, NULL},
    {"{'b':1}", "a", SCAN_ABSENT, NULL},
    {"{'b':'a'}", "a", SCAN_ABSENT, NULL},
    {"{'a':{'c':1},'b':2}", "a.b", SCAN_ABSENT, NULL},
    {"{'b':{'a':1}}", "a", SCAN_ABSENT, NULL},
    {"{'b':{'a':1}}", "a.b", SCAN_ABSENT, NULL},
    {"{'a':{'b':{'c':1}}}", "a.c", SCAN_ABSENT, NULL},
    {"{'a':{'b':{'c':1}}}", "b.c", SCAN_ABSENT, NULL},
    {"{'a':{'b':{'c':1}}}", "c", SCAN_ABSENT, NULL},
    {"{'x':{'a':{'b':{'c':1}}}}", "a.b.c", SCAN_ABSENT, NULL},
    {"{'a':{'x':{'b':{'c':1}}}}", "a.b.c", SCAN_ABSENT, NULL},
    {"{'a':{'b':{'x':{'c':1}}}}", "a.b.c", SCAN_ABSENT, NULL},
    {"{'a':{'b':{'x':{'y':{'c':1}}}}}", "a.b.c", SCAN_ABSENT, NULL},
    {"{'a':'b'}", "a.b", SCAN_ABSENT, NULL},
    {"{'a':null,'b':1}", "a.b", SCAN_ABSENT, NULL},
    {"{'a':{},'b':1}", "a.b", SCAN_ABSENT, NULL},
    {"{'a':{'x':{}},'b':1}", "a.b", SCAN_ABSENT, NULL},
    {"'a'", "a", SCAN_ABSENT, NULL},
    {"{'a':1}", NULL, SCAN_ABSENT, NULL},
    {"{'':1}", NULL, SCAN_ABSENT, NULL},
    /* names with dots cannot be asked for, nor do they look like paths */
    {"{'a.b':1}", "a.b", SCAN_ABSENT, NULL},
    {"{'a.b':1,'a':{'b':2}}", "a.b", SCAN_NUMBER, "2"},
    {"{'a':{'b':2},'a.b':1}", "a.b", SCAN_NUMBER, "2"},
    {"{'a.b':{'c':1}}", "a.b.c", SCAN_ABSENT, NULL},
    {"{'a':{'b.c':1}}", "a.b.c", SCAN_ABSENT, NULL},
    {"{'a\\u002eb':1}", "a.b", SCAN_ABSENT, NULL},
    /* arrays hide what is in them */
    {"[{'a':1}]", "a", SCAN_ABSENT, NULL},
    {"[[{'a':1}]]", "a", SCAN_ABSENT, NULL},
    {"{'a':[{'b':1}]}", "a.b", SCAN_ABSENT, NULL},
    {"{'a':['b',1]}", "a.b", SCAN_ABSENT, NULL},
    {"{'a':[[{'b':1}]]}", "a.b", SCAN_ABSENT, NULL},
    {"{'a':{'b':[{'c':1}]}}", "a.b.c", SCAN_ABSENT, NULL},
    {"{'a':[{'a':{'b':1}}]}", "a.b", SCAN_ABSENT, NULL},
    {"{'a':{'b':[[{'c':1}],{'c':2}]}}", "a.b.c", SCAN_ABSENT, NULL},
    {"{'a':{'b':2},'x':[{'a':{'b':1}}]}", "a.b", SCAN_NUMBER, "2"},
    {"{'a':{'x':[{'b':1}],'b':2,'y':[{'b':3}]}}", "a.b", SCAN_NUMBER, "2"},
    {"{'a':[{'b':1},{'b':2}],'a':{'b':3}}", "a.b", SCAN_NUMBER, "3"},
    /* the last of the same name counts */
    {"{'a':1,'a':2}", "a", SCAN_NUMBER, "2"},
    {"{'a':1,'b':9,'a':'s','c':9}", "a", SCAN_STRING, "'s'"},
    {"{'a':'s','a':null}", "a", SCAN_NULL, "null"},
    {"{'a':{'b':1,'b':2}}", "a.b", SCAN_NUMBER, "2"},
    {"{'a':1,'\\u0061':2}", "a", SCAN_NUMBER, "2"},
    {"{'\\u0061':1,'a':2}", "a", SCAN_NUMBER, "2"},
    {"{'a':1,'A':2}", "a", SCAN_NUMBER, "1"},
    /* a repeated parent hides what was below the earlier one */
    {"{'a':{'b':1},'a':{}}", "a.b", SCAN_ABSENT, NULL},
    {"{'a':{'b':1},'a':2}", "a.b", SCAN_ABSENT, NULL},
    {"{'a':{'b':1},'a':null}", "a.b", SCAN_ABSENT, NULL},
    {"{'a':{'b':1},'a':[]}", "a.b", SCAN_ABSENT, NULL},
    {"{'a':{'b':1},'a':{'c':2}}", "a.b", SCAN_ABSENT, NULL},
    {"{'a':{'b':1},'a':{'b':2}}", "a.b", SCAN_NUMBER, "2"},
    {"{'a':{'b':1},'a':{'c':0},'a':{'b':3}}", "a.b", SCAN_NUMBER, "3"},
    {"{'a':{'b':1},'\\u0061':{}}", "a.b", SCAN_ABSENT, NULL},
    {"{'a':{'b':{'c':1}},'a':{}}", "a.b.c", SCAN_ABSENT, NULL},
    {"{'a':{'b':{'c':1},'b':{}}}", "a.b.c", SCAN_ABSENT, NULL},
    {"{'a':{'b':{'c':1},'b':{'c':2}}}", "a.b.c", SCAN_NUMBER, "2"},
    {"{'a':{'b':{'c':1}},'a':{'b':2}}", "a.b.c", SCAN_ABSENT, NULL},
    {"{'a':{'b':{'c':1}},'a':{'b':{}}}", "a.b.c", SCAN_ABSENT, NULL},
    {"{'a':{'b':{'c':1},'x':{}}}", "a.b.c", SCAN_NUMBER, "1"},
    {"{'a':{'b':1},'x':{'a':{}}}", "a.b", SCAN_NUMBER, "1"},
    {"{'a':{'b':1},'x':[{'a':{}}]}", "a.b", SCAN_NUMBER, "1"},
    {"{'a':{'b':1},'ab':{}}", "a.b", SCAN_NUMBER, "1"},
    {"{'a':1,'a':{'a':2}}", "a", SCAN_OBJECT, "{"},
    {"{'a':{'a':{'a':1}}}", "a.a.a", SCAN_NUMBER, "1"},
    {"{'a':{'a':{'a':1}},'a':{'a':2}}", "a.a", SCAN_NUMBER, "2"},
    /* names that begin alike */
    {"{'meta':1,'metadata':2,'met':3}", "meta", SCAN_NUMBER, "1"},
    {"{'meta':1,'metadata':2,'met':3}", "metadata", SCAN_NUMBER, "2"},
    {"{'meta':1,'metadata':2,'met':3}", "met", SCAN_NUMBER, "3"},
    {"{'meta':1,'metadata':2}", "met", SCAN_ABSENT, NULL},
    {"{'met':1,'meta':2}", "metadata", SCAN_ABSENT, NULL},
    {"{'ab':{'c':1}}", "a.c", SCAN_ABSENT, NULL},
    {"{'a':{'c':1}}", "ab.c", SCAN_ABSENT, NULL},
    {"{'ab':{'c':1},'a':{'bc':2}}", "a.bc", SCAN_NUMBER, "2"},
    {"{'a':{'b':1,'bc':2}}", "a.b", SCAN_NUMBER, "1"},
    {"{'':1}", "a", SCAN_ABSENT, NULL},
    {"{'a':1}", "", SCAN_ABSENT, NULL},
    /* escaped names */
    {"{'\\u006d\\u0065ta':{'id':1}}", "meta.id", SCAN_NUMBER, "1"},
    {"{'\\u006D\\u0065\\u0074\\u0061':1}", "meta", SCAN_NUMBER, "1"},
    {"{'met\\u0061':1}", "meta", SCAN_NUMBER, "1"},
    {"{'met\\u0061x':1}", "meta", SCAN_ABSENT, NULL},
    {"{'met\\u0062':1}", "meta", SCAN_ABSENT, NULL},
    {"{'\\u006det':1}", "meta", SCAN_ABSENT, NULL},
    {"{'meta\\u0000':1}", "meta", SCAN_ABSENT, NULL},
    {"{'\\u0000':1}", "", SCAN_ABSENT, NULL},
    {"{'m\\u0000eta':1}", "m", SCAN_ABSENT, NULL},
    {"{'\\\\u006deta':1}", "meta", SCAN_ABSENT, NULL},
    {"{'a\\/b':1}", "a/b", SCAN_NUMBER, "1"},
    {"{'a\\\\b':1}", "a\\b", SCAN_NUMBER, "1"},
    {"{'\\b\\f\\n\\r\\t':1}", "\b\f\n\r\t", SCAN_NUMBER, "1"},
    {"{'\\u00e9':1}", "\xc3\xa9", SCAN_NUMBER, "1"},
    {"{'\xc3\xa9':1}", "\xc3\xa9", SCAN_NUMBER, "1"},
    {"{'\\u20ac':1}", "\xe2\x82\xac", SCAN_NUMBER, "1"},
    {"{'\\ud83d\\ude00':{'x':1}}", "\xf0\x9f\x98\x80.x", SCAN_NUMBER, "1"},
    {"{'\\u00e9':1}", "\xc3\xa8", SCAN_ABSENT, NULL},
    {"{'\\u00e9':1}", "\xc3", SCAN_ABSENT, NULL},
    {"{'\xc3\xa9\\u0061':1}",
     "\xc3\xa9"
     "a",
     SCAN_NUMBER, "1"},
};

/* The memory that the member had before is none of its business. */
static int check_member(const struct member_row *row)
{
    struct text json = quoted(row->json);
    struct text raw = quoted(row->raw == NULL ? "" : row->raw);
    struct scan_member member = {row->path, SCAN_OBJECT, 1000000, 5};
    struct scan_result result = scan(json.data, json.length, &member, 1);
    bool found = row->type != SCAN_ABSENT;
    bool right = result.verdict == SCAN_VALID && member.type == row->type;
    if (right && found)
        right = member.length == raw.length && member.offset > 0 &&
                member.offset + member.length < json.length &&
                memcmp(json.data + member.offset, raw.data, raw.length) == 0;
    if (!right)
        print_error("%s in %s: type %d is expected, got %d\n",
                    row->path == NULL ? "NULL" : row->path, row->json, (int)row->type,
                    (int)member.type);
    release(raw);
    release(json);
    return right ? 0 : 1;
}

static void test_members(void **state)
{
    (void)state;
    int faults = 0;
    for (size_t i = 0; i < COUNT(members_found); i++)
        faults += check_member(&members_found[i]);
    assert_int_equal(faults, 0);
}

/* Many in one call: they do not disturb each other, and the same path can be asked for twice. */
static void test_members_together(void **state)
{
    (void)state;
    struct scan_member members[] = {
        {.path = "a"},     {.path = "a.b"},  {.path = "a.b.c"}, {.path = NULL},
        {.path = "a.b.d"}, {.path = "b"},    {.path = "a.b.c"}, {.path = "b.c"},
        {.path = "c"},     {.path = "a.bb"}, {.path = ""},      {.path = "z"},
    };
    static const char *const raws[] = {"{", "{",  "1", NULL, "2",  "[",
                                       "1", NULL, "3", "4",  NULL, NULL};
    struct text json = quoted("{'a':{'b':{'c':1,'d':2},'bb':4},'b':[{'c':9}],'c':3}");
    assert_int_equal(scan(json.data, json.length, members, COUNT(members)).verdict, SCAN_VALID);
    for (size_t i = 0; i < COUNT(members); i++) {
        if ((members[i].type == SCAN_ABSENT) != (raws[i] == NULL))
            fail_msg("member %zu is of type %d", i, (int)members[i].type);
        if (raws[i] != NULL)
            assert_memory_equal(json.data + members[i].offset, raws[i], strlen(raws[i]));
    }
    release(json);
}

/* A text with the given 64 members: a0 to a15 with three names, and so on. */
static void build_many(struct buffer *json, char paths[SCAN_MEMBERS_MAX][16], bool reversed)
{
    assert_true(buffer_append_string(json, "{"));
    for (int n = 0; n < SCAN_MEMBERS_MAX; n++) {
        int i = reversed ? SCAN_MEMBERS_MAX - 1 - n : n;
        char member[48];
        (void)snprintf(paths[i], 16, i % 2 == 0 ? "m%d.x.y" : "m%d", i);
        (void)snprintf(member, sizeof member,
                       i % 2 == 0 ? "%s\"m%d\":{\"x\":{\"y\":%d}}" : "%s\"m%d\":%d",
                       n == 0 ? "" : ",", i, i);
        assert_true(buffer_append_string(json, member));
    }
    assert_true(buffer_append_string(json, "}"));
}

static void test_64_members(void **state)
{
    (void)state;
    for (int reversed = 0; reversed < 2; reversed++) {
        struct buffer json = BUFFER_INIT;
        char paths[SCAN_MEMBERS_MAX][16];
        struct scan_member members[SCAN_MEMBERS_MAX];
        build_many(&json, paths, reversed != 0);
        for (size_t i = 0; i < SCAN_MEMBERS_MAX; i++)
            members[i].path = paths[i];
        struct scan_result result = scan(json.data, json.length, members, SCAN_MEMBERS_MAX);
        assert_int_equal(result.verdict, SCAN_VALID);
        for (size_t i = 0; i < SCAN_MEMBERS_MAX; i++) {
            char expected[8];
            int length = snprintf(expected, sizeof expected, "%zu", i);
            if (members[i].type != SCAN_NUMBER || members[i].length != (size_t)length ||
                memcmp(json.data + members[i].offset, expected, (size_t)length) != 0)
                fail_msg("%s is not %s", paths[i], expected);
        }
        buffer_release(&json);
    }
}

static void test_64_times_the_same_member(void **state)
{
    (void)state;
    struct scan_member members[SCAN_MEMBERS_MAX];
    struct text json = quoted("{'a':{'b':'here'}}");
    for (size_t i = 0; i < SCAN_MEMBERS_MAX; i++)
        members[i].path = "a.b";
    assert_int_equal(scan(json.data, json.length, members, SCAN_MEMBERS_MAX).verdict, SCAN_VALID);
    for (size_t i = 0; i < SCAN_MEMBERS_MAX; i++) {
        assert_int_equal(members[i].type, SCAN_STRING);
        assert_int_equal(members[i].offset, 10);
        assert_int_equal(members[i].length, 6);
    }
    release(json);
}

/* --- values --- */

struct value_row {
    const char *json; /* with ' for " */
    const char *value;
    size_t length;
};

#define VALUE(json, value)                                                                         \
    {                                                                                              \
        json, value, sizeof value - 1                                                              \
    }

static const struct value_row values[] = {
    VALUE("''", ""),
    VALUE("'plain'", "plain"),
    VALUE("'\\\"'", "\""),
    VALUE("'\\\\'", "\\"),
    VALUE("'\\/'", "/"),
    VALUE("'\\b'", "\b"),
    VALUE("'\\f'", "\f"),
    VALUE("'\\n'", "\n"),
    VALUE("'\\r'", "\r"),
    VALUE("'\\t'", "\t"),
    VALUE("'a\\b\\f\\n\\r\\t\\\"\\\\\\/z'", "a\b\f\n\r\t\"\\/z"),
    VALUE("'\\u0000'", "\0"),
    VALUE("'a\\u0000b'", "a\0b"),
    VALUE("'\\u0000\\u0000'", "\0\0"),
    VALUE("'\\u0041\\u00410'", "AA0"),
    VALUE("'\\u007f'", "\x7f"),
    VALUE("'\\u0080'", "\xc2\x80"),
    VALUE("'\\u00e9\\u00E9'", "\xc3\xa9\xc3\xa9"),
    VALUE("'\\u07ff'", "\xdf\xbf"),
    VALUE("'\\u0800'", "\xe0\xa0\x80"),
    VALUE("'\\u20ac'", "\xe2\x82\xac"),
    VALUE("'\\ud7ff'", "\xed\x9f\xbf"),
    VALUE("'\\ue000'", "\xee\x80\x80"),
    VALUE("'\\uffff'", "\xef\xbf\xbf"),
    VALUE("'\\uFEFF'", "\xef\xbb\xbf"),
    VALUE("'\\ud800\\udc00'", "\xf0\x90\x80\x80"),
    VALUE("'\\ud83d\\ude00'", "\xf0\x9f\x98\x80"),
    VALUE("'\\uDBFF\\uDFFF'", "\xf4\x8f\xbf\xbf"),
    VALUE("'\\ud83d\\ude00\\n\\ud83d\\ude01'", "\xf0\x9f\x98\x80\n\xf0\x9f\x98\x81"),
    VALUE("'\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80'", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
    VALUE("'\\\\u0041'", "\\u0041"),
    VALUE("'\\\\\\\\'", "\\\\"),
    VALUE("'\\\\n'", "\\n"),
    VALUE("0", "0"),
    VALUE("-0", "-0"),
    VALUE("-12.50E+07", "-12.50E+07"),
    VALUE("1e400", "1e400"),
    VALUE("1234567890123456789012345", "1234567890123456789012345"),
    VALUE("true", ""),
    VALUE("false", ""),
    VALUE("null", ""),
    VALUE("[]", ""),
    VALUE("['a']", ""),
    VALUE("{}", ""),
    VALUE("{'a':'b'}", ""),
};

/* The value goes behind what the buffer holds. */
static int check_value(const struct value_row *row)
{
    char wrapped[128];
    struct buffer value = BUFFER_INIT;
    struct scan_member member = {.path = "k"};
    (void)snprintf(wrapped, sizeof wrapped, "{'k':%s}", row->json);
    struct text json = quoted(wrapped);
    bool right = scan(json.data, json.length, &member, 1).verdict == SCAN_VALID &&
                 buffer_append_string(&value, "before ") && decode(json.data, &member, &value) &&
                 value.length == 7 + row->length && memcmp(value.data, "before ", 7) == 0 &&
                 memcmp(value.data + 7, row->value, row->length) == 0;
    if (!right)
        print_error("%s: got %s\n", row->json, shown(value.data, value.length));
    buffer_release(&value);
    release(json);
    return right ? 0 : 1;
}

static void test_values(void **state)
{
    (void)state;
    int faults = 0;
    for (size_t i = 0; i < COUNT(values); i++)
        faults += check_value(&values[i]);
    assert_int_equal(faults, 0);
}

static void test_value_of_absent_member(void **state)
{
    (void)state;
    struct buffer value = BUFFER_INIT;
    struct scan_member member = {.path = "k"};
    assert_int_equal(scan("{}", 2, &member, 1).verdict, SCAN_VALID);
    assert_true(decode("{}", &member, &value));
    assert_int_equal(value.length, 0);
    buffer_release(&value);
}

/* --- texts that arrive in pieces --- */

static const unsigned char piece_sizes[][3] = {{0, 0, 0}, {1, 1, 1},  {2, 2, 2},    {6, 6, 6},
                                               {0, 1, 2}, {7, 0, 15}, {15, 15, 15}, {30, 62, 126}};

/* Compare one scan in pieces with that of the whole. */
static int check_cut(struct text text, const struct scan_result *whole,
                     const struct scan_member *members, size_t count, const unsigned char *sizes,
                     size_t split)
{
    struct scan_member found[SCAN_MEMBERS_MAX];
    for (size_t i = 0; i < count; i++)
        found[i] = (struct scan_member){members[i].path, SCAN_OBJECT, 1000000, 5};
    struct scan_result result =
        pieces_scan(text, sizes, sizes == NULL ? 0 : 3, split, found, count);
    if (pieces_agree(whole, members, &result, found, count))
        return 0;
    print_error("%s: in pieces (%d, split at %zu) %s at %zu (%s), as a whole %s at %zu (%s)\n",
                shown(text.data, text.length), sizes == NULL ? 0 : sizes[0] + 1, split,
                verdict_name(result.verdict), result.offset,
                result.problem == NULL ? "members differ" : result.problem,
                verdict_name(whole->verdict), whole->offset,
                whole->problem == NULL ? "-" : whole->problem);
    return 1;
}

/* In pieces of many sizes and, unless it is long, in two at every place. */
static int check_pieces(struct text text, const char *const *paths, size_t count)
{
    enum { LONG = 2000 };
    struct scan_member members[SCAN_MEMBERS_MAX] = {{0}};
    int faults = 0;
    for (size_t i = 0; i < count; i++)
        members[i].path = paths[i];
    struct scan_result whole = scan(text.data, text.length, members, count);
    for (size_t i = 0; i < COUNT(piece_sizes); i++)
        faults += check_cut(text, &whole, members, count, piece_sizes[i], 0);
    for (size_t split = 1; split < text.length && text.length < LONG; split++)
        faults += check_cut(text, &whole, members, count, NULL, split);
    return faults;
}

static int check_rows_in_pieces(const struct row *rows, size_t count)
{
    static const char *const paths[] = {"k", "a", "a.b", "", "k.a.b"};
    int faults = 0;
    for (size_t i = 0; i < count; i++) {
        struct buffer object = BUFFER_INIT;
        faults += check_pieces((struct text){rows[i].json, rows[i].length}, paths, COUNT(paths));
        assert_true(buffer_append_string(&object, "{\"k\" : ") &&
                    buffer_append(&object, rows[i].json, rows[i].length) &&
                    buffer_append_string(&object, ", \"a\":1}"));
        faults += check_pieces((struct text){object.data, object.length}, paths, COUNT(paths));
        buffer_release(&object);
    }
    return faults;
}

static void test_rows_in_pieces(void **state)
{
    (void)state;
    int faults = check_rows_in_pieces(numbers, COUNT(numbers));
    faults += check_rows_in_pieces(words, COUNT(words));
    faults += check_rows_in_pieces(strings, COUNT(strings));
    faults += check_rows_in_pieces(escapes, COUNT(escapes));
    faults += check_rows_in_pieces(surrogates, COUNT(surrogates));
    faults += check_rows_in_pieces(utf8, COUNT(utf8));
    faults += check_rows_in_pieces(spaces, COUNT(spaces));
    faults += check_rows_in_pieces(arrays, COUNT(arrays));
    faults += check_rows_in_pieces(objects, COUNT(objects));
    assert_int_equal(faults, 0);
}

static void test_members_in_pieces(void **state)
{
    (void)state;
    int faults = 0;
    for (size_t i = 0; i < COUNT(members_found); i++) {
        struct text json = quoted(members_found[i].json);
        const char *const paths[] = {members_found[i].path, "a", "b", "a.b", "meta.id"};
        faults += check_pieces(json, paths, COUNT(paths));
        for (size_t cut = 0; cut < json.length; cut++)
            faults += check_pieces((struct text){json.data, cut}, paths, COUNT(paths));
        release(json);
    }
    assert_int_equal(faults, 0);
}

static void test_values_in_pieces(void **state)
{
    (void)state;
    static const char *const paths[] = {"k"};
    int faults = 0;
    for (size_t i = 0; i < COUNT(values); i++) {
        char wrapped[128];
        (void)snprintf(wrapped, sizeof wrapped, "{'k':%s}", values[i].json);
        struct text json = quoted(wrapped);
        faults += check_pieces(json, paths, COUNT(paths));
        release(json);
    }
    assert_int_equal(faults, 0);
}

/* As deep as it may be, and one level too deep. */
static void test_depth_in_pieces(void **state)
{
    (void)state;
    static const char *const patterns[] = {"[", "{\"a\":", "[[{\"a\":"};
    static const char *const paths[] = {"a", "a.a.a"};
    int faults = 0;
    for (size_t i = 0; i < COUNT(patterns); i++)
        for (size_t levels = SCAN_DEPTH_MAX - 3; levels < SCAN_DEPTH_MAX + 3; levels++) {
            struct buffer json = BUFFER_INIT;
            nest(&json, patterns[i], levels, "1");
            faults += check_pieces((struct text){json.data, json.length}, paths, COUNT(paths));
            buffer_release(&json);
        }
    assert_int_equal(faults, 0);
}

/* Tokens much longer than any piece, and than all that is kept. */
static void test_long_tokens_in_pieces(void **state)
{
    (void)state;
    enum { LONG = 5000 };
    static const struct {
        const char *before;
        const char *fill;
        const char *behind;
    } rows[] = {
        {"{\"k\":\"", "x", "\",\"a\":1}"},
        {"{\"k\":\"", "\xf0\x9f\x98\x80", "\",\"a\":1}"},
        {"{\"k\":\"", "\\ud83d\\ude00", "\"}"},
        {"{\"k\":-", "7", ".5e-3,\"a\":{\"b\":1}}"},
        {"{\"k\":1.", "5", "}"},
        {"{\"k\":1e+", "0", "}"},
        {"{\"k\"", " ", ":1}"},
        {"{\"k\":", "\n", "{}}"},
        {"{\"", "n", "\":1,\"k\":2}"},
        {"{\"", "\\u006e", "\":{\"k\":1},\"k\":2}"},
        {"{\"k\":1,\"", "\\\\", "\":{},\"a\":1}"},
        {"{\"k\":{\"", "n", "\":1},\"a\":[1]}"},
    };
    static const char *const paths[] = {"k", "a", "a.b"};
    int faults = 0;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buffer json = BUFFER_INIT;
        assert_true(buffer_append_string(&json, rows[i].before));
        while (json.length < LONG)
            assert_true(buffer_append_string(&json, rows[i].fill));
        assert_true(buffer_append_string(&json, rows[i].behind));
        for (size_t n = 0; n < 4; n++) /* whole, and cut short */
            faults += check_pieces((struct text){json.data, json.length - n}, paths, COUNT(paths));
        buffer_release(&json);
    }
    assert_int_equal(faults, 0);
}

/* A text with a name of `length` bytes, of which `escaped` are escaped and take six each. The name
 * decoded is the path. */
static void build_name(struct buffer *json, struct buffer *path, size_t length, size_t escaped)
{
    assert_true(buffer_append_string(json, "{\"k\":1,\""));
    for (size_t i = 0; i < escaped; i++)
        assert_true(buffer_append_string(json, "\\u0061") && buffer_append_string(path, "a"));
    for (size_t i = 6 * escaped; i < length; i++)
        assert_true(buffer_append_string(json, "b") && buffer_append_string(path, "b"));
    assert_true(buffer_append_string(json, "\":{\"k\":2},\"a\":3}") && buffer_append(path, "", 1));
}

/* Around the longest name that is found wherever it is cut. Longer ones need not be; but they must
 * be read, and not be taken for others. */
static void test_longest_names_in_pieces(void **state)
{
    (void)state;
    int faults = 0;
    for (size_t length = SCAN_NAME_MAX - 3; length < SCAN_NAME_MAX + 3; length++)
        for (size_t escaped = 0; escaped < SCAN_NAME_MAX / 6; escaped += 83) {
            struct buffer json = BUFFER_INIT;
            struct buffer path = BUFFER_INIT;
            build_name(&json, &path, length, escaped);
            /* With its opening quote, a name that fits is to be found. */
            const char *const paths[] = {length < SCAN_NAME_MAX ? path.data : "no", "k", "a", "b"};
            faults += check_pieces((struct text){json.data, json.length}, paths, COUNT(paths));
            buffer_release(&json);
            buffer_release(&path);
        }
    assert_int_equal(faults, 0);
}

/* The end is not an end until it is asked for: a source that has nothing, or whose text ends where
 * a piece ends. */
static void test_ends_of_pieces(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",       "0",   "-1.5e3", "true",   "\"s\"",     "{}",           "[1]", " 1 ",
        "1 ",     "\n",  "-",      "1.",     "1e+",       "tru",          "\"s", "\"\\",
        "{\"a\"", "[1,", "\xc3",   "\"\xc3", "\"\\ud83d", "\"\\ud83d\\u", "1x",  "{}x"};
    static const char *const paths[] = {"a"};
    int faults = 0;
    for (size_t i = 0; i < COUNT(texts); i++)
        faults += check_pieces(text_of(texts[i]), paths, COUNT(paths));
    assert_int_equal(faults, 0);
}

/* --- lexemes --- */

static void test_decode_moves_by_characters(void **state)
{
    (void)state;
    static const char text[] = "a\\n\\u20ac\\ud83d\\ude00\xc3\xa9";
    static const size_t moves[] = {1, 2, 6, 12, 1, 1};
    static const size_t sizes[] = {1, 1, 3, 4, 1, 1};
    const unsigned char *at = (const unsigned char *)text;
    for (size_t i = 0; i < COUNT(moves); i++) {
        const unsigned char *before = at;
        unsigned char out[4];
        assert_int_equal(lexeme_decode(&at, out), sizes[i]);
        assert_int_equal(at - before, moves[i]);
    }
    assert_int_equal(*at, '\0');
}

/* --- against json-c --- */

static uint64_t random_state;

/* xorshift64*: the same documents in every run. */
static unsigned below(unsigned limit)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (unsigned)((random_state * UINT64_C(2685821657736338717)) >> 33) % limit;
}

static void put(struct buffer *json, const char *text)
{
    assert_true(buffer_append_string(json, text));
}

static void put_space(struct buffer *json)
{
    static const char *const kinds[] = {" ", "\n", "\t", "\r\n  "};
    if (below(4) == 0)
        put(json, kinds[below(COUNT(kinds))]);
}

/* Any code point but a surrogate, raw or escaped. Escaped ones above U+FFFF must not look like a
 * surrogate in their low 16 bits: json-c 0.16 takes them for one. */
static void put_random_character(struct buffer *json)
{
    static const unsigned limits[] = {0x80, 0x800, 0x10000, 0x110000};
    unsigned point = below(limits[below(COUNT(limits))]);
    char text[16];
    if (point >= 0xd800 && point <= 0xdfff)
        return;
    if (point < 0x10000 && (below(2) == 0 || point < 0x800))
        (void)snprintf(text, sizeof text, below(2) == 0 ? "\\u%04x" : "\\u%04X", point);
    else if (point < 0x10000)
        (void)snprintf(text, sizeof text, "%c%c%c", (int)(0xe0 | point >> 12),
                       (int)(0x80 | (point >> 6 & 63)), (int)(0x80 | (point & 63)));
    else if (below(2) == 0 && (point & 0xf800) != 0xd800)
        (void)snprintf(text, sizeof text, "\\u%04x\\u%04X", 0xd800 + ((point - 0x10000) >> 10),
                       0xdc00 + (point & 0x3ff));
    else
        (void)snprintf(text, sizeof text, "%c%c%c%c", (int)(0xf0 | point >> 18),
                       (int)(0x80 | (point >> 12 & 63)), (int)(0x80 | (point >> 6 & 63)),
                       (int)(0x80 | (point & 63)));
    put(json, text);
}

static void put_random_string(struct buffer *json)
{
    static const char *const pieces[] = {
        "a",
        "order",
        "\\n",
        "\\\"",
        "\\\\",
        "\\/",
        "\\u0000",
        "\\t\\b\\f\\r",
        " ",
        "\xc3\xa9",
        "\xe2\x82\xac",
        "\xf0\x9f\x98\x80",
        "{'}[]:,.",
        "much plain text that takes several words",
    };
    put(json, "\"");
    for (unsigned left = below(8); left > 0; left--) {
        if (below(3) == 0)
            put_random_character(json);
        else
            put(json, pieces[below(COUNT(pieces))]);
    }
    put(json, "\"");
}

/* Few names, so that there are many repetitions; one begins another; one has a dot. */
static const char *const name_pool[] = {"a",        "ab", "b",        "meta",
                                        "metadata", "id", "\xc3\xa9", "a.b"};

static void put_random_name(struct buffer *json)
{
    const char *name = name_pool[below(COUNT(name_pool))];
    put(json, "\"");
    for (; *name != '\0'; name++) {
        char text[8];
        bool escaped = (unsigned char)*name < 0x80 && below(8) == 0;
        (void)snprintf(text, sizeof text, escaped ? "\\u%04x" : "%c",
                       (unsigned)(unsigned char)*name);
        put(json, text);
    }
    put(json, "\"");
}

static void put_random_number(struct buffer *json)
{
    const char *sign = below(3) == 0 ? "-" : "";
    unsigned whole = below(100000);
    unsigned part = below(30);
    char text[64];
    switch (below(4)) {
    case 0:
        (void)snprintf(text, sizeof text, "%s%u", sign, whole);
        break;
    case 1:
        (void)snprintf(text, sizeof text, "%s%u.%03u", sign, whole, part);
        break;
    case 2:
        (void)snprintf(text, sizeof text, "%s%u.5e+%u", sign, whole, part);
        break;
    default:
        (void)snprintf(text, sizeof text, "%s%uE-%u", sign, whole, part);
    }
    put(json, text);
}

static void put_random_scalar(struct buffer *json)
{
    static const char *const scalars[] = {"true", "false", "null", "[]", "{}", "\"\"", "[ ]"};
    unsigned kind = below(4);
    if (kind == 0)
        put(json, scalars[below(COUNT(scalars))]);
    else if (kind == 1)
        put_random_number(json);
    else
        put_random_string(json);
}

/* An object; or, inside of it, one time in four, an array. */
static void put_random_container(struct buffer *json, unsigned depth)
{
    bool object = depth == 0 || below(4) != 0;
    put(json, object ? "{" : "[");
    for (unsigned count = 1 + below(6), i = 0; i < count; i++) {
        put(json, i == 0 ? "" : ",");
        put_space(json);
        if (object) {
            put_random_name(json);
            put_space(json);
            put(json, ":");
            put_space(json);
        }
        if (depth < 5 && below(5) < 3)
            put_random_container(json, depth + 1);
        else
            put_random_scalar(json);
        put_space(json);
    }
    put(json, object ? "}" : "]");
}

static void random_path(char path[32])
{
    path[0] = '\0';
    for (unsigned left = 1 + below(SCAN_PATH_MAX); left > 0; left--) {
        strcat(path, name_pool[below(COUNT(name_pool) - 1)]);
        strcat(path, left > 1 ? "." : "");
    }
}

/* What json-c finds under the path. */
static bool look_up(struct json_object *top, const char *path, struct json_object **value)
{
    char names[32];
    char *rest = names;
    (void)snprintf(names, sizeof names, "%s", path);
    *value = top;
    while (rest != NULL) {
        const char *name = strsep(&rest, ".");
        if (!json_object_is_type(*value, json_type_object) ||
            !json_object_object_get_ex(*value, name, value))
            return false;
    }
    return true;
}

static enum scan_type type_of(struct json_object *value)
{
    static const enum scan_type types[] = {
        [json_type_null] = SCAN_NULL,     [json_type_boolean] = SCAN_BOOLEAN,
        [json_type_double] = SCAN_NUMBER, [json_type_int] = SCAN_NUMBER,
        [json_type_object] = SCAN_OBJECT, [json_type_array] = SCAN_ARRAY,
        [json_type_string] = SCAN_STRING,
    };
    return types[json_object_get_type(value)];
}

static bool same_value(const char *json, const struct scan_member *member,
                       struct json_object *value)
{
    struct buffer decoded = BUFFER_INIT;
    bool same = decode(json, member, &decoded);
    if (member->type == SCAN_STRING) {
        size_t length = (size_t)json_object_get_string_len(value);
        same = same && decoded.length == length &&
               (length == 0 || memcmp(decoded.data, json_object_get_string(value), length) == 0);
    } else if (member->type == SCAN_NUMBER) {
        same = same && buffer_append(&decoded, "", 1) &&
               strtod(decoded.data, NULL) == json_object_get_double(value);
    } else if (member->type == SCAN_BOOLEAN) {
        same = same && (json[member->offset] == 't') == (json_object_get_boolean(value) != 0);
    }
    buffer_release(&decoded);
    return same;
}

static void compare(const struct text json, struct json_object *top)
{
    char paths[SCAN_MEMBERS_MAX][32];
    struct scan_member members[SCAN_MEMBERS_MAX];
    for (size_t i = 0; i < SCAN_MEMBERS_MAX; i++) {
        random_path(paths[i]);
        members[i].path = paths[i];
    }
    struct scan_result result = scan(json.data, json.length, members, SCAN_MEMBERS_MAX);
    if (result.verdict != SCAN_VALID)
        fail_msg("json-c accepts %.*s", (int)json.length, json.data);
    for (size_t i = 0; i < SCAN_MEMBERS_MAX; i++) {
        struct json_object *value;
        bool found = look_up(top, paths[i], &value);
        if (members[i].type != (found ? type_of(value) : SCAN_ABSENT) ||
            (found && !same_value(json.data, &members[i], value)))
            fail_msg("%s differs in %.*s", paths[i], (int)json.length, json.data);
    }
}

/* In pieces of random sizes, and in two at a random place. */
static int check_random_pieces(struct text text)
{
    const unsigned char sizes[3] = {(unsigned char)below(40), (unsigned char)below(10),
                                    (unsigned char)below(200)};
    struct scan_member members[] = {
        {.path = "a"}, {.path = "meta"}, {.path = "a.b"}, {.path = "meta.a"}, {.path = "b.a.meta"}};
    struct scan_result whole = scan(text.data, text.length, members, COUNT(members));
    size_t split = 1 + below((unsigned)text.length);
    return check_cut(text, &whole, members, COUNT(members), sizes, 0) +
           check_cut(text, &whole, members, COUNT(members), NULL, split);
}

static void test_against_json_c(void **state)
{
    (void)state;
    random_state = 20250423;
    for (int i = 0; i < 3000; i++) {
        struct buffer json = BUFFER_INIT;
        struct json_object *top;
        put_random_container(&json, 0);
        if (!json_c_accepts(json.data, json.length, &top))
            fail_msg("json-c does not accept %.*s", (int)json.length, json.data);
        char *copy = exact_copy(json.data, json.length);
        compare((struct text){copy, json.length}, top);
        size_t cut = below((unsigned)json.length);
        assert_int_equal(check_verdict(copy, cut, SCAN_INCOMPLETE, cut), 0);
        assert_int_equal(check_random_pieces((struct text){copy, json.length}), 0);
        free(copy);
        json_object_put(top);
        buffer_release(&json);
    }
}

/* The same documents with some bytes changed: mostly invalid, in ways nobody thought of. */
static void test_against_json_c_corrupted(void **state)
{
    (void)state;
    int faults = 0;
    random_state = 20250424;
    for (int i = 0; i < 1000; i++) {
        static const char favourites[] = "\"\\{}[],:0-.eu d\x80\xc3";
        struct buffer json = BUFFER_INIT;
        put_random_container(&json, 0);
        for (int n = 0; n < 20; n++) {
            char *copy = exact_copy(json.data, json.length);
            for (unsigned left = 1 + below(2); left > 0; left--)
                copy[below((unsigned)json.length)] =
                    below(2) == 0 ? favourites[below(sizeof favourites)] : (char)below(256);
            faults += check_corrupt(copy, json.length) +
                      check_random_pieces((struct text){copy, json.length});
            free(copy);
        }
        buffer_release(&json);
    }
    assert_int_equal(faults, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_surrogates),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_spaces),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_no_bytes_at_all),
        cmocka_unit_test(test_top),
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_every_byte_as_escape),
        cmocka_unit_test(test_every_byte_as_hex_digit),
        cmocka_unit_test(test_every_byte_alone),
        cmocka_unit_test(test_every_code_point),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_depth_again_and_again),
        cmocka_unit_test(test_wrong_closing_at_each_depth),
        cmocka_unit_test(test_every_prefix_is_incomplete),
        cmocka_unit_test(test_every_byte_corrupted),
        cmocka_unit_test(test_every_byte_removed_or_doubled),
        cmocka_unit_test(test_every_byte_at_each_place),
        cmocka_unit_test(test_every_byte_behind_a_string),
        cmocka_unit_test(test_every_length_of_string),
        cmocka_unit_test(test_every_character_at_each_place),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_members_together),
        cmocka_unit_test(test_64_members),
        cmocka_unit_test(test_64_times_the_same_member),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_value_of_absent_member),
        cmocka_unit_test(test_rows_in_pieces),
        cmocka_unit_test(test_members_in_pieces),
        cmocka_unit_test(test_values_in_pieces),
        cmocka_unit_test(test_depth_in_pieces),
        cmocka_unit_test(test_long_tokens_in_pieces),
        cmocka_unit_test(test_longest_names_in_pieces),
        cmocka_unit_test(test_ends_of_pieces),
        cmocka_unit_test(test_decode_moves_by_characters),
        cmocka_unit_test(test_against_json_c),
        cmocka_unit_test(test_against_json_c_corrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

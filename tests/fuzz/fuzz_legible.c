/*
 * What others have written, as an operator's terminal gets it: nothing in it that a terminal obeys,
 * and nothing lost. And what operators write themselves: ages, and the names of leases.
 */
#include "age.h"
#include "fuzz.h"
#include "legible.h"
#include "subject.h"

#include <jansson.h>

static bool is_tame(char byte, const char *but)
{
    return ((unsigned char)byte >= ' ' && byte != '\x7f') || (byte != '\0' && strchr(but, byte));
}

/* Read back what legible_append has written, in place. Returns the length. */
static size_t unescape(char *text, size_t length)
{
    size_t out = 0;
    for (size_t at = 0; at < length; at++) {
        unsigned byte;
        if (text[at] != '\\') {
            text[out++] = text[at];
            continue;
        }
        CHECK(++at < length);
        const char *simple = strchr("\\\\t\tn\nr\r", text[at]);
        if (text[at] != 'x') {
            CHECK(simple != NULL);
            text[out++] = simple[1];
            continue;
        }
        CHECK(at + 2 < length);
        char digits[] = {text[at + 1], text[at + 2], '\0'};
        CHECK(sscanf(digits, "%2x", &byte) == 1);
        text[out++] = (char)byte;
        at += 2;
    }
    return out;
}

static void check_cell(struct text value, bool ascii)
{
    size_t columns = 0;
    struct buffer out = BUFFER_INIT;
    CHECK(legible_append(&out, value, ascii, &columns));
    CHECK(columns <= out.length);
    for (size_t i = 0; i < out.length; i++)
        CHECK(is_tame(out.data[i], "") && (!ascii || (unsigned char)out.data[i] < 0x80));
    CHECK(unescape(out.data, out.length) == value.length);
    CHECK(value.length == 0 || memcmp(out.data, value.data, value.length) == 0);
    buffer_release(&out);
}

/* JSON means the same as before, if it has no carriage return between its strings. (Jansson takes a
 * NUL for the end.) */
static void check_lines(struct text value, bool ascii)
{
    const size_t flags = JSON_ALLOW_NUL | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL;
    struct buffer out = BUFFER_INIT;
    CHECK(legible_append_lines(&out, value, ascii));
    for (size_t i = 0; i < out.length; i++)
        CHECK(is_tame(out.data[i], "\t\n") && (!ascii || (unsigned char)out.data[i] < 0x80));
    bool odd = memchr(value.data, '\r', value.length) || memchr(value.data, '\0', value.length);
    json_t *before = odd ? NULL : json_loadb(value.data, value.length, flags, NULL);
    json_t *after = out.length == 0 ? NULL : json_loadb(out.data, out.length, flags, NULL);
    CHECK(before == NULL || json_equal(before, after));
    json_decref(before);
    json_decref(after);
    buffer_release(&out);
}

static void check_words(const char *word)
{
    int64_t age;
    struct subject subject;
    char hex[SUBJECT_HEX_SIZE];
    char text[AGE_SIZE];
    if (age_parse(word, &age)) {
        CHECK(strspn(word, "0123456789") == strlen(word) - 1);
        CHECK(age >= 0 && age <= INT64_C(36500) * 24 * 3600 * 1000 && age % 1000 == 0);
        int64_t again;
        age_format(age, text);
        CHECK(age_parse(text, &again) && again <= age && again >= age / 3);
    }
    if (subject_parse_hex(word, &subject)) {
        subject_hex(&subject, hex);
        CHECK(strcmp(hex, word) == 0);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    (void)legible_start();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct text value = {(const char *)data, size};
    char *word = strndup((const char *)data, size);
    CHECK(word != NULL);
    for (int ascii = 0; ascii < 2 && size > 0; ascii++) {
        check_cell(value, ascii == 1);
        check_lines(value, ascii == 1);
    }
    check_words(word);
    free(word);
    return 0;
}

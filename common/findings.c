#include "findings.h"

#include "fields.h"

#include <json-c/json.h>

#include <stdarg.h>
#include <stdio.h>

enum {
    PATH_SIZE = 512,
    WORDS_SIZE = 512,
};

static const struct column columns[] = {{"FINDING", false}, {"WHERE", false}, {"WHAT", false}};

void findings_init(struct findings *findings, bool json)
{
    findings->json = json;
    findings->no_memory = false;
    findings->problems = 0;
    table_init(&findings->table, stdout, columns, sizeof columns / sizeof columns[0]);
}

static bool print_json(const struct findings *findings, const char *level, const char *path,
                       const char *words)
{
    struct json_object *object = json_object_new_object();
    if (fields_text(object, "finding", text_of(level)) &&
        fields_text(object, "where", text_of(path)) && fields_text(object, "what", text_of(words)))
        return fields_print(object, stdout, findings->table.terminal.ascii);
    json_object_put(object);
    return false;
}

static bool print(struct findings *findings, enum finding finding, const char *path,
                  const char *words)
{
    const char *level = finding == FINDING_PROBLEM ? "problem" : "note";
    const struct cell cells[] = {
        {text_of(level), finding == FINDING_PROBLEM ? HUE_BAD : HUE_DOUBTFUL},
        {text_of(path), HUE_PLAIN},
        {text_of(words), HUE_PLAIN}};
    return findings->json ? print_json(findings, level, path, words)
                          : table_row(&findings->table, cells);
}

void findings_add(struct findings *findings, enum finding finding, const char *directory,
                  const char *name, const char *format, ...)
{
    char path[PATH_SIZE];
    char words[WORDS_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    (void)snprintf(path, sizeof path, "%s%s%s", directory == NULL ? "." : directory,
                   name == NULL ? "" : "/", name == NULL ? "" : name);
    if (finding == FINDING_PROBLEM)
        findings->problems++;
    if (!print(findings, finding, path, words))
        findings->no_memory = true;
}

void findings_end(struct findings *findings)
{
    table_end(&findings->table);
}

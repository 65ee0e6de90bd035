#include "bulletin.h"

#include "age.h"
#include "fields.h"
#include "legible.h"
#include "table.h"
#include "terminal.h"
#include "timestamp.h"

#include <json-c/json.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NUMBER_SIZE = 24 };

/* --- for people --- */

static const struct column headings[] = {
    {"STATE", false}, {"ENTRIES", true}, {"OLDEST", true}, {"BYTES", true}, {"ODD FILES", true}};
enum { COLUMNS = sizeof headings / sizeof headings[0] };

static struct text number(uint64_t value, char text[NUMBER_SIZE])
{
    (void)snprintf(text, NUMBER_SIZE, "%" PRIu64, value);
    return text_of(text);
}

static bool print_state(struct table *table, const struct census *census, enum spool_state state)
{
    char texts[COLUMNS][NUMBER_SIZE];
    char age[AGE_SIZE];
    char oldest[TIMESTAMP_RFC3339_SIZE];
    const struct census_state *count = &census->states[state];
    bool detailed = count->detailed && count->entries > 0;
    age_format(census->now - count->oldest, age);
    timestamp_rfc3339(count->oldest, oldest);
    const struct cell cells[COLUMNS] = {
        {text_of(spool_state_name(state)), HUE_PLAIN},
        {number(count->entries, texts[1]),
         state == SPOOL_FAILED && count->entries > 0 ? HUE_BAD : HUE_PLAIN},
        {text_of(!detailed                 ? NULL
                 : table->terminal.present ? age
                                           : oldest),
         HUE_PLAIN},
        {detailed ? number(count->bytes, texts[3]) : text_of(NULL), HUE_PLAIN},
        {number(count->odd, texts[4]), count->odd > 0 ? HUE_DOUBTFUL : HUE_PLAIN},
    };
    return table_row(table, cells);
}

/* How many entries, and bytes, could still be added. */
static bool print_free(struct table *table, const struct census *census)
{
    char inodes[NUMBER_SIZE];
    char bytes[NUMBER_SIZE];
    enum hue hue = census_full(census) ? HUE_BAD : HUE_GOOD;
    const struct cell cells[COLUMNS] = {
        {text_of("free"), HUE_PLAIN},
        {census->counts_inodes ? number(census->free_inodes, inodes) : text_of(NULL), hue},
        {text_of(NULL), HUE_PLAIN},
        {number(census->free_bytes, bytes), hue},
        {text_of(NULL), HUE_PLAIN},
    };
    return table_row(table, cells);
}

bool bulletin_table(const struct census *census)
{
    struct table table;
    bool printed = true;
    table_init(&table, stdout, headings, COLUMNS);
    for (enum spool_state state = SPOOL_NEW; printed && state < SPOOL_STATES; state++)
        printed = print_state(&table, census, state);
    printed = printed && print_state(&table, census, SPOOL_TMP) && print_free(&table, census);
    table_end(&table);
    return printed;
}

/* --- for programs --- */

static bool fill_state(struct json_object *object, const struct census_state *count)
{
    char oldest[TIMESTAMP_RFC3339_SIZE];
    timestamp_rfc3339(count->oldest, oldest);
    bool detailed = count->detailed;
    return fields_number(object, "entries", (int64_t)count->entries) &&
           fields_number(object, "odd", (int64_t)count->odd) &&
           (!detailed || fields_number(object, "bytes", (int64_t)count->bytes)) &&
           (!detailed || count->entries == 0 || fields_text(object, "oldest", text_of(oldest)));
}

/* The member becomes the object's before it is filled, so that there is one thing to let go of. */
static bool add_states(struct json_object *object, const struct census *census)
{
    struct json_object *states = json_object_new_object();
    bool added = fields_value(object, "states", states);
    for (enum spool_state state = SPOOL_TMP; added && state < SPOOL_STATES; state++) {
        struct json_object *one = json_object_new_object();
        added = fields_value(states, spool_state_name(state), one) &&
                fill_state(one, &census->states[state]);
    }
    return added;
}

static bool add_free(struct json_object *object, const struct census *census)
{
    struct json_object *rest = json_object_new_object();
    return fields_value(object, "free", rest) &&
           fields_number(rest, "bytes", (int64_t)census->free_bytes) &&
           (!census->counts_inodes ||
            fields_number(rest, "inodes", (int64_t)census->free_inodes)) &&
           fields_number(rest, "reserve", (int64_t)census->min_free) &&
           fields_value(rest, "full", json_object_new_boolean(census_full(census)));
}

bool bulletin_json(const struct census *census, const char *spool)
{
    char now[TIMESTAMP_RFC3339_SIZE];
    struct json_object *object = json_object_new_object();
    timestamp_rfc3339(census->now, now);
    if (fields_text(object, "spool", text_of(spool)) && fields_text(object, "time", text_of(now)) &&
        add_states(object, census) && add_free(object, census))
        return fields_print(object, stdout, terminal_of(STDOUT_FILENO).ascii);
    json_object_put(object);
    return false;
}

/* --- for Prometheus --- */

static void print_head(const char *metric, const char *help)
{
    (void)printf("# HELP tradecloud_spool_%s %s\n# TYPE tradecloud_spool_%s gauge\n", metric, help,
                 metric);
}

/* A label's value, escaped as its text format wants it, which is UTF-8. */
static void print_label(const char *value)
{
    for (; *value != '\0'; value++)
        if (*value == '\n')
            (void)fputs("\\n", stdout);
        else if (*value == '\\' || *value == '"')
            (void)printf("\\%c", *value);
        else
            (void)putchar(*value);
}

static void print_sample(const char *metric, const char *spool, const char *state)
{
    (void)printf("tradecloud_spool_%s{spool=\"", metric);
    print_label(spool);
    (void)fputs("\"", stdout);
    if (state != NULL)
        (void)printf(",state=\"%s\"", state);
    (void)fputs("} ", stdout);
}

static void print_number(const char *metric, const char *help, const char *spool, uint64_t value)
{
    print_head(metric, help);
    print_sample(metric, spool, NULL);
    (void)printf("%" PRIu64 "\n", value);
}

static void print_counts(const struct census *census, const char *spool)
{
    print_head("entries", "Entries in each state of the spool; files in tmp.");
    for (enum spool_state state = SPOOL_TMP; state < SPOOL_STATES; state++) {
        print_sample("entries", spool, spool_state_name(state));
        (void)printf("%" PRIu64 "\n", census->states[state].entries);
    }
    print_head("odd_files", "Files among the entries that are none, and are left alone.");
    for (enum spool_state state = SPOOL_NEW; state < SPOOL_STATES; state++) {
        print_sample("odd_files", spool, spool_state_name(state));
        (void)printf("%" PRIu64 "\n", census->states[state].odd);
    }
}

static void print_details(const struct census *census, const char *spool)
{
    print_head("entries_bytes", "Sizes of the entries in a state together.");
    for (enum spool_state state = SPOOL_NEW; state < SPOOL_STATES; state++)
        if (census->states[state].detailed) {
            print_sample("entries_bytes", spool, spool_state_name(state));
            (void)printf("%" PRIu64 "\n", census->states[state].bytes);
        }
    print_head("oldest_arrival_timestamp_seconds",
               "When the entry arrived that is in a state and arrived first.");
    for (enum spool_state state = SPOOL_NEW; state < SPOOL_STATES; state++)
        if (census->states[state].detailed && census->states[state].entries > 0) {
            print_sample("oldest_arrival_timestamp_seconds", spool, spool_state_name(state));
            (void)printf("%" PRId64 "\n", census->states[state].oldest / 1000);
        }
}

void bulletin_prometheus(const struct census *census, const char *spool)
{
    print_counts(census, spool);
    print_details(census, spool);
    print_number("free_bytes", "Bytes free on the spool's file system.", spool, census->free_bytes);
    print_number("reserve_bytes", "Bytes to be left free there; with less, events are refused.",
                 spool, census->min_free);
    if (census->counts_inodes)
        print_number("free_inodes", "Inodes free on the spool's file system.", spool,
                     census->free_inodes);
    print_number("census_timestamp_seconds", "When this was counted.", spool,
                 (uint64_t)(census->now / 1000));
}

/* --- for monitoring plugins --- */

static int judge(int64_t value, const struct bulletin_limits *limits)
{
    if (!limits->set)
        return BULLETIN_OK;
    if (value > limits->critical)
        return BULLETIN_CRITICAL;
    return value > limits->warning ? BULLETIN_WARNING : BULLETIN_OK;
}

static int worse(int one, int other)
{
    return one > other ? one : other;
}

/* ";warning;critical;minimum", where they are set, in units of `unit`. */
static void print_limits(const struct bulletin_limits *limits, int64_t unit)
{
    if (limits->set && limits->warning != INT64_MAX)
        (void)printf(";%" PRId64, limits->warning / unit);
    else
        (void)fputs(";", stdout);
    if (limits->set)
        (void)printf(";%" PRId64 ";0", limits->critical / unit);
    else
        (void)fputs(";;0", stdout);
}

int bulletin_plugin(const struct census *census, const struct bulletin_limits *age,
                    const struct bulletin_limits *failed)
{
    static const char *const words[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
    char text[AGE_SIZE];
    int64_t oldest = census->now;
    bool waiting = census_oldest(census, &oldest);
    int64_t waited = oldest < census->now ? census->now - oldest : 0;
    uint64_t given_up = census->states[SPOOL_FAILED].entries;
    int status = worse(judge(waited, age), judge((int64_t)given_up, failed));
    if (census_full(census))
        status = BULLETIN_CRITICAL;
    age_format(waited, text);
    (void)printf(
        "TRADECLOUD SPOOL %s: %" PRIu64 " new, %" PRIu64 " in work%s%s, %" PRIu64
        " failed%s | 'age'=%" PRId64 "s",
        words[status], census->states[SPOOL_NEW].entries, census->states[SPOOL_WORK].entries,
        waiting ? ", the oldest since " : "", waiting ? text : "", given_up,
        census_full(census) ? ", the disk is full: no event is received" : "", waited / 1000);
    print_limits(age, 1000);
    (void)printf(" 'failed'=%" PRIu64, given_up);
    print_limits(failed, 1);
    (void)printf(" 'new'=%" PRIu64 ";;;0 'free'=%" PRIu64 "B;;;0\n",
                 census->states[SPOOL_NEW].entries, census->free_bytes);
    return status;
}

/* The bar would begin what programs read. */
int bulletin_unknown(const char *reason)
{
    struct buffer out = BUFFER_INIT;
    size_t columns = 0;
    if (legible_append(&out, text_of(reason), true, &columns) && buffer_append(&out, "", 1)) {
        for (char *bar = strchr(out.data, '|'); bar != NULL; bar = strchr(bar, '|'))
            *bar = '!';
        (void)printf("TRADECLOUD SPOOL UNKNOWN: %s\n", out.data);
    }
    buffer_release(&out);
    return BULLETIN_UNKNOWN;
}

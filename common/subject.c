#include "subject.h"

#include "digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 64 };

/* --- keys --- */

void subject_hex(const struct subject *subject, char hex[SUBJECT_HEX_SIZE])
{
    (void)snprintf(hex, SUBJECT_HEX_SIZE, "%016" PRIx64 "%016" PRIx64, subject->hash[0],
                   subject->hash[1]);
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool subject_parse_hex(const char *hex, struct subject *subject)
{
    *subject = (struct subject){{0, 0}};
    for (int i = 0; i < SUBJECT_HEX_SIZE - 1; i++) {
        int value = digit(hex[i]);
        if (value < 0)
            return false;
        subject->hash[i / 16] = subject->hash[i / 16] << 4 | (uint64_t)value;
    }
    return hex[SUBJECT_HEX_SIZE - 1] == '\0';
}

void subject_key(const struct entry *entry, const char *name, struct subject *subject)
{
    char hex[DIGEST_HEX_SIZE];
    struct text text = entry->subject.data != NULL ? entry->subject : text_of(name);
    digest_hex(&text, 1, hex);
    hex[SUBJECT_HEX_SIZE - 1] = '\0';
    (void)subject_parse_hex(hex, subject);
}

/* --- tables: open addressing, linear probing --- */

void subject_table_init(struct subject_table *table, size_t limit)
{
    *table = (struct subject_table){.limit = limit};
}

void subject_table_release(struct subject_table *table)
{
    free(table->slots);
    subject_table_init(table, table->limit);
}

void subject_table_clear(struct subject_table *table)
{
    if (table->count > 0)
        memset(table->slots, 0, table->size * sizeof *table->slots);
    table->count = 0;
}

/* Where the key is, or would be put. A sender who seeks collisions in SHA-256's bits finds few. */
static size_t find(const struct subject_table *table, const struct subject *subject)
{
    size_t at = (size_t)subject->hash[0] & (table->size - 1);
    while (table->slots[at].used &&
           memcmp(&table->slots[at].subject, subject, sizeof *subject) != 0)
        at = (at + 1) & (table->size - 1);
    return at;
}

static bool grow(struct subject_table *table)
{
    struct subject_table larger = {.size = table->size == 0 ? FIRST_SIZE : table->size * 2,
                                   .count = table->count,
                                   .limit = table->limit};
    larger.slots = calloc(larger.size, sizeof *larger.slots);
    if (larger.slots == NULL)
        return false;
    for (size_t i = 0; i < table->size; i++)
        if (table->slots[i].used)
            larger.slots[find(&larger, &table->slots[i].subject)] = table->slots[i];
    free(table->slots);
    *table = larger;
    return true;
}

int64_t *subject_table_get(const struct subject_table *table, const struct subject *subject)
{
    if (table->count == 0)
        return NULL;
    struct subject_slot *slot = &table->slots[find(table, subject)];
    return slot->used ? &slot->value : NULL;
}

bool subject_table_put(struct subject_table *table, const struct subject *subject, int64_t value)
{
    int64_t *present = subject_table_get(table, subject);
    if (present != NULL) {
        *present = value;
        return true;
    }
    if (table->count == table->limit)
        return false;
    /* At least a quarter of the slots stays free. */
    if (table->count + 1 > table->size / 4 * 3 && !grow(table))
        return false;
    table->slots[find(table, subject)] = (struct subject_slot){*subject, value, true};
    table->count++;
    return true;
}

void subject_table_remove(struct subject_table *table, const struct subject *subject)
{
    if (subject_table_get(table, subject) == NULL)
        return;
    size_t mask = table->size - 1;
    size_t hole = find(table, subject);
    table->slots[hole].used = false;
    table->count--;
    /* What was put behind it because it was in the way moves up. */
    for (size_t at = (hole + 1) & mask; table->slots[at].used; at = (at + 1) & mask) {
        struct subject_slot slot = table->slots[at];
        table->slots[at].used = false;
        table->slots[find(table, &slot.subject)] = slot;
    }
}

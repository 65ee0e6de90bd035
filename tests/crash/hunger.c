/*
 * Preloaded: lets the allocation with the number $HUNGER fail, the first being 1, and no other. If
 * there was none, the program ends with 99.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

enum { NOT_REACHED = 99 };

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

void hunger_pause(void);
void hunger_go_on(void);

static unsigned long wanted;
static unsigned long count;
static bool paused;

/* For who links counts.c. */
void hunger_pause(void)
{
    paused = true;
}

void hunger_go_on(void)
{
    paused = false;
}

__attribute__((constructor)) static void begin(void)
{
    const char *number = getenv("HUNGER");
    wanted = number == NULL ? 0 : strtoul(number, NULL, 10);
}

__attribute__((destructor)) static void end(void)
{
    if (count < wanted)
        _exit(NOT_REACHED);
}

static bool fails(void)
{
    if (wanted == 0 || paused || ++count != wanted)
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
    return fails() ? NULL : __libc_calloc(number, size);
}

void *realloc(void *memory, size_t size)
{
    return fails() ? NULL : __libc_realloc(memory, size);
}

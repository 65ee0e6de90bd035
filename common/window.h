/*
 * window: the oldest names of a directory, in order, of however many it has.
 *
 * Calling sequence: window_init; window_fill; look at order[0] to order[count - 1], window_insert
 * and window_remove as names come and go; window_release.
 *
 * A directory of a million entries is read once from end to end to fill a window, which takes
 * WINDOW_SIZE names and some 2 MB whatever there is. A window knows nothing of what is behind its
 * last name unless it is `complete`.
 */
#ifndef COMMON_WINDOW_H
#define COMMON_WINDOW_H

#include "entry.h"
#include "subject.h"

#include <stdbool.h>
#include <stddef.h>

enum { WINDOW_SIZE = 8192 };

struct slot {
    char name[ENTRY_NAME_MAX + 1];
    bool known;   /* for the caller: the subject has been read */
    bool ignored; /* for the caller: it is not to be run */
    struct subject subject;
};

struct window {
    struct slot *slots;
    struct slot **order; /* the first `count` are in use, oldest first */
    size_t count;
    size_t seen;                   /* names that the last fill met, of those it was to look for */
    bool complete;                 /* there is nothing behind `last` */
    char last[ENTRY_NAME_MAX + 1]; /* where the window ends, whatever has been taken out */
};

/* Called with each name that is no entry's, and the directory it is in. */
typedef void window_odd(void *context, int directory, const char *name);

/* An empty window. Returns false if memory runs out. */
bool window_init(struct window *window);

void window_release(struct window *window);

/*
 * Fill it anew with the names that come after `after`, from all of the `count` directories; a name
 * that is in several counts once. Returns false, with errno and an empty window, if a directory
 * cannot be read.
 */
bool window_fill(struct window *window, const int *directories, int count, const char *after,
                 window_odd *odd, void *context);

/* A name has appeared, or what it names has changed: it is unknown then. Returns false if it is
 * behind the end of the window, which is not complete then. */
bool window_insert(struct window *window, const char *name);

/* Take a name out, if it is in. */
void window_remove(struct window *window, const char *name);

/* Take those out that are not to be kept. `keep` is called in order, with the context; when it sets
 * *stop, the rest is kept without asking. */
typedef bool window_keep(void *context, struct slot *slot, bool *stop);
void window_filter(struct window *window, window_keep *keep, void *context);

#endif

#include "window.h"

#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool window_init(struct window *window)
{
    *window = (struct window){.slots = calloc(WINDOW_SIZE, sizeof *window->slots)};
    window->order = calloc(WINDOW_SIZE, sizeof(struct slot *));
    if (window->slots == NULL || window->order == NULL) {
        window_release(window);
        return false;
    }
    for (size_t i = 0; i < WINDOW_SIZE; i++)
        window->order[i] = &window->slots[i];
    return true;
}

void window_release(struct window *window)
{
    free(window->order);
    free(window->slots);
    *window = (struct window){.slots = NULL};
}

static void set_name(struct slot *slot, const char *name)
{
    memset(slot, 0, sizeof *slot);
    /* It fits: entry_is_name() has judged it. */
    memcpy(slot->name, name, strnlen(name, sizeof slot->name - 1));
}

/* --- filling: while it lasts, `order` is a heap with the newest name on top --- */

static bool is_newer(const struct window *window, size_t a, size_t b)
{
    return strcmp(window->order[a]->name, window->order[b]->name) > 0;
}

static void swap(struct window *window, size_t a, size_t b)
{
    struct slot *slot = window->order[a];
    window->order[a] = window->order[b];
    window->order[b] = slot;
}

static void sift_up(struct window *window, size_t at)
{
    while (at > 0 && is_newer(window, at, (at - 1) / 2)) {
        swap(window, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static void sift_down(struct window *window)
{
    for (size_t at = 0;;) {
        size_t newest = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < window->count; child++)
            if (is_newer(window, child, newest))
                newest = child;
        if (newest == at)
            return;
        swap(window, at, newest);
        at = newest;
    }
}

static void offer(struct window *window, const char *name)
{
    window->seen++;
    if (window->count < WINDOW_SIZE) {
        set_name(window->order[window->count], name);
        sift_up(window, window->count++);
        return;
    }
    window->complete = false;
    if (strcmp(name, window->order[0]->name) >= 0)
        return;
    set_name(window->order[0], name);
    sift_down(window);
}

static bool read_names(struct window *window, DIR *stream, int directory, const char *after,
                       window_odd *odd, void *context)
{
    const struct dirent *found;
    while ((found = stream_next(stream)) != NULL)
        if (!entry_is_name(found->d_name))
            odd(context, directory, found->d_name);
        else if (strcmp(found->d_name, after) > 0)
            offer(window, found->d_name);
    return errno == 0;
}

static bool read_directory(struct window *window, int directory, const char *after, window_odd *odd,
                           void *context)
{
    DIR *stream = stream_open(directory);
    if (stream == NULL)
        return false;
    bool good = read_names(window, stream, directory, after, odd, context);
    int error = errno;
    (void)closedir(stream);
    errno = error;
    return good;
}

static void set_last(struct window *window)
{
    const char *last = window->count == 0 ? "" : window->order[window->count - 1]->name;
    memmove(window->last, last, strlen(last) + 1);
}

static int compare(const void *a, const void *b)
{
    const struct slot *const *left = a;
    const struct slot *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

static bool is_first(void *context, struct slot *slot, bool *stop)
{
    const struct slot **previous = context;
    bool first = *previous == NULL || strcmp((*previous)->name, slot->name) != 0;
    (void)stop;
    *previous = slot;
    return first;
}

bool window_fill(struct window *window, const int *directories, int count, const char *after,
                 window_odd *odd, void *context)
{
    const struct slot *previous = NULL;
    bool good = true;
    window->count = 0;
    window->seen = 0;
    window->complete = true;
    for (int i = 0; i < count && good; i++)
        good = read_directory(window, directories[i], after, odd, context);
    if (!good)
        window->count = 0;
    qsort(window->order, window->count, sizeof(struct slot *), compare);
    window_filter(window, is_first, &previous);
    set_last(window);
    return good;
}

/* --- changing --- */

/* Where the name is, or belongs. */
static size_t find(const struct window *window, const char *name)
{
    size_t low = 0;
    size_t high = window->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(window->order[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct window *window, size_t at, const char *name)
{
    return at < window->count && strcmp(window->order[at]->name, name) == 0;
}

static void move(struct window *window, size_t to, size_t from, size_t count)
{
    memmove(&window->order[to], &window->order[from], count * sizeof(struct slot *));
}

bool window_insert(struct window *window, const char *name)
{
    size_t at = find(window, name);
    bool full = window->count == WINDOW_SIZE;
    if (is_at(window, at, name)) {
        window->order[at]->known = window->order[at]->ignored = false;
        return true;
    }
    if ((full && at == window->count) || (!window->complete && strcmp(name, window->last) > 0)) {
        window->complete = false;
        return false;
    }
    /* The newest gives way. */
    if (full)
        window->count--;
    struct slot *slot = window->order[window->count];
    move(window, at + 1, at, window->count - at);
    window->order[at] = slot;
    window->count++;
    set_name(slot, name);
    window->complete = window->complete && !full;
    if (full || at + 1 == window->count)
        set_last(window);
    return true;
}

void window_remove(struct window *window, const char *name)
{
    size_t at = find(window, name);
    if (!is_at(window, at, name))
        return;
    struct slot *slot = window->order[at];
    move(window, at, at + 1, window->count - at - 1);
    window->order[--window->count] = slot;
}

void window_filter(struct window *window, window_keep *keep, void *context)
{
    bool stop = false;
    size_t kept = 0;
    for (size_t i = 0; i < window->count; i++)
        if (stop || keep(context, window->order[i], &stop))
            swap(window, kept++, i);
    window->count = kept;
}

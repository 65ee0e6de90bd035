#include "progress.h"

#include "timestamp.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    WIDTH = 40,     /* characters between the brackets */
    INTERVAL = 100, /* milliseconds */
};

void progress_start(struct progress *progress, bool wanted)
{
    *progress = (struct progress){.enabled = wanted && isatty(STDERR_FILENO) == 1};
}

void progress_show(struct progress *progress, uint64_t done, uint64_t total)
{
    int64_t now = timestamp_monotonic();
    if (!progress->enabled || now < progress->next)
        return;
    char bar[WIDTH + 1];
    if (total < done)
        total = done;
    size_t filled = total == 0 ? 0 : (size_t)((double)done / (double)total * WIDTH);
    memset(bar, ' ', WIDTH);
    memset(bar, '#', filled);
    bar[WIDTH] = '\0';
    (void)fprintf(stderr, "\r[%s] %ju of %ju\033[K", bar, (uintmax_t)done, (uintmax_t)total);
    progress->next = now + INTERVAL;
    progress->drawn = true;
}

void progress_hide(struct progress *progress)
{
    if (progress->drawn)
        (void)fputs("\r\033[K", stderr);
    progress->drawn = false;
    progress->next = 0;
}

void progress_end(struct progress *progress)
{
    progress_hide(progress);
    progress->enabled = false;
}

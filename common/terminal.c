#include "terminal.h"

#include "legible.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* no-color.org: set and not empty. */
static bool wants_colour(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *type = getenv("TERM");
    return (no_color == NULL || *no_color == '\0') && type != NULL && *type != '\0' &&
           strcmp(type, "dumb") != 0;
}

struct terminal terminal_of(int fd)
{
    bool utf8 = legible_start();
    bool present = isatty(fd) == 1;
    return (struct terminal){present, present && wants_colour(), present && !utf8};
}

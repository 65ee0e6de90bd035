#include "terminal.h"

#include "legible.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { USUAL_WIDTH = 80 };

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

unsigned terminal_width(int fd)
{
    struct winsize size = {0};
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : USUAL_WIDTH;
}

#include "regular.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What openat() says of what is no regular file. */
static bool is_odd(int error)
{
    return error == ELOOP || error == ENXIO || error == ENODEV;
}

static int refuse(int fd, int error, char *why, size_t size)
{
    if (fd >= 0)
        (void)close(fd);
    if (error == 0 || is_odd(error))
        (void)snprintf(why, size, "it is no regular file");
    else if (error == EACCES || error == EPERM)
        (void)snprintf(why, size, "it may not be read by this user");
    else
        (void)snprintf(why, size, "cannot open it: %s", strerror(error));
    errno = is_odd(error) || error == EACCES || error == EPERM ? 0 : error;
    return -1;
}

int regular_open(int directory, const char *name, struct stat *status, char *why, size_t size)
{
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, status) != 0)
        return refuse(fd, errno, why, size);
    return S_ISREG(status->st_mode) ? fd : refuse(fd, 0, why, size);
}

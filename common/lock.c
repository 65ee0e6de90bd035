#include "lock.h"

#include "timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { POLL_INTERVAL = 10 }; /* milliseconds; waiting calls cannot be given a deadline */

static int fail(int fd, int error)
{
    (void)close(fd);
    errno = error;
    return -1;
}

int lock_take(int directory, const char *name, int64_t deadline)
{
    int fd = openat(directory, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    for (;;) {
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
            return fd;
        if (errno != EAGAIN && errno != EACCES && errno != EINTR)
            return fail(fd, errno);
        if (timestamp_monotonic() >= deadline)
            return fail(fd, ETIMEDOUT);
        (void)usleep(POLL_INTERVAL * 1000);
    }
}

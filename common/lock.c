#include "lock.h"

#include "timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

enum { POLL_INTERVAL = 10 }; /* milliseconds; waiting calls cannot be given a deadline */

static int fail(int fd, int error)
{
    (void)close(fd);
    errno = error;
    return -1;
}

/* What is written into a lock must not end up in another file that has this name as well, nor may
 * another user be able to hold it. */
static bool is_ours_alone(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1 &&
           status.st_uid == geteuid() && (status.st_mode & 077) == 0;
}

int lock_take(int directory, const char *name, int64_t deadline)
{
    int fd = openat(directory, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    if (!is_ours_alone(fd))
        return fail(fd, EPERM);
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

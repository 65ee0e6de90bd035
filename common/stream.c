#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

DIR *stream_open(int directory)
{
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    int error = errno;
    if (stream == NULL && fd >= 0)
        (void)close(fd);
    errno = error;
    return stream;
}

const struct dirent *stream_next(DIR *stream)
{
    const struct dirent *found;
    errno = 0;
    do
        found = readdir(stream);
    while (found != NULL && (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0));
    return found;
}

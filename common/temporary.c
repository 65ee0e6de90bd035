#include "temporary.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { DIGITS = 32 };

int temporary_create(int directory, char name[TEMPORARY_SIZE])
{
    uint64_t random[2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return -1;
    (void)snprintf(name, TEMPORARY_SIZE, "%ld.%016" PRIx64 "%016" PRIx64, (long)getpid(), random[0],
                   random[1]);
    return openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
}

bool temporary_is_name(const char *name)
{
    size_t process = strspn(name, "0123456789");
    if (process == 0 || name[process] != '.')
        return false;
    const char *random = name + process + 1;
    return strspn(random, "0123456789abcdef") == DIGITS && random[DIGITS] == '\0';
}

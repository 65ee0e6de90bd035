/*
 * The floor: what no receiver of events can do without. It reads the body and writes it durably, by
 * the same system calls as tradecloud-webhook: a file in tmp/, synced, linked into new/, the
 * directory synced, the name in tmp/ removed; and answers. It judges nothing, looks for nothing,
 * logs nothing, and passes the body on in pieces. Linked statically, at fixed addresses.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

static char piece[65536];

static int copy_body(int file)
{
    const char *length = getenv("CONTENT_LENGTH");
    uintmax_t left = length == NULL ? 0 : strtoumax(length, NULL, 10);
    while (left > 0) {
        ssize_t got = read(STDIN_FILENO, piece, left < sizeof piece ? (size_t)left : sizeof piece);
        if (got <= 0 || write(file, piece, (size_t)got) != got)
            return -1;
        left -= (uintmax_t)got;
    }
    return 0;
}

static int open_below(int parent, const char *name)
{
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int main(void)
{
    static const char answer[] =
        "Status: 202 Accepted\r\nContent-Type: application/json\r\n\r\n{}\n";
    char name[64];
    uint64_t random[2];
    const char *path = getenv("TRADECLOUD_SPOOL");
    int spool = path == NULL ? -1 : open_below(AT_FDCWD, path);
    int tmp = open_below(spool, "tmp");
    int new = open_below(spool, "new");
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return 1;
    (void)snprintf(name, sizeof name, "%016" PRIx64 "%016" PRIx64 ".json", random[0], random[1]);
    int file = openat(tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (file < 0 || copy_body(file) != 0 || fsync(file) != 0 || close(file) != 0 ||
        linkat(tmp, name, new, name, 0) != 0 || fsync(new) != 0 || unlinkat(tmp, name, 0) != 0)
        return 1;
    return write(STDOUT_FILENO, answer, sizeof answer - 1) == (ssize_t)sizeof answer - 1 ? 0 : 1;
}

/*
 * What is remembered of attempts, in a file that anybody of the spool's group may have written.
 * What was read is written and must be read the same.
 */
#include "attempt.h"
#include "fuzz.h"
#include "spool.h"

#include <fcntl.h>
#include <unistd.h>

static const char file[] = "20250423T100153.812Z_order_m.json";
static char path[] = "/dev/shm/tradecloud-fuzz.XXXXXX";
static struct spool spool;
static int directory = -1;

static void remove_spool(void)
{
    (void)unlinkat(directory, file, 0);
    (void)unlinkat(spool.root, ATTEMPT_DIRECTORY, AT_REMOVEDIR);
    for (enum spool_state state = SPOOL_TMP; state < SPOOL_STATES; state++)
        (void)unlinkat(spool.root, spool_state_name(state), AT_REMOVEDIR);
    (void)rmdir(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct problem problem;
    (void)argc;
    (void)argv;
    CHECK(mkdtemp(path) != NULL && spool_open(&spool, path, 0, &problem));
    directory = spool_open_shared(&spool, ATTEMPT_DIRECTORY, &problem);
    CHECK(directory >= 0);
    return atexit(remove_spool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct attempt attempt;
    struct attempt again;
    struct problem problem;
    int fd = openat(directory, file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size && close(fd) == 0);
    CHECK(attempt_read(directory, file, &attempt, &problem));
    CHECK(memchr(attempt.error, '\0', sizeof attempt.error) != NULL);
    CHECK(attempt_write(&spool, directory, file, &attempt, &problem));
    CHECK(attempt_read(directory, file, &again, &problem));
    CHECK(attempt.attempts == again.attempts && attempt.failures == again.failures);
    CHECK(attempt.retry == again.retry && strcmp(attempt.error, again.error) == 0);
    uint64_t random = attempt.attempts * UINT64_C(0x9e3779b97f4a7c15);
    int64_t delay = attempt_delay(attempt.attempts + 1, random);
    CHECK(delay >= ATTEMPT_BASE / 2 && delay <= ATTEMPT_CAP);
    return 0;
}

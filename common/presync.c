#include "presync.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

/* Bytes: more than any machine asks for at least (arm64: 128 kB); and not the usual 8 MB, as memory
 * may be limited. */
enum { STACK_SIZE = 262144 };

static void *sync_beside(void *data)
{
    struct presync *presync = data;
    int result;
    do
        result = fdatasync(presync->fd);
    while (result != 0 && errno == EINTR);
    presync->error = result == 0 ? 0 : errno;
    atomic_store(&presync->ended, true);
    return NULL;
}

/* Signals are for the thread that writes: its handler removes the file. */
static bool start_thread(struct presync *presync)
{
    pthread_attr_t attributes;
    sigset_t all;
    (void)sigfillset(&all);
    if (pthread_attr_init(&attributes) != 0)
        return false;
    bool started = pthread_attr_setstacksize(&attributes, STACK_SIZE) == 0 &&
                   pthread_attr_setsigmask_np(&attributes, &all) == 0 &&
                   pthread_create(&presync->thread, &attributes, sync_beside, presync) == 0;
    (void)pthread_attr_destroy(&attributes);
    return started;
}

bool presync_is_busy(const struct presync *presync)
{
    return presync->begun && !atomic_load(&presync->ended);
}

bool presync_begin(struct presync *presync, int fd)
{
    if (!presync_end(presync))
        return false;
    presync->fd = fd;
    atomic_store(&presync->ended, false);
    presync->begun = start_thread(presync);
    /* A new thread often stands in line for this very processor, and would first run when this one
     * waits, which is when all is written; so let it go first. */
    if (presync->begun)
        (void)sched_yield();
    return true;
}

bool presync_end(struct presync *presync)
{
    if (presync->begun)
        (void)pthread_join(presync->thread, NULL);
    presync->begun = false;
    errno = presync->error;
    return errno == 0;
}

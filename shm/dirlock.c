/* flock on the directory itself, which needs no right to write there. The kernel releases it when
 * its holder dies. */
#include "shm/dirlock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define TRY_WAIT_MS 10

int ga_dirlock_take(const char *directory, uint32_t wait_ms)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    for (uint32_t waited_ms = 0;; waited_ms += TRY_WAIT_MS) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return fd;
        if ((errno != EWOULDBLOCK && errno != EINTR) || waited_ms >= wait_ms)
            break;
        nanosleep(&(struct timespec){.tv_nsec = TRY_WAIT_MS * 1000000L}, NULL);
    }
    close(fd);
    return -1;
}

void ga_dirlock_release(int lock)
{
    if (lock >= 0)
        close(lock);
}

/* flock on the directory itself, which needs no right to write there. The kernel releases it when
 * its holder dies. */
#include "shm/dirlock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define TRIES       100
#define TRY_WAIT_NS 10000000L

int ga_dirlock_take(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    for (int i = 0; i < TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return fd;
        if (errno != EWOULDBLOCK && errno != EINTR)
            break;
        nanosleep(&(struct timespec){.tv_nsec = TRY_WAIT_NS}, NULL);
    }
    close(fd);
    return -1;
}

void ga_dirlock_release(int lock)
{
    if (lock >= 0)
        close(lock);
}

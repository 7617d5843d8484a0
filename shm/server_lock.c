/* A write lock of the open file description (F_OFD_SETLK): unlike flock, it needs a descriptor that
 * is open for writing. A reader can still take a read lock, which keeps a server from its own; that
 * server goes without, and is known by its header alone. */
#include "shm/server_lock.h"

#include <errno.h>
#include <fcntl.h>

int ga_server_lock_take(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

bool ga_server_lock_is_held(int fd)
{
    /* What would keep a reader out: a write lock, and nothing else. */
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

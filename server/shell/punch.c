#include "server/shell/punch.h"

#include <errno.h>
#include <fcntl.h>

int ga_punch(int fd, uint64_t offset, uint64_t bytes)
{
    int r;
    do {
        r = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

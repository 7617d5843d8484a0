/* A number that is closed is found by asking, not by opening until one above 2 comes: /dev/null
 * need not be there when nothing is closed. */
#include "server/shell/standard_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int ga_standard_fds_fill(void)
{
    /* Those below fd are open, so open gives fd itself. */
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            return -errno;
    return 0;
}

void ga_standard_fds_close(int fd)
{
    int blank = fd <= STDERR_FILENO ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
    if (fd > STDERR_FILENO)
        close(fd);
    else if (blank >= 0)
        dup2(blank, fd); /* closes what fd was */
    /* Where /dev/null is not to be had, fd stays as it was. */
    if (blank >= 0)
        close(blank);
}

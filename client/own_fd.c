/* The mark is the owner of the file, to whom the kernel would send signals if that had been asked
 * for, which it is not: nobody else names the library's own thread there. */
#include "client/own_fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct ga_own_fd ga_own_fd_of(int fd)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return GA_OWN_FD_NONE;
    return (struct ga_own_fd){.fd = fd, .dev = st.st_dev, .ino = st.st_ino};
}

struct ga_own_fd ga_own_fd_mark(int fd)
{
    struct ga_own_fd own = ga_own_fd_of(fd);
    struct f_owner_ex owner = {.type = F_OWNER_TID, .pid = gettid()};
    /* Where the system does not let it be marked, its kind has to do. */
    if (own.fd >= 0 && fcntl(fd, F_SETOWN_EX, &owner) == 0)
        own.marked = owner.pid;
    return own;
}

static bool has_mark(int fd, pid_t thread)
{
    struct f_owner_ex owner;
    return fcntl(fd, F_GETOWN_EX, &owner) == 0 && owner.type == F_OWNER_TID && owner.pid == thread;
}

bool ga_own_fd_is_ours(const struct ga_own_fd *own)
{
    struct stat st;
    return own->fd >= 0 && fstat(own->fd, &st) == 0 && st.st_dev == own->dev &&
           st.st_ino == own->ino && (own->marked == 0 || has_mark(own->fd, own->marked));
}

void ga_own_fd_close(const struct ga_own_fd *own)
{
    if (ga_own_fd_is_ours(own))
        close(own->fd);
}

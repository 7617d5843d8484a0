/* A pidfd names a process without the doubt of a pid. Where the kernel gives the pidfd of a
 * socket's peer (SO_PEERPIDFD, 6.5), there is no gap in which the pid could become another's. It
 * gives none, or an old one, of a peer that has ended, whose pid may be another's by then and is
 * not asked for. Elsewhere pidfd_open takes the pid, and the gap is closed by the open connection:
 * a client that was gone would have hung up. (A program that tells of its own heap hangs up at
 * once. Such a server may take another process for it, whose memory goallocctl does not believe
 * either.) The start time is read after the pidfd was opened, and the pidfd asked once more
 * afterwards, so that it is of the same process. */
#include "server/shell/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Newer than the C library of Debian 12; the number is the same on all but a few architectures. */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

int ga_peer_of_socket(int fd, struct ga_peer *ret)
{
    struct ucred credentials;
    socklen_t length = sizeof(credentials);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
        return -errno;
    *ret = (struct ga_peer){.pid = (uint32_t)credentials.pid,
                            .uid = (uint32_t)credentials.uid,
                            .gid = (uint32_t)credentials.gid};
    return 0;
}

/* Whether the process of pidfd has ended. */
static bool has_ended(int pidfd)
{
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    return poll(&ended, 1, 0) > 0;
}

static int open_pidfd_of(uint32_t pid, int *ret_pidfd)
{
    int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    if (pidfd < 0)
        return -errno;
    *ret_pidfd = pidfd;
    return 0;
}

static int open_pidfd(int fd, const struct ga_peer *peer, int *ret_pidfd)
{
    int pidfd;
    socklen_t length = sizeof(pidfd);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) == 0) {
        *ret_pidfd = pidfd;
        return 0;
    }
    if (errno != ENOPROTOOPT) /* EINVAL, ESRCH or ENODATA, as the kernel is: the peer has ended */
        return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : -ESRCH;
    return open_pidfd_of(peer->pid, ret_pidfd);
}

int ga_process_watch_pid(uint32_t pid, uint64_t start_time, int *ret_pidfd)
{
    int pidfd = -1;
    int r = pid == 0 ? -ESRCH : open_pidfd_of(pid, &pidfd);
    if (r < 0)
        return r;
    uint64_t ticks = 0;
    r = ga_process_start_time(pid, &ticks);
    if (r == 0 && (ticks != start_time || has_ended(pidfd)))
        r = -ESRCH;
    if (r < 0) {
        close(pidfd);
        return r;
    }
    *ret_pidfd = pidfd;
    return 0;
}

int ga_process_pidfd(int fd, const struct ga_peer *peer, int *ret_pidfd)
{
    int pidfd = -1;
    int r = peer->pid == 0 ? -ESRCH : open_pidfd(fd, peer, &pidfd);
    if (r < 0)
        return r;
    if (has_ended(pidfd)) {
        close(pidfd);
        return -ESRCH;
    }
    *ret_pidfd = pidfd;
    return 0;
}

int ga_process_watch_fd(int fd, const struct ga_peer *peer, int *ret_pidfd,
                        uint64_t *ret_start_time)
{
    int pidfd = -1;
    int r = ga_process_pidfd(fd, peer, &pidfd);
    if (r < 0)
        return r;
    uint64_t start_time = 0;
    r = ga_process_start_time(peer->pid, &start_time);
    if (r == 0 && has_ended(pidfd))
        r = -ESRCH;
    if (r < 0) {
        close(pidfd);
        return r;
    }
    *ret_pidfd = pidfd;
    *ret_start_time = start_time;
    return 0;
}

int ga_process_maps(uint32_t pid, int fd)
{
    struct stat st;
    char path[32];
    char line[512]; /* of a longer path the rest is no line of this form */
    snprintf(path, sizeof(path), "/proc/%" PRIu32 "/maps", pid);
    if (fstat(fd, &st) < 0)
        return -errno;
    FILE *maps = fopen(path, "re");
    if (!maps)
        return errno == ENOENT ? -ESRCH : -errno;
    int r = -ESRCH; /* of one that is ending it is empty */
    while (r != 1 && fgets(line, sizeof(line), maps)) {
        unsigned device_major;
        unsigned device_minor;
        uint64_t inode;
        if (sscanf(line, "%*x-%*x %*s %*x %x:%x %" SCNu64, &device_major, &device_minor, &inode) ==
            3)
            r = inode == st.st_ino && device_major == major(st.st_dev) &&
                device_minor == minor(st.st_dev);
    }
    if (ferror(maps))
        r = -EIO;
    fclose(maps);
    return r;
}

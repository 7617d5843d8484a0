/* A pidfd names a process without the doubt of a pid. Where the kernel gives the pidfd of a
 * socket's peer (SO_PEERPIDFD, 6.5), there is no gap in which the pid could become another's;
 * elsewhere pidfd_open takes the pid, and the gap is closed by the open connection: a peer that was
 * gone would have hung up. The start time is read after the pidfd was opened, and the pidfd asked
 * once more afterwards, so that it is of the same process. */
#include "server/shell/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
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

static int read_file(const char *path, char *buffer, size_t buffer_bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n;
    do {
        n = read(fd, buffer, buffer_bytes - 1);
    } while (n < 0 && errno == EINTR);
    int r = n < 0 ? -errno : 0;
    close(fd);
    if (r == 0)
        buffer[n] = '\0';
    return r;
}

/* Read /proc/PID/stat: the state is field 3, the start time field 22. The name, field 2, may hold
 * anything, parentheses too: the fields are counted after the last one. */
static int read_stat(uint32_t pid, char *ret_state, uint64_t *ret_ticks)
{
    char path[64];
    char text[1024];
    snprintf(path, sizeof(path), "/proc/%" PRIu32 "/stat", pid);
    int r = read_file(path, text, sizeof(text));
    if (r < 0)
        return r == -ENOENT || r == -ESRCH ? -ESRCH : -EPROTO;
    char *p = strrchr(text, ')');
    if (!p || p[1] != ' ')
        return -EPROTO;
    p += 2;
    char state = *p;
    for (int field = 3; field < 22; field++) {
        p = strchr(p, ' ');
        if (!p)
            return -EPROTO;
        p++;
    }
    char *end;
    uint64_t ticks = strtoull(p, &end, 10);
    if (end == p)
        return -EPROTO;
    *ret_state = state;
    *ret_ticks = ticks;
    return 0;
}

int ga_process_start_time(uint32_t pid, uint64_t *ret_ticks)
{
    char state;
    return read_stat(pid, &state, ret_ticks);
}

bool ga_process_is_alive(uint32_t pid, uint64_t start_time)
{
    char state;
    uint64_t ticks;
    if (pid == 0)
        return false;
    int r = read_stat(pid, &state, &ticks);
    /* What cannot be read is not taken for dead. */
    if (r == -EPROTO)
        return true;
    return r == 0 && ticks == start_time && state != 'Z' && state != 'X';
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

int ga_process_watch_fd(int fd, const struct ga_peer *peer, int *ret_pidfd,
                        uint64_t *ret_start_time)
{
    if (peer->pid == 0)
        return -ESRCH;
    int pidfd = -1;
    int r = open_pidfd(fd, peer, &pidfd);
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

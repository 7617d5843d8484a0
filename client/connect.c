/* Connecting. A Unix socket accepts at once or, when the server's backlog is full, makes the caller
 * wait; that wait cannot be polled for, but a send timeout on the socket bounds it. So it is tried
 * without a wait first, which takes nothing but the connect, and nearly always does. */
#include "client/connect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/deadline.h"

/* Say who may connect to the socket at path, which this process may not. Numbers, and no names: to
 * look those up takes the process's malloc. */
static void explain_rights(const char *path, char ret_error[static GA_CHANNEL_ERROR_BYTES])
{
    struct stat st;
    if (stat(path, &st) < 0)
        snprintf(ret_error, GA_CHANNEL_ERROR_BYTES,
                 "%s: no right to connect (permission denied): a folder on the way is closed to "
                 "this user",
                 path);
    else
        snprintf(ret_error, GA_CHANNEL_ERROR_BYTES,
                 "%s: no right to connect (permission denied): the socket is of user %u, group %u, "
                 "mode %o; join that group, or see --group and --mode of goallocd",
                 path, (unsigned)st.st_uid, (unsigned)st.st_gid, (unsigned)st.st_mode & 07777);
}

/* What err, a positive errno of connect, means for the socket at path. */
static const char *explain(const char *path, int err)
{
    struct stat st;
    switch (err) {
    case ENOENT:
        return "no such socket; is goallocd running?";
    case ECONNREFUSED:
        if (stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
            return "this is not a socket";
        return "nobody listens there (connection refused); is goallocd running?";
    case ENOTDIR:
        return "no such socket: a part of the path is not a directory";
    case EPROTOTYPE:
        return "the other side does not speak goalloc's protocol: this is no stream socket";
    case EAGAIN:
    case ETIMEDOUT:
        return "the server did not accept the connection in time; is it stopped or overloaded?";
    case EMFILE:
    case ENFILE:
        return "too many files are open";
    default:
        return strerrordesc_np(err);
    }
}

/* The error to report for err, where the system's own would tell the caller less. */
static int translate(int err)
{
    switch (err) {
    case EAGAIN:
        return -ETIMEDOUT;
    case EPERM:
        return -EACCES;
    case ENOTDIR:
        return -ENOENT;
    case EPROTOTYPE:
        return -EPROTO;
    default:
        return -err;
    }
}

/* fd does not wait. Returns 0 or a positive errno, EAGAIN when the deadline is over. */
static int connect_until(int fd, const struct sockaddr_un *address, const struct timespec *deadline)
{
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        return 0;
    if (errno != EAGAIN)
        return errno;
    if (fcntl(fd, F_SETFL, 0) < 0)
        return errno;
    for (;;) {
        int left_ms = ga_deadline_left_ms(deadline);
        if (left_ms == 0)
            return EAGAIN;
        struct timeval limit = {left_ms / 1000, left_ms % 1000 * 1000};
        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
            return errno;
        if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
            return 0;
        /* A connect that a signal has interrupted leaves a Unix socket as it was. */
        if (errno != EINTR)
            return errno;
    }
}

int ga_connect(const char *path, const struct timespec *deadline,
               char ret_error[static GA_CHANNEL_ERROR_BYTES], int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strnlen(path, sizeof(address.sun_path));
    if (length == 0) {
        snprintf(ret_error, GA_CHANNEL_ERROR_BYTES, "The path of the server's socket is empty.");
        return -EINVAL;
    }
    if (length >= sizeof(address.sun_path)) {
        snprintf(ret_error, GA_CHANNEL_ERROR_BYTES,
                 "%.128s...: the path has %zu bytes, but that of a socket has %zu at most", path,
                 strlen(path), sizeof(address.sun_path) - 1);
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path, path, length);

    int err = 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        err = errno;
    else
        err = connect_until(fd, &address, deadline);
    if (err == 0) {
        *ret_fd = fd;
        return 0;
    }
    if (fd >= 0)
        close(fd);
    if (err == EACCES || err == EPERM)
        explain_rights(path, ret_error);
    else
        snprintf(ret_error, GA_CHANNEL_ERROR_BYTES, "%s: %s", path, explain(path, err));
    return translate(err);
}

/* Whether a socket file is stale is asked by connecting: the kernel refuses where nobody listens.
 * Asking, removing and making anew happen under the directory's lock, so that two servers that
 * start at once do not remove each other's socket; so does removing it at the end. The file is made
 * with mode 0600 from the beginning (the mode is the descriptor's), and gets other rights before
 * the socket listens, so there is no moment in which others could connect. */
#include "server/shell/listener.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shm/dirlock.h"
#include "server/shell/log.h"

#define BACKLOG 1024

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    return address;
}

static void directory_of(const char *path, char ret_directory[static sizeof(struct sockaddr_un)])
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (!slash)
        snprintf(ret_directory, sizeof(struct sockaddr_un), ".");
    else
        snprintf(ret_directory, sizeof(struct sockaddr_un), "%.*s", length ? (int)length : 1, path);
}

static int new_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd < 0 ? -errno : fd;
}

/* Try to connect: 0 somebody listens; -ECONNREFUSED nobody; -ENOENT no such file; or another. A
 * full backlog (-EAGAIN) is somebody. */
static int probe(const char *path)
{
    int fd = new_socket();
    if (fd < 0)
        return fd;
    struct sockaddr_un address = address_of(path);
    int r = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
    close(fd);
    return r == -EAGAIN ? 0 : r;
}

/* Make room at path. */
static int clear_path(const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return 0; /* what is wrong beside ENOENT, bind will find, too */
    if (!S_ISSOCK(st.st_mode)) {
        ga_log(GA_LOG_ERROR, "%s is there already and is no socket: it is left as it is", path);
        return -EADDRINUSE;
    }
    int r = probe(path);
    if (r == 0) {
        ga_log(GA_LOG_ERROR, "another server listens on %s", path);
        return -EADDRINUSE;
    }
    if (r != -ECONNREFUSED && r != -ENOENT) {
        ga_log(GA_LOG_ERROR, "the socket %s is there already, and cannot be asked who listens: %s",
               path, strerror(-r));
        return r;
    }
    if (unlink(path) < 0 && errno != ENOENT) {
        r = -errno;
        ga_log(GA_LOG_ERROR, "the socket %s of a dead server cannot be removed: %s", path,
               strerror(-r));
        return r;
    }
    return 0;
}

static void log_bind_error(const char *path, const char *directory, int err)
{
    if (err == -ENOENT)
        ga_log(GA_LOG_ERROR,
               "the socket %s cannot be made: there is no directory %s: make it, or give --socket",
               path, directory);
    else if (err == -EACCES || err == -EROFS)
        ga_log(GA_LOG_ERROR,
               "the socket %s cannot be made: no right to write in %s: give another --socket", path,
               directory);
    else if (err == -ENOTDIR)
        ga_log(GA_LOG_ERROR,
               "the socket %s cannot be made: %s is no directory: give another --socket", path,
               directory);
    else
        ga_log(GA_LOG_ERROR, "the socket %s cannot be made: %s", path, strerror(-err));
}

static int bind_and_listen(int fd, const char *path, const char *directory,
                           const struct ga_access *access)
{
    struct sockaddr_un address = address_of(path);
    int r = 0;
    if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        r = -errno;
        log_bind_error(path, directory, r);
        return r;
    }
    r = ga_access_apply_to_socket(access, path);
    if (r < 0) {
        ga_log(GA_LOG_ERROR, "the socket %s cannot be given its group and mode: %s", path,
               r == -EPERM ? "only a member of --group, or root, may give it to that"
                           : strerror(-r));
        unlink(path);
        return r;
    }
    if (listen(fd, BACKLOG) < 0) {
        r = -errno;
        ga_log(GA_LOG_ERROR, "the socket %s does not listen: %s", path, strerror(-r));
        unlink(path);
    }
    return r;
}

int ga_listener_open(struct ga_listener *listener, const char *path, const struct ga_access *access)
{
    char directory[sizeof(struct sockaddr_un)];
    directory_of(path, directory);
    int fd = new_socket();
    if (fd < 0) {
        ga_log(GA_LOG_ERROR, "no socket is to be had: %s", strerror(-fd));
        return fd;
    }
    int lock = ga_dirlock_take(directory, GA_DIRLOCK_SERVER_MS);
    int r = clear_path(path);
    if (r == 0)
        r = bind_and_listen(fd, path, directory, access);
    struct stat st = {0};
    if (r == 0)
        (void)lstat(path, &st);
    ga_dirlock_release(lock);
    if (r < 0) {
        close(fd);
        return r;
    }
    *listener = (struct ga_listener){.path = path, .fd = fd, .dev = st.st_dev, .ino = st.st_ino};
    return 0;
}

int ga_listener_take_fd(struct ga_listener *listener)
{
    int fd = listener->fd;
    listener->fd = -1;
    return fd;
}

void ga_listener_remove(struct ga_listener *listener)
{
    if (!listener->path)
        return;
    char directory[sizeof(struct sockaddr_un)];
    directory_of(listener->path, directory);
    int lock = ga_dirlock_take(directory, GA_DIRLOCK_SERVER_MS);
    struct stat st;
    if (lstat(listener->path, &st) == 0 && st.st_dev == listener->dev && st.st_ino == listener->ino)
        unlink(listener->path);
    ga_dirlock_release(lock);
    listener->path = NULL;
}

void ga_listener_close(struct ga_listener *listener)
{
    ga_listener_remove(listener);
    if (listener->fd >= 0)
        close(listener->fd);
    *listener = GA_LISTENER_NONE;
}

/* What is served shows names of processes and sizes of objects, and asks nobody who he is: so it is
 * for this machine alone. Who wants it elsewhere has ssh -L or a proxy of his own, which know
 * users.
 *
 * The file of a Unix socket stays when its owner is killed. One at which nobody listens is
 * replaced; anything else is left alone. */
#include "client/ctl/listen_address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/error.h"

#define BACKLOG 64

static int refuse(const char *text, int err, const char *why)
{
    fprintf(stderr, "goallocctl: cannot listen at '%s': %s\n", text, why);
    return err;
}

static int refuse_errno(const char *text, int err)
{
    if (err == EADDRINUSE)
        return refuse(text, -EADDRINUSE,
                      "somebody else listens there; choose another with --listen");
    return refuse(text, -err, ga_error_text(-err));
}

/* Bind and listen; on failure fd is closed. */
static int listen_at(const char *text, int fd, const struct sockaddr *address, socklen_t length,
                     struct ga_listener *listener)
{
    if (bind(fd, address, length) < 0 || listen(fd, BACKLOG) < 0) {
        int err = errno;
        close(fd);
        return refuse_errno(text, err);
    }
    listener->fd = fd;
    return 0;
}

/* The port at the end of text, whose host has host_length characters; -EINVAL. */
static int read_port(const char *text, size_t host_length, in_port_t *ret)
{
    const char *digits = text + host_length + 1;
    char *end;
    unsigned long port = strtoul(digits, &end, 10);
    if (text[host_length] != ':' || digits[0] < '0' || digits[0] > '9' || *end || port > 65535)
        return -EINVAL;
    *ret = htons((in_port_t)port);
    return 0;
}

static int listen_tcp(const char *text, int family, in_port_t port, struct ga_listener *listener)
{
    struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const void *address = family == AF_INET ? (const void *)&v4 : &v6;
    socklen_t length = family == AF_INET ? sizeof(v4) : sizeof(v6);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return refuse_errno(text, errno);
    /* A port whose last connections are just ending may be listened at again. */
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    int r = listen_at(text, fd, address, length, listener);
    if (r < 0)
        return r;
    struct sockaddr_in6 bound = {0};
    length = sizeof(bound);
    getsockname(fd, (struct sockaddr *)&bound, &length);
    snprintf(listener->url, sizeof(listener->url), "http://%s:%u/",
             family == AF_INET ? "127.0.0.1" : "[::1]",
             (unsigned)ntohs(bound.sin6_port)); /* which lies where that of IPv4 does */
    return 0;
}
static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
              "the port lies in one place");

/* Whether path is free, or the socket of somebody who is gone, and then it is removed. */
static int make_way(const char *text, const struct sockaddr_un *address)
{
    struct stat st;
    if (lstat(address->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : refuse_errno(text, errno);
    if (!S_ISSOCK(st.st_mode))
        return refuse(text, -EADDRINUSE, "the path is there already and is no socket");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return refuse_errno(text, errno);
    int r = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? errno : 0;
    close(fd);
    if (r != ECONNREFUSED)
        return refuse_errno(text, r == 0 ? EADDRINUSE : r);
    return unlink(address->sun_path) < 0 ? refuse_errno(text, errno) : 0;
}

static int listen_unix(const char *text, const char *path, struct ga_listener *listener)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path[0] == '\0' || strlen(path) >= sizeof(address.sun_path))
        return refuse(text, -EINVAL, "a path has 1 to 107 bytes");
    memcpy(address.sun_path, path, strlen(path) + 1);
    int r = make_way(text, &address);
    if (r < 0)
        return r;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return refuse_errno(text, errno);
    mode_t mask = umask(0177);
    r = listen_at(text, fd, (const struct sockaddr *)&address, sizeof(address), listener);
    umask(mask);
    if (r < 0)
        return r;
    listener->is_unix = true;
    snprintf(listener->path, sizeof(listener->path), "%s", path);
    snprintf(listener->url, sizeof(listener->url), "unix:%s", path);
    return 0;
}

int ga_listen(const char *text, struct ga_listener *ret)
{
    static const struct {
        const char *host;
        int family;
    } hosts[] = {{"127.0.0.1", AF_INET}, {"localhost", AF_INET}, {"[::1]", AF_INET6}};
    struct ga_listener listener = {.fd = -1};
    int r = -EINVAL;
    if (strncmp(text, "unix:", 5) == 0) {
        r = listen_unix(text, text + 5, &listener);
    } else {
        for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
            size_t length = strlen(hosts[i].host);
            in_port_t port = 0;
            if (strncmp(text, hosts[i].host, length) != 0 || read_port(text, length, &port) < 0)
                continue;
            r = listen_tcp(text, hosts[i].family, port, &listener);
            break;
        }
        if (r == -EINVAL)
            refuse(text, r,
                   "give 127.0.0.1:PORT, [::1]:PORT or unix:PATH; it is for this machine alone, "
                   "from elsewhere use 'ssh -L'");
    }
    if (r == 0)
        *ret = listener;
    return r;
}

void ga_listener_close(struct ga_listener *listener)
{
    if (listener->fd >= 0)
        close(listener->fd);
    if (listener->path[0])
        unlink(listener->path);
    listener->fd = -1;
}

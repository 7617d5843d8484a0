/* Where goallocctl serve listens: a port of the loopback, or a Unix socket. */
#ifndef GA_CTL_LISTEN_ADDRESS_H
#define GA_CTL_LISTEN_ADDRESS_H

#include <limits.h>
#include <stdbool.h>

struct ga_listener {
    int fd;
    bool is_unix;
    char path[PATH_MAX]; /* of the Unix socket, "" where there is none */
    char url[PATH_MAX];  /* for people */
};

/* Listen at text: "127.0.0.1:PORT", "localhost:PORT", "[::1]:PORT" (port 0: any that is free), or
 * "unix:PATH", which only this user may connect to. Returns 0; -EINVAL for anything else,
 * -EADDRINUSE where somebody else is there, or another negative errno, after the reason has been
 * told on stderr. */
int ga_listen(const char *text, struct ga_listener *ret);

/* Close, and remove the socket's file. */
void ga_listener_close(struct ga_listener *listener);

#endif

/* The socket that clients connect to. */
#ifndef GA_SERVER_SHELL_LISTENER_H
#define GA_SERVER_SHELL_LISTENER_H

#include <sys/types.h>

#include "server/shell/access.h"

struct ga_listener {
    const char *path; /* NULL = its file is removed */
    int fd;           /* -1 = none */
    dev_t dev;        /* of the socket's file, to know it again */
    ino_t ino;
};
#define GA_LISTENER_NONE ((struct ga_listener){.fd = -1})

/* Make the socket at path, with the rights that access says, and listen; a file that a dead server
 * left there is replaced, a live one refused. What stands in the way is logged. path must live as
 * long as the listener. 0 or a negative errno. */
int ga_listener_open(struct ga_listener *listener, const char *path,
                     const struct ga_access *access);

/* Forget the descriptor: somebody else closes it from now on. */
int ga_listener_take_fd(struct ga_listener *listener);

/* Remove the socket's file if it is still ours. To be called while the socket is still open,
 * whoever has its descriptor: until then the file's inode number is nobody else's, and a server
 * that starts is refused the path. A second call does nothing. */
void ga_listener_remove(struct ga_listener *listener);

/* Remove the file, if that has not been done, and close. */
void ga_listener_close(struct ga_listener *listener);

#endif

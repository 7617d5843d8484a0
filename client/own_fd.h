/* A descriptor of the library's, known again by what it leads to. A program may close all its
 * descriptors, as daemons do, the library's among them; then their numbers are the program's, for
 * whatever it opens next, and must be neither written to nor closed. */
#ifndef GA_CLIENT_OWN_FD_H
#define GA_CLIENT_OWN_FD_H

#include <stdbool.h>
#include <sys/types.h>

struct ga_own_fd {
    int fd; /* -1 = none */
    dev_t dev;
    ino_t ino;
    pid_t marked; /* the thread that it is marked with, 0 = it is not marked */
};
#define GA_OWN_FD_NONE ((struct ga_own_fd){.fd = -1})

/* Remember fd; -1 is none. */
struct ga_own_fd ga_own_fd_of(int fd);

/* The same for an eventfd or epoll, which have no inode of their own: they are marked with the
 * calling thread, and are ours for as long as that lives. */
struct ga_own_fd ga_own_fd_mark(int fd);

/* Whether the number still leads there. A system call, or two where it is marked. */
bool ga_own_fd_is_ours(const struct ga_own_fd *own);

/* Close it if it is ours. */
void ga_own_fd_close(const struct ga_own_fd *own);

#endif

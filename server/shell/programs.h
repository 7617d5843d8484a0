/* Programs whose malloc is a heap of their own, in their own memory (client/malloc). The server has
 * no part in those heaps; it knows which there are, so that others can find them, until their
 * processes have ended. */
#ifndef GA_SERVER_SHELL_PROGRAMS_H
#define GA_SERVER_SHELL_PROGRAMS_H

#include <stdint.h>

#include "proto/message.h"

/* That are known at once; of more the server knows nothing. */
#define GA_PROGRAMS_MAX 4096u

struct ga_server;
struct ga_connection;
struct ga_program;

struct ga_programs {
    struct ga_program *first; /* in the order of their pids */
    uint32_t count;
    uint64_t nseen; /* ever */
};

/* The process at the other end of connection has a heap where note says. 0; -ENOSPC; -ESRCH where
 * it has ended already, or cannot be seen; or another negative errno. */
int ga_programs_add(struct ga_connection *connection, const Goalloc__V1__Program *note);

/* Fill ret in for the first program with a pid of at least pid; its name lies in the server's
 * memory until the loop goes on. -ENOENT where there is none. */
int ga_programs_next(struct ga_server *server, uint64_t pid, Goalloc__V1__Program *ret);

/* Stop all watches. For the server's end. */
void ga_programs_abandon(struct ga_server *server);

#endif

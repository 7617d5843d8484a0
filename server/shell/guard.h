/* A guard over the bits object. Clients can write it, and so truncate it; a load of what is gone
 * raises SIGBUS, which would end the server and leave its objects behind. Under the guard the load
 * gets zeros, and the loop is told, so that the heap is ended in order. One region a process. */
#ifndef GA_SERVER_SHELL_GUARD_H
#define GA_SERVER_SHELL_GUARD_H

#include <stdbool.h>
#include <stdint.h>

/* Guard the mapping of bytes at address, which begins on an OS page, from now on. Any other SIGBUS
 * has its default action. 0 or a negative errno. For the server's one thread. */
int ga_guard_start(void *address, uint64_t bytes);

/* Before the mapping is taken away: SIGBUS has its default action again. */
void ga_guard_stop(void);

/* Whether a part of the mapping was found missing since ga_guard_start. It holds private zeros
 * now, and nothing that is decided by it is worth anything. */
bool ga_guard_has_struck(void);

#endif

/* A guard over the shared objects. Who can write one can truncate it; a load of what is gone raises
 * SIGBUS, which would end the server and leave its objects behind. Under the guard the load gets
 * zeros, and the loop is told, so that the heap is ended in order. One heap a process. */
#ifndef GA_SERVER_SHELL_GUARD_H
#define GA_SERVER_SHELL_GUARD_H

#include <stdbool.h>

#include "shm/mapping.h"

/* Guard the mappings, by enum ga_object, from now on. Any other SIGBUS has its default action. 0 or
 * a negative errno. For the server's one thread. */
int ga_guard_start(const struct ga_mapping mappings[static GA_OBJECT_COUNT]);

/* Before the mappings are taken away: SIGBUS has its default action again. */
void ga_guard_stop(void);

/* Whether a part of the object was found missing since ga_guard_start. There are private zeros now,
 * and nothing that is decided by them is worth anything. */
bool ga_guard_has_struck(enum ga_object object);

#endif

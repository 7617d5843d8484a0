/* The heap of one process: the whole hierarchy in its own memory, mcaches, mcentral, mheap and all,
 * with no server beside it. What a client would ask the server for over its channel, a call of the
 * heap core answers (own_server.c); so a fork copies the heap as it copies the rest of the process.
 */
#ifndef GA_CLIENT_MALLOC_OWN_HEAP_H
#define GA_CLIENT_MALLOC_OWN_HEAP_H

#include "client/heap.h"
#include "client/managed_stop.h"

/* Among those of the process: its only one. */
#define GA_OWN_HEAP_PLACE 1u

/* The heap; all zero, and no thread has a cache in it, before it is made. */
extern struct goalloc_heap ga_own_heap_itself;

/* Make the process's heap, if a server is there to be told of it. NULL, and why in a sentence,
 * where that cannot be. Once; not to be undone. */
struct goalloc_heap *ga_own_heap_make(char ret_why[static GA_CHANNEL_ERROR_BYTES]);

/* The same heap; NULL before it is made. */
struct goalloc_heap *ga_own_heap(void);

/* All memory that the heap and its books lie in. */
struct ga_stop_range ga_own_heap_range(void);
/* Its bits; meta its view tells. */
const void *ga_own_heap_bits(void);

/* Before a fork. */
void ga_own_heap_is_to_be_copied(void);
/* In its child: the server does not know of this process as yet. */
void ga_own_heap_is_copied(void);
/* Tell it, if it does not and this child has needed the core for some time. Before a call of the
 * core. */
void ga_own_heap_meet_server(void);

/* ---- own_server.c ---- */

/* Around a fork, and what else is asked of the core (proto/own_core.h): nobody is within it. */
void ga_own_server_lock(void);
void ga_own_server_unlock(void);

/* ---- own_fork.c ---- */

/* From now on a fork finds the heap at rest. */
void ga_own_fork_init(void);
/* What it does then, for who forks without the program's handlers: before, and after it in the
 * parent and in the child. */
void ga_own_fork_before(void);
void ga_own_fork_after(void);
void ga_own_fork_in_child(void);

#endif

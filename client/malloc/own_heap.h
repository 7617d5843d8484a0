/* The heap of one process: the whole hierarchy in its own memory, mcaches, mcentral, mheap and all,
 * with no server beside it. What a client would ask the server for over its channel, a call of the
 * heap core answers (own_server.c); so a fork copies the heap as it copies the rest of the process.
 */
#ifndef GA_CLIENT_MALLOC_OWN_HEAP_H
#define GA_CLIENT_MALLOC_OWN_HEAP_H

#include "client/heap.h"
#include "client/managed_stop.h"

struct ga_heap;
struct ga_heap_stats;

/* Make the process's heap, if a server is there to be told of it. NULL, and why in a sentence,
 * where that cannot be. Once; not to be undone. */
struct goalloc_heap *ga_own_heap_make(char ret_why[static GA_CHANNEL_ERROR_BYTES]);

/* The same heap; NULL before it is made. */
struct goalloc_heap *ga_own_heap(void);

/* All memory that the heap and its books lie in. */
struct ga_stop_range ga_own_heap_range(void);
/* Its bits; meta its view tells. */
const void *ga_own_heap_bits(void);

/* The pages at offset of the heap have no memory from now on, and are zero. 0 or negative errno. */
int ga_own_heap_punch(uint64_t offset, uint64_t bytes);

/* In a child of fork: the server does not know of this process as yet. */
void ga_own_heap_is_copied(void);
/* Tell it now, if it does not. Before a call of the core. */
void ga_own_heap_meet_server(void);

/* ---- own_server.c ---- */

/* From now on what the client asks for is answered by core, in whose tables it is client. */
void ga_own_server_init(struct ga_heap *core, uint32_t client, uint64_t now_ms);
/* Give all free memory back to the system but pad bytes. Returns how much that was. */
uint64_t ga_own_server_release(uint64_t pad);
void ga_own_server_get_stats(struct ga_heap_stats *ret);
/* Around a fork: nobody is within the core. */
void ga_own_server_lock(void);
void ga_own_server_unlock(void);
/* In a child of fork: the thread that had the mcache is not here. Its spans go to those who need
 * some, with what it was at when the process was copied. With the lock held. */
void ga_own_server_mcache_gone(ga_mcache_id mcache);
/* The process gives up all that its threads have: what is in use then is nobody's, and nothing may
 * be allocated any more. The core, which nobody else is within: for a copy of the process. */
struct ga_heap *ga_own_server_leave(void);

/* ---- own_fork.c ---- */

/* From now on a fork finds the heap at rest. */
void ga_own_fork_init(void);
/* What it does then, for who forks without the program's handlers: before, and after it in the
 * parent and in the child. */
void ga_own_fork_before(void);
void ga_own_fork_after(void);
void ga_own_fork_in_child(void);

#endif

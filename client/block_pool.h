/* Memory for the channel: blocks of one size, mapped from the system and kept for reuse. The
 * channel serves an allocator, so it must not call the process's malloc. A block is mapped whole
 * but costs only the OS pages that are written, so it can be as large as the worst case. */
#ifndef GA_CLIENT_BLOCK_POOL_H
#define GA_CLIENT_BLOCK_POOL_H

#include <stddef.h>

#define GA_BLOCK_POOL_KEPT 8 /* blocks, for reuse */

struct ga_block_pool;

/* A pool without a block, block_bytes (at least 1) each; NULL when the system has no memory. */
struct ga_block_pool *ga_block_pool_new(size_t block_bytes);

/* No block is taken any more. Those that are in use stay until they are given back, and the pool
 * with them. Returns how many these are. NULL is allowed. */
size_t ga_block_pool_close(struct ga_block_pool *pool);

/* A block, aligned to an OS page, its content undefined; NULL when the system has no memory.
 * Thread-safe. */
void *ga_block_pool_get(struct ga_block_pool *pool);

/* Give block back. used_bytes: how much of it, from its start, may have been written; a block that
 * has grown large goes back to the system at once. NULL is allowed. Thread-safe. */
void ga_block_pool_put(struct ga_block_pool *pool, void *block, size_t used_bytes);

#endif

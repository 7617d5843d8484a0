/* Memory for the channel: blocks of one size, mapped from the system and kept for reuse. The
 * channel serves an allocator, so it must not call the process's malloc. A block is mapped whole
 * but costs only the OS pages that are written, so it can be as large as the worst case. */
#ifndef GA_CLIENT_BLOCK_POOL_H
#define GA_CLIENT_BLOCK_POOL_H

#include <pthread.h>
#include <stddef.h>

#define GA_BLOCK_POOL_KEPT 8

/* The fields are block_pool.c's. */
struct ga_block_pool {
    pthread_mutex_t lock;
    size_t block_bytes;
    size_t nout; /* blocks that are in use */
    size_t nfree;
    void *free[GA_BLOCK_POOL_KEPT]; /* the one given back last is at the end, and taken first */
};

/* Begin with no block. block_bytes: of each block, at least 1. */
void ga_block_pool_init(struct ga_block_pool *pool, size_t block_bytes);

/* Unmap the blocks kept. None may be in use. */
void ga_block_pool_fini(struct ga_block_pool *pool);

/* A block, aligned to an OS page, its content undefined; NULL when the system has no memory.
 * Thread-safe. */
void *ga_block_pool_get(struct ga_block_pool *pool);

/* Give block back. used_bytes: how much of it, from its start, may have been written; a block that
 * has grown large goes back to the system at once. NULL is allowed. Thread-safe. */
void ga_block_pool_put(struct ga_block_pool *pool, void *block, size_t used_bytes);

#endif

/* Blocks for the channel. A short stack of free blocks, hot ones on top, and the system behind it.
 * The stack holds the blocks' addresses itself, so that a block which was never written to still
 * costs nothing while it waits. */
#include "client/block_pool.h"

#include <assert.h>
#include <sys/mman.h>

/* What a kept block may hold resident: more than any usual reply or burst of notes needs. */
#define KEPT_BLOCK_BYTES (128u * 1024u)

void ga_block_pool_init(struct ga_block_pool *pool, size_t block_bytes)
{
    assert(block_bytes > 0);
    *pool = (struct ga_block_pool){.lock = PTHREAD_MUTEX_INITIALIZER, .block_bytes = block_bytes};
}

void ga_block_pool_fini(struct ga_block_pool *pool)
{
    assert(pool->nout == 0);
    while (pool->nfree > 0)
        munmap(pool->free[--pool->nfree], pool->block_bytes);
    pthread_mutex_destroy(&pool->lock);
}

void *ga_block_pool_get(struct ga_block_pool *pool)
{
    void *block = NULL;
    pthread_mutex_lock(&pool->lock);
    if (pool->nfree > 0)
        block = pool->free[--pool->nfree];
    pool->nout++;
    pthread_mutex_unlock(&pool->lock);
    if (block)
        return block;

    block = mmap(NULL, pool->block_bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block != MAP_FAILED)
        return block;
    pthread_mutex_lock(&pool->lock);
    pool->nout--;
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

void ga_block_pool_put(struct ga_block_pool *pool, void *block, size_t used_bytes)
{
    if (!block)
        return;
    pthread_mutex_lock(&pool->lock);
    assert(pool->nout > 0);
    pool->nout--;
    if (pool->nfree < GA_BLOCK_POOL_KEPT && used_bytes <= KEPT_BLOCK_BYTES) {
        pool->free[pool->nfree++] = block;
        block = NULL;
    }
    pthread_mutex_unlock(&pool->lock);
    if (block)
        munmap(block, pool->block_bytes);
}

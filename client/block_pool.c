/* Blocks for the channel. A short stack of free blocks, hot ones on top, and the system behind it.
 * The stack holds the blocks' addresses itself, so that a block which was never written to still
 * costs nothing while it waits. */
#include "client/block_pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>

/* What a kept block may hold resident: more than any usual reply or burst of notes needs. */
#define KEPT_BLOCK_BYTES (128u * 1024u)

struct ga_block_pool {
    pthread_mutex_t lock;
    size_t block_bytes;
    bool closed;
    size_t nout; /* blocks that are in use */
    size_t nfree;
    void *free[GA_BLOCK_POOL_KEPT]; /* the one given back last is at the end, and taken first */
};

static void *map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

struct ga_block_pool *ga_block_pool_new(size_t block_bytes)
{
    assert(block_bytes > 0);
    struct ga_block_pool *pool = map(sizeof(*pool));
    if (pool)
        *pool =
            (struct ga_block_pool){.lock = PTHREAD_MUTEX_INITIALIZER, .block_bytes = block_bytes};
    return pool;
}

static void free_pool(struct ga_block_pool *pool)
{
    pthread_mutex_destroy(&pool->lock);
    munmap(pool, sizeof(*pool));
}

size_t ga_block_pool_close(struct ga_block_pool *pool)
{
    if (!pool)
        return 0;
    pthread_mutex_lock(&pool->lock);
    while (pool->nfree > 0)
        munmap(pool->free[--pool->nfree], pool->block_bytes);
    pool->closed = true;
    size_t nout = pool->nout;
    pthread_mutex_unlock(&pool->lock);
    if (nout == 0)
        free_pool(pool);
    return nout;
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

    block = map(pool->block_bytes);
    if (block)
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
    bool is_last = pool->closed && pool->nout == 0;
    if (!pool->closed && pool->nfree < GA_BLOCK_POOL_KEPT && used_bytes <= KEPT_BLOCK_BYTES) {
        pool->free[pool->nfree++] = block;
        block = NULL;
    }
    pthread_mutex_unlock(&pool->lock);
    if (block)
        munmap(block, pool->block_bytes);
    if (is_last)
        free_pool(pool);
}

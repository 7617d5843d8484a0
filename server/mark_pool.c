/* Several threads share the work by chunks of their stacks. A thread that has nothing takes a chunk
 * from the pool, and one that has much gives some when somebody is idle. The lock of the pool is
 * held for a few stores, by threads of this process alone. */
#include "server/mark_internal.h"

#include <stdlib.h>
#include <threads.h>

static void lock(struct ga_mark *mark)
{
    while (atomic_flag_test_and_set_explicit(&mark->lock, memory_order_acquire))
        thrd_yield();
}

static void unlock(struct ga_mark *mark)
{
    atomic_flag_clear_explicit(&mark->lock, memory_order_release);
}

struct ga_mark_chunk *ga_mark_take_full(struct ga_mark *mark)
{
    if (ga_load_relaxed(&mark->nfull) == 0)
        return NULL;
    lock(mark);
    struct ga_mark_chunk *chunk = mark->full;
    if (chunk) {
        mark->full = chunk->next;
        ga_fetch_sub_relaxed(&mark->nfull, 1);
    }
    unlock(mark);
    return chunk;
}

void ga_mark_put(struct ga_mark *mark, struct ga_mark_chunk *chunk)
{
    struct ga_mark_chunk **list = chunk->count ? &mark->full : &mark->empty;
    lock(mark);
    chunk->next = *list;
    *list = chunk;
    if (chunk->count)
        ga_fetch_add_relaxed(&mark->nfull, 1);
    unlock(mark);
}

struct ga_mark_chunk *ga_mark_take_empty(struct ga_mark *mark)
{
    lock(mark);
    struct ga_mark_chunk *chunk = mark->empty;
    if (chunk)
        mark->empty = chunk->next;
    unlock(mark);
    if (chunk)
        return chunk;
    chunk = malloc(sizeof(*chunk));
    if (!chunk) {
        ga_mark_cancel(mark);
        return NULL;
    }
    chunk->count = 0;
    lock(mark);
    chunk->next_made = mark->chunks;
    mark->chunks = chunk;
    unlock(mark);
    return chunk;
}

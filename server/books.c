/* The core's tables by page and by mcache. A server's are as long as the reserve and the layout
 * allow from the beginning: zero pages until they are touched. In a process's own heap that would
 * make each touch a region of its own, for which a fork copies a page table, or an OS page; so
 * there they begin short, beside what else a small heap needs, and are moved once, when the heap
 * outgrows them: the page allocator's as well. Nobody keeps a pointer into them over what may make
 * the heap longer, or a new mcache. */
#include "server/heap_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OWN_MSPANS  GA_PAGES_PER_ARENA
#define OWN_RECORDS 8u

int ga_books_init(struct ga_heap *heap, bool is_own)
{
    heap->nmspans = is_own ? OWN_MSPANS : heap->npages_reserved;
    heap->nmcache_records = is_own ? OWN_RECORDS : heap->counts.mcaches;
    heap->mspans = calloc(heap->nmspans, sizeof(*heap->mspans));
    /* After it, so that its beginning lies beside what else is touched (core_memory.c). */
    heap->mcaches = heap->mspans ? calloc(heap->nmcache_records, sizeof(*heap->mcaches)) : NULL;
    return heap->mcaches ? 0 : -ENOMEM;
}

void ga_books_fini(struct ga_heap *heap)
{
    free(heap->mspans);
    free(heap->mcaches);
}

/* A table with room for count entries that begins with what from, of from_count, has; NULL. */
static void *move(void *from, uint64_t from_count, uint64_t count, size_t bytes)
{
    void *to = calloc(count, bytes);
    if (!to)
        return NULL;
    memcpy(to, from, from_count * bytes);
    free(from);
    return to;
}

int ga_books_have_pages(struct ga_heap *heap, uint64_t end)
{
    if (end <= heap->nmspans)
        return 0;
    int r = ga_page_alloc_lengthen(heap->pages, heap->npages_reserved);
    if (r < 0)
        return r;
    void *longer = move(heap->mspans, heap->nmspans, heap->npages_reserved, sizeof(*heap->mspans));
    if (!longer)
        return -ENOMEM;
    heap->mspans = longer;
    heap->nmspans = heap->npages_reserved;
    return 0;
}

int ga_books_have_mcache(struct ga_heap *heap, ga_mcache_id id)
{
    if (id < heap->nmcache_records)
        return 0;
    void *longer =
        move(heap->mcaches, heap->nmcache_records, heap->counts.mcaches, sizeof(*heap->mcaches));
    if (!longer)
        return -ENOMEM;
    heap->mcaches = longer;
    heap->nmcache_records = heap->counts.mcaches;
    return 0;
}

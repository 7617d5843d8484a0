/* A page of this process's own at the beginning of the heap's addresses. Page 0 of the heap is
 * never handed out, so nobody misses what the shared object has there: private memory is mapped
 * over its first OS page. It comes with the first call, for it takes the mapping of the heap apart,
 * and with it a huge page. A child of fork has a copy; the unmapping of the heap takes it away. */
#include <assert.h>
#include <errno.h>
#include <sys/mman.h>

#include "client/heap.h"
#include "client/uncancelled.h"

static_assert(GOALLOC_OWN_PAGE_BYTES == GA_OS_PAGE_SIZE, "it is one of the kernel's");
static_assert(GA_OS_PAGE_SIZE <= GA_PAGE_SIZE, "no object lies there");

/* Within a change of the registry, so that two threads do not map it one over the other's, and a
 * fork finds it there or not. */
static bool map_own_page(struct goalloc_heap *heap)
{
    void *at = (void *)heap->base; /* NOLINT: the address is the point */
    struct goalloc_heap **page = mmap(at, GOALLOC_OWN_PAGE_BYTES, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (page == MAP_FAILED)
        return false;
    *page = heap;
    ga_store_release(&heap->has_own_page, true);
    return true;
}

void *goalloc_own_page(struct goalloc_heap *heap)
{
    GA_UNCANCELLED;
    int saved = errno;
    bool there = ga_load_acquire(&heap->has_own_page); /* pairs with the release above */
    if (!there) {
        ga_registry_begin_change();
        there = ga_load_relaxed(&heap->has_own_page) || map_own_page(heap);
        ga_registry_end_change();
    }
    if (!there)
        return NULL;
    errno = saved;
    return (void *)heap->base; /* NOLINT */
}

/* Refs: a pointer into the heap as its offset from the base. Offset 0 lies in page 0, which is
 * never handed out, so it can stand for NULL. */
#include <errno.h>

#include "client/heap.h"

/* Whether an object may have a byte at offset. */
static bool is_in_heap(const struct goalloc_heap *heap, uint64_t offset)
{
    return offset >= GA_PAGE_SIZE && offset < heap->reserve_bytes;
}

int goalloc_to_ref(struct goalloc_heap *heap, const void *p, uint64_t *ret_ref)
{
    if (!p) {
        *ret_ref = 0;
        return 0;
    }
    uint64_t offset = (uintptr_t)p - heap->base;
    if (!is_in_heap(heap, offset))
        return -EINVAL;
    *ret_ref = offset;
    return 0;
}

void *goalloc_from_ref(struct goalloc_heap *heap, uint64_t ref)
{
    if (ref == 0)
        return NULL;
    if (!is_in_heap(heap, ref)) {
        errno = EINVAL;
        return NULL;
    }
    return (char *)heap->base + ref;
}

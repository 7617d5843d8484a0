/* Realloc and what else asks for an object's size. An object stays where it is as long as its slot
 * fits the new size without wasting half of it. */
#include <errno.h>
#include <string.h>

#include "client/heap.h"
#include "shm/tiny.h"

static bool find_in_use(struct goalloc_heap *heap, const char *function, const void *p,
                        struct ga_slot *ret)
{
    enum ga_lookup found = ga_lookup_slot(heap, p, ret);
    if (found == GA_LOOKUP_SLOT && ga_lookup_in_use(heap, ret))
        return true;
    ga_report_bad(heap, function, p, found, ret);
    return false;
}

/* Whether the object p of old_bytes serves for size: it holds it, and a new one would be no
 * smaller, or not by half. A tiny one has what size asks for of alignment, too. */
static bool fits_in_place(const void *p, const struct ga_slot *slot, size_t old_bytes, size_t size)
{
    if (size > old_bytes)
        return false;
    if (slot->entry & GA_ENTRY_TINY)
        return (uintptr_t)p % ga_tiny_alignment(size) == 0;
    uint32_t old_class = ga_entry_span_class(slot->entry) / 2u;
    return size > old_bytes / 2 || (old_class && ga_size_class_for_malloc(size) == old_class);
}

void *goalloc_realloc(struct goalloc_heap *heap, void *p, size_t size)
{
    if (!p)
        return goalloc_malloc(heap, size);
    struct ga_slot slot;
    if (!find_in_use(heap, "goalloc_realloc", p, &slot)) {
        errno = EINVAL;
        return NULL;
    }
    if (size == 0) {
        goalloc_free(heap, p);
        return NULL;
    }
    size_t old_bytes = ga_lookup_bytes(heap, &slot);
    if (fits_in_place(p, &slot, old_bytes, size))
        return p;
    unsigned flags = ga_entry_span_class(slot.entry) & 1 ? GOALLOC_NOSCAN : 0;
    int saved_errno = errno;
    void *moved = goalloc_alloc(heap, size, 0, flags);
    if (!moved && size <= old_bytes) {
        errno = saved_errno; /* to shrink is no reason to fail */
        return p;
    }
    if (!moved)
        return NULL;
    memcpy(moved, p, size < old_bytes ? size : old_bytes);
    goalloc_free(heap, p);
    return moved;
}

size_t goalloc_usable_size(struct goalloc_heap *heap, const void *p)
{
    struct ga_slot slot;
    if (!p || !find_in_use(heap, "goalloc_usable_size", p, &slot))
        return 0;
    return ga_lookup_bytes(heap, &slot);
}

bool goalloc_contains(struct goalloc_heap *heap, const void *p)
{
    return (uintptr_t)p - heap->base < heap->reserve_bytes;
}

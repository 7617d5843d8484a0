#include "support/stats_check.h"

#include "shm/size_class.h"

const char *ga_check_stats_identities(struct ga_core *core, bool every_free_is_counted)
{
    struct ga_heap_stats s;
    ga_heap_get_stats(core->heap, &s);
    uint64_t mallocs = 0;
    uint64_t frees = 0;
    uint64_t spans = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < GA_SIZE_CLASS_COUNT; i++) {
        mallocs += s.by_class[i].mallocs;
        frees += s.by_class[i].frees;
        spans += s.by_class[i].spans;
        bytes += s.by_class[i].alloc_bytes;
    }
    if (mallocs != s.mallocs || frees != s.frees || bytes != s.alloc_bytes)
        return "the classes' counts add up to the heap's";
    if (spans != s.spans_inuse || s.spans_leased > spans)
        return "the classes' spans add up to the heap's";
    if (s.heap_sys_bytes != s.heap_idle_bytes + s.heap_inuse_bytes ||
        s.heap_sys_bytes != core->heap_backed)
        return "heap_sys is idle and in use";
    if (s.sys_bytes != s.heap_sys_bytes + s.meta_bytes + s.bits_bytes ||
        s.meta_bytes + s.bits_bytes != core->backed_bytes)
        return "sys is all that was committed";
    if (s.meta_bytes + s.bits_bytes != s.mspan_sys_bytes + s.mcache_sys_bytes + s.other_sys_bytes)
        return "meta and bits are spans, mcaches and the rest";
    if (s.mspan_inuse_bytes > s.mspan_sys_bytes || s.mcache_inuse_bytes > s.mcache_sys_bytes ||
        s.other_sys_bytes == 0)
        return "what is in use was committed";
    if (s.leased_bytes > s.heap_inuse_bytes || (s.leased_bytes == 0) != (s.spans_leased == 0))
        return "leased spans are in use";
    if ((every_free_is_counted && s.alloc_bytes > s.heap_inuse_bytes) ||
        s.total_alloc_bytes < s.alloc_bytes)
        return "objects lie in spans, and what is was allocated";
    return NULL;
}

/* What is left at the end: the process is treated as a client that is gone, whose objects stay, and
 * a collection that only reports tells which of them nothing reaches. */
#include "server/collect.h"
#include "server/own/own_core.h"

int ga_own_core_begin_leavings(void)
{
    ga_heap_client_gone(ga_own_heap_core, ga_own_client);
    ga_heap_sweep_pending(ga_own_heap_core);
    return ga_collect_begin(ga_own_heap_core, GA_COLLECT_REPORT);
}

int ga_own_core_add_roots(const uint64_t *offsets, uint32_t n)
{
    return ga_collect_add_roots(ga_own_heap_core, offsets, n);
}

int ga_own_core_end_leavings(struct ga_own_leavings *ret)
{
    ga_collect_work(ga_own_heap_core, true);
    int r = ga_collect_settle(ga_own_heap_core);
    if (r < 0)
        return r;
    while (!ga_collect_sweep_some(ga_own_heap_core, UINT32_MAX))
        continue;
    ga_collect_end(ga_own_heap_core);
    const struct ga_collect_result *result = ga_collect_get_result(ga_own_heap_core);
    ret->collection = result->collection;
    ret->left = (struct ga_own_count){result->found.objects, result->found.bytes};
    ret->lost = (struct ga_own_count){result->garbage.objects, result->garbage.bytes};
    for (uint32_t c = 0; c < GA_OWN_CLASSES; c++)
        ret->lost_by_class[c] =
            (struct ga_own_count){result->by_class[c].objects, result->by_class[c].bytes};
    return 0;
}

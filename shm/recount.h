/* A recount of the heap from its bitmaps: slow, and dependent on nothing that is counted on the
 * way. It reads meta and bits only, so it works on a heap whose server is dead. */
#ifndef GA_SHM_RECOUNT_H
#define GA_SHM_RECOUNT_H

#include "shm/size_class.h"
#include "shm/view.h"

struct ga_recount {
    uint64_t objects;     /* slots in use */
    uint64_t alloc_bytes; /* of those slots; of tiny objects as ga_counters_bound says */
    uint64_t spans;
    uint64_t inuse_npages; /* of those spans */
    uint64_t spans_leased;
    uint64_t leased_bytes;
    uint64_t objects_by_class[GA_SIZE_CLASS_COUNT];
    uint64_t bytes_by_class[GA_SIZE_CLASS_COUNT]; /* of the slots in use */
    uint64_t spans_by_class[GA_SIZE_CLASS_COUNT];
};

/* Count every slot in use. Exact when nobody allocates or frees meanwhile; safe at any time.
 * Returns 0, or -EBADMSG when the page table contradicts itself, with the first page where it does.
 */
int ga_recount(const struct ga_view *view, struct ga_recount *ret, uint64_t *ret_bad_page);

/* Find the first span at or after *page, below the committed end. Returns 0, its first page in
 * *page and that page's entry, which is sound; -ENOENT when there is none; -EBADMSG as ga_recount,
 * with the bad page in *page. */
int ga_recount_next_span(const struct ga_view *view, uint64_t *page, uint64_t *ret_entry);

#endif

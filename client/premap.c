/* A span counts here only if none of its memory was ever handed out: what was is mapped already as
 * a rule, where it is this process that uses it again. Few pages are left to faults: of a process
 * that needs little, most would be mapped for nothing. */
#include "client/premap.h"

#include <errno.h>
#include <sys/mman.h>

#define LEAST_NPAGES 8u /* 64 KiB */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; before, it is EINVAL, and there are faults */
#endif

void ga_premap_end(const struct goalloc_heap *heap, struct ga_premap *run)
{
    int err = errno;
    if (run->npages >= LEAST_NPAGES)
        (void)madvise((char *)heap->base + ((uint64_t)run->page << GA_PAGE_SHIFT),
                      run->npages << GA_PAGE_SHIFT, MADV_POPULATE_WRITE);
    errno = err;
    *run = (struct ga_premap){0};
}

void ga_premap_add(const struct goalloc_heap *heap, ga_page_id page, struct ga_premap *run)
{
    uint64_t entry = ga_view_entry(&heap->view, page);
    if (entry & GA_ENTRY_NEEDZERO)
        return;
    uint64_t npages = ga_entry_npages(entry);
    if (page + npages == run->page) {
        run->page = page;
        run->npages += npages;
    } else if (run->npages > 0 && page == run->page + run->npages) {
        run->npages += npages;
    } else {
        ga_premap_end(heap, run);
        *run = (struct ga_premap){page, npages};
    }
}

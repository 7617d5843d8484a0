#include "shm/arenas.h"

#include <errno.h>

#include "shm/page_entry.h"

uint64_t ga_arenas_span_begin(const struct ga_view *view, uint64_t page)
{
    uint64_t distance = ga_entry_distance(ga_view_entry(view, page));
    if (distance == 0 || distance > page)
        return page;
    /* The entry may be stale: the first page's decides. */
    uint64_t first = ga_view_entry(view, page - distance);
    return ga_entry_is_span(first) && ga_entry_npages(first) > distance ? page - distance : page;
}

/* How many pages of [begin, end) are in spans. */
static uint64_t count_inuse(const struct ga_view *view, uint64_t begin, uint64_t end)
{
    uint64_t count = 0;
    for (uint64_t page = ga_arenas_span_begin(view, begin); page < end;) {
        uint64_t entry = ga_view_entry(view, page);
        uint64_t npages = ga_entry_is_span(entry) ? ga_entry_npages(entry) : 0;
        if (npages == 0) {
            page++;
            continue;
        }
        uint64_t from = page < begin ? begin : page;
        uint64_t to = npages > end - page ? end : page + npages;
        count += to > from ? to - from : 0;
        page += npages;
    }
    return count;
}

int ga_arenas_next(const struct ga_view *view, uint64_t index, struct ga_arena_info *ret)
{
    uint64_t narenas = view->meta->reserve_bytes / GA_ARENA_SIZE;
    if (index >= narenas)
        return -ENOENT;
    struct ga_arena_info info = {
        .index = index, .count = 1, .state = ga_load_acquire(&view->arenas[index].state)};
    if (info.state == GA_ARENA_READY) {
        info.ready_npages = ga_load_acquire(&view->arenas[index].ready_npages);
        if (info.ready_npages > GA_PAGES_PER_ARENA)
            info.ready_npages = GA_PAGES_PER_ARENA;
        /* No entry is read past the committed end: that would allocate it. */
        uint64_t begin = index * GA_PAGES_PER_ARENA;
        uint64_t committed = ga_load_acquire(&view->meta->committed_npages);
        uint64_t end = begin + info.ready_npages;
        end = end < committed ? end : committed;
        info.inuse_npages = begin < end ? count_inuse(view, begin, end) : 0;
    } else {
        while (index + info.count < narenas &&
               ga_load_acquire(&view->arenas[index + info.count].state) == info.state)
            info.count++;
    }
    *ret = info;
    return 0;
}

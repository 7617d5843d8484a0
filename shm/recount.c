#include "shm/recount.h"

#include <errno.h>

#include "shm/batch.h"
#include "shm/counters.h"
#include "shm/tiny.h"

/* The slots of a word in use. */
static uint64_t used_bits(const struct ga_view *view, ga_page_id page, uint32_t word,
                          uint32_t nslots)
{
    return ga_valid_mask(nslots, word) & ~ga_free_bits(view, page, word, nslots);
}

static void count_span(const struct ga_view *view, ga_page_id page, uint64_t entry,
                       struct ga_recount *count)
{
    ga_span_class span_class = ga_entry_span_class(entry);
    uint32_t size_class = span_class / 2u;
    uint32_t nslots = size_class ? ga_size_classes[size_class].nslots : 1;
    uint64_t bytes =
        size_class ? ga_size_classes[size_class].size : ga_entry_npages(entry) * GA_PAGE_SIZE;
    bool tiny = entry & GA_ENTRY_TINY;
    uint64_t objects = tiny ? ga_tiny_count_objects(view, page) : 0;
    for (uint32_t word = 0; word < ga_word_count(nslots) && !tiny; word++)
        objects += (uint64_t)__builtin_popcountll(used_bits(view, page, word, nslots));
    count->objects += objects;
    count->objects_by_class[size_class] += objects;
    count->bytes_by_class[size_class] += objects * bytes;
    count->spans++;
    count->spans_by_class[size_class]++;
    count->inuse_npages += ga_entry_npages(entry);
    if (ga_entry_owner(entry)) {
        count->spans_leased++;
        count->leased_bytes += ga_entry_npages(entry) * GA_PAGE_SIZE;
    }
}

static void leave_out_batch(const struct ga_view *view, ga_mcache_id id, struct ga_recount *count)
{
    ga_span_class span_class;
    uint64_t objects = ga_batch_count(view, id, &span_class);
    if (objects == 0)
        return;
    /* Two lines name the same slots where these were freed twice, or a client has spoilt them. */
    if (objects > count->objects_by_class[span_class / 2])
        objects = count->objects_by_class[span_class / 2];
    count->objects -= objects;
    count->objects_by_class[span_class / 2] -= objects;
    count->bytes_by_class[span_class / 2] -= objects * ga_size_classes[span_class / 2].size;
}

static bool is_sound(uint64_t entry, uint64_t page, uint64_t end)
{
    uint64_t npages = ga_entry_npages(entry);
    uint32_t size_class = ga_entry_span_class(entry) / 2u;
    if (npages == 0 || npages > end - page || size_class >= GA_SIZE_CLASS_COUNT)
        return false;
    return size_class == 0 || npages == ga_size_classes[size_class].npages;
}

int ga_recount_next_span(const struct ga_view *view, uint64_t *page, uint64_t *ret_entry)
{
    uint64_t end = ga_load_acquire(&view->meta->committed_npages);
    for (uint64_t next = *page == 0 ? 1 : *page; next < end; next++) {
        uint64_t entry = ga_view_entry(view, next);
        if (!ga_entry_is_span(entry))
            continue;
        *page = next;
        if (!is_sound(entry, next, end))
            return -EBADMSG;
        *ret_entry = entry;
        return 0;
    }
    return -ENOENT;
}

int ga_recount(const struct ga_view *view, struct ga_recount *ret, uint64_t *ret_bad_page)
{
    struct ga_recount count = {0};
    uint64_t page = 1;
    uint64_t entry;
    int r;
    while ((r = ga_recount_next_span(view, &page, &entry)) == 0) {
        count_span(view, (ga_page_id)page, entry, &count);
        page += ga_entry_npages(entry);
    }
    if (r == -EBADMSG) {
        *ret_bad_page = page;
        return r;
    }
    /* What is in a batch is free, though by A and F in use. */
    uint32_t end = ga_load_acquire(&view->meta->mcache_end);
    for (ga_mcache_id id = 1; id < end && id < view->counts.mcaches; id++)
        leave_out_batch(view, id, &count);
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++) {
        count.bytes_by_class[c] =
            ga_counters_bound(c, count.bytes_by_class[c], count.spans_by_class[c]);
        count.alloc_bytes += count.bytes_by_class[c];
    }
    *ret = count;
    return 0;
}

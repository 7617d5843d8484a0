/* Large spans of an mcache.
 *
 * A large span is leased like a small one, and is in use when its one slot's bits in A and F
 * differ. Freed spans are kept in the order of their lengths; a request takes the best fit, and
 * when there are too many the one freed first goes back. What others free arrives by the inbox.
 *
 * In a heap of the process's own (client/malloc) spans come without a wait, and what is kept is
 * missing elsewhere: there little is. */
#include "client/large.h"

#include <string.h>

#include "client/class_cache.h"
#include "client/into.h"
#include "client/mcache.h"
#include "client/roomy.h"
#include "client/spans.h"

static uint64_t length_of(const struct ga_thread_cache *cache, ga_page_id page)
{
    return ga_entry_npages(ga_view_entry(&cache->heap->view, page));
}

static void count(_Atomic uint64_t *counter, uint64_t n)
{
    ga_store_relaxed(counter, ga_load_relaxed(counter) + n);
}

void ga_large_count_malloc(struct ga_thread_cache *cache, ga_span_class span_class, uint64_t npages)
{
    count(&cache->shared->classes[span_class].nmalloc, 1);
    count(&cache->shared->large_alloc_bytes, npages * GA_PAGE_SIZE);
}

void ga_large_count_free(struct ga_thread_cache *cache, uint64_t npages)
{
    count(&cache->shared->large_free_bytes, npages * GA_PAGE_SIZE);
}

void ga_large_count_resize(struct ga_thread_cache *cache, uint64_t old_npages, uint64_t npages)
{
    if (npages > old_npages)
        count(&cache->shared->large_alloc_bytes, (npages - old_npages) * GA_PAGE_SIZE);
    else
        count(&cache->shared->large_free_bytes, (old_npages - npages) * GA_PAGE_SIZE);
}

/* ---- the spans kept ---- */

static void forget_kept(struct ga_thread_cache *cache, uint32_t index)
{
    struct ga_large_cache *kept = &cache->large;
    kept->bytes -= kept->entry[index].npages * GA_PAGE_SIZE;
    kept->count--;
    memmove(&kept->entry[index], &kept->entry[index + 1],
            (kept->count - index) * sizeof(kept->entry[0]));
}

static bool is_kept(const struct ga_thread_cache *cache, ga_page_id page)
{
    for (uint32_t i = 0; i < cache->large.count; i++)
        if (cache->large.entry[i].page == page)
            return true;
    return false;
}

/* End the lease of a span whose object is freed. */
static void give_back(struct ga_thread_cache *cache, ga_span_class span_class, ga_page_id page)
{
    uint32_t pages[1] = {page};
    ga_spans_remove(cache, ga_class_cache_get(cache, span_class), page);
    if (!ga_mcache_is_mine(cache, page))
        return; /* the word was overwritten */
    ga_slot_end_lease(&cache->heap->view, cache->id, page);
    ga_mcache_note_returned(cache, pages, 1);
}

static void give_back_oldest(struct ga_thread_cache *cache)
{
    const struct ga_large_cache *kept = &cache->large;
    uint32_t index = 0;
    for (uint32_t i = 1; i < kept->count; i++)
        if (kept->nfreed - kept->entry[i].freed > kept->nfreed - kept->entry[index].freed)
            index = i;
    struct ga_large_entry oldest = kept->entry[index];
    forget_kept(cache, index);
    give_back(cache, oldest.span_class, oldest.page);
}

/* How many of the spans kept come before those of this class with at least npages. */
static uint32_t count_before(const struct ga_large_cache *kept, ga_span_class span_class,
                             uint64_t npages)
{
    uint32_t from = 0;
    for (uint32_t n = kept->count; n > 0;) {
        const struct ga_large_entry *middle = &kept->entry[from + n / 2];
        bool before = middle->span_class < span_class ||
                      (middle->span_class == span_class && middle->npages < npages);
        from = before ? from + n / 2 + 1 : from;
        n = before ? n - n / 2 - 1 : n / 2;
    }
    return from;
}

static void keep(struct ga_large_cache *kept, struct ga_large_entry entry)
{
    uint32_t at = count_before(kept, entry.span_class, (uint64_t)entry.npages + 1);
    memmove(&kept->entry[at + 1], &kept->entry[at], (kept->count - at) * sizeof(entry));
    entry.freed = kept->nfreed++;
    kept->entry[at] = entry;
    kept->count++;
    kept->bytes += entry.npages * GA_PAGE_SIZE;
}

static uint64_t most_to_keep(const struct ga_thread_cache *cache)
{
    return cache->heap->is_own ? GA_LARGE_KEPT_BYTES_OWN : GA_LARGE_KEPT_BYTES_MAX;
}

void ga_large_freed(struct ga_thread_cache *cache, ga_span_class span_class, ga_page_id page)
{
    struct ga_large_cache *kept = &cache->large;
    uint64_t npages = length_of(cache, page);
    ga_roomy_forget(cache, page);
    uint64_t most = most_to_keep(cache);
    /* It may have grown where it lay. */
    if (npages > GA_LARGE_NPAGES_LEASED || npages * GA_PAGE_SIZE > most) {
        give_back(cache, span_class, page);
        return;
    }
    while (kept->count == GA_LARGE_KEPT_MAX || kept->bytes + npages * GA_PAGE_SIZE > most)
        give_back_oldest(cache);
    keep(kept, (struct ga_large_entry){
                   .page = page, .npages = (uint32_t)npages, .span_class = span_class});
}

/* Keep the spans of this class whose objects others have freed. */
static void take_news(struct ga_thread_cache *cache, ga_span_class span_class)
{
    const struct ga_class_cache *class = ga_class_cache_peek(cache, span_class);
    uint64_t news[GA_INBOX_WORDS];
    if (!class || !ga_mcache_read_inbox(cache, span_class, news))
        return;
    /* From the last, since to give one back puts the last in its place. */
    for (uint32_t i = class->spans.count; i-- > 0;) {
        if (i >= class->spans.count)
            continue; /* more than one was given back */
        ga_page_id page = ga_spans_at(class, i);
        if (ga_mcache_is_news(news, page) && !is_kept(cache, page) &&
            ga_slot_count_used(&cache->heap->view, page, 1) == 0)
            ga_large_freed(cache, span_class, page);
    }
}

/* Whether a span of span_npages may be taken for npages: it is not much longer; or not too long,
 * and there is little to spare elsewhere. */
static bool may_take(const struct ga_thread_cache *cache, uint64_t span_npages, uint64_t npages,
                     bool grows)
{
    if (span_npages < npages)
        return false;
    return span_npages <= ga_large_longest_fit(npages) ||
           ((grows || span_npages < 2 * npages) && ga_roomy_has_room(cache, span_npages - npages));
}

/* The shortest of the class that holds npages, of equal ones the one freed last, if it may be
 * taken: else no longer one may. GA_LARGE_KEPT_MAX if there is none. */
static uint32_t find_shortest(const struct ga_thread_cache *cache, ga_span_class span_class,
                              uint64_t npages)
{
    const struct ga_large_cache *kept = &cache->large;
    uint32_t i = count_before(kept, span_class, npages);
    if (i == kept->count || kept->entry[i].span_class != span_class ||
        !may_take(cache, kept->entry[i].npages, npages, false))
        return GA_LARGE_KEPT_MAX;
    while (i + 1 < kept->count && kept->entry[i + 1].npages == kept->entry[i].npages &&
           kept->entry[i + 1].span_class == span_class)
        i++;
    return i;
}

/* The longest of the class that holds npages and may be taken by an object that grows. */
static uint32_t find_longest(const struct ga_thread_cache *cache, ga_span_class span_class,
                             uint64_t npages)
{
    const struct ga_large_cache *kept = &cache->large;
    for (uint32_t i = count_before(kept, span_class + 1u, 0); i-- > 0;) {
        const struct ga_large_entry *entry = &kept->entry[i];
        if (entry->span_class != span_class || entry->npages < npages)
            break;
        if (may_take(cache, entry->npages, npages, true))
            return i;
    }
    return GA_LARGE_KEPT_MAX;
}

static uint32_t find_kept(const struct ga_thread_cache *cache, ga_span_class span_class,
                          uint64_t npages, bool grows)
{
    return grows ? find_longest(cache, span_class, npages)
                 : find_shortest(cache, span_class, npages);
}

static ga_page_id take_kept(struct ga_thread_cache *cache, ga_span_class span_class,
                            uint64_t npages, bool grows)
{
    take_news(cache, span_class);
    for (uint32_t i; (i = find_kept(cache, span_class, npages, grows)) != GA_LARGE_KEPT_MAX;) {
        struct ga_large_entry entry = cache->large.entry[i];
        forget_kept(cache, i);
        /* The words decide: they may have been overwritten, or an overlapping double free may have
         * put the span here twice. */
        if (!ga_mcache_is_mine(cache, entry.page) ||
            ga_slot_count_used(&cache->heap->view, entry.page, 1) != 0)
            continue;
        ga_into_note(cache->shared, (uint64_t)entry.page << GA_PAGE_SHIFT);
        ga_slot_take_leased_large(&cache->heap->view, entry.page);
        ga_large_count_malloc(cache, span_class, entry.npages);
        if (entry.npages > ga_large_longest_fit(npages))
            ga_roomy_add(cache, entry.page, npages, entry.npages - npages);
        return entry.page;
    }
    return 0;
}

ga_page_id ga_large_take_kept(struct ga_thread_cache *cache, ga_span_class span_class,
                              uint64_t npages)
{
    return take_kept(cache, span_class, npages, false);
}

ga_page_id ga_large_take_longest(struct ga_thread_cache *cache, ga_span_class span_class,
                                 uint64_t npages)
{
    return take_kept(cache, span_class, npages, true);
}

void ga_large_begin_lease(struct ga_thread_cache *cache, ga_span_class span_class, ga_page_id page)
{
    ga_slot_begin_lease(&cache->heap->view, cache->id, page);
    ga_spans_add(cache, ga_class_cache_get(cache, span_class), page, false);
    ga_into_note(cache->shared, (uint64_t)page << GA_PAGE_SHIFT);
    ga_slot_take_leased_large(&cache->heap->view, page);
}

uint32_t ga_large_trim(struct ga_thread_cache *cache)
{
    uint32_t returned = 0;
    take_news(cache, 0);
    take_news(cache, 1);
    for (; cache->large.count > 0; returned++)
        give_back_oldest(cache);
    return returned;
}

#include "client/spans.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "client/mcache.h"

#define LINK_NEXT_MASK   ((UINT64_C(1) << 26) - 1)
#define LINK_COUNTED     (UINT64_C(1) << 27)
#define LINK_INDEX_SHIFT 28

#define MAPPED_MIN 1024u /* an OS page of them */

/* In the vector, beside the page. */
#define UNTOUCHED (UINT32_C(1) << 31)
static_assert(GA_RESERVE_MAX / GA_PAGE_SIZE <= UNTOUCHED, "a page leaves the bit free");

static _Atomic uint64_t *link_of(const struct ga_thread_cache *cache, ga_page_id page)
{
    return &cache->heap->view.lines[page].link;
}

/* The part of a link that says where in the vector its span is. */
static uint64_t index_part(uint64_t link)
{
    return link >> LINK_INDEX_SHIFT << LINK_INDEX_SHIFT;
}

/* Move the vector to where there is room for capacity pages. */
static int make_room(struct ga_page_vector *v, uint32_t capacity)
{
    size_t bytes = capacity * sizeof(v->pages[0]);
    void *pages;
    if (v->pages == v->few)
        pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    else
        pages = mremap(v->pages, v->capacity * sizeof(v->pages[0]), bytes, MREMAP_MAYMOVE);
    if (pages == MAP_FAILED)
        return -ENOMEM;
    if (v->pages == v->few)
        memcpy(pages, v->few, sizeof(v->few));
    v->pages = pages;
    v->capacity = capacity;
    return 0;
}

int ga_spans_reserve(struct ga_class_cache *class, uint32_t count)
{
    struct ga_page_vector *v = &class->spans;
    if (!v->pages) {
        v->pages = v->few;
        v->capacity = GA_PAGES_FEW;
    }
    if (v->capacity - v->count >= count)
        return 0;
    uint32_t capacity = v->pages == v->few ? MAPPED_MIN : v->capacity;
    while (capacity - v->count < count)
        capacity *= 2;
    return make_room(v, capacity);
}

void ga_spans_fini(struct ga_class_cache *class)
{
    struct ga_page_vector *v = &class->spans;
    if (v->pages && v->pages != v->few)
        munmap(v->pages, v->capacity * sizeof(v->pages[0]));
    v->pages = NULL;
    v->count = 0;
    v->capacity = 0;
}

ga_page_id ga_spans_at(const struct ga_class_cache *class, uint32_t index)
{
    return class->spans.pages[index] & ~UNTOUCHED;
}

void ga_spans_add(struct ga_thread_cache *cache, struct ga_class_cache *class, ga_page_id page,
                  bool untouched)
{
    struct ga_page_vector *v = &class->spans;
    ga_store_relaxed(link_of(cache, page), (uint64_t)v->count << LINK_INDEX_SHIFT);
    v->pages[v->count++] = page | (untouched ? UNTOUCHED : 0);
}

bool ga_spans_touch(struct ga_thread_cache *cache, struct ga_class_cache *class, ga_page_id page)
{
    struct ga_page_vector *v = &class->spans;
    uint64_t index = ga_load_relaxed(link_of(cache, page)) >> LINK_INDEX_SHIFT;
    if (index >= v->count || v->pages[index] != (page | UNTOUCHED))
        return false;
    v->pages[index] = page;
    return true;
}

void ga_spans_remove(struct ga_thread_cache *cache, struct ga_class_cache *class, ga_page_id page)
{
    struct ga_page_vector *v = &class->spans;
    uint64_t index = ga_load_relaxed(link_of(cache, page)) >> LINK_INDEX_SHIFT;
    if (index >= v->count || ga_spans_at(class, (uint32_t)index) != page) {
        /* The link was overwritten: search. */
        for (index = 0; index < v->count && ga_spans_at(class, (uint32_t)index) != page; index++)
            continue;
        if (index == v->count)
            return;
    }
    v->pages[index] = v->pages[--v->count];
    if (index == v->count)
        return;
    _Atomic uint64_t *link = link_of(cache, ga_spans_at(class, (uint32_t)index));
    uint64_t rest = ga_load_relaxed(link) & ((UINT64_C(1) << LINK_INDEX_SHIFT) - 1);
    ga_store_relaxed(link, index << LINK_INDEX_SHIFT | rest);
}

/* Put page before the chain that begins at *head. */
static void chain(struct ga_thread_cache *cache, ga_page_id *head, ga_page_id page)
{
    _Atomic uint64_t *link = link_of(cache, page);
    ga_store_relaxed(link, index_part(ga_load_relaxed(link)) | GA_SPANS_LISTED | *head);
    *head = page;
}

void ga_spans_push(struct ga_thread_cache *cache, struct ga_class_cache *class, ga_page_id page)
{
    chain(cache, &class->partial, page);
    class->npartial++;
}

bool ga_spans_count_empty(struct ga_thread_cache *cache, struct ga_class_cache *class,
                          ga_page_id page)
{
    _Atomic uint64_t *link = link_of(cache, page);
    uint64_t value = ga_load_relaxed(link);
    if (value & LINK_COUNTED)
        return false;
    ga_store_relaxed(link, value | LINK_COUNTED);
    class->nempty++;
    return true;
}

/* A span that was counted as empty has left the list. */
static void discount_empty(struct ga_class_cache *class)
{
    if (class->nempty > 0) /* it is, unless the link was overwritten */
        class->nempty--;
    if (class->nempty_low > class->nempty)
        class->nempty_low = class->nempty;
}

void ga_spans_set_aside(struct ga_thread_cache *cache, struct ga_class_cache *class,
                        ga_page_id page)
{
    if (class->aside == 0)
        class->aside_end = page;
    chain(cache, &class->aside, page);
    class->npartial++; /* it was taken off to look at, and stays */
}

void ga_spans_rejoin(struct ga_thread_cache *cache, struct ga_class_cache *class)
{
    if (class->aside == 0)
        return; /* nothing is, or a rebuild has put it on the list */
    chain(cache, &class->partial, class->aside_end);
    class->partial = class->aside;
    class->aside = 0;
}

void ga_spans_set_current(struct ga_thread_cache *cache, struct ga_class_cache *class,
                          ga_page_id page)
{
    if (class->page) {
        _Atomic uint64_t *link = link_of(cache, class->page);
        ga_store_relaxed(link, index_part(ga_load_relaxed(link)));
    }
    class->page = page;
    if (page) {
        _Atomic uint64_t *link = link_of(cache, page);
        ga_store_relaxed(link, index_part(ga_load_relaxed(link)) | GA_SPANS_LISTED);
    }
}

/* Whether a list may go on at page: only with a span that this mcache holds. */
static bool can_follow(const struct ga_thread_cache *cache, ga_page_id page)
{
    if (page == 0)
        return true;
    if (page >= cache->heap->reserve_bytes / GA_PAGE_SIZE)
        return false;
    return ga_mcache_is_mine(cache, page);
}

/* A link was overwritten: put every span on the list again but the one just taken off it, for
 * nobody knows which were. */
static void rebuild(struct ga_thread_cache *cache, struct ga_class_cache *class, ga_page_id taken)
{
    class->partial = 0;
    class->npartial = 0;
    class->aside = 0;
    class->nempty = 0;
    class->nempty_low = 0;
    for (uint32_t i = 0; i < class->spans.count; i++) {
        ga_page_id page = ga_spans_at(class, i);
        ga_store_relaxed(link_of(cache, page), (uint64_t)i << LINK_INDEX_SHIFT |
                                                   (page == class->page ? GA_SPANS_LISTED : 0));
        if (page != class->page && page != taken && ga_mcache_is_mine(cache, page))
            ga_spans_push(cache, class, page);
    }
}

ga_page_id ga_spans_pop(struct ga_thread_cache *cache, struct ga_class_cache *class)
{
    ga_page_id page = class->partial;
    if (page == 0)
        return 0;
    uint64_t value = ga_load_relaxed(link_of(cache, page));
    class->partial = (ga_page_id)(value & LINK_NEXT_MASK);
    class->npartial--;
    if (value & LINK_COUNTED)
        discount_empty(class);
    if (!can_follow(cache, class->partial))
        rebuild(cache, class, page);
    ga_store_relaxed(link_of(cache, page), index_part(value));
    return page;
}

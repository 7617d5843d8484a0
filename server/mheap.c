/* mheap: spans out of page runs, and the memory behind them.
 *
 * The heap object grows at its end: by whole arenas when it is extended (Reserved -> Prepared, a
 * hole), by GROW_MIN pages at least when it is committed (Prepared -> Ready). A page is backed, and
 * so are its entry, its span line and its pending bit, before any span holds it; so a full /dev/shm
 * is an error here and never a SIGBUS in a client. Free pages may lose their memory again
 * (scavenge.c), and have it back before a span holds them. A span is made by writing its first
 * page's entry last, and freed by clearing that first.
 *
 * Page 0 is never handed out: its number means "none". */
#include "server/heap_internal.h"

#include <errno.h>

#include "shm/size_class.h"

#define GROW_MIN_NPAGES (UINT64_C(128) * 1024 / GA_PAGE_SIZE)
#define GROW_MAX_NPAGES (UINT64_C(4) * 1024 * 1024 / GA_PAGE_SIZE)
#define GROW_PART       32u /* of the heap: with as much again made ready ahead, a sixteenth */

uint32_t ga_mheap_nslots(ga_span_class span_class)
{
    uint32_t size_class = span_class / 2;
    if (span_class == GA_SPAN_CLASS_TINY)
        return GA_TINY_NBLOCKS;
    return size_class == 0 ? 1 : ga_size_classes[size_class].nslots;
}

/* ---- growth ---- */

static void set_arena_state(struct ga_heap *heap, uint64_t arena, uint32_t state)
{
    ga_store_release(&heap->arenas[arena].state, state);
}

/* Make the heap object reach over its first narenas arenas: Reserved -> Prepared, or back. */
static int prepare(struct ga_heap *heap, uint64_t narenas)
{
    if (narenas == heap->narenas_prepared)
        return 0;
    int r = heap->effects.resize(heap->effects.data, GA_OBJECT_HEAP, narenas * GA_ARENA_SIZE);
    if (r < 0)
        return r;
    while (heap->narenas_prepared < narenas)
        set_arena_state(heap, heap->narenas_prepared++, GA_ARENA_PREPARED);
    while (heap->narenas_prepared > narenas)
        set_arena_state(heap, --heap->narenas_prepared, GA_ARENA_RESERVED);
    return 0;
}

int ga_mheap_back_tables(struct ga_heap *heap, uint64_t page, uint64_t npages)
{
    const struct ga_meta_header *meta = heap->meta;
    uint64_t end = page + npages;
    int r = ga_backing_ensure(&heap->meta_backing,
                              meta->page_table_offset + page * sizeof(ga_page_word),
                              npages * sizeof(ga_page_word));
    /* Pending bits are read and written by whole words. */
    if (r == 0)
        r = ga_backing_ensure(&heap->bits_backing, ga_geometry_pending(meta, end),
                              ((end + 63) / 64 - page / 64) * 8);
    if (r == 0)
        r = ga_backing_ensure(&heap->bits_backing,
                              meta->bits_lines_offset + page * sizeof(struct ga_span_line),
                              npages * sizeof(struct ga_span_line));
    uint64_t first_set = page / GA_SAMPLE_SET_NPAGES;
    uint64_t end_set = (end + GA_SAMPLE_SET_NPAGES - 1) / GA_SAMPLE_SET_NPAGES;
    if (r == 0)
        r = ga_backing_ensure(&heap->bits_backing,
                              meta->bits_samples_offset +
                                  first_set * meta->sample_words * sizeof(uint64_t),
                              (end_set - first_set) * meta->sample_words * sizeof(uint64_t));
    return r;
}

int ga_mheap_back_bits(struct ga_heap *heap, uint64_t page, ga_span_class span_class)
{
    const struct ga_meta_header *meta = heap->meta;
    if (span_class == GA_SPAN_CLASS_TINY)
        return ga_backing_ensure(&heap->bits_backing,
                                 meta->bits_tiny_offset + page * sizeof(struct ga_tiny_bits),
                                 sizeof(struct ga_tiny_bits));
    if (ga_word_count(ga_mheap_nslots(span_class)) <= GA_LINE_WORDS)
        return 0;
    return ga_backing_ensure(&heap->bits_backing, ga_geometry_wide(meta, page + 1),
                             sizeof(struct ga_span_wide));
}

/* Back the next npages of the heap, and their tables. The heap pages come first: they are nearly
 * all of it, so when memory is short little else has been taken. On failure all is as before, but
 * for what tables were backed. */
static int back(struct ga_heap *heap, uint64_t page, uint64_t npages)
{
    uint64_t narenas_before = heap->narenas_prepared;
    uint64_t narenas = (page + npages + GA_PAGES_PER_ARENA - 1) / GA_PAGES_PER_ARENA;
    int r = prepare(heap, narenas > narenas_before ? narenas : narenas_before);
    if (r < 0)
        return r;
    r = heap->effects.commit(heap->effects.data, GA_OBJECT_HEAP, page * GA_PAGE_SIZE,
                             npages * GA_PAGE_SIZE);
    if (r == 0) {
        r = ga_mheap_back_tables(heap, page, npages);
        if (r == 0)
            return 0;
        heap->effects.decommit(heap->effects.data, GA_OBJECT_HEAP, page * GA_PAGE_SIZE,
                               npages * GA_PAGE_SIZE);
    }
    /* If the object cannot be made shorter again, its arenas stay prepared. */
    (void)prepare(heap, narenas_before);
    return r;
}

/* Say of arenas how many of their pages up to end are committed, from the one that page is in. */
static void mark_ready(struct ga_heap *heap, uint64_t page, uint64_t end)
{
    while (page < end) {
        uint64_t arena = page / GA_PAGES_PER_ARENA;
        uint64_t arena_end = (arena + 1) * GA_PAGES_PER_ARENA;
        uint64_t ready_end = arena_end < end ? arena_end : end;
        ga_store_release(&heap->arenas[arena].ready_npages,
                         (uint32_t)(ready_end - arena * GA_PAGES_PER_ARENA));
        set_arena_state(heap, arena, GA_ARENA_READY);
        page = arena_end;
    }
}

void ga_mheap_mark_arenas(struct ga_heap *heap)
{
    uint64_t narenas = heap->npages_reserved / GA_PAGES_PER_ARENA;
    uint64_t nready = (heap->npages_committed + GA_PAGES_PER_ARENA - 1) / GA_PAGES_PER_ARENA;
    for (uint64_t arena = nready; arena < narenas; arena++) {
        bool prepared = arena < heap->narenas_prepared;
        set_arena_state(heap, arena, prepared ? GA_ARENA_PREPARED : GA_ARENA_RESERVED);
        ga_store_release(&heap->arenas[arena].ready_npages, 0);
    }
    mark_ready(heap, 0, heap->npages_committed);
}

/* Commit the next npages of the heap: Prepared -> Ready. */
static int commit(struct ga_heap *heap, uint64_t npages)
{
    uint64_t page = heap->npages_committed;
    int r = ga_books_have_pages(heap, page + npages);
    if (r == 0)
        r = back(heap, page, npages);
    if (r < 0)
        return r;
    heap->npages_committed += npages;
    heap->scavenge.grown_npages += npages;
    mark_ready(heap, page, heap->npages_committed);
    /* Pairs with the clients' acquire: who sees the new end finds the tables behind it backed. */
    ga_store_release(&heap->meta->committed_npages, heap->npages_committed);

    uint64_t first = page == 0 ? 1 : page;
    ga_page_alloc_grow(heap->pages, first, page + npages - first);
    if (heap->effects.happened)
        heap->effects.happened(heap->effects.data, GA_HAPPENED_GROW, npages * GA_PAGE_SIZE);
    return 0;
}

bool ga_mheap_may_use(const struct ga_heap *heap, uint64_t npages)
{
    uint64_t inuse = heap->npages_inuse + 1; /* page 0 */
    return npages <= heap->npages_limit && inuse <= heap->npages_limit - npages;
}

/* Or more, up to most, so that the heap ends with a huge page, if its memory comes in such: of one
 * that reaches over the end nothing is taken as such. */
static uint64_t with_whole_huge_pages(const struct ga_heap *heap, uint64_t npages, uint64_t most)
{
    uint64_t huge = heap->scavenge.forced.huge_npages;
    uint64_t over = (heap->npages_committed + npages) % huge;
    uint64_t wanted = over ? npages + huge - over : npages;
    return wanted <= most ? wanted : npages;
}

/* Commit more, so that a run of npages exists: a step that grows with the heap, so that growth
 * costs little per page; and when that is not to be had, just what is needed. */
static int grow(struct ga_heap *heap, uint64_t npages)
{
    uint64_t left = heap->npages_reserved - heap->npages_committed;
    uint64_t need = npages - ga_page_alloc_free_tail(heap->pages, npages - 1);
    if (heap->npages_committed == 0)
        need++; /* page 0 */
    if (need > left || ga_scavenge_make_room(heap, need) < 0)
        return -ENOMEM;

    uint64_t step = heap->npages_committed / GROW_PART;
    step = step < GROW_MIN_NPAGES ? GROW_MIN_NPAGES : step;
    step = step > GROW_MAX_NPAGES ? GROW_MAX_NPAGES : step;
    uint64_t room = ga_scavenge_room(heap);
    left = left < room ? left : room;
    uint64_t want = step < left ? step : left;
    want = with_whole_huge_pages(heap, want < need ? need : want, left);
    int r = commit(heap, want);
    if (r < 0 && want > need)
        r = commit(heap, need);
    /* Where the system has no memory, what the heap has and does not use may do. */
    if (r < 0 && ga_scavenge_now(heap, need) > 0)
        r = commit(heap, need);
    return r;
}

static bool has_run(struct ga_heap *heap, uint64_t npages)
{
    uint64_t page;
    return ga_page_alloc_find(heap->pages, npages, &page) == 0;
}

int ga_mheap_grow_behind(struct ga_heap *heap, uint64_t page, uint64_t npages, uint64_t instead)
{
    uint64_t free_behind = heap->npages_committed - page;
    if (free_behind >= npages || ga_page_alloc_free_tail(heap->pages, free_behind) < free_behind ||
        has_run(heap, instead))
        return -ENOMEM;
    return grow(heap, npages);
}

/* Find a run of free pages, whatever that takes. */
static int find_run(struct ga_heap *heap, uint64_t npages, uint64_t *ret_page)
{
    /* As much as is taken, others may have freed. */
    ga_sweep_reclaim(heap, npages);
    if (ga_mheap_may_use(heap, npages) && ga_page_alloc_find(heap->pages, npages, ret_page) == 0)
        return 0;
    /* Before the heap grows: what came back before was of no use. */
    heap->sweep.credit_npages = 0;
    ga_sweep_reclaim(heap, npages);
    if (!ga_mheap_may_use(heap, npages))
        return -ENOMEM;
    if (ga_page_alloc_find(heap->pages, npages, ret_page) == 0)
        return 0;
    int r = grow(heap, npages);
    if (r < 0 && heap->scavenge.releasing_npages == 0)
        return r;
    if (r < 0) /* what is being released may be what is missing */
        heap->effects.wait_for_release(heap->effects.data);
    return ga_page_alloc_find(heap->pages, npages, ret_page);
}

/* Have memory behind the run, of which some has been given back. */
static int recommit(struct ga_heap *heap, uint64_t page, uint64_t npages)
{
    int r = ga_scavenge_make_room(heap, 0); /* as taken, they count as retained */
    if (r < 0)
        return r;
    r = ga_scavenge_recommit(heap, page, npages);
    if (r < 0 && ga_scavenge_now(heap, npages) > 0)
        r = ga_scavenge_recommit(heap, page, npages);
    return r;
}

int ga_mheap_take(struct ga_heap *heap, uint64_t page, uint64_t npages, bool *ret_zeroed)
{
    uint64_t scavenged = ga_page_alloc_take(heap->pages, page, npages);
    *ret_zeroed =
        page >= heap->zeroed_from || (scavenged == npages && !heap->scavenge.has_unpunched);
    if (scavenged == 0)
        return 0;
    int r = recommit(heap, page, npages);
    if (r < 0)
        ga_scavenge_taken(heap, page, npages);
    else
        ga_scavenge_unmark(heap, page, npages);
    return r;
}

/* Take a run whose address is a multiple of align_npages pages: part of one that is longer by what
 * may have to be left out. */
static int take_run(struct ga_heap *heap, uint64_t npages, uint64_t align_npages,
                    uint64_t *ret_page, bool *ret_zeroed)
{
    uint64_t run;
    int r = find_run(heap, npages + align_npages - 1, &run);
    if (r < 0)
        return r;
    uint64_t base = heap->meta->base / GA_PAGE_SIZE;
    *ret_page = ((base + run + align_npages - 1) & ~(align_npages - 1)) - base;
    return ga_mheap_take(heap, *ret_page, npages, ret_zeroed);
}

/* ---- spans ---- */

/* Store first to what init_bits reads first: a page of memory that is private, read before it is
 * written, has two faults. All of it is 0 where no span was before, and stays so. */
static void touch_bits(struct ga_heap *heap, ga_page_id page, ga_span_class span_class)
{
    ga_store_relaxed(&heap->view.lines[page].d, 0);
    if (span_class == GA_SPAN_CLASS_TINY)
        ga_store_relaxed(&heap->view.tiny[page].pair[0].a, 0);
    else if (ga_word_count(ga_mheap_nslots(span_class)) > GA_LINE_WORDS)
        ga_store_relaxed(ga_view_a(&heap->view, page, GA_LINE_WORDS), 0);
}

/* Every slot free, nobody the holder. The server may do this: no entry leads to the span as yet.
 * Both bits of a slot that a client is to take unleased are 0, so that later they tell what has
 * become of it. Else F stays as it is: a free that was stopped before its store to F a while ago
 * finds that done (shm/README.md). */
static void init_bits(struct ga_heap *heap, ga_page_id page, ga_span_class span_class, bool untaken)
{
    struct ga_span_line *line = &heap->view.lines[page];
    bool tiny = span_class == GA_SPAN_CLASS_TINY;
    uint32_t nwords = tiny ? 0 : ga_word_count(ga_mheap_nslots(span_class));
    for (uint32_t word = 0; tiny && word < GA_TINY_WORDS; word++) {
        struct ga_tiny_pair *pair = &heap->view.tiny[page].pair[word];
        ga_store_relaxed(&pair->a, ga_load_relaxed(&pair->f));
    }
    if (untaken)
        ga_store_relaxed(&line->f[0], 0);
    for (uint32_t word = 0; word < nwords; word++) {
        uint64_t f = ga_load_relaxed(ga_view_f(&heap->view, page, word));
        ga_store_relaxed(ga_view_a(&heap->view, page, word), f);
    }
    ga_store_relaxed(&line->d, 0);
    ga_store_relaxed(&line->d_recovery, 0);
    ga_store_relaxed(&line->holder, ga_holder_next(ga_load_relaxed(&line->holder), 0, 0));
}

static void write_entries(struct ga_heap *heap, ga_page_id page, uint64_t npages,
                          ga_span_class span_class, uint32_t client_plus_1, uint64_t flags)
{
    bool large = span_class / 2 == 0;
    flags |= GA_ENTRY_INUSE | (large ? GA_ENTRY_LARGE : 0);
    flags |= span_class == GA_SPAN_CLASS_TINY ? GA_ENTRY_TINY : 0;
    for (uint64_t i = 1; i < npages; i++) {
        uint32_t field = large && i == 1 ? client_plus_1 : 0;
        ga_store_relaxed(&heap->page_table[page + i], ga_entry_make(span_class, i, field, flags));
    }
    /* The commit: pairs with the acquire load of a free. */
    ga_store_release(&heap->page_table[page],
                     ga_entry_make(span_class, npages, 0, flags | GA_ENTRY_FIRST));
}

/* Make a span of the pages from run on, which are taken, and zero or not; on failure they are given
 * back. */
static int make_span(struct ga_heap *heap, ga_span_class span_class, uint64_t run, uint64_t npages,
                     bool zeroed, uint32_t client_plus_1, ga_page_id *ret_page, bool *ret_needzero)
{
    bool large = span_class / 2 == 0;
    ga_page_id page = (ga_page_id)run;
    int r = ga_mheap_back_bits(heap, run, span_class);
    if (r < 0) {
        ga_page_alloc_free(heap->pages, run, npages);
        return r;
    }

    if (run >= heap->zeroed_from)
        touch_bits(heap, page, span_class);
    init_bits(heap, page, span_class, client_plus_1 != 0);
    bool needzero = !zeroed;
    if (run + npages > heap->zeroed_from)
        heap->zeroed_from = run + npages;
    heap->mspans[page] = (struct ga_mspan){.npages = (uint32_t)npages,
                                           .client_plus_1 = client_plus_1,
                                           .made_s = ga_heap_now_s(heap),
                                           .place = large ? GA_SPAN_LARGE : GA_SPAN_UNUSED,
                                           .span_class = span_class};
    write_entries(heap, page, npages, span_class, client_plus_1, needzero ? GA_ENTRY_NEEDZERO : 0);

    heap->nspans++;
    heap->spans_by_class[span_class / 2]++;
    heap->nspans_tiny += span_class == GA_SPAN_CLASS_TINY;
    heap->npages_inuse += npages;
    ga_scavenge_note_inuse(heap);
    if (client_plus_1) {
        ga_span_list_push(&heap->client_records[client_plus_1 - 1].large, heap->mspans, page);
        ga_quota_charge_span(heap, client_plus_1 - 1, page);
    }
    *ret_page = page;
    *ret_needzero = needzero;
    return 0;
}

int ga_mheap_new_span(struct ga_heap *heap, ga_span_class span_class, uint64_t npages,
                      uint32_t client_plus_1, ga_page_id *ret_page, bool *ret_needzero)
{
    uint64_t run;
    bool zeroed;
    int r = take_run(heap, npages, 1, &run, &zeroed);
    if (r < 0)
        return r;
    return make_span(heap, span_class, run, npages, zeroed, client_plus_1, ret_page, ret_needzero);
}

int ga_mheap_new_aligned_span(struct ga_heap *heap, bool noscan, uint64_t npages,
                              uint64_t align_npages, uint32_t client_plus_1, ga_page_id *ret_page,
                              bool *ret_needzero)
{
    uint64_t run;
    bool zeroed;
    int r = take_run(heap, npages, align_npages, &run, &zeroed);
    if (r < 0)
        return r;
    return make_span(heap, noscan ? 1 : 0, run, npages, zeroed, client_plus_1, ret_page,
                     ret_needzero);
}

static void make_large_orphan(struct ga_heap *heap, ga_page_id page)
{
    ga_mheap_set_owner(heap, page, 0, GA_ENTRY_ORPHAN);
    heap->has_new_orphans = true;
}

void ga_mheap_disown_large(struct ga_heap *heap, ga_page_id page)
{
    struct ga_mspan *span = &heap->mspans[page];
    if (span->client_plus_1 == 0)
        return;
    if (ga_entry_is_span(ga_load_relaxed(&heap->page_table[page])) &&
        ga_clients_leaves_orphans(heap, span->client_plus_1 - 1))
        make_large_orphan(heap, page);
    ga_span_list_remove(&heap->client_records[span->client_plus_1 - 1].large, heap->mspans, page);
    ga_quota_leave_span(heap, span->client_plus_1 - 1, page);
    span->client_plus_1 = 0;
    span->collected = false;
    uint64_t entry = ga_load_relaxed(&heap->page_table[page + 1]);
    ga_store_relaxed(&heap->page_table[page + 1], ga_entry_with_owner(entry, 0));
}

void ga_mheap_free_span(struct ga_heap *heap, ga_page_id page)
{
    struct ga_mspan *span = &heap->mspans[page];
    assert(span->npages > 0 && span->owner == 0);
    ga_store_release(&heap->page_table[page], 0);

    heap->nspans--;
    heap->spans_by_class[span->span_class / 2]--;
    heap->nspans_tiny -= span->span_class == GA_SPAN_CLASS_TINY;
    heap->npages_inuse -= span->npages;
    ga_mheap_disown_large(heap, page);
    ga_quota_free_span(heap, page);
    uint64_t npages = span->npages;
    ga_profiles_forget_span(heap, page, npages);
    *span = (struct ga_mspan){0};
    ga_page_alloc_free(heap->pages, page, npages);
}

bool ga_mheap_is_orphan(const struct ga_heap *heap, ga_page_id page)
{
    return (ga_load_relaxed(&heap->page_table[page]) & GA_ENTRY_ORPHAN) != 0;
}

void ga_mheap_set_owner(struct ga_heap *heap, ga_page_id page, ga_mcache_id owner, uint64_t flags)
{
    uint64_t entry = ga_load_relaxed(&heap->page_table[page]) | flags;
    /* With the same store as the end of its first lease, so that no other holder, nor a server that
     * takes the heap over, can find the span without an owner and think that it is all zero. */
    if (owner == 0)
        entry |= GA_ENTRY_NEEDZERO;
    ga_xchg_seq_cst(&heap->page_table[page], ga_entry_with_owner(entry, owner));
    heap->mspans[page].owner = owner;
}

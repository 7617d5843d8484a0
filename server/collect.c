#include "server/collect_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "shm/batch.h"

void ga_heap_set_memory(struct ga_heap *heap, const void *memory)
{
    heap->memory = memory;
}

bool ga_collect_has_new_orphans(const struct ga_heap *heap)
{
    return heap->has_new_orphans;
}

bool ga_collect_is_marking(const struct ga_heap *heap)
{
    return ga_collect_is_on(heap) && !heap->collect->is_settled;
}

bool ga_collect_is_on(const struct ga_heap *heap)
{
    return heap->collect && heap->collect->is_on;
}

static void drop_marks(struct ga_collect *collect)
{
    ga_mark_free(collect->mark);
    free(collect->spans);
    free(collect->let_go);
    collect->mark = NULL;
    collect->spans = NULL;
    collect->let_go = NULL;
    collect->nspans = collect->room = 0;
    collect->nlet_go = collect->let_go_room = 0;
}

void ga_collect_free_books(struct ga_heap *heap)
{
    if (heap->collect)
        drop_marks(heap->collect);
    free(heap->collect);
    heap->collect = NULL;
}

/* ---- which spans ---- */

uint64_t ga_collect_count_unreached(const struct ga_collect *collect,
                                    const struct ga_collect_span *span)
{
    uint64_t n = 0;
    for (uint32_t word = 0; word < ga_collect_words_of(span); word++)
        n += (uint32_t)__builtin_popcountll(ga_mark_unreached(collect->mark, span->page, word));
    return n;
}

void ga_collect_add(struct ga_collect_count *count, const struct ga_collect_span *span, uint64_t n)
{
    count->objects += n;
    count->bytes += n * ga_collect_object_bytes(span);
}

enum fate {
    COLLECTED,
    IS_ROOT, /* its objects are */
};

/* What becomes of a span's objects. */
static enum fate fate_of(const struct ga_heap *heap, ga_page_id page, uint32_t client_plus_1)
{
    enum ga_collect_mode mode = heap->collect->mode;
    if (client_plus_1 == 0)
        return mode == GA_COLLECT_REPORT ||
                       (ga_load_relaxed(&heap->page_table[page]) & GA_ENTRY_ORPHAN) != 0
                   ? COLLECTED
                   : IS_ROOT;
    /* One that is leaving: what is to become of its spans is being settled. */
    return mode != GA_COLLECT_ORPHANS && ga_clients_is_attached(heap, client_plus_1 - 1) &&
                   ga_clients_is_managed(heap, client_plus_1 - 1)
               ? COLLECTED
               : IS_ROOT;
}

static int note_span(struct ga_heap *heap, ga_page_id page, uint32_t client_plus_1)
{
    struct ga_collect *collect = heap->collect;
    struct ga_mspan *span = &heap->mspans[page];
    if (collect->nspans == collect->room) {
        uint64_t more = collect->room ? collect->room * 2 : 1024;
        struct ga_collect_span *grown = realloc(collect->spans, more * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        collect->spans = grown;
        collect->room = more;
    }
    span->collected = true;
    collect->spans[collect->nspans++] =
        (struct ga_collect_span){.page = page,
                                 .npages = span->npages,
                                 .client_plus_1 = (uint16_t)client_plus_1,
                                 .span_class = span->span_class};
    return ga_mark_add_span(collect->mark, page, span->npages, span->span_class);
}

/* The next n spans, or pages of none. What is a span on pages behind now may be none when it was
 * their turn, or another: nothing of it was there then but what was stored since. */
static int enter_spans(struct ga_heap *heap, uint64_t n)
{
    struct ga_collect *collect = heap->collect;
    int r = 0;
    uint64_t page = collect->entered;
    for (; r == 0 && n > 0 && page < collect->npages; n--) {
        const struct ga_mspan *span = &heap->mspans[page];
        uint64_t npages = span->npages ? span->npages : 1;
        uint32_t client_plus_1 = span->npages ? ga_lease_client(heap, (ga_page_id)page) : 0;
        if (span->npages == 0)
            r = 0;
        else if (page + npages <= collect->npages && /* not grown in place since it began */
                 fate_of(heap, (ga_page_id)page, client_plus_1) == COLLECTED)
            r = note_span(heap, (ga_page_id)page, client_plus_1);
        else
            r = ga_mark_add_root_span(collect->mark, (ga_page_id)page, npages, span->span_class);
        page += npages;
    }
    collect->entered = page;
    return r;
}

void ga_collect_leave_out_batches(struct ga_heap *heap)
{
    for (ga_mcache_id id = 1; id < heap->mcache_end; id++) {
        const struct ga_mcache *line = &heap->view.mcaches[id];
        uint64_t mask = ga_load_acquire(&line->batch_mask);
        uint64_t where = ga_load_acquire(&line->batch_where);
        if (mask != 0 && ga_batch_can_be(&heap->view, where))
            ga_mark_leave_out(heap->collect->mark, ga_batch_page(where), ga_batch_word(where),
                              mask);
    }
}

/* ---- roots ---- */

static int add_root(struct ga_heap *heap, uint64_t offset)
{
    struct ga_collect *collect = heap->collect;
    bool is_known = ga_mark_knows(collect->mark, offset);
    collect->result.roots += is_known;
    collect->result.roots_outside += !is_known;
    return ga_mark_add_root(collect->mark, offset);
}

/* What a client has in its handles, and what it is allocating into one. */
static int add_handles(struct ga_heap *heap, ga_client_id client)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && client < heap->counts.handles && i < GA_HANDLE_COUNT; i++) {
        uint64_t address = ga_load_acquire(&heap->view.handles[client].object[i]);
        if (address != 0)
            r = add_root(heap, address - heap->meta->base);
    }
    for (ga_mcache_id id = heap->client_records[client].first_mcache; r == 0 && id;
         id = ga_mcache_record(heap, id)->next) {
        const struct ga_mcache *shared = &heap->view.mcaches[id];
        if (ga_load_acquire(&shared->into_handle) != 0)
            r = add_root(heap, ga_load_acquire(&shared->into_object));
    }
    return r;
}

int ga_collect_add_known_roots(struct ga_heap *heap)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < heap->root_end; i++)
        if (ga_load_relaxed(&heap->roots[i].used))
            r = add_root(heap, ga_load_relaxed(&heap->roots[i].offset));
    for (uint32_t i = 0; r == 0 && i < heap->hold_end; i++)
        if (ga_hold_counts(ga_load_relaxed(&heap->holds[i].state)))
            r = add_root(heap, ga_load_relaxed(&heap->holds[i].offset));
    for (ga_client_id client = 0; r == 0 && client < heap->client_end; client++)
        if (ga_clients_is_attached(heap, client))
            r = add_handles(heap, client);
    return r;
}

/* ---- the cycle ---- */

int ga_collect_prepare(struct ga_heap *heap, enum ga_collect_mode mode)
{
    if (mode >= GA_COLLECT_MODES || !heap->memory)
        return -EINVAL;
    if (!heap->collect)
        heap->collect = calloc(1, sizeof(*heap->collect));
    if (!heap->collect)
        return -ENOMEM;
    struct ga_collect *collect = heap->collect;
    if (collect->is_on)
        return -EBUSY;
    /* From the clock, so that no server that was before it has had the same. */
    uint32_t number = collect->result.collection
                          ? collect->result.collection + 1
                          : (uint32_t)heap->effects.wall_ms(heap->effects.data);
    *collect = (struct ga_collect){.mode = mode,
                                   .is_on = true,
                                   .npages = heap->npages_committed,
                                   .entered = 1,
                                   .result.collection = number};
    int r =
        ga_mark_new(&heap->view, heap->memory, heap->meta->base, collect->npages, &collect->mark);
    if (r < 0)
        ga_collect_abandon(heap);
    if (r < 0 || mode == GA_COLLECT_REPORT)
        return r;
    collect->had_new_orphans = heap->has_new_orphans;
    heap->has_new_orphans = false;
    return 0;
}

/* Count what is in use in the next n spans. */
static void count_found(struct ga_collect *collect, uint64_t n)
{
    for (; n > 0 && collect->counted < collect->nspans; n--) {
        const struct ga_collect_span *span = &collect->spans[collect->counted++];
        ga_collect_add(&collect->result.found, span, ga_collect_count_unreached(collect, span));
    }
}

int ga_collect_enter_some(struct ga_heap *heap, uint64_t n, bool *ret_done)
{
    struct ga_collect *collect = heap->collect;
    int r = 0;
    if (collect->is_entered) {
        count_found(collect, n);
    } else if ((r = enter_spans(heap, n)) == 0 && collect->entered >= collect->npages) {
        collect->is_entered = true;
        ga_collect_leave_out_batches(heap);
        r = ga_collect_add_known_roots(heap);
    }
    *ret_done = r == 0 && collect->is_entered && collect->counted == collect->nspans;
    if (r < 0)
        ga_collect_abandon(heap);
    return r;
}

int ga_collect_begin(struct ga_heap *heap, enum ga_collect_mode mode)
{
    bool done = false;
    int r = ga_collect_prepare(heap, mode);
    while (r == 0 && !done)
        r = ga_collect_enter_some(heap, UINT64_MAX, &done);
    return r;
}

int ga_collect_add_roots(struct ga_heap *heap, const uint64_t *offsets, size_t n)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = add_root(heap, offsets[i]);
    return r;
}

void ga_collect_work(struct ga_heap *heap, bool alone)
{
    ga_mark_work(heap->collect->mark, alone);
}

void ga_collect_cancel(struct ga_heap *heap)
{
    if (ga_collect_is_on(heap))
        ga_mark_cancel(heap->collect->mark);
}

void ga_collect_note_let_go(struct ga_heap *heap, uint64_t offset)
{
    struct ga_collect *collect = heap->collect;
    if (!ga_collect_is_on(heap) || collect->is_settled)
        return;
    if (collect->nlet_go == collect->let_go_room) {
        size_t more = collect->let_go_room ? collect->let_go_room * 2 : 64;
        uint64_t *grown = realloc(collect->let_go, more * sizeof(*grown));
        if (!grown) {
            collect->forgets = true;
            return;
        }
        collect->let_go = grown;
        collect->let_go_room = more;
    }
    collect->let_go[collect->nlet_go++] = offset;
}

int ga_collect_settle(struct ga_heap *heap)
{
    struct ga_collect *collect = heap->collect;
    if (collect->forgets)
        return -ENOMEM;
    /* Counted once. */
    struct ga_collect_result result = collect->result;
    int r = ga_collect_add_known_roots(heap);
    for (size_t i = 0; r == 0 && i < collect->nlet_go; i++)
        r = add_root(heap, collect->let_go[i]);
    collect->result = result;
    if (r < 0)
        return r;
    ga_mark_work(collect->mark, true);
    if (collect->is_concurrent)
        ga_collect_keep_used(heap);
    collect->is_settled = ga_mark_is_whole(collect->mark);
    return collect->is_settled ? 0 : -ECANCELED;
}

static void finish(struct ga_heap *heap)
{
    struct ga_collect *collect = heap->collect;
    if (!ga_collect_is_on(heap))
        return;
    for (uint64_t i = collect->swept; i < collect->nspans; i++)
        heap->mspans[collect->spans[i].page].collected = false;
    drop_marks(collect);
    collect->is_on = false;
}

void ga_collect_end(struct ga_heap *heap)
{
    finish(heap);
}

void ga_collect_abandon(struct ga_heap *heap)
{
    /* They wait for the next. */
    heap->has_new_orphans |= ga_collect_is_on(heap) && heap->collect->had_new_orphans;
    finish(heap);
}

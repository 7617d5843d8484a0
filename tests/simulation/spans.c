#include "shm/ring.h"
#include "shm/size_class.h"
#include "shm/tiny.h"
#include "simulation/frame.h"
#include "simulation/model.h"
#include "simulation/thread.h"

static struct ga_view *const view = &ga_sim.core.view;

static struct ga_sim_span *find(const struct ga_sim_thread *thread, ga_page_id page)
{
    for (uint32_t i = 0; i < thread->nspans; i++)
        if (thread->spans[i].page == page)
            return (struct ga_sim_span *)&thread->spans[i];
    return NULL;
}

void ga_sim_spans_begin(const struct ga_sim_thread_at *at, ga_page_id page)
{
    struct ga_sim_thread *thread = at->thread;
    uint64_t entry = ga_view_entry(view, page);
    GA_SIM_REQUIRE(ga_entry_is_span(entry) && ga_entry_owner(entry) == thread->id,
                   "what is granted is leased to whom it is granted");
    GA_SIM_REQUIRE(!find(thread, page), "a span is granted once");
    GA_SIM_REQUIRE((entry & GA_ENTRY_NEEDZERO) || !ga_sim_model_is_dirty(page),
                   "what is said to be zero was never handed out");
    ga_slot_begin_lease(view, thread->id, page);
    thread->spans[thread->nspans++] =
        (struct ga_sim_span){.page = page, .span_class = ga_entry_span_class(entry)};
    ga_sim.seen.leases++;
}

void ga_sim_spans_take_ring(const struct ga_sim_thread_at *at)
{
    struct ga_sim_thread *thread = at->thread;
    while (thread->nspans < GA_SIM_SPANS) {
        uint64_t next = thread->ring_taken + 1;
        uint64_t entry = ga_load_acquire(&view->rings[thread->id].entry[ga_ring_index(next)]);
        if (ga_ring_sequence(entry) != next || ga_ring_state(entry) != GA_RING_READY)
            return;
        ga_sim_spans_begin(at, ga_ring_page(entry));
        thread->ring_taken = next;
        ga_store_release(&view->mcaches[thread->id].ring_taken, next);
        ga_sim.seen.from_ring++;
    }
}

/* ---- allocating from them ---- */

bool ga_sim_spans_pop(struct ga_sim_thread *thread, ga_span_class span_class,
                      struct ga_sim_free_slot *ret)
{
    for (uint32_t i = thread->nfree; i-- > 0;) {
        if (thread->free[i].span_class != span_class)
            continue;
        *ret = thread->free[i];
        thread->nfree--;
        for (; i < thread->nfree; i++)
            thread->free[i] = thread->free[i + 1];
        return true;
    }
    return false;
}

void ga_sim_spans_put(struct ga_sim_thread *thread, ga_span_class span_class, ga_page_id page,
                      uint32_t index)
{
    if (thread->nfree < GA_SIM_FREE_SLOTS)
        thread->free[thread->nfree++] =
            (struct ga_sim_free_slot){.page = page, .index = index, .span_class = span_class};
}

/* Before a span goes back. */
static void drop_free(struct ga_sim_thread *thread, ga_page_id page)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < thread->nfree; i++)
        if (thread->free[i].page != page)
            thread->free[kept++] = thread->free[i];
    thread->nfree = kept;
}

static bool fill_from(struct ga_sim_thread *thread, const struct ga_sim_span *span)
{
    if (span->span_class == GA_SPAN_CLASS_TINY) {
        ga_tiny_leave(view, thread->id);
        return ga_tiny_find(&thread->carver, view, span->page, 0);
    }
    uint32_t nslots = ga_mheap_nslots(span->span_class);
    for (uint32_t word = 0; word < ga_word_count(nslots); word++) {
        uint64_t slots = ga_slot_find_free(view, span->page, word, nslots);
        uint32_t before = thread->nfree;
        for (; slots != 0; slots &= slots - 1)
            ga_sim_spans_put(thread, span->span_class, span->page,
                             word * 64 + (uint32_t)__builtin_ctzll(slots));
        if (thread->nfree > before)
            return true;
    }
    return false;
}

bool ga_sim_spans_fill(const struct ga_sim_thread_at *at, ga_span_class span_class)
{
    for (uint32_t i = 0; i < at->thread->nspans; i++) {
        struct ga_sim_span *span = &at->thread->spans[i];
        if (span->span_class != span_class || span->full)
            continue;
        if (at->thread->nfree == GA_SIM_FREE_SLOTS)
            at->thread->nfree = 0; /* of other classes: they are found again */
        if (fill_from(at->thread, span))
            return true;
        span->full = true;
    }
    return false;
}

static void take_large(struct ga_sim_span *span)
{
    span->full = true;
    ga_slot_take_leased_large(view, span->page);
}

ga_page_id ga_sim_spans_take_large(const struct ga_sim_thread_at *at, ga_span_class span_class,
                                   uint64_t npages)
{
    ga_sim_spans_take_news(at, span_class);
    for (uint32_t i = 0; i < at->thread->nspans; i++) {
        struct ga_sim_span *span = &at->thread->spans[i];
        if (span->span_class != span_class || span->full ||
            ga_entry_npages(ga_view_entry(view, span->page)) < npages)
            continue;
        if (ga_slot_count_used(view, span->page, 1) == 0) {
            take_large(span);
            return span->page;
        }
        span->full = true; /* the news was of another */
    }
    return 0;
}

void ga_sim_spans_begin_large(const struct ga_sim_thread_at *at, ga_page_id page)
{
    ga_sim_spans_begin(at, page);
    take_large(find(at->thread, page));
}

void ga_sim_spans_take_news(const struct ga_sim_thread_at *at, ga_span_class span_class)
{
    for (uint32_t i = 0; i < GA_INBOX_WORDS; i++) {
        _Atomic uint64_t *word = &view->mcaches[at->thread->id].inbox[span_class].word[i];
        uint64_t news = ga_xchg_seq_cst(word, UINT64_C(0));
        for (uint32_t n = 0; n < at->thread->nspans; n++) {
            struct ga_sim_span *span = &at->thread->spans[n];
            if (span->span_class == span_class && span->page / 64 % GA_INBOX_WORDS == i &&
                (news >> span->page % 64 & 1))
                span->full = false;
        }
    }
}

void ga_sim_spans_freed(const struct ga_sim_thread_at *at, ga_page_id page)
{
    struct ga_sim_span *span = find(at->thread, page);
    if (span)
        span->full = false;
}

/* ---- giving them back ---- */

static void end_lease(struct ga_sim_thread *thread, struct ga_sim_span *span)
{
    ga_page_id page = span->page;
    if (ga_tiny_page(thread->carver.origin) == page) {
        thread->carver = (struct ga_tiny_carver){0};
        ga_tiny_leave(view, thread->id);
    }
    drop_free(thread, page);
    ga_slot_end_lease(view, thread->id, page);
    *span = thread->spans[--thread->nspans];
}

void ga_sim_spans_return(const struct ga_sim_thread_at *at)
{
    struct ga_sim_message note = {.kind = GA_SIM_RETURN};
    uint32_t most = 1 + ga_sim_pick(GA_SIM_PAGES - 1);
    while (note.count < most && at->thread->nspans > 0) {
        struct ga_sim_span *span = &at->thread->spans[ga_sim_pick(at->thread->nspans)];
        note.pages[note.count++] = span->page;
        end_lease(at->thread, span);
    }
    if (ga_sim_pick(8) == 0) /* and one that it has not */
        note.pages[note.count++] = ga_sim_pick(1000);
    ga_sim_thread_notes(at, &note);
}

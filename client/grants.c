/* What the server grants is begun here, on the library's thread, before whoever asked sees the
 * answer. So a grant that this thread has not seen when the connection ends was never begun: the
 * server can tell it by the shared words, and takes it back when this process reattaches. An answer
 * that comes too late for its caller is given back at once. */
#include "client/heap.h"
#include "client/into.h"

static bool is_ours(const struct goalloc_heap *heap, ga_mcache_id mcache)
{
    return mcache != 0 && mcache < heap->view.counts.mcaches &&
           ga_load_relaxed(&heap->view.mcache_entries[mcache].client) ==
               ga_load_relaxed(&heap->client);
}

/* Whether the page table says that one of our mcaches leases the span; if so, which. */
static ga_mcache_id leased_to(const struct goalloc_heap *heap, ga_page_id page)
{
    const struct ga_view *view = &heap->view;
    if (page == 0 || page >= ga_load_acquire(&view->meta->committed_npages))
        return 0;
    uint64_t entry = ga_view_entry(view, page);
    ga_mcache_id owner = ga_entry_is_span(entry) ? ga_entry_owner(entry) : 0;
    return is_ours(heap, owner) ? owner : 0;
}

static void begin_leases(struct goalloc_heap *heap, const Goalloc__V1__Leases *leases)
{
    for (size_t i = 0; i < leases->n_pages; i++) {
        ga_mcache_id owner = leased_to(heap, leases->pages[i]);
        if (owner)
            ga_slot_begin_lease(&heap->view, owner, leases->pages[i]);
    }
}

/* Leases that nobody waits for any more; all are of one mcache. */
static void return_leases(struct goalloc_heap *heap, const Goalloc__V1__Leases *leases)
{
    Goalloc__V1__Return body = GOALLOC__V1__RETURN__INIT;
    for (size_t i = 0; i < leases->n_pages; i++) {
        ga_mcache_id owner = leased_to(heap, leases->pages[i]);
        if (!owner)
            continue;
        ga_slot_begin_lease(&heap->view, owner, leases->pages[i]);
        ga_slot_end_lease(&heap->view, owner, leases->pages[i]);
        body.mcache = owner;
    }
    body.pages = leases->pages;
    body.n_pages = leases->n_pages;
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = GOALLOC__V1__ENVELOPE__BODY_RETURN_SPANS;
    note.return_spans = &body;
    /* If the note is lost, it is looked up after the next Reattach. */
    (void)ga_channel_note(heap->channel, &note);
}

static bool is_large(const struct goalloc_heap *heap, ga_page_id page)
{
    return page != 0 && page < ga_load_acquire(&heap->view.meta->committed_npages) &&
           (ga_view_entry(&heap->view, page) & GA_ENTRY_LARGE);
}

/* A large span is leased, and who asked goes on with it; or it is taken here, for who waits with
 * this mcache. */
static void take_large(struct goalloc_heap *heap, const Goalloc__V1__LargeSpan *span)
{
    ga_page_id page = span->page;
    ga_mcache_id owner = leased_to(heap, page);
    if (owner) {
        ga_slot_begin_lease(&heap->view, owner, page);
    } else if (is_large(heap, page)) {
        if (is_ours(heap, span->mcache))
            ga_into_note(&heap->view.mcaches[span->mcache], (uint64_t)page << GA_PAGE_SHIFT);
        ga_slot_take_large(&heap->view, page);
    }
}

/* A large span that nobody waits for any more: its lease is ended; or it is taken, and freed as by
 * another. */
static void free_large(struct goalloc_heap *heap, ga_page_id page)
{
    if (leased_to(heap, page)) {
        Goalloc__V1__Leases lease = GOALLOC__V1__LEASES__INIT;
        lease.pages = &page;
        lease.n_pages = 1;
        return_leases(heap, &lease);
        return;
    }
    if (!is_large(heap, page))
        return;
    ga_slot_take_large(&heap->view, page);
    struct ga_slot slot = {.page = page, .entry = ga_view_entry(&heap->view, page)};
    ga_slot_free_by_other(&heap->view, 0, &slot);
    Goalloc__V1__LargeFree body = GOALLOC__V1__LARGE_FREE__INIT;
    body.pages = &page;
    body.n_pages = 1;
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = GOALLOC__V1__ENVELOPE__BODY_LARGE_FREE;
    note.large_free = &body;
    (void)ga_channel_note(heap->channel, &note); /* the pending bit says it too */
}

void ga_grants_on_reply(const Goalloc__V1__Envelope *reply, bool wanted, void *data)
{
    struct goalloc_heap *heap = data;
    if (reply->body_case == GOALLOC__V1__ENVELOPE__BODY_LEASES) {
        if (wanted)
            begin_leases(heap, reply->leases);
        else
            return_leases(heap, reply->leases);
    } else if (reply->body_case == GOALLOC__V1__ENVELOPE__BODY_LARGE_SPAN) {
        if (wanted)
            take_large(heap, reply->large_span);
        else
            free_large(heap, reply->large_span->page);
    }
}

/* Sweeping: a look at the spans whose pending bits say that slots of them were freed while nobody
 * leased them. One that has become empty goes back to mheap, one that was full has free slots for
 * its class.
 *
 * Nobody waits for all of that. The sweep goes round the pending bits, a word (64 pages) at a time,
 * from where it stopped last, whoever asks:
 *
 *   requests    before they take pages, for as many as they take, and before a class whose spans
 *               are all full gets a new one; within a budget of words and spans, which each request
 *               has anew. What came back beyond that is credit, and used up first by the next.
 *   the loop    in slices, a pass in every second, so that nothing lies unswept for long.
 *   a refusal   instead of which the rest is swept, once round.
 *
 * The bits have no summary that would say where to look: everybody writes them, and a second word
 * would cost each first free in a span one more atomic, and a death between the two one more case;
 * while a word where nothing is costs a load here. */
#include "server/heap_internal.h"

/* What one request looks at, at most: as Go's mcentral, and what Go's reclaimer claims at once. A
 * word is looked at whole, so there may be 63 spans more. */
#define SPANS_MAX 100u
#define WORDS_MAX 512u

static uint64_t word_count(const struct ga_heap *heap)
{
    return (heap->npages_committed + 63) / 64;
}

/* Look at the spans of a word of pending bits. */
static void look_at(struct ga_heap *heap, uint64_t word)
{
    heap->sweep.nwords++;
    if (ga_load_relaxed(ga_view_pending(&heap->view, word)) == 0)
        return;
    /* Cleared before F is read: a free after the clearing sets it again. */
    uint64_t bits = ga_xchg_seq_cst(ga_view_pending(&heap->view, word), 0);
    for (; bits != 0; bits &= bits - 1) {
        uint64_t page = word * 64 + (uint64_t)__builtin_ctzll(bits);
        if (page >= heap->npages_committed)
            break;
        heap->sweep.nspans++;
        ga_lease_take_news(heap, (ga_page_id)page);
    }
}

/* Look at the next word. Returns how many pages came back. */
static uint64_t look_on(struct ga_heap *heap)
{
    struct ga_sweep *sweep = &heap->sweep;
    uint64_t before = heap->npages_inuse;
    uint64_t nwords = word_count(heap);
    uint64_t word = sweep->next < nwords ? sweep->next : 0;
    sweep->next = word + 1;
    sweep->nsteps++;
    sweep->pass_nwords -= sweep->pass_nwords > 0;
    sweep->unseen_nwords -= sweep->unseen_nwords > 0;
    if (nwords > 0)
        look_at(heap, word);
    return before - heap->npages_inuse;
}

/* There is no more credit than there are free pages. */
static void add_credit(struct ga_heap *heap, uint64_t npages)
{
    struct ga_sweep *sweep = &heap->sweep;
    uint64_t most = heap->npages_committed - heap->npages_inuse;
    sweep->credit_npages += npages;
    sweep->credit_npages = sweep->credit_npages < most ? sweep->credit_npages : most;
}

/* ---- for requests ---- */

void ga_sweep_begin_request(struct ga_heap *heap)
{
    struct ga_sweep *sweep = &heap->sweep;
    sweep->unseen_nwords = word_count(heap);
    sweep->nwords_end = sweep->nwords + WORDS_MAX;
    sweep->nspans_end = sweep->nspans + SPANS_MAX;
}

/* Whether the request may look at one more word, and has not seen all. */
static bool may_look(const struct ga_sweep *sweep)
{
    return sweep->unseen_nwords > 0 && sweep->nwords < sweep->nwords_end &&
           sweep->nspans < sweep->nspans_end;
}

void ga_sweep_reclaim(struct ga_heap *heap, uint64_t npages)
{
    struct ga_sweep *sweep = &heap->sweep;
    uint64_t back = sweep->credit_npages;
    sweep->credit_npages = 0;
    while (back < npages && may_look(sweep))
        back += look_on(heap);
    if (back > npages)
        add_credit(heap, back - npages);
}

void ga_sweep_for_class(struct ga_heap *heap, ga_span_class span_class)
{
    const struct ga_mcentral *central = &heap->central[span_class];
    uint64_t back = 0;
    while (central->full.count > 0 && !ga_mcentral_has_partial(central) && may_look(&heap->sweep))
        back += look_on(heap);
    add_credit(heap, back);
}

bool ga_sweep_rest(struct ga_heap *heap)
{
    struct ga_sweep *sweep = &heap->sweep;
    if (sweep->unseen_nwords == 0)
        return false;
    uint64_t back = 0;
    for (uint32_t n = 0; n < WORDS_MAX && sweep->unseen_nwords > 0; n++)
        back += look_on(heap);
    add_credit(heap, back);
    return true;
}

/* ---- for the loop, and who wants all ---- */

uint64_t ga_heap_begin_sweep(struct ga_heap *heap)
{
    heap->sweep.pass_nwords = word_count(heap);
    return heap->sweep.nsteps + word_count(heap);
}

bool ga_heap_has_swept(const struct ga_heap *heap, uint64_t goal)
{
    return heap->sweep.nsteps >= goal;
}

bool ga_heap_sweep_some(struct ga_heap *heap)
{
    struct ga_sweep *sweep = &heap->sweep;
    uint64_t nwords_end = sweep->nwords + WORDS_MAX;
    uint64_t nspans_end = sweep->nspans + SPANS_MAX;
    uint64_t back = 0;
    while (sweep->pass_nwords > 0 && sweep->nwords < nwords_end && sweep->nspans < nspans_end)
        back += look_on(heap);
    add_credit(heap, back);
    return sweep->pass_nwords > 0;
}

void ga_heap_sweep_page(struct ga_heap *heap, uint64_t page)
{
    uint64_t before = heap->npages_inuse;
    if (page < heap->npages_committed)
        look_at(heap, page / 64);
    add_credit(heap, before - heap->npages_inuse);
}

void ga_heap_sweep_pending(struct ga_heap *heap)
{
    uint64_t before = heap->npages_inuse;
    for (uint64_t word = 0; word < word_count(heap); word++)
        look_at(heap, word);
    heap->sweep.nsteps += word_count(heap);
    heap->sweep.pass_nwords = 0;
    heap->sweep.unseen_nwords = 0;
    add_credit(heap, before - heap->npages_inuse);
}

/* Holds: who wants an object kept even if somebody frees it. A record in meta for each process and
 * object, which every client can read; a count in the span's line, so that a free in a span without
 * holds looks no further. Linear search: holds are rare, and so are frees of what is held.
 *
 * A server may die at any point of this. What becomes of a record, its state by state:
 *   held -> freed           somebody has freed the object: it goes with the last record of it
 *   freed -> releasing      that is now; the state says what the slot's bit in A is. F is made
 * equal held, releasing -> gone the record counts no more; the span's count is lowered gone ->
 * unused Who takes over repeats the step that it finds (ga_holds_adopt). That is exact: as long as
 * there is a record that is not gone, no free of the slot by others gets past the server, so only
 * this one can have made F's bit equal the bit that was noted. */
#include "server/heap_internal.h"

#include <errno.h>

#include "shm/sample.h"
#include "shm/size_class.h"

static uint32_t state_of(const struct ga_hold *hold)
{
    return ga_load_relaxed(&hold->state);
}

/* Release: pairs with clients who read the table, and keeps the order for who takes over. */
static void set_state(struct ga_hold *hold, uint32_t state)
{
    ga_store_release(&hold->state, state);
}

static bool is_of(const struct ga_hold *hold, uint64_t offset)
{
    return ga_hold_counts(state_of(hold)) && ga_load_relaxed(&hold->offset) == offset;
}

bool ga_holds_find_slot(const struct ga_heap *heap, uint64_t offset, struct ga_slot *ret)
{
    uint64_t page = offset >> GA_PAGE_SHIFT;
    if (page >= heap->npages_committed)
        return false;
    uint64_t distance = ga_entry_distance(ga_load_relaxed(&heap->page_table[page]));
    if (distance > page || heap->mspans[page - distance].npages <= distance)
        return false;
    page -= distance;
    *ret = (struct ga_slot){.page = (ga_page_id)page,
                            .entry = ga_load_relaxed(&heap->page_table[page])};
    uint32_t in_span = (uint32_t)(offset - (page << GA_PAGE_SHIFT));
    uint32_t size_class = heap->mspans[page].span_class / 2u;
    if (size_class == 0)
        return offset == page << GA_PAGE_SHIFT;
    if (ret->entry & GA_ENTRY_TINY)
        return true; /* nobody holds one */
    ret->index = ga_slot_index(&ga_size_classes[size_class], in_span);
    return ga_slot_is_start(&ga_size_classes[size_class], in_span, ret->index);
}

/* Say in the span's line how many records count. seq_cst: who unlinks an object and then frees it
 * must see a hold that was there before the object was looked for again (shm/README.md). */
static void show_count(struct ga_heap *heap, ga_page_id page)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < heap->hold_end; i++)
        n += ga_hold_counts(state_of(&heap->holds[i])) && heap->holds[i].page == page;
    /* The other half is others'. */
    _Atomic uint64_t *shown = &heap->view.lines[page].nholds;
    ga_fetch_add_seq_cst(shown, n - ga_line_holds(ga_load_relaxed(shown)));
}

/* The record of client and offset; or, with client_plus_1 0, of anybody. NULL if there is none. */
static struct ga_hold *find(struct ga_heap *heap, uint32_t client_plus_1, uint64_t offset)
{
    for (uint32_t i = 0; i < heap->hold_end; i++) {
        struct ga_hold *hold = &heap->holds[i];
        if (is_of(hold, offset) && (client_plus_1 == 0 || hold->client == client_plus_1))
            return hold;
    }
    return NULL;
}

bool ga_holds_any(struct ga_heap *heap, uint64_t offset)
{
    return find(heap, 0, offset) != NULL;
}

static int find_unused(struct ga_heap *heap, struct ga_hold **ret)
{
    uint32_t index = 0;
    while (index < heap->hold_end && state_of(&heap->holds[index]) != GA_HOLD_UNUSED)
        index++;
    if (index == heap->counts.holds)
        return -ENOSPC;
    if (index == heap->hold_end) {
        int r = ga_backing_ensure(&heap->meta_backing,
                                  heap->meta->holds_offset + index * sizeof(struct ga_hold),
                                  sizeof(struct ga_hold));
        if (r < 0)
            return r;
        /* Pairs with clients who read the table up to here. */
        ga_store_release(&heap->meta->hold_end, ++heap->hold_end);
    }
    *ret = &heap->holds[index];
    return 0;
}

static uint32_t index_of(const struct ga_heap *heap, const struct ga_hold *hold)
{
    return (uint32_t)(hold - heap->holds);
}

static void set_count(struct ga_heap *heap, struct ga_hold *hold, uint32_t count)
{
    ga_journal_begin(heap, &(struct ga_change){.kind = GA_JOURNAL_COUNT,
                                               .index = index_of(heap, hold),
                                               .count = count});
    hold->count = count;
    ga_journal_end(heap);
}

int ga_heap_hold(struct ga_heap *heap, ga_client_id client, uint64_t offset)
{
    struct ga_slot slot;
    if (!ga_clients_is_served(heap, client))
        return -EPERM;
    if (!ga_holds_find_slot(heap, offset, &slot))
        return -EINVAL;
    /* Neighbours in a tiny block share what says that they are in use. */
    if (slot.entry & GA_ENTRY_TINY)
        return -ENOTSUP;
    struct ga_hold *hold = find(heap, client + 1, offset);
    if (hold) {
        if (hold->count == UINT32_MAX)
            return -EOVERFLOW;
        set_count(heap, hold, hold->count + 1);
        return 0;
    }
    const struct ga_hold *of_others = find(heap, 0, offset);
    if (of_others && state_of(of_others) != GA_HOLD_HELD)
        return -ENOENT;
    int r = ga_quota_take(heap, client, GA_QUOTA_HOLDS);
    if (r < 0)
        return r;
    r = find_unused(heap, &hold);
    if (r < 0) {
        ga_quota_give(heap, client, GA_QUOTA_HOLDS);
        return r;
    }
    ga_store_relaxed(&hold->offset, offset);
    hold->page = slot.page;
    hold->client = client + 1;
    hold->count = 1;
    ga_journal_begin(heap,
                     &(struct ga_change){.kind = GA_JOURNAL_HOLD, .index = index_of(heap, hold)});
    set_state(hold, GA_HOLD_HELD);
    show_count(heap, slot.page);
    ga_journal_end(heap);
    return 0;
}

/* The record counts no more. */
static void drop(struct ga_heap *heap, struct ga_hold *hold)
{
    ga_collect_note_let_go(heap, ga_load_relaxed(&hold->offset));
    set_state(hold, GA_HOLD_GONE);
    show_count(heap, hold->page);
    ga_quota_give(heap, hold->client - 1, GA_QUOTA_HOLDS);
    set_state(hold, GA_HOLD_UNUSED);
}

/* Make the slot's bit in F equal a, what its bit in A is, and tell of it: a free by others. */
static void free_slot(struct ga_heap *heap, uint64_t offset, bool a)
{
    struct ga_slot slot;
    if (!ga_holds_find_slot(heap, offset, &slot))
        return; /* somebody has spoilt the span's bits, and it is gone */
    _Atomic uint64_t *f = ga_view_f(&heap->view, slot.page, slot.index / 64);
    uint64_t bit = UINT64_C(1) << (slot.index % 64);
    /* seq_cst: as in ga_slot_free_by_other. */
    if (a)
        ga_fetch_or_seq_cst(f, bit);
    else
        ga_fetch_and_seq_cst(f, ~bit);
    ga_slot_tell(&heap->view, slot.page);
}

/* Take the record away; if it was the object's last and the object was freed, free it now. */
static void remove_hold(struct ga_heap *heap, struct ga_hold *hold)
{
    uint64_t offset = ga_load_relaxed(&hold->offset);
    struct ga_slot slot;
    bool freed = state_of(hold) == GA_HOLD_FREED;
    bool last = true;
    for (uint32_t i = 0; i < heap->hold_end && last; i++)
        last = &heap->holds[i] == hold || !is_of(&heap->holds[i], offset);
    if (freed && last && ga_holds_find_slot(heap, offset, &slot)) {
        /* Nobody changes the bit in A of a slot in use. Acquire: its holder's stores. */
        uint64_t a = ga_load_acquire(ga_view_a(&heap->view, slot.page, slot.index / 64)) >>
                         (slot.index % 64) &
                     1;
        set_state(hold, a ? GA_HOLD_RELEASING_1 : GA_HOLD_RELEASING_0);
        free_slot(heap, offset, a);
    }
    drop(heap, hold);
}

int ga_heap_release(struct ga_heap *heap, ga_client_id client, uint64_t offset)
{
    struct ga_hold *hold = find(heap, client + 1, offset);
    if (!ga_clients_is_attached(heap, client) || !hold)
        return -ENOENT;
    if (hold->count > 1) {
        set_count(heap, hold, hold->count - 1);
        return 0;
    }
    ga_journal_begin(
        heap, &(struct ga_change){.kind = GA_JOURNAL_RELEASE, .index = index_of(heap, hold)});
    remove_hold(heap, hold);
    ga_journal_end(heap);
    return 0;
}

/* Every record of the object says that it is freed, so that whichever is the last knows. */
static void mark_freed(struct ga_heap *heap, uint64_t offset)
{
    for (uint32_t i = 0; i < heap->hold_end; i++)
        if (is_of(&heap->holds[i], offset))
            set_state(&heap->holds[i], GA_HOLD_FREED);
}

int ga_heap_put_off(struct ga_heap *heap, uint64_t offset)
{
    const struct ga_hold *hold = find(heap, 0, offset);
    struct ga_slot slot;
    /* A hold that came after its object's free may be of what is a tiny object by now, which cannot
     * be freed by what the hold notes. */
    if (!hold || !ga_holds_find_slot(heap, offset, &slot) || (slot.entry & GA_ENTRY_TINY))
        return -ENOENT;
    if (state_of(hold) == GA_HOLD_FREED)
        return -EINVAL;
    ga_journal_begin(heap, &(struct ga_change){.kind = GA_JOURNAL_PUT_OFF, .offset = offset});
    mark_freed(heap, offset);
    ga_journal_end(heap);
    return 0;
}

uint32_t ga_holds_put_off_span(struct ga_heap *heap, ga_page_id page,
                               uint64_t slots[static GA_SPAN_WORDS])
{
    uint32_t nnew = 0;
    for (uint32_t i = 0; i < heap->hold_end; i++) {
        struct ga_hold *hold = &heap->holds[i];
        uint64_t offset = ga_load_relaxed(&hold->offset);
        struct ga_slot slot;
        if (!ga_hold_counts(state_of(hold)) || hold->page != page ||
            !ga_holds_find_slot(heap, offset, &slot) || slot.page != page)
            continue;
        uint64_t bit = UINT64_C(1) << (slot.index % 64);
        if ((slots[slot.index / 64] & bit) == 0)
            continue; /* another's hold of the same, or of what is no object any more */
        slots[slot.index / 64] &= ~bit;
        nnew += state_of(hold) == GA_HOLD_HELD;
        mark_freed(heap, offset);
    }
    return nnew;
}

void ga_holds_repeat(struct ga_heap *heap, const struct ga_journal *journal)
{
    uint32_t kind = ga_load_relaxed(&journal->kind);
    if (kind == GA_JOURNAL_PUT_OFF) {
        mark_freed(heap, journal->offset);
        return;
    }
    struct ga_hold *hold = &heap->holds[journal->index];
    if (kind == GA_JOURNAL_COUNT) {
        hold->count = journal->count;
    } else if (kind == GA_JOURNAL_RELEASE) {
        if (ga_hold_counts(state_of(hold)))
            remove_hold(heap, hold);
    } else if (!ga_hold_counts(state_of(hold))) {
        ga_quota_enter(heap, hold->client - 1, GA_QUOTA_HOLDS);
        set_state(hold, GA_HOLD_HELD);
        show_count(heap, hold->page);
    }
}

bool ga_holds_recover(struct ga_heap *heap, ga_client_id client, uint32_t *left)
{
    for (uint32_t i = 0; i < heap->hold_end; i++) {
        struct ga_hold *hold = &heap->holds[i];
        if (!ga_hold_counts(state_of(hold)) || hold->client != client + 1)
            continue;
        if (!ga_recover_takes(left, ga_holds_cost(heap)))
            return false;
        remove_hold(heap, hold);
    }
    return true;
}

uint32_t ga_holds_cost(const struct ga_heap *heap)
{
    return 1 + heap->hold_end / 32;
}

void ga_holds_enter(struct ga_heap *heap)
{
    for (uint32_t i = 0; i < heap->hold_end; i++)
        if (state_of(&heap->holds[i]) != GA_HOLD_UNUSED)
            ga_quota_enter(heap, heap->holds[i].client - 1, GA_QUOTA_HOLDS);
}

void ga_holds_adopt(struct ga_heap *heap)
{
    for (uint32_t i = 0; i < heap->hold_end; i++) {
        struct ga_hold *hold = &heap->holds[i];
        uint32_t state = state_of(hold);
        if (state == GA_HOLD_UNUSED)
            continue;
        if (state == GA_HOLD_FREED)
            mark_freed(heap, ga_load_relaxed(&hold->offset));
        if (state == GA_HOLD_RELEASING_0 || state == GA_HOLD_RELEASING_1)
            free_slot(heap, ga_load_relaxed(&hold->offset), state == GA_HOLD_RELEASING_1);
        if (state == GA_HOLD_HELD || state == GA_HOLD_FREED)
            show_count(heap, hold->page);
        else
            drop(heap, hold);
    }
}

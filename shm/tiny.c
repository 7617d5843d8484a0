/* The protocol of tiny objects. live is written by everybody with atomic operations on one byte's
 * bits; the tiny word by the mcache's thread alone, with plain release stores (by the server once
 * it is dead). To adopt a block is to name it first and set its byte afterwards, to leave it the
 * other way round; so a byte that no tiny word names holds nothing but objects. */
#include "shm/tiny.h"

static uint32_t shift_of(uint32_t block)
{
    return block % GA_TINY_WORD_NBLOCKS * 8;
}

static _Atomic uint64_t *live_of(const struct ga_view *view, ga_page_id page, uint32_t block)
{
    return &view->tiny[page].live[block / GA_TINY_WORD_NBLOCKS];
}

bool ga_tiny_adopt(const struct ga_view *view, ga_mcache_id me, ga_page_id page, uint32_t from,
                   uint32_t *ret_block)
{
    for (uint32_t i = 0; i < GA_TINY_WORDS; i++) {
        uint32_t word = (from + i) % GA_TINY_WORDS;
        uint64_t free_blocks = ga_tiny_free_blocks(view, page, word);
        if (free_blocks == 0)
            continue;
        uint32_t block = word * GA_TINY_WORD_NBLOCKS + (uint32_t)__builtin_ctzll(free_blocks) / 8;
        _Atomic uint64_t *tiny = &view->mcaches[me].tiny;
        uint64_t next = ((ga_load_relaxed(tiny) >> GA_TINY_SEQ_SHIFT) + 1) << GA_TINY_SEQ_SHIFT |
                        (uint64_t)GA_TINY_UNITS << GA_TINY_ROOM_SHIFT |
                        (uint64_t)block << GA_TINY_BLOCK_SHIFT | page;
        /* The name first: a death before the byte is set leaves a free block. */
        ga_store_release(tiny, next);
        ga_fetch_or_seq_cst(live_of(view, page, block), UINT64_C(0xff) << shift_of(block));
        *ret_block = block;
        return true;
    }
    return false;
}

void ga_tiny_leave(const struct ga_view *view, ga_mcache_id mcache, uint64_t tiny)
{
    if (ga_tiny_page(tiny) != 0) {
        uint32_t block = ga_tiny_block(tiny);
        uint64_t unused = (~ga_tiny_handed(tiny) & 0xff) << shift_of(block);
        ga_fetch_and_seq_cst(live_of(view, ga_tiny_page(tiny), block), ~unused);
    }
    ga_store_release(&view->mcaches[mcache].tiny, tiny >> GA_TINY_SEQ_SHIFT << GA_TINY_SEQ_SHIFT);
}

/* What holds of a block at one moment. */
struct block_state {
    uint64_t objects; /* starts of those in use */
    uint32_t end;     /* units up to what is still to be carved */
};

static bool is_same_adoption(uint64_t a, uint64_t b)
{
    uint64_t carving = (UINT64_C(1) << GA_TINY_SEQ_SHIFT) - (UINT64_C(1) << GA_TINY_HANDED_SHIFT);
    return ((a ^ b) & ~carving) == 0;
}

/* Read the block as one snapshot: the sequences in holder and in the tiny word make it one if
 * nothing has changed when both, in this order, are read again. False if the span is gone. */
static bool read_block(const struct ga_view *view, ga_page_id page, uint64_t entry, uint32_t block,
                       struct block_state *ret)
{
    _Atomic uint64_t *holder_word = &view->lines[page].holder;
    for (;;) {
        uint64_t holder = ga_load_acquire(holder_word);
        ga_mcache_id id = ga_holder_id(holder);
        if (id >= GA_MCACHE_COUNT)
            id = 0; /* nobody's id: the word was overwritten by a stray store */
        uint64_t tiny = id ? ga_load_acquire(&view->mcaches[id].tiny) : 0;
        uint64_t live = ga_load_acquire(live_of(view, page, block)) >> shift_of(block) & 0xff;
        /* What else has been handed out of the same block meanwhile does not matter. */
        if (id && !is_same_adoption(ga_load_acquire(&view->mcaches[id].tiny), tiny))
            continue;
        /* A new span at this page has raised holder's sequence. */
        if (!ga_entry_is_same_span(entry, ga_view_entry(view, page)))
            return false;
        if (ga_load_acquire(holder_word) != holder)
            continue;
        bool named = id && ga_tiny_is(tiny, page, block);
        ret->objects = named ? live & ga_tiny_handed(tiny) : live;
        ret->end = named ? GA_TINY_UNITS - ga_tiny_room(tiny) : GA_TINY_UNITS;
        return true;
    }
}

bool ga_tiny_in_use(const struct ga_view *view, const struct ga_slot *slot)
{
    struct block_state state;
    return read_block(view, slot->page, slot->entry, slot->index / GA_TINY_UNITS, &state) &&
           (state.objects >> slot->index % GA_TINY_UNITS & 1);
}

uint32_t ga_tiny_bytes(const struct ga_view *view, const struct ga_slot *slot)
{
    struct block_state state;
    uint32_t unit = slot->index % GA_TINY_UNITS;
    if (!read_block(view, slot->page, slot->entry, slot->index / GA_TINY_UNITS, &state))
        return 0;
    uint64_t behind = state.objects >> unit >> 1;
    uint32_t end = behind ? unit + 1 + (uint32_t)__builtin_ctzll(behind) : state.end;
    return end > unit ? (end - unit) * GA_TINY_UNIT_BYTES : 0;
}

bool ga_tiny_free(const struct ga_view *view, const struct ga_slot *slot, bool *ret_emptied)
{
    if (!ga_tiny_in_use(view, slot))
        return false;
    uint32_t block = slot->index / GA_TINY_UNITS;
    uint64_t bit = UINT64_C(1) << (shift_of(block) + slot->index % GA_TINY_UNITS);
    /* The old bit tells the second of two frees that race. seq_cst: pairs with who takes the span
     * over, and with who clears an inbox or pending bit, before reading live. */
    uint64_t before = ga_fetch_and_seq_cst(live_of(view, slot->page, block), ~bit);
    if ((before & bit) == 0)
        return false;
    *ret_emptied = ((before & ~bit) >> shift_of(block) & 0xff) == 0;
    return true;
}

uint32_t ga_tiny_free_all(const struct ga_view *view, ga_page_id page)
{
    uint32_t nfreed = 0;
    for (uint32_t word = 0; word < GA_TINY_WORDS; word++)
        nfreed += (uint32_t)__builtin_popcountll(
            ga_xchg_seq_cst(&view->tiny[page].live[word], UINT64_C(0)));
    return nfreed;
}

uint32_t ga_tiny_count_blocks(const struct ga_view *view, ga_page_id page)
{
    uint32_t nfree = 0;
    for (uint32_t word = 0; word < GA_TINY_WORDS; word++)
        nfree += (uint32_t)__builtin_popcountll(ga_tiny_free_blocks(view, page, word));
    return GA_TINY_NBLOCKS - nfree;
}

uint32_t ga_tiny_count_objects(const struct ga_view *view, ga_page_id page)
{
    uint64_t entry = ga_view_entry(view, page);
    uint32_t nobjects = 0;
    for (uint32_t block = 0; block < GA_TINY_NBLOCKS; block++) {
        struct block_state state;
        if (read_block(view, page, entry, block, &state))
            nobjects += (uint32_t)__builtin_popcountll(state.objects);
    }
    return nobjects;
}

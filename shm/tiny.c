/* The protocol of tiny objects. An allocation and a free by the holder are one store to A each, a
 * free by others one change of F (slot.c); so whatever a death cuts off, A and F say what is in
 * use, and there is nothing to put back. */
#include "shm/tiny.h"

/* Sizes that are multiples of 4 or 8 are aligned to that. */
const struct ga_tiny_shape ga_tiny_shapes[GA_TINY_SIZE_MAX + 1] = {
    {0, -1}, {0, -1}, {0, -1}, {1, -1}, {1, -2}, {2, -1}, {2, -1}, {3, -1},
    {3, -4}, {4, -1}, {4, -1}, {5, -1}, {5, -2}, {6, -1}, {6, -1}, {7, -1},
};

/* The units that no object in use can reach into. */
static uint64_t free_units(uint64_t used)
{
    used |= used << 1;
    used |= used << 2;
    used |= used << 4;
    return ~used;
}

/* Where runs may begin: free units that 7 more follow on. */
static uint64_t beginnings(uint64_t units)
{
    units &= units >> 1;
    units &= units >> 2;
    units &= units >> 4;
    return units & UINT64_C(0x1111111111111111);
}

bool ga_tiny_has_room(uint64_t used)
{
    return beginnings(free_units(used)) != 0;
}

static void begin(struct ga_tiny_carver *carver, struct ga_tiny_pair *pair, ga_page_id page,
                  uint32_t word, uint64_t first, uint64_t last)
{
    carver->pair = pair;
    carver->last = first - 1;
    carver->limit = last;
    carver->origin = ga_tiny_word(page, word * 64 + 1);
}

bool ga_tiny_find(struct ga_tiny_carver *carver, const struct ga_view *view, ga_page_id page,
                  uint32_t from)
{
    for (uint32_t i = 0; i < GA_TINY_WORDS; i++) {
        uint32_t word = (from + i) % GA_TINY_WORDS;
        struct ga_tiny_pair *pair = &view->tiny[page].pair[word];
        uint64_t used = ga_tiny_used(pair);
        if (used == 0) {
            begin(carver, pair, page, word, 0, 63);
            return true;
        }
        uint64_t units = free_units(used);
        uint64_t begins = beginnings(units);
        if (begins == 0)
            continue;
        uint64_t first = (uint64_t)__builtin_ctzll(begins);
        uint64_t behind = ~(units >> first);
        begin(carver, pair, page, word, first, first + (uint64_t)__builtin_ctzll(behind) - 1);
        return true;
    }
    *carver = (struct ga_tiny_carver){0};
    return false;
}

/* How far is carved of the word that unit is in: the word's end if that is not told. The words are
 * read before A, in which objects up to there are then seen. No sequence makes a snapshot of them,
 * and none need: as long as an object is in use, nobody carves from it to 8 units on but who is at
 * it already. */
static uint32_t carved_end(const struct ga_view *view, ga_page_id page, uint32_t unit)
{
    uint32_t end = (unit / 64 + 1) * 64;
    ga_mcache_id id = ga_holder_id(ga_load_acquire(&view->lines[page].holder));
    if (id == 0 || id >= view->counts.mcaches) /* the word may have been overwritten */
        return end;
    uint64_t tiny = ga_load_acquire(&view->mcaches[id].tiny);
    uint32_t carved = ga_tiny_end(tiny);
    return ga_tiny_page(tiny) == page && carved > unit && carved < end ? carved : end;
}

uint32_t ga_tiny_bytes(const struct ga_view *view, const struct ga_slot *slot)
{
    uint32_t end = carved_end(view, slot->page, slot->index);
    uint64_t used = ga_tiny_used(&view->tiny[slot->page].pair[slot->index / 64]);
    uint64_t behind = used >> slot->index % 64 >> 1;
    uint32_t next = behind ? slot->index + 1 + (uint32_t)__builtin_ctzll(behind) : end;
    uint32_t most = slot->index + GA_TINY_UNITS;
    end = next < end ? next : end;
    return ((most < end ? most : end) - slot->index) * GA_TINY_UNIT_BYTES;
}

bool ga_tiny_is_empty(const struct ga_view *view, ga_page_id page)
{
    const struct ga_tiny_bits *bits = &view->tiny[page];
    for (uint32_t word = 0; word < GA_TINY_WORDS; word++)
        if (ga_tiny_used(&bits->pair[word]) != 0)
            return false;
    return true;
}

uint32_t ga_tiny_count_blocks(const struct ga_view *view, ga_page_id page)
{
    uint32_t nfree = 0;
    for (uint32_t word = 0; word < GA_TINY_WORDS; word++) {
        uint64_t used = ga_tiny_used(&view->tiny[page].pair[word]);
        uint64_t begins = beginnings(free_units(used));
        for (; begins != 0; nfree++)
            begins &= ~(UINT64_C(0xff) << __builtin_ctzll(begins));
    }
    return GA_TINY_NBLOCKS - nfree;
}

uint32_t ga_tiny_count_objects(const struct ga_view *view, ga_page_id page)
{
    uint32_t nobjects = 0;
    for (uint32_t word = 0; word < GA_TINY_WORDS; word++)
        nobjects += (uint32_t)__builtin_popcountll(ga_tiny_used(&view->tiny[page].pair[word]));
    return nobjects;
}

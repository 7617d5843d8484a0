/* Tiny objects: below 16 bytes, and noscan. A tiny span is one page, counted in units of 2 bytes.
 * It has a bit in A and F for each unit, where an object may start; they lie in a plane of their
 * own, and there is no claimed word: an object is in use exactly when the bits of its first unit
 * differ. The holder allocates and frees with a plain store to A, everybody else frees in F as in
 * other spans (slot.h).
 *
 * Where an object ends is not written down. It has at most 8 units, 16 bytes, and lies within what
 * one word of A stands for; so a unit is free if none in use starts there or up to 7 units before
 * it in the word. The holder carves objects from runs of free units, which begin at a multiple of 4
 * units and have at least 8: there any tiny object fits. What it knows of the run is private and
 * may vanish at any time. Others must know only how far it has carved, for there the last object's
 * bytes end; the mcache's word `tiny` says it: bits 0..25 the span's page, 0 = none; 26..38 the
 * unit of the span up to which is carved.
 *
 * To the server a tiny span has blocks of 16 bytes for slots: as many are free as fit into the
 * runs. */
#ifndef GA_SHM_TINY_H
#define GA_SHM_TINY_H

#include <stdbool.h>

#include "shm/slot.h"

#define GA_TINY_SIZE_MAX   15u /* bytes of a tiny object */
#define GA_TINY_ALIGN_MAX  8u
#define GA_TINY_UNIT_BYTES 2u
#define GA_TINY_UNITS      8u /* the most that an object has, and the least that a run has */

#define GA_TINY_PAGE_MASK ((UINT64_C(1) << 26) - 1)
#define GA_TINY_END_SHIFT 26
#define GA_TINY_END_MASK  UINT64_C(0x1fff)

static_assert(GA_RESERVE_MAX / GA_PAGE_SIZE <= GA_TINY_PAGE_MASK, "a page fits in the word");
static_assert(GA_TINY_NUNITS <= GA_TINY_END_MASK, "the span's end fits in the word");
static_assert(GA_TINY_NUNITS == GA_TINY_WORDS * 64, "a bit a unit");
static_assert(GA_TINY_NBLOCKS * GA_TINY_UNITS == GA_TINY_NUNITS, "the blocks are the units");

static inline ga_page_id ga_tiny_page(uint64_t tiny)
{
    return (ga_page_id)(tiny & GA_TINY_PAGE_MASK);
}

/* 0..GA_TINY_NUNITS if the word is sound. */
static inline uint32_t ga_tiny_end(uint64_t tiny)
{
    return (uint32_t)(tiny >> GA_TINY_END_SHIFT & GA_TINY_END_MASK);
}

static inline uint64_t ga_tiny_word(ga_page_id page, uint32_t end)
{
    return (uint64_t)end << GA_TINY_END_SHIFT | page;
}

/* The alignment a tiny object of size bytes has at least, as in Go. */
static inline uint32_t ga_tiny_alignment(size_t size)
{
    return size == 0 ? 1 : size % 8 == 0 ? 8 : size % 4 == 0 ? 4 : size % 2 == 0 ? 2 : 1;
}

/* What an object asks for of a run. */
struct ga_tiny_shape {
    uint8_t more; /* its units but one */
    int8_t step;  /* it starts at a multiple of so many units; less than 0: -1, -2 or -4 */
};

/* By size. */
extern const struct ga_tiny_shape ga_tiny_shapes[GA_TINY_SIZE_MAX + 1]
    __attribute__((visibility("hidden")));

/* Of an object of size bytes, up to GA_TINY_SIZE_MAX, at this alignment, a power of two up to
 * GA_TINY_ALIGN_MAX, or at its size's if that is more. */
static inline struct ga_tiny_shape ga_tiny_shape(size_t size, size_t alignment)
{
    struct ga_tiny_shape shape = ga_tiny_shapes[size];
    int step = -(int)((alignment + 1) / GA_TINY_UNIT_BYTES);
    shape.step = (int8_t)(step < shape.step ? step : shape.step);
    return shape;
}

/* Where in a word of A and F objects in use start. Orders as in ga_free_bits, for the same reasons.
 */
static inline uint64_t ga_tiny_used(const struct ga_tiny_pair *pair)
{
    uint64_t f = ga_load_seq_cst(&pair->f);
    return f ^ ga_load_acquire(&pair->a);
}

/* Whether there is a run in a word of A and F, by ga_tiny_used. */
bool ga_tiny_has_room(uint64_t used);

/* What a holder carves from: a run of a word of a span that it leases. It alone allocates there, so
 * what was free stays so. Units are those of the word. All zero: nothing. */
struct ga_tiny_carver {
    struct ga_tiny_pair *pair;
    uint64_t last;   /* the last unit that is carved, modulo 2^64 */
    uint64_t limit;  /* the run's last unit */
    uint64_t origin; /* the tiny word that ends behind the word's first unit */
};

/* Where the next object of this shape would start, in units of the word. False if it does not fit
 * into the run any more. */
static inline bool ga_tiny_place(const struct ga_tiny_carver *carver,
                                 const struct ga_tiny_shape *shape, uint64_t *ret_unit)
{
    uint64_t step = (uint64_t)(int64_t)shape->step;
    uint64_t unit = (carver->last - step) & step;
    if (__builtin_expect(unit + shape->more > carver->limit, 0)) /* of nothing, unit is not 0 */
        return false;
    *ret_unit = unit;
    return true;
}

/* The object that starts there is allocated: one store, the commit. */
static inline void ga_tiny_commit(const struct ga_tiny_carver *carver, uint64_t unit)
{
    struct ga_tiny_pair *pair = carver->pair;
    ga_store_release(&pair->a, ga_load_relaxed(&pair->a) ^ UINT64_C(1) << unit % 64);
}

/* Tell how far is carved, last being the object's last unit. After the commit: who sees how far is
 * carved sees the objects up to there. tiny: that word of the holder's mcache. */
static inline void ga_tiny_tell(struct ga_tiny_carver *carver, _Atomic uint64_t *tiny,
                                uint64_t last)
{
    ga_store_release(tiny, carver->origin + (last << GA_TINY_END_SHIFT));
    carver->last = last;
}

/* All of it: allocate an object. */
static inline bool ga_tiny_carve(struct ga_tiny_carver *carver, _Atomic uint64_t *tiny,
                                 const struct ga_tiny_shape *shape, uint64_t *ret_unit)
{
    uint64_t unit;
    if (!ga_tiny_place(carver, shape, &unit))
        return false;
    ga_tiny_commit(carver, unit);
    ga_tiny_tell(carver, tiny, unit + shape->more);
    *ret_unit = unit;
    return true;
}

/* Carve from a run of the span, looked for from word from on, by the span's holder. False if there
 * is none; then the carver has nothing. Any shape fits into a new run. */
bool ga_tiny_find(struct ga_tiny_carver *carver, const struct ga_view *view, ga_page_id page,
                  uint32_t from);

/* Which of the span's words the carver has. */
static inline uint32_t ga_tiny_word_of(const struct ga_tiny_carver *carver)
{
    return ga_tiny_end(carver->origin) / 64;
}

/* The mcache carves from nothing, as must be before it returns the span that its tiny word names.
 * By the holder, or by the server for a dead one. */
static inline void ga_tiny_leave(const struct ga_view *view, ga_mcache_id mcache)
{
    ga_store_release(&view->mcaches[mcache].tiny, UINT64_C(0));
}

/* The holder frees the object that starts at unit of the word. False, and nothing is changed, if
 * none in use does; else sets where in the word objects are in use now. */
static inline bool ga_tiny_free_own(struct ga_tiny_pair *pair, uint64_t unit, uint64_t *ret_used)
{
    uint64_t bit = UINT64_C(1) << unit % 64;
    uint64_t a = ga_load_relaxed(&pair->a);
    uint64_t used = a ^ ga_load_acquire(&pair->f);
    if ((used & bit) == 0)
        return false;
    ga_store_release(&pair->a, a ^ bit); /* the commit */
    *ret_used = used ^ bit;
    return true;
}

/* The bytes from the start of an object in use to the next one, or to what is or may still be
 * carved: nobody else uses them as long as the object is in use. */
uint32_t ga_tiny_bytes(const struct ga_view *view, const struct ga_slot *slot);

/* Whether nothing of the span is in use. */
bool ga_tiny_is_empty(const struct ga_view *view, ga_page_id page);

/* How many blocks could not be carved from the span's runs; and how many objects there are. */
uint32_t ga_tiny_count_blocks(const struct ga_view *view, ga_page_id page);
uint32_t ga_tiny_count_objects(const struct ga_view *view, ga_page_id page);

#endif

/* Tiny objects: below 16 bytes, and noscan. A tiny span is one page of 16-byte blocks that are
 * carved at steps of 2 bytes, a unit. In such a span a block is in use exactly when its byte in
 * `live` is not 0: one bit for each unit an object may start at. There is no A and F.
 *
 * The mcache's word `tiny` says which block it carves from, and what it has handed out of it:
 *   bits 0..25 the span's page, 0 = none; 26..34 block; 35..42 the units handed out as starts;
 *   43..46 room, the units left at the block's end; 47..63 sequence, raised by each adoption.
 *
 * An object is in use exactly when its bit in live is set and, if the holder's tiny word names its
 * block, it is handed out there. */
#ifndef GA_SHM_TINY_H
#define GA_SHM_TINY_H

#include <stdbool.h>

#include "shm/slot.h"

#define GA_TINY_SIZE_MAX     15u /* bytes of a tiny object */
#define GA_TINY_ALIGN_MAX    8u
#define GA_TINY_UNIT_BYTES   2u
#define GA_TINY_UNITS        8u /* of a block */
#define GA_TINY_WORD_NBLOCKS 8u /* a word of live */

#define GA_TINY_PAGE_MASK    ((UINT64_C(1) << 26) - 1)
#define GA_TINY_BLOCK_SHIFT  26
#define GA_TINY_BLOCK_MASK   UINT64_C(511)
#define GA_TINY_HANDED_SHIFT 35
#define GA_TINY_ROOM_SHIFT   43
#define GA_TINY_ROOM_MASK    UINT64_C(15)
#define GA_TINY_SEQ_SHIFT    47

static_assert(GA_RESERVE_MAX / GA_PAGE_SIZE <= GA_TINY_PAGE_MASK, "a page fits in the word");
static_assert(GA_TINY_NBLOCKS == GA_TINY_BLOCK_MASK + 1, "a block fits in the word");
static_assert(GA_TINY_NBLOCKS == GA_TINY_WORDS * GA_TINY_WORD_NBLOCKS, "a byte of live a block");

static inline ga_page_id ga_tiny_page(uint64_t tiny)
{
    return (ga_page_id)(tiny & GA_TINY_PAGE_MASK);
}

static inline uint32_t ga_tiny_block(uint64_t tiny)
{
    return (uint32_t)((tiny >> GA_TINY_BLOCK_SHIFT) & GA_TINY_BLOCK_MASK);
}

static inline uint64_t ga_tiny_handed(uint64_t tiny)
{
    return (tiny >> GA_TINY_HANDED_SHIFT) & 0xff;
}

/* The units left to carve; 0 in a word that names no block. At most GA_TINY_UNITS if the word is
 * sound. */
static inline uint32_t ga_tiny_room(uint64_t tiny)
{
    return (uint32_t)((tiny >> GA_TINY_ROOM_SHIFT) & GA_TINY_ROOM_MASK);
}

/* Whether the word names this block of this span. */
static inline bool ga_tiny_is(uint64_t tiny, ga_page_id page, uint32_t block)
{
    return (tiny & ((UINT64_C(1) << GA_TINY_HANDED_SHIFT) - 1)) ==
           ((uint64_t)block << GA_TINY_BLOCK_SHIFT | page);
}

/* The alignment a tiny object of size bytes has at least, as in Go. */
static inline uint32_t ga_tiny_alignment(size_t size)
{
    return size == 0 ? 1 : size % 8 == 0 ? 8 : size % 4 == 0 ? 4 : size % 2 == 0 ? 2 : 1;
}

/* Where an object of size bytes (up to GA_TINY_SIZE_MAX, 0 counts as 1) with this alignment (a
 * power of two up to GA_TINY_ALIGN_MAX) is carved from the block that tiny names: sets the word
 * that then holds, and the unit it starts at. False if there is no room. The commit is the holder's
 * plain store of the word. */
static inline bool ga_tiny_carve(uint64_t tiny, size_t size, uint32_t alignment, uint64_t *ret_tiny,
                                 uint32_t *ret_unit)
{
    uint32_t step = alignment > GA_TINY_UNIT_BYTES ? alignment / GA_TINY_UNIT_BYTES : 1;
    uint32_t nunits = size == 0 ? 1 : (uint32_t)(size + 1) / GA_TINY_UNIT_BYTES;
    /* Alignment counts from the block's end as well as from its beginning. */
    uint32_t room = ga_tiny_room(tiny) & ~(step - 1);
    if (room < nunits || room > GA_TINY_UNITS)
        return false;
    uint32_t unit = GA_TINY_UNITS - room;
    *ret_tiny = (tiny & ~(GA_TINY_ROOM_MASK << GA_TINY_ROOM_SHIFT)) |
                (uint64_t)(room - nunits) << GA_TINY_ROOM_SHIFT |
                UINT64_C(1) << (GA_TINY_HANDED_SHIFT + unit);
    *ret_unit = unit;
    return true;
}

/* The blocks of a word of live that are free, as the lowest bits of their bytes. seq_cst as
 * ga_free_bits, for the same reasons. */
static inline uint64_t ga_tiny_free_blocks(const struct ga_view *view, ga_page_id page,
                                           uint32_t word)
{
    uint64_t used = ga_load_seq_cst(&view->tiny[page].live[word]);
    used |= used >> 4;
    used |= used >> 2;
    used |= used >> 1;
    return ~used & UINT64_C(0x0101010101010101);
}

/* The holder takes a free block of the span to carve from, if there is one, looked for from word
 * from on. The mcache's tiny word must name none. Returns false if every block is in use. */
bool ga_tiny_adopt(const struct ga_view *view, ga_mcache_id me, ga_page_id page, uint32_t from,
                   uint32_t *ret_block);

/* Leave the block that the mcache's tiny word names, if any: what was not handed out is free. By
 * the holder, or by the server for a dead one; may be broken off and done again at any point. tiny:
 * that word, read and checked by the caller. */
void ga_tiny_leave(const struct ga_view *view, ga_mcache_id mcache, uint64_t tiny);

/* As ga_slot_in_use. slot->index is the unit in the span, 0..4095. */
bool ga_tiny_in_use(const struct ga_view *view, const struct ga_slot *slot);

/* The bytes from the object's start to the next object, or to what is still to be carved: nobody
 * else uses them as long as the object is in use. */
uint32_t ga_tiny_bytes(const struct ga_view *view, const struct ga_slot *slot);

/* Free every object of a span whose holder is dead and has left its block. Nobody is told. May be
 * repeated. Returns how many there were. */
uint32_t ga_tiny_free_all(const struct ga_view *view, ga_page_id page);

/* Free an object, by anyone. Returns false, and has changed nothing, if it is not in use; else
 * whether its block is empty now: then the owner is to be told, or the holder to list the span. */
bool ga_tiny_free(const struct ga_view *view, const struct ga_slot *slot, bool *ret_emptied);

/* How many blocks are in use, an adopted one included; and how many objects. */
uint32_t ga_tiny_count_blocks(const struct ga_view *view, ga_page_id page);
uint32_t ga_tiny_count_objects(const struct ga_view *view, ga_page_id page);

#endif

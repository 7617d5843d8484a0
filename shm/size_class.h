/* Size classes: from the size of a request to its class, and from an offset in a span to its slot.
 * Everything is inline and reads constant tables, for it is on the path of every malloc and free.
 * The classes are Go's; class 0 stands for large spans, which these functions never return for a
 * size they accept. All functions are pure and thread-safe. */
#ifndef GA_SHM_SIZE_CLASS_H
#define GA_SHM_SIZE_CLASS_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm-generated/size_class_tables.h"
#include "shm/layout.h"

#define GA_FINE_SIZE_MAX 1024u /* the fine tables serve up to 7 bytes below it */

/* Entries of the fine tables that serve: for so many times 8 bytes, rounded up. */
#define GA_FINE_SIZES (GA_FINE_SIZE_MAX / 8)

static_assert(GA_SPAN_CLASS_COUNT == 2 * GA_SIZE_CLASS_COUNT, "scan and noscan of each");

/* Rounding up to the next entry makes 1,017 to 1,024 bytes entry 0 of the coarse table. */
static inline uint32_t ga_size_class_lookup(const uint8_t *fine, size_t size)
{
    if (size <= GA_FINE_SIZE_MAX - 8)
        return fine[(size + 7) >> 3];
    return ga_size_class_coarse[(size + 127 - GA_FINE_SIZE_MAX) >> 7];
}

/* The smallest class for size bytes, 1..GA_SMALL_MAX; 0 for 0 bytes, as in Go. Slots are aligned
 * to 8 bytes, and the 24-byte class to no more. */
static inline uint32_t ga_size_class_of(size_t size)
{
    return ga_size_class_lookup(ga_size_class_fine, size);
}

/* The class malloc uses for size bytes, 0..GA_SMALL_MAX; 0 counts as 1. Slots are aligned to 16
 * bytes from 16 bytes on, so 17..24 bytes go to the 32-byte class. */
static inline uint32_t ga_size_class_for_malloc(size_t size)
{
    return ga_size_class_lookup(ga_size_class_fine_malloc, size);
}

/* The smallest class whose slots hold size bytes (0 counts as 1) and are aligned to alignment, a
 * power of two; 0 where there is none, that is for more than GA_SMALL_MAX bytes, or alignment of
 * more than a page. */
static inline uint32_t ga_size_class_aligned(size_t size, size_t alignment)
{
    if (size > GA_SMALL_MAX)
        return 0;
    uint32_t id = ga_size_class_of(size == 0 ? 1 : size);
    while (id < GA_SIZE_CLASS_COUNT && ga_size_classes[id].align < alignment)
        id++;
    return id < GA_SIZE_CLASS_COUNT ? id : 0;
}

/* The slot that lies at offset bytes, 0..the span's bytes, into a span of class c (not class 0).
 * In the rest behind the last slot the result is c->nslots or more. */
static inline uint32_t ga_slot_index(const struct ga_size_class *c, uint32_t offset)
{
    return (uint32_t)((uint64_t)offset * c->magic >> 32);
}

/* Whether slot index, as ga_slot_index gave it for offset, is a slot of the span and begins at
 * offset. */
static inline bool ga_slot_is_start(const struct ga_size_class *c, uint32_t offset, uint32_t index)
{
    return index < c->nslots && index * c->size == offset;
}

/* How many words of 64 slots the bitmaps of a span have. */
static inline uint32_t ga_size_class_nwords(const struct ga_size_class *c)
{
    return (c->nslots + 63) / 64;
}

#endif

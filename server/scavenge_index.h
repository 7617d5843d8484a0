/* Where to look for pages to give back: for each chunk of the heap how many of its pages are in
 * use, and two cursors that go down from its highest address. In the background a chunk is left
 * alone that is nearly full, or was a generation ago: its few free pages are about to be used.
 * Whoever needs memory now looks everywhere. As in Go's runtime (mgcscavenge.go), where others
 * change the index meanwhile; here one thread does. Pages are of the page allocator, which tells
 * of each change. */
#ifndef GA_SERVER_SCAVENGE_INDEX_H
#define GA_SERVER_SCAVENGE_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#define GA_DENSE_NPAGES 496u /* of the 512 of a chunk */

struct ga_scavenge_chunk {
    uint32_t generation; /* of the last change */
    uint16_t inuse;      /* pages */
    uint16_t was_inuse;  /* when that generation began */
    bool may_have;       /* pages to give back; if not, it certainly has none */
};

enum ga_scavenge_cursor {
    GA_SCAVENGE_BACKGROUND = 0,
    GA_SCAVENGE_FORCED = 1,
    GA_SCAVENGE_CURSORS = 2,
};

struct ga_scavenge_index {
    struct ga_scavenge_chunk *chunks;
    uint32_t generation;
    uint64_t end[GA_SCAVENGE_CURSORS]; /* nothing is to be found from this page on */
    uint64_t freed_end;                /* behind the highest page freed in this generation; or 0 */
};

/* For nchunks, none of them in use. 0 or -ENOMEM. */
int ga_scavenge_index_init(struct ga_scavenge_index *index, uint64_t nchunks);
/* For so many more, to longer. 0; or -ENOMEM, and nothing has changed. */
int ga_scavenge_index_lengthen(struct ga_scavenge_index *index, uint64_t nchunks, uint64_t longer);
void ga_scavenge_index_fini(struct ga_scavenge_index *index);

/* The n pages from page on, all in one chunk, are in use now; are not; were added, free. */
void ga_scavenge_index_alloc(struct ga_scavenge_index *index, uint64_t page, unsigned n);
void ga_scavenge_index_free(struct ga_scavenge_index *index, uint64_t page, unsigned n);
void ga_scavenge_index_grow(struct ga_scavenge_index *index, uint64_t page, unsigned n);

/* A new generation: the background looks once more at all below what was freed in the old one. */
void ga_scavenge_index_next_generation(struct ga_scavenge_index *index);

/* The highest chunk that the cursor has not left behind, and that may have something; in it, look
 * from *ret_page down. False if there is none. */
bool ga_scavenge_index_find(struct ga_scavenge_index *index, enum ga_scavenge_cursor cursor,
                            uint64_t *ret_chunk, unsigned *ret_page);
/* The chunk has nothing to give back, until pages of it are freed; or nothing for this cursor. */
void ga_scavenge_index_set_empty(struct ga_scavenge_index *index, uint64_t chunk);
void ga_scavenge_index_pass(struct ga_scavenge_index *index, enum ga_scavenge_cursor cursor,
                            uint64_t chunk);

#endif

#include "server/scavenge_index.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/chunk_bits.h"

int ga_scavenge_index_init(struct ga_scavenge_index *index, uint64_t nchunks)
{
    *index = (struct ga_scavenge_index){.chunks = calloc(nchunks, sizeof(*index->chunks))};
    return index->chunks ? 0 : -ENOMEM;
}

int ga_scavenge_index_lengthen(struct ga_scavenge_index *index, uint64_t nchunks, uint64_t longer)
{
    struct ga_scavenge_chunk *chunks = calloc(longer, sizeof(*chunks));
    if (!chunks)
        return -ENOMEM;
    memcpy(chunks, index->chunks, nchunks * sizeof(*chunks));
    free(index->chunks);
    index->chunks = chunks;
    return 0;
}

void ga_scavenge_index_fini(struct ga_scavenge_index *index)
{
    free(index->chunks);
    index->chunks = NULL;
}

/* The chunk of page, whose use is about to change. */
static struct ga_scavenge_chunk *touch(struct ga_scavenge_index *index, uint64_t page)
{
    struct ga_scavenge_chunk *chunk = &index->chunks[page / GA_CHUNK_NPAGES];
    if (chunk->generation != index->generation) {
        chunk->was_inuse = chunk->inuse;
        chunk->generation = index->generation;
    }
    return chunk;
}

void ga_scavenge_index_alloc(struct ga_scavenge_index *index, uint64_t page, unsigned n)
{
    struct ga_scavenge_chunk *chunk = touch(index, page);
    assert(chunk->inuse + n <= GA_CHUNK_NPAGES);
    chunk->inuse = (uint16_t)(chunk->inuse + n);
}

static void note_free(struct ga_scavenge_index *index, struct ga_scavenge_chunk *chunk,
                      uint64_t end)
{
    chunk->may_have = true;
    if (index->freed_end < end)
        index->freed_end = end;
    if (index->end[GA_SCAVENGE_FORCED] < end)
        index->end[GA_SCAVENGE_FORCED] = end;
}

void ga_scavenge_index_free(struct ga_scavenge_index *index, uint64_t page, unsigned n)
{
    struct ga_scavenge_chunk *chunk = touch(index, page);
    assert(chunk->inuse >= n);
    chunk->inuse = (uint16_t)(chunk->inuse - n);
    note_free(index, chunk, page + n);
}

void ga_scavenge_index_grow(struct ga_scavenge_index *index, uint64_t page, unsigned n)
{
    note_free(index, touch(index, page), page + n);
}

void ga_scavenge_index_next_generation(struct ga_scavenge_index *index)
{
    index->generation++;
    if (index->end[GA_SCAVENGE_BACKGROUND] < index->freed_end)
        index->end[GA_SCAVENGE_BACKGROUND] = index->freed_end;
    index->freed_end = 0;
}

static bool is_wanted(const struct ga_scavenge_index *index, const struct ga_scavenge_chunk *chunk,
                      enum ga_scavenge_cursor cursor)
{
    if (!chunk->may_have || cursor == GA_SCAVENGE_FORCED)
        return chunk->may_have;
    /* A chunk that has not changed in this generation was as full in the one before. */
    bool changed = chunk->generation == index->generation;
    return chunk->inuse < GA_DENSE_NPAGES && (!changed || chunk->was_inuse < GA_DENSE_NPAGES);
}

bool ga_scavenge_index_find(struct ga_scavenge_index *index, enum ga_scavenge_cursor cursor,
                            uint64_t *ret_chunk, unsigned *ret_page)
{
    uint64_t *end = &index->end[cursor];
    while (*end > 0) {
        uint64_t chunk = (*end - 1) / GA_CHUNK_NPAGES;
        if (is_wanted(index, &index->chunks[chunk], cursor)) {
            *ret_chunk = chunk;
            *ret_page = (unsigned)((*end - 1) % GA_CHUNK_NPAGES);
            return true;
        }
        *end = chunk * GA_CHUNK_NPAGES;
    }
    return false;
}

void ga_scavenge_index_set_empty(struct ga_scavenge_index *index, uint64_t chunk)
{
    index->chunks[chunk].may_have = false;
}

void ga_scavenge_index_pass(struct ga_scavenge_index *index, enum ga_scavenge_cursor cursor,
                            uint64_t chunk)
{
    if (index->end[cursor] > chunk * GA_CHUNK_NPAGES)
        index->end[cursor] = chunk * GA_CHUNK_NPAGES;
}

/* What the files of the marker share (mark.h): mark.c enters spans and roots, mark_work.c marks,
 * and mark_pool.c is where threads that mark give each other of what they have. */
#ifndef GA_SERVER_MARK_INTERNAL_H
#define GA_SERVER_MARK_INTERNAL_H

#include "server/mark.h"
#include "shm/slot.h"

/* What is read of a large object at once; the rest may be another thread's. As in Go. */
#define GA_MARK_OBLET_BYTES (UINT64_C(128) << 10)

#define GA_MARK_CHUNK_ROOM 1021u
#define GA_MARK_LINE_BYTES 64u

/* What is known of a page. */
struct ga_mark_page {
    _Atomic uint64_t *words; /* of the span: in use and not reached. NULL = nothing to be found */
    uint32_t first;          /* the span's first page */
    uint8_t size_class;
    bool noscan;
    bool is_special; /* tiny, or large */
    uint8_t reserved;
    _Atomic uint64_t own[GA_LINE_WORDS]; /* of a first page: words, where these are enough. Of a
                                            large span the second is its length in pages */
};
static_assert(sizeof(struct ga_mark_page) == 32, "half a cache line");

struct ga_mark_chunk {
    struct ga_mark_chunk *next;
    struct ga_mark_chunk *next_made;
    uint32_t count;
    uint64_t entries[GA_MARK_CHUNK_ROOM];
};

/* What is read whole as a root: the slots of a span, or a part of a large object. */
struct ga_mark_root_span {
    ga_page_id page;
    uint16_t npages;
    uint8_t size_class;
};

/* A part of a span that is read once more: where it begins and ends, from the heap's base. */
struct ga_mark_written {
    uint64_t from;
    uint64_t to;
    ga_page_id first; /* of the span */
    ga_span_class span_class;
    bool by_marks;
};

struct ga_mark {
    const struct ga_view *view;
    const char *memory;
    uint64_t base;
    uint64_t bytes;
    struct ga_mark_page *pages;
    struct ga_mark_block *blocks;
    struct ga_mark_root_span *root_spans;
    uint64_t nroot_spans;
    uint64_t root_spans_room;
    uint64_t *roots;
    uint64_t nroots;
    uint64_t roots_room;
    struct ga_mark_written *written;
    uint64_t nwritten;
    uint64_t written_room;

    /* Shared by the threads at work. */
    _Atomic uint64_t next_root_span; /* the first that nobody has taken */
    _Atomic uint64_t next_root;
    _Atomic uint64_t next_written;
    _Atomic uint32_t nworking; /* threads that have something, or look for it */
    _Atomic uint32_t nidle;
    _Atomic uint32_t is_cancelled;
    atomic_flag lock;             /* of the next three */
    struct ga_mark_chunk *full;   /* that hold something */
    struct ga_mark_chunk *empty;  /* that hold nothing */
    struct ga_mark_chunk *chunks; /* all that were made */
    _Atomic uint32_t nfull;
};

static inline uint64_t ga_mark_used_slots(const struct ga_view *view, ga_page_id page,
                                          uint32_t word, uint32_t nslots)
{
    return ga_valid_mask(nslots, word) & ~ga_free_bits(view, page, word, nslots);
}

static inline bool ga_mark_is_cancelled(const struct ga_mark *mark)
{
    return ga_load_relaxed(&mark->is_cancelled) != 0;
}

/* ---- the pool (mark_pool.c): chunks of what is to be read, by any thread ---- */

/* A chunk that holds something; NULL if there is none. */
struct ga_mark_chunk *ga_mark_take_full(struct ga_mark *mark);
/* An empty chunk. NULL, and the marking is over, if there is no memory. */
struct ga_mark_chunk *ga_mark_take_empty(struct ga_mark *mark);
void ga_mark_put(struct ga_mark *mark, struct ga_mark_chunk *chunk);

#endif

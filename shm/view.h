/* Where the tables of a heap lie: the sizes and offsets that follow from the reserve, and a view of
 * a heap as this process has it mapped. */
#ifndef GA_SHM_VIEW_H
#define GA_SHM_VIEW_H

#include "shm/atomic.h"
#include "shm/layout.h"

/* As many of all as the layout allows: of a heap that a server keeps. */
struct ga_table_counts ga_table_counts_of_server(void);
/* Of a heap of reserve_bytes that one process has for itself: one client, a mcache for each 64 KiB,
 * but 1,024 at least, and nothing that is between processes. */
struct ga_table_counts ga_table_counts_of_process(uint64_t reserve_bytes);

/* Fill in the geometry of a heap of reserve_bytes (a multiple of the arena size) with so many
 * entries in its tables: these, all offsets, and the sizes of the objects. */
void ga_geometry_init(struct ga_meta_header *header, uint64_t reserve_bytes,
                      const struct ga_table_counts *counts);

/* Where in meta's memory bits begin, if it is the heap of one process. */
uint64_t ga_geometry_bits_in_meta(const struct ga_meta_header *header);

/* Where in bits the wide plane of the pages before end begins, which ends with that of page 0. */
static inline uint64_t ga_geometry_wide(const struct ga_meta_header *header, uint64_t end)
{
    return header->bits_wide_offset +
           (header->reserve_bytes / GA_PAGE_SIZE - end) * sizeof(struct ga_span_wide);
}

/* Where in bits the pending words of the pages before end begin, which end with that of page 0. */
static inline uint64_t ga_geometry_pending(const struct ga_meta_header *header, uint64_t end)
{
    return header->bits_pending_offset +
           (header->reserve_bytes / GA_PAGE_SIZE / 64 - (end + 63) / 64) * 8;
}

/* Check the header of a heap that somebody else has made: magic, layout version, geometry. Returns
 * 0, or -EPROTO with ret_why, a clause that says what is wrong. */
int ga_geometry_check(const struct ga_meta_header *header, char *ret_why, size_t why_bytes);

/* The tables of one heap. What clients map read-only is const. */
struct ga_view {
    const struct ga_meta_header *meta;
    struct ga_table_counts counts; /* as the header said when it was looked at */
    const struct ga_arena_entry *arenas;
    const struct ga_client_entry *clients;
    const struct ga_mcache_entry *mcache_entries;
    const struct ga_ring *rings; /* by mcache id; where the heap has any */
    const struct ga_root_entry *roots;
    const struct ga_hold *holds;
    const struct ga_profile_entry *profile_entries; /* by client */
    const ga_page_word *page_table;
    struct ga_mcache *mcaches;
    _Atomic uint64_t *pending_end; /* one bit a page: freed slots, and nobody leases the span. The
                                      words lie backwards: page 0's is the last before this.
                                      Writers: who frees sets, the server clears */
    struct ga_handles *handles;    /* by client; where the heap has any */
    _Atomic uint64_t *gc_words;    /* by client: gc_word.h */
    struct ga_profile *profiles;   /* by client: profile.h */
    struct ga_span_line *lines;
    struct ga_span_wide *wide_end; /* which lies backwards: page 0 is the last before this */
    struct ga_tiny_bits *tiny;     /* by page, of tiny spans */
    _Atomic uint64_t *samples; /* sets of sample_words words, one for GA_SAMPLE_SET_NPAGES pages */
    uint32_t sample_words;
};

/* The view of a heap whose meta and bits objects lie at these addresses. */
struct ga_view ga_view_of(const void *meta, void *bits);

/* The pending bits of the pages from 64 * word on. */
static inline _Atomic uint64_t *ga_view_pending(const struct ga_view *view, uint64_t word)
{
    return view->pending_end - 1 - word;
}

/* The page's part of the wide plane. */
static inline struct ga_span_wide *ga_view_wide(const struct ga_view *view, ga_page_id page)
{
    return view->wide_end - 1 - page;
}

static inline _Atomic uint64_t *ga_view_a(const struct ga_view *view, ga_page_id page,
                                          uint32_t word)
{
    return word < GA_LINE_WORDS
               ? &view->lines[page].a[word]
               : &ga_view_wide(view, page)->part[word / GA_LINE_WORDS - 1].a[word % GA_LINE_WORDS];
}

/* The word of F that belongs to a word of A. */
static inline _Atomic uint64_t *ga_view_f_of(_Atomic uint64_t *a)
{
    return a + GA_LINE_WORDS;
}

static inline _Atomic uint64_t *ga_view_f(const struct ga_view *view, ga_page_id page,
                                          uint32_t word)
{
    return ga_view_f_of(ga_view_a(view, page, word));
}

/* The page's entry, as of its last commit: pairs with the server's release stores. */
static inline uint64_t ga_view_entry(const struct ga_view *view, uint64_t page)
{
    return ga_load_acquire(&view->page_table[page]);
}

/* How many of the client's handles are in use, or were a moment ago. */
static inline uint32_t ga_view_count_handles(const struct ga_view *view, uint32_t client)
{
    uint32_t count = 0;
    for (uint32_t i = 0; client < view->counts.handles && i < GA_HANDLE_COUNT; i++)
        count += ga_load_relaxed(&view->handles[client].object[i]) != 0;
    return count;
}

#endif

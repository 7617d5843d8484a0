/* The page allocator: which pages of the heap are free.
 *
 * Structure. A chunk is 512 pages and has three bitmaps. Above the chunks stand five levels of
 * summaries (page_summary.h), each entry for eight of the level below, so that a leaf's stands for
 * one chunk (4 MiB) and a root's for 2^21 pages (16 GiB):
 *
 *   level          0        1        2        3        4
 *   pages an entry 2^21     2^18     2^15     2^12     2^9
 *
 * All tables are flat and sized for the largest page number; that may become larger, and the tables
 * are moved. They are zero to begin with, and zero says "nothing here": no page added, none free.
 * So a part of the heap that was never added needs no initialization, and memory only where the
 * heap grew: calloc takes a large table as fresh zero pages from the kernel, which backs them when
 * they are first written.
 *
 * Policy. Address-ordered first fit, which keeps the heap dense at its bottom and leaves whole runs
 * free at its top. `search` is a page below which nothing is free; most requests end in the chunk
 * of that page. The others walk down from the root, at each level over at most eight entries.
 *
 * After a change the leaves of the changed pages are summarized anew, then the entries above them,
 * up to the level at which nothing changes any more.
 *
 * Invariants: scavenged is in free, free is in added; each entry is the merge of its children and
 * each leaf the summary of its chunk's free bitmap; nothing below `search` is free; nfree is the
 * number of free bits, nscavenged that of scavenged ones; the index counts the pages that are
 * neither free nor being released. ga_page_alloc_audit recounts them. */
#include "server/page_alloc.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/chunk_bits.h"
#include "server/page_summary.h"

#define LEVELS         5u
#define LEAF           (LEVELS - 1)
#define NPAGES_MAX_MAX (UINT64_C(1) << 35)

/* log2 of the pages an entry of each level stands for. */
static const unsigned level_shift[LEVELS] = {21, 18, 15, 12, 9};
static_assert(GA_PAGE_SUMMARY_MAX_NPAGES == UINT64_C(1) << 21, "a root's count fits");
static_assert(GA_CHUNK_NPAGES == 1u << 9, "a leaf's entry is a chunk's");
static_assert(GA_PAGE_SUMMARY_FANOUT == 1u << 3, "levels are three bits apart");

struct chunk {
    struct ga_chunk_bits free;
    struct ga_chunk_bits scavenged;
    struct ga_chunk_bits added; /* tells pages in use from pages that never were */
};

struct ga_page_alloc {
    uint64_t npages_max;
    uint64_t end;    /* no page from here on was added */
    uint64_t search; /* no page below is free */
    uint64_t nfree;
    uint64_t nscavenged;
    uint64_t nroots;
    uint64_t nchunks;
    ga_page_summary *level[LEVELS];
    struct chunk *chunks;
    struct ga_scavenge_index index;
};

/* A part of a range of pages that lies in one chunk. */
struct piece {
    uint64_t chunk;
    unsigned first; /* in the chunk */
    unsigned n;
};

static struct chunk *chunk_at(const struct ga_page_alloc *p, uint64_t i)
{
    return &p->chunks[i];
}

/* The piece that a range has in the chunk of its first page. */
static struct piece first_piece(uint64_t page, uint64_t npages)
{
    struct piece piece = {.chunk = page / GA_CHUNK_NPAGES,
                          .first = (unsigned)(page % GA_CHUNK_NPAGES)};
    unsigned room = GA_CHUNK_NPAGES - piece.first;
    piece.n = npages < room ? (unsigned)npages : room;
    return piece;
}

static void check_range(const struct ga_page_alloc *p, uint64_t page, uint64_t npages)
{
    assert(npages >= 1 && page < p->npages_max && npages <= p->npages_max - page);
}

/* Entries of a level over so many pages: whole blocks of eight children, so that a merge never
 * looks past the end. */
static uint64_t level_count(unsigned level, uint64_t npages)
{
    uint64_t n = ((npages - 1) >> level_shift[level]) + 1;
    uint64_t block = level == 0 ? 1 : GA_PAGE_SUMMARY_FANOUT;
    return (n + block - 1) / block * block;
}

static void free_tables(struct ga_page_alloc *p)
{
    for (unsigned l = 0; l < LEVELS; l++)
        free(p->level[l]);
    free(p->chunks);
}

/* But for the index. */
static int make_tables(struct ga_page_alloc *p, uint64_t npages_max)
{
    assert(npages_max >= 1 && npages_max <= NPAGES_MAX_MAX);
    p->npages_max = npages_max;
    p->nroots = level_count(0, npages_max);
    p->nchunks = (npages_max + GA_CHUNK_NPAGES - 1) / GA_CHUNK_NPAGES;
    for (unsigned l = 0; l < LEVELS; l++) {
        p->level[l] = calloc(level_count(l, npages_max), sizeof(*p->level[l]));
        if (!p->level[l])
            return -ENOMEM;
    }
    p->chunks = calloc(p->nchunks, sizeof(*p->chunks));
    return p->chunks ? 0 : -ENOMEM;
}

int ga_page_alloc_new(uint64_t npages_max, struct ga_page_alloc **ret)
{
    struct ga_page_alloc *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->search = npages_max;
    int r = make_tables(p, npages_max);
    if (r == 0)
        r = ga_scavenge_index_init(&p->index, p->nchunks);
    if (r < 0) {
        ga_page_alloc_free_all(p);
        return r;
    }
    *ret = p;
    return 0;
}

void ga_page_alloc_free_all(struct ga_page_alloc *p)
{
    if (!p)
        return;
    free_tables(p);
    ga_scavenge_index_fini(&p->index);
    free(p);
}

static void copy_tables(struct ga_page_alloc *to, const struct ga_page_alloc *from)
{
    for (unsigned l = 0; l < LEVELS; l++)
        memcpy(to->level[l], from->level[l],
               level_count(l, from->npages_max) * sizeof(*to->level[l]));
    memcpy(to->chunks, from->chunks, from->nchunks * sizeof(*to->chunks));
}

int ga_page_alloc_lengthen(struct ga_page_alloc *p, uint64_t npages_max)
{
    struct ga_page_alloc longer = *p;
    if (npages_max <= p->npages_max)
        return 0;
    memset(longer.level, 0, sizeof(longer.level));
    longer.chunks = NULL;
    int r = make_tables(&longer, npages_max);
    if (r == 0)
        r = ga_scavenge_index_lengthen(&longer.index, p->nchunks, longer.nchunks);
    if (r < 0) {
        free_tables(&longer);
        return r;
    }
    copy_tables(&longer, p);
    free_tables(p);
    *p = longer;
    return 0;
}

/* Bring the summaries up to date after all of these pages became free, or none of them: inner is
 * the summary of a chunk that lies wholly within them. */
static void update(struct ga_page_alloc *p, uint64_t page, uint64_t npages, ga_page_summary inner)
{
    uint64_t last_page = page + npages - 1;
    uint64_t first = page >> level_shift[LEAF];
    uint64_t last = last_page >> level_shift[LEAF];
    bool changed = false;
    for (uint64_t i = first; i <= last; i++) {
        ga_page_summary sum =
            i > first && i < last ? inner : ga_chunk_bits_summarize(&chunk_at(p, i)->free);
        changed |= p->level[LEAF][i] != sum;
        p->level[LEAF][i] = sum;
    }
    for (unsigned l = LEAF; changed && l-- > 0;) {
        changed = false;
        first = page >> level_shift[l];
        last = last_page >> level_shift[l];
        for (uint64_t i = first; i <= last; i++) {
            ga_page_summary sum = ga_page_summary_merge(
                &p->level[l + 1][i * GA_PAGE_SUMMARY_FANOUT], UINT64_C(1) << level_shift[l + 1]);
            changed |= p->level[l][i] != sum;
            p->level[l][i] = sum;
        }
    }
}

void ga_page_alloc_grow(struct ga_page_alloc *p, uint64_t page, uint64_t npages)
{
    check_range(p, page, npages);
    struct piece piece;
    for (uint64_t done = 0; done < npages; done += piece.n) {
        piece = first_piece(page + done, npages - done);
        struct chunk *chunk = chunk_at(p, piece.chunk);
        assert(ga_chunk_bits_count(&chunk->added, piece.first, piece.n) == 0);
        ga_chunk_bits_set(&chunk->added, piece.first, piece.n);
        ga_chunk_bits_set(&chunk->free, piece.first, piece.n);
        ga_scavenge_index_grow(&p->index, page + done, piece.n);
    }
    p->nfree += npages;
    if (p->end < page + npages)
        p->end = page + npages;
    if (p->search > page)
        p->search = page;
    update(p, page, npages, ga_page_summary_all_free(GA_CHUNK_NPAGES));
}

enum scan_outcome {
    SCAN_NOTHING, /* no run of this length in these entries */
    SCAN_RUN,     /* the run begins at *ret_page */
    SCAN_INSIDE,  /* the run is inside *ret_entry */
};

/* Find the lowest run of npages that entries [entry, limit) of a level tell of. Between entries a
 * run is known to the page, inside an entry only to be there. */
static enum scan_outcome scan_entries(const struct ga_page_alloc *p, unsigned level,
                                      uint64_t npages, uint64_t entry, uint64_t limit,
                                      uint64_t *ret_page, uint64_t *ret_entry)
{
    uint64_t entry_npages = UINT64_C(1) << level_shift[level];
    uint64_t run = 0; /* free pages that end where the entry begins; fewer than npages */
    for (; entry < limit; entry++) {
        ga_page_summary sum = p->level[level][entry];
        uint64_t start = ga_page_summary_start(sum);
        if (run + start >= npages) {
            *ret_page = entry * entry_npages - run;
            return SCAN_RUN;
        }
        if (ga_page_summary_max(sum) >= npages) {
            *ret_entry = entry;
            return SCAN_INSIDE;
        }
        run = start == entry_npages ? run + start : ga_page_summary_end(sum);
    }
    return SCAN_NOTHING;
}

/* Find the lowest run of npages from the root down. Returns 0 or -ENOMEM. */
static int find_from_root(const struct ga_page_alloc *p, uint64_t npages, uint64_t *ret_page)
{
    uint64_t block = 0; /* first entry to look at */
    uint64_t limit = p->nroots;
    uint64_t entry = 0;
    for (unsigned l = 0; l < LEVELS; l++) {
        /* The block holds free pages, so `search` is not behind it. */
        uint64_t lowest = p->search >> level_shift[l];
        enum scan_outcome outcome =
            scan_entries(p, l, npages, block > lowest ? block : lowest, limit, ret_page, &entry);
        if (outcome == SCAN_RUN)
            return 0;
        if (outcome == SCAN_NOTHING) {
            assert(l == 0); /* else a summary promised what its children do not hold */
            return -ENOMEM;
        }
        block = entry * GA_PAGE_SUMMARY_FANOUT;
        limit = block + GA_PAGE_SUMMARY_FANOUT;
    }
    unsigned i = ga_chunk_bits_find(&chunk_at(p, entry)->free, (unsigned)npages, 0);
    assert(i < GA_CHUNK_NPAGES);
    *ret_page = entry * GA_CHUNK_NPAGES + i;
    return 0;
}

/* Find the lowest run of npages, where at least one page is free. Returns 0 or -ENOMEM. */
static int find(const struct ga_page_alloc *p, uint64_t npages, uint64_t *ret_page)
{
    /* The fast path. A run that lies in the chunk of `search` is the lowest there is: none can come
     * into the chunk from below. That some page is free keeps `search` inside the tables. */
    uint64_t chunk = p->search / GA_CHUNK_NPAGES;
    unsigned from = (unsigned)(p->search % GA_CHUNK_NPAGES);
    if (ga_page_summary_max(p->level[LEAF][chunk]) < npages)
        return find_from_root(p, npages, ret_page);
    unsigned i = ga_chunk_bits_find(&chunk_at(p, chunk)->free, (unsigned)npages, from);
    assert(i < GA_CHUNK_NPAGES);
    *ret_page = chunk * GA_CHUNK_NPAGES + i;
    return 0;
}

/* Raise `search` as far as is known once the run at page, the lowest of its length and still free,
 * will have been taken. */
static void raise_search(struct ga_page_alloc *p, uint64_t page, uint64_t npages)
{
    uint64_t lowest = page;
    if (npages > 1) {
        int r = find(p, 1, &lowest);
        assert(r == 0);
    }
    p->search = lowest == page ? page + npages : lowest;
}

/* Mark pages, all of them free, as in use, but for the index. Returns how many were scavenged. */
static uint64_t clear_free(struct ga_page_alloc *p, uint64_t page, uint64_t npages)
{
    uint64_t scavenged = 0;
    struct piece piece;
    for (uint64_t done = 0; done < npages; done += piece.n) {
        piece = first_piece(page + done, npages - done);
        struct chunk *chunk = chunk_at(p, piece.chunk);
        assert(ga_chunk_bits_count(&chunk->free, piece.first, piece.n) == piece.n);
        scavenged += ga_chunk_bits_count(&chunk->scavenged, piece.first, piece.n);
        ga_chunk_bits_clear(&chunk->free, piece.first, piece.n);
        ga_chunk_bits_clear(&chunk->scavenged, piece.first, piece.n);
    }
    p->nfree -= npages;
    p->nscavenged -= scavenged;
    update(p, page, npages, 0);
    return scavenged;
}

uint64_t ga_page_alloc_take(struct ga_page_alloc *p, uint64_t page, uint64_t npages)
{
    check_range(p, page, npages);
    struct piece piece;
    for (uint64_t done = 0; done < npages; done += piece.n) {
        piece = first_piece(page + done, npages - done);
        ga_scavenge_index_alloc(&p->index, page + done, piece.n);
    }
    if (p->search >= page && p->search - page < npages)
        p->search = page + npages;
    return clear_free(p, page, npages);
}

int ga_page_alloc_find(const struct ga_page_alloc *p, uint64_t npages, uint64_t *ret_page)
{
    assert(npages >= 1);
    return npages > p->nfree ? -ENOMEM : find(p, npages, ret_page);
}

int ga_page_alloc_alloc(struct ga_page_alloc *p, uint64_t npages, uint64_t *ret_page,
                        uint64_t *ret_scavenged)
{
    uint64_t page = 0;
    int r = ga_page_alloc_find(p, npages, &page);
    if (r < 0)
        return r;
    raise_search(p, page, npages);
    *ret_scavenged = ga_page_alloc_take(p, page, npages);
    *ret_page = page;
    return 0;
}

/* Mark pages, none of them free, as free, but for the index. */
static void set_free(struct ga_page_alloc *p, uint64_t page, uint64_t npages)
{
    struct piece piece;
    for (uint64_t done = 0; done < npages; done += piece.n) {
        piece = first_piece(page + done, npages - done);
        struct chunk *chunk = chunk_at(p, piece.chunk);
        assert(ga_chunk_bits_count(&chunk->added, piece.first, piece.n) == piece.n);
        assert(ga_chunk_bits_count(&chunk->free, piece.first, piece.n) == 0);
        ga_chunk_bits_set(&chunk->free, piece.first, piece.n);
    }
    p->nfree += npages;
    if (p->search > page)
        p->search = page;
    update(p, page, npages, ga_page_summary_all_free(GA_CHUNK_NPAGES));
}

static void note_freed(struct ga_page_alloc *p, uint64_t page, uint64_t npages)
{
    struct piece piece;
    for (uint64_t done = 0; done < npages; done += piece.n) {
        piece = first_piece(page + done, npages - done);
        ga_scavenge_index_free(&p->index, page + done, piece.n);
    }
}

void ga_page_alloc_free(struct ga_page_alloc *p, uint64_t page, uint64_t npages)
{
    check_range(p, page, npages);
    set_free(p, page, npages);
    note_freed(p, page, npages);
}

void ga_page_alloc_set_scavenged(struct ga_page_alloc *p, uint64_t page, uint64_t npages)
{
    check_range(p, page, npages);
    struct piece piece;
    for (uint64_t done = 0; done < npages; done += piece.n) {
        piece = first_piece(page + done, npages - done);
        struct chunk *chunk = chunk_at(p, piece.chunk);
        assert(ga_chunk_bits_count(&chunk->free, piece.first, piece.n) == piece.n);
        p->nscavenged += piece.n - ga_chunk_bits_count(&chunk->scavenged, piece.first, piece.n);
        ga_chunk_bits_set(&chunk->scavenged, piece.first, piece.n);
    }
}

/* The candidate in a chunk. */
static unsigned candidate(const struct ga_page_alloc *p, uint64_t chunk, unsigned from,
                          const struct ga_release_grain *grain, uint64_t max_npages,
                          unsigned *ret_first)
{
    if (ga_page_summary_max(p->level[LEAF][chunk]) < grain->min_npages)
        return 0;
    const struct chunk *c = chunk_at(p, chunk);
    return ga_scavenge_candidate(&c->free, &c->scavenged, from, grain, max_npages, ret_first);
}

uint64_t ga_page_alloc_begin_release(struct ga_page_alloc *p, enum ga_scavenge_cursor cursor,
                                     const struct ga_release_grain *grain, uint64_t max_npages,
                                     uint64_t *ret_page)
{
    uint64_t chunk;
    unsigned from;
    while (ga_scavenge_index_find(&p->index, cursor, &chunk, &from)) {
        unsigned first;
        unsigned n = candidate(p, chunk, from, grain, max_npages, &first);
        if (n > 0) {
            /* To the index they stay free: that they are is not to make the chunk look used. */
            *ret_page = chunk * GA_CHUNK_NPAGES + first;
            clear_free(p, *ret_page, n);
            return n;
        }
        ga_scavenge_index_pass(&p->index, cursor, chunk);
        if (grain->min_npages == 1 && from == GA_CHUNK_NPAGES - 1)
            ga_scavenge_index_set_empty(&p->index, chunk);
    }
    return 0;
}

void ga_page_alloc_end_release(struct ga_page_alloc *p, uint64_t page, uint64_t npages,
                               bool scavenged)
{
    check_range(p, page, npages);
    /* What could not be released is not tried again until something near it is freed. */
    set_free(p, page, npages);
    if (scavenged)
        ga_page_alloc_set_scavenged(p, page, npages);
}

void ga_page_alloc_next_generation(struct ga_page_alloc *p)
{
    ga_scavenge_index_next_generation(&p->index);
}

uint64_t ga_page_alloc_nfree(const struct ga_page_alloc *p)
{
    return p->nfree;
}

uint64_t ga_page_alloc_nscavenged(const struct ga_page_alloc *p)
{
    return p->nscavenged;
}

uint64_t ga_page_alloc_free_tail(const struct ga_page_alloc *p, uint64_t most)
{
    uint64_t n = 0;
    while (n < most && n < p->end) {
        uint64_t page = p->end - 1 - n;
        uint64_t chunk = page / GA_CHUNK_NPAGES;
        if (page % GA_CHUNK_NPAGES == GA_CHUNK_NPAGES - 1 &&
            p->level[LEVELS - 1][chunk] == ga_page_summary_all_free(GA_CHUNK_NPAGES))
            n += GA_CHUNK_NPAGES;
        else if (ga_page_alloc_is_free(p, page))
            n++;
        else
            break;
    }
    return n < most ? n : most;
}

bool ga_page_alloc_is_free(const struct ga_page_alloc *p, uint64_t page)
{
    check_range(p, page, 1);
    struct piece piece = first_piece(page, 1);
    return ga_chunk_bits_count(&chunk_at(p, piece.chunk)->free, piece.first, 1) == 1;
}

bool ga_page_alloc_is_scavenged(const struct ga_page_alloc *p, uint64_t page)
{
    check_range(p, page, 1);
    struct piece piece = first_piece(page, 1);
    return ga_chunk_bits_count(&chunk_at(p, piece.chunk)->scavenged, piece.first, 1) == 1;
}

/* Whether the leaf of a chunk and its bitmaps agree with each other and with `search`. */
static bool chunk_is_sound(const struct ga_page_alloc *p, uint64_t i)
{
    const struct chunk *chunk = chunk_at(p, i);
    for (unsigned w = 0; w < GA_CHUNK_WORDS; w++) {
        if (chunk->scavenged.word[w] & ~chunk->free.word[w])
            return false;
        if (chunk->free.word[w] & ~chunk->added.word[w])
            return false;
    }
    unsigned first = ga_chunk_bits_find(&chunk->free, 1, 0);
    if (first < GA_CHUNK_NPAGES && i * GA_CHUNK_NPAGES + first < p->search)
        return false;
    if (p->index.chunks[i].inuse > ga_chunk_bits_count(&chunk->added, 0, GA_CHUNK_NPAGES) -
                                       ga_chunk_bits_count(&chunk->free, 0, GA_CHUNK_NPAGES))
        return false;
    return p->level[LEAF][i] == ga_chunk_bits_summarize(&chunk->free);
}

bool ga_page_alloc_audit(const struct ga_page_alloc *p)
{
    uint64_t nfree = 0;
    uint64_t nscavenged = 0;
    for (uint64_t i = 0; i * GA_CHUNK_NPAGES < p->end; i++) {
        if (!chunk_is_sound(p, i))
            return false;
        nfree += ga_chunk_bits_count(&chunk_at(p, i)->free, 0, GA_CHUNK_NPAGES);
        nscavenged += ga_chunk_bits_count(&chunk_at(p, i)->scavenged, 0, GA_CHUNK_NPAGES);
    }
    for (unsigned l = 0; l < LEAF; l++)
        for (uint64_t i = 0; i << level_shift[l] < p->end; i++)
            if (p->level[l][i] !=
                ga_page_summary_merge(&p->level[l + 1][i * GA_PAGE_SUMMARY_FANOUT],
                                      UINT64_C(1) << level_shift[l + 1]))
                return false;
    return nfree == p->nfree && nscavenged == p->nscavenged;
}

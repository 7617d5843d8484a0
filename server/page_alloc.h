/* The page allocator: which pages of the heap are free. A radix tree of summaries over chunks of
 * 512 pages, with address-ordered first fit, as in Go's runtime since 1.14 (mpagealloc.go). Pure
 * bookkeeping in private memory: it touches no heap page and makes no system call. Not
 * thread-safe; the server core runs on one thread.
 *
 * The numbers it is given are the server's own: a range that does not fit what was said here is a
 * bug of the caller, and an assertion ends the process. */
#ifndef GA_SERVER_PAGE_ALLOC_H
#define GA_SERVER_PAGE_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

#include "server/scavenge_candidate.h"
#include "server/scavenge_index.h"

struct ga_page_alloc;

/* npages_max (1..2^35): the page numbers are 0..npages_max-1. Memory is used only for what has
 * grown, address space of about 200 bytes for each 512 pages. Returns 0 or -ENOMEM. */
int ga_page_alloc_new(uint64_t npages_max, struct ga_page_alloc **ret);
/* Page numbers up to another npages_max, if that is more: all that there is stays as it is, and is
 * moved. 0; or -ENOMEM, and nothing has changed. */
int ga_page_alloc_lengthen(struct ga_page_alloc *p, uint64_t npages_max);
void ga_page_alloc_free_all(struct ga_page_alloc *p); /* NULL is allowed */

/* Add pages [page, page + npages), not added before, as free and not scavenged: there is memory
 * behind them. Need not be whole chunks: the rest of a chunk stays unavailable until it is added.
 */
void ga_page_alloc_grow(struct ga_page_alloc *p, uint64_t page, uint64_t npages);

/* Take the lowest free run of npages (>= 1). Returns 0 with *ret_page and the number of its pages
 * that were scavenged (they no longer are), or -ENOMEM when there is no such run. */
int ga_page_alloc_alloc(struct ga_page_alloc *p, uint64_t npages, uint64_t *ret_page,
                        uint64_t *ret_scavenged);

/* Where that run begins, without taking it. */
int ga_page_alloc_find(const struct ga_page_alloc *p, uint64_t npages, uint64_t *ret_page);

/* Take exactly these pages, which must be free. Returns how many were scavenged (they no longer
 * are). */
uint64_t ga_page_alloc_take(struct ga_page_alloc *p, uint64_t page, uint64_t npages);

/* Give a run back; all of it must be allocated. Any part of what was allocated will do. Its pages
 * count as not scavenged. */
void ga_page_alloc_free(struct ga_page_alloc *p, uint64_t page, uint64_t npages);

/* Note that these pages, which must be free, have no memory behind them any more. */
void ga_page_alloc_set_scavenged(struct ga_page_alloc *p, uint64_t page, uint64_t npages);

/* Take the highest free pages that are not scavenged, so that their memory can be given back: up to
 * max_npages (>= 1) in a row, whole grains, so that there may be a few more. cursor says whether
 * chunks that are nearly full are looked at. Returns how many, from *ret_page on; 0 if there are
 * none. */
uint64_t ga_page_alloc_begin_release(struct ga_page_alloc *p, enum ga_scavenge_cursor cursor,
                                     const struct ga_release_grain *grain, uint64_t max_npages,
                                     uint64_t *ret_page);
/* They are free again: scavenged, or as they were. */
void ga_page_alloc_end_release(struct ga_page_alloc *p, uint64_t page, uint64_t npages,
                               bool scavenged);
/* What was freed from now on is of a new generation (scavenge_index.h). */
void ga_page_alloc_next_generation(struct ga_page_alloc *p);

uint64_t ga_page_alloc_nfree(const struct ga_page_alloc *p);      /* free pages in all */
uint64_t ga_page_alloc_nscavenged(const struct ga_page_alloc *p); /* and scavenged */
/* How many pages in a row are free up to the highest page added, counted up to most. */
uint64_t ga_page_alloc_free_tail(const struct ga_page_alloc *p, uint64_t most);
/* Of one page, below npages_max; a page never added is neither. */
bool ga_page_alloc_is_free(const struct ga_page_alloc *p, uint64_t page);
bool ga_page_alloc_is_scavenged(const struct ga_page_alloc *p, uint64_t page);

/* Recount everything from the bitmaps. Whether the books are sound. Takes time in proportion to the
 * highest page added. */
bool ga_page_alloc_audit(const struct ga_page_alloc *p);

#endif

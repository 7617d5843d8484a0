/* The summary of a run of pages: how many are free at its start, in a row at most, and at its end,
 * packed into one word of three fields of 21 bits, so that eight summaries fill a cache line. A
 * count of 2^21 does not fit its field; but it is only ever that of a range of 2^21 pages that is
 * free from end to end, and this has a bit of its own. An all zero word says that nothing is
 * free. Counts are in pages. Everything here is a pure function. */
#ifndef GA_SERVER_PAGE_SUMMARY_H
#define GA_SERVER_PAGE_SUMMARY_H

#include <stdint.h>

#define GA_PAGE_SUMMARY_FIELD_BITS 21
#define GA_PAGE_SUMMARY_MAX_NPAGES (UINT64_C(1) << GA_PAGE_SUMMARY_FIELD_BITS)
#define GA_PAGE_SUMMARY_FIELD_MASK (GA_PAGE_SUMMARY_MAX_NPAGES - 1)
#define GA_PAGE_SUMMARY_FULL       (UINT64_C(1) << 63)
#define GA_PAGE_SUMMARY_FANOUT     8u

typedef uint64_t ga_page_summary;

/* start and end are at most max, and max at most GA_PAGE_SUMMARY_MAX_NPAGES. */
static inline ga_page_summary ga_page_summary_pack(uint64_t start, uint64_t max, uint64_t end)
{
    if (max == GA_PAGE_SUMMARY_MAX_NPAGES)
        return GA_PAGE_SUMMARY_FULL;
    return start | max << GA_PAGE_SUMMARY_FIELD_BITS | end << 2 * GA_PAGE_SUMMARY_FIELD_BITS;
}

/* The summary of npages pages, all of them free. */
static inline ga_page_summary ga_page_summary_all_free(uint64_t npages)
{
    return ga_page_summary_pack(npages, npages, npages);
}

/* How many pages are free from the first page on. */
static inline uint64_t ga_page_summary_start(ga_page_summary sum)
{
    if (sum & GA_PAGE_SUMMARY_FULL)
        return GA_PAGE_SUMMARY_MAX_NPAGES;
    return sum & GA_PAGE_SUMMARY_FIELD_MASK;
}

/* The length of the longest free run. */
static inline uint64_t ga_page_summary_max(ga_page_summary sum)
{
    if (sum & GA_PAGE_SUMMARY_FULL)
        return GA_PAGE_SUMMARY_MAX_NPAGES;
    return sum >> GA_PAGE_SUMMARY_FIELD_BITS & GA_PAGE_SUMMARY_FIELD_MASK;
}

/* How many pages are free up to the last page. */
static inline uint64_t ga_page_summary_end(ga_page_summary sum)
{
    if (sum & GA_PAGE_SUMMARY_FULL)
        return GA_PAGE_SUMMARY_MAX_NPAGES;
    return sum >> 2 * GA_PAGE_SUMMARY_FIELD_BITS & GA_PAGE_SUMMARY_FIELD_MASK;
}

/* The summary of eight neighbouring ranges of child_npages pages each (at most an eighth of
 * GA_PAGE_SUMMARY_MAX_NPAGES), given theirs in order of address. */
ga_page_summary ga_page_summary_merge(const ga_page_summary child[static GA_PAGE_SUMMARY_FANOUT],
                                      uint64_t child_npages);

#endif

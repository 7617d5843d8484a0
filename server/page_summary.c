/* Merging summaries of free pages. One pass over the children carries the length of the free run
 * that reaches the border between two of them, since the longest run of the whole may lie across
 * any number of borders. */
#include "server/page_summary.h"

#include <assert.h>
#include <stdbool.h>

ga_page_summary ga_page_summary_merge(const ga_page_summary child[static GA_PAGE_SUMMARY_FANOUT],
                                      uint64_t child_npages)
{
    assert(child_npages <= GA_PAGE_SUMMARY_MAX_NPAGES / GA_PAGE_SUMMARY_FANOUT);

    uint64_t start = 0;
    uint64_t max = 0;
    uint64_t run = 0; /* free pages that end where the child begins */
    bool all_free = true;
    for (unsigned i = 0; i < GA_PAGE_SUMMARY_FANOUT; i++) {
        if (child[i] == 0) { /* as most are: the heap has not come so far */
            start = all_free ? run : start;
            all_free = false;
            run = 0;
            continue;
        }
        uint64_t child_start = ga_page_summary_start(child[i]);
        uint64_t child_max = ga_page_summary_max(child[i]);
        run += child_start;
        if (max < run)
            max = run;
        if (max < child_max)
            max = child_max;
        if (child_start == child_npages)
            continue;
        if (all_free)
            start = run;
        all_free = false;
        /* No more than child_max, so max covers it already. */
        run = ga_page_summary_end(child[i]);
    }
    if (all_free)
        start = run;
    return ga_page_summary_pack(start, max, run);
}

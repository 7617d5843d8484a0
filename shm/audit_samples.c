/* The words of sampled objects: each speaks of an object in use, and is the one that its free will
 * find; and no span has more of them than it counts, or a free would not look. That it has fewer a
 * kill may leave (sample.h). */
#include "shm/audit_internal.h"
#include "shm/sample.h"

/* The span whose object the set's word speaks of: its first page; 0 where there is none. Adds what
 * is wrong to findings, unless that is NULL. */
static ga_page_id look_at_word(const struct ga_audit_run *run, uint64_t set, uint32_t index,
                               uint64_t word, struct ga_audit_findings *findings)
{
    uint64_t offset = ga_sample_offset(set, word);
    struct ga_slot slot = {0};
    bool found = ga_audit_find_slot(run, offset, &slot);
    struct ga_audit_fault fault = ga_audit_fault(GA_FAULT_SAMPLE);
    fault.page = (ga_page_id)(offset >> GA_PAGE_SHIFT);
    fault.index = (int32_t)set;
    fault.word = (int32_t)index;
    fault.found = word;
    bool sound = found && ga_audit_is_in_use(run, &slot);
    if (sound && !ga_sample_is_in_place(run->view, set, index)) {
        fault.kind = GA_FAULT_SAMPLE_PLACE;
        sound = false;
    }
    /* One that is taken out meanwhile says nothing. */
    if (!sound && findings &&
        ga_load_acquire(&run->view->samples[set * run->view->sample_words + index]) == word)
        ga_audit_find(findings, &fault);
    return found ? slot.page : 0;
}

/* Count the words of the set for the spans that begin in the pages of the set home. */
static uint64_t count_words(const struct ga_audit_run *run, uint64_t home, uint64_t set,
                            uint32_t by_page[static GA_SAMPLE_SET_NPAGES],
                            struct ga_audit_findings *findings)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < run->view->sample_words; i++) {
        uint64_t word = ga_load_acquire(&run->view->samples[set * run->view->sample_words + i]);
        if (word == 0)
            continue;
        n++;
        ga_page_id page = look_at_word(run, set, i, word, findings);
        if (page != 0 && page / GA_SAMPLE_SET_NPAGES == home)
            by_page[page % GA_SAMPLE_SET_NPAGES]++;
    }
    return n;
}

/* The index is that of a set. Small spans reach into the next one. */
static void look_at_set(struct ga_audit_run *run, uint64_t set, bool again, void *count,
                        struct ga_audit_findings *findings)
{
    (void)again;
    uint64_t *nsamples = count;
    uint32_t by_page[GA_SAMPLE_SET_NPAGES] = {0};
    *nsamples = count_words(run, set, set, by_page, findings);
    if ((set + 1) * GA_SAMPLE_SET_NPAGES < ga_audit_npages(run))
        (void)count_words(run, set, set + 1, by_page, NULL);
    for (uint32_t i = 0; i < GA_SAMPLE_SET_NPAGES; i++) {
        struct ga_audit_fault fault = ga_audit_fault(GA_FAULT_NSAMPLES);
        fault.page = (ga_page_id)(set * GA_SAMPLE_SET_NPAGES + i);
        fault.expected = by_page[i];
        if (by_page[i] == 0)
            continue;
        fault.found = ga_line_samples(ga_load_seq_cst(&run->view->lines[fault.page].nholds));
        if (fault.found < fault.expected)
            ga_audit_find(findings, &fault);
    }
}

void ga_audit_samples(struct ga_audit_run *run)
{
    uint64_t npages = ga_audit_npages(run);
    for (uint64_t set = 0; set * GA_SAMPLE_SET_NPAGES < npages; set++) {
        uint64_t nsamples = 0;
        ga_audit_each(run, look_at_set, set, &nsamples);
        run->ret->samples += nsamples;
    }
}

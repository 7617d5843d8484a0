/* The audit as a whole: its parts in their order, what they count, and looking again. */
#include "shm/audit.h"

#include <errno.h>
#include <string.h>

#include "shm/audit_internal.h"

struct ga_audit_fault ga_audit_fault(enum ga_fault_kind kind)
{
    struct ga_audit_fault fault;
    memset(&fault, 0, sizeof(fault)); /* they are compared by their bytes */
    fault.kind = kind;
    fault.span_class = -1;
    fault.word = -1;
    fault.index = -1;
    return fault;
}

void ga_audit_find(struct ga_audit_findings *findings, const struct ga_audit_fault *fault)
{
    if (findings->count < GA_AUDIT_FINDINGS_MAX)
        findings->fault[findings->count++] = *fault;
}

static bool has(const struct ga_audit_findings *findings, const struct ga_audit_fault *fault)
{
    for (uint32_t i = 0; i < findings->count; i++)
        if (memcmp(&findings->fault[i], fault, sizeof(*fault)) == 0)
            return true;
    return false;
}

/* A heap in use may have come by clients and mcaches since the last look, and by spans of theirs.
 */
static void look_once(struct ga_audit_run *run, ga_audit_look look, uint64_t index, bool again,
                      void *count, struct ga_audit_findings *findings)
{
    if (run->options->flags & GA_AUDIT_LIVE)
        (void)ga_audit_find_ends(run);
    look(run, index, again, count, findings);
}

static void report(const struct ga_audit_run *run, const struct ga_audit_findings *findings)
{
    for (uint32_t i = 0; i < findings->count; i++) {
        run->ret->nfaults++;
        if (run->options->report)
            run->options->report(run->options->data, &findings->fault[i]);
    }
}

/* What looks wrong and is not as it was is none of it. A thing that is wrong in another way each
 * time is in motion. */
static void look_again(struct ga_audit_run *run, struct ga_audit_candidate *candidate)
{
    _Alignas(16) char count[GA_AUDIT_COUNT_BYTES];
    struct ga_audit_findings *wrong = &candidate->wrong;
    struct ga_audit_findings now;
    now.count = 0;
    run->ret->looked_again++;
    look_once(run, candidate->look, candidate->index, true, count, &now);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < wrong->count; i++)
        if (has(&now, &wrong->fault[i]))
            wrong->fault[kept++] = wrong->fault[i];
    wrong->count = kept;
    run->ret->in_motion += kept == 0 && now.count > 0;
}

/* Look again at all that is still wrong. Whether something is. */
static bool look_at_all(struct ga_audit_run *run)
{
    bool any = false;
    for (uint32_t i = 0; i < run->ncandidates; i++) {
        struct ga_audit_candidate *candidate = &run->options->scratch->candidates[i];
        if (candidate->wrong.count > 0)
            look_again(run, candidate);
        any = any || candidate->wrong.count > 0;
    }
    return any;
}

/* They rest together, so that a check takes as long as a rest, and not as long as one for each. */
void ga_audit_settle(struct ga_audit_run *run)
{
    const struct ga_audit_options *options = run->options;
    bool any = run->ncandidates > 0;
    for (uint32_t round = 0; any; round++) {
        if (options->rest ? !options->rest(options->data, round) : round > 1)
            break;
        any = look_at_all(run);
    }
    for (uint32_t i = 0; i < run->ncandidates; i++)
        report(run, &options->scratch->candidates[i].wrong);
    run->ncandidates = 0;
}

void ga_audit_each(struct ga_audit_run *run, ga_audit_look look, uint64_t index, void *count)
{
    struct ga_audit_findings findings;
    findings.count = 0;
    look_once(run, look, index, false, count, &findings);
    if (findings.count == 0)
        return;
    if (!(run->options->flags & GA_AUDIT_LIVE)) {
        report(run, &findings);
        return;
    }
    if (run->ncandidates == GA_AUDIT_CANDIDATES_MAX)
        ga_audit_settle(run);
    run->options->scratch->candidates[run->ncandidates++] =
        (struct ga_audit_candidate){look, index, findings};
}

bool ga_audit_is_client(const struct ga_audit_run *run, uint32_t client_plus_1)
{
    return client_plus_1 > 0 && client_plus_1 <= run->client_end &&
           ga_load_acquire(&run->view->clients[client_plus_1 - 1].state) != GA_CLIENT_FREE;
}

bool ga_audit_is_mcache(const struct ga_audit_run *run, ga_mcache_id id)
{
    return id > 0 && id < run->mcache_end &&
           ga_load_acquire(&run->view->mcache_entries[id].client) != 0;
}

bool ga_audit_is_leased(const struct ga_audit_run *run, uint64_t page, ga_span_class span_class,
                        ga_mcache_id mcache)
{
    if (page == 0 || page >= ga_audit_npages(run))
        return false;
    uint64_t entry = ga_view_entry(run->view, page);
    return ga_entry_is_span(entry) && ga_entry_span_class(entry) == span_class &&
           ga_entry_owner(entry) == mcache &&
           ga_holder_is_leased_by(ga_load_acquire(&run->view->lines[page].holder), mcache);
}

uint32_t ga_audit_nslots(ga_span_class span_class)
{
    if (span_class == GA_SPAN_CLASS_TINY)
        return GA_TINY_NBLOCKS;
    return span_class < 2 ? 1 : ga_size_classes[span_class / 2].nslots;
}

/* Mallocs less frees of a size class. A malloc and its free may be counted by two mcaches and as
 * scan and noscan, so one mcache's counters alone say nothing. */
static uint64_t counted(const struct ga_audit_run *run, uint32_t size_class)
{
    uint64_t live = 0;
    for (ga_mcache_id id = 1; id < run->mcache_end; id++)
        for (uint32_t c = size_class * 2; c < size_class * 2 + 2; c++) {
            const struct ga_mcache_class *class = &run->view->mcaches[id].classes[c];
            live += ga_load_relaxed(&class->nmalloc) - ga_load_relaxed(&class->nfree);
        }
    return live;
}

static void look_at_counters(struct ga_audit_run *run, uint64_t size_class, bool again, void *count,
                             struct ga_audit_findings *findings)
{
    (void)again;
    (void)count;
    const struct ga_audit_account *scan = &run->ret->by_class[size_class * 2];
    struct ga_audit_fault fault = ga_audit_fault(GA_FAULT_COUNTERS);
    fault.index = (int32_t)size_class;
    fault.found = counted(run, (uint32_t)size_class);
    fault.expected = scan[0].objects + scan[1].objects;
    if (fault.found != fault.expected)
        ga_audit_find(findings, &fault);
}

int ga_audit_run(const struct ga_view *view, const struct ga_audit_options *options,
                 struct ga_audit *ret)
{
    struct ga_audit_run run = {.view = view, .options = options, .ret = ret};
    memset(ret, 0, sizeof(*ret));
    int r = ga_audit_header(&run);
    if (r < 0)
        return r;
    bool live = options->flags & GA_AUDIT_LIVE;
    size_t nmcaches = live ? run.view->counts.mcaches : run.mcache_end;
    memset(options->scratch->nspans, 0, nmcaches * sizeof(options->scratch->nspans[0]));
    memset(options->scratch->npages, 0, nmcaches * sizeof(options->scratch->npages[0]));
    ga_audit_arenas(&run);
    ga_audit_clients(&run);
    ga_audit_pages(&run);
    ga_audit_mcaches(&run);
    ga_audit_roots(&run);
    ga_audit_holds(&run);
    ga_audit_handles(&run);
    ga_audit_samples(&run);
    ga_audit_journal(&run);
    ga_audit_settle(&run);
    if (live)
        return 0; /* sums of what changes meanwhile say nothing */
    for (uint32_t c = 0; options->flags & GA_AUDIT_COUNTED && c < GA_SIZE_CLASS_COUNT; c++)
        ga_audit_each(&run, look_at_counters, c, NULL);
    return 0;
}

/* What the files of the audit share: a run, and the findings of one look at one thing. */
#ifndef GA_SHM_AUDIT_INTERNAL_H
#define GA_SHM_AUDIT_INTERNAL_H

#include <stdbool.h>

#include "shm/audit.h"
#include "shm/slot.h"

struct ga_audit_run {
    const struct ga_view *view;
    const struct ga_audit_options *options;
    struct ga_audit *ret;
    uint64_t npages;     /* committed when the run began */
    uint32_t client_end; /* with LIVE, these ends follow the tables as they grow */
    uint32_t mcache_end;
    uint32_t root_end;
    uint32_t hold_end;
    uint32_t ncandidates; /* in the scratch */
};

/* What a look counts fits in so much. */
#define GA_AUDIT_COUNT_BYTES 128u

static inline bool ga_audit_has(const struct ga_audit_run *run, uint32_t flag)
{
    uint32_t flags = run->options->flags;
    return (flags | (flags & GA_AUDIT_LIVE ? GA_AUDIT_CLIENTS_MIDWAY : 0u)) & flag;
}

/* A fault of this kind, at no place yet. */
struct ga_audit_fault ga_audit_fault(enum ga_fault_kind kind);
void ga_audit_find(struct ga_audit_findings *findings, const struct ga_audit_fault *fault);

/* Look at the thing that is number `index` of what `look` looks at, and report what is wrong; with
 * LIVE, note it. */
void ga_audit_each(struct ga_audit_run *run, ga_audit_look look, uint64_t index, void *count);

/* The committed pages as of now. */
static inline uint64_t ga_audit_npages(const struct ga_audit_run *run)
{
    return run->options->flags & GA_AUDIT_LIVE ? ga_load_acquire(&run->view->meta->committed_npages)
                                               : run->npages;
}

/* Look again at all that was noted, until it is gone or has stayed often enough, and report that.
 */
void ga_audit_settle(struct ga_audit_run *run);

/* Whether client_plus_1 stands for a client that is attached, or leaving. */
bool ga_audit_is_client(const struct ga_audit_run *run, uint32_t client_plus_1);
/* Whether id is an mcache that a client has. */
bool ga_audit_is_mcache(const struct ga_audit_run *run, ga_mcache_id id);
/* Whether the entry of page is that of a span of span_class, leased to mcache by entry and by
 * holder. */
bool ga_audit_is_leased(const struct ga_audit_run *run, uint64_t page, ga_span_class span_class,
                        ga_mcache_id mcache);
/* Slots of a span; of a tiny one blocks. */
uint32_t ga_audit_nslots(ga_span_class span_class);

/* The parts of the audit, in their order. */
int ga_audit_header(struct ga_audit_run *run);
void ga_audit_arenas(struct ga_audit_run *run);
void ga_audit_clients(struct ga_audit_run *run);
void ga_audit_pages(struct ga_audit_run *run);
void ga_audit_mcaches(struct ga_audit_run *run);
void ga_audit_roots(struct ga_audit_run *run);
void ga_audit_holds(struct ga_audit_run *run);
void ga_audit_handles(struct ga_audit_run *run);
void ga_audit_samples(struct ga_audit_run *run);
void ga_audit_journal(struct ga_audit_run *run);

/* Read how far the tables are used. False, and nothing is changed, if that cannot be. */
bool ga_audit_find_ends(struct ga_audit_run *run);

/* audit_slots.c: the words of the span at page whose entry is sound: holder, bitmaps, holds. Adds
 * its slots to count. */
void ga_audit_span(const struct ga_audit_run *run, ga_page_id page, uint64_t entry,
                   struct ga_audit_account *count, struct ga_audit_findings *findings);
/* The same: the slot that begins at offset, in a span that has a bitmap; and whether it is in use.
 */
bool ga_audit_find_slot(const struct ga_audit_run *run, uint64_t offset, struct ga_slot *ret);
bool ga_audit_is_in_use(const struct ga_audit_run *run, const struct ga_slot *slot);
/* audit_tables.c: how many holds there are of objects of the span at page. */
uint64_t ga_audit_count_holds(const struct ga_audit_run *run, ga_page_id page);

#endif

/* The page table: every page is page 0, in one span, or in none; and a span's pages, class, owner
 * and client go together. What entries of pages in no span say is believed by nobody, but that
 * their memory may be gone: that says an entry that says nothing else. */
#include "shm/audit_internal.h"

/* A span as one look has seen it. */
struct seen {
    uint64_t entry; /* 0: none begins here */
    struct ga_audit_account count;
};
static_assert(sizeof(struct seen) <= GA_AUDIT_COUNT_BYTES, "a second look has room to count");

static struct ga_audit_fault fault_at(enum ga_fault_kind kind, uint64_t page, uint64_t entry)
{
    struct ga_audit_fault fault = ga_audit_fault(kind);
    fault.page = (ga_page_id)page;
    fault.found = entry;
    return fault;
}

static bool length_is_sound(ga_span_class span_class, uint64_t npages)
{
    uint32_t size_class = span_class / 2u;
    return size_class == 0 ? npages >= GA_LARGE_NPAGES_MIN
                           : npages == ga_size_classes[size_class].npages;
}

/* Class, flags and length: what the rest of the audit rests on. */
static bool entry_is_sound(const struct ga_audit_run *run, uint64_t page, uint64_t entry,
                           struct ga_audit_findings *findings)
{
    ga_span_class span_class = ga_entry_span_class(entry);
    struct ga_audit_fault fault = fault_at(GA_FAULT_ENTRY, page, entry);
    if (!ga_entry_is_span(entry) || span_class >= GA_SPAN_CLASS_COUNT ||
        (span_class < 2) != ((entry & GA_ENTRY_LARGE) != 0) ||
        (span_class == GA_SPAN_CLASS_TINY) != ((entry & GA_ENTRY_TINY) != 0) || entry >> 61 != 0) {
        ga_audit_find(findings, &fault);
        return false;
    }
    uint64_t npages = ga_entry_npages(entry);
    fault.kind = GA_FAULT_LENGTH;
    fault.span_class = span_class;
    if (!length_is_sound(span_class, npages) || npages > ga_audit_npages(run) - page) {
        ga_audit_find(findings, &fault);
        return false;
    }
    return true;
}

static void look_at_inner(const struct ga_audit_run *run, uint64_t page, uint64_t entry,
                          struct ga_audit_findings *findings)
{
    ga_span_class span_class = ga_entry_span_class(entry);
    for (uint64_t i = 1; i < ga_entry_npages(entry); i++) {
        uint64_t inner = ga_view_entry(run->view, page + i);
        if ((inner & (GA_ENTRY_INUSE | GA_ENTRY_FIRST)) == GA_ENTRY_INUSE &&
            ga_entry_distance(inner) == i && ga_entry_span_class(inner) == span_class)
            continue;
        struct ga_audit_fault fault = fault_at(GA_FAULT_INNER, page + i, inner);
        fault.span_class = span_class;
        fault.also = entry;
        ga_audit_find(findings, &fault);
        return; /* one for the span will do */
    }
}

static void look_at_owner(const struct ga_audit_run *run, uint64_t page, uint64_t entry,
                          struct ga_audit_findings *findings)
{
    ga_mcache_id owner = ga_entry_owner(entry);
    if (owner != 0 && !ga_audit_is_mcache(run, owner)) {
        struct ga_audit_fault fault = fault_at(GA_FAULT_OWNER, page, entry);
        fault.mcache = owner;
        ga_audit_find(findings, &fault);
    }
    if (!(entry & GA_ENTRY_LARGE))
        return;
    uint64_t second = ga_view_entry(run->view, page + 1);
    uint32_t client_plus_1 = ga_entry_owner(second);
    if (client_plus_1 != 0 && !ga_audit_is_client(run, client_plus_1)) {
        struct ga_audit_fault fault = fault_at(GA_FAULT_LARGE_CLIENT, page, second);
        fault.also = client_plus_1;
        ga_audit_find(findings, &fault);
    }
}

static void look_at_span(struct ga_audit_run *run, uint64_t page, uint64_t entry, struct seen *seen,
                         struct ga_audit_findings *findings)
{
    look_at_inner(run, page, entry, findings);
    look_at_owner(run, page, entry, findings);
    ga_audit_span(run, (ga_page_id)page, entry, &seen->count, findings);
    if (run->options->flags & GA_AUDIT_LIVE && ga_view_entry(run->view, page) != entry)
        findings->count = 0; /* another span, or another's: it was none of this one's */
    seen->entry = entry;
}

static void look_at_page(struct ga_audit_run *run, uint64_t page, bool again, void *count,
                         struct ga_audit_findings *findings)
{
    (void)again;
    struct seen *seen = count;
    *seen = (struct seen){0};
    uint64_t entry = ga_view_entry(run->view, page);
    struct ga_audit_fault fault = fault_at(GA_FAULT_ENTRY, page, entry);
    if (entry & GA_ENTRY_SCAVENGED && entry != GA_ENTRY_SCAVENGED)
        ga_audit_find(findings, &fault);
    else if (entry & GA_ENTRY_FIRST && entry_is_sound(run, page, entry, findings))
        look_at_span(run, page, entry, seen, findings);
}

static void add(struct ga_audit_account *to, const struct ga_audit_account *count)
{
    to->spans += count->spans;
    to->npages += count->npages;
    to->slots += count->slots;
    to->in_use += count->in_use;
    to->free += count->free;
    to->objects += count->objects;
    to->bytes_in_use += count->bytes_in_use;
    to->bytes_free += count->bytes_free;
}

static void enter(struct ga_audit_run *run, const struct seen *seen)
{
    struct ga_audit *ret = run->ret;
    const struct ga_audit_account *count = &seen->count;
    ga_mcache_id owner = ga_entry_owner(seen->entry);
    add(&ret->all, count);
    add(&ret->by_class[ga_entry_span_class(seen->entry)], count);
    ret->spans_large += (seen->entry & GA_ENTRY_LARGE) != 0;
    if (owner != 0)
        ret->spans_leased++;
    else if (!(seen->entry & GA_ENTRY_LARGE))
        *(count->in_use == 0              ? &ret->spans_empty
          : count->in_use == count->slots ? &ret->spans_full
                                          : &ret->spans_partial) += 1;
    if (owner != 0 && owner < run->mcache_end) {
        run->options->scratch->nspans[owner]++;
        run->options->scratch->npages[owner] += count->npages;
    }
}

static void look_at_page_zero(struct ga_audit_run *run, uint64_t page, bool again, void *count,
                              struct ga_audit_findings *findings)
{
    (void)again;
    (void)count;
    struct ga_audit_fault fault =
        fault_at(GA_FAULT_PAGE_ZERO, page, ga_view_entry(run->view, page));
    if (fault.found != 0)
        ga_audit_find(findings, &fault);
}

/* The bits of the word behind the committed end are nobody's. */
static void look_at_pending(struct ga_audit_run *run, uint64_t page, bool again, void *count,
                            struct ga_audit_findings *findings)
{
    (void)again;
    (void)count;
    uint64_t npages = ga_audit_npages(run);
    if (npages % 64 == 0 || npages / 64 != page / 64)
        return;
    struct ga_audit_fault fault = ga_audit_fault(GA_FAULT_PENDING);
    fault.page = (ga_page_id)npages;
    fault.found = ga_load_acquire(ga_view_pending(run->view, page / 64));
    if (fault.found >> npages % 64 != 0)
        ga_audit_find(findings, &fault);
}

void ga_audit_pages(struct ga_audit_run *run)
{
    if (run->npages == 0)
        return;
    ga_audit_each(run, look_at_page_zero, 0, NULL);
    for (uint64_t page = 1; page < run->npages;) {
        struct seen seen = {0};
        ga_audit_each(run, look_at_page, page, &seen);
        if (seen.entry == 0) {
            run->ret->npages_unused++;
            page++;
            continue;
        }
        enter(run, &seen);
        page += seen.count.npages;
    }
    ga_audit_each(run, look_at_pending, run->npages, NULL);
}

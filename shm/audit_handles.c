/* The handles of clients: each of a living one is empty or names an object in use; those of one
 * that is leaving or gone are empty, unless the server is at emptying them. */
#include "shm/audit_internal.h"

/* The slot that begins at address, in a span that has a bitmap. */
static bool find_slot(const struct ga_audit_run *run, uint64_t address, struct ga_slot *ret)
{
    uint64_t npages = ga_audit_npages(run);
    uint64_t offset = address - run->view->meta->base;
    uint64_t page = offset >> GA_PAGE_SHIFT;
    if (page == 0 || page >= npages)
        return false;
    uint64_t distance = ga_entry_distance(ga_view_entry(run->view, page));
    if (distance >= page)
        return false;
    page -= distance;
    uint64_t entry = ga_view_entry(run->view, page);
    ga_span_class span_class = ga_entry_span_class(entry);
    if (!ga_entry_is_span(entry) || ga_entry_npages(entry) <= distance ||
        span_class >= GA_SPAN_CLASS_COUNT || span_class == GA_SPAN_CLASS_TINY)
        return false;
    *ret = (struct ga_slot){.page = (ga_page_id)page, .entry = entry};
    uint64_t in_span = offset - (page << GA_PAGE_SHIFT);
    if (span_class < 2)
        return in_span == 0;
    const struct ga_size_class *class = &ga_size_classes[span_class / 2];
    if (in_span >= class->npages * GA_PAGE_SIZE)
        return false;
    ret->index = ga_slot_index(class, (uint32_t)in_span);
    return ga_slot_is_start(class, (uint32_t)in_span, ret->index);
}

static bool is_in_use(const struct ga_audit_run *run, const struct ga_slot *slot)
{
    uint32_t word = slot->index / 64;
    uint64_t a = ga_load_acquire(ga_view_a(run->view, slot->page, word));
    uint64_t f = ga_load_seq_cst(ga_view_f(run->view, slot->page, word));
    return (a ^ f) >> slot->index % 64 & 1;
}

/* The server frees an object, and then empties its handle. */
static bool names_object(const struct ga_audit_run *run, uint64_t address)
{
    struct ga_slot slot;
    return find_slot(run, address, &slot) &&
           (ga_audit_has(run, GA_AUDIT_SERVER_MIDWAY) || is_in_use(run, &slot));
}

static void look_at_handles(struct ga_audit_run *run, uint64_t client, bool again, void *count,
                            struct ga_audit_findings *findings)
{
    (void)again;
    (void)count;
    uint32_t state = ga_load_acquire(&run->view->clients[client].state);
    bool attached = state == GA_CLIENT_ATTACHED ||
                    (state == GA_CLIENT_LEAVING && ga_audit_has(run, GA_AUDIT_SERVER_MIDWAY));
    for (uint32_t i = 0; i < GA_HANDLE_COUNT; i++) {
        struct ga_audit_fault fault =
            ga_audit_fault(attached ? GA_FAULT_HANDLE : GA_FAULT_HANDLE_LEFT);
        fault.index = (int32_t)client;
        fault.word = (int32_t)i;
        fault.found = ga_load_acquire(&run->view->handles[client].object[i]);
        if (fault.found != 0 && !(attached && names_object(run, fault.found)))
            ga_audit_find(findings, &fault);
    }
}

void ga_audit_handles(struct ga_audit_run *run)
{
    for (uint32_t client = 0; client < run->client_end; client++)
        ga_audit_each(run, look_at_handles, client, NULL);
}

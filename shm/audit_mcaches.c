/* The mcaches: their entries, the words that their threads write, and their rings. */
#include "shm/audit_internal.h"
#include "shm/batch.h"
#include "shm/ring.h"
#include "shm/tiny.h"

static struct ga_audit_fault fault_of(enum ga_fault_kind kind, ga_mcache_id id)
{
    struct ga_audit_fault fault = ga_audit_fault(kind);
    fault.mcache = id;
    return fault;
}

/* ---- leases ---- */

/* Count the leases of one mcache anew. */
static void count_leases(const struct ga_audit_run *run, ga_mcache_id id, uint64_t *ret_nspans,
                         uint64_t *ret_npages)
{
    uint64_t nspans = 0;
    uint64_t npages = 0;
    uint64_t end = ga_audit_npages(run);
    for (uint64_t page = 1; page < end; page++) {
        uint64_t entry = ga_view_entry(run->view, page);
        if (!ga_entry_is_span(entry) || ga_entry_owner(entry) != id)
            continue;
        nspans++;
        npages += ga_entry_npages(entry);
    }
    *ret_nspans = nspans;
    *ret_npages = npages;
}

/* A lease is in the page table before it is counted, and no more counted when it leaves that. */
static void look_at_leases(const struct ga_audit_run *run, ga_mcache_id id, bool again,
                           struct ga_audit_findings *findings)
{
    const struct ga_mcache_entry *entry = &run->view->mcache_entries[id];
    uint64_t nspans = run->options->scratch->nspans[id];
    uint64_t npages = run->options->scratch->npages[id];
    if (again)
        count_leases(run, id, &nspans, &npages);
    struct ga_audit_fault fault = fault_of(GA_FAULT_LEASES, id);
    bool midway = ga_audit_has(run, GA_AUDIT_SERVER_MIDWAY);
    fault.found = ga_load_acquire(&entry->nspans);
    fault.expected = nspans;
    uint64_t missing = nspans - fault.found;
    if (missing != 0 && !(midway && missing == 1))
        ga_audit_find(findings, &fault);
    fault.kind = GA_FAULT_LEASED_BYTES;
    fault.found = ga_load_acquire(&entry->leased_bytes);
    fault.expected = npages * GA_PAGE_SIZE;
    if (fault.found != fault.expected && !midway)
        ga_audit_find(findings, &fault);
}

/* ---- the thread's words ---- */

static void look_at_tiny(const struct ga_audit_run *run, ga_mcache_id id,
                         struct ga_audit_findings *findings)
{
    struct ga_audit_fault fault = fault_of(GA_FAULT_TINY, id);
    fault.found = ga_load_acquire(&run->view->mcaches[id].tiny);
    fault.page = ga_tiny_page(fault.found);
    if (fault.page == 0)
        return;
    uint32_t end = ga_tiny_end(fault.found);
    if (fault.found >> GA_TINY_END_SHIFT != end || end > GA_TINY_NUNITS ||
        !ga_audit_is_leased(run, fault.page, GA_SPAN_CLASS_TINY, id))
        ga_audit_find(findings, &fault);
}

static void look_at_telling(const struct ga_audit_run *run, ga_mcache_id id,
                            struct ga_audit_findings *findings)
{
    struct ga_audit_fault fault = fault_of(GA_FAULT_TELLING, id);
    fault.found = ga_load_acquire(&run->view->mcaches[id].telling);
    if (fault.found >= ga_audit_npages(run)
            ? fault.found != 0
            : fault.found != 0 && !ga_audit_has(run, GA_AUDIT_CLIENTS_MIDWAY))
        ga_audit_find(findings, &fault);
}

static void look_at_into(const struct ga_audit_run *run, ga_mcache_id id,
                         struct ga_audit_findings *findings)
{
    struct ga_audit_fault fault = fault_of(GA_FAULT_INTO, id);
    fault.found = ga_load_acquire(&run->view->mcaches[id].into_handle);
    if (fault.found > GA_HANDLE_COUNT ||
        (fault.found != 0 && !ga_audit_has(run, GA_AUDIT_CLIENTS_MIDWAY)))
        ga_audit_find(findings, &fault);
}

static void look_at_batch(const struct ga_audit_run *run, ga_mcache_id id,
                          struct ga_audit_findings *findings)
{
    struct ga_audit_fault fault = fault_of(GA_FAULT_BATCH, id);
    fault.found = ga_load_acquire(&run->view->mcaches[id].batch_mask);
    fault.also = ga_load_acquire(&run->view->mcaches[id].batch_where);
    fault.page = ga_batch_page(fault.also);
    if (fault.found != 0 && !ga_batch_can_be(run->view, fault.also))
        ga_audit_find(findings, &fault);
}

/* The slots of its batch are free, though A and F say that they are in use: move them from the one
 * side of the account to the other. */
static void account_for_batch(const struct ga_audit_run *run, ga_mcache_id id)
{
    ga_span_class span_class;
    uint64_t n = ga_batch_count(run->view, id, &span_class);
    if (n == 0)
        return;
    /* As in a recount: two lines may name the same slots. */
    if (n > run->ret->by_class[span_class].in_use)
        n = run->ret->by_class[span_class].in_use;
    uint64_t bytes = n * ga_size_classes[span_class / 2].size;
    struct ga_audit_account *accounts[] = {&run->ret->all, &run->ret->by_class[span_class]};
    for (unsigned i = 0; i < 2; i++) {
        accounts[i]->in_use -= n;
        accounts[i]->free += n;
        accounts[i]->objects -= n;
        accounts[i]->bytes_in_use -= bytes;
        accounts[i]->bytes_free += bytes;
    }
}

/* Nobody has the mcache: the server has emptied its tiny word and its batch, and told what it was
 * to tell. */
static void look_at_left(const struct ga_audit_run *run, ga_mcache_id id,
                         struct ga_audit_findings *findings)
{
    const struct ga_mcache *mcache = &run->view->mcaches[id];
    struct ga_audit_fault fault = fault_of(GA_FAULT_LEFT, id);
    fault.found = ga_load_acquire(&mcache->telling);
    fault.page = ga_tiny_page(ga_load_acquire(&mcache->tiny));
    if (fault.found != 0 || fault.page != 0)
        ga_audit_find(findings, &fault);
    fault.page = 0;
    fault.found = ga_load_acquire(&mcache->into_handle);
    if (fault.found != 0)
        ga_audit_find(findings, &fault);
    fault.found = ga_load_acquire(&mcache->batch_mask) | ga_load_acquire(&mcache->batch_where);
    if (fault.found != 0)
        ga_audit_find(findings, &fault);
}

/* ---- the ring ---- */

static uint64_t ring_head(const struct ga_ring *ring)
{
    uint64_t head = 0;
    for (uint32_t i = 0; i < GA_RING_ENTRIES; i++) {
        uint64_t sequence = ga_ring_sequence(ga_load_acquire(&ring->entry[i]));
        head = sequence > head ? sequence : head;
    }
    return head;
}

/* An entry that is there at all lies where its sequence says, and is no older than one round. */
static bool entry_is_sound(const struct ga_audit_run *run, uint64_t entry, uint32_t index,
                           uint64_t head)
{
    uint64_t sequence = ga_ring_sequence(entry);
    uint32_t state = ga_ring_state(entry);
    if (entry == 0)
        return true;
    if (sequence == 0 || ga_ring_index(sequence) != index || head - sequence >= GA_RING_ENTRIES)
        return false;
    return state == GA_RING_READY || (state == GA_RING_RESERVED && sequence == head &&
                                      ga_audit_has(run, GA_AUDIT_SERVER_MIDWAY));
}

/* What has not been taken is leased to the mcache. A server that was killed while it took back what
 * a client left may have ended the lease. */
static void look_at_offer(const struct ga_audit_run *run, ga_mcache_id id, uint64_t sequence,
                          struct ga_audit_findings *findings)
{
    const struct ga_ring *ring = &run->view->rings[id];
    uint64_t entry = ga_load_acquire(&ring->entry[ga_ring_index(sequence)]);
    struct ga_audit_fault fault = fault_of(GA_FAULT_RING, id);
    fault.index = (int32_t)ga_ring_index(sequence);
    fault.found = entry;
    fault.expected = sequence;
    if (ga_ring_sequence(entry) != sequence) {
        ga_audit_find(findings, &fault);
        return;
    }
    if (ga_ring_state(entry) != GA_RING_READY)
        return;
    fault.kind = GA_FAULT_RING_SPAN;
    fault.page = ga_ring_page(entry);
    fault.also = fault.page < ga_audit_npages(run) ? ga_view_entry(run->view, fault.page) : 0;
    bool ended = ga_audit_has(run, GA_AUDIT_SERVER_MIDWAY) && ga_entry_owner(fault.also) == 0;
    if (!ended && (!ga_entry_is_span(fault.also) || ga_entry_owner(fault.also) != id))
        ga_audit_find(findings, &fault);
    fault.kind = GA_FAULT_RING_TWICE;
    for (uint64_t s = sequence + 1; s <= ring_head(ring) && s - sequence < GA_RING_ENTRIES; s++) {
        fault.also = ga_load_acquire(&ring->entry[ga_ring_index(s)]);
        if (ga_ring_page(fault.also) == fault.page)
            ga_audit_find(findings, &fault);
    }
}

static void look_at_ring(const struct ga_audit_run *run, ga_mcache_id id,
                         struct ga_audit_findings *findings)
{
    const struct ga_ring *ring = &run->view->rings[id];
    uint64_t taken = ga_load_acquire(&run->view->mcaches[id].ring_taken);
    uint64_t head = ring_head(ring);
    if (head == 0)
        return; /* nothing since the id was given out: taken is where the one before was */
    for (uint32_t i = 0; i < GA_RING_ENTRIES; i++) {
        struct ga_audit_fault fault = fault_of(GA_FAULT_RING, id);
        fault.index = (int32_t)i;
        fault.found = ga_load_acquire(&ring->entry[i]);
        fault.also = head;
        if (!entry_is_sound(run, fault.found, i, head))
            ga_audit_find(findings, &fault);
    }
    struct ga_audit_fault fault = fault_of(GA_FAULT_RING_TAKEN, id);
    fault.found = taken;
    fault.also = head;
    if (taken > head || head - taken > GA_RING_ENTRIES) {
        ga_audit_find(findings, &fault);
        return;
    }
    for (uint64_t sequence = taken + 1; sequence <= head; sequence++)
        look_at_offer(run, id, sequence, findings);
}

/* ---- all of an mcache ---- */

static void look_at_mcache(struct ga_audit_run *run, uint64_t index, bool again, void *count,
                           struct ga_audit_findings *findings)
{
    ga_mcache_id id = (ga_mcache_id)index;
    (void)count;
    uint32_t client_plus_1 = ga_load_acquire(&run->view->mcache_entries[id].client);
    look_at_leases(run, id, again, findings);
    if (client_plus_1 == 0) {
        look_at_left(run, id, findings);
        return;
    }
    struct ga_audit_fault fault = fault_of(GA_FAULT_MCACHE_CLIENT, id);
    fault.found = client_plus_1;
    if (!ga_audit_is_client(run, client_plus_1))
        ga_audit_find(findings, &fault);
    look_at_telling(run, id, findings);
    look_at_into(run, id, findings);
    if (run->view->counts.rings > 0)
        look_at_ring(run, id, findings);
    look_at_tiny(run, id, findings);
    look_at_batch(run, id, findings);
}

void ga_audit_mcaches(struct ga_audit_run *run)
{
    for (ga_mcache_id id = 1; id < run->mcache_end; id++) {
        ga_audit_each(run, look_at_mcache, id, NULL);
        account_for_batch(run, id);
        run->ret->mcaches += ga_audit_is_mcache(run, id);
    }
}

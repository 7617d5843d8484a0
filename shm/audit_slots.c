/* The words of one span: who holds it, its bitmaps, its holds; and the account of its slots. And
 * the slot that something else names. */
#include "shm/audit_internal.h"
#include "shm/batch.h"
#include "shm/sample.h"
#include "shm/tiny.h"

static struct ga_audit_fault fault_of(enum ga_fault_kind kind, ga_page_id page, uint64_t entry)
{
    struct ga_audit_fault fault = ga_audit_fault(kind);
    fault.page = page;
    fault.span_class = ga_entry_span_class(entry);
    return fault;
}

/* A lease that ends has its owner stored first and its holder then; one that begins has no holder
 * until the mcache takes it. So a holder is the owner or none. */
static void look_at_holder(const struct ga_audit_run *run, ga_page_id page, uint64_t entry,
                           uint64_t holder, struct ga_audit_findings *findings)
{
    ga_mcache_id owner = ga_entry_owner(entry);
    ga_mcache_id id = ga_holder_id(holder);
    bool sound = id == owner || id == 0;
    if (owner == 0 && ga_audit_has(run, GA_AUDIT_SERVER_MIDWAY))
        sound = id < run->mcache_end;
    if (id == 0 && holder & GA_HOLDER_RETURNED)
        sound = false;
    struct ga_audit_fault fault = fault_of(GA_FAULT_HOLDER, page, entry);
    fault.mcache = owner;
    fault.found = holder;
    fault.also = entry;
    if (!sound)
        ga_audit_find(findings, &fault);
}

static uint64_t popcount(uint64_t word)
{
    return (uint64_t)__builtin_popcountll(word);
}

static void look_at_word(const struct ga_audit_run *run, ga_page_id page, uint64_t entry,
                         uint64_t holder, uint32_t word, struct ga_audit_account *count,
                         struct ga_audit_findings *findings)
{
    uint32_t nslots = ga_audit_nslots(ga_entry_span_class(entry));
    uint64_t valid = ga_valid_mask(nslots, word);
    uint64_t a = ga_load_acquire(ga_view_a(run->view, page, word));
    uint64_t used = a ^ ga_load_seq_cst(ga_view_f(run->view, page, word));
    struct ga_audit_fault fault = fault_of(GA_FAULT_BEYOND, page, entry);
    fault.word = (int32_t)word;
    fault.found = used;
    fault.also = valid;
    fault.holder = holder;
    if (used & ~valid)
        ga_audit_find(findings, &fault);
    count->in_use += popcount(used & valid);
    count->free += popcount(valid & ~used);
}

static void look_at_bitmaps(const struct ga_audit_run *run, ga_page_id page, uint64_t entry,
                            uint64_t holder, struct ga_audit_account *count,
                            struct ga_audit_findings *findings)
{
    uint32_t nwords = ga_word_count(ga_audit_nslots(ga_entry_span_class(entry)));
    for (uint32_t word = 0; word < nwords; word++)
        look_at_word(run, page, entry, holder, word, count, findings);
    count->objects = count->in_use;
}

/* Nothing is wrong with A and F as such: whatever they say may be. */
static void look_at_blocks(const struct ga_audit_run *run, ga_page_id page,
                           struct ga_audit_account *count)
{
    uint32_t in_use = ga_tiny_count_blocks(run->view, page);
    count->in_use += in_use;
    count->free += GA_TINY_NBLOCKS - in_use;
    count->objects += ga_tiny_count_objects(run->view, page);
}

/* Whether id is an mcache whose batch is of the span. */
static bool has_batch(const struct ga_audit_run *run, ga_mcache_id id, ga_page_id page)
{
    return ga_audit_is_mcache(run, id) &&
           ga_batch_page(ga_load_acquire(&run->view->mcaches[id].batch_where)) == page;
}

/* Whether an mcache is between changing the span's bits and telling of it. */
static bool is_told_of(const struct ga_audit_run *run, ga_page_id page)
{
    if (has_batch(run, ga_load_acquire(&run->view->lines[page].d), page))
        return true;
    for (ga_mcache_id id = 1; id < run->mcache_end; id++)
        if (ga_load_acquire(&run->view->mcaches[id].telling) == page)
            return true;
    return false;
}

/* Nobody leases the span, and no slot of it is in use: the server must know, or be told. A large
 * span that was granted and not taken yet waits for its client. */
static void look_for_lost(const struct ga_audit_run *run, ga_page_id page, uint64_t entry,
                          const struct ga_audit_account *count, struct ga_audit_findings *findings)
{
    if (ga_entry_owner(entry) != 0 || count->in_use > 0 ||
        ga_audit_has(run, GA_AUDIT_SERVER_MIDWAY))
        return;
    if (entry & GA_ENTRY_LARGE && (ga_load_acquire(ga_view_a(run->view, page, 0)) & 1) == 0 &&
        ga_entry_owner(ga_view_entry(run->view, page + 1)) != 0)
        return;
    if (ga_load_seq_cst(ga_view_pending(run->view, page / 64)) >> page % 64 & 1)
        return;
    if (ga_audit_has(run, GA_AUDIT_CLIENTS_MIDWAY) && is_told_of(run, page))
        return;
    struct ga_audit_fault fault = fault_of(GA_FAULT_LOST, page, entry);
    fault.found = entry;
    fault.holder = ga_load_acquire(&run->view->lines[page].holder);
    ga_audit_find(findings, &fault);
}

static void look_at_nholds(const struct ga_audit_run *run, ga_page_id page, uint64_t entry,
                           struct ga_audit_findings *findings)
{
    struct ga_audit_fault fault = fault_of(GA_FAULT_NHOLDS, page, entry);
    fault.found = ga_line_holds(ga_load_seq_cst(&run->view->lines[page].nholds));
    fault.expected = run->hold_end ? ga_audit_count_holds(run, page) : 0;
    uint64_t off = fault.found - fault.expected;
    /* The server is between a record and the count, that is one off. */
    if (off != 0 && !(ga_audit_has(run, GA_AUDIT_SERVER_MIDWAY) && off + 1 <= 2))
        ga_audit_find(findings, &fault);
}

/* id: whose flush is said to be under way, 0 = nobody's; midway: what makes that sound, if it is an
 * mcache whose batch is of this span. */
static void look_at_flush(const struct ga_audit_run *run, ga_page_id page, uint64_t entry,
                          uint32_t id, uint32_t midway, struct ga_audit_findings *findings)
{
    struct ga_audit_fault fault = fault_of(GA_FAULT_FLUSH, page, entry);
    fault.found = id;
    if (has_batch(run, id, page))
        fault.mcache = id;
    if (id != 0 && (fault.mcache == 0 || !ga_audit_has(run, midway)))
        ga_audit_find(findings, &fault);
}

void ga_audit_span(const struct ga_audit_run *run, ga_page_id page, uint64_t entry,
                   struct ga_audit_account *count, struct ga_audit_findings *findings)
{
    const struct ga_span_line *line = &run->view->lines[page];
    ga_span_class span_class = ga_entry_span_class(entry);
    bool tiny = span_class == GA_SPAN_CLASS_TINY;
    uint64_t holder = ga_load_acquire(&line->holder);
    look_at_holder(run, page, entry, holder, findings);
    if (tiny)
        look_at_blocks(run, page, count);
    else
        look_at_bitmaps(run, page, entry, holder, count, findings);
    look_for_lost(run, page, entry, count, findings);
    look_at_nholds(run, page, entry, findings);
    look_at_flush(run, page, entry, ga_load_acquire(&line->d), GA_AUDIT_CLIENTS_MIDWAY, findings);
    look_at_flush(run, page, entry, ga_load_acquire(&line->d_recovery), GA_AUDIT_SERVER_MIDWAY,
                  findings);

    count->spans = 1;
    count->npages = ga_entry_npages(entry);
    count->slots = ga_audit_nslots(span_class);
    uint64_t slot_bytes = tiny             ? GA_TINY_BLOCK_BYTES
                          : span_class < 2 ? count->npages * GA_PAGE_SIZE
                                           : ga_size_classes[span_class / 2].size;
    count->bytes_in_use = count->in_use * slot_bytes;
    count->bytes_free = count->free * slot_bytes;
}

bool ga_audit_find_slot(const struct ga_audit_run *run, uint64_t offset, struct ga_slot *ret)
{
    uint64_t page = offset >> GA_PAGE_SHIFT;
    if (page == 0 || page >= ga_audit_npages(run))
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

bool ga_audit_is_in_use(const struct ga_audit_run *run, const struct ga_slot *slot)
{
    uint32_t word = slot->index / 64;
    uint64_t a = ga_load_acquire(ga_view_a(run->view, slot->page, word));
    uint64_t f = ga_load_seq_cst(ga_view_f(run->view, slot->page, word));
    return (a ^ f) >> slot->index % 64 & 1;
}

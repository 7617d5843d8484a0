/* The tables that the server alone writes, but for the page table: header, arenas, clients, roots,
 * holds, journal. */
#include <errno.h>
#include <string.h>

#include "shm/audit_internal.h"
#include "shm/gc_word.h"
#include "shm/sample.h"

bool ga_audit_find_ends(struct ga_audit_run *run)
{
    const struct ga_meta_header *meta = run->view->meta;
    uint32_t client_end = ga_load_acquire(&meta->client_end);
    uint32_t mcache_end = ga_load_acquire(&meta->mcache_end);
    uint32_t root_end = ga_load_acquire(&meta->root_end);
    uint32_t hold_end = ga_load_acquire(&meta->hold_end);
    const struct ga_table_counts *counts = &run->view->counts;
    if (client_end > counts->clients || mcache_end == 0 || mcache_end > counts->mcaches ||
        root_end > counts->roots || hold_end > counts->holds)
        return false;
    run->client_end = client_end;
    run->mcache_end = mcache_end;
    run->root_end = root_end;
    run->hold_end = hold_end;
    return true;
}

/* Where the tables lie and how far they are used. */
static bool find_tables(struct ga_audit_run *run)
{
    const struct ga_meta_header *meta = run->view->meta;
    char why[128];
    if (ga_geometry_check(meta, why, sizeof(why)) < 0)
        return false;
    run->npages = ga_load_acquire(&meta->committed_npages);
    return ga_audit_find_ends(run);
}

static void look_at_header(struct ga_audit_run *run, uint64_t index, bool again, void *count,
                           struct ga_audit_findings *findings)
{
    (void)index;
    (void)again;
    bool *usable = count;
    const struct ga_meta_header *meta = run->view->meta;
    *usable = find_tables(run);
    struct ga_audit_fault fault = ga_audit_fault(GA_FAULT_HEADER);
    fault.found = ga_load_acquire(&meta->state);
    if (!*usable || meta->header_bytes != sizeof(*meta) || fault.found != GA_HEAP_LIVE ||
        !memchr(meta->name, '\0', sizeof(meta->name)))
        ga_audit_find(findings, &fault);
}

static void look_at_bits_header(struct ga_audit_run *run, uint64_t index, bool again, void *count,
                                struct ga_audit_findings *findings)
{
    (void)index;
    (void)again;
    (void)count;
    const struct ga_meta_header *meta = run->view->meta;
    const void *start = (const char *)run->view->mcaches - meta->bits_mcaches_offset;
    const struct ga_bits_header *bits = start;
    struct ga_audit_fault fault = ga_audit_fault(GA_FAULT_BITS_HEADER);
    fault.found = bits->heap_id;
    fault.expected = meta->heap_id;
    if (bits->magic != GA_BITS_MAGIC || bits->layout_version != GA_LAYOUT_VERSION ||
        bits->heap_id != meta->heap_id)
        ga_audit_find(findings, &fault);
}

int ga_audit_header(struct ga_audit_run *run)
{
    bool usable = false;
    ga_audit_each(run, look_at_header, 0, &usable);
    ga_audit_settle(run);
    /* In use, it may have been mended by now. */
    if (!usable && !(run->options->flags & GA_AUDIT_LIVE && find_tables(run)))
        return -EBADMSG;
    run->ret->npages_committed = run->npages;
    ga_audit_each(run, look_at_bits_header, 0, NULL);
    return 0;
}

/* ---- arenas ---- */

/* How many of the arena's pages are below the committed end. */
static uint64_t ready_of(uint64_t committed, uint64_t arena)
{
    uint64_t first = arena * GA_PAGES_PER_ARENA;
    if (committed <= first)
        return 0;
    return committed - first < GA_PAGES_PER_ARENA ? committed - first : GA_PAGES_PER_ARENA;
}

/* The server marks an arena before the committed end covers it: midway, or live, it may be further
 * than that end says. */
static void look_at_arena(struct ga_audit_run *run, uint64_t arena, bool again, void *count,
                          struct ga_audit_findings *findings)
{
    (void)again;
    (void)count;
    const struct ga_arena_entry *entry = &run->view->arenas[arena];
    struct ga_audit_fault fault = ga_audit_fault(GA_FAULT_ARENA);
    fault.index = (int32_t)arena;
    fault.expected = ready_of(ga_audit_npages(run), arena);
    fault.found = ga_load_acquire(&entry->ready_npages);
    fault.also = ga_load_acquire(&entry->state);
    uint32_t before = arena > 0 ? ga_load_acquire(&entry[-1].state) : GA_ARENA_READY;
    bool midway = ga_audit_has(run, GA_AUDIT_LIVE | GA_AUDIT_SERVER_MIDWAY);
    bool sound = fault.also <= GA_ARENA_READY && fault.also <= before &&
                 fault.found <= GA_PAGES_PER_ARENA && fault.found >= fault.expected;
    sound = sound && (fault.expected == 0 || fault.also == GA_ARENA_READY);
    if (!midway)
        sound = sound && fault.found == fault.expected &&
                (fault.expected > 0 || fault.also != GA_ARENA_READY);
    if (!sound)
        ga_audit_find(findings, &fault);
}

void ga_audit_arenas(struct ga_audit_run *run)
{
    uint64_t narenas = run->view->meta->reserve_bytes / GA_ARENA_SIZE;
    for (uint64_t arena = 0; arena < narenas; arena++)
        ga_audit_each(run, look_at_arena, arena, NULL);
}

/* ---- clients ---- */

static void look_at_client(struct ga_audit_run *run, uint64_t index, bool again, void *count,
                           struct ga_audit_findings *findings)
{
    (void)again;
    bool *attached = count;
    const struct ga_client_entry *client = &run->view->clients[index];
    struct ga_audit_fault fault = ga_audit_fault(GA_FAULT_CLIENT);
    fault.index = (int32_t)index;
    fault.found = ga_load_acquire(&client->state);
    *attached = fault.found == GA_CLIENT_ATTACHED;
    bool in_use = fault.found != GA_CLIENT_FREE;
    if (fault.found > GA_CLIENT_LEAVING ||
        (in_use && (client->pid == 0 || client->policy >= GA_POLICY_COUNT ||
                    (client->flags & ~GA_CLIENT_MANAGED) != 0 ||
                    !memchr(client->name, '\0', sizeof(client->name)))))
        ga_audit_find(findings, &fault);
}

static void look_at_gc_word(struct ga_audit_run *run, uint64_t index, bool again, void *count,
                            struct ga_audit_findings *findings)
{
    (void)again;
    (void)count;
    struct ga_audit_fault fault = ga_audit_fault(GA_FAULT_GC_WORD);
    fault.index = (int32_t)index;
    fault.found = ga_load_acquire(&run->view->gc_words[index]);
    if (!ga_gc_word_is_sound(fault.found))
        ga_audit_find(findings, &fault);
}

void ga_audit_clients(struct ga_audit_run *run)
{
    for (uint32_t i = 0; i < run->client_end; i++) {
        bool attached = false;
        ga_audit_each(run, look_at_client, i, &attached);
        ga_audit_each(run, look_at_gc_word, i, NULL);
        run->ret->clients += attached;
    }
}

/* ---- roots ---- */

static bool is_same_name(const struct ga_root_entry *a, const struct ga_root_entry *b)
{
    return ga_load_acquire(&a->used) != 0 && strncmp(a->name, b->name, sizeof(a->name)) == 0;
}

static void look_at_root(struct ga_audit_run *run, uint64_t index, bool again, void *count,
                         struct ga_audit_findings *findings)
{
    (void)again;
    bool *used = count;
    const struct ga_root_entry *root = &run->view->roots[index];
    struct ga_audit_fault fault = ga_audit_fault(GA_FAULT_ROOT);
    fault.index = (int32_t)index;
    uint32_t state = ga_load_acquire(&root->used);
    *used = state != 0;
    if (!*used)
        return;
    fault.found = ga_load_relaxed(&root->offset);
    fault.also = root->client;
    if (state != 1 || root->name[0] == '\0' || !memchr(root->name, '\0', sizeof(root->name)) ||
        fault.found < GA_PAGE_SIZE || fault.found >= ga_audit_npages(run) * GA_PAGE_SIZE ||
        (root->client != 0 && !ga_audit_is_client(run, root->client)))
        ga_audit_find(findings, &fault);
    for (uint32_t i = 0; i < index; i++) {
        if (!is_same_name(&run->view->roots[i], root))
            continue;
        fault.kind = GA_FAULT_ROOT_TWICE;
        fault.also = i;
        ga_audit_find(findings, &fault);
    }
}

void ga_audit_roots(struct ga_audit_run *run)
{
    for (uint32_t i = 0; i < run->root_end; i++) {
        bool used = false;
        ga_audit_each(run, look_at_root, i, &used);
        run->ret->roots += used;
    }
}

/* ---- holds ---- */

uint64_t ga_audit_count_holds(const struct ga_audit_run *run, ga_page_id page)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < run->hold_end; i++)
        n += ga_hold_counts(ga_load_acquire(&run->view->holds[i].state)) &&
             run->view->holds[i].page == page;
    return n;
}

/* The object may have been freed by somebody who raced with the hold, and its span be gone: that is
 * no fault of the heap (shm/README.md). */
static void look_at_hold(struct ga_audit_run *run, uint64_t index, bool again, void *count,
                         struct ga_audit_findings *findings)
{
    (void)again;
    bool *counts = count;
    const struct ga_hold *hold = &run->view->holds[index];
    uint32_t state = ga_load_acquire(&hold->state);
    *counts = ga_hold_counts(state);
    if (state == GA_HOLD_UNUSED)
        return;
    struct ga_audit_fault fault = ga_audit_fault(GA_FAULT_HOLD);
    fault.index = (int32_t)index;
    fault.page = hold->page;
    fault.found = ga_load_relaxed(&hold->offset);
    fault.also = hold->client;
    bool midway = ga_audit_has(run, GA_AUDIT_SERVER_MIDWAY);
    uint64_t npages = ga_audit_npages(run);
    if (state > GA_HOLD_GONE || (state > GA_HOLD_FREED && !midway) || hold->page == 0 ||
        hold->page >= npages || fault.found >= npages * GA_PAGE_SIZE ||
        fault.found >> GA_PAGE_SHIFT < hold->page || hold->count == 0 ||
        !ga_audit_is_client(run, hold->client)) {
        ga_audit_find(findings, &fault);
        return;
    }
    /* The spans' counts were looked at with the spans; here, that of a span that is gone. */
    fault.kind = GA_FAULT_NHOLDS;
    fault.found = ga_line_holds(ga_load_seq_cst(&run->view->lines[hold->page].nholds));
    fault.expected = ga_audit_count_holds(run, hold->page);
    uint64_t off = fault.found - fault.expected;
    bool is_span = ga_entry_is_span(ga_view_entry(run->view, hold->page));
    if (off != 0 && !is_span && !(midway && off + 1 <= 2))
        ga_audit_find(findings, &fault);
}

void ga_audit_holds(struct ga_audit_run *run)
{
    for (uint32_t i = 0; i < run->hold_end; i++) {
        bool counts = false;
        ga_audit_each(run, look_at_hold, i, &counts);
        run->ret->holds += counts;
    }
}

/* ---- the journal ---- */

static void look_at_journal(struct ga_audit_run *run, uint64_t index, bool again, void *count,
                            struct ga_audit_findings *findings)
{
    (void)index;
    (void)again;
    (void)count;
    bool midway = ga_audit_has(run, GA_AUDIT_SERVER_MIDWAY);
    struct ga_audit_fault fault = ga_audit_fault(GA_FAULT_JOURNAL);
    fault.found = ga_load_acquire(&run->view->meta->journal.kind);
    if (fault.found >= (midway ? GA_JOURNAL_KINDS : GA_JOURNAL_NOTHING + 1))
        ga_audit_find(findings, &fault);
}

void ga_audit_journal(struct ga_audit_run *run)
{
    ga_audit_each(run, look_at_journal, 0, NULL);
}

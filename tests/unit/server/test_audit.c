/* shm/audit.c on a heap core: sound heaps have no faults and a balanced account; and for each kind
 * of fault, one word is spoilt, the audit names it and its place, and is content again when the
 * word is mended. */
#include "shm/audit.h"

#include <errno.h>
#include <string.h>

#include "shm/gc_word.h"
#include "shm/ring.h"
#include "shm/sample.h"
#include "shm/tiny.h"
#include "audit_fixture.h"

static void sound_heaps(void)
{
    ga_core_open(&core, GA_ARENA_SIZE, 0);
    sound_with(GA_AUDIT_COUNTED);
    CU_ASSERT_EQUAL(audit.npages_committed, 0);
    ga_core_close(&core);

    fill();
    sound_with(GA_AUDIT_COUNTED);
    sound_with(GA_AUDIT_CLIENTS_MIDWAY | GA_AUDIT_SERVER_MIDWAY);
    sound_with(GA_AUDIT_LIVE);
    CU_ASSERT_EQUAL(audit.looked_again, 0);
    CU_ASSERT_EQUAL(audit.clients, 1);
    CU_ASSERT_EQUAL(audit.mcaches, 2);
    CU_ASSERT_EQUAL(audit.roots, 2);
    CU_ASSERT_EQUAL(audit.holds, 1);
    ga_core_close(&core);
}

static void account(void)
{
    fill();
    sound_with(0);
    const struct ga_audit_account *all = &audit.all;
    CU_ASSERT_EQUAL(all->slots, all->in_use + all->free);
    CU_ASSERT_EQUAL(all->npages + audit.npages_unused + 1, audit.npages_committed);
    CU_ASSERT_EQUAL(audit.spans_leased, 4);
    CU_ASSERT_EQUAL(audit.spans_large, 1);
    CU_ASSERT_EQUAL(audit.spans_partial, 1);
    CU_ASSERT_EQUAL(audit.spans_full + audit.spans_empty, 0);
    const struct ga_audit_account *of = &audit.by_class[20];
    uint32_t nslots = ga_size_classes[10].nslots;
    CU_ASSERT_EQUAL(of->slots, nslots);
    CU_ASSERT_EQUAL(of->in_use, 2);
    CU_ASSERT_EQUAL(of->free, nslots - 2);
    CU_ASSERT_EQUAL(of->bytes_in_use, 2 * ga_size_classes[10].size);
    of = &audit.by_class[GA_SPAN_CLASS_TINY];
    CU_ASSERT_EQUAL(of->slots, GA_TINY_NBLOCKS);
    CU_ASSERT_EQUAL(of->in_use, 1);
    CU_ASSERT_EQUAL(of->objects, 1);
    CU_ASSERT_EQUAL(audit.by_class[0].in_use, 1);
    CU_ASSERT_EQUAL(audit.by_class[0].bytes_in_use, 2 * GA_CORE_MIB);
    ga_core_close(&core);
}

static void header(void)
{
    fill();
    struct ga_meta_header *meta = core.heap->meta;
    spoil_32(&meta->state, GA_HEAP_ENDED, GA_FAULT_HEADER, 0, 0);
    spoil_32(&meta->client_end, GA_CLIENT_COUNT + 1, GA_FAULT_HEADER, 0, 0);
    spoil_32(&meta->mcache_end, 0, GA_FAULT_HEADER, 0, 0);
    CU_ASSERT_EQUAL(run(0), 0);
    meta->layout_version++;
    CU_ASSERT_EQUAL(run(0), -EBADMSG);
    CU_ASSERT_EQUAL(nfaults, 1);
    CU_ASSERT_PTR_NOT_NULL(find(GA_FAULT_HEADER));
    meta->layout_version--;
    struct ga_bits_header *bits = (void *)core.objects[GA_OBJECT_BITS];
    bits->heap_id++;
    says(0, GA_FAULT_BITS_HEADER, 0, 0);
    bits->heap_id--;
    _Atomic uint32_t *kind = &meta->journal.kind;
    spoil_32(kind, GA_JOURNAL_HOLD, GA_FAULT_JOURNAL, 0, 0);
    ga_store_relaxed(kind, GA_JOURNAL_KINDS);
    says(GA_AUDIT_SERVER_MIDWAY, GA_FAULT_JOURNAL, 0, 0);
    ga_store_relaxed(kind, GA_JOURNAL_HOLD);
    sound_with(GA_AUDIT_SERVER_MIDWAY);
    ga_store_relaxed(kind, GA_JOURNAL_NOTHING);
    sound_with(0);
    ga_core_close(&core);
}

static void arenas(void)
{
    fill();
    struct ga_arena_entry *arena = core.heap->arenas;
    spoil_32(&arena[0].state, GA_ARENA_PREPARED, GA_FAULT_ARENA, 0, 0);
    spoil_32(&arena[0].ready_npages, 3, GA_FAULT_ARENA, 0, 0);
    spoil_32(&arena[1].state, 7, GA_FAULT_ARENA, 0, 0);
    spoil_32(&arena[1].ready_npages, GA_PAGES_PER_ARENA + 1, GA_FAULT_ARENA, 0, 0);
    /* The server marks first, and then says how much is committed. */
    ga_store_relaxed(&arena[0].ready_npages, (uint32_t)core.heap->npages_committed + 5);
    says(0, GA_FAULT_ARENA, 0, 0);
    sound_with(GA_AUDIT_SERVER_MIDWAY);
    ga_core_close(&core);
}

static void pages(void)
{
    fill();
    ga_page_word *table = core.heap->page_table;
    uint64_t entry = ga_load_relaxed(&table[leased]);
    uint64_t of_large = ga_load_relaxed(&table[large]);
    spoil(&table[0], entry, GA_FAULT_PAGE_ZERO, 0, 0);
    spoil(&table[leased], entry & ~GA_ENTRY_INUSE, GA_FAULT_ENTRY, leased, 0);
    spoil(&table[leased], entry | GA_ENTRY_TINY, GA_FAULT_ENTRY, leased, 0);
    spoil(&table[leased], entry | 0xff, GA_FAULT_ENTRY, leased, 0);
    spoil(&table[leased], entry | BIT(63), GA_FAULT_ENTRY, leased, 0);
    spoil(&table[leased], entry | GA_ENTRY_SCAVENGED, GA_FAULT_ENTRY, leased, 0);
    spoil(&table[unused], ~UINT64_C(0), GA_FAULT_ENTRY, unused, 0);
    spoil(&table[unused], GA_ENTRY_SCAVENGED | GA_ENTRY_INUSE, GA_FAULT_ENTRY, unused, 0);
    spoil(&table[large], of_large | GA_ENTRY_SPAN_MASK << GA_ENTRY_SPAN_SHIFT, GA_FAULT_LENGTH,
          large, 0);
    spoil(&table[leased], entry + (1 << GA_ENTRY_SPAN_SHIFT), GA_FAULT_LENGTH, leased, 0);
    spoil(&table[large + 3], 0, GA_FAULT_INNER, large + 3, 0);
    spoil(&table[large + 3], entry, GA_FAULT_INNER, large + 3, 0);
    spoil(&table[leased], ga_entry_with_owner(entry, nobody), GA_FAULT_OWNER, leased, nobody);
    spoil(&table[leased], ga_entry_with_owner(entry, 0xfffff), GA_FAULT_OWNER, leased, 0xfffff);
    spoil(&table[large + 1], ga_entry_with_owner(ga_load_relaxed(&table[large + 1]), 4000),
          GA_FAULT_LARGE_CLIENT, large, 0);
    ga_core_close(&core);
}

static void spans(void)
{
    fill();
    struct ga_span_line *line = &core.view.lines[leased];
    spoil(&line->holder, ga_holder_next(ga_load_relaxed(&line->holder), idle, 0), GA_FAULT_HOLDER,
          leased, mcache);
    spoil(&line->holder, ~UINT64_C(0), GA_FAULT_HOLDER, leased, mcache);
    spoil(&core.view.lines[partial].holder, mcache, GA_FAULT_HOLDER, partial, 0);
    spoil_32(&line->d, 1, GA_FAULT_FLUSH, leased, 0);
    spoil(&line->nholds, 2, GA_FAULT_NHOLDS, leased, 0);
    spoil(&core.view.lines[large].a[0], 5, GA_FAULT_BEYOND, large, 0);
    /* The one object of a span that nobody leases is freed, and nobody told of it. */
    spoil(&core.view.lines[partial].f[0], ga_load_relaxed(&core.view.lines[partial].a[0]),
          GA_FAULT_LOST, partial, 0);
    spoil(&core.view.lines[large].f[0], 1, GA_FAULT_LOST, large, 0);
    ga_core_close(&core);
}

static void news(void)
{
    fill();
    struct ga_span_line *line = &core.view.lines[partial];
    ga_store_relaxed(&line->f[0], ga_load_relaxed(&line->a[0]));
    says(0, GA_FAULT_LOST, partial, 0);
    /* It is told of just now; or it was. */
    ga_store_relaxed(&core.view.mcaches[idle].telling, partial);
    sound_with(GA_AUDIT_CLIENTS_MIDWAY);
    ga_store_relaxed(&core.view.mcaches[idle].telling, 0);
    sound_with(GA_AUDIT_SERVER_MIDWAY);
    ga_slot_tell(&core.view, partial);
    sound_with(0);
    uint64_t end = core.heap->npages_committed;
    if (end % 64 == 0)
        ga_store_relaxed(&core.heap->meta->committed_npages, --end);
    ga_store_relaxed(ga_view_pending(&core.view, end / 64),
                     ga_load_relaxed(ga_view_pending(&core.view, end / 64)) | BIT(63));
    says(GA_AUDIT_SERVER_MIDWAY, GA_FAULT_PENDING, (ga_page_id)end, 0);
    ga_core_close(&core);
}

static void mcaches(void)
{
    fill();
    struct ga_mcache_entry *entry = core.heap->mcache_entries;
    struct ga_mcache *of = &core.view.mcaches[mcache];
    spoil_32(&entry[idle].client, 3999, GA_FAULT_MCACHE_CLIENT, 0, idle);
    spoil_32(&entry[mcache].nspans, 3, GA_FAULT_LEASES, 0, mcache);
    spoil_32(&entry[idle].nspans, 1, GA_FAULT_LEASES, 0, idle);
    spoil(&entry[mcache].leased_bytes, 8192, GA_FAULT_LEASED_BYTES, 0, mcache);
    spoil(&of->telling, UINT64_C(1) << 40, GA_FAULT_TELLING, 0, mcache);
    spoil_at_rest(&of->telling, leased, GA_FAULT_TELLING, 0, mcache);
    spoil(&core.view.mcaches[nobody].telling, 1, GA_FAULT_LEFT, 0, nobody);
    spoil(&core.view.mcaches[nobody].into_handle, 1, GA_FAULT_LEFT, 0, nobody);
    spoil(&of->into_handle, GA_HANDLE_COUNT + 1, GA_FAULT_INTO, 0, mcache);
    spoil_at_rest(&of->into_handle, GA_HANDLE_COUNT, GA_FAULT_INTO, 0, mcache);
    ga_core_close(&core);
}

static void tinies(void)
{
    fill();
    _Atomic uint64_t *word = &core.view.mcaches[mcache].tiny;
    uint64_t good = ga_load_relaxed(word);
    spoil(word, (good & ~GA_TINY_PAGE_MASK) | leased, GA_FAULT_TINY, leased, mcache);
    spoil(word, ~UINT64_C(0), GA_FAULT_TINY, (ga_page_id)GA_TINY_PAGE_MASK, mcache);
    spoil(word, ga_tiny_word(tiny, GA_TINY_NUNITS + 1), GA_FAULT_TINY, tiny, mcache);
    spoil(word, good | UINT64_C(1) << 63, GA_FAULT_TINY, tiny, mcache);
    ga_core_close(&core);
}

static void rings(void)
{
    fill();
    _Atomic uint64_t *entry = core.heap->rings[mcache].entry;
    uint64_t first = ga_load_relaxed(&entry[0]);
    uint64_t second = ga_load_relaxed(&entry[1]);
    ga_page_id page = ga_ring_page(second);
    CU_ASSERT(ga_ring_state(second) == GA_RING_READY);
    spoil(&entry[5], first, GA_FAULT_RING, 0, mcache);
    spoil(&entry[0], 0, GA_FAULT_RING, 0, mcache);
    spoil(&entry[0], ga_ring_entry(1, GA_RING_RESERVED, ga_ring_page(first)), GA_FAULT_RING, 0,
          mcache);
    spoil(&entry[1], ga_ring_entry(2, GA_RING_READY, partial), GA_FAULT_RING_SPAN, partial, mcache);
    spoil(&entry[1], ga_ring_entry(2, GA_RING_READY, (ga_page_id)GA_RING_PAGE_MASK),
          GA_FAULT_RING_SPAN, (ga_page_id)GA_RING_PAGE_MASK, mcache);
    spoil(&entry[0], ga_ring_entry(1, GA_RING_READY, page), GA_FAULT_RING_TWICE, page, mcache);
    spoil(&core.view.mcaches[mcache].ring_taken, 3, GA_FAULT_RING_TAKEN, 0, mcache);
    /* The last entry may be one that the server is at. */
    ga_store_relaxed(&entry[1], ga_ring_entry(2, GA_RING_RESERVED, page));
    says(0, GA_FAULT_RING, 0, mcache);
    sound_with(GA_AUDIT_SERVER_MIDWAY);
    ga_core_close(&core);
}

static void tables(void)
{
    fill();
    spoil_32(&core.heap->clients[client].state, 7, GA_FAULT_CLIENT, 0, 0);
    struct ga_client_entry was = core.heap->clients[client];
    memset(core.heap->clients[client].name, 'x', sizeof(was.name));
    says(0, GA_FAULT_CLIENT, 0, 0);
    memcpy(core.heap->clients[client].name, was.name, sizeof(was.name));
    struct ga_root_entry *root = core.heap->roots;
    spoil(&root[0].offset, UINT64_C(1) << 50, GA_FAULT_ROOT, 0, 0);
    spoil_32(&root[1].used, 2, GA_FAULT_ROOT, 0, 0);
    root[1].client = 3999;
    says(0, GA_FAULT_ROOT, 0, 0);
    root[1].client = 0;
    root[1].name[0] = 'a';
    says(0, GA_FAULT_ROOT_TWICE, 0, 0);
    root[1].name[0] = '\0';
    says(0, GA_FAULT_ROOT, 0, 0);
    root[1].name[0] = 'b';
    struct ga_hold *hold = core.heap->holds;
    spoil_32(&hold->state, 9, GA_FAULT_HOLD, leased, 0);
    spoil_32(&hold->state, GA_HOLD_GONE, GA_FAULT_HOLD, leased, 0);
    spoil(&hold->offset, 0, GA_FAULT_HOLD, leased, 0);
    hold->page = unused;
    ga_store_relaxed(&hold->offset, unused * GA_PAGE_SIZE);
    says(0, GA_FAULT_NHOLDS, leased, 0); /* one too many there, */
    nfaults = 0;
    ga_store_relaxed(&core.view.lines[leased].nholds, 0);
    says(0, GA_FAULT_NHOLDS, unused, 0); /* and one too few here */
    ga_core_close(&core);
}

static void handles(void)
{
    fill();
    _Atomic uint64_t *handle = &core.view.handles[client].object[5];
    _Atomic uint64_t *left = &core.view.handles[client - 1].object[GA_HANDLE_COUNT - 1];
    ga_store_relaxed(handle, GA_CORE_BASE + held);
    sound_with(0);
    spoil(handle, GA_CORE_BASE + held + 8, GA_FAULT_HANDLE, 0, 0);
    spoil(handle, 8, GA_FAULT_HANDLE, 0, 0);
    spoil(handle, GA_CORE_BASE + tiny * GA_PAGE_SIZE, GA_FAULT_HANDLE, 0, 0);
    spoil(handle, GA_CORE_BASE + unused * GA_PAGE_SIZE, GA_FAULT_HANDLE, 0, 0);
    spoil(handle, GA_CORE_BASE + (large + 1) * GA_PAGE_SIZE, GA_FAULT_HANDLE, 0, 0);
    spoil(left, GA_CORE_BASE + held, GA_FAULT_HANDLE_LEFT, 0, 0);
    /* Freed, and not empty: the server is at it, or the client has it wrong. */
    ga_store_relaxed(handle, GA_CORE_BASE + (uint64_t)large * GA_PAGE_SIZE);
    ga_store_relaxed(&core.view.lines[large].f[0], 1);
    says(0, GA_FAULT_HANDLE, 0, 0);
    CU_ASSERT(find(GA_FAULT_HANDLE)->index == (int32_t)client);
    CU_ASSERT_EQUAL(find(GA_FAULT_HANDLE)->word, 5);
    sound_with(GA_AUDIT_SERVER_MIDWAY);
    ga_core_close(&core);
}

/* Where the word of the object at offset lies. */
static _Atomic uint64_t *word_of(uint64_t offset)
{
    uint64_t word = 0;
    CU_ASSERT_FATAL(ga_sample_find(&core.view, offset, &word));
    uint64_t set = offset / GA_PAGE_SIZE / GA_SAMPLE_SET_NPAGES;
    _Atomic uint64_t *at = &core.view.samples[set * core.view.sample_words];
    while (ga_load_relaxed(at) != word)
        at++;
    return at;
}

/* Each word speaks of an object in use, where it is looked for, and is counted. */
static void samples(void)
{
    fill();
    uint64_t of_large = (uint64_t)large * GA_PAGE_SIZE;
    uint64_t sample = ga_sample_make(client, 1, 3);
    CU_ASSERT(ga_sample_put(&core.view, leased, held, sample));
    CU_ASSERT(ga_sample_put(&core.view, large, of_large, sample));
    sound_with(0);
    CU_ASSERT_EQUAL(audit.samples, 2);
    _Atomic uint64_t *of_held = word_of(held);
    ga_page_id held_page = (ga_page_id)(held / GA_PAGE_SIZE);
    spoil(of_held, ga_load_relaxed(of_held) + 1, GA_FAULT_SAMPLE, held_page, 0);
    spoil(word_of(of_large), ga_load_relaxed(word_of(of_large)) + 2 * GA_PAGE_SIZE / 8,
          GA_FAULT_SAMPLE, large + 2, 0);
    /* Another word for the same, which a free would leave; and one that nobody would find. */
    uint64_t set = held / GA_PAGE_SIZE / GA_SAMPLE_SET_NPAGES;
    _Atomic uint64_t *words = &core.view.samples[set * core.view.sample_words];
    uint32_t line = (uint32_t)(of_held - words) / 8;
    spoil(of_held + 1, ga_load_relaxed(of_held), GA_FAULT_SAMPLE_PLACE, held_page, 0);
    spoil(&words[(line ^ 2) * 8], ga_load_relaxed(of_held), GA_FAULT_SAMPLE_PLACE, held_page, 0);
    /* Too many may be counted, but not too few. */
    _Atomic uint64_t *count = &core.view.lines[leased].nholds;
    CU_ASSERT_EQUAL(ga_load_relaxed(count), UINT64_C(1) << 32 | 1);
    spoil(count, 1, GA_FAULT_NSAMPLES, leased, 0);
    ga_store_relaxed(count, UINT64_C(2) << 32 | 1);
    sound_with(0);
    /* Freed, and its word left. */
    ga_store_relaxed(&core.view.lines[large].f[0], 1);
    says(0, GA_FAULT_SAMPLE, large, 0);
    CU_ASSERT_EQUAL(find(GA_FAULT_SAMPLE)->index, (int32_t)(large / GA_SAMPLE_SET_NPAGES));
    ga_core_close(&core);
}

/* A span that begins in one set and has objects in the next. */
static void samples_of_two_sets(void)
{
    fill();
    struct ga_slot slot;
    uint32_t span_class = 0;
    for (uint32_t c = 2; c < GA_SPAN_CLASS_COUNT; c += 2)
        if (ga_size_classes[c / 2].npages > ga_size_classes[span_class / 2].npages)
            span_class = c;
    ga_page_id page;
    do
        page = ga_core_lease(&core, client, mcache, (ga_span_class)span_class);
    while (page / GA_SAMPLE_SET_NPAGES ==
           (page + ga_size_classes[span_class / 2].npages - 1) / GA_SAMPLE_SET_NPAGES);
    CU_ASSERT_FATAL(ga_core_claim(&core, mcache, page));
    for (uint32_t i = 0; i < ga_size_classes[span_class / 2].nslots; i++) {
        CU_ASSERT_EQUAL_FATAL(ga_core_malloc(&core, mcache, (ga_span_class)span_class, &slot), 0);
        CU_ASSERT_EQUAL_FATAL(slot.page, page);
        uint64_t offset =
            page * GA_PAGE_SIZE + slot.index * (uint64_t)ga_size_classes[span_class / 2].size;
        CU_ASSERT(ga_sample_put(&core.view, page, offset, ga_sample_make(client, 1, 3)));
    }
    sound_with(0);
    CU_ASSERT_EQUAL(audit.samples, ga_size_classes[span_class / 2].nslots);
    _Atomic uint64_t *count = &core.view.lines[page].nholds;
    spoil(count, ga_load_relaxed(count) - (UINT64_C(1) << 32), GA_FAULT_NSAMPLES, page, 0);
    ga_core_close(&core);
}

static void gc_words(void)
{
    fill();
    _Atomic uint64_t *word = &core.view.gc_words[client];
    ga_store_relaxed(word, ga_gc_word(GA_GC_STOPPED, 7));
    sound_with(0);
    ga_store_relaxed(word, ga_gc_word(GA_GC_STOPPED, UINT32_MAX));
    sound_with(0);
    ga_store_relaxed(word, ga_gc_word(GA_GC_RUNNING, 7));
    CU_ASSERT_EQUAL(ga_load_relaxed(word), 0);
    spoil(word, 4, GA_FAULT_GC_WORD, 0, 0);
    spoil(word, 6, GA_FAULT_GC_WORD, 0, 0);
    spoil(word, 7, GA_FAULT_GC_WORD, 0, 0);
    spoil(word, UINT64_C(1) << 34 | 1, GA_FAULT_GC_WORD, 0, 0);
    ga_core_close(&core);
}

static void counters(void)
{
    fill();
    _Atomic uint64_t *nfree = &core.view.mcaches[mcache].classes[20].nfree;
    ga_store_relaxed(nfree, ga_load_relaxed(nfree) + 1);
    says(GA_AUDIT_COUNTED, GA_FAULT_COUNTERS, 0, 0);
    CU_ASSERT_EQUAL(find(GA_FAULT_COUNTERS)->index, 10);
    sound_with(0);
    ga_core_close(&core);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"sound heaps", sound_heaps},
        {"account", account},
        {"header", header},
        {"arenas", arenas},
        {"pages", pages},
        {"spans", spans},
        {"news", news},
        {"mcaches", mcaches},
        {"tiny objects", tinies},
        {"rings", rings},
        {"tables", tables},
        {"handles", handles},
        {"samples", samples},
        {"samples of two sets", samples_of_two_sets},
        {"gc words", gc_words},
        {"counters", counters},
    };
    return ga_test_main("server.audit", tests, COUNT(tests));
}

/* Taking over a heap whose server has ended, or died at any point of its work.
 *
 * First everything is checked and nothing changed: what meta says was written by that server alone,
 * but by another process. Nothing in bits is a reason to refuse, since any client can write it.
 * Then the books are made again from it: the page table tells of spans, owners and large objects'
 * clients, and bits of what is in use. What must be backed is known from what is in use; to back a
 * page again is harmless. Last comes what the old server may have left half done: a lease whose end
 * it had begun, news that it had taken and not passed on.
 *
 * Clients that live go on allocating and freeing all the while: a free in a span of nobody sets its
 * pending bit, which the next sweep finds. */
#include "server/heap_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shm/size_class.h"

struct adoption {
    const struct ga_heap_config *config;
    const struct ga_meta_header *meta;
    struct ga_view view;
    uint64_t npages_committed;
    uint64_t npages_inuse;
    char *why;
};

__attribute__((format(printf, 2, 3))) static int refuse(const struct adoption *adoption,
                                                        const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(adoption->why, GA_ADOPT_WHY_BYTES, format, arguments);
    va_end(arguments);
    return -EBADMSG;
}

/* ---- checks ---- */

static int check_header(struct adoption *adoption)
{
    const struct ga_heap_config *config = adoption->config;
    const struct ga_meta_header *meta = adoption->meta;
    if (ga_geometry_check(meta, adoption->why, GA_ADOPT_WHY_BYTES) < 0)
        return -EBADMSG;
    uint32_t state = ga_load_acquire(&meta->state);
    if (state != GA_HEAP_LIVE)
        return refuse(adoption,
                      state == GA_HEAP_ENDED ? "it has ended" : "it was not made to its end");
    if (meta->header_bytes != sizeof(*meta))
        return refuse(adoption, "its header is damaged: it says that it has %" PRIu32 " bytes",
                      meta->header_bytes);
    if (strncmp(meta->name, config->name, sizeof(meta->name)) != 0)
        return refuse(adoption, "its header is damaged: it is of a heap of another name");
    if (meta->base != config->base || meta->reserve_bytes != config->reserve_bytes)
        return refuse(adoption, "it lies at 0x%" PRIx64 " and has a reserve of %" PRIu64 " bytes",
                      meta->base, meta->reserve_bytes);
    adoption->npages_committed = ga_load_relaxed(&meta->committed_npages);
    if (adoption->npages_committed > config->reserve_bytes / GA_PAGE_SIZE)
        return refuse(adoption, "it has %" PRIu64 " bytes committed, more than its reserve",
                      adoption->npages_committed * GA_PAGE_SIZE);
    uint32_t mcache_end = ga_load_relaxed(&meta->mcache_end);
    const struct ga_table_counts expected = ga_table_counts_of_server();
    const struct ga_table_counts counts = meta->counts;
    if (memcmp(&counts, &expected, sizeof(counts)) != 0)
        return refuse(adoption, "its header is damaged: it is of a process's own heap");
    if (ga_load_relaxed(&meta->client_end) > counts.clients || mcache_end == 0 ||
        mcache_end > counts.mcaches || ga_load_relaxed(&meta->root_end) > counts.roots ||
        ga_load_relaxed(&meta->hold_end) > counts.holds)
        return refuse(adoption, "its header is damaged: the tables' ends are wrong");
    return 0;
}

/* Whether client_plus_1 is 0 or stands for a client that is attached, or leaving. */
static bool is_client(const struct adoption *adoption, uint32_t client_plus_1)
{
    return client_plus_1 <= ga_load_relaxed(&adoption->meta->client_end) &&
           (client_plus_1 == 0 ||
            ga_load_relaxed(&adoption->view.clients[client_plus_1 - 1].state) != GA_CLIENT_FREE);
}

static int check_clients(const struct adoption *adoption)
{
    uint32_t end = ga_load_relaxed(&adoption->meta->client_end);
    for (uint32_t i = 0; i < end; i++) {
        const struct ga_client_entry *entry = &adoption->view.clients[i];
        uint32_t state = ga_load_relaxed(&entry->state);
        if (state > GA_CLIENT_LEAVING ||
            (state != GA_CLIENT_FREE &&
             (entry->policy >= GA_POLICY_COUNT || (entry->flags & ~GA_CLIENT_MANAGED) != 0)) ||
            !memchr(entry->name, '\0', sizeof(entry->name)))
            return refuse(adoption, "its entry of client %" PRIu32 " is damaged", i + 1);
    }
    end = ga_load_relaxed(&adoption->meta->mcache_end);
    for (uint32_t id = 1; id < end; id++) {
        uint32_t client_plus_1 = ga_load_relaxed(&adoption->view.mcache_entries[id].client);
        if (!is_client(adoption, client_plus_1))
            return refuse(adoption,
                          "mcache %" PRIu32 " belongs to client %" PRIu32 ", which is not attached",
                          id, client_plus_1);
    }
    return 0;
}

static bool root_is_sound(const struct adoption *adoption, const struct ga_root_entry *root)
{
    return root->name[0] != '\0' && memchr(root->name, '\0', sizeof(root->name)) &&
           root->offset < adoption->npages_committed * GA_PAGE_SIZE &&
           is_client(adoption, root->client);
}

static int check_roots(const struct adoption *adoption)
{
    uint32_t end = ga_load_relaxed(&adoption->meta->root_end);
    for (uint32_t i = 0; i < end; i++) {
        const struct ga_root_entry *root = &adoption->view.roots[i];
        if (ga_load_acquire(&root->used) == 0)
            continue;
        if (!root_is_sound(adoption, root))
            return refuse(adoption, "its root %" PRIu32 " is damaged", i);
    }
    return 0;
}

static bool hold_is_sound(const struct adoption *adoption, const struct ga_hold *hold)
{
    return hold->page < adoption->npages_committed && hold->client != 0 &&
           is_client(adoption, hold->client);
}

static int check_holds(const struct adoption *adoption)
{
    uint32_t end = ga_load_relaxed(&adoption->meta->hold_end);
    for (uint32_t i = 0; i < end; i++) {
        const struct ga_hold *hold = &adoption->view.holds[i];
        uint32_t state = ga_load_acquire(&hold->state);
        if (state == GA_HOLD_UNUSED)
            continue;
        if (state > GA_HOLD_GONE || !hold_is_sound(adoption, hold) ||
            (state != GA_HOLD_GONE && hold->count == 0))
            return refuse(adoption, "its hold %" PRIu32 " is damaged", i);
    }
    return 0;
}

/* The record that a change is of is whole, whether it is used already or not. */
static bool change_is_sound(const struct adoption *adoption, const struct ga_journal *journal,
                            uint32_t kind)
{
    uint32_t nroots = ga_load_relaxed(&adoption->meta->root_end);
    uint32_t nholds = ga_load_relaxed(&adoption->meta->hold_end);
    if (kind == GA_JOURNAL_PUT_OFF)
        return true;
    if (kind <= GA_JOURNAL_UNPUBLISH) {
        if (journal->index >= nroots)
            return false;
        const struct ga_root_entry *root = &adoption->view.roots[journal->index];
        if (kind == GA_JOURNAL_REPLACE)
            return ga_load_relaxed(&root->used) && journal->publisher != 0 &&
                   is_client(adoption, journal->publisher) &&
                   journal->offset < adoption->npages_committed * GA_PAGE_SIZE;
        return kind == GA_JOURNAL_UNPUBLISH || (root->client != 0 && root_is_sound(adoption, root));
    }
    if (journal->index >= nholds)
        return false;
    const struct ga_hold *hold = &adoption->view.holds[journal->index];
    return kind != GA_JOURNAL_HOLD ? journal->count != 0 || kind == GA_JOURNAL_RELEASE
                                   : hold_is_sound(adoption, hold);
}

static int check_journal(const struct adoption *adoption)
{
    const struct ga_journal *journal = &adoption->meta->journal;
    uint32_t kind = ga_load_relaxed(&journal->kind);
    if (kind == GA_JOURNAL_NOTHING)
        return 0;
    if (kind >= GA_JOURNAL_KINDS || !is_client(adoption, journal->client) ||
        journal->place >= GA_OUTCOME_COUNT || !change_is_sound(adoption, journal, kind))
        return refuse(adoption, "its journal is damaged");
    return 0;
}

static int bad_page(const struct adoption *adoption, uint64_t page, const char *what)
{
    return refuse(adoption, "its page table contradicts itself: page %" PRIu64 " %s", page, what);
}

static bool length_is_sound(ga_span_class span_class, uint64_t npages)
{
    uint32_t size_class = span_class / 2u;
    return size_class == 0 ? npages >= GA_LARGE_NPAGES_MIN
                           : npages == ga_size_classes[size_class].npages;
}

static int check_span(const struct adoption *adoption, uint64_t page, uint64_t entry)
{
    ga_span_class span_class = ga_entry_span_class(entry);
    uint64_t npages = ga_entry_npages(entry);
    bool large = span_class < 2;
    bool tiny = span_class == GA_SPAN_CLASS_TINY;
    if (span_class >= GA_SPAN_CLASS_COUNT || large != ((entry & GA_ENTRY_LARGE) != 0) ||
        tiny != ((entry & GA_ENTRY_TINY) != 0))
        return bad_page(adoption, page, "has a class that does not exist");
    if (entry & GA_ENTRY_SCAVENGED)
        return bad_page(adoption, page, "begins a span and has no memory");
    if (!length_is_sound(span_class, npages) || npages > adoption->npages_committed - page)
        return bad_page(adoption, page, "begins a span of a length that cannot be");
    for (uint64_t i = 1; i < npages; i++) {
        uint64_t inner = ga_view_entry(&adoption->view, page + i);
        if ((inner & (GA_ENTRY_INUSE | GA_ENTRY_FIRST)) != GA_ENTRY_INUSE ||
            ga_entry_distance(inner) != i || ga_entry_span_class(inner) != span_class)
            return bad_page(adoption, page + i, "does not belong to the span that it lies in");
    }
    ga_mcache_id owner = ga_entry_owner(entry);
    if (owner != 0 && (owner >= ga_load_relaxed(&adoption->meta->mcache_end) ||
                       ga_load_relaxed(&adoption->view.mcache_entries[owner].client) == 0))
        return bad_page(adoption, page, "is leased to an mcache of nobody");
    if (owner != 0 && (entry & GA_ENTRY_ORPHAN))
        return bad_page(adoption, page, "is leased, and left behind for good");
    if (large && !is_client(adoption, ga_entry_owner(ga_view_entry(&adoption->view, page + 1))))
        return bad_page(adoption, page + 1, "names a client that is not attached");
    return 0;
}

static int check_page_table(struct adoption *adoption)
{
    uint64_t end = adoption->npages_committed;
    if (end > 0 && ga_view_entry(&adoption->view, 0) != 0)
        return bad_page(adoption, 0, "is in use");
    for (uint64_t page = 1; page < end;) {
        uint64_t entry = ga_view_entry(&adoption->view, page);
        if (!ga_entry_is_span(entry)) {
            if (entry & GA_ENTRY_SCAVENGED && entry != GA_ENTRY_SCAVENGED)
                return bad_page(adoption, page, "has no memory, and something else beside");
            page++;
            continue;
        }
        int r = check_span(adoption, page, entry);
        if (r < 0)
            return r;
        adoption->npages_inuse += ga_entry_npages(entry);
        page += ga_entry_npages(entry);
    }
    return 0;
}

/* What has memory beyond that, and is not in use, can be given back. */
/* With the page that is nobody's, as soon as there is any. */
uint64_t ga_adopt_least_limit(uint64_t npages_committed, uint64_t npages_inuse)
{
    return npages_committed ? (npages_inuse + 1) * GA_PAGE_SIZE : 0;
}

static int check_limit(const struct adoption *adoption)
{
    const struct ga_heap_config *config = adoption->config;
    uint64_t limit = config->limit_bytes ? config->limit_bytes : config->reserve_bytes;
    uint64_t least = ga_adopt_least_limit(adoption->npages_committed, adoption->npages_inuse);
    if (least <= limit)
        return 0;
    (void)refuse(adoption, "it has %" PRIu64 " bytes in use, more than the limit", least);
    return -EINVAL;
}

static int check(struct adoption *adoption, void *bits)
{
    int r = check_header(adoption);
    if (r < 0)
        return r;
    adoption->view =
        ga_view_of(adoption->meta, bits); /* where the tables are is known to be right */
    r = check_clients(adoption);
    if (r == 0)
        r = check_roots(adoption);
    if (r == 0)
        r = check_holds(adoption);
    if (r == 0)
        r = check_journal(adoption);
    if (r == 0)
        r = check_page_table(adoption);
    if (r == 0)
        r = check_limit(adoption);
    return r;
}

/* ---- books ---- */

/* Back once more what was backed of a table: its first count entries. */
static int back_table(struct ga_backing *backing, uint64_t offset, uint64_t count,
                      uint64_t entry_bytes)
{
    return ga_backing_ensure(backing, offset, count * entry_bytes);
}

static int back(struct ga_heap *heap)
{
    const struct ga_meta_header *meta = heap->meta;
    uint32_t mcache_end = ga_load_relaxed(&meta->mcache_end);
    struct ga_backing *of_meta = &heap->meta_backing;
    struct ga_backing *of_bits = &heap->bits_backing;
    int r = ga_backing_ensure(of_meta, 0, sizeof(*meta));
    if (r == 0)
        r = back_table(of_meta, meta->arenas_offset, meta->reserve_bytes / GA_ARENA_SIZE,
                       sizeof(struct ga_arena_entry));
    if (r == 0)
        r = ga_backing_ensure(of_bits, 0, sizeof(struct ga_bits_header));
    if (r == 0)
        r = back_table(of_meta, meta->clients_offset, ga_load_relaxed(&meta->client_end),
                       sizeof(struct ga_client_entry));
    if (r == 0)
        r = ga_handles_back(heap, 0, ga_load_relaxed(&meta->client_end));
    if (r == 0)
        r = ga_clients_back_gc_words(heap, 0, ga_load_relaxed(&meta->client_end));
    if (r == 0)
        r = ga_profiles_back_again(heap, ga_load_relaxed(&meta->client_end));
    if (r == 0 && mcache_end > 1)
        r = back_table(of_meta, meta->mcaches_offset, mcache_end, sizeof(struct ga_mcache_entry));
    if (r == 0)
        r = back_table(of_meta, meta->rings_offset + sizeof(struct ga_ring), mcache_end - 1,
                       sizeof(struct ga_ring));
    if (r == 0)
        r = back_table(of_bits, meta->bits_mcaches_offset + sizeof(struct ga_mcache),
                       mcache_end - 1, sizeof(struct ga_mcache));
    if (r == 0)
        r = back_table(of_meta, meta->roots_offset, ga_load_relaxed(&meta->root_end),
                       sizeof(struct ga_root_entry));
    if (r == 0)
        r = back_table(of_meta, meta->holds_offset, ga_load_relaxed(&meta->hold_end),
                       sizeof(struct ga_hold));
    if (r == 0 && heap->npages_committed > 0)
        r = ga_mheap_back_tables(heap, 0, heap->npages_committed);
    return r;
}

/* Enter the span at page in the books, on its owner's or its client's list. */
static int enter_span(struct ga_heap *heap, ga_page_id page, uint64_t entry)
{
    ga_span_class span_class = ga_entry_span_class(entry);
    uint64_t npages = ga_entry_npages(entry);
    ga_mcache_id owner = ga_entry_owner(entry);
    int r = ga_mheap_back_bits(heap, page, span_class);
    if (r < 0)
        return r;
    ga_page_alloc_take(heap->pages, page, npages);
    struct ga_mspan *span = &heap->mspans[page];
    *span = (struct ga_mspan){.npages = (uint32_t)npages,
                              .owner = owner,
                              .made_s = (uint32_t)(heap->started_ms / 1000),
                              .span_class = span_class};
    heap->nspans++;
    heap->spans_by_class[span_class / 2]++;
    heap->nspans_tiny += span_class == GA_SPAN_CLASS_TINY;
    heap->npages_inuse += npages;
    if (owner) {
        struct ga_mcache_record *record = ga_mcache_record(heap, owner);
        span->place = GA_SPAN_LEASED;
        ga_span_list_push(&record->leased, heap->mspans, page);
        record->leased_bytes += npages * GA_PAGE_SIZE;
        record->leased_by_class[span_class / 2]++;
        heap->nspans_leased++;
        ga_quota_charge_span(heap, record->client_plus_1 - 1, page);
    } else if (ga_mspan_is_large(span)) {
        span->place = GA_SPAN_LARGE;
        span->client_plus_1 = ga_entry_owner(ga_load_relaxed(&heap->page_table[page + 1]));
        if (span->client_plus_1) {
            ga_span_list_push(&heap->client_records[span->client_plus_1 - 1].large, heap->mspans,
                              page);
            ga_quota_charge_span(heap, span->client_plus_1 - 1, page);
        }
    }
    return 0;
}

static int enter_spans(struct ga_heap *heap)
{
    uint64_t end = heap->npages_committed;
    if (end > 1)
        ga_page_alloc_grow(heap->pages, 1, end - 1);
    for (uint64_t page = 1; page < end;) {
        uint64_t entry = ga_load_relaxed(&heap->page_table[page]);
        if (!ga_entry_is_span(entry)) {
            if (entry == GA_ENTRY_SCAVENGED)
                ga_page_alloc_set_scavenged(heap->pages, page, 1);
            page++;
            continue;
        }
        int r = enter_span(heap, (ga_page_id)page, entry);
        if (r < 0)
            return r;
        page += ga_entry_npages(entry);
    }
    return 0;
}

/* The heap object ends where its last prepared arena does; the old server may have died between
 * making it longer and saying so. */
static int find_end(struct ga_heap *heap)
{
    uint64_t narenas = heap->npages_reserved / GA_PAGES_PER_ARENA;
    uint64_t n = (heap->npages_committed + GA_PAGES_PER_ARENA - 1) / GA_PAGES_PER_ARENA;
    while (n < narenas && ga_load_relaxed(&heap->arenas[n].state) >= GA_ARENA_PREPARED)
        n++;
    heap->narenas_prepared = n;
    return heap->effects.resize(heap->effects.data, GA_OBJECT_HEAP, n * GA_ARENA_SIZE);
}

static int rebuild(struct ga_heap *heap)
{
    heap->npages_committed = ga_load_relaxed(&heap->meta->committed_npages);
    heap->zeroed_from = heap->npages_committed; /* nobody has written down how far it was used */
    heap->root_end = ga_load_relaxed(&heap->meta->root_end);
    heap->hold_end = ga_load_relaxed(&heap->meta->hold_end);
    int r = back(heap);
    if (r < 0)
        return r;
    r = ga_clients_rebuild(heap);
    if (r == 0)
        r = enter_spans(heap);
    if (r < 0)
        return r;
    ga_roots_enter(heap);
    ga_holds_enter(heap);
    return find_end(heap);
}

/* ---- the takeover ---- */

static void sign_headers(struct ga_heap *heap, const struct ga_heap_config *config)
{
    struct ga_meta_header *header = heap->meta;
    header->server_pid = config->server_pid;
    header->server_start_time = config->server_start_time;
    header->generation++;
    ga_store_relaxed(&header->limit_bytes, heap->npages_limit * GA_PAGE_SIZE);
    ga_store_relaxed(&header->profile_rate_bytes, config->profile_rate_bytes);
    snprintf(header->server_version, sizeof(header->server_version), "%s", config->server_version);
    ga_heap_sign_bits(heap);
}

static void take_over(struct ga_heap *heap)
{
    ga_mheap_mark_arenas(heap);
    ga_scavenge_note_inuse(heap);
    ga_scavenge_adopt(heap);
    for (ga_mcache_id id = 1; id < heap->mcache_end; id++) {
        ga_ring_adopt(heap, id);
        ga_store_relaxed(&heap->mcache_entries[id].nspans,
                         ga_mcache_record(heap, id)->leased.count);
        ga_store_relaxed(&heap->mcache_entries[id].leased_bytes,
                         ga_mcache_record(heap, id)->leased_bytes);
    }
    ga_recover_adopt_batches(heap);
    for (uint64_t page = 1; page < heap->npages_committed;) {
        struct ga_mspan *span = &heap->mspans[page];
        uint64_t npages = span->npages ? span->npages : 1;
        if (span->npages != 0)
            ga_lease_take_over(heap, (ga_page_id)page);
        page += npages;
    }
    ga_holds_adopt(heap);
    ga_journal_adopt(heap);
    ga_recover_adopt(heap);
    ga_heap_sweep_pending(heap);
}

int ga_heap_adopt(const struct ga_heap_config *config, void *meta, void *bits,
                  const struct ga_heap_effects *effects, char ret_why[static GA_ADOPT_WHY_BYTES],
                  struct ga_heap **ret)
{
    struct adoption adoption = {.config = config, .meta = meta, .why = ret_why};
    int r = ga_heap_check_config(config);
    if (r < 0) {
        snprintf(ret_why, GA_ADOPT_WHY_BYTES, "it cannot be served as it is asked for");
        return r;
    }
    r = check(&adoption, bits);
    if (r < 0)
        return r;
    struct ga_heap *heap = NULL;
    r = ga_heap_new_books(config, effects, &heap);
    if (r == 0) {
        ga_heap_point_into(heap, meta, bits);
        r = rebuild(heap);
    }
    if (r < 0) {
        snprintf(ret_why, GA_ADOPT_WHY_BYTES, "there is not enough memory");
        ga_heap_free(heap);
        return r;
    }
    sign_headers(heap, config);
    take_over(heap);
    if (ga_scavenge_make_room(heap, 0) < 0) {
        snprintf(ret_why, GA_ADOPT_WHY_BYTES,
                 "it has %" PRIu64
                 " bytes of memory, more than the limit, and they cannot be given back",
                 ga_scavenge_retained(heap) * GA_PAGE_SIZE);
        ga_heap_free(heap);
        return -EBUSY;
    }
    *ret = heap;
    return 0;
}

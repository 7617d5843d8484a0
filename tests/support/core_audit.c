/* What the tests ask of a whole heap core: a recount from the bitmaps, and whether the private
 * books and the shared tables tell the same. */
#include "support/core_fixture.h"

#include <stdio.h>
#include <string.h>

#include "shm/size_class.h"
#include "shm/tiny.h"

void ga_core_recount(struct ga_core *core, uint64_t *ret_objects, uint64_t *ret_bytes)
{
    uint64_t objects = 0;
    uint64_t bytes = 0;
    struct ga_span_info info;
    for (uint64_t page = 0; ga_heap_next_span(core->heap, page, &info) == 0; page = info.page + 1) {
        uint64_t used = info.used;
        if (info.span_class == GA_SPAN_CLASS_TINY) {
            used = ga_tiny_count_objects(&core->view, info.page);
        }
        objects += used;
        bytes += used * (info.span_class < 2 ? info.npages * GA_PAGE_SIZE
                                             : ga_size_classes[info.span_class / 2].size);
    }
    *ret_objects = objects;
    *ret_bytes = bytes;
}

#define REQUIRE(clause)                                                                            \
    do {                                                                                           \
        if (!(clause))                                                                             \
            return #clause;                                                                        \
    } while (0)

static const char *audit_span(const struct ga_core *core, ga_page_id page)
{
    const struct ga_heap *heap = core->heap;
    const struct ga_mspan *span = &heap->mspans[page];
    uint64_t entry = ga_load_relaxed(&heap->page_table[page]);
    REQUIRE(ga_entry_is_span(entry));
    REQUIRE(ga_entry_span_class(entry) == span->span_class);
    REQUIRE(ga_entry_npages(entry) == span->npages);
    REQUIRE(ga_entry_owner(entry) == span->owner);
    REQUIRE((span->place == GA_SPAN_LEASED) == (span->owner != 0));
    REQUIRE((span->place == GA_SPAN_LARGE) == (span->span_class < 2 && span->owner == 0));
    REQUIRE(((entry & GA_ENTRY_LARGE) != 0) == (span->span_class < 2));
    REQUIRE(((entry & GA_ENTRY_TINY) != 0) == (span->span_class == GA_SPAN_CLASS_TINY));
    REQUIRE(span->place != GA_SPAN_UNUSED);
    REQUIRE(span->place != GA_SPAN_ORPHAN || (entry & GA_ENTRY_ORPHAN));
    REQUIRE((entry & GA_ENTRY_ORPHAN) == 0 || span->place == GA_SPAN_ORPHAN ||
            span->place == GA_SPAN_LARGE);
    REQUIRE(span->span_class < 2 || span->npages == ga_size_classes[span->span_class / 2].npages);
    for (uint32_t i = 0; i < span->npages; i++) {
        uint64_t inner = ga_load_relaxed(&heap->page_table[page + i]);
        REQUIRE(!ga_page_alloc_is_free(heap->pages, page + i));
        REQUIRE(!core->punched[page + i]);
        REQUIRE(i == 0 || heap->mspans[page + i].npages == 0);
        REQUIRE(i == 0 || ga_entry_distance(inner) == i);
    }
    if (span->span_class < 2)
        REQUIRE(ga_entry_owner(ga_load_relaxed(&heap->page_table[page + 1])) ==
                span->client_plus_1);
    return NULL;
}

static bool is_being_released(const struct ga_heap *heap, uint64_t page)
{
    const struct ga_scavenge *scavenge = &heap->scavenge;
    for (uint32_t i = 0; i < scavenge->nruns; i++)
        if (page >= scavenge->runs[i].page &&
            page - scavenge->runs[i].page < scavenge->runs[i].npages)
            return true;
    return false;
}

/* A page of no span: marked as one without memory exactly when it is, or may be soon. */
static const char *audit_free_page(const struct ga_core *core, uint64_t page)
{
    const struct ga_heap *heap = core->heap;
    uint64_t entry = ga_load_relaxed(&heap->page_table[page]);
    bool released = is_being_released(heap, page);
    REQUIRE(ga_page_alloc_is_free(heap->pages, page) == !released);
    REQUIRE(!ga_entry_is_span(entry));
    bool scavenged = !released && ga_page_alloc_is_scavenged(heap->pages, page);
    bool hole = core->punched[page] != 0;
    REQUIRE(released || scavenged || !hole);
    REQUIRE(!scavenged || hole || heap->scavenge.has_unpunched);
    REQUIRE((scavenged || released) == (entry == GA_ENTRY_SCAVENGED));
    REQUIRE(scavenged || released || !(entry & GA_ENTRY_SCAVENGED));
    return NULL;
}

/* Every page is page 0, free, or in one span; and its entry, its line and its pending bit can be
 * touched. */
static const char *audit_pages(const struct ga_core *core, uint64_t *ret_nspans,
                               uint64_t *ret_inuse)
{
    const struct ga_heap *heap = core->heap;
    REQUIRE(ga_page_alloc_audit(heap->pages));
    REQUIRE(heap->npages_committed == 0 || !ga_page_alloc_is_free(heap->pages, 0));
    for (uint64_t page = 1; page < heap->npages_committed;) {
        (void)ga_load_relaxed(&core->view.lines[page].holder);
        (void)ga_load_relaxed(ga_view_pending(&core->view, page / 64));
        if (heap->mspans[page].npages == 0) {
            const char *wrong = audit_free_page(core, page);
            if (wrong)
                return wrong;
            page++;
            continue;
        }
        const char *wrong = audit_span(core, (ga_page_id)page);
        if (wrong)
            return wrong;
        ++*ret_nspans;
        *ret_inuse += heap->mspans[page].npages;
        page += heap->mspans[page].npages;
    }
    return NULL;
}

/* Walk a list: its links, its count, and that each span on it says place. */
static const char *audit_list(const struct ga_heap *heap, const struct ga_span_list *list,
                              enum ga_span_place place, uint32_t owner, uint64_t *ret_bytes)
{
    uint32_t before = 0;
    uint32_t count = 0;
    for (uint32_t page = list->first; page; page = heap->mspans[page].next) {
        REQUIRE(heap->mspans[page].prev == before);
        REQUIRE(heap->mspans[page].place == place);
        REQUIRE(heap->mspans[page].owner == owner);
        REQUIRE(++count <= list->count);
        *ret_bytes += heap->mspans[page].npages * GA_PAGE_SIZE;
        before = page;
    }
    REQUIRE(count == list->count);
    return NULL;
}

/* Each client's large spans are on its list. */
static const char *audit_large(const struct ga_heap *heap)
{
    const char *wrong = NULL;
    uint64_t listed = 0;
    uint64_t owned = 0;
    uint64_t bytes = 0;
    for (ga_client_id client = 0; client < heap->client_end && !wrong; client++) {
        const struct ga_span_list *large = &heap->client_records[client].large;
        wrong = audit_list(heap, large, GA_SPAN_LARGE, 0, &bytes);
        for (uint32_t page = large->first; page && !wrong; page = heap->mspans[page].next)
            REQUIRE(heap->mspans[page].client_plus_1 == client + 1);
        listed += large->count;
    }
    for (uint64_t page = 0; page < heap->npages_committed; page++)
        owned += heap->mspans[page].client_plus_1 != 0;
    REQUIRE(wrong || listed == owned);
    return wrong;
}

static bool are_counted_by_class(const struct ga_heap *heap, const struct ga_mcache_record *record)
{
    uint32_t counts[GA_SIZE_CLASS_COUNT] = {0};
    for (uint32_t page = record->leased.first; page; page = heap->mspans[page].next)
        counts[heap->mspans[page].span_class / 2]++;
    return memcmp(counts, record->leased_by_class, sizeof(counts)) == 0;
}

static const char *audit_lists(const struct ga_heap *heap, uint64_t *ret_nspans)
{
    const char *wrong = NULL;
    uint64_t nleased = 0;
    uint64_t bytes = 0;
    for (ga_mcache_id id = 1; id < heap->mcache_end && !wrong; id++) {
        const struct ga_mcache_record *record = ga_mcache_record(heap, id);
        bytes = 0;
        wrong = audit_list(heap, &record->leased, GA_SPAN_LEASED, id, &bytes);
        nleased += record->leased.count;
        REQUIRE(are_counted_by_class(heap, record));
        REQUIRE(bytes == record->leased_bytes);
        REQUIRE(ga_load_relaxed(&heap->mcache_entries[id].nspans) == record->leased.count);
        REQUIRE(ga_load_relaxed(&heap->mcache_entries[id].leased_bytes) == bytes);
        REQUIRE(ga_load_relaxed(&heap->mcache_entries[id].client) == record->client_plus_1);
        REQUIRE(record->client_plus_1 || record->leased.count == 0);
    }
    REQUIRE(wrong || nleased == heap->nspans_leased);
    *ret_nspans += nleased;
    if (!wrong)
        wrong = audit_list(heap, &heap->orphans, GA_SPAN_ORPHAN, 0, &bytes);
    *ret_nspans += heap->orphans.count;
    for (uint32_t c = 2; c < GA_SPAN_CLASS_COUNT && !wrong; c++) {
        const struct ga_mcentral *central = &heap->central[c];
        wrong = audit_list(heap, &central->full, GA_SPAN_FULL, 0, &bytes);
        *ret_nspans += central->full.count;
        for (uint32_t i = 0; i < GA_BUCKET_COUNT && !wrong; i++) {
            wrong = audit_list(heap, &central->partial[i], GA_SPAN_PARTIAL, 0, &bytes);
            *ret_nspans += central->partial[i].count;
        }
    }
    return wrong;
}

static const char *audit_arenas(const struct ga_core *core)
{
    const struct ga_heap *heap = core->heap;
    uint64_t committed = heap->npages_committed;
    REQUIRE(heap->narenas_prepared * GA_ARENA_SIZE == core->heap_end);
    for (uint64_t i = 0; i < heap->npages_reserved / GA_PAGES_PER_ARENA; i++) {
        uint64_t first = i * GA_PAGES_PER_ARENA;
        uint64_t ready = committed <= first                       ? 0
                         : committed - first < GA_PAGES_PER_ARENA ? committed - first
                                                                  : GA_PAGES_PER_ARENA;
        uint32_t state = ready                        ? GA_ARENA_READY
                         : i < heap->narenas_prepared ? GA_ARENA_PREPARED
                                                      : GA_ARENA_RESERVED;
        REQUIRE(ga_load_relaxed(&heap->arenas[i].state) == state);
        REQUIRE(ga_load_relaxed(&heap->arenas[i].ready_npages) == ready);
    }
    return NULL;
}

static void keep_text(void *data, const struct ga_audit_fault *fault)
{
    char *text = data;
    if (text[0] == '\0')
        ga_audit_fault_text(fault, text);
}

const char *ga_core_audit_shared(const struct ga_core *core, uint32_t flags, struct ga_audit *ret)
{
    static struct ga_audit_scratch scratch;
    static char text[GA_AUDIT_TEXT_BYTES];
    struct ga_audit_options options = {
        .flags = flags, .scratch = &scratch, .report = keep_text, .data = text};
    text[0] = '\0';
    int r = ga_audit_run(&core->view, &options, ret);
    return r == 0 && ret->nfaults == 0 ? NULL : text;
}

/* Large spans that nobody leases: on a client's list or on none. */
static uint64_t count_unleased_large(const struct ga_heap *heap)
{
    uint64_t n = 0;
    for (uint64_t page = 0; page < heap->npages_committed; page++)
        n += heap->mspans[page].place == GA_SPAN_LARGE;
    return n;
}

/* What quotas say that a client has, counted from everything else. */
static struct ga_amounts count_client(const struct ga_heap *heap, ga_client_id client)
{
    const struct ga_client_record *record = &heap->client_records[client];
    struct ga_amounts n = {0};
    n.of[GA_QUOTA_CONNECTIONS] = 1;
    n.of[GA_QUOTA_MCACHES] = record->nmcaches;
    n.of[GA_QUOTA_SPANS] = record->large.count;
    for (ga_page_id page = record->large.first; page; page = heap->mspans[page].next)
        n.of[GA_QUOTA_BYTES] += heap->mspans[page].npages * GA_PAGE_SIZE;
    for (ga_mcache_id id = record->first_mcache; id; id = ga_mcache_record(heap, id)->next) {
        n.of[GA_QUOTA_SPANS] += ga_mcache_record(heap, id)->leased.count;
        n.of[GA_QUOTA_BYTES] += ga_mcache_record(heap, id)->leased_bytes;
    }
    for (uint32_t i = 0; i < heap->root_end; i++)
        n.of[GA_QUOTA_ROOTS] += heap->roots[i].used && heap->roots[i].client == client + 1;
    for (uint32_t i = 0; i < heap->hold_end; i++)
        n.of[GA_QUOTA_HOLDS] += ga_hold_counts(ga_load_relaxed(&heap->holds[i].state)) &&
                                heap->holds[i].client == client + 1;
    return n;
}

/* The same of an account: spans as they say themselves, roots also of clients who are gone. */
static struct ga_amounts count_account(const struct ga_heap *heap, uint32_t number)
{
    const struct ga_quota *quota = &heap->quota;
    struct ga_amounts n = {0};
    for (ga_client_id client = 0; client < heap->client_end; client++) {
        if (quota->client_accounts[client] != number)
            continue;
        struct ga_amounts own = count_client(heap, client);
        for (int kind = GA_QUOTA_MCACHES; kind < GA_QUOTA_KINDS; kind++)
            n.of[kind] += own.of[kind];
    }
    for (uint32_t i = 0; i < heap->root_end; i++)
        n.of[GA_QUOTA_ROOTS] += heap->roots[i].used && heap->roots[i].client == 0 &&
                                heap->roots[i].uid == quota->accounts[number - 1].uid;
    for (uint64_t page = 0; page < heap->npages_committed; page++) {
        bool is_charged = heap->mspans[page].npages > 0 && heap->mspans[page].account == number;
        n.of[GA_QUOTA_SPANS] += is_charged;
        n.of[GA_QUOTA_BYTES] += is_charged ? heap->mspans[page].npages * GA_PAGE_SIZE : 0;
    }
    return n;
}

static const char *audit_quota(const struct ga_heap *heap)
{
    const struct ga_quota *quota = &heap->quota;
    for (ga_client_id client = 0; client < heap->client_end; client++) {
        bool attached = ga_clients_is_attached(heap, client) || ga_clients_is_leaving(heap, client);
        REQUIRE(attached == (quota->client_accounts[client] != 0));
        struct ga_amounts n = attached ? count_client(heap, client) : (struct ga_amounts){0};
        REQUIRE(memcmp(&n, &quota->client_used[client], sizeof(n)) == 0);
    }
    for (uint32_t i = 0; i < quota->account_end; i++) {
        struct ga_amounts n = count_account(heap, i + 1);
        REQUIRE(memcmp(&n, &quota->accounts[i].used, sizeof(n)) == 0);
    }
    return NULL;
}

const char *ga_core_audit_books(struct ga_core *core)
{
    const struct ga_heap *heap = core->heap;
    uint64_t nspans = 0;
    uint64_t inuse = 0;
    const char *wrong = audit_pages(core, &nspans, &inuse);
    if (wrong)
        return wrong;
    REQUIRE(nspans == heap->nspans);
    REQUIRE(inuse == heap->npages_inuse);
    REQUIRE(ga_load_relaxed(&heap->meta->committed_npages) == heap->npages_committed);
    REQUIRE(ga_scavenge_retained(heap) <= heap->npages_limit);
    REQUIRE(heap->npages_committed * GA_PAGE_SIZE == core->heap_backed);
    REQUIRE(heap->npages_committed == 0 ||
            ga_page_alloc_nfree(heap->pages) + heap->scavenge.releasing_npages ==
                heap->npages_committed - 1 - inuse);

    uint64_t listed = count_unleased_large(heap);
    wrong = audit_lists(heap, &listed);
    if (wrong)
        return wrong;
    REQUIRE(listed == nspans);
    wrong = audit_large(heap);
    if (wrong)
        return wrong;
    uint64_t by_class = 0;
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++)
        by_class += heap->spans_by_class[c];
    REQUIRE(by_class == nspans);
    REQUIRE(ga_backing_bytes(&heap->meta_backing) + ga_backing_bytes(&heap->bits_backing) ==
            core->backed_bytes);
    REQUIRE(core->nbad == 0);
    wrong = audit_quota(heap);
    return wrong ? wrong : audit_arenas(core);
}

const char *ga_core_audit(struct ga_core *core)
{
    const struct ga_heap *heap = core->heap;
    struct ga_audit shared;
    const char *wrong = ga_core_audit_shared(core, core->audit_flags, &shared);
    if (!wrong)
        wrong = ga_core_audit_books(core);
    if (wrong)
        return wrong;
    REQUIRE(shared.all.spans == heap->nspans);
    REQUIRE(shared.all.npages == heap->npages_inuse);
    REQUIRE(shared.spans_leased == heap->nspans_leased);
    return NULL;
}

/* What the heap shows of itself: identities that hold at any time, a recount of the bitmaps at
 * rest; and both, with a full audit, over random histories of several clients against a model. */
#include "support/core_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shm/arenas.h"
#include "shm/recount.h"
#include "shm/size_class.h"
#include "shm/tiny.h"
#include "support/cunit_main.h"
#include "support/stats_check.h"

#define COUNT(a)    (sizeof(a) / sizeof(*(a)))
#define RESERVE     (2 * GA_ARENA_SIZE)
#define CLASS       20
#define CLIENTS     4u
#define MCACHES     3u /* of a client, at most */
#define OBJECTS     6000u
#define HISTORIES   12u
#define STEPS       12000u
#define AUDIT_EVERY 300u

static struct ga_core core;

/* At rest, nothing left to sweep: counters, the recount of this test, and that of shm agree. */
static const char *check_recount(uint64_t nobjects)
{
    uint64_t objects = 0;
    uint64_t bytes = 0;
    uint64_t bad_page;
    struct ga_recount other;
    struct ga_heap_stats s;
    ga_heap_sweep_pending(core.heap);
    ga_core_recount(&core, &objects, &bytes);
    ga_heap_get_stats(core.heap, &s);
    if (objects != nobjects)
        return "what is in use is what the model has";
    if (s.heap_objects != objects || s.alloc_bytes != bytes)
        return "the counters say what the bitmaps say";
    if (ga_recount(&core.view, &other, &bad_page) < 0)
        return "the page table is sound";
    if (other.objects != objects || other.alloc_bytes != bytes || other.spans != s.spans_inuse ||
        other.inuse_npages * GA_PAGE_SIZE != s.heap_inuse_bytes)
        return "both recounts agree";
    if (other.spans_leased != s.spans_leased || other.leased_bytes != s.leased_bytes)
        return "leases are counted alike";
    for (size_t i = 0; i < COUNT(s.by_class); i++)
        if (other.objects_by_class[i] != s.by_class[i].mallocs - s.by_class[i].frees ||
            other.bytes_by_class[i] != s.by_class[i].alloc_bytes ||
            other.spans_by_class[i] != s.by_class[i].spans)
            return "each class is counted alike";
    uint64_t inuse = 0;
    uint64_t ready = 0;
    uint64_t arena = 0;
    struct ga_arena_info info;
    while (ga_arenas_next(&core.view, arena, &info) == 0) {
        inuse += info.inuse_npages;
        ready += info.ready_npages;
        arena += info.count;
    }
    if (arena != RESERVE / GA_ARENA_SIZE || inuse * GA_PAGE_SIZE != s.heap_inuse_bytes ||
        ready * GA_PAGE_SIZE != s.heap_sys_bytes)
        return "the arenas add up to the heap";
    return NULL;
}

static void check(const char *wrong)
{
    if (wrong)
        printf("not true: %s\n", wrong);
    CU_ASSERT_PTR_NULL(wrong);
}

static void check_all(uint64_t nobjects)
{
    check(ga_check_stats_identities(&core, true));
    check(check_recount(nobjects));
    check(ga_core_audit(&core));
}

/* Allocate a large object as a client does. */
static int alloc_large(ga_client_id client, ga_mcache_id mcache, uint64_t bytes, bool noscan,
                       struct ga_slot *ret)
{
    bool zeroed;
    ga_page_id page = 0;
    int r = ga_core_large_alloc(&core, client, mcache, bytes, noscan, &page, &zeroed);
    if (r < 0)
        return r;
    *ret = ga_core_slot(&core, page, 0);
    return 0;
}

static void a_short_life(void)
{
    ga_core_open(&core, RESERVE, 0);
    check_all(0);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    ga_mcache_id other = ga_core_mcache(&core, client);
    check_all(0);
    ga_page_id page = ga_core_lease(&core, client, mcache, CLASS);
    CU_ASSERT(ga_core_claim(&core, mcache, page));
    check_all(0);
    struct ga_slot slot[10];
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(ga_core_malloc(&core, mcache, CLASS, &slot[i]), 0);
    check_all(10);
    CU_ASSERT(ga_core_free_own(&core, mcache, &slot[0]));
    CU_ASSERT(ga_core_free_other(&core, other, &slot[1]));
    check_all(8);
    struct ga_heap_stats s;
    ga_heap_get_stats(core.heap, &s);
    CU_ASSERT(s.mallocs == 10 && s.frees == 2 && s.spans_leased == 1 && s.spans_inuse == 1);
    CU_ASSERT(s.by_class[10].mallocs == 10 && s.by_class[10].frees == 2);
    CU_ASSERT(s.by_class[10].alloc_bytes == 8 * 128 && s.alloc_bytes == 8 * 128);
    CU_ASSERT_EQUAL(s.total_alloc_bytes, 10 * 128);

    struct ga_slot large;
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 5 * GA_PAGE_SIZE + 1, true, &large), 0);
    check_all(9);
    ga_heap_get_stats(core.heap, &s);
    CU_ASSERT_EQUAL(s.by_class[0].alloc_bytes, 6 * GA_PAGE_SIZE);
    CU_ASSERT_EQUAL(s.total_alloc_bytes, 10 * 128 + 6 * GA_PAGE_SIZE);
    CU_ASSERT_EQUAL(s.heap_inuse_bytes, 7 * GA_PAGE_SIZE);
    CU_ASSERT(ga_core_free_other(&core, mcache, &large));
    check_all(8);
    ga_heap_get_stats(core.heap, &s);
    CU_ASSERT_EQUAL(s.total_alloc_bytes, 10 * 128 + 6 * GA_PAGE_SIZE); /* never goes back */
    ga_heap_client_gone(core.heap, client);
    check_all(8);
    ga_heap_get_stats(core.heap, &s);
    CU_ASSERT(s.mallocs == 11 && s.frees == 3 && s.spans_leased == 0);
    ga_core_close(&core);
}

/* What each client did is its own, by class, in objects and in bytes; an mcache that another had
 * before begins at nothing. */
static void what_a_client_did(void)
{
    ga_core_open(&core, RESERVE, 0);
    for (uint64_t round = 1; round <= 3; round++) {
        ga_client_id client = ga_core_attach(&core);
        ga_client_id other = ga_core_attach(&core);
        ga_mcache_id mcache = ga_core_mcache(&core, client);
        ga_mcache_id theirs = ga_core_mcache(&core, other);
        CU_ASSERT(mcache + theirs == 3); /* those of the last round, in whatever order */
        struct ga_slot slot[10];
        struct ga_slot large;
        ga_page_id page = ga_core_lease(&core, client, mcache, CLASS);
        CU_ASSERT(ga_core_claim(&core, mcache, page));
        for (uint64_t i = 0; i < 6 + round; i++)
            CU_ASSERT_EQUAL(ga_core_malloc(&core, mcache, CLASS, &slot[i]), 0);
        CU_ASSERT_EQUAL(alloc_large(client, mcache, 5 * GA_PAGE_SIZE + 1, true, &large), 0);
        CU_ASSERT(ga_core_free_own(&core, mcache, &slot[0]));
        CU_ASSERT(ga_core_free_other(&core, theirs, &slot[1]));
        CU_ASSERT(ga_core_free_other(&core, theirs, &large));

        struct ga_client_stats s;
        CU_ASSERT_EQUAL(ga_heap_get_client_stats(core.heap, client, &s), 0);
        CU_ASSERT(s.info.client == client && s.info.mcaches == 1 && s.info.spans == 2);
        CU_ASSERT(s.info.mallocs == 7 + round && s.info.frees == 1);
        CU_ASSERT(s.counters.mallocs[CLASS / 2] == 6 + round && s.counters.mallocs[0] == 1);
        CU_ASSERT(s.counters.frees[CLASS / 2] == 1 && s.counters.frees[0] == 0);
        CU_ASSERT_EQUAL(ga_counters_alloc_bytes(&s.counters, CLASS / 2), (6 + round) * 128);
        CU_ASSERT_EQUAL(ga_counters_alloc_bytes(&s.counters, 0), 6 * GA_PAGE_SIZE);
        CU_ASSERT_EQUAL(ga_counters_free_bytes(&s.counters, 0), 0);
        CU_ASSERT(s.spans_by_class[CLASS / 2] == 1 && s.spans_by_class[0] == 1);
        CU_ASSERT_EQUAL(ga_heap_get_client_stats(core.heap, other, &s), 0);
        CU_ASSERT(s.info.mallocs == 0 && s.info.frees == 2 && s.info.spans == 0);
        CU_ASSERT(s.counters.frees[CLASS / 2] == 1 && s.counters.frees[0] == 1);
        CU_ASSERT_EQUAL(ga_counters_free_bytes(&s.counters, 0), 6 * GA_PAGE_SIZE);
        ga_heap_client_gone(core.heap, client);
        ga_heap_client_gone(core.heap, other);
        CU_ASSERT_EQUAL(ga_heap_get_client_stats(core.heap, client, &s), -ENOENT);
    }
    struct ga_client_stats s;
    CU_ASSERT_EQUAL(ga_heap_get_client_stats(core.heap, UINT32_MAX, &s), -ENOENT);
    ga_core_close(&core);
}

/* A client that overwrites what its counters began at has done nothing, not nearly 2^64. */
static void a_base_overwritten(void)
{
    ga_core_open(&core, RESERVE, 0);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    ga_store_relaxed(&core.view.mcaches[mcache].base.mallocs[CLASS / 2], 7);
    struct ga_client_stats s;
    CU_ASSERT_EQUAL(ga_heap_get_client_stats(core.heap, client, &s), 0);
    CU_ASSERT(s.info.mallocs == 0 && s.counters.mallocs[CLASS / 2] == 0);
    ga_core_close(&core);
}

/* More frees than mallocs, as a reading in between can find: nothing is less than none. */
static void counts_in_between(void)
{
    ga_core_open(&core, RESERVE, 0);
    ga_mcache_id mcache = ga_core_mcache(&core, ga_core_attach(&core));
    ga_store_relaxed(&core.view.mcaches[mcache].classes[CLASS].nfree, 5);
    struct ga_heap_stats s;
    ga_heap_get_stats(core.heap, &s);
    CU_ASSERT(s.heap_objects == 0 && s.alloc_bytes == 0 && s.frees == 5);
    ga_core_close(&core);
}

static void spans_are_told(void)
{
    ga_core_open(&core, RESERVE, 0);
    (void)ga_core_attach(&core);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    struct ga_span_info info;
    CU_ASSERT_EQUAL(ga_heap_next_span(core.heap, 0, &info), -ENOENT);
    ga_page_id page = ga_core_lease(&core, client, mcache, 60);
    struct ga_slot large = {0};
    CU_ASSERT_EQUAL(alloc_large(client, mcache, 100000, true, &large), 0);
    CU_ASSERT_EQUAL(ga_heap_next_span(core.heap, 0, &info), 0);
    CU_ASSERT(info.page == page && info.span_class == 60 && info.owner == mcache);
    CU_ASSERT(info.client_plus_1 == client + 1 && info.used == 0);
    CU_ASSERT_EQUAL(info.slots, ga_size_classes[30].nslots);
    CU_ASSERT_EQUAL(info.npages, ga_size_classes[30].npages);
    CU_ASSERT_EQUAL(ga_heap_next_span(core.heap, page + 1, &info), 0);
    CU_ASSERT(info.page == large.page && info.span_class == 1 && info.owner == mcache);
    CU_ASSERT(info.client_plus_1 == client + 1 && info.slots == 1 && info.used == 1);
    CU_ASSERT_EQUAL(info.npages, 13);
    CU_ASSERT_EQUAL(ga_heap_next_span(core.heap, large.page + 1, &info), -ENOENT);
    CU_ASSERT_EQUAL(ga_heap_next_span(core.heap, UINT64_MAX, &info), -ENOENT);
    CU_ASSERT_EQUAL(ga_heap_next_span_before(core.heap, 0, page, &info), -EAGAIN);
    CU_ASSERT_EQUAL(ga_heap_next_span_before(core.heap, 0, page + 1, &info), 0);
    CU_ASSERT_EQUAL(info.page, page);
    uint64_t behind = large.page + 1;
    CU_ASSERT_EQUAL(ga_heap_next_span_before(core.heap, behind, UINT64_MAX, &info), -ENOENT);

    core.now_ms += 1234;
    struct ga_heap_status status;
    ga_heap_get_status(core.heap, &status);
    CU_ASSERT(status.base == GA_CORE_BASE && status.reserve_bytes == RESERVE);
    CU_ASSERT(status.limit_bytes == RESERVE && status.committed_bytes == GA_CORE_MIB / 8);
    CU_ASSERT_EQUAL(status.inuse_bytes, (13 + ga_size_classes[30].npages) * GA_PAGE_SIZE);
    CU_ASSERT(status.uptime_ms == 1234 && status.clients == 2 && status.mcaches == 1);
    CU_ASSERT(status.arenas_ready == 1 && status.arenas_prepared == 0);
    CU_ASSERT_EQUAL(status.arenas_reserved, 1);
    ga_core_close(&core);
}

static void ages_are_told(void)
{
    ga_core_open(&core, RESERVE, 0);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    uint32_t ages[64];
    CU_ASSERT_EQUAL(ga_heap_get_ages(core.heap, 0, 64, ages), 0);
    core.now_ms += 2000;
    ga_page_id older = ga_core_lease(&core, client, mcache, 60);
    core.now_ms += 70000;
    ga_page_id newer = ga_core_lease(&core, client, mcache, 60);
    core.now_ms += 5999;
    uint64_t npages = GA_CORE_MIB / 8 / GA_PAGE_SIZE; /* committed */
    CU_ASSERT_EQUAL(ga_heap_get_ages(core.heap, 0, 64, ages), npages);
    for (uint64_t page = 0; page < npages; page++)
        CU_ASSERT_EQUAL(ages[page], page == older ? 75 : page == newer ? 5 : GA_NO_AGE);
    CU_ASSERT_EQUAL(ga_heap_get_ages(core.heap, newer, 1, ages), 1);
    CU_ASSERT_EQUAL(ages[0], 5);
    CU_ASSERT_EQUAL(ga_heap_get_ages(core.heap, npages - 1, 64, ages), 1);
    CU_ASSERT_EQUAL(ga_heap_get_ages(core.heap, UINT64_MAX, 64, ages), 0);

    /* A server that takes the heap over knows no more than that they were there. */
    char why[GA_ADOPT_WHY_BYTES];
    CU_ASSERT_EQUAL_FATAL(ga_core_adopt(&core, why), 0);
    core.now_ms += 3000;
    CU_ASSERT(ga_heap_get_ages(core.heap, 0, 64, ages) >= newer);
    CU_ASSERT(ages[older] == 3 && ages[newer] == 3);
    ga_core_close(&core);
}

/* ---- random histories ---- */

struct model_client {
    bool attached;
    ga_client_id id;
    uint32_t nmcaches;
    ga_mcache_id mcaches[MCACHES];
};

struct model {
    struct model_client clients[CLIENTS];
    struct ga_slot objects[OBJECTS]; /* in use */
    uint32_t nobjects;
    struct ga_slot freed; /* the last that was freed */
    uint64_t random;
    uint64_t nrefused;       /* requests that found no memory */
    struct ga_counters gone; /* what the clients that are gone have done */
};
static struct model model;

/* Classes of 16, 3, 1 and less words, of one page and several. */
static const ga_span_class some_classes[] = {2, 3, 11, 20, 21, 60, 100, 135};

static uint32_t pick(uint32_t n)
{
    return (uint32_t)(ga_test_random(&model.random) % n);
}

/* A random mcache of a random client, or 0; attaches and makes some where there are few. */
static ga_mcache_id pick_mcache(struct model_client **ret_client)
{
    struct model_client *client = &model.clients[pick(CLIENTS)];
    if (!client->attached) {
        client->nmcaches = 0;
        if (ga_heap_attach(core.heap, 1, 2, 3, 4, "c", &client->id) < 0)
            return 0;
        client->attached = true;
    }
    if (client->nmcaches < MCACHES && (client->nmcaches == 0 || pick(50) == 0)) {
        ga_mcache_id *mcache = &client->mcaches[client->nmcaches];
        if (ga_heap_new_mcache(core.heap, client->id, mcache) < 0)
            return 0;
        client->nmcaches++;
    }
    *ret_client = client;
    return client->mcaches[pick(client->nmcaches)];
}

static void lease_some(const struct model_client *client, ga_mcache_id mcache, ga_span_class class)
{
    ga_page_id pages[GA_LEASE_MAX];
    uint32_t count = 0;
    int r = ga_heap_lease(core.heap, client->id, mcache, class, 1 + pick(4), pages, &count);
    CU_ASSERT(r == 0 || r == -ENOMEM);
    model.nrefused += r < 0;
    for (uint32_t i = 0; i < count; i++)
        ga_slot_begin_lease(&core.view, mcache, pages[i]);
}

/* Claim a word of any span of the class that mcache has. */
static bool claim_any(ga_mcache_id mcache, ga_span_class class)
{
    uint32_t page = ga_mcache_record(core.heap, mcache)->leased.first;
    for (; page; page = core.heap->mspans[page].next)
        if (core.heap->mspans[page].span_class == class && ga_core_claim(&core, mcache, page))
            return true;
    return false;
}

static void allocate(struct model_client *client, ga_mcache_id mcache)
{
    struct ga_slot slot;
    if (model.nobjects == OBJECTS)
        return;
    if (pick(100) == 0) {
        if (alloc_large(client->id, mcache, 40000 + pick(400000), pick(2), &slot) == 0)
            model.objects[model.nobjects++] = slot;
        else
            model.nrefused++;
        return;
    }
    ga_span_class class = some_classes[pick(COUNT(some_classes))];
    for (uint32_t n = pick(60); n > 0 && model.nobjects < OBJECTS; n--) {
        if (ga_core_malloc(&core, mcache, class, &slot) == 0)
            model.objects[model.nobjects++] = slot;
        else if (!claim_any(mcache, class))
            lease_some(client, mcache, class);
    }
}

static void free_some(ga_mcache_id mcache)
{
    for (uint32_t n = pick(60); n > 0 && model.nobjects > 0; n--) {
        uint32_t i = pick(model.nobjects);
        struct ga_slot *slot = &model.objects[i];
        slot->entry = ga_view_entry(&core.view, slot->page); /* the owner may have changed */
        ga_mcache_id owner = ga_entry_owner(slot->entry);
        bool by_holder = owner != 0 && (owner == mcache || pick(2) != 0);
        bool good = by_holder ? ga_core_free_own(&core, owner, slot)
                              : ga_core_free_other(&core, mcache, slot);
        CU_ASSERT(good);
        model.freed = *slot;
        model.objects[i] = model.objects[--model.nobjects];
        if (pick(8) == 0) /* again: refused, by both kinds */
            CU_ASSERT_FALSE(ga_core_free_other(&core, mcache, &model.freed) ||
                            (owner && ga_core_free_own(&core, owner, &model.freed)));
    }
}

static void return_some(const struct model_client *client, ga_mcache_id mcache)
{
    for (uint32_t n = pick(6); n > 0; n--) {
        const struct ga_span_list *leased = &ga_mcache_record(core.heap, mcache)->leased;
        if (leased->count == 0)
            break;
        uint32_t page = leased->first;
        for (uint32_t skip = pick(leased->count); skip > 0; skip--)
            page = core.heap->mspans[page].next;
        CU_ASSERT_EQUAL(ga_core_return(&core, client->id, mcache, page), 0);
    }
}

/* What a death leaves of the allocation of a tiny object, after so many stores; the object is freed
 * before it is looked at. */
static void kill_in_carving(struct ga_mcache *shared, ga_mcache_id mcache, ga_page_id page,
                            uint32_t stores)
{
    struct ga_tiny_carver carver;
    uint64_t unit;
    uint64_t tiny = ga_load_relaxed(&shared->tiny);
    if (stores == 0 || !ga_tiny_find(&carver, &core.view, page, 0) ||
        !ga_tiny_carve(&carver, &shared->tiny, &ga_tiny_shapes[7], &unit))
        return;
    struct ga_slot slot = ga_core_slot(&core, page, ga_tiny_word_of(&carver) * 64 + (uint32_t)unit);
    if (stores == 1)
        ga_store_release(&shared->tiny, tiny); /* carved, and not told how far */
    CU_ASSERT(ga_core_free_own(&core, mcache, &slot));
    ga_store_relaxed(&shared->classes[GA_SPAN_CLASS_TINY].nmalloc,
                     ga_load_relaxed(&shared->classes[GA_SPAN_CLASS_TINY].nmalloc) + 1);
}

static void add_client(ga_client_id client, struct ga_counters *sum, uint64_t *spans)
{
    struct ga_client_stats s;
    CU_ASSERT_EQUAL(ga_heap_get_client_stats(core.heap, client, &s), 0);
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++) {
        sum->mallocs[c] += s.counters.mallocs[c];
        sum->frees[c] += s.counters.frees[c];
        *spans += s.spans_by_class[c];
    }
    sum->large_alloc_bytes += s.counters.large_alloc_bytes;
    sum->large_free_bytes += s.counters.large_free_bytes;
}

/* A client is killed; as like as not in the middle of a return or a free's news. */
static void kill_client(struct model_client *client, ga_mcache_id mcache)
{
    struct ga_mcache *shared = &core.view.mcaches[mcache];
    uint32_t page = ga_mcache_record(core.heap, mcache)->leased.first;
    ga_span_class class = page ? core.heap->mspans[page].span_class : 0;
    uint32_t stores = pick(4);
    if (class == GA_SPAN_CLASS_TINY) {
        kill_in_carving(shared, mcache, page, stores);
    } else if (page && stores >= 1) {
        ga_core_end_lease(&core, mcache, page);
    }
    if (stores >= 2)
        ga_store_release(&shared->telling, pick((uint32_t)core.heap->npages_committed + 99));
    bool zeroed;
    ga_page_id granted;
    if (stores == 3) /* and never taken */
        (void)ga_heap_large_alloc(core.heap, client->id, mcache, 50000, 0, true, &granted, &zeroed);
    uint64_t spans = 0;
    add_client(client->id, &model.gone, &spans);
    ga_heap_client_gone(core.heap, client->id);
    client->attached = false;
}

static void one_step(void)
{
    struct model_client *client = NULL;
    if (pick(40) == 0)
        core.fail_commit = 1 + pick(6);
    ga_mcache_id mcache = pick_mcache(&client);
    if (mcache == 0)
        return;
    uint32_t dice = pick(1000);
    if (dice < 420)
        allocate(client, mcache);
    else if (dice < 900)
        free_some(mcache);
    else if (dice < 970)
        return_some(client, mcache);
    else if (dice < 990)
        ga_heap_sweep_pending(core.heap);
    else
        kill_client(client, mcache);
}

/* What those who are here did, and those who are gone, is all that was ever done. */
static const char *check_clients_add_up(void)
{
    struct ga_heap_stats heap;
    struct ga_counters sum = model.gone;
    uint64_t spans = 0;
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (model.clients[i].attached)
            add_client(model.clients[i].id, &sum, &spans);
    ga_heap_get_stats(core.heap, &heap);
    uint64_t total_alloc_bytes = 0;
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++) {
        if (sum.mallocs[c] != heap.by_class[c].mallocs || sum.frees[c] != heap.by_class[c].frees)
            return "the clients' counts add up to the heap's";
        total_alloc_bytes += ga_counters_alloc_bytes(&sum, c);
    }
    if (total_alloc_bytes != heap.total_alloc_bytes)
        return "the clients' bytes add up to the heap's";
    if (sum.large_alloc_bytes - sum.large_free_bytes != heap.by_class[0].alloc_bytes)
        return "what was allocated of large objects and not freed is there";
    return spans == heap.spans_leased ? NULL : "the clients' leases add up to the heap's";
}

static const char *check_model(void)
{
    const char *wrong = ga_check_stats_identities(&core, true);
    wrong = wrong ? wrong : check_clients_add_up();
    wrong = wrong ? wrong : check_recount(model.nobjects);
    wrong = wrong ? wrong : ga_core_audit(&core);
    for (uint32_t i = 0; i < model.nobjects && !wrong; i++) {
        model.objects[i].entry = ga_view_entry(&core.view, model.objects[i].page);
        if (!ga_core_in_use(&core, &model.objects[i]))
            wrong = "every object of the model is in use";
    }
    return wrong;
}

/* All objects freed, all clients gone: every page free again. */
static void end_of_history(void)
{
    struct model_client *client = NULL;
    core.fail_commit = 0;
    ga_mcache_id mcache = pick_mcache(&client);
    CU_ASSERT_FATAL(mcache != 0);
    while (model.nobjects > 0) {
        struct ga_slot slot = model.objects[--model.nobjects];
        slot.entry = ga_view_entry(&core.view, slot.page);
        CU_ASSERT(ga_core_free_other(&core, mcache, &slot));
    }
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (model.clients[i].attached)
            ga_heap_client_gone(core.heap, model.clients[i].id);
    check_all(0);
    CU_ASSERT_EQUAL(core.heap->nspans, 0);
    CU_ASSERT_EQUAL(ga_page_alloc_nfree(core.heap->pages), core.heap->npages_committed - 1);
}

static void random_histories(void)
{
    uint64_t random = ga_test_seed();
    uint64_t nrefused = 0;
    for (uint32_t history = 0; history < HISTORIES; history++) {
        memset(&model, 0, sizeof(model));
        model.random = ga_test_random(&random);
        ga_core_open(&core, RESERVE, (4 + pick(5)) * GA_CORE_MIB);
        const char *wrong = NULL;
        uint32_t step = 0;
        for (; step < STEPS && !wrong; step++) {
            one_step();
            if (step % AUDIT_EVERY == AUDIT_EVERY - 1)
                wrong = check_model();
        }
        if (wrong)
            printf("history %u, step %u: ", history, step);
        check(wrong);
        end_of_history();
        nrefused += model.nrefused;
        ga_core_close(&core);
    }
    CU_ASSERT(nrefused > 0); /* the limit was felt */
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"a short life", a_short_life},
        {"what a client did", what_a_client_did},
        {"a base overwritten", a_base_overwritten},
        {"counts in between", counts_in_between},
        {"spans are told", spans_are_told},
        {"ages are told", ages_are_told},
        {"random histories", random_histories},
    };
    return ga_test_main("server.stats", tests, COUNT(tests));
}

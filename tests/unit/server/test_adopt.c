/* Adoption: a heap whose books are forgotten is taken over from what lies in shared memory, at any
 * point at which its server may have been killed. */
#include "adopt_fixture.h"

#include <errno.h>
#include <string.h>

#include "shm/size_class.h"

/* ---- a heap with everything in it ---- */

#define SLOTS_MAX 6000

struct population {
    ga_client_id clients[3];
    ga_mcache_id mcaches[3];
    struct ga_slot slots[SLOTS_MAX];
    uint32_t nslots;
};

static struct population population;

static bool holds(ga_mcache_id mcache, ga_page_id page)
{
    return ga_holder_is_leased_by(ga_load_relaxed(&core.view.lines[page].holder), mcache);
}

static void allocate(ga_client_id client, ga_mcache_id mcache, ga_span_class span_class)
{
    struct population *p = &population;
    if (p->nslots == SLOTS_MAX)
        return;
    struct ga_slot *slot = &p->slots[p->nslots];
    for (int i = 0; i < 3; i++) {
        if (ga_core_malloc(&core, mcache, span_class, slot) == 0) {
            p->nslots++;
            return;
        }
        ga_page_id page = ga_core_lease(&core, client, mcache, span_class);
        if (page)
            ga_core_claim(&core, mcache, page);
    }
}

static void free_one(uint64_t *seed)
{
    struct population *p = &population;
    if (p->nslots == 0)
        return;
    uint32_t i = (uint32_t)(ga_test_random(seed) % p->nslots);
    struct ga_slot slot = p->slots[i];
    p->slots[i] = p->slots[--p->nslots];
    ga_mcache_id me = p->mcaches[ga_test_random(seed) % 3];
    slot.entry = ga_view_entry(&core.view, slot.page);
    if (holds(me, slot.page))
        CU_ASSERT(ga_core_free_own(&core, me, &slot))
    else
        CU_ASSERT(ga_core_free_other(&core, me, &slot))
}

/* Give a span back; half of the messages reach nobody. */
static void return_one(uint64_t *seed, uint32_t who)
{
    ga_mcache_id mcache = population.mcaches[who];
    ga_page_id page = ga_mcache_record(core.heap, mcache)->leased.first;
    if (page == 0 || !holds(mcache, page))
        return;
    if (ga_test_random(seed) % 2)
        CU_ASSERT_EQUAL(ga_core_return(&core, population.clients[who], mcache, page), 0)
    else
        ga_core_end_lease(&core, mcache, page);
}

static void allocate_large(uint64_t *seed, uint32_t who)
{
    struct population *p = &population;
    ga_page_id page;
    bool zeroed;
    uint64_t bytes = GA_SMALL_MAX + 1 + ga_test_random(seed) % 300000;
    if (p->nslots == SLOTS_MAX || ga_core_large_alloc(&core, p->clients[who], p->mcaches[who],
                                                      bytes, who % 2 == 0, &page, &zeroed) < 0)
        return;
    p->slots[p->nslots++] = ga_core_slot(&core, page, 0);
}

static void live_on(uint64_t *seed, uint32_t steps)
{
    static const ga_span_class classes[] = {2, 3, CLASS, CLASS + 1, 60, 134};
    struct population *p = &population;
    for (uint32_t i = 0; i < steps; i++) {
        uint32_t who = (uint32_t)(ga_test_random(seed) % 3);
        uint64_t what = ga_test_random(seed) % 100;
        if (what < 55)
            allocate(p->clients[who], p->mcaches[who],
                     classes[ga_test_random(seed) % COUNT(classes)]);
        else if (what < 93)
            free_one(seed);
        else if (what < 96)
            return_one(seed, who);
        else if (what < 98)
            allocate_large(seed, who);
        else
            ga_heap_sweep_pending(core.heap);
    }
}

static void populate(uint64_t *seed, uint32_t steps)
{
    population.nslots = 0;
    for (int i = 0; i < 3; i++) {
        population.clients[i] = ga_core_attach(&core);
        population.mcaches[i] = ga_core_mcache(&core, population.clients[i]);
    }
    live_on(seed, steps);
}

/* ---- tests ---- */

static void empty_heap(void)
{
    ga_core_open(&core, RESERVE, 0);
    core.config.server_pid = 78;
    core.config.server_start_time = 4712;
    adopt();
    const struct ga_meta_header *meta = core.view.meta;
    CU_ASSERT_EQUAL(meta->generation, 2);
    CU_ASSERT_EQUAL(meta->server_pid, 78);
    CU_ASSERT_EQUAL(meta->server_start_time, 4712);
    CU_ASSERT_EQUAL(meta->heap_id, 0x1234);
    CU_ASSERT_EQUAL(meta->created_ms, 5000000);
    ga_client_id client = ga_core_attach(&core);
    CU_ASSERT_EQUAL(client, 0);
    CU_ASSERT_EQUAL(ga_core_mcache(&core, client), 1);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* Everything that can be counted is as it was, and all objects can be freed. */
static void whole_heap(void)
{
    uint64_t seed = ga_test_seed();
    ga_core_open(&core, RESERVE, 0);
    populate(&seed, 4000);
    for (int round = 0; round < 8; round++) {
        uint64_t objects;
        uint64_t bytes;
        uint64_t objects_after;
        uint64_t bytes_after;
        struct ga_heap_stats before;
        struct ga_heap_stats after;
        struct ga_client_stats client_before;
        struct ga_client_stats client_after;
        ga_client_id client = population.clients[round % 3];
        ga_heap_get_stats(core.heap, &before);
        CU_ASSERT_EQUAL(ga_heap_get_client_stats(core.heap, client, &client_before), 0);
        ga_core_recount(&core, &objects, &bytes);
        adopt();
        ga_heap_get_stats(core.heap, &after);
        ga_core_recount(&core, &objects_after, &bytes_after);
        CU_ASSERT_EQUAL(ga_heap_get_client_stats(core.heap, client, &client_after), 0);
        CU_ASSERT(client_before.info.mallocs > 0);
        CU_ASSERT_EQUAL(
            memcmp(&client_after.counters, &client_before.counters, sizeof(client_after.counters)),
            0);
        CU_ASSERT_EQUAL(objects_after, objects);
        CU_ASSERT_EQUAL(bytes_after, bytes);
        CU_ASSERT_EQUAL(objects, population.nslots);
        CU_ASSERT_EQUAL(after.mallocs, before.mallocs);
        CU_ASSERT_EQUAL(after.frees, before.frees);
        CU_ASSERT_EQUAL(after.alloc_bytes, before.alloc_bytes);
        CU_ASSERT_EQUAL(after.total_alloc_bytes, before.total_alloc_bytes);
        CU_ASSERT_EQUAL(after.heap_sys_bytes, before.heap_sys_bytes);
        CU_ASSERT_EQUAL(core.view.meta->generation, (uint64_t)round + 2);
        live_on(&seed, 1000);
        ga_core_check_sound(&core);
    }
    while (population.nslots)
        free_one(&seed);
    adopt();
    for (int i = 0; i < 3; i++)
        ga_heap_client_gone(core.heap, population.clients[i]);
    ga_heap_sweep_pending(core.heap);
    ga_core_check_sound(&core);
    CU_ASSERT_EQUAL(core.heap->nspans, 0);
    CU_ASSERT_EQUAL(core.heap->nclients, 0);
    ga_core_close(&core);
}

/* A client's leases stay its own: it goes on allocating from them, and what is freed
 * in its spans is told to it. */
static void leases_stay(void)
{
    ga_core_open(&core, RESERVE, 0);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    ga_page_id page = ga_core_lease(&core, client, mcache, CLASS);
    struct ga_slot slot;
    CU_ASSERT(ga_core_claim(&core, mcache, page));
    CU_ASSERT_EQUAL(ga_core_malloc(&core, mcache, CLASS, &slot), 0);
    core.now_ms += 500;
    core.wall_ms += 500;
    adopt();
    CU_ASSERT_EQUAL(core.heap->mspans[page].owner, mcache);
    CU_ASSERT_EQUAL(ga_core_malloc(&core, mcache, CLASS, &slot), 0);
    CU_ASSERT_EQUAL(slot.page, page);
    CU_ASSERT(ga_core_is_in_inbox(&core, mcache, CLASS, page));
    struct ga_client_info info;
    CU_ASSERT_EQUAL(ga_heap_next_client(core.heap, 0, &info), 0);
    CU_ASSERT_EQUAL(info.pid, 100);
    CU_ASSERT_EQUAL(info.start_time, 3);
    CU_ASSERT_EQUAL(info.mcaches, 1);
    CU_ASSERT_EQUAL(info.spans, 1);
    CU_ASSERT_EQUAL(info.mallocs, 2); /* since it attached, whoever served it */
    CU_ASSERT_EQUAL(info.attached_ms, 500);
    /* Given back while there was no server. */
    ga_core_end_lease(&core, mcache, page);
    adopt();
    CU_ASSERT_EQUAL(core.heap->mspans[page].place, GA_SPAN_PARTIAL);
    ga_core_close(&core);
}

/* Nobody knows which pages were used before: none counts as zero. */
static void pages_are_used(void)
{
    ga_core_open(&core, RESERVE, 0);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    ga_page_id page;
    bool zeroed = false;
    CU_ASSERT_EQUAL(ga_core_large_alloc(&core, client, mcache, 100000, false, &page, &zeroed), 0);
    CU_ASSERT(zeroed);
    adopt();
    CU_ASSERT_EQUAL(ga_core_large_alloc(&core, client, mcache, 100000, false, &page, &zeroed), 0);
    CU_ASSERT_FALSE(zeroed);
    ga_core_close(&core);
}

/* The server was killed between the owner and the holder, and between reading pending bits and
 * acting on them. */
static void half_done(void)
{
    ga_core_open(&core, RESERVE, 0);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    ga_page_id page = ga_core_lease(&core, client, mcache, CLASS);
    ga_page_id large;
    bool zeroed;
    struct ga_slot slot;
    CU_ASSERT(ga_core_claim(&core, mcache, page));
    CU_ASSERT_EQUAL(ga_core_malloc(&core, mcache, CLASS, &slot), 0);
    CU_ASSERT_EQUAL(
        ga_core_large_alloc(&core, client, mcache, 2 * GA_CORE_MIB, false, &large, &zeroed), 0);
    struct ga_slot large_slot = ga_core_slot(&core, large, 0);
    CU_ASSERT(ga_core_free_other(&core, mcache, &large_slot));
    CU_ASSERT(ga_core_is_pending(&core, large));
    ga_store_relaxed(ga_view_pending(&core.view, large / 64), 0);
    ga_core_end_lease(&core, mcache, page);
    ga_mheap_set_owner(core.heap, page, 0, 0);
    adopt();
    CU_ASSERT_EQUAL(ga_holder_id(ga_load_relaxed(&core.view.lines[page].holder)), 0);
    CU_ASSERT_EQUAL(core.heap->mspans[page].place, GA_SPAN_PARTIAL);
    CU_ASSERT_EQUAL(core.heap->mspans[large].npages, 0);
    CU_ASSERT(ga_core_in_use(&core, &slot));

    /* The arena table was behind, and so was the object's length. */
    core.heap_end += GA_ARENA_SIZE;
    ga_store_relaxed(&core.heap->arenas[0].ready_npages, GA_PAGES_PER_ARENA);
    adopt();
    CU_ASSERT_EQUAL(core.heap_end, GA_ARENA_SIZE);
    ga_core_close(&core);
}

/* The ring goes on where it was, also that of an id which nobody has. */
static void rings_stay(void)
{
    ga_core_open(&core, RESERVE, 0);
    ga_client_id client = ga_core_attach(&core);
    ga_client_id gone = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    ga_mcache_id left = ga_core_mcache(&core, gone);
    CU_ASSERT_EQUAL(ga_heap_lease_ahead(core.heap, client, mcache, CLASS, 3), 0);
    CU_ASSERT_EQUAL(ga_heap_lease_ahead(core.heap, gone, left, CLASS, 5), 0);
    ga_heap_client_gone(core.heap, gone);
    adopt();
    CU_ASSERT_EQUAL(ga_mcache_record(core.heap, mcache)->ring_head, 3);
    CU_ASSERT_EQUAL(ga_mcache_record(core.heap, left)->ring_head, 5);
    CU_ASSERT_EQUAL(ga_mcache_record(core.heap, mcache)->leased.count, 3);
    CU_ASSERT_EQUAL(ga_core_mcache(&core, client), left);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

static void roots_stay(void)
{
    ga_core_open(&core, RESERVE, 0);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    uint64_t offset = (uint64_t)ga_core_lease(&core, client, mcache, CLASS) * GA_PAGE_SIZE;
    CU_ASSERT_EQUAL(ga_heap_publish(core.heap, client, "one", offset), 0);
    CU_ASSERT_EQUAL(ga_heap_publish(core.heap, client, "two", offset + 176), 0);
    CU_ASSERT_EQUAL(ga_heap_unpublish(core.heap, "one"), 0);
    adopt();
    uint64_t found = 0;
    uint32_t publisher = 0;
    CU_ASSERT_EQUAL(ga_heap_lookup(core.heap, "one", &found, &publisher), -ENOENT);
    CU_ASSERT_EQUAL(ga_heap_lookup(core.heap, "two", &found, &publisher), 0);
    CU_ASSERT(found == offset + 176 && publisher == client + 1);
    struct ga_heap_status status;
    ga_heap_get_status(core.heap, &status);
    CU_ASSERT_EQUAL(status.roots, 1);
    ga_heap_client_gone(core.heap, client);
    CU_ASSERT_EQUAL(ga_heap_lookup(core.heap, "two", &found, &publisher), 0);
    CU_ASSERT_EQUAL(publisher, 0);
    ga_core_close(&core);
}

/* No memory at any point: refused, untouched; and a moment later it is taken over. */
static void no_memory(void)
{
    uint64_t seed = ga_test_seed();
    ga_core_open(&core, RESERVE, 0);
    populate(&seed, 500);
    int r;
    uint64_t n = 0;
    do {
        core.fail_commit = ++n;
        uint64_t before = checksum();
        r = ga_core_adopt(&core, why);
        if (r < 0)
            CU_ASSERT(r == -ENOMEM && strstr(why, "memory") && checksum() == before)
    } while (r < 0 && n < 1000);
    CU_ASSERT(n > 5);
    core.fail_commit = 0;
    adopt();
    ga_core_close(&core);
}

static void limits(void)
{
    ga_core_open(&core, RESERVE, 8 * GA_CORE_MIB);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    ga_page_id page;
    bool zeroed;
    CU_ASSERT_EQUAL(
        ga_core_large_alloc(&core, client, mcache, 4 * GA_CORE_MIB, true, &page, &zeroed), 0);
    core.config.limit_bytes = GA_CORE_MIB;
    CU_ASSERT_EQUAL(ga_core_adopt(&core, why), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "more than the limit"));
    uint64_t least = 4 * GA_CORE_MIB + GA_PAGE_SIZE;
    core.config.limit_bytes = least - GA_PAGE_SIZE;
    CU_ASSERT_EQUAL(ga_core_adopt(&core, why), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "it has 4202496 bytes in use, more than the limit"));
    /* What is free beside it is given back, and goes on counting as free. */
    core.config.limit_bytes = 16 * GA_CORE_MIB;
    adopt();
    ga_page_id more;
    CU_ASSERT_EQUAL(
        ga_core_large_alloc(&core, client, mcache, 6 * GA_CORE_MIB, true, &more, &zeroed), 0);
    ga_core_free_large(&core, client, mcache, more);
    ga_heap_sweep_pending(core.heap);
    core.config.limit_bytes = least;
    core.fail_punch = true;
    CU_ASSERT_EQUAL(ga_core_adopt(&core, why), -EBUSY);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "they cannot be given back"));
    core.fail_punch = false;
    adopt();
    CU_ASSERT_EQUAL(ga_scavenge_retained(core.heap) * GA_PAGE_SIZE, least);
    CU_ASSERT(ga_core_nholes(&core) >= 6 * GA_CORE_MIB / GA_PAGE_SIZE);
    core.config.limit_bytes = 16 * GA_CORE_MIB;
    adopt();
    CU_ASSERT_EQUAL(core.view.meta->limit_bytes, 16 * GA_CORE_MIB);
    CU_ASSERT_EQUAL(
        ga_core_large_alloc(&core, client, mcache, 9 * GA_CORE_MIB, true, &page, &zeroed), 0);
    core.config.base = 1;
    CU_ASSERT_EQUAL(ga_core_adopt(&core, why), -EINVAL);
    ga_core_close(&core);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"an empty heap", empty_heap},
        {"a whole heap, again and again", whole_heap},
        {"leases stay", leases_stay},
        {"what the old server left half done", half_done},
        {"pages count as used", pages_are_used},
        {"rings stay", rings_stay},
        {"roots stay", roots_stay},
        {"no memory", no_memory},
        {"another limit", limits},
    };
    return ga_test_main("adopt", tests, COUNT(tests));
}

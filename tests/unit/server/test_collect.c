/* Collection cycles: what is garbage by a plain marker is freed, all of it and nothing else, as any
 * process frees; and what happens meanwhile stays as it is. */
#include "server/collect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/batch.h"
#include "support/core_graph.h"
#include "support/cunit_main.h"

#define RESERVE  (4 * GA_ARENA_SIZE)
#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define CLASS    14 /* 80 bytes, 102 slots a span */

static struct ga_core core;
static struct ga_graph graph;
static ga_client_id client; /* who leaves */
static ga_client_id other;  /* who stays */
static ga_mcache_id me;
static ga_mcache_id others;
static uint64_t state;

static void open_core(uint32_t policy, bool managed)
{
    ga_core_open(&core, RESERVE, 0);
    client = ga_core_attach(&core);
    CU_ASSERT_EQUAL(ga_heap_set_policy(core.heap, client, policy), 0);
    if (managed)
        CU_ASSERT_EQUAL(ga_heap_set_managed(core.heap, client), 0);
    other = ga_core_attach(&core);
    me = ga_core_mcache(&core, client);
    others = ga_core_mcache(&core, other);
    ga_graph_init(&graph, &core);
}

static void close_core(void)
{
    ga_core_check_sound(&core);
    ga_graph_fini(&graph);
    ga_core_close(&core);
}

static uint64_t below(uint64_t n)
{
    return ga_test_random(&state) % n;
}

static size_t alloc(void)
{
    return ga_graph_alloc(&graph, client, me, CLASS);
}

static size_t alloc_other(void)
{
    return ga_graph_alloc(&graph, other, others, CLASS);
}

static uint64_t offset_of(size_t object)
{
    return graph.objects[object].offset;
}

static bool is_there(size_t object)
{
    return ga_core_in_use(&core, &graph.objects[object].slot);
}

static void begin(enum ga_collect_mode mode)
{
    CU_ASSERT_EQUAL_FATAL(ga_collect_begin(core.heap, mode), 0);
    CU_ASSERT(ga_collect_is_on(core.heap));
}

static void mark(void)
{
    ga_collect_work(core.heap, true);
    CU_ASSERT_EQUAL_FATAL(ga_collect_settle(core.heap), 0);
}

static const struct ga_collect_result *sweep(void)
{
    while (!ga_collect_sweep_some(core.heap, 3))
        ;
    ga_collect_end(core.heap);
    CU_ASSERT(!ga_collect_is_on(core.heap));
    return ga_collect_get_result(core.heap);
}

static const struct ga_collect_result *collect(enum ga_collect_mode mode)
{
    begin(mode);
    mark();
    return sweep();
}

static void adopt(void)
{
    char why[GA_ADOPT_WHY_BYTES] = "";
    CU_ASSERT_EQUAL_FATAL(ga_core_adopt(&core, why), 0);
    ga_graph_adopted(&graph);
}

/* ---- orphans ---- */

/* What keeps an object of who is gone: a root, a hold, another's slot, another's object; and what
 * these reach. The rest goes, and the spans with it. */
static void orphans(void)
{
    open_core(GA_POLICY_UNREACHABLE, false);
    size_t by_root = alloc();
    size_t by_hold = alloc();
    size_t by_slot = alloc();
    size_t by_object = alloc();
    size_t behind = alloc();
    size_t garbage[2000];
    for (size_t i = 0; i < COUNT(garbage); i++) {
        garbage[i] = alloc();
        ga_graph_point(&graph, garbage[i], 0, offset_of(by_root));
        if (i > 0)
            ga_graph_point(&graph, garbage[i], 1, offset_of(garbage[i - 1]));
    }
    ga_graph_point(&graph, garbage[0], 1, offset_of(garbage[COUNT(garbage) - 1])); /* a ring */
    ga_graph_point(&graph, by_object, 3, offset_of(behind) + 40);
    ga_graph_point(&graph, alloc_other(), 9, offset_of(by_object));
    CU_ASSERT_EQUAL(ga_heap_publish(core.heap, client, "root", offset_of(by_root)), 0);
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, other, offset_of(by_hold)), 0);
    ga_store_relaxed(&core.view.handles[other].object[5], GA_CORE_BASE + offset_of(by_slot));

    const size_t kept[] = {by_root, by_hold, by_slot, by_object, behind};
    uint64_t nspans = core.heap->nspans;
    CU_ASSERT_EQUAL(collect(GA_COLLECT_ORPHANS)->found.objects, 0); /* while it lives */
    ga_heap_client_gone(core.heap, client);
    CU_ASSERT_EQUAL(core.heap->orphans.count, core.heap->nspans - 1);
    const struct ga_collect_result *result = collect(GA_COLLECT_ORPHANS);
    CU_ASSERT_EQUAL(result->found.objects, COUNT(garbage) + COUNT(kept));
    CU_ASSERT_EQUAL(result->garbage.objects, COUNT(garbage));
    CU_ASSERT_EQUAL(result->freed.objects, COUNT(garbage));
    CU_ASSERT_EQUAL(result->freed.bytes, COUNT(garbage) * 80);
    CU_ASSERT_EQUAL(result->by_class[CLASS / 2].objects, COUNT(garbage));
    CU_ASSERT_EQUAL(result->roots, 3);
    for (size_t i = 0; i < COUNT(kept); i++)
        CU_ASSERT(is_there(kept[i]));
    CU_ASSERT(nspans > 10 && core.heap->nspans == 2);
    ga_core_check_sound(&core);

    /* The rest, one after the other. */
    CU_ASSERT_EQUAL(ga_heap_release(core.heap, other, offset_of(by_hold)), 0);
    CU_ASSERT_EQUAL(collect(GA_COLLECT_ORPHANS)->freed.objects, 1);
    CU_ASSERT(!is_there(by_hold));
    ga_store_relaxed(&core.view.handles[other].object[5], 0);
    CU_ASSERT_EQUAL(ga_heap_unpublish(core.heap, "root"), 0);
    CU_ASSERT_EQUAL(collect(GA_COLLECT_ORPHANS)->freed.objects, 2);
    CU_ASSERT(is_there(by_object) && is_there(behind));
    CU_ASSERT_EQUAL(core.heap->orphans.count, 1);
    close_core();
}

/* Each orphan's span is known for one after its server's death, also where that came in the middle
 * of the sweep; and nobody is leased it before it is empty. */
static void orphans_stay_orphans(void)
{
    for (uint32_t nslices = 0; nslices < 20; nslices++) {
        open_core(GA_POLICY_UNREACHABLE, false);
        size_t kept = alloc();
        for (int i = 0; i < 1000; i++)
            alloc();
        size_t large = ga_graph_alloc_large(&graph, client, me, 40000, false);
        size_t longer = ga_graph_alloc_large(&graph, client, me, 2 * GA_CORE_MIB, false);
        CU_ASSERT_EQUAL(ga_heap_publish(core.heap, client, "root", offset_of(kept)), 0);
        ga_heap_client_gone(core.heap, client);
        adopt();
        ga_core_check_sound(&core);
        CU_ASSERT(core.heap->orphans.count > 9);
        ga_page_id page = ga_core_lease(&core, other, others, CLASS);
        CU_ASSERT(!ga_mheap_is_orphan(core.heap, page));
        CU_ASSERT_EQUAL(ga_slot_count_used(&core.view, page, 102), 0);

        begin(GA_COLLECT_ORPHANS);
        mark();
        for (uint32_t i = 0; i < nslices; i++)
            (void)ga_collect_sweep_some(core.heap, 1);
        adopt();
        ga_core_check_sound(&core);
        uint64_t left = collect(GA_COLLECT_ORPHANS)->freed.objects;
        CU_ASSERT_EQUAL(nslices == 0, left == 1002);
        CU_ASSERT_EQUAL(core.heap->nspans, 2);
        CU_ASSERT(is_there(kept) && !is_there(large) && !is_there(longer));
        close_core();
    }
}

/* What clients left that keep theirs is a root, and only reported. */
static void those_who_keep(void)
{
    open_core(GA_POLICY_KEEP, false);
    size_t left = alloc();
    size_t two = alloc();
    size_t rooted = alloc();
    ga_graph_point(&graph, rooted, 4, offset_of(two));
    CU_ASSERT_EQUAL(ga_heap_publish(core.heap, client, "root", offset_of(rooted)), 0);
    CU_ASSERT_EQUAL(collect(GA_COLLECT_REPORT)->found.objects, 0);
    ga_heap_client_gone(core.heap, client);
    client = ga_core_attach(&core);
    CU_ASSERT_EQUAL(ga_heap_set_policy(core.heap, client, GA_POLICY_UNREACHABLE), 0);
    me = ga_core_mcache(&core, client);
    size_t orphan = alloc();
    size_t garbage = alloc();
    ga_graph_point(&graph, left, 0, offset_of(orphan));
    ga_heap_client_gone(core.heap, client);

    struct ga_collect_owner owner;
    const struct ga_collect_result *result = collect(GA_COLLECT_REPORT);
    CU_ASSERT_EQUAL(result->found.objects, 5);
    CU_ASSERT_EQUAL(result->garbage.objects, 3);
    CU_ASSERT_EQUAL(result->garbage.bytes, 240);
    CU_ASSERT_EQUAL(result->freed.objects, 0);
    CU_ASSERT_EQUAL(ga_collect_next_owner(core.heap, 0, &owner), 0);
    CU_ASSERT(owner.client_plus_1 == 0 && owner.garbage.objects == 3);
    CU_ASSERT_EQUAL(ga_collect_next_owner(core.heap, 1, &owner), -ENOENT);
    CU_ASSERT(is_there(left) && is_there(two) && is_there(orphan) && is_there(garbage));

    result = collect(GA_COLLECT_ORPHANS);
    CU_ASSERT_EQUAL(result->found.objects, 2);
    CU_ASSERT_EQUAL(result->freed.objects, 1);
    CU_ASSERT(is_there(left) && is_there(two) && is_there(orphan) && !is_there(garbage));
    close_core();
}

/* ---- random heaps ---- */

static void build(size_t n)
{
    static const uint8_t sizes[] = {1, 2, 3, 4, 6, 7, 9, 12, 26, 35, 49, 60, 67};
    for (size_t i = 0; i < n; i++)
        ga_graph_alloc(&graph, client, me,
                       (ga_span_class)(sizes[below(COUNT(sizes))] * 2 + (below(3) == 0)));
    for (size_t i = 0; i < n / 100; i++)
        ga_graph_alloc_large(&graph, client, me, 33000 + below(2 * GA_CORE_MIB), below(2));
    ga_graph_sort(&graph);
    for (size_t i = 0; i < n * 4; i++) {
        const struct ga_graph_object *to = &graph.objects[below(graph.count)];
        size_t from = below(graph.count);
        const struct ga_graph_object *object = &graph.objects[from];
        if (!(object->slot.entry & GA_ENTRY_TINY) && below(3) > 0)
            ga_graph_point(&graph, from, below(object->bytes / 8),
                           to->offset + (below(2) ? below(to->bytes) : 0));
    }
}

static uint64_t count_wrong(void)
{
    uint64_t nwrong = 0;
    for (size_t i = 0; i < graph.count; i++)
        nwrong += is_there(i) != graph.objects[i].reached;
    return nwrong;
}

static void check_counts(void)
{
    uint64_t objects;
    uint64_t bytes;
    struct ga_heap_stats stats;
    ga_core_recount(&core, &objects, &bytes);
    ga_heap_get_stats(core.heap, &stats);
    CU_ASSERT_EQUAL(stats.heap_objects, objects);
    CU_ASSERT_EQUAL(stats.mallocs - stats.frees, objects);
}

/* A heap of all classes whose client is gone, or is managed and stands still. */
static void one_random(size_t n, bool managed)
{
    open_core(managed ? GA_POLICY_KEEP : GA_POLICY_UNREACHABLE, managed);
    build(n);
    uint64_t roots[20];
    for (size_t i = 0; i < COUNT(roots); i++) {
        roots[i] = graph.objects[below(graph.count)].offset;
        ga_graph_reach(&graph, roots[i]);
        char name[16];
        snprintf(name, sizeof(name), "r%zu", i);
        if (!managed)
            CU_ASSERT_EQUAL(ga_heap_publish(core.heap, client, name, roots[i]), 0);
    }
    if (!managed)
        ga_heap_client_gone(core.heap, client);
    begin(managed ? GA_COLLECT_FULL : GA_COLLECT_ORPHANS);
    if (managed)
        CU_ASSERT_EQUAL(ga_collect_add_roots(core.heap, roots, COUNT(roots)), 0);
    mark();
    const struct ga_collect_result *result = sweep();
    CU_ASSERT_EQUAL(count_wrong(), 0);
    CU_ASSERT_EQUAL(result->found.objects, graph.count);
    CU_ASSERT_EQUAL(result->freed.objects, result->garbage.objects);
    CU_ASSERT(result->freed.objects > 0 && result->freed.objects < graph.count);
    struct ga_collect_owner owner;
    CU_ASSERT_EQUAL(ga_collect_next_owner(core.heap, 0, &owner), 0);
    CU_ASSERT_EQUAL(owner.client_plus_1, managed ? client + 1 : 0);
    CU_ASSERT_EQUAL(owner.garbage.bytes, result->garbage.bytes);
    check_counts();
    close_core();
}

static void random_heaps(void)
{
    for (int i = 0; i < 6; i++) {
        one_random(300 + below(3000), false);
        one_random(300 + below(3000), true);
    }
}

/* ---- managed clients ---- */

/* The holder hears of what was freed in its spans, and may allocate there. What a managed client
 * gives back before it is empty is an orphan at once. */
static void managed(void)
{
    open_core(GA_POLICY_KEEP, true);
    size_t kept = alloc();
    size_t garbage = alloc();
    size_t large = ga_graph_alloc_large(&graph, client, me, 40000, true);
    size_t own = alloc_other();
    uint64_t outside[] = {3, UINT64_MAX, offset_of(own), offset_of(kept) + 79};
    CU_ASSERT_EQUAL(collect(GA_COLLECT_ORPHANS)->found.objects, 0);
    begin(GA_COLLECT_FULL);
    CU_ASSERT_EQUAL(ga_collect_add_roots(core.heap, outside, COUNT(outside)), 0);
    mark();
    const struct ga_collect_result *result = sweep();
    CU_ASSERT_EQUAL(result->roots, 1);
    CU_ASSERT_EQUAL(result->roots_outside, 3);
    CU_ASSERT_EQUAL(result->freed.objects, 2);
    CU_ASSERT_EQUAL(result->freed.bytes, 80 + 5 * GA_PAGE_SIZE);
    CU_ASSERT(is_there(kept) && is_there(own) && !is_there(garbage) && !is_there(large));
    ga_page_id page = graph.objects[kept].slot.page;
    CU_ASSERT(ga_core_is_in_inbox(&core, me, CLASS, page));
    CU_ASSERT(ga_core_is_in_inbox(&core, me, 1, graph.objects[large].slot.page));
    CU_ASSERT_EQUAL(offset_of(alloc()), offset_of(garbage));

    CU_ASSERT_EQUAL(ga_core_return(&core, client, me, page), 0);
    CU_ASSERT(ga_mheap_is_orphan(core.heap, page));
    ga_core_check_sound(&core);
    CU_ASSERT_EQUAL(collect(GA_COLLECT_FULL)->freed.objects, 2);
    ga_heap_client_gone(core.heap, client);
    CU_ASSERT_EQUAL(core.heap->nspans, 1);
    close_core();
}

/* Once the marking counts they go on: what they allocate and free during the sweep, in the same
 * spans, is as they leave it. */
static void managed_goes_on(void)
{
    open_core(GA_POLICY_KEEP, true);
    uint64_t roots[200];
    size_t kept[COUNT(roots)];
    size_t garbage[COUNT(roots)];
    for (size_t i = 0; i < COUNT(roots); i++) {
        kept[i] = alloc();
        garbage[i] = alloc();
        roots[i] = offset_of(kept[i]);
    }
    begin(GA_COLLECT_FULL);
    CU_ASSERT_EQUAL(ga_collect_add_roots(core.heap, roots, COUNT(roots)), 0);
    mark();
    size_t added[50];
    for (size_t i = 0; i < COUNT(added); i++) {
        added[i] = alloc();
        CU_ASSERT(ga_core_free_own(&core, me, &graph.objects[kept[2 * i]].slot));
        CU_ASSERT(ga_core_free_other(&core, others, &graph.objects[kept[2 * i + 1]].slot));
        if (i % 10 == 0)
            (void)ga_collect_sweep_some(core.heap, 1);
    }
    CU_ASSERT_EQUAL(sweep()->freed.objects, COUNT(garbage));
    for (size_t i = 0; i < COUNT(added); i++)
        CU_ASSERT(is_there(added[i]));
    for (size_t i = 0; i < COUNT(kept); i++) {
        CU_ASSERT_EQUAL(is_there(kept[i]), i >= 2 * COUNT(added));
        CU_ASSERT(!is_there(garbage[i]));
    }
    check_counts();
    close_core();
}

/* What a thread has freed into its batch is no garbage: it is free. */
static void batches(void)
{
    open_core(GA_POLICY_KEEP, true);
    size_t in_batch = alloc();
    size_t garbage = alloc();
    struct ga_mcache *line = &core.view.mcaches[others];
    const struct ga_slot *slot = &graph.objects[in_batch].slot;
    struct ga_batch_slots slots = {
        .page = slot->page, .word = slot->index / 64, .entry = slot->entry};
    ga_batch_begin(line, slot->page, slot->index / 64);
    ga_batch_put(line, &slots, UINT64_C(1) << slot->index % 64,
                 ga_load_relaxed(ga_view_a(&core.view, slot->page, slot->index / 64)));
    CU_ASSERT_EQUAL(collect(GA_COLLECT_FULL)->freed.objects, 1);
    CU_ASSERT(is_there(in_batch) && !is_there(garbage));
    uint64_t refused = 0;
    CU_ASSERT(ga_batch_flush(&core.view, others, &slots, &refused));
    CU_ASSERT_EQUAL(refused, 0);
    ga_fetch_add_relaxed(&line->classes[CLASS].nfree, 1);
    close_core();
}

/* ---- meanwhile ---- */

/* A span that others have emptied since is another's by now, and is left alone. */
static void another_span(void)
{
    open_core(GA_POLICY_UNREACHABLE, false);
    size_t freed = alloc();
    size_t half[2] = {ga_graph_alloc(&graph, client, me, CLASS + 2),
                      ga_graph_alloc(&graph, client, me, CLASS + 2)};
    ga_heap_client_gone(core.heap, client);
    begin(GA_COLLECT_ORPHANS);
    mark();
    CU_ASSERT(ga_core_free_other(&core, others, &graph.objects[freed].slot));
    CU_ASSERT(ga_core_free_other(&core, others, &graph.objects[half[0]].slot));
    ga_heap_sweep_pending(core.heap);
    size_t next = alloc_other();
    CU_ASSERT_EQUAL(offset_of(next), offset_of(freed));
    const struct ga_collect_result *result = sweep();
    CU_ASSERT_EQUAL(result->garbage.objects, 3);
    CU_ASSERT_EQUAL(result->freed.objects, 1);
    CU_ASSERT(is_there(next) && !is_there(half[1]));
    check_counts();
    close_core();
}

/* What is published or held while the marking runs is looked for once more; what is held later
 * stays. */
static void found_meanwhile(void)
{
    open_core(GA_POLICY_UNREACHABLE, false);
    size_t published = alloc();
    size_t behind = alloc();
    size_t held = alloc();
    size_t held_late = alloc();
    size_t garbage = alloc();
    ga_graph_point(&graph, published, 0, offset_of(behind));
    ga_heap_client_gone(core.heap, client);
    begin(GA_COLLECT_ORPHANS);
    ga_collect_work(core.heap, true);
    CU_ASSERT_EQUAL(ga_heap_publish(core.heap, other, "late", offset_of(published)), 0);
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, other, offset_of(held)), 0);
    CU_ASSERT_EQUAL(ga_collect_settle(core.heap), 0);
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, other, offset_of(held_late)), 0);
    CU_ASSERT_EQUAL(sweep()->freed.objects, 1);
    CU_ASSERT(is_there(published) && is_there(behind) && is_there(held) && is_there(held_late));
    CU_ASSERT(!is_there(garbage));
    close_core();
}

/* Held or published while the only pointers to them are moved, from where the marking has yet to
 * look to where it has looked, and let go again before it is done. */
static void moved_meanwhile(void)
{
    open_core(GA_POLICY_UNREACHABLE, false);
    size_t held = alloc();
    size_t published = alloc();
    size_t behind = alloc();
    size_t replaced = alloc();
    size_t garbage = alloc();
    size_t to = alloc_other();
    ga_graph_point(&graph, held, 0, offset_of(behind));
    ga_heap_client_gone(core.heap, client);
    begin(GA_COLLECT_ORPHANS);
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, other, offset_of(held)), 0);
    CU_ASSERT_EQUAL(ga_heap_publish(core.heap, other, "one", offset_of(published)), 0);
    CU_ASSERT_EQUAL(ga_heap_publish(core.heap, other, "two", offset_of(replaced)), 0);
    ga_collect_work(core.heap, true);
    ga_graph_point(&graph, to, 0, offset_of(held));
    ga_graph_point(&graph, to, 1, offset_of(published));
    ga_graph_point(&graph, to, 2, offset_of(replaced));
    CU_ASSERT_EQUAL(ga_heap_release(core.heap, other, offset_of(held)), 0);
    CU_ASSERT_EQUAL(ga_heap_unpublish(core.heap, "one"), 0);
    uint64_t old;
    CU_ASSERT_EQUAL(ga_heap_replace(core.heap, other, "two", offset_of(published), &old), 0);
    CU_ASSERT_EQUAL(ga_collect_settle(core.heap), 0);
    CU_ASSERT_EQUAL(sweep()->freed.objects, 1);
    CU_ASSERT(is_there(held) && is_there(behind) && is_there(published) && is_there(replaced));
    CU_ASSERT(!is_there(garbage));
    close_core();
}

/* Pages that the marker may still read keep their memory, as long as it marks. */
static void no_release_meanwhile(void)
{
    struct ga_page_run runs[GA_RELEASE_RUNS];
    open_core(GA_POLICY_UNREACHABLE, false);
    ga_page_id page = 0;
    bool zeroed;
    CU_ASSERT_EQUAL_FATAL(
        ga_core_large_alloc(&core, other, others, 32 * GA_CORE_MIB, true, &page, &zeroed), 0);
    ga_core_free_large(&core, other, others, page);
    ga_heap_sweep_pending(core.heap);
    ga_heap_next_period(core.heap);
    ga_heap_next_period(core.heap);
    begin(GA_COLLECT_ORPHANS);
    CU_ASSERT(ga_heap_surplus_bytes(core.heap) > 0);
    CU_ASSERT_EQUAL(ga_heap_begin_release(core.heap, runs), 0);
    mark();
    uint32_t nruns = ga_heap_begin_release(core.heap, runs);
    CU_ASSERT(nruns > 0);
    for (uint32_t i = 0; i < nruns; i++)
        ga_heap_end_release(core.heap, i, false);
    sweep();
    close_core();
}

/* One at a time; abandoned anywhere it has freed nothing more, and the next goes through. */
static void given_up(void)
{
    open_core(GA_POLICY_UNREACHABLE, false);
    CU_ASSERT_EQUAL(ga_collect_begin(core.heap, GA_COLLECT_MODES), -EINVAL);
    ga_heap_set_memory(core.heap, NULL);
    CU_ASSERT_EQUAL(ga_collect_begin(core.heap, GA_COLLECT_FULL), -EINVAL);
    ga_graph_adopted(&graph);
    for (int i = 0; i < 1000; i++)
        alloc();
    ga_heap_client_gone(core.heap, client);
    begin(GA_COLLECT_ORPHANS);
    CU_ASSERT_EQUAL(ga_collect_begin(core.heap, GA_COLLECT_ORPHANS), -EBUSY);
    CU_ASSERT(!ga_collect_has_new_orphans(core.heap));
    ga_collect_abandon(core.heap);
    ga_collect_abandon(core.heap);
    CU_ASSERT(ga_collect_has_new_orphans(core.heap));

    begin(GA_COLLECT_ORPHANS);
    ga_collect_cancel(core.heap);
    ga_collect_work(core.heap, true);
    CU_ASSERT_EQUAL(ga_collect_settle(core.heap), -ECANCELED);
    ga_collect_abandon(core.heap);
    for (size_t i = 0; i < graph.count; i++)
        CU_ASSERT(is_there(i));

    begin(GA_COLLECT_ORPHANS);
    mark();
    CU_ASSERT(!ga_collect_sweep_some(core.heap, 2));
    ga_collect_abandon(core.heap);
    CU_ASSERT_EQUAL(ga_collect_get_result(core.heap)->freed.objects, 204);
    ga_core_check_sound(&core);
    CU_ASSERT_EQUAL(collect(GA_COLLECT_ORPHANS)->freed.objects, 796);
    CU_ASSERT(!ga_collect_has_new_orphans(core.heap));
    close_core();
}

int main(void)
{
    const struct ga_test tests[] = {
        {"orphans", orphans},
        {"orphans stay orphans", orphans_stay_orphans},
        {"those who keep", those_who_keep},
        {"random heaps", random_heaps},
        {"managed", managed},
        {"managed goes on", managed_goes_on},
        {"batches", batches},
        {"another span", another_span},
        {"found meanwhile", found_meanwhile},
        {"moved meanwhile", moved_meanwhile},
        {"no release meanwhile", no_release_meanwhile},
        {"given up", given_up},
    };
    state = ga_test_seed();
    return ga_test_main("server.collect", tests, COUNT(tests));
}

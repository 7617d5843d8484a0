/* Collections while those who are collected run: what they store meanwhile is found by the pages
 * that they have written to, and by nothing else; and what is at a place by then is not taken for
 * what was there before. */
#include "server/collect.h"

#include <stdlib.h>
#include <string.h>

#include "shm/batch.h"
#include "support/core_graph.h"
#include "support/cunit_main.h"

#define RESERVE (4 * GA_ARENA_SIZE)
#define CLASS   14 /* 80 bytes, 102 slots a span */
#define NWORDS  (RESERVE / GA_OS_PAGE_SIZE / 64)

static struct ga_core core;
static struct ga_graph graph;
static ga_client_id client; /* managed */
static ga_client_id other;  /* not */
static ga_mcache_id me;
static ga_mcache_id others;
static uint64_t written[NWORDS];
static bool is_noted; /* what is stored */
static uint64_t state;

static void open_core(void)
{
    ga_core_open(&core, RESERVE, 0);
    client = ga_core_attach(&core);
    CU_ASSERT_EQUAL(ga_heap_set_managed(core.heap, client), 0);
    other = ga_core_attach(&core);
    me = ga_core_mcache(&core, client);
    others = ga_core_mcache(&core, other);
    ga_graph_init(&graph, &core);
    memset(written, 0, sizeof(written));
    is_noted = true;
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

static uint64_t offset_of(size_t object)
{
    return graph.objects[object].offset;
}

static bool is_there(size_t object)
{
    return ga_core_in_use(&core, &graph.objects[object].slot);
}

static void note(uint64_t offset)
{
    uint64_t page = offset / GA_OS_PAGE_SIZE;
    if (is_noted)
        written[page / 64] |= UINT64_C(1) << page % 64;
}

static void point(size_t from, uint64_t word, uint64_t offset)
{
    ga_graph_point(&graph, from, word, offset);
    note(offset_of(from) + word * 8);
}

/* All 0, as what calloc gives. */
static size_t clear(size_t object)
{
    for (uint64_t at = 0; at < graph.objects[object].bytes; at += 8)
        note(offset_of(object) + at);
    memset(graph.memory + offset_of(object), 0, graph.objects[object].bytes);
    return object;
}

static size_t alloc(void)
{
    return clear(ga_graph_alloc(&graph, client, me, CLASS));
}

static void publish(const char *name, size_t object)
{
    CU_ASSERT_EQUAL_FATAL(ga_heap_publish(core.heap, client, name, offset_of(object)), 0);
}

/* Begin, and mark what is known so far; nothing counts as written yet. */
static void begin(void)
{
    memset(written, 0, sizeof(written));
    CU_ASSERT_EQUAL_FATAL(ga_collect_begin(core.heap, GA_COLLECT_FULL), 0);
    ga_collect_work(core.heap, true);
}

static void look_again(bool last)
{
    CU_ASSERT_EQUAL_FATAL(ga_collect_look_again(core.heap, written, NWORDS, last), 0);
    memset(written, 0, sizeof(written));
    if (!last)
        ga_collect_work(core.heap, true);
}

static void settle(void)
{
    ga_collect_work(core.heap, true);
    CU_ASSERT_EQUAL_FATAL(ga_collect_settle(core.heap), 0);
}

static const struct ga_collect_result *sweep(void)
{
    while (!ga_collect_sweep_some(core.heap, 3))
        ;
    ga_collect_end(core.heap);
    return ga_collect_get_result(core.heap);
}

static const struct ga_collect_result *finish(void)
{
    look_again(true);
    settle();
    return sweep();
}

/* ---- stores ---- */

/* The only way to an object is stored where all was marked already; also in an object of who is not
 * managed. What is behind it stays, too. One whose page nobody tells of goes: so it is the page
 * that did it. */
static void only_a_written_page(void)
{
    for (int rounds = 0; rounds < 3; rounds++) {
        open_core();
        size_t marked = alloc();
        size_t elsewhere[200];
        for (size_t i = 0; i < 200; i++)
            elsewhere[i] = alloc();
        size_t root = ga_graph_alloc(&graph, other, others, CLASS);
        size_t moved[] = {alloc(), alloc(), alloc(), alloc()};
        size_t behind = alloc();
        point(moved[0], 3, offset_of(behind));
        publish("marked", marked);
        publish("elsewhere", elsewhere[199]);
        begin();
        point(marked, 0, offset_of(moved[0]));
        point(root, 9, offset_of(moved[1]));
        for (int i = 0; i < rounds; i++)
            look_again(false);
        point(root, 8, offset_of(moved[2]) + 8);
        is_noted = false;
        CU_ASSERT_NOT_EQUAL(offset_of(elsewhere[199]) / GA_OS_PAGE_SIZE,
                            offset_of(marked) / GA_OS_PAGE_SIZE);
        point(elsewhere[199], 1, offset_of(moved[3]));
        CU_ASSERT_EQUAL(finish()->freed.objects, 200);
        CU_ASSERT(is_there(moved[0]) && is_there(moved[1]) && is_there(moved[2]));
        CU_ASSERT(is_there(behind) && is_there(marked) && is_there(elsewhere[199]));
        CU_ASSERT(!is_there(moved[3]));
        close_core();
    }
}

/* Garbage does not keep what it points to, though it was written to. */
static void garbage_is_written_to(void)
{
    open_core();
    size_t garbage[] = {alloc(), alloc()};
    begin();
    point(garbage[0], 0, offset_of(garbage[1]));
    point(garbage[1], 0, offset_of(garbage[0]));
    CU_ASSERT_EQUAL(finish()->freed.objects, 2);
    close_core();
}

/* An object may lie on several OS pages; a part of it on each. */
static void written_parts(void)
{
    open_core();
    size_t large = ga_graph_alloc_large(&graph, client, me, 300000, false);
    size_t small = clear(ga_graph_alloc(&graph, client, me, 60 * 2));
    size_t to[] = {alloc(), alloc(), alloc(), alloc()};
    uint64_t end = graph.objects[small].bytes / 8;
    clear(large);
    publish("large", large);
    publish("small", small);
    begin();
    point(large, 0, offset_of(to[0]));
    point(large, 37000, offset_of(to[1]));
    point(small, 0, offset_of(to[2]));
    point(small, end - 1, offset_of(to[3]));
    CU_ASSERT_EQUAL(finish()->freed.objects, 0);
    close_core();
}

/* ---- what is allocated and freed meanwhile ---- */

/* It stays whether it is reached or not, and so does what it points to. */
static void allocated(void)
{
    open_core();
    size_t old[] = {alloc(), alloc(), alloc()};
    begin();
    size_t in_span = alloc();
    size_t large = clear(ga_graph_alloc_large(&graph, client, me, 100000, false));
    size_t in_new = clear(ga_graph_alloc(&graph, client, me, CLASS + 2));
    point(in_span, 9, offset_of(old[0]));
    point(large, 12000, offset_of(old[1]));
    point(in_new, 1, offset_of(old[2]));
    CU_ASSERT_EQUAL(finish()->freed.objects, 0);
    CU_ASSERT(is_there(in_span) && is_there(large) && is_there(in_new));
    close_core();
}

/* A slot that was freed before all stood still may be another's object when the sweep comes. */
static void freed(void)
{
    open_core();
    size_t objects[] = {alloc(), alloc()};
    size_t garbage = alloc();
    size_t tiny = ga_graph_alloc(&graph, client, me, GA_SPAN_CLASS_TINY);
    size_t large = ga_graph_alloc_large(&graph, client, me, 100000, true);
    begin();
    for (int i = 0; i < 2; i++)
        CU_ASSERT(ga_core_free_own(&core, me, &graph.objects[objects[i]].slot));
    CU_ASSERT(ga_core_free_own(&core, me, &graph.objects[tiny].slot));
    /* One is used again at once, and reached; the other, once the marking counts. */
    size_t again = alloc();
    CU_ASSERT_EQUAL_FATAL(offset_of(again), offset_of(objects[0]));
    look_again(true);
    uint64_t root = offset_of(again) + 16;
    CU_ASSERT_EQUAL(ga_collect_add_roots(core.heap, &root, 1), 0);
    settle();
    size_t later = alloc();
    CU_ASSERT_EQUAL_FATAL(offset_of(later), offset_of(objects[1]));
    size_t tiny_later = ga_graph_alloc(&graph, client, me, GA_SPAN_CLASS_TINY);
    CU_ASSERT_EQUAL_FATAL(offset_of(tiny_later), offset_of(tiny));
    CU_ASSERT_EQUAL(sweep()->freed.objects, 2);
    CU_ASSERT(is_there(again) && is_there(later) && is_there(tiny_later));
    CU_ASSERT(!is_there(garbage) && !is_there(large));
    close_core();
}

/* What lies in the batch of a thread by the time that all stand still is free. */
static void batched(void)
{
    open_core();
    size_t in_batch = alloc();
    size_t garbage = alloc();
    const struct ga_slot *slot = &graph.objects[in_batch].slot;
    struct ga_mcache *line = &core.view.mcaches[others];
    begin();
    ga_store_relaxed(&line->batch_where, ga_batch_where(slot->page, slot->index / 64));
    ga_store_relaxed(&line->batch_mask, UINT64_C(1) << slot->index % 64);
    CU_ASSERT_EQUAL(finish()->freed.objects, 1);
    CU_ASSERT(is_there(in_batch) && !is_there(garbage));
    ga_store_relaxed(&line->batch_mask, 0);
    close_core();
}

/* Tiny objects where others were: what is at a unit now is told by the units that are in use now.
 */
static void tiny_again(void)
{
    open_core();
    size_t objects[100];
    size_t keeper = alloc();
    publish("keeper", keeper);
    for (size_t i = 0; i < 100; i++)
        objects[i] = ga_graph_alloc(&graph, client, me, GA_SPAN_CLASS_TINY);
    begin();
    /* Of two neighbours the second goes; what the first was is longer now, and known by its end. */
    CU_ASSERT(ga_core_free_own(&core, me, &graph.objects[objects[11]].slot));
    look_again(true);
    uint64_t root = offset_of(objects[11]);
    CU_ASSERT_EQUAL(ga_collect_add_roots(core.heap, &root, 1), 0);
    settle();
    (void)sweep();
    CU_ASSERT(is_there(objects[10]));
    CU_ASSERT(!is_there(objects[99]));
    close_core();
}

/* ---- other spans ---- */

/* Where a span was there is another, of another class. */
static void another_span(void)
{
    open_core();
    size_t gone = clear(ga_graph_alloc(&graph, client, me, 26 * 2 + 1));
    size_t kept = alloc();
    ga_page_id page = graph.objects[gone].slot.page;
    begin();
    CU_ASSERT(ga_core_free_own(&core, me, &graph.objects[gone].slot));
    CU_ASSERT_EQUAL(ga_core_return(&core, client, me, page), 0);
    size_t object = clear(ga_graph_alloc(&graph, client, me, 4 * 2));
    CU_ASSERT_EQUAL_FATAL(graph.objects[object].slot.page, page);
    point(object, 0, offset_of(kept));
    CU_ASSERT_EQUAL(finish()->freed.objects, 0);
    CU_ASSERT(is_there(kept) && is_there(object));
    close_core();
}

/* A thread's batch lies in a span that was made meanwhile: behind the pages that there were at the
 * beginning, or where one with fewer slots was. */
static void batch_in_another_span(void)
{
    open_core();
    struct ga_mcache *line = &core.view.mcaches[others];
    uint64_t npages = ga_load_relaxed(&core.view.meta->committed_npages);
    size_t gone = ga_graph_alloc(&graph, client, me, 26 * 2 + 1);
    ga_page_id page = graph.objects[gone].slot.page;
    size_t kept = alloc(); /* behind it, where the bits of more slots would lie */
    publish("kept", kept);
    begin();
    CU_ASSERT(ga_core_free_own(&core, me, &graph.objects[gone].slot));
    CU_ASSERT_EQUAL(ga_core_return(&core, client, me, page), 0);
    size_t object = clear(ga_graph_alloc(&graph, client, me, 1 * 2));
    CU_ASSERT_EQUAL_FATAL(graph.objects[object].slot.page, page);
    for (uint32_t word = 0; word < ga_word_count(ga_mheap_nslots(1 * 2)); word++) {
        ga_store_relaxed(&line->batch_where, ga_batch_where(page, word));
        ga_store_relaxed(&line->batch_mask, ~UINT64_C(0));
        look_again(true);
    }
    size_t added;
    do
        added = ga_graph_alloc(&graph, client, me, (GA_SIZE_CLASS_COUNT - 1) * 2);
    while (graph.objects[added].slot.page < npages);
    ga_store_relaxed(&line->batch_where, ga_batch_where(graph.objects[added].slot.page, 0));
    CU_ASSERT_EQUAL(finish()->freed.objects, 0);
    CU_ASSERT(is_there(kept) && is_there(object) && is_there(added));
    ga_store_relaxed(&line->batch_mask, 0);
    close_core();
}

/* One that has become longer is not told by a pointer to what it had not at the beginning; all that
 * it points to is found nevertheless, though it was not written to. */
static void resized(void)
{
    open_core();
    size_t large = clear(ga_graph_alloc_large(&graph, client, me, 200000, false));
    size_t kept = alloc();
    ga_page_id page = graph.objects[large].slot.page;
    CU_ASSERT_EQUAL_FATAL(ga_heap_large_resize(core.heap, client, page, 40000), 0);
    point(large, 1, offset_of(kept));
    begin();
    CU_ASSERT_EQUAL_FATAL(ga_heap_large_resize(core.heap, client, page, 200000), 0);
    look_again(true);
    uint64_t root = offset_of(large) + 190000;
    CU_ASSERT_EQUAL(ga_collect_add_roots(core.heap, &root, 1), 0);
    settle();
    (void)sweep();
    CU_ASSERT(is_there(large) && is_there(kept));
    close_core();
}

/* Bits for what there is no memory of mean nothing. */
static void outside(void)
{
    open_core();
    size_t garbage = alloc();
    begin();
    memset(written, 0xff, sizeof(written));
    CU_ASSERT_EQUAL(finish()->freed.objects, 1);
    CU_ASSERT(!is_there(garbage));
    close_core();
}

/* ---- random heaps ---- */

static size_t any(void)
{
    return below(graph.count);
}

static void store_any(void)
{
    size_t from = any();
    const struct ga_graph_object *object = &graph.objects[from];
    const struct ga_graph_object *to = &graph.objects[any()];
    if (!object->noscan)
        point(from, below(object->bytes / 8), to->offset + (below(3) ? 0 : below(to->bytes)));
}

static void alloc_any(void)
{
    static const uint8_t sizes[] = {1, 2, 3, 4, 7, 12, 26, 49, 67};
    if (below(60) == 0)
        clear(ga_graph_alloc_large(&graph, client, me, 33000 + below(GA_CORE_MIB), below(2)));
    else
        clear(ga_graph_alloc(&graph, client, me,
                             (ga_span_class)(sizes[below(sizeof(sizes))] * 2 + below(2))));
}

/* Tiny objects cannot be told apart in the books here, once others lie where they were. */
static void free_any(void)
{
    size_t i = any();
    if (graph.objects[i].slot.entry & (GA_ENTRY_TINY | GA_ENTRY_LARGE))
        return;
    CU_ASSERT(below(2) ? ga_core_free_own(&core, me, &graph.objects[i].slot)
                       : ga_core_free_other(&core, others, &graph.objects[i].slot));
    graph.objects[i] = graph.objects[--graph.count];
}

static void mutate(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t what = below(10);
        if (what < 6)
            store_any();
        else if (what < 8)
            alloc_any();
        else
            free_any();
    }
}

static uint64_t count_reached(void)
{
    uint64_t n = 0;
    for (size_t i = 0; i < graph.count; i++)
        n += graph.objects[i].reached;
    return n;
}

static void reach(const uint64_t *roots, size_t n)
{
    ga_graph_sort(&graph);
    for (size_t i = 0; i < graph.count; i++)
        graph.objects[i].reached = false;
    for (size_t i = 0; i < n; i++)
        ga_graph_reach(&graph, roots[i]);
}

/* Begin in slices, while all goes on. */
static void begin_slowly(void)
{
    bool done = false;
    memset(written, 0, sizeof(written));
    CU_ASSERT_EQUAL_FATAL(ga_collect_prepare(core.heap, GA_COLLECT_FULL), 0);
    while (!done) {
        mutate(below(20));
        CU_ASSERT_EQUAL_FATAL(ga_collect_enter_some(core.heap, 1 + below(300), &done), 0);
    }
    ga_collect_work(core.heap, true);
}

/* What is in a span that is made where a slice has been is known by the pages written to. */
static void made_between_slices(void)
{
    open_core();
    bool done = false;
    size_t kept = alloc();
    size_t lost = alloc();
    CU_ASSERT_EQUAL_FATAL(ga_collect_prepare(core.heap, GA_COLLECT_FULL), 0);
    CU_ASSERT_EQUAL_FATAL(ga_collect_enter_some(core.heap, 1000, &done), 0);
    CU_ASSERT(!done);
    size_t made = clear(ga_graph_alloc(&graph, client, me, 60 * 2));
    CU_ASSERT(graph.objects[made].slot.page < 900);
    memset(written, 0, sizeof(written));
    point(made, 0, offset_of(kept));
    is_noted = false;
    point(made, graph.objects[made].bytes / 8 - 1, offset_of(lost));
    while (!done)
        CU_ASSERT_EQUAL_FATAL(ga_collect_enter_some(core.heap, 1000, &done), 0);
    ga_collect_work(core.heap, true);
    CU_ASSERT_EQUAL(finish()->freed.objects, 1);
    CU_ASSERT(is_there(kept) && is_there(made) && !is_there(lost));
    close_core();
}

/* Slices find what a beginning at once finds. */
static void slices(void)
{
    open_core();
    bool done = false;
    unsigned n = 0;
    for (int i = 0; i < 1000; i++)
        alloc();
    size_t kept = alloc();
    publish("kept", kept);
    CU_ASSERT_EQUAL_FATAL(ga_collect_prepare(core.heap, GA_COLLECT_FULL), 0);
    CU_ASSERT(ga_collect_is_marking(core.heap));
    for (; !done; n++)
        CU_ASSERT_EQUAL_FATAL(ga_collect_enter_some(core.heap, 1, &done), 0);
    CU_ASSERT(n > 10);
    ga_collect_work(core.heap, true);
    const struct ga_collect_result *result = finish();
    CU_ASSERT(result->found.objects == 1001 && result->freed.objects == 1000);
    CU_ASSERT(is_there(kept));
    close_core();
}

/* Nothing goes that is reached when all stand still; and all that is not goes with the next cycle.
 */
static void one_random(void)
{
    uint64_t roots[20];
    open_core();
    for (size_t i = 0; i < 200; i++)
        alloc_any();
    mutate(3000);
    if (below(2))
        begin();
    else
        begin_slowly();
    for (uint64_t rounds = below(3); rounds > 0; rounds--) {
        mutate(below(500));
        look_again(false);
    }
    mutate(below(500));
    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
        roots[i] = offset_of(any());
    look_again(true);
    CU_ASSERT_EQUAL(ga_collect_add_roots(core.heap, roots, 20), 0);
    settle();
    reach(roots, 20);
    (void)sweep();
    uint64_t nlost = 0;
    for (size_t i = 0; i < graph.count; i++)
        nlost += graph.objects[i].reached && !is_there(i);
    CU_ASSERT_EQUAL(nlost, 0);
    CU_ASSERT_EQUAL_FATAL(ga_collect_begin(core.heap, GA_COLLECT_FULL), 0);
    CU_ASSERT_EQUAL(ga_collect_add_roots(core.heap, roots, 20), 0);
    settle();
    const struct ga_collect_result *result = sweep();
    CU_ASSERT_EQUAL(result->found.objects - result->freed.objects, count_reached());
    close_core();
}

static void random_heaps(void)
{
    for (int i = 0; i < 40; i++)
        one_random();
}

int main(void)
{
    const struct ga_test tests[] = {
        {"only a written page", only_a_written_page},
        {"garbage is written to", garbage_is_written_to},
        {"written parts", written_parts},
        {"allocated meanwhile", allocated},
        {"freed meanwhile", freed},
        {"batched meanwhile", batched},
        {"tiny objects meanwhile", tiny_again},
        {"another span", another_span},
        {"a batch in another span", batch_in_another_span},
        {"a longer object", resized},
        {"pages that there are not", outside},
        {"slices", slices},
        {"made between slices", made_between_slices},
        {"random heaps", random_heaps},
    };
    state = ga_test_seed();
    return ga_test_main("server.collect_again", tests, sizeof(tests) / sizeof(tests[0]));
}

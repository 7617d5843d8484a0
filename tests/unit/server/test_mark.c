/* The marker, against a plain one: objects of every class, pointers to their beginnings and into
 * their middles, rings, lists, what only looks like a pointer; one thread and several. */
#include "server/mark.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "shm/size_class.h"
#include "support/core_graph.h"
#include "support/cunit_main.h"

#define RESERVE  (4 * GA_ARENA_SIZE)
#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define NTHREADS 4

static struct ga_core core;
static struct ga_graph graph;
static ga_client_id client;
static ga_mcache_id me;
static uint64_t state;

static void open_core(void)
{
    ga_core_open(&core, RESERVE, 0);
    client = ga_core_attach(&core);
    me = ga_core_mcache(&core, client);
    ga_graph_init(&graph, &core);
}

static void close_core(void)
{
    ga_graph_fini(&graph);
    ga_core_close(&core);
}

static uint64_t below(uint64_t n)
{
    return ga_test_random(&state) % n;
}

/* A marker that knows all spans, those of roots excepted. */
static struct ga_mark *begin(ga_page_id root_span)
{
    struct ga_mark *mark = NULL;
    struct ga_span_info info;
    CU_ASSERT_EQUAL_FATAL(
        ga_mark_new(&core.view, graph.memory, GA_CORE_BASE, core.heap->npages_committed, &mark), 0);
    for (uint64_t page = 0; ga_heap_next_span(core.heap, page, &info) == 0; page = info.page + 1) {
        if (info.page == root_span)
            CU_ASSERT_EQUAL(ga_mark_add_root_span(mark, info.page, info.npages, info.span_class), 0)
        else
            CU_ASSERT_EQUAL(ga_mark_add_span(mark, info.page, info.npages, info.span_class), 0);
    }
    return mark;
}

static bool is_reached(const struct ga_mark *mark, const struct ga_graph_object *object)
{
    return (ga_mark_unreached(mark, object->slot.page, object->slot.index / 64) >>
                object->slot.index % 64 &
            1) == 0;
}

/* How many objects the two markers think differently of. */
static uint64_t count_wrong(const struct ga_mark *mark)
{
    uint64_t nwrong = 0;
    for (size_t i = 0; i < graph.count; i++)
        nwrong += is_reached(mark, &graph.objects[i]) != graph.objects[i].reached;
    return nwrong;
}

static void *work(void *mark)
{
    ga_mark_work(mark, false);
    return NULL;
}

static void run(struct ga_mark *mark, int nthreads)
{
    pthread_t threads[NTHREADS];
    for (int i = 0; i < nthreads; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, work, mark), 0);
    for (int i = 0; i < nthreads; i++)
        pthread_join(threads[i], NULL);
    if (nthreads == 0)
        ga_mark_work(mark, true);
    CU_ASSERT(ga_mark_is_whole(mark));
}

static void add_root(struct ga_mark *mark, uint64_t offset)
{
    CU_ASSERT_EQUAL(ga_mark_add_root(mark, offset), 0);
    ga_graph_reach(&graph, offset);
}

/* ---- random graphs ---- */

static void alloc_some(size_t n)
{
    static const uint8_t sizes[] = {1, 2, 3, 4, 6, 6, 6, 9, 12, 26, 35, 41, 49, 60, 67};
    for (size_t i = 0; i < n; i++) {
        uint32_t size_class = sizes[below(i < n / 2 ? 9 : COUNT(sizes))];
        ga_graph_alloc(&graph, client, me, (ga_span_class)(size_class * 2 + (below(4) == 0)));
    }
    ga_graph_alloc_large(&graph, client, me, 40000, false);
    ga_graph_alloc_large(&graph, client, me, 40000, true);
    ga_graph_alloc_large(&graph, client, me, 5 * GA_CORE_MIB + 8, false);
    ga_graph_sort(&graph);
}

/* A word that is a pointer to an object, into it, just behind it, into the heap somewhere, or
 * nothing of the kind. */
static uint64_t random_word(void)
{
    const struct ga_graph_object *to = &graph.objects[below(graph.count)];
    switch (below(8)) {
    case 0:
        return GA_CORE_BASE + to->offset + below(to->bytes);
    case 1:
        return GA_CORE_BASE + to->offset + to->bytes;
    case 2:
        return GA_CORE_BASE + below(core.heap->npages_committed * GA_PAGE_SIZE);
    case 3:
        return below(2) ? GA_CORE_BASE - 1 - below(100) : ga_test_random(&state);
    default:
        return GA_CORE_BASE + to->offset;
    }
}

/* npointers words, in each object that many at most: fewer than one an object, so that much is
 * out of reach. noscan objects have pointers too, which do not count. */
static void connect(size_t npointers)
{
    for (size_t i = 0; i < npointers; i++) {
        size_t from = below(graph.count);
        if (graph.objects[from].bytes >= sizeof(uint64_t) &&
            !(graph.objects[from].slot.entry & GA_ENTRY_TINY))
            ga_graph_store(&graph, from, below(graph.objects[from].bytes / sizeof(uint64_t)),
                           random_word());
    }
}

static void one_random(size_t n, int nthreads)
{
    open_core();
    alloc_some(n);
    /* Some are free again: pointers to them lead nowhere, whatever they hold. */
    connect(n * 5 / 4);
    for (size_t i = 0; i < graph.count; i += 7)
        CU_ASSERT(ga_core_free_own(&core, me, &graph.objects[i].slot));
    size_t kept = 0;
    for (size_t i = 0; i < graph.count; i++)
        if (i % 7 != 0)
            graph.objects[kept++] = graph.objects[i];
    graph.count = kept;

    struct ga_mark *mark = begin(0);
    for (int i = 0; i < 20; i++)
        add_root(mark, graph.objects[below(graph.count)].offset);
    run(mark, nthreads);
    size_t nreached = 0;
    for (size_t i = 0; i < graph.count; i++)
        nreached += graph.objects[i].reached;
    CU_ASSERT_EQUAL(count_wrong(mark), 0);
    CU_ASSERT(nreached > 20 && nreached < graph.count); /* else it would show nothing */

    /* More roots later, and what hangs on them. */
    for (int i = 0; i < 20; i++)
        add_root(mark, graph.objects[below(graph.count)].offset);
    run(mark, nthreads);
    CU_ASSERT_EQUAL(count_wrong(mark), 0);
    ga_mark_free(mark);
    close_core();
}

static void random_graphs(void)
{
    for (int i = 0; i < 8; i++)
        one_random(500 + below(4000), 0);
    one_random(60000, 0);
}

static void several_threads(void)
{
    for (int i = 0; i < 4; i++)
        one_random(500 + below(4000), NTHREADS);
    one_random(60000, NTHREADS);
}

/* ---- graphs of one kind ---- */

#define LIST 50000u

/* A list is as long as the stack is short; a star needs all of the stack. */
static void list_and_star(int nthreads)
{
    open_core();
    for (size_t i = 0; i < LIST; i++)
        ga_graph_alloc(&graph, client, me, 12);
    size_t center = ga_graph_alloc_large(&graph, client, me, LIST * sizeof(uint64_t), false);
    for (size_t i = 0; i < LIST - 1; i++)
        ga_graph_point(&graph, i, 1, graph.objects[i + 1].offset);
    uint64_t head = graph.objects[0].offset;
    uint64_t hub = graph.objects[center].offset;
    for (size_t i = 1; i < LIST; i += 2)
        ga_graph_point(&graph, center, i, graph.objects[i].offset);

    struct ga_mark *mark = begin(0);
    CU_ASSERT_EQUAL(ga_mark_add_root(mark, head), 0);
    run(mark, nthreads);
    uint64_t nreached = 0;
    for (size_t i = 0; i < graph.count; i++)
        nreached += is_reached(mark, &graph.objects[i]);
    CU_ASSERT_EQUAL(nreached, LIST); /* and not the star */
    ga_mark_free(mark);

    for (size_t i = 0; i < LIST - 1; i++)
        ga_graph_store(&graph, i, 1, 0);
    mark = begin(0);
    CU_ASSERT_EQUAL(ga_mark_add_root(mark, hub), 0);
    run(mark, nthreads);
    for (size_t i = 0; i < LIST; i++)
        if (is_reached(mark, &graph.objects[i]) != (i % 2 == 1)) {
            CU_ASSERT_EQUAL(i, LIST);
            break;
        }
    ga_mark_free(mark);
    close_core();
}

static void lists_and_stars(void)
{
    list_and_star(0);
    list_and_star(NTHREADS);
}

/* Several threads come to the same words at the same time, for other objects: each is in one table.
 */
static void contended(void)
{
    const size_t nobjects = 8 * LIST;
    open_core();
    size_t tables[8];
    for (size_t i = 0; i < nobjects; i++)
        ga_graph_alloc(&graph, client, me, 12);
    for (size_t t = 0; t < COUNT(tables); t++) {
        tables[t] = ga_graph_alloc_large(&graph, client, me, LIST * sizeof(uint64_t), false);
        for (size_t i = 0; i < LIST; i++)
            ga_graph_point(&graph, tables[t], i, graph.objects[i * COUNT(tables) + t].offset);
    }
    for (int round = 0; round < 30; round++) {
        struct ga_mark *mark = begin(0);
        for (size_t t = 0; t < COUNT(tables); t++)
            CU_ASSERT_EQUAL(ga_mark_add_root(mark, graph.objects[tables[t]].offset), 0);
        run(mark, NTHREADS);
        size_t nreached = 0;
        for (size_t i = 0; i < graph.count; i++)
            nreached += is_reached(mark, &graph.objects[i]);
        CU_ASSERT_EQUAL(nreached, graph.count);
        ga_mark_free(mark);
    }
    close_core();
}

/* Pointers into every oblet of a large object, and from each; nothing behind its end is read. */
static void oblets(void)
{
    open_core();
    size_t small = ga_graph_alloc(&graph, client, me, 12);
    for (int i = 0; i < 40; i++)
        ga_graph_alloc(&graph, client, me, 12);
    size_t large = ga_graph_alloc_large(&graph, client, me, 3 * GA_CORE_MIB, false);
    size_t behind = ga_graph_alloc_large(&graph, client, me, 3 * GA_CORE_MIB, false);
    uint64_t oblet_words = (UINT64_C(128) << 10) / sizeof(uint64_t);
    for (size_t i = 0; i < 24; i++)
        ga_graph_point(&graph, large, (i + 1) * oblet_words - 1, graph.objects[i + 1].offset + 3);
    for (size_t i = 24; i < 40; i++)
        ga_graph_point(&graph, behind, i, graph.objects[i + 1].offset);
    /* From the middle of its last page. */
    ga_graph_point(&graph, small, 0, graph.objects[large].offset + 3 * GA_CORE_MIB - 4096);

    struct ga_mark *mark = begin(0);
    CU_ASSERT_EQUAL(ga_mark_add_root(mark, graph.objects[small].offset), 0);
    run(mark, 0);
    CU_ASSERT(is_reached(mark, &graph.objects[large]));
    CU_ASSERT(!is_reached(mark, &graph.objects[behind]));
    for (size_t i = 1; i <= 40; i++)
        CU_ASSERT_EQUAL(is_reached(mark, &graph.objects[i]), i <= 24);
    ga_mark_free(mark);
    close_core();
}

/* Objects without pointers are reached and not read: here they cannot be. */
static void noscan_is_not_read(void)
{
    open_core();
    size_t from = ga_graph_alloc(&graph, client, me, 12);
    size_t tiny = ga_graph_alloc(&graph, client, me, GA_SPAN_CLASS_TINY);
    size_t small = ga_graph_alloc(&graph, client, me, 13);
    size_t large = ga_graph_alloc_large(&graph, client, me, 2 * GA_CORE_MIB, true);
    const size_t closed[] = {tiny, small, large};
    for (size_t i = 0; i < COUNT(closed); i++)
        ga_graph_point(&graph, from, i, graph.objects[closed[i]].offset);
    struct ga_mark *mark = begin(0);
    for (size_t i = 0; i < COUNT(closed); i++)
        CU_ASSERT_EQUAL(mprotect(graph.memory + (graph.objects[closed[i]].offset & ~UINT64_C(4095)),
                                 GA_OS_PAGE_SIZE, PROT_NONE),
                        0);
    CU_ASSERT_EQUAL(ga_mark_add_root(mark, graph.objects[from].offset), 0);
    run(mark, 0);
    for (size_t i = 0; i < COUNT(closed); i++)
        CU_ASSERT(is_reached(mark, &graph.objects[closed[i]]));
    ga_mark_free(mark);
    close_core();
}

/* What was freed and given back while others were read has no memory, and is not read, in an object
 * that is reached and in one that is a root. Here it cannot be. */
static void given_back_is_not_read(void)
{
    open_core();
    size_t large = ga_graph_alloc_large(&graph, client, me, 2 * GA_CORE_MIB, false);
    uint64_t offset = graph.objects[large].offset;
    uint64_t hole = offset + GA_CORE_MIB;
    _Atomic uint64_t *entry = &core.heap->page_table[hole >> GA_PAGE_SHIFT];
    uint64_t before = ga_load_relaxed(entry);
    struct ga_mark *found = begin(0);
    struct ga_mark *root;
    CU_ASSERT_EQUAL_FATAL(
        ga_mark_new(&core.view, graph.memory, GA_CORE_BASE, core.heap->npages_committed, &root), 0);
    CU_ASSERT_EQUAL(ga_mark_add_root_span(root, (ga_page_id)(offset >> GA_PAGE_SHIFT),
                                          2 * GA_CORE_MIB / GA_PAGE_SIZE, 0),
                    0);
    ga_store_relaxed(entry, GA_ENTRY_SCAVENGED);
    CU_ASSERT_EQUAL(mprotect(graph.memory + hole, GA_PAGE_SIZE, PROT_NONE), 0);
    CU_ASSERT_EQUAL(ga_mark_add_root(found, offset), 0);
    run(found, 0);
    CU_ASSERT(is_reached(found, &graph.objects[large]));
    run(root, 0);
    CU_ASSERT(ga_mark_is_whole(root));
    ga_store_relaxed(entry, before);
    ga_mark_free(found);
    ga_mark_free(root);
    close_core();
}

/* What lies in a span of roots is read, and only what is in use there; and is not looked for. */
static void spans_of_roots(void)
{
    for (int nthreads = 0; nthreads <= NTHREADS; nthreads += NTHREADS) {
        open_core();
        size_t root = ga_graph_alloc(&graph, client, me, 12);
        size_t freed = ga_graph_alloc(&graph, client, me, 12);
        size_t one = ga_graph_alloc(&graph, client, me, 14);
        size_t two = ga_graph_alloc(&graph, client, me, 14);
        size_t three = ga_graph_alloc(&graph, client, me, 14);
        ga_graph_point(&graph, root, 7, graph.objects[one].offset);
        ga_graph_point(&graph, freed, 7, graph.objects[two].offset);
        ga_graph_point(&graph, one, 9, graph.objects[three].offset + 79);
        ga_graph_point(&graph, three, 0, graph.objects[root].offset);
        CU_ASSERT(ga_core_free_own(&core, me, &graph.objects[freed].slot));
        struct ga_mark *mark = begin(graph.objects[root].slot.page);
        CU_ASSERT(!ga_mark_knows(mark, graph.objects[root].offset));
        CU_ASSERT(ga_mark_knows(mark, graph.objects[one].offset));
        run(mark, nthreads);
        CU_ASSERT(is_reached(mark, &graph.objects[one]));
        CU_ASSERT(!is_reached(mark, &graph.objects[two]));
        CU_ASSERT(is_reached(mark, &graph.objects[three]));
        ga_mark_free(mark);
        close_core();
    }
}

/* Of a large object that is a root all is read. */
static void large_root(void)
{
    open_core();
    size_t large = ga_graph_alloc_large(&graph, client, me, GA_CORE_MIB + 1, false);
    size_t one = ga_graph_alloc(&graph, client, me, 14);
    size_t two = ga_graph_alloc(&graph, client, me, 14);
    ga_graph_point(&graph, large, GA_CORE_MIB / 8 + GA_PAGE_SIZE / 8 - 1,
                   graph.objects[one].offset);
    struct ga_mark *mark = begin(graph.objects[large].slot.page);
    run(mark, 0);
    CU_ASSERT(is_reached(mark, &graph.objects[one]));
    CU_ASSERT(!is_reached(mark, &graph.objects[two]));
    ga_mark_free(mark);
    close_core();
}

/* A root that points outside, or at nothing, is none. */
static void roots_outside(void)
{
    open_core();
    size_t one = ga_graph_alloc(&graph, client, me, 14);
    struct ga_mark *mark = begin(0);
    const uint64_t outside[] = {0,
                                1,
                                GA_PAGE_SIZE - 1,
                                core.heap->npages_committed * GA_PAGE_SIZE - 1,
                                core.heap->npages_committed * GA_PAGE_SIZE,
                                RESERVE,
                                UINT64_MAX,
                                -graph.objects[one].offset};
    for (size_t i = 0; i < COUNT(outside); i++) {
        CU_ASSERT(!ga_mark_knows(mark, outside[i]));
        CU_ASSERT_EQUAL(ga_mark_add_root(mark, outside[i]), 0);
    }
    /* A free slot beside the object is inside, and leads nowhere. */
    CU_ASSERT_EQUAL(ga_mark_add_root(mark, graph.objects[one].offset + 80), 0);
    run(mark, 0);
    CU_ASSERT(!is_reached(mark, &graph.objects[one]));
    CU_ASSERT_EQUAL(ga_mark_add_root(mark, graph.objects[one].offset + 79), 0);
    run(mark, 0);
    CU_ASSERT(is_reached(mark, &graph.objects[one]));
    ga_mark_free(mark);
    close_core();
}

/* A word behind the last slot of a span, in the rest that holds none, leads nowhere; whatever the
 * class, no index is beyond the words that there are. */
static void the_rest_of_a_span(void)
{
    for (uint32_t c = 1; c < GA_SIZE_CLASS_COUNT; c++) {
        const struct ga_size_class *class = &ga_size_classes[c];
        uint32_t bytes = class->npages * (uint32_t)GA_PAGE_SIZE;
        uint32_t last = ga_slot_index(class, bytes - 1);
        CU_ASSERT(last / 64 < ga_size_class_nwords(class));
        CU_ASSERT(last < class->nslots ||
                  (ga_valid_mask(class->nslots, last / 64) >> last % 64 & 1) == 0);
    }
}

static void cancelled(void)
{
    open_core();
    for (size_t i = 0; i < 1000; i++)
        ga_graph_alloc(&graph, client, me, 12);
    for (size_t i = 0; i < 999; i++)
        ga_graph_point(&graph, i, 0, graph.objects[i + 1].offset);
    struct ga_mark *mark = begin(0);
    CU_ASSERT_EQUAL(ga_mark_add_root(mark, graph.objects[0].offset), 0);
    ga_mark_cancel(mark);
    ga_mark_work(mark, true);
    ga_mark_work(mark, false);
    CU_ASSERT(!ga_mark_is_whole(mark));
    CU_ASSERT(!is_reached(mark, &graph.objects[999]));
    ga_mark_free(mark);
    close_core();
}

static void left_out(void)
{
    open_core();
    size_t one = ga_graph_alloc(&graph, client, me, 14);
    size_t two = ga_graph_alloc(&graph, client, me, 14);
    struct ga_mark *mark = begin(0);
    ga_page_id page = graph.objects[one].slot.page;
    uint64_t all = ga_mark_unreached(mark, page, 0);
    CU_ASSERT_EQUAL(__builtin_popcountll(all), 2);
    ga_mark_leave_out(mark, page, 0, UINT64_C(1) << graph.objects[one].slot.index);
    CU_ASSERT_EQUAL(ga_mark_unreached(mark, page, 0), UINT64_C(1) << graph.objects[two].slot.index);
    ga_mark_leave_out(mark, (ga_page_id)core.heap->npages_committed - 1, 0, 1); /* no span */
    ga_mark_free(mark);
    close_core();
}

int main(void)
{
    const struct ga_test tests[] = {
        {"random graphs", random_graphs},
        {"several threads", several_threads},
        {"lists and stars", lists_and_stars},
        {"contended", contended},
        {"oblets", oblets},
        {"noscan is not read", noscan_is_not_read},
        {"given back is not read", given_back_is_not_read},
        {"spans of roots", spans_of_roots},
        {"large root", large_root},
        {"roots outside", roots_outside},
        {"the rest of a span", the_rest_of_a_span},
        {"cancelled", cancelled},
        {"left out", left_out},
    };
    state = ga_test_seed();
    return ga_test_main("server.mark", tests, COUNT(tests));
}

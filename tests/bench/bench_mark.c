/* The worker of goalloc's marker alone (server/mark.h), in one process: a heap core without a
 * server, whose heap object is shared memory as the server's is, mapped where clients have it. What
 * is timed is all that a cycle marks with: its tables made, each span entered, and the marking. */
#include "server/mark.h"

#include <sys/mman.h>
#include <unistd.h>

#include "shm/size_class.h"
#include "support/core_fixture.h"

static void *allocate(bool noscan);

#define BENCH_ALLOC(size)        allocate(false)
#define BENCH_ALLOC_NOSCAN(size) allocate(true)
#include "marks.h"

#define RESERVE    (64 * GA_ARENA_SIZE)
#define SIZE_CLASS 6u /* 64 bytes */

static struct ga_core core;
static struct ga_mark *mark;
static ga_client_id client;
static ga_mcache_id mcache;
static const struct ga_bench_args *timed_by;

static void *allocate(bool noscan)
{
    ga_span_class span_class = (ga_span_class)(SIZE_CLASS * 2 + noscan);
    struct ga_slot slot;
    while (ga_core_malloc(&core, mcache, span_class, &slot) < 0) {
        ga_page_id page = ga_core_lease(&core, client, mcache, span_class);
        if (page == 0 || !ga_core_claim(&core, mcache, page))
            return NULL;
    }
    uint64_t offset = ((uint64_t)slot.page << GA_PAGE_SHIFT) +
                      (uint64_t)slot.index * ga_size_classes[SIZE_CLASS].size;
    return (void *)(uintptr_t)(GA_CORE_BASE + offset);
}

static void open_heap(const struct ga_bench_args *args)
{
    void *address = (void *)(uintptr_t)GA_CORE_BASE;
    timed_by = args;
    ga_core_init(&core, RESERVE, 0);
    if (ga_core_make(&core) < 0 ||
        ga_heap_attach(core.heap, (uint32_t)getpid(), 1, 0, 0, "bench", &client) < 0 ||
        ga_heap_new_mcache(core.heap, client, &mcache) < 0)
        ga_bench_die("cannot make a heap core");
    if (mmap(address, RESERVE, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) != address)
        ga_bench_die("cannot map a heap at %p", address);
}

static void close_heap(const struct ga_bench_args *args)
{
    (void)args;
    ga_mark_free(mark);
    if (core.nbad > 0)
        ga_bench_die("the heap core asked for what makes no sense");
    ga_heap_free(core.heap);
}

/* Enter the span that begins at page, if one does. Returns where the next may. */
static uint64_t enter_span(uint64_t page)
{
    uint64_t entry = ga_view_entry(&core.view, (ga_page_id)page);
    if (!ga_entry_is_span(entry))
        return page + 1;
    uint64_t npages = ga_entry_npages(entry);
    if (ga_mark_add_span(mark, (ga_page_id)page, npages, ga_entry_span_class(entry)) < 0)
        ga_bench_die("out of memory");
    return page + npages;
}

static uint64_t bench_mark_once(const struct ga_bench_graph *graph)
{
    (void)graph;
    ga_mark_free(mark);
    uint64_t start = ga_bench_work_ns(timed_by);
    uint64_t npages = core.heap->npages_committed;
    if (ga_mark_new(&core.view, (void *)(uintptr_t)GA_CORE_BASE, GA_CORE_BASE, npages, &mark) < 0)
        ga_bench_die("out of memory");
    for (uint64_t page = 0; page < npages;)
        page = enter_span(page);
    if (ga_mark_add_root(mark, (uintptr_t)ga_bench_graph_root - GA_CORE_BASE) < 0)
        ga_bench_die("out of memory");
    ga_mark_work(mark, true);
    return ga_bench_work_ns(timed_by) - start;
}

static uint64_t find_unreached(uint64_t page)
{
    uint64_t unreached = 0;
    if (ga_entry_is_span(ga_view_entry(&core.view, (ga_page_id)page)))
        for (uint32_t word = 0; word < ga_size_class_nwords(&ga_size_classes[SIZE_CLASS]); word++)
            unreached |= ga_mark_unreached(mark, (ga_page_id)page, word);
    return unreached;
}

static void bench_mark_check(const struct ga_bench_graph *graph)
{
    (void)graph;
    if (!ga_mark_is_whole(mark))
        ga_bench_die("the marker has run out of memory");
    for (uint64_t page = 0; page < core.heap->npages_committed; page++)
        if (find_unreached(page) != 0)
            ga_bench_die("the marker has missed an object");
}

int main(int argc, char **argv)
{
    static const struct ga_bench_work works[] = {GA_BENCH_MARK_ROWS(GA_BENCH_GRAPH_WORK)};
    static const struct ga_bench_family family = {
        works, sizeof works / sizeof works[0], NULL, 0, open_heap, close_heap, NULL};
    return ga_bench_worker_main(argc, argv, &family);
}

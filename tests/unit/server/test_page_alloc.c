/* The page allocator against the numbers of Go's tests: growth, allocation, frees; then runs longer
 * than any table entry, and what it refuses. Random runs are in test_page_alloc_random.c. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cunit_main.h"

#include "server/page_alloc.h"

#include "go_vectors.h"

#define COUNT(a)     (sizeof(a) / sizeof(*(a)))
#define CHUNK_NPAGES 512u
#define ROOT_NPAGES  (UINT64_C(1) << 21)

static struct ga_page_alloc *new_pages(uint64_t npages_max)
{
    struct ga_page_alloc *p = NULL;
    CU_ASSERT_EQUAL_FATAL(ga_page_alloc_new(npages_max, &p), 0);
    return p;
}

/* Add pages without memory behind them, as Go's tests do. */
static void grow(struct ga_page_alloc *p, uint64_t page, uint64_t npages)
{
    ga_page_alloc_grow(p, page, npages);
    CU_ASSERT_FALSE(ga_page_alloc_is_scavenged(p, page));
    ga_page_alloc_set_scavenged(p, page, npages);
}

/* Chunks 0..nchunks-1, all free. */
static struct ga_page_alloc *new_chunks(uint64_t nchunks)
{
    struct ga_page_alloc *p = new_pages(nchunks * CHUNK_NPAGES);
    grow(p, 0, nchunks * CHUNK_NPAGES);
    return p;
}

static bool has_page(const struct go_chunk *chunk, unsigned i)
{
    for (unsigned r = 0; r < chunk->nranges; r++)
        if (i >= chunk->ranges[r].first && i - chunk->ranges[r].first < chunk->ranges[r].count)
            return true;
    return false;
}

/* A heap with these chunks and no table entry to spare: `used` in use, and of what is free `scav`
 * scavenged. */
static struct ga_page_alloc *new_heap(const struct go_chunks *used, const struct go_chunks *scav)
{
    uint64_t nchunks = used->chunks[used->nchunks - 1].chunk + 1;
    struct ga_page_alloc *p = new_pages(nchunks * CHUNK_NPAGES);
    for (unsigned c = 0; c < used->nchunks; c++) {
        uint64_t base = (uint64_t)used->chunks[c].chunk * CHUNK_NPAGES;
        ga_page_alloc_grow(p, base, CHUNK_NPAGES);
        ga_page_alloc_take(p, base, CHUNK_NPAGES);
        for (unsigned i = 0; i < CHUNK_NPAGES; i++)
            if (!has_page(&used->chunks[c], i))
                ga_page_alloc_free(p, base + i, 1);
    }
    for (unsigned c = 0; c < scav->nchunks; c++) {
        uint64_t base = (uint64_t)scav->chunks[c].chunk * CHUNK_NPAGES;
        for (unsigned i = 0; i < CHUNK_NPAGES; i++)
            if (has_page(&scav->chunks[c], i) && ga_page_alloc_is_free(p, base + i))
                ga_page_alloc_set_scavenged(p, base + i, 1);
    }
    return p;
}

static void check_heap(const struct ga_page_alloc *p, const struct go_chunks *used,
                       const char *name)
{
    uint64_t nfree = 0;
    unsigned wrong = 0;
    for (unsigned c = 0; c < used->nchunks; c++)
        for (unsigned i = 0; i < CHUNK_NPAGES; i++) {
            uint64_t page = (uint64_t)used->chunks[c].chunk * CHUNK_NPAGES + i;
            bool is_free = !has_page(&used->chunks[c], i);
            nfree += is_free;
            wrong += ga_page_alloc_is_free(p, page) != is_free;
        }
    if (wrong)
        printf("%s: %u pages differ\n", name, wrong);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(ga_page_alloc_nfree(p), nfree);
    CU_ASSERT(ga_page_alloc_audit(p));
}

/* Ask for npages and check what comes; page -1 stands for -ENOMEM. */
static void check_alloc(struct ga_page_alloc *p, uint64_t npages, int64_t page, uint64_t scavenged,
                        const char *name)
{
    uint64_t got = UINT64_MAX;
    uint64_t got_scavenged = UINT64_MAX;
    int r = ga_page_alloc_alloc(p, npages, &got, &got_scavenged);
    uint64_t want_scavenged = page < 0 ? UINT64_MAX : scavenged;
    if (got != (uint64_t)page || got_scavenged != want_scavenged)
        printf("%s: %llu pages: at %lld, %lld scavenged\n", name, (unsigned long long)npages,
               (long long)got, (long long)got_scavenged);
    CU_ASSERT_EQUAL(r, page < 0 ? -ENOMEM : 0);
    CU_ASSERT_EQUAL(got, (uint64_t)page);
    CU_ASSERT_EQUAL(got_scavenged, want_scavenged);
}

static void go_alloc_cases(void)
{
    for (size_t i = 0; i < COUNT(go_page_alloc); i++) {
        const struct go_page_alloc *v = &go_page_alloc[i];
        struct ga_page_alloc *p = new_heap(&v->before, &v->scav);
        check_heap(p, &v->before, v->name);
        for (unsigned h = 0; h < v->nhits; h++)
            check_alloc(p, v->hits[h].npages, v->hits[h].page, v->hits[h].scavenged, v->name);
        check_heap(p, &v->after, v->name);
        ga_page_alloc_free_all(p);
    }
}

static void go_free_cases(void)
{
    static const struct go_chunks no_chunks;
    for (size_t i = 0; i < COUNT(go_page_free); i++) {
        const struct go_page_free *v = &go_page_free[i];
        struct ga_page_alloc *p = new_heap(&v->before, &no_chunks);
        for (unsigned f = 0; f < v->nfrees; f++)
            ga_page_alloc_free(p, v->frees[f], v->npages);
        check_heap(p, &v->after, v->name);
        CU_ASSERT_FALSE(ga_page_alloc_is_scavenged(p, v->frees[0]));
        ga_page_alloc_free_all(p);
    }
}

static void go_exhaust(void)
{
    uint64_t all = GO_PAGE_EXHAUST_NCHUNKS * CHUNK_NPAGES;
    for (size_t i = 0; i < COUNT(go_page_exhaust_npages); i++) {
        uint64_t n = go_page_exhaust_npages[i];
        struct ga_page_alloc *p = new_chunks(GO_PAGE_EXHAUST_NCHUNKS);
        uint64_t page = 0;
        for (; page + n <= all; page += n)
            check_alloc(p, n, (int64_t)page, n, "exhaust");
        check_alloc(p, n, -1, 0, "exhaust");
        CU_ASSERT_EQUAL(ga_page_alloc_nfree(p), all - page);
        CU_ASSERT(ga_page_alloc_audit(p));
        ga_page_alloc_free_all(p);
    }
}

static void go_alloc_free(void)
{
    uint64_t all = GO_PAGE_ALLOC_FREE_NCHUNKS * CHUNK_NPAGES;
    struct ga_page_alloc *p = new_chunks(GO_PAGE_ALLOC_FREE_NCHUNKS);
    uint64_t scavenged = all; /* only the first time */
    for (unsigned i = 0; i < GO_PAGE_ALLOC_FREE_ROUNDS; i++) {
        check_alloc(p, all, 0, scavenged, "alloc and free");
        ga_page_alloc_free(p, 0, all);
        scavenged = 0;
    }
    check_alloc(p, 1, 0, 0, "alloc and free");
    ga_page_alloc_free(p, 0, 1);
    check_alloc(p, all, 0, 0, "alloc and free");
    CU_ASSERT_EQUAL(ga_page_alloc_nfree(p), 0);
    CU_ASSERT(ga_page_alloc_audit(p));
    ga_page_alloc_free_all(p);
}

static void go_growth(void)
{
    for (size_t i = 0; i < COUNT(go_grow); i++) {
        const struct go_grow *v = &go_grow[i];
        struct ga_page_alloc *p = new_pages(UINT64_C(1) << 30);
        for (unsigned c = 0; c < v->nchunks; c++) {
            grow(p, (uint64_t)v->chunks[c] * CHUNK_NPAGES, CHUNK_NPAGES);
            CU_ASSERT(ga_page_alloc_is_scavenged(p, (uint64_t)v->chunks[c] * CHUNK_NPAGES));
        }
        CU_ASSERT_EQUAL(ga_page_alloc_nfree(p), (uint64_t)v->nchunks * CHUNK_NPAGES);
        CU_ASSERT(ga_page_alloc_audit(p));
        /* Each range of chunks is one run of pages that ends where it should. Those before it are
         * in use by then, so a request for its length gets it. */
        for (unsigned r = 0; r < v->nranges; r++) {
            uint64_t base = (uint64_t)v->ranges[r].first * CHUNK_NPAGES;
            uint64_t n = (uint64_t)v->ranges[r].count * CHUNK_NPAGES;
            CU_ASSERT_FALSE(base > 0 && ga_page_alloc_is_free(p, base - 1));
            CU_ASSERT_FALSE(ga_page_alloc_is_free(p, base + n));
            check_alloc(p, n, (int64_t)base, n, v->name);
        }
        check_alloc(p, 1, -1, 0, v->name);
        ga_page_alloc_free_all(p);
    }
}

static void odd_growth(void)
{
    struct ga_page_alloc *p = new_pages(5000);
    check_alloc(p, 1, -1, 0, "nothing added");
    grow(p, 700, 100);
    check_alloc(p, 101, -1, 0, "part of a chunk");
    check_alloc(p, 100, 700, 100, "part of a chunk");
    ga_page_alloc_free(p, 730, 5); /* part of what was allocated */
    check_alloc(p, 5, 730, 0, "a part");
    grow(p, 100, 600);
    grow(p, 800, 224);
    ga_page_alloc_free(p, 700, 100);
    check_alloc(p, 924, 100, 824, "joined");
    grow(p, 4999, 1);
    check_alloc(p, 1, 4999, 1, "the last page");
    CU_ASSERT(ga_page_alloc_audit(p));
    ga_page_alloc_free_all(p);
}

/* Runs that cross the roots of the tree, and roots that are free as a whole. */
static void runs_over_roots(void)
{
    struct ga_page_alloc *p = new_pages(4 * ROOT_NPAGES);
    grow(p, 5, 4 * ROOT_NPAGES - 5);
    CU_ASSERT(ga_page_alloc_audit(p));
    check_alloc(p, 4 * ROOT_NPAGES - 4, -1, 0, "more than all");
    check_alloc(p, 3 * ROOT_NPAGES + 9, 5, 3 * ROOT_NPAGES + 9, "over the roots");
    check_alloc(p, ROOT_NPAGES, -1, 0, "a part of a root");
    ga_page_alloc_free(p, ROOT_NPAGES, ROOT_NPAGES);
    CU_ASSERT(ga_page_alloc_audit(p));
    check_alloc(p, ROOT_NPAGES, (int64_t)ROOT_NPAGES, 0, "exactly a root");
    ga_page_alloc_free(p, 2 * ROOT_NPAGES - 3, 7);
    check_alloc(p, 7, 2 * (int64_t)ROOT_NPAGES - 3, 0, "over a border");
    CU_ASSERT(ga_page_alloc_audit(p));
    ga_page_alloc_free_all(p);
}

static void free_twice(struct ga_page_alloc *p)
{
    ga_page_alloc_free(p, 600, 10);
    ga_page_alloc_free(p, 609, 1);
}

static void free_never_added(struct ga_page_alloc *p)
{
    ga_page_alloc_free(p, 590, 15);
}

static void free_past_end(struct ga_page_alloc *p)
{
    ga_page_alloc_free(p, 4999, 2);
}

static void take_used(struct ga_page_alloc *p)
{
    ga_page_alloc_take(p, 600, 1);
}

static void grow_twice(struct ga_page_alloc *p)
{
    ga_page_alloc_grow(p, 1023, 2);
}

static void scavenge_used(struct ga_page_alloc *p)
{
    ga_page_alloc_set_scavenged(p, 1000, 24);
}

/* Each in a process of its own, which the assertion must end. */
static void misuse(void)
{
    static void (*const bad[])(struct ga_page_alloc *) = {
        free_twice, free_never_added, free_past_end, take_used, grow_twice, scavenge_used,
    };
    struct ga_page_alloc *p = new_pages(5000);
    grow(p, 600, 424); /* 600..1023, all of it in use but the last page */
    check_alloc(p, 423, 600, 423, "misuse");
    for (size_t i = 0; i < COUNT(bad); i++) {
        fflush(NULL);
        pid_t child = fork();
        CU_ASSERT_FATAL(child >= 0);
        if (child == 0) {
            setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
            if (!freopen("/dev/null", "w", stderr))
                _exit(1);
            bad[i](p);
            _exit(0);
        }
        int status = 0;
        CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
        CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
    ga_page_alloc_free_all(p);
    ga_page_alloc_free_all(NULL);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"Go's allocations", go_alloc_cases}, {"Go's frees", go_free_cases},
        {"Go's exhaustion", go_exhaust},      {"Go's allocations and frees", go_alloc_free},
        {"Go's growth", go_growth},           {"growth in odd ranges", odd_growth},
        {"runs over roots", runs_over_roots}, {"misuse ends the process", misuse},
    };
    return ga_test_main("server.page_alloc", tests, COUNT(tests));
}

/* The core's tables by page and by mcache: those of a process's own heap begin short, and have what
 * they had when they are moved. */
#include <string.h>

#include "server/heap_internal.h"
#include "support/cunit_main.h"

#define NPAGES   (UINT64_C(4) * GA_PAGES_PER_ARENA)
#define NMCACHES 1000u
#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static struct ga_heap heap;

static void make(bool is_own)
{
    memset(&heap, 0, sizeof(heap));
    heap.npages_reserved = NPAGES;
    heap.counts.mcaches = NMCACHES;
    CU_ASSERT_EQUAL_FATAL(ga_books_init(&heap, is_own), 0);
    CU_ASSERT_EQUAL_FATAL(ga_page_alloc_new(heap.nmspans, &heap.pages), 0);
}

static void unmake(void)
{
    ga_page_alloc_free_all(heap.pages);
    ga_books_fini(&heap);
}

/* A server's are as long as they will ever be, since its threads read them while it works. */
static void those_of_a_server_stay(void)
{
    make(false);
    const struct ga_mspan *mspans = heap.mspans;
    const struct ga_mcache_record *records = heap.mcaches;
    CU_ASSERT_EQUAL(ga_books_have_pages(&heap, NPAGES), 0);
    CU_ASSERT_EQUAL(ga_books_have_mcache(&heap, NMCACHES - 1), 0);
    CU_ASSERT_PTR_EQUAL(heap.mspans, mspans);
    CU_ASSERT_PTR_EQUAL(heap.mcaches, records);
    CU_ASSERT_EQUAL(heap.mspans[NPAGES - 1].npages, 0);
    CU_ASSERT_EQUAL(ga_mcache_record(&heap, NMCACHES - 1)->next, 0);
    unmake();
}

static void mspans_are_moved(void)
{
    make(true);
    const uint64_t first = heap.nmspans;
    CU_ASSERT(first > 0 && first < NPAGES);
    for (uint64_t page = 0; page < first; page++)
        heap.mspans[page].npages = (uint32_t)page + 1;
    const struct ga_mspan *before = heap.mspans;
    CU_ASSERT_EQUAL(ga_books_have_pages(&heap, first), 0);
    CU_ASSERT_PTR_EQUAL(heap.mspans, before);
    CU_ASSERT_EQUAL(ga_books_have_pages(&heap, first + 1), 0);
    CU_ASSERT_EQUAL_FATAL(heap.nmspans, NPAGES);
    uint64_t wrong = 0;
    for (uint64_t page = 0; page < NPAGES; page++)
        wrong += heap.mspans[page].npages != (page < first ? page + 1 : 0);
    CU_ASSERT_EQUAL(wrong, 0);
    before = heap.mspans;
    CU_ASSERT_EQUAL(ga_books_have_pages(&heap, NPAGES), 0);
    CU_ASSERT_PTR_EQUAL(heap.mspans, before);
    unmake();
}

/* What is free stays so, and there is room for what comes. */
static void page_numbers_go_on(void)
{
    make(true);
    const uint64_t first = heap.nmspans;
    uint64_t page = 0;
    uint64_t scavenged = 0;
    ga_page_alloc_grow(heap.pages, 0, first);
    CU_ASSERT_EQUAL(ga_page_alloc_alloc(heap.pages, first - 7, &page, &scavenged), 0);
    CU_ASSERT_EQUAL_FATAL(ga_books_have_pages(&heap, NPAGES), 0);
    ga_page_alloc_grow(heap.pages, first, NPAGES - first);
    CU_ASSERT_EQUAL(ga_page_alloc_alloc(heap.pages, NPAGES - first + 7, &page, &scavenged), 0);
    CU_ASSERT_EQUAL(page, first - 7);
    CU_ASSERT(ga_page_alloc_audit(heap.pages));
    unmake();
}

static void records_are_moved(void)
{
    make(true);
    const uint32_t first = heap.nmcache_records;
    CU_ASSERT(first > 1 && first < NMCACHES);
    for (ga_mcache_id id = 0; id < first; id++)
        ga_mcache_record(&heap, id)->next = id + 1;
    CU_ASSERT_EQUAL(ga_books_have_mcache(&heap, first - 1), 0);
    CU_ASSERT_EQUAL(heap.nmcache_records, first);
    CU_ASSERT_EQUAL(ga_books_have_mcache(&heap, first), 0);
    CU_ASSERT_EQUAL_FATAL(heap.nmcache_records, NMCACHES);
    uint32_t wrong = 0;
    for (ga_mcache_id id = 0; id < NMCACHES; id++)
        wrong += ga_mcache_record(&heap, id)->next != (id < first ? id + 1 : 0);
    CU_ASSERT_EQUAL(wrong, 0);
    unmake();
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"those of a server stay", those_of_a_server_stay},
        {"mspans are moved", mspans_are_moved},
        {"page numbers go on", page_numbers_go_on},
        {"records are moved", records_are_moved},
    };
    return ga_test_main("server.books", tests, COUNT(tests));
}

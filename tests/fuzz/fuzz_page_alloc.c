/* The page allocator beside a byte a page: every operation is what a search page by page finds. The
 * pages lie astride the border of two chunks, and far above. */
#include <errno.h>

#include "fuzz/fuzz.h"
#include "server/page_alloc.h"

#define BASE   (UINT64_C(5) * 512 - 300) /* of the first window */
#define FAR    ((UINT64_C(1) << 21) - 300)
#define NPAGES 600u /* of each window */

enum page { ABSENT, USED, FREE, SCAVENGED };

/* Pages 0..NPAGES-1 are the first window, those from NPAGES on the other. */
static unsigned char model[2 * NPAGES];

static uint64_t address(unsigned i)
{
    return i < NPAGES ? BASE + i : FAR + (i - NPAGES);
}

static int is_free(unsigned i)
{
    return model[i] == FREE || model[i] == SCAVENGED;
}

/* How many pages from i on are in the same window and free, or (used) in use. */
static unsigned run(unsigned i, int used)
{
    unsigned n = 0;
    while (i + n < (i < NPAGES ? NPAGES : 2 * NPAGES) &&
           (used ? model[i + n] == USED : is_free(i + n)))
        n++;
    return n;
}

static void set(unsigned i, unsigned n, unsigned char page)
{
    memset(model + i, page, n);
}

static void alloc(struct ga_page_alloc *pages, unsigned npages)
{
    unsigned i = 0;
    uint64_t page = 0;
    uint64_t scavenged = 0;
    while (i < 2 * NPAGES && run(i, 0) < npages)
        i++;
    int r = ga_page_alloc_alloc(pages, npages, &page, &scavenged);
    FUZZ_CHECK(r == (i < 2 * NPAGES ? 0 : -ENOMEM));
    if (r < 0)
        return;
    uint64_t expected = 0;
    for (unsigned n = 0; n < npages; n++)
        expected += model[i + n] == SCAVENGED;
    FUZZ_CHECK(page == address(i) && scavenged == expected);
    set(i, npages, USED);
}

/* Whatever of the run at i is possible of what `what` says. */
static void change(struct ga_page_alloc *pages, uint64_t what, unsigned i, unsigned npages)
{
    unsigned n = run(i, what == 2);
    n = n < npages ? n : npages;
    if (n == 0)
        return;
    if (what == 2) {
        ga_page_alloc_free(pages, address(i), n);
        set(i, n, FREE);
    } else if (what == 3) {
        ga_page_alloc_take(pages, address(i), n);
        set(i, n, USED);
    } else {
        ga_page_alloc_set_scavenged(pages, address(i), n);
        set(i, n, SCAVENGED);
    }
}

static void compare(const struct ga_page_alloc *pages)
{
    uint64_t nfree = 0;
    for (unsigned i = 0; i < 2 * NPAGES; i++) {
        nfree += (uint64_t)is_free(i);
        FUZZ_CHECK(ga_page_alloc_is_free(pages, address(i)) == is_free(i));
        FUZZ_CHECK(!is_free(i) ||
                   ga_page_alloc_is_scavenged(pages, address(i)) == (model[i] == SCAVENGED));
    }
    FUZZ_CHECK(ga_page_alloc_nfree(pages) == nfree);
    FUZZ_CHECK(ga_page_alloc_audit(pages));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct ga_page_alloc *pages = NULL;
    unsigned end[2] = {0, NPAGES}; /* of what has grown in each window */
    memset(model, ABSENT, sizeof(model));
    FUZZ_CHECK(ga_page_alloc_new(FAR + NPAGES, &pages) == 0);
    for (unsigned operations = 0; input.size > 0 && operations < 200; operations++) {
        uint64_t what = fuzz_take(&input, 1) % 6;
        unsigned i = (unsigned)fuzz_take(&input, 2) % (2 * NPAGES);
        unsigned npages = (unsigned)fuzz_take(&input, 1) + 1;
        unsigned *window_end = &end[i >= NPAGES];
        unsigned room = (i < NPAGES ? NPAGES : 2 * NPAGES) - *window_end;
        if (what == 0 && room > 0) {
            npages = npages < room ? npages : room;
            ga_page_alloc_grow(pages, address(*window_end), npages);
            set(*window_end, npages, FREE);
            *window_end += npages;
        } else if (what == 1 || what == 5) {
            alloc(pages, npages);
        } else if (what != 0) {
            change(pages, what, i, npages);
        }
    }
    compare(pages);
    ga_page_alloc_free_all(pages);
    return 0;
}

/* The page allocator against a naive model: hundreds of thousands of random operations, each result
 * compared with a search page by page. The pages lie in windows astride the borders between table
 * entries of every level, so that a small model exercises the whole tree. Its tables are as short
 * as the pages that there are allow, and are lengthened. */
#include <errno.h>
#include <stdio.h>

#include "support/cunit_main.h"

#include "server/page_alloc.h"

#define COUNT(a)          (sizeof(a) / sizeof(*(a)))
#define ROUNDS            40u
#define OPERATIONS        10000u /* a round */
#define CHECK_EVERY       250u
#define WINDOW_NPAGES_MAX 600u
#define NPAGES_MAX        ((UINT64_C(1) << 21) + 999)

/* What the model knows of a page. */
enum page {
    ABSENT,
    USED,
    FREE,
    SCAVENGED, /* and free */
};

static const uint64_t borders[] = {300, 5 << 9, 1 << 12, 1 << 15, 1 << 18, 1 << 21};
#define WINDOWS COUNT(borders)

struct window {
    uint64_t base;
    unsigned npages;
    unsigned char page[WINDOW_NPAGES_MAX];
};

/* One round. */
struct world {
    struct ga_page_alloc *p;
    uint64_t npages_max; /* of it: it is lengthened as pages come */
    struct window windows[WINDOWS];
    uint64_t random;
    uint64_t nfree;
    unsigned longest; /* request */
};

static unsigned pick(struct world *world, unsigned n)
{
    return (unsigned)(ga_test_random(&world->random) % n);
}

static bool page_is_free(unsigned char page)
{
    return page == FREE || page == SCAVENGED;
}

static void world_init(struct world *world, uint64_t random)
{
    *world = (struct world){.random = random};
    world->longest = 1u << (1 + pick(world, 9));
    for (unsigned i = 0; i < WINDOWS; i++) {
        struct window *window = &world->windows[i];
        window->npages = 2 + pick(world, WINDOW_NPAGES_MAX - 1);
        window->base = borders[i] - window->npages / 2;
    }
    world->npages_max = 1 + pick(world, 2 * WINDOW_NPAGES_MAX);
    CU_ASSERT_EQUAL_FATAL(ga_page_alloc_new(world->npages_max, &world->p), 0);
}

/* Have room for the pages before end, and sometimes for more. */
static void have_pages(struct world *world, uint64_t end)
{
    if (end <= world->npages_max)
        return;
    world->npages_max = pick(world, 2) == 0 ? end : end + pick(world, (unsigned)(NPAGES_MAX - end));
    CU_ASSERT_EQUAL_FATAL(ga_page_alloc_lengthen(world->p, world->npages_max), 0);
    CU_ASSERT_EQUAL_FATAL(ga_page_alloc_lengthen(world->p, end), 0); /* which it is already */
}

/* A random stretch of a random window, all of it of the same kind as its first page: the longest
 * such stretch, or a part of it. Its first page is anything. */
static struct window *pick_stretch(struct world *world, unsigned *ret_first, unsigned *ret_n)
{
    struct window *window = &world->windows[pick(world, WINDOWS)];
    unsigned first = pick(world, window->npages);
    bool is_free = page_is_free(window->page[first]);
    unsigned n = 1;
    while (first + n < window->npages && (is_free ? page_is_free(window->page[first + n])
                                                  : window->page[first + n] == window->page[first]))
        n++;
    *ret_first = first;
    *ret_n = pick(world, 3) == 0 ? n : 1 + pick(world, n < world->longest ? n : world->longest);
    return window;
}

/* First fit. Returns the window, or NULL. */
static struct window *model_find(struct world *world, unsigned npages, unsigned *ret_first)
{
    for (unsigned w = 0; w < WINDOWS; w++) {
        unsigned run = 0;
        for (unsigned i = 0; i < world->windows[w].npages; i++) {
            run = page_is_free(world->windows[w].page[i]) ? run + 1 : 0;
            if (run == npages) {
                *ret_first = i + 1 - npages;
                return &world->windows[w];
            }
        }
    }
    return NULL;
}

/* Set the kind of the pages. Returns how many of them were scavenged. */
static unsigned model_set(struct window *window, unsigned first, unsigned n, enum page kind)
{
    unsigned scavenged = 0;
    for (unsigned i = first; i < first + n; i++) {
        scavenged += window->page[i] == SCAVENGED;
        window->page[i] = (unsigned char)kind;
    }
    return scavenged;
}

/* Returns whether the allocator agrees with the model. */
static bool allocate(struct world *world)
{
    unsigned n = 1 + (pick(world, 3) == 0 ? 0 : pick(world, world->longest));
    unsigned first = 0;
    struct window *window = model_find(world, n, &first);
    uint64_t page = UINT64_MAX;
    uint64_t scavenged = UINT64_MAX;
    int r = ga_page_alloc_alloc(world->p, n, &page, &scavenged);
    if (!window)
        return r == -ENOMEM && page == UINT64_MAX && scavenged == UINT64_MAX;
    world->nfree -= n;
    return r == 0 && page == window->base + first && scavenged == model_set(window, first, n, USED);
}

/* Have memory given back. The highest pages come first, and nothing is forgotten.
 * Returns whether the allocator agrees. */
static bool release(struct world *world)
{
    static const struct ga_release_grain grain = {.min_npages = 1, .huge_npages = 1};
    unsigned w = WINDOWS;
    unsigned last = 0;
    while (last == 0 && w-- > 0)
        for (last = world->windows[w].npages; last > 0; last--)
            if (world->windows[w].page[last - 1] == FREE)
                break;
    uint64_t page = 0;
    uint64_t most = 1 + pick(world, world->longest);
    uint64_t n = ga_page_alloc_begin_release(world->p, GA_SCAVENGE_FORCED, &grain, most, &page);
    if (n == 0)
        return last == 0;
    if (last == 0 || n > most || page + n != world->windows[w].base + last)
        return false;
    ga_page_alloc_end_release(world->p, page, n, true);
    for (unsigned i = last - (unsigned)n; i < last; i++)
        if (world->windows[w].page[i] != FREE)
            return false;
    model_set(&world->windows[w], last - (unsigned)n, (unsigned)n, SCAVENGED);
    return true;
}

/* Do to a random stretch something that its kind allows: add what is absent, free what is in use,
 * take or scavenge what is free. Pages in use are freed seldom while the heap fills. */
static void change_stretch(struct world *world, bool filling)
{
    unsigned first;
    unsigned n;
    struct window *window = pick_stretch(world, &first, &n);
    uint64_t page = window->base + first;
    switch (window->page[first]) {
    case ABSENT:
        have_pages(world, page + n);
        ga_page_alloc_grow(world->p, page, n);
        model_set(window, first, n, FREE);
        world->nfree += n;
        break;
    case USED:
        if (filling && pick(world, 4) != 0)
            break;
        ga_page_alloc_free(world->p, page, n);
        model_set(window, first, n, FREE);
        world->nfree += n;
        break;
    default:
        if (pick(world, 2) == 0) {
            ga_page_alloc_take(world->p, page, n);
            model_set(window, first, n, USED);
            world->nfree -= n;
        } else {
            ga_page_alloc_set_scavenged(world->p, page, n);
            model_set(window, first, n, SCAVENGED);
        }
    }
}

/* Compare every page, and let the allocator recount its summaries. */
static bool world_agrees(const struct world *world)
{
    for (unsigned w = 0; w < WINDOWS; w++) {
        const struct window *window = &world->windows[w];
        for (unsigned i = 0; i < window->npages; i++) {
            uint64_t page = window->base + i;
            if (page >= world->npages_max && window->page[i] == ABSENT)
                continue;
            if (ga_page_alloc_is_free(world->p, page) != page_is_free(window->page[i]))
                return false;
            if (ga_page_alloc_is_scavenged(world->p, page) != (window->page[i] == SCAVENGED))
                return false;
        }
    }
    return ga_page_alloc_audit(world->p);
}

static void random_operations(void)
{
    uint64_t random = ga_test_seed();
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct world world;
        world_init(&world, ga_test_random(&random));
        bool good = true;
        for (unsigned i = 0; i < OPERATIONS && good; i++) {
            bool filling = i / 500 % 2 == 0;
            if (pick(&world, 100) < (filling ? 80 : 40))
                good = allocate(&world);
            else if (pick(&world, 4) == 0)
                good = release(&world);
            else
                change_stretch(&world, filling);
            good = good && ga_page_alloc_nfree(world.p) == world.nfree;
            if (i % CHECK_EVERY == CHECK_EVERY - 1)
                good = good && world_agrees(&world);
            if (!good)
                printf("round %u, operation %u\n", round, i);
        }
        CU_ASSERT(good);
        ga_page_alloc_free_all(world.p);
    }
}

int main(void)
{
    static const struct ga_test tests[] = {{"random operations", random_operations}};
    return ga_test_main("server.page_alloc_random", tests, COUNT(tests));
}

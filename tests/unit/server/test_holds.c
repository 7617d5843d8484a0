/* Holds: kept until the last release, by whomever; freed then and only once; dropped with their
 * client; and finished by a server that takes over, whichever step the old one died at. */
#include "support/core_fixture.h"

#include <errno.h>

#include "shm/size_class.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define CLASS    20

static struct ga_core core;
static ga_client_id one, two;
static ga_mcache_id mcache;
static ga_page_id page;
static struct ga_slot slot;
static uint64_t offset;

/* Two clients; the first has allocated an object. */
static void open_core(void)
{
    ga_core_open(&core, GA_ARENA_SIZE, 0);
    one = ga_core_attach(&core);
    two = ga_core_attach(&core);
    mcache = ga_core_mcache(&core, one);
    page = ga_core_lease(&core, one, mcache, CLASS);
    CU_ASSERT_FATAL(ga_core_claim(&core, mcache, page));
    CU_ASSERT_EQUAL_FATAL(ga_core_malloc(&core, mcache, CLASS, &slot), 0);
    CU_ASSERT_EQUAL_FATAL(ga_core_malloc(&core, mcache, CLASS, &slot), 0);
    offset = slot.page * GA_PAGE_SIZE + slot.index * ga_size_classes[CLASS / 2].size;
}

static void close_core(void)
{
    const char *clause = ga_core_audit(&core);
    CU_ASSERT_PTR_NULL(clause);
    ga_core_close(&core);
}

static uint64_t shown(void)
{
    return ga_load_relaxed(&core.view.lines[page].nholds);
}

static int hold(ga_client_id client)
{
    return ga_heap_hold(core.heap, client, offset);
}

static int release(ga_client_id client)
{
    return ga_heap_release(core.heap, client, offset);
}

static bool in_use(void)
{
    return ga_core_in_use(&core, &slot);
}

static void counted(void)
{
    open_core();
    CU_ASSERT_EQUAL(release(one), -ENOENT);
    CU_ASSERT_EQUAL(ga_heap_put_off(core.heap, offset), -ENOENT);
    CU_ASSERT_EQUAL(hold(one), 0);
    CU_ASSERT_EQUAL(hold(one), 0);
    CU_ASSERT_EQUAL(shown(), 1);
    CU_ASSERT_EQUAL(hold(two), 0);
    CU_ASSERT_EQUAL(shown(), 2);
    CU_ASSERT_EQUAL(release(one), 0);
    CU_ASSERT_EQUAL(release(one), 0);
    CU_ASSERT_EQUAL(release(one), -ENOENT);
    CU_ASSERT_EQUAL(shown(), 1);
    CU_ASSERT_EQUAL(release(two), 0);
    CU_ASSERT_EQUAL(shown(), 0);
    CU_ASSERT(in_use()); /* nobody has freed it */
    close_core();
}

static void freed_with_last_release(void)
{
    open_core();
    CU_ASSERT_EQUAL(hold(one), 0);
    CU_ASSERT_EQUAL(hold(two), 0);
    CU_ASSERT_EQUAL(ga_heap_put_off(core.heap, offset), 0);
    CU_ASSERT_EQUAL(ga_heap_put_off(core.heap, offset), -EINVAL); /* a double free */
    ga_client_id three = ga_core_attach(&core);
    CU_ASSERT_EQUAL(hold(three), -ENOENT);
    CU_ASSERT_EQUAL(hold(two), 0); /* who has it may have it once more */
    CU_ASSERT_EQUAL(release(one), 0);
    CU_ASSERT(in_use());
    CU_ASSERT_EQUAL(release(two), 0);
    CU_ASSERT(in_use());
    CU_ASSERT_EQUAL(release(two), 0);
    CU_ASSERT(!in_use());
    CU_ASSERT(ga_core_is_in_inbox(&core, mcache, CLASS, page));
    CU_ASSERT_EQUAL(shown(), 0);
    CU_ASSERT_EQUAL(ga_heap_put_off(core.heap, offset), -ENOENT);
    close_core();
}

static void dropped_with_client(void)
{
    open_core();
    CU_ASSERT_EQUAL(hold(one), 0);
    CU_ASSERT_EQUAL(hold(two), 0);
    CU_ASSERT_EQUAL(ga_heap_put_off(core.heap, offset), 0);
    ga_heap_client_gone(core.heap, one); /* who also leases the span */
    CU_ASSERT(in_use());
    CU_ASSERT_EQUAL(shown(), 1);
    ga_heap_client_gone(core.heap, two);
    CU_ASSERT(!in_use());
    CU_ASSERT_EQUAL(shown(), 0);
    CU_ASSERT(ga_core_is_pending(&core, page));
    ga_heap_sweep_pending(core.heap);
    close_core();
}

static void large_object(void)
{
    open_core();
    ga_page_id large = 0;
    bool zeroed;
    CU_ASSERT_EQUAL_FATAL(
        ga_core_large_alloc(&core, one, mcache, 2 * GA_CORE_MIB, false, &large, &zeroed), 0);
    offset = large * GA_PAGE_SIZE;
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, two, offset + 8), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, two, offset + GA_PAGE_SIZE), -EINVAL);
    CU_ASSERT_EQUAL(hold(two), 0);
    CU_ASSERT_EQUAL(ga_heap_put_off(core.heap, offset), 0);
    ga_heap_sweep_pending(core.heap);
    CU_ASSERT_EQUAL(core.heap->mspans[large].place, GA_SPAN_LARGE);
    CU_ASSERT_EQUAL(release(two), 0);
    ga_heap_sweep_pending(core.heap);
    CU_ASSERT_EQUAL(core.heap->mspans[large].place, GA_SPAN_UNUSED);
    close_core();
}

/* A hold comes too late, after its object was freed, and its page serves tiny objects next: it
 * keeps none of them. */
static void late_hold_of_tiny(void)
{
    open_core();
    ga_page_id large = 0;
    bool zeroed;
    struct ga_slot tiny;
    CU_ASSERT_EQUAL_FATAL(
        ga_core_large_alloc(&core, one, mcache, 2 * GA_CORE_MIB, false, &large, &zeroed), 0);
    offset = large * GA_PAGE_SIZE;
    CU_ASSERT_EQUAL(hold(two), 0);
    ga_core_free_large(&core, one, mcache, large);
    ga_heap_sweep_pending(core.heap);
    CU_ASSERT_EQUAL_FATAL(ga_core_lease(&core, one, mcache, GA_SPAN_CLASS_TINY), large);
    CU_ASSERT_FATAL(ga_core_claim(&core, mcache, large));
    CU_ASSERT_EQUAL_FATAL(ga_core_malloc(&core, mcache, GA_SPAN_CLASS_TINY, &tiny), 0);
    CU_ASSERT_EQUAL(tiny.index, 0);
    CU_ASSERT_EQUAL(ga_heap_put_off(core.heap, offset), -ENOENT);
    CU_ASSERT(ga_core_free_own(&core, mcache, &tiny));
    CU_ASSERT_FALSE(ga_core_in_use(&core, &tiny));
    CU_ASSERT_EQUAL(release(two), 0);
    close_core();
}

static void refused(void)
{
    open_core();
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, 99, offset), -EPERM);
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, one, 0), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, one, offset + 1), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, one, UINT64_MAX), -EINVAL);
    core.fail_commit = 1;
    CU_ASSERT_EQUAL(hold(one), -ENOMEM);
    CU_ASSERT_EQUAL(shown(), 0);
    CU_ASSERT_EQUAL(hold(one), 0);
    CU_ASSERT_EQUAL(hold(two), 0);
    for (uint32_t i = 2; i < GA_HOLD_COUNT; i++)
        CU_ASSERT_EQUAL_FATAL(ga_heap_hold(core.heap, ga_core_attach(&core), offset), 0);
    ga_page_id other = ga_core_lease(&core, one, mcache, CLASS);
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, one, other * GA_PAGE_SIZE), -ENOSPC);
    CU_ASSERT_EQUAL(release(one), 0);
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, one, other * GA_PAGE_SIZE), 0);
    close_core();
}

/* The old server died with the record in this state; it had, or had not, changed F. */
static void die_at(uint32_t state, bool freed_already, bool is_used_after, uint64_t shown_after)
{
    open_core();
    CU_ASSERT_EQUAL(hold(two), 0);
    uint64_t a =
        ga_load_relaxed(ga_view_a(&core.view, page, slot.index / 64)) >> (slot.index % 64) & 1;
    CU_ASSERT_EQUAL(a, 1);
    if (freed_already)
        ga_fetch_or_seq_cst(ga_view_f(&core.view, page, slot.index / 64), UINT64_C(1)
                                                                              << (slot.index % 64));
    ga_store_relaxed(&core.heap->holds[0].state, state);
    char why[GA_ADOPT_WHY_BYTES];
    CU_ASSERT_EQUAL_FATAL(ga_core_adopt(&core, why), 0);
    CU_ASSERT_EQUAL(in_use(), is_used_after);
    CU_ASSERT_EQUAL(shown(), shown_after);
    if (shown_after) {
        CU_ASSERT_EQUAL(release(two), 0);
        CU_ASSERT_EQUAL(in_use(), state == GA_HOLD_HELD);
    }
    CU_ASSERT_EQUAL(shown(), 0);
    close_core();
}

static void taken_over(void)
{
    die_at(GA_HOLD_HELD, false, true, 1);
    die_at(GA_HOLD_FREED, false, true, 1);
    die_at(GA_HOLD_RELEASING_1, false, false, 0);
    die_at(GA_HOLD_RELEASING_1, true, false, 0);
    die_at(GA_HOLD_GONE, true, false, 0);
    die_at(GA_HOLD_GONE, false, true, 0);
}

/* It died when the first of two records said that the object is freed. */
static void taken_over_half_marked(void)
{
    open_core();
    CU_ASSERT_EQUAL(hold(one), 0);
    CU_ASSERT_EQUAL(hold(two), 0);
    ga_store_relaxed(&core.heap->holds[0].state, GA_HOLD_FREED);
    char why[GA_ADOPT_WHY_BYTES];
    CU_ASSERT_EQUAL_FATAL(ga_core_adopt(&core, why), 0);
    CU_ASSERT_EQUAL(shown(), 2);
    CU_ASSERT_EQUAL(release(one), 0);
    CU_ASSERT(in_use());
    CU_ASSERT_EQUAL(release(two), 0);
    CU_ASSERT(!in_use());
    close_core();
}

static void damaged(void)
{
    open_core();
    CU_ASSERT_EQUAL(hold(two), 0);
    ga_store_relaxed(&core.heap->holds[0].state, 6);
    char why[GA_ADOPT_WHY_BYTES];
    CU_ASSERT_EQUAL(ga_core_adopt(&core, why), -EBADMSG);
    CU_ASSERT_STRING_EQUAL(why, "its hold 0 is damaged");
    ga_core_close(&core);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"counted", counted},
        {"freed with the last release", freed_with_last_release},
        {"dropped with the client", dropped_with_client},
        {"a large object", large_object},
        {"late hold of tiny", late_hold_of_tiny},
        {"refused", refused},
        {"taken over", taken_over},
        {"taken over half marked", taken_over_half_marked},
        {"damaged", damaged},
    };
    return ga_test_main("server.holds", tests, COUNT(tests));
}

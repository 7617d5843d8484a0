/* Leasing ahead: what the server puts into a ring, what it believes of the client's count, and what
 * a successor makes of a grant that was cut off. */
#include "shm/ring.h"

#include <errno.h>

#include "shm/size_class.h"
#include "support/core_fixture.h"
#include "support/cunit_main.h"

enum { RESERVE_MIB = 128, CLASS = 20 };

static struct ga_core core;
static ga_client_id client;
static ga_mcache_id me;

static void open_core(void)
{
    ga_core_open(&core, RESERVE_MIB * GA_CORE_MIB, 0);
    client = ga_core_attach(&core);
    me = ga_core_mcache(&core, client);
}

static void close_core(void)
{
    const char *wrong = ga_core_audit(&core);
    CU_ASSERT_PTR_NULL(wrong);
    ga_core_close(&core);
}

static uint64_t entry(uint64_t sequence)
{
    return ga_load_relaxed(&core.view.rings[me].entry[ga_ring_index(sequence)]);
}

static bool is_ready(uint64_t sequence)
{
    uint64_t e = entry(sequence);
    return ga_ring_sequence(e) == sequence && ga_ring_state(e) == GA_RING_READY &&
           ga_entry_owner(ga_view_entry(&core.view, ga_ring_page(e))) == me;
}

static void set_taken(uint64_t sequence)
{
    ga_store_relaxed(&core.view.mcaches[me].ring_taken, sequence);
}

static int ahead(uint32_t count)
{
    return ga_heap_lease_ahead(core.heap, client, me, CLASS, count);
}

static void entries_pack(void)
{
    uint64_t most = (UINT64_C(1) << 36) - 1;
    uint64_t e = ga_ring_entry(most, GA_RING_READY, (ga_page_id)GA_RING_PAGE_MASK);
    CU_ASSERT_EQUAL(ga_ring_sequence(e), most);
    CU_ASSERT_EQUAL(ga_ring_state(e), GA_RING_READY);
    CU_ASSERT_EQUAL(ga_ring_page(e), GA_RING_PAGE_MASK);
    CU_ASSERT_EQUAL(ga_ring_index(1), 0);
    CU_ASSERT_EQUAL(ga_ring_index(GA_RING_ENTRIES + 1), 0);
}

static void spans_come_in_order(void)
{
    open_core();
    CU_ASSERT_EQUAL(ahead(5), 0);
    for (uint64_t s = 1; s <= 5; s++)
        CU_ASSERT(is_ready(s));
    CU_ASSERT_EQUAL(entry(6), 0);
    CU_ASSERT_EQUAL(ga_mcache_record(core.heap, me)->leased.count, 5);
    CU_ASSERT_EQUAL(ga_heap_lease_ahead(core.heap, client, me, 1, 1), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_lease_ahead(core.heap, client, me, CLASS, 0), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_lease_ahead(core.heap, client, me, CLASS, GA_LEASE_MAX + 1), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_lease_ahead(core.heap, client, me + 1, CLASS, 1), -EPERM);
    close_core();
}

static void full_ring(void)
{
    open_core();
    CU_ASSERT_EQUAL(ahead(GA_RING_ENTRIES), 0);
    CU_ASSERT_EQUAL(ahead(3), 0);
    CU_ASSERT_EQUAL(ga_mcache_record(core.heap, me)->leased.count, GA_RING_ENTRIES);
    set_taken(2);
    CU_ASSERT_EQUAL(ahead(3), 0);
    CU_ASSERT_EQUAL(ga_mcache_record(core.heap, me)->leased.count, GA_RING_ENTRIES + 2);
    CU_ASSERT(is_ready(GA_RING_ENTRIES + 2));
    CU_ASSERT(is_ready(3));
    close_core();
}

/* A count that cannot be is not believed: nothing is granted, and nothing written over. */
static void counts_that_lie(void)
{
    open_core();
    CU_ASSERT_EQUAL(ahead(2), 0);
    static const uint64_t lies[] = {3, UINT64_MAX, UINT64_C(1) << 40};
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        set_taken(lies[i]);
        CU_ASSERT_EQUAL(ahead(4), -EBADMSG);
        CU_ASSERT_EQUAL(ga_mcache_record(core.heap, me)->leased.count, 2);
    }
    set_taken(2);
    CU_ASSERT_EQUAL(ahead(64), 0);
    set_taken(0); /* 66 behind: more than the ring holds */
    CU_ASSERT_EQUAL(ahead(1), -EBADMSG);
    CU_ASSERT_EQUAL(ga_mcache_record(core.heap, me)->leased.count, 66);
    set_taken(66);
    close_core();
}

static void memory_runs_out(void)
{
    ga_core_open(&core, RESERVE_MIB * GA_CORE_MIB, 4 * GA_PAGE_SIZE);
    client = ga_core_attach(&core);
    me = ga_core_mcache(&core, client);
    CU_ASSERT_EQUAL(ahead(10), -ENOMEM);
    CU_ASSERT_EQUAL(ga_mcache_record(core.heap, me)->leased.count, 3); /* page 0 is nobody's */
    CU_ASSERT(is_ready(3));
    CU_ASSERT_EQUAL(entry(4), 0);
    close_core();
}

/* The next client of an id begins where the last has stopped, with an empty ring. */
static void an_id_again(void)
{
    open_core();
    CU_ASSERT_EQUAL(ahead(7), 0);
    set_taken(3);
    ga_heap_client_gone(core.heap, client);
    CU_ASSERT_EQUAL(core.heap->nspans, 0);
    ga_mcache_id before = me;
    client = ga_core_attach(&core);
    me = ga_core_mcache(&core, client);
    CU_ASSERT_EQUAL(me, before);
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.mcaches[me].ring_taken), 7);
    for (uint64_t s = 1; s <= GA_RING_ENTRIES; s++)
        CU_ASSERT_EQUAL(entry(s), 0);
    CU_ASSERT_EQUAL(ahead(1), 0);
    CU_ASSERT(is_ready(8));
    close_core();
}

/* A server that died between RESERVED and READY: what the page table says decides. */
static void cut_off(void)
{
    for (int owned = 0; owned < 2; owned++) {
        open_core();
        CU_ASSERT_EQUAL(ahead(3), 0);
        uint64_t last = entry(3);
        ga_page_id page = ga_ring_page(last);
        _Atomic uint64_t *word = &core.heap->rings[me].entry[ga_ring_index(3)];
        ga_store_relaxed(word, ga_ring_entry(3, GA_RING_RESERVED, page));
        uint64_t first_page_entry = ga_view_entry(&core.view, page);
        if (!owned)
            ga_store_relaxed(&core.heap->page_table[page],
                             ga_entry_with_owner(first_page_entry, 0));
        ga_mcache_record(core.heap, me)->ring_head = 0;
        ga_ring_adopt(core.heap, me);
        CU_ASSERT_EQUAL(ga_mcache_record(core.heap, me)->ring_head, owned ? 3 : 2);
        CU_ASSERT_EQUAL(entry(3), owned ? last : 0);
        CU_ASSERT(is_ready(1) && is_ready(2));
        ga_store_relaxed(&core.heap->page_table[page], first_page_entry);
        close_core();
    }
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"entries pack", entries_pack},
        {"spans come in order", spans_come_in_order},
        {"full ring", full_ring},
        {"counts that lie", counts_that_lie},
        {"memory runs out", memory_runs_out},
        {"an id again", an_id_again},
        {"cut off", cut_off},
    };
    return ga_test_main("server.ring", tests, sizeof(tests) / sizeof(tests[0]));
}

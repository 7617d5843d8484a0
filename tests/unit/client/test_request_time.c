/* How long a request for spans takes: measured where a server shows it, and nowhere else. */
#include "client/mcache.h"
#include "support/cunit_main.h"

static struct goalloc_heap heap;

static void of_a_servers_heap(void)
{
    heap.is_own = false;
    uint64_t from_ns = ga_mcache_begin_request(&heap);
    CU_ASSERT(from_ns > 1000);
    CU_ASSERT(ga_mcache_request_ns(&heap, from_ns - 1000) >= 1000);
}

static void of_an_own_heap(void)
{
    heap.is_own = true;
    CU_ASSERT_EQUAL(ga_mcache_begin_request(&heap), 0);
    CU_ASSERT_EQUAL(ga_mcache_request_ns(&heap, 0), 0);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"of a server's heap", of_a_servers_heap},
        {"of an own heap", of_an_own_heap},
    };
    return ga_test_main("unit.client.request_time", tests, sizeof(tests) / sizeof(tests[0]));
}

/* goallocd, killed while it takes memory from the system, or gives it back. */
#include "crash/deeds.h"
#include "crash/scenario.h"

#define GROWN (3u << 20) /* more than a new heap has committed */
#define LONG  (5u << 20) /* longer than that */

static void try_grown(void)
{
    ga_deed_keep_if_any(goalloc_malloc(ga_heap, GROWN), GROWN);
}

static void try_long(void)
{
    ga_deed_keep_if_any(goalloc_malloc(ga_heap, LONG), LONG);
}

/* Free pages with memory, at the end of the heap. */
static void leave_free(void)
{
    ga_deed_get_one();
    goalloc_free(ga_heap, goalloc_malloc(ga_heap, GROWN));
}

/* Free pages without, in the middle: over the soft limit they are given back when the heap grows.
 */
static void leave_hole(void)
{
    void *p = goalloc_malloc(ga_heap, GROWN);
    (void)ga_actor_get(GA_DEED_LARGE);
    goalloc_free(ga_heap, p);
    try_long();
}

const struct ga_server_scenario ga_server_memory_scenarios[] = {
    {.name = "server: growth",
     .is_slow = true,
     .before = ga_deed_get_one,
     .function = "ga_heap_large_alloc",
     .operation = try_grown,
     .after = ga_deed_go_on,
     .fresh = true,
     .bytes = GROWN},
    {.name = "server: growth over the soft limit",
     .is_slow = true,
     .before = leave_free,
     .function = "ga_heap_large_alloc",
     .operation = try_long,
     .after = ga_deed_go_on,
     .fresh = true,
     .soft_limit = "1M",
     .bytes = LONG},
    {.name = "server: growth over the soft limit, the client dies too",
     .is_slow = true,
     .before = leave_free,
     .function = "ga_page_alloc_begin_release",
     .operation = try_long,
     .fate = GA_DRIVER_DIES,
     .fresh = true,
     .soft_limit = "1M",
     .bytes = LONG,
     .is_private = true}, /* it may just have got it, and not noted */
    {.name = "server: a span of pages without memory",
     .is_slow = true,
     .before = leave_hole,
     .function = "ga_scavenge_make_room",
     .operation = try_grown,
     .fate = GA_DRIVER_DIES,
     .fresh = true,
     .soft_limit = "1M",
     .bytes = GROWN,
     .is_private = true},
    {.name = "server: adoption of pages without memory",
     .is_slow = true,
     .before = leave_hole,
     .function = "ga_scavenge_adopt",
     .operation = ga_deed_try_large,
     .after = ga_deed_go_on,
     .fresh = true,
     .soft_limit = "1M",
     .adopts = true,
     .bytes = GA_DEED_LARGE},
    {.name = "server: memory begins to go back",
     .is_slow = true,
     .before = leave_free,
     .function = "ga_heap_begin_release",
     .after = try_long,
     .fresh = true,
     .soft_limit = "1M",
     .bytes = LONG},
    {.name = "server: memory has gone back",
     .is_slow = true,
     .before = leave_free,
     .function = "ga_heap_end_release",
     .fate = GA_DRIVER_DIES,
     .fresh = true,
     .soft_limit = "1M",
     .bytes = LONG},
    {.name = NULL},
};

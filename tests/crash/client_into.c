/* Clients that are killed while they allocate into slots: what a slot names goes with them. */
#include <errno.h>
#include <stddef.h>

#include "crash/deeds.h"
#include "crash/scenario.h"

static void into_small(void)
{
    ga_deed_into(GA_DEED_SMALL);
}

static void into_large(void)
{
    ga_deed_into(GA_DEED_LARGE);
}

/* An object in a slot, which may go. Of the run before, the root may be there. */
static void get_into_unpublished(void)
{
    (void)ga_actor_get(GA_DEED_SMALL);
    int r = goalloc_unpublish(ga_heap, GA_DEED_ROOT);
    if (r < 0 && r != -ENOENT)
        ga_account_complain(ga_account, "%s", goalloc_strerror(r));
    ga_deed_x = goalloc_malloc_into(ga_heap, GA_DEED_SMALL, goalloc_slot(ga_heap, 7));
    ga_account_keep(ga_account, ga_deed_x, GA_DEED_SMALL);
    ga_account_leave(ga_account, ga_deed_x);
}

/* From when it is published on it must stay. */
static void publish_and_clear(void)
{
    int r = goalloc_publish(ga_heap, GA_DEED_ROOT, ga_deed_x);
    if (r < 0)
        ga_account_complain(ga_account, "%s", goalloc_strerror(r));
    ga_account_keep(ga_account, ga_deed_x, GA_DEED_SMALL);
    *goalloc_slot(ga_heap, 7) = NULL;
}

/* Slots with objects of each kind. */
static void fill_slots(void)
{
    for (unsigned i = 0; i < 4; i++)
        (void)goalloc_malloc_into(ga_heap, GA_DEED_SMALL, goalloc_slot(ga_heap, i));
    (void)goalloc_malloc_into(ga_heap, GA_DEED_LARGE, goalloc_slot(ga_heap, 4));
    (void)goalloc_malloc_into(ga_heap, GA_DEED_HUGE, goalloc_slot(ga_heap, 5));
    (void)ga_actor_get(GA_DEED_SMALL);
}

const struct ga_client_scenario ga_client_into_scenarios[] = {
    {.name = "malloc into: small",
     .before = ga_deed_get_one,
     .operation = into_small,
     .twice = true},
    {.name = "malloc into: small, from the server",
     .before = ga_deed_get_other,
     .operation = into_small},
    {.name = "malloc into: a large span that was kept",
     .before = ga_deed_get_large_and_free,
     .operation = into_large,
     .bytes = GA_DEED_LARGE,
     .twice = true},
    {.name = "malloc into: large, leased",
     .before = ga_deed_get_one,
     .operation = into_large,
     .bytes = GA_DEED_LARGE},
    {.name = "malloc into: large, not leased",
     .before = ga_deed_get_one,
     .operation = ga_deed_into_huge,
     .bytes = GA_DEED_HUGE,
     .twice = true},
    {.name = "malloc into, publish and clear",
     .before = get_into_unpublished,
     .operation = publish_and_clear},
    {.name = "malloc into, beside others",
     .before = fill_slots,
     .operation = into_small,
     .twice = true},
    {.name = "detach with slots", .before = fill_slots, .operation = ga_deed_detach},
    {.name = NULL},
};

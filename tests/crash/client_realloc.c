/* Clients that are killed while they resize. */
#include "crash/deeds.h"
#include "crash/scenario.h"

static void grow_small(void)
{
    ga_account_leave(ga_account, ga_deed_x);
    ga_deed_x = goalloc_realloc(ga_heap, ga_deed_x, 2 * GA_DEED_SMALL);
}

/* A small object, and a span that is kept and is longer than it will need. */
static void get_x_and_keep_large(void)
{
    ga_deed_get_large_and_free();
    ga_deed_x = ga_actor_get(GA_DEED_SMALL);
}

/* From a small span into the one that was kept, and on within that. */
static void grow_into_kept(void)
{
    ga_account_leave(ga_account, ga_deed_x);
    ga_deed_x = goalloc_realloc(ga_heap, ga_deed_x, GA_DEED_LARGE / 3);
    if (ga_deed_x && goalloc_realloc(ga_heap, ga_deed_x, GA_DEED_LARGE / 2) != ga_deed_x)
        ga_account_complain(ga_account, "the object has moved");
}

/* Of which the first half is to stay. */
static void get_x_half_large(void)
{
    ga_deed_x = goalloc_malloc(ga_heap, GA_DEED_LARGE);
    ga_account_keep(ga_account, ga_deed_x, GA_DEED_LARGE / 2);
}

static void shrink_large(void)
{
    ga_deed_resize_large(GA_DEED_LARGE / 2);
}

const struct ga_client_scenario ga_client_realloc_scenarios[] = {
    {.name = "realloc large: longer where it lies",
     .before = ga_deed_get_x_large,
     .operation = ga_deed_grow_large,
     .bytes = GA_DEED_LARGE,
     .twice = true},
    {.name = "realloc large: shorter where it lies",
     .before = get_x_half_large,
     .operation = shrink_large,
     .bytes = GA_DEED_LARGE,
     .twice = true},
    {.name = "realloc small",
     .before = ga_deed_get_x,
     .operation = grow_small,
     .bytes = 2 * GA_DEED_SMALL,
     .in_flight = true},
    {.name = "realloc large: into a span that was kept",
     .before = get_x_and_keep_large,
     .operation = grow_into_kept,
     .bytes = GA_DEED_LARGE / 2,
     .in_flight = true},
    {.name = NULL},
};

/* Clients that are killed while they allocate. */
#include <stddef.h>
#include <stdint.h>

#include "crash/deeds.h"
#include "crash/scenario.h"

static void malloc_wide(void)
{
    ga_deed_x = goalloc_malloc(ga_heap, 16);
}

static void get_span_and_free_one(void)
{
    ga_deed_get_many(256, GA_DEED_SMALL);
    for (size_t i = 0; i < 3; i++)
        ga_actor_put(ga_deed_many[i]);
}

static void get_wide_words(void)
{
    ga_deed_get_many(128, 16);
}

static void get_tiny(void)
{
    (void)ga_actor_get_noscan(8);
}

static void hand_over_x_large(void)
{
    ga_deed_x = ga_actor_get(GA_DEED_LARGE);
    for (size_t i = 0; i < 4; i++)
        ga_account->spare[i] = NULL;
    ga_account->spare[0] = ga_deed_x;
}

/* Allocate until spans come through the ring. On a machine so busy that they are not used up in
 * haste none come; then that run takes another way. */
static void get_until_ring(void)
{
    for (size_t i = 0; i < 2000 && !ga_actor_has_ring_entries(); i++)
        ga_account_keep(ga_account, goalloc_malloc(ga_heap, 2048), 16);
}

static void malloc_from_ring(void)
{
    uint64_t taken = ga_actor_ring_taken();
    for (size_t i = 0; i < 500 && ga_actor_ring_taken() == taken; i++)
        ga_account_keep(ga_account, goalloc_malloc(ga_heap, 2048), 16);
}

const struct ga_client_scenario ga_client_malloc_scenarios[] = {
    {.name = "malloc tiny: in the run",
     .before = get_tiny,
     .operation = ga_deed_malloc_tiny,
     .bytes = 8,
     .noscan = true,
     .in_flight = true,
     .twice = true},
    {.name = "malloc tiny: next run",
     .before = ga_deed_get_tiny_run,
     .operation = ga_deed_malloc_tiny,
     .bytes = 8,
     .noscan = true,
     .in_flight = true,
     .twice = true},
    {.name = "malloc tiny: from the server",
     .before = ga_deed_get_other,
     .operation = ga_deed_malloc_tiny,
     .bytes = 8,
     .noscan = true,
     .in_flight = true},
    {.name = "malloc small: from the list",
     .before = ga_deed_get_one,
     .operation = ga_deed_malloc_small,
     .in_flight = true,
     .twice = true},
    {.name = "malloc small: the next word",
     .before = ga_deed_get_word,
     .operation = ga_deed_malloc_small,
     .in_flight = true,
     .twice = true},
    {.name = "malloc small: the next wide word",
     .before = get_wide_words,
     .operation = malloc_wide,
     .bytes = 16,
     .in_flight = true,
     .twice = true},
    {.name = "malloc small: another span",
     .before = get_span_and_free_one,
     .operation = ga_deed_malloc_small,
     .in_flight = true},
    {.name = "malloc small: slots that others freed",
     .survivor = ga_deed_get_other,
     .before = ga_deed_hand_over_span,
     .meanwhile = ga_deed_free_handed,
     .operation = ga_deed_malloc_small,
     .in_flight = true},
    {.name = "malloc small: from the server",
     .before = ga_deed_get_other,
     .operation = ga_deed_malloc_small,
     .in_flight = true,
     .twice = true},
    {.name = "malloc small: from the ring",
     .before = get_until_ring,
     .operation = malloc_from_ring,
     .bytes = 2048,
     .in_flight = true},
    {.name = "malloc small: a process's first",
     .operation = ga_deed_malloc_small,
     .in_flight = true},
    {.name = "malloc large",
     .before = ga_deed_get_one,
     .operation = ga_deed_malloc_large,
     .bytes = GA_DEED_LARGE,
     .in_flight = true,
     .twice = true},
    {.name = "malloc large: a span that it kept",
     .before = ga_deed_get_large_and_free,
     .operation = ga_deed_malloc_large,
     .bytes = GA_DEED_LARGE,
     .in_flight = true,
     .twice = true},
    {.name = "malloc large: a span that others freed",
     .survivor = ga_deed_get_other,
     .before = hand_over_x_large,
     .meanwhile = ga_deed_free_handed,
     .operation = ga_deed_malloc_large,
     .bytes = GA_DEED_LARGE,
     .in_flight = true},
    {.name = "malloc larger than is kept",
     .before = ga_deed_get_one,
     .operation = ga_deed_malloc_huge,
     .bytes = GA_DEED_HUGE,
     .in_flight = true},
    {.name = NULL},
};

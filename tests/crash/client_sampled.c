/* Clients that sample each object, killed while they allocate and free: at a rate of 1, which the
 * other scenarios do not have. */
#include <stddef.h>

#include "crash/deeds.h"
#include "crash/scenario.h"

/* The first sample of a process, and one of the same place; then one of another size. */
static void malloc_three(void)
{
    for (size_t i = 0; i < 3; i++) {
        if (i > 0)
            ga_account_keep(ga_account, ga_deed_x, GA_DEED_SMALL);
        ga_deed_x = goalloc_malloc(ga_heap, GA_DEED_SMALL - (i > 1));
    }
}

static void into_small(void)
{
    ga_deed_into(GA_DEED_SMALL);
}

/* More than words are for those of a page. */
static void get_until_no_room(void)
{
    ga_deed_get_many(256, GA_DEED_SMALL);
    ga_deed_get_many(256, GA_DEED_SMALL);
    if (ga_actor_is_sampled(ga_deed_many[255]))
        ga_account_complain(ga_account, "there is room for samples");
}

static void hand_over_only(void)
{
    GA_DEED_HANDED = ga_actor_get(GA_DEED_SMALL);
}

static void hand_over_large(void)
{
    GA_DEED_HANDED = ga_actor_get(GA_DEED_LARGE);
}

const struct ga_client_scenario ga_client_sampled_scenarios[] = {
    {.name = "sampled: malloc small, a process's first",
     .operation = malloc_three,
     .is_slow = true,
     .sampled = true,
     .in_flight = true},
    {.name = "sampled: malloc small",
     .before = ga_deed_get_one,
     .operation = ga_deed_malloc_small,
     .function = "ga_profile_note",
     .sampled = true,
     .in_flight = true,
     .twice = true},
    {.name = "sampled: malloc small, no room",
     .before = get_until_no_room,
     .operation = ga_deed_malloc_small,
     .function = "ga_profile_note",
     .sampled = true,
     .short_of_room = true,
     .in_flight = true},
    {.name = "sampled: malloc tiny",
     .before = ga_deed_get_tiny_run,
     .operation = ga_deed_malloc_tiny,
     .function = "ga_profile_note",
     .bytes = 32, /* where it goes */
     .noscan = true,
     .sampled = true,
     .in_flight = true},
    {.name = "sampled: malloc large",
     .before = ga_deed_get_one,
     .operation = ga_deed_malloc_large,
     .function = "ga_profile_note",
     .bytes = GA_DEED_LARGE,
     .sampled = true,
     .in_flight = true,
     .twice = true},
    {.name = "sampled: malloc into",
     .before = ga_deed_get_one,
     .operation = into_small,
     .function = "ga_profile_note",
     .sampled = true,
     .twice = true},
    {.name = "sampled: private, malloc small",
     .before = ga_deed_get_word,
     .operation = ga_deed_malloc_small,
     .function = "ga_profile_note",
     .sampled = true,
     .is_private = true,
     .twice = true},
    {.name = "sampled: free local",
     .before = ga_deed_get_x_and_more,
     .operation = ga_deed_put_x,
     .function = "ga_profile_freed",
     .sampled = true,
     .twice = true},
    {.name = "sampled: free large",
     .before = ga_deed_get_x_large,
     .operation = ga_deed_put_x,
     .function = "ga_profile_freed",
     .bytes = GA_DEED_LARGE,
     .sampled = true},
    {.name = "sampled: free remote",
     .survivor = ga_deed_get_other,
     .before = ga_deed_get_other,
     .meanwhile = ga_deed_hand_over_small,
     .operation = ga_deed_put_handed,
     .function = "ga_profile_freed",
     .sampled = true,
     .twice = true},
    {.name = "sampled: free remote | it reuses",
     .survivor = ga_deed_get_other,
     .before = ga_deed_get_other_and_free,
     .meanwhile = ga_deed_hand_over_small,
     .operation = ga_deed_put_handed,
     .reuse = ga_deed_reuse_small,
     .sampled = true,
     .short_of_room = true},
    {.name = "sampled: free remote, of one who died",
     .ancestor = ga_deed_hand_over_small,
     .before = ga_deed_get_other,
     .operation = ga_deed_put_handed,
     .function = "ga_profile_freed",
     .sampled = true,
     .twice = true},
    {.name = "sampled: free remote, the last one of one who died",
     .ancestor = hand_over_only,
     .before = ga_deed_get_other,
     .operation = ga_deed_put_handed,
     .function = "ga_profile_freed",
     .sampled = true,
     .twice = true},
    {.name = "sampled: free remote, large",
     .survivor = ga_deed_get_other,
     .before = ga_deed_get_other,
     .meanwhile = hand_over_large,
     .operation = ga_deed_put_handed,
     .function = "ga_profile_freed",
     .bytes = GA_DEED_LARGE,
     .sampled = true},
    {.name = NULL},
};

/* Clients that are killed while they, or their threads, begin or end. */
#include "crash/deeds.h"
#include "crash/scenario.h"

const struct ga_client_scenario ga_client_life_scenarios[] = {
    {.name = "thread exit",
     .before = ga_deed_get_all_sorts,
     .kind = GA_VICTIM_THREAD,
     .twice = true},
    {.name = "attach", .operation = ga_actor_attach, .kind = GA_VICTIM_UNATTACHED},
    {.name = "fork: the child's first malloc",
     .kind = GA_VICTIM_FORKED,
     .survivor = ga_deed_hand_over_small,
     .operation = ga_deed_malloc_small,
     .in_flight = true},
    {.name = "fork: the child's first free | the parent reuses",
     .kind = GA_VICTIM_FORKED,
     .survivor = ga_deed_hand_over_small,
     .operation = ga_deed_put_handed,
     .reuse = ga_deed_reuse_small},
    {.name = "detach", .before = ga_deed_get_all_sorts, .operation = ga_deed_detach},
    {.name = NULL},
};

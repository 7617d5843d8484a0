/* Managed clients that are killed while they stand still for a collection. */
#include <stddef.h>

#include "crash/deeds.h"
#include "crash/scenario.h"

/* Of a survivor: objects that only its own memory points to. */
static void get_managed(void)
{
    static bool managed;
    if (!managed)
        ga_actor_attach_as(GOALLOC_POLICY_KEEP, GOALLOC_MANAGED);
    managed = true;
    ga_deed_get_many(70, GA_DEED_SMALL);
    ga_deed_x = ga_actor_get(GA_DEED_LARGE);
}

/* Of a victim, which leaves nothing that would be collected when it has ended. */
static void become_managed(void)
{
    ga_actor_attach_as(GOALLOC_POLICY_KEEP, GOALLOC_MANAGED);
    ga_actor_put(ga_actor_get(GA_DEED_SMALL));
}

static void collect(void)
{
    (void)goalloc_gc(ga_heap, NULL);
}

const struct ga_client_scenario ga_client_managed_scenarios[] = {
    {.name = "managed: it stands still and tells",
     .kind = GA_VICTIM_LIBRARY,
     .survivor = get_managed,
     .before = become_managed,
     .operation = collect,
     .function = "ga_managed_stop",
     .over = "ga_scan_run",
     .but = "ga_channel_note_sent",
     .is_slow = true},
    {.name = "managed: it notes what it writes",
     .kind = GA_VICTIM_LIBRARY,
     .survivor = get_managed,
     .before = become_managed,
     .operation = collect,
     .function = "ga_track",
     .over = "ga_scan_run",
     .but = "ga_channel_note_sent",
     .is_slow = true},
    {.name = "managed: it has told",
     .kind = GA_VICTIM_LIBRARY,
     .survivor = get_managed,
     .before = become_managed,
     .operation = collect,
     .function = "ga_stop_release"},
    {.name = NULL},
};

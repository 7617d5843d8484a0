/* goallocd, killed in a collection. */
#include <stddef.h>
#include <stdint.h>

#include "crash/deeds.h"
#include "crash/scenario.h"

#define GROWN (3u << 20) /* more than a new heap has committed */

/* What a client leaves that goes when nothing reaches it: of each kind some, that a table leads to,
 * which has a name. */
static void leave_garbage(void)
{
    ga_actor_attach_as(GOALLOC_POLICY_UNREACHABLE, 0);
    void **table = goalloc_malloc(ga_heap, 100 * sizeof(void *));
    for (size_t i = 0; i < 100; i++)
        table[i] = i < 90   ? goalloc_malloc(ga_heap, GA_DEED_SMALL)
                   : i < 94 ? goalloc_malloc(ga_heap, 16)
                   : i < 98 ? goalloc_alloc(ga_heap, 8, 0, GOALLOC_NOSCAN)
                            : goalloc_malloc(ga_heap, i == 98 ? GA_DEED_LARGE : GROWN);
    (void)goalloc_publish(ga_heap, GA_DEED_ROOT, table);
}

/* And two objects by names of their own. */
static void leave_orphans(void)
{
    leave_garbage();
    (void)goalloc_publish(ga_heap, "kept 1", ga_actor_get(GA_DEED_SMALL));
    (void)goalloc_publish(ga_heap, "kept 2", ga_actor_get(GA_DEED_SMALL));
}

/* After a collection that found all of it reachable, none begins by itself. */
static void lose_orphans(void)
{
    (void)goalloc_gc(ga_heap, NULL);
    (void)goalloc_unpublish(ga_heap, GA_DEED_ROOT);
}

static void collect(void)
{
    (void)goalloc_gc(ga_heap, NULL);
}

static void collect_the_rest(void)
{
    int r = goalloc_gc(ga_heap, NULL);
    if (r < 0)
        ga_account_complain(ga_account, "no collection: %s", goalloc_strerror(r));
}

/* Of a managed driver: objects that only its own memory points to. */
static void become_managed(void)
{
    ga_actor_attach_as(GOALLOC_POLICY_KEEP, GOALLOC_MANAGED);
    for (size_t i = 0; i < 70; i++)
        ga_deed_many[i] = ga_actor_get(GA_DEED_SMALL);
    ga_deed_x = ga_actor_get(GA_DEED_LARGE);
    lose_orphans();
}

/* They are there still, and the garbage is not. When the driver has ended they would be collected,
 * too, so it frees them. */
static void collect_the_rest_and_free(void)
{
    collect_the_rest();
    for (uint32_t i = 0; i < ga_account->nobjects; i++) {
        const struct ga_account_object *object = &ga_account->objects[i];
        if (!ga_account_is_whole(object, (const unsigned char *)object->address))
            ga_account_complain(ga_account, "an object of %u bytes is spoiled", object->bytes);
    }
    for (size_t i = 0; i < 70; i++)
        ga_actor_put(ga_deed_many[i]);
    ga_actor_put(ga_deed_x);
}

const struct ga_server_scenario ga_server_collect_scenarios[] = {
    {.name = "server: a collection frees",
     .ancestor = leave_orphans,
     .before = lose_orphans,
     .function = "ga_collect_sweep_some",
     .operation = collect,
     .after = collect_the_rest},
    {.name = "server: a collection frees, sampled",
     .is_slow = true,
     .ancestor = leave_orphans,
     .before = lose_orphans,
     .function = "ga_collect_sweep_some",
     .operation = collect,
     .after = collect_the_rest,
     .sampled = true},
    {.name = "server: managed clients stand still",
     .is_slow = true,
     .ancestor = leave_garbage,
     .before = become_managed,
     .function = "ga_cycle_all_stopped",
     .operation = collect,
     .after = collect_the_rest_and_free},
    {.name = "server: what clients have written is known",
     .is_slow = true,
     .ancestor = leave_garbage,
     .before = become_managed,
     .function = "ga_cycle_tracked",
     .operation = collect,
     .after = collect_the_rest_and_free},
    {.name = "server: managed clients go on",
     .is_slow = true,
     .ancestor = leave_garbage,
     .before = become_managed,
     .function = "ga_standstill_release",
     .operation = collect,
     .after = collect_the_rest_and_free},
    {.name = NULL},
};

/* Clients that are killed while the library's own thread gives back the cache of one that sleeps.
 */
#include <pthread.h>
#include <stddef.h>

#include "crash/deeds.h"
#include "crash/scenario.h"

#define TOO_MUCH (64u << 20) /* the reserve, of which the first page is never handed out */

/* Empty spans, a large one, and frees of another's objects that are collected. */
static void keep_unused(void)
{
    ga_deed_get_many(200, GA_DEED_SMALL);
    for (size_t i = 0; i < 180; i++)
        ga_actor_put(ga_deed_many[i]);
    ga_actor_put(ga_actor_get(GA_DEED_LARGE));
    ga_actor_put(ga_actor_get_noscan(8));
    for (size_t i = 0; i < 2; i++) /* of one word */
        ga_actor_put(ga_account->spare[i]);
}

/* The server calls for memory at most each 100 ms, and may have done so for the run before. A call
 * that finds none waits 22 ms, and asks three times. */
#define CALLS 10

static void *get_too_much(void *unused)
{
    for (int i = 0; i < CALLS; i++)
        if (goalloc_malloc(ga_heap, TOO_MUCH))
            ga_account_complain(ga_account, "all of the heap is free");
    return unused;
}

/* By another thread, while this one is in no function of the library. */
static void have_asked_for_too_much(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, get_too_much, NULL) == 0)
        pthread_detach(thread);
}

/* With the cache that is just given back: from its list, from its other spans, and from none. Who
 * is killed in it may have an object on its way, which is to be of the one class that may be. */
static void use_small_again(void)
{
    for (size_t i = 180; i < 200; i++)
        ga_actor_put(ga_deed_many[i]);
    for (size_t i = 0; i < 40; i++)
        (void)ga_actor_get(GA_DEED_SMALL);
}

static void use_cache_again(void)
{
    use_small_again();
    ga_actor_put(ga_actor_get(GA_DEED_LARGE));
}

const struct ga_client_scenario ga_client_idle_scenarios[] = {
    {.name = "idle thread's cache given back",
     .kind = GA_VICTIM_LIBRARY,
     .ancestor = ga_deed_hand_over_span,
     .before = keep_unused,
     .operation = have_asked_for_too_much,
     .function = "ga_reclaim",
     .twice = true},
    {.name = "idle thread's cache given back | it comes back",
     .kind = GA_VICTIM_LIBRARY,
     .ancestor = ga_deed_hand_over_span,
     .before = keep_unused,
     .operation = have_asked_for_too_much,
     .function = "ga_reclaim",
     .back = use_small_again,
     .in_flight = true},
    {.name = "idle thread's cache given back | it comes back, both go on",
     .kind = GA_VICTIM_LIBRARY,
     .ancestor = ga_deed_hand_over_span,
     .before = keep_unused,
     .operation = have_asked_for_too_much,
     .function = "ga_reclaim",
     .back = use_cache_again,
     .lives_on = true},
    {.name = NULL},
};

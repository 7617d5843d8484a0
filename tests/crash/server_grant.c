/* goallocd, killed while it hands out, or takes back, spans and what goes with them. */
#include <pthread.h>
#include <stddef.h>

#include "crash/deeds.h"
#include "crash/scenario.h"

static void try_wide(void)
{
    ga_deed_keep_if_any(goalloc_malloc(ga_heap, 16), 16);
}

static void try_tiny(void)
{
    ga_deed_keep_if_any(goalloc_alloc(ga_heap, 8, 0, GOALLOC_NOSCAN), 8);
}

static void try_ahead(void)
{
    for (size_t i = 0; i < 400; i++)
        ga_deed_keep_if_any(goalloc_malloc(ga_heap, 2048), 16);
}

/* Spans that are partly used, and that nobody leases. */
static void leave_partial(void)
{
    for (size_t i = 0; i < 20; i++)
        (void)ga_actor_get(128);
}

static void *allocate_elsewhere(void *unused)
{
    ga_deed_try_small();
    return unused;
}

static void use_new_thread(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, allocate_elsewhere, NULL) == 0)
        pthread_join(thread, NULL);
}

static void get_large(void)
{
    ga_deed_x = ga_actor_get(GA_DEED_LARGE);
}

/* Of which the first half is to stay. */
static void get_half_large(void)
{
    ga_deed_x = goalloc_malloc(ga_heap, GA_DEED_LARGE);
    ga_account_keep(ga_account, ga_deed_x, GA_DEED_LARGE / 2);
}

/* It will stay where it is. */
static void resize(size_t bytes)
{
    if (goalloc_realloc(ga_heap, ga_deed_x, bytes) != ga_deed_x)
        ga_account_complain(ga_account, "the object has moved");
}

static void grow(void)
{
    resize(3 * GA_DEED_LARGE);
}

/* By more than the heap has; it is the heap's last object. */
static void grow_beyond_the_heap(void)
{
    resize(30 * GA_DEED_LARGE);
}

static void shrink(void)
{
    resize(GA_DEED_LARGE / 2);
}

static void attach_again(void)
{
    goalloc_detach(ga_heap);
    (void)goalloc_attach(ga_actor_socket(), NULL, &ga_heap);
}

const struct ga_server_scenario ga_server_grant_scenarios[] = {
    {.name = "server: grant",
     .before = ga_deed_get_one,
     .function = "ga_heap_lease",
     .operation = ga_deed_try_small,
     .after = ga_deed_go_on,
     .bytes = 128},
    {.name = "server: grant, the client dies too",
     .before = ga_deed_get_one,
     .function = "ga_heap_lease",
     .operation = ga_deed_try_small,
     .fate = GA_DRIVER_DIES,
     .bytes = 128},
    {.name = "server: grant a wide span",
     .before = ga_deed_get_one,
     .function = "ga_heap_lease",
     .operation = try_wide,
     .after = ga_deed_go_on,
     .bytes = 16},
    {.name = "server: grant a tiny span",
     .before = ga_deed_get_one,
     .function = "ga_heap_lease",
     .operation = try_tiny,
     .after = ga_deed_go_on,
     .bytes = 8,
     .noscan = true},
    {.name = "server: grant a partial span",
     .ancestor = leave_partial,
     .before = ga_deed_get_one,
     .function = "ga_heap_lease",
     .operation = ga_deed_try_small,
     .after = ga_deed_go_on,
     .bytes = 128},
    {.name = "server: grant through the ring",
     .is_slow = true,
     .before = ga_deed_get_one,
     .function = "ga_heap_lease_ahead",
     .operation = try_ahead,
     .after = ga_deed_go_on,
     .bytes = 2048},
    {.name = "server: grant a large span",
     .before = ga_deed_get_one,
     .function = "ga_heap_large_alloc",
     .operation = ga_deed_try_large,
     .after = ga_deed_go_on,
     .bytes = GA_DEED_LARGE},
    {.name = "server: the heap's first span",
     .function = "ga_heap_lease",
     .operation = ga_deed_get_late,
     .fate = GA_DRIVER_DIES,
     .fresh = true},
    {.name = "server: an mcache",
     .before = ga_deed_get_one,
     .function = "ga_heap_new_mcache",
     .operation = use_new_thread,
     .after = ga_deed_go_on},
    {.name = "server: attach",
     .function = "ga_heap_attach",
     .operation = attach_again,
     .fate = GA_DRIVER_DIES},
    {.name = "server: end of a lease",
     .is_slow = true,
     .before = ga_actor_outgrow,
     .function = "ga_heap_return",
     .operation = ga_actor_give_back,
     .after = ga_deed_go_on,
     .bytes = GA_ACTOR_BIG},
    {.name = "server: a large object longer",
     .before = get_large,
     .function = "ga_heap_large_resize",
     .operation = grow,
     .after = ga_deed_go_on,
     .bytes = GA_DEED_LARGE},
    {.name = "server: a large object longer, by growth",
     .before = get_large,
     .function = "ga_heap_large_resize",
     .operation = grow_beyond_the_heap,
     .after = ga_deed_go_on,
     .bytes = GA_DEED_LARGE},
    {.name = "server: a large object shorter",
     .before = get_half_large,
     .function = "ga_heap_large_resize",
     .operation = shrink,
     .after = ga_deed_go_on,
     .bytes = GA_DEED_LARGE},
    {.name = "server: a client asks again",
     .before = ga_deed_get_one,
     .function = "ga_heap_lease",
     .operation = ga_deed_try_small,
     .after = ga_deed_go_on,
     .adopts = true,
     .bytes = 128},
    {.name = NULL},
};

/* What goallocd is killed at. */
#include <pthread.h>
#include <stddef.h>

#include "crash/scenario.h"

#define SMALL 64u
#define BIG   32768u
#define LARGE 100000u
#define GROWN (3u << 20) /* more than a new heap has committed */
#define NAME  "root"

static void *x;
static void *many[128];

static void get_one(void)
{
    x = ga_actor_get(SMALL);
}

/* The server may be gone before it answers: then there is nothing to note. */
static void keep_if_any(void *p, size_t bytes)
{
    if (p)
        ga_account_keep(ga_account, p, bytes);
}

static void try_small(void)
{
    keep_if_any(goalloc_malloc(ga_heap, 128), 128);
}

static void get_late(void)
{
    keep_if_any(goalloc_malloc(ga_heap, SMALL), SMALL);
}

static void try_wide(void)
{
    keep_if_any(goalloc_malloc(ga_heap, 16), 16);
}

static void try_tiny(void)
{
    keep_if_any(goalloc_alloc(ga_heap, 8, 0, GOALLOC_NOSCAN), 8);
}

static void try_large(void)
{
    keep_if_any(goalloc_malloc(ga_heap, LARGE), LARGE);
}

static void try_grown(void)
{
    keep_if_any(goalloc_malloc(ga_heap, GROWN), GROWN);
}

static void try_ahead(void)
{
    for (size_t i = 0; i < 400; i++)
        keep_if_any(goalloc_malloc(ga_heap, 2048), 16);
}

/* Spans that are partly used, and that nobody leases. */
static void leave_partial(void)
{
    for (size_t i = 0; i < 20; i++)
        (void)ga_actor_get(128);
}

static void *allocate_elsewhere(void *unused)
{
    try_small();
    return unused;
}

static void use_new_thread(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, allocate_elsewhere, NULL) == 0)
        pthread_join(thread, NULL);
}

static void get_big(void)
{
    for (size_t i = 0; i < 70; i++)
        many[i] = ga_actor_get(BIG);
    for (size_t i = 0; i < 60; i++)
        ga_actor_put(many[i]);
}

static void put_big(void)
{
    for (size_t i = 60; i < 70; i++)
        ga_actor_put(many[i]);
}

/* A client that has something of everything. */
static void get_all_sorts(void)
{
    for (size_t i = 0; i < 70; i++)
        many[i] = ga_actor_get(SMALL);
    (void)ga_actor_get(16);
    (void)ga_actor_get(4000);
    (void)ga_actor_get_noscan(8);
    x = ga_actor_get(LARGE);
    ga_actor_put(many[3]);
    ga_actor_put(many[69]);
    (void)goalloc_hold(ga_heap, many[10]);
    (void)goalloc_hold(ga_heap, many[11]);
    ga_account_leave(ga_account, many[11]);
    goalloc_free(ga_heap, many[11]);
    void *old;
    (void)goalloc_replace(ga_heap, NAME, many[12], &old);
}

static void get_large(void)
{
    x = ga_actor_get(LARGE);
}

/* Of which the first half is to stay. */
static void get_half_large(void)
{
    x = goalloc_malloc(ga_heap, LARGE);
    ga_account_keep(ga_account, x, LARGE / 2);
}

/* It will stay where it is. */
static void resize(size_t bytes)
{
    if (goalloc_realloc(ga_heap, x, bytes) != x)
        ga_account_complain(ga_account, "the object has moved");
}

static void grow(void)
{
    resize(3 * LARGE);
}

static void shrink(void)
{
    resize(LARGE / 2);
}

static void leave_large(void)
{
    ga_account->spare[0] = ga_actor_get(LARGE);
}

static void put_left(void)
{
    ga_actor_put(ga_account->spare[0]);
}

static void detach(void)
{
    goalloc_detach(ga_heap);
}

static void attach_again(void)
{
    goalloc_detach(ga_heap);
    (void)goalloc_attach(ga_actor_socket(), NULL, &ga_heap);
}

static void get_unpublished(void)
{
    get_one();
    (void)goalloc_unpublish(ga_heap, NAME);
}

static void get_published(void)
{
    void *old;
    get_one();
    (void)goalloc_replace(ga_heap, NAME, x, &old);
}

static void publish(void)
{
    (void)goalloc_publish(ga_heap, NAME, x);
}

static void replace(void)
{
    void *old;
    (void)goalloc_replace(ga_heap, NAME, x, &old);
}

static void unpublish(void)
{
    (void)goalloc_unpublish(ga_heap, NAME);
}

static void hold(void)
{
    (void)goalloc_hold(ga_heap, x);
}

static void get_held(void)
{
    get_one();
    hold();
}

static void get_held_and_freed(void)
{
    get_held();
    ga_account_leave(ga_account, x);
    goalloc_free(ga_heap, x);
}

static void free_held(void)
{
    ga_account_leave(ga_account, x);
    goalloc_free(ga_heap, x);
}

static void release(void)
{
    (void)goalloc_release(ga_heap, x);
}

/* What it has, it has still: it allocates from its spans, and frees. */
static void go_on(void)
{
    for (size_t i = 0; i < 8; i++) {
        void *p = goalloc_malloc(ga_heap, SMALL);
        keep_if_any(p, SMALL);
        if (p && i % 2)
            ga_actor_put(p);
    }
}

const struct ga_server_scenario ga_server_scenarios[] = {
    {.name = "server: grant",
     .before = get_one,
     .function = "ga_heap_lease",
     .operation = try_small,
     .after = go_on,
     .bytes = 128},
    {.name = "server: grant, the client dies too",
     .before = get_one,
     .function = "ga_heap_lease",
     .operation = try_small,
     .fate = GA_DRIVER_DIES,
     .bytes = 128},
    {.name = "server: grant a wide span",
     .before = get_one,
     .function = "ga_heap_lease",
     .operation = try_wide,
     .after = go_on,
     .bytes = 16},
    {.name = "server: grant a tiny span",
     .before = get_one,
     .function = "ga_heap_lease",
     .operation = try_tiny,
     .after = go_on,
     .bytes = 8,
     .noscan = true},
    {.name = "server: grant a partial span",
     .ancestor = leave_partial,
     .before = get_one,
     .function = "ga_heap_lease",
     .operation = try_small,
     .after = go_on,
     .bytes = 128},
    {.name = "server: grant through the ring",
     .before = get_one,
     .function = "ga_heap_lease_ahead",
     .operation = try_ahead,
     .after = go_on,
     .bytes = 2048},
    {.name = "server: grant a large span",
     .before = get_one,
     .function = "ga_heap_large_alloc",
     .operation = try_large,
     .after = go_on,
     .bytes = LARGE},
    {.name = "server: growth",
     .before = get_one,
     .function = "ga_heap_large_alloc",
     .operation = try_grown,
     .after = go_on,
     .fresh = true,
     .bytes = GROWN},
    {.name = "server: the heap's first span",
     .function = "ga_heap_lease",
     .operation = get_late,
     .fate = GA_DRIVER_DIES,
     .fresh = true},
    {.name = "server: an mcache",
     .before = get_one,
     .function = "ga_heap_new_mcache",
     .operation = use_new_thread,
     .after = go_on},
    {.name = "server: attach",
     .function = "ga_heap_attach",
     .operation = attach_again,
     .fate = GA_DRIVER_DIES},
    {.name = "server: end of a lease",
     .before = get_big,
     .function = "ga_heap_return",
     .operation = put_big,
     .after = go_on,
     .bytes = BIG},
    {.name = "server: a large object longer",
     .before = get_large,
     .function = "ga_heap_large_resize",
     .operation = grow,
     .after = go_on,
     .bytes = LARGE},
    {.name = "server: a large object shorter",
     .before = get_half_large,
     .function = "ga_heap_large_resize",
     .operation = shrink,
     .after = go_on,
     .bytes = LARGE},
    {.name = "server: end of a large span",
     .ancestor = leave_large,
     .before = get_one,
     .function = "ga_heap_sweep_pending",
     .operation = put_left,
     .after = go_on,
     .bytes = LARGE},
    {.name = "server: detach",
     .before = get_all_sorts,
     .function = "ga_heap_client_leave",
     .operation = detach,
     .fate = GA_DRIVER_DIES},
    {.name = "server: death of a client",
     .before = get_all_sorts,
     .function = "ga_heap_client_leave",
     .fate = GA_DRIVER_FIRST},
    {.name = "server: publish",
     .before = get_unpublished,
     .function = "ga_heap_publish",
     .operation = publish,
     .after = go_on},
    {.name = "server: replace",
     .before = get_published,
     .function = "ga_heap_replace",
     .operation = replace,
     .after = go_on},
    {.name = "server: unpublish",
     .before = get_published,
     .function = "ga_heap_unpublish",
     .operation = unpublish,
     .after = go_on},
    {.name = "server: hold",
     .before = get_one,
     .function = "ga_heap_hold",
     .operation = hold,
     .after = go_on},
    {.name = "server: free what is held",
     .before = get_held,
     .function = "ga_heap_put_off",
     .operation = free_held,
     .after = go_on},
    {.name = "server: release what was freed",
     .before = get_held_and_freed,
     .function = "ga_heap_release",
     .operation = release,
     .after = go_on},
    {.name = "server: adoption, a client lives",
     .before = get_all_sorts,
     .function = "ga_heap_adopt",
     .after = go_on,
     .adopts = true},
    {.name = "server: adoption, a client has died",
     .before = get_all_sorts,
     .function = "ga_heap_adopt",
     .adopts = true,
     .fate = GA_DRIVER_FIRST},
    {.name = "server: a client comes back",
     .before = get_all_sorts,
     .function = "ga_handle_reattach",
     .after = go_on,
     .adopts = true},
    {.name = "server: a client asks again",
     .before = get_one,
     .function = "ga_heap_lease",
     .operation = try_small,
     .after = go_on,
     .adopts = true,
     .bytes = 128},
    {.name = "server: a client has returned spans",
     .before = get_big,
     .function = "ga_heap_collect_returned",
     .operation = put_big,
     .after = go_on,
     .adopts = true,
     .bytes = BIG},
};
const size_t ga_nserver_scenarios = sizeof(ga_server_scenarios) / sizeof(ga_server_scenarios[0]);

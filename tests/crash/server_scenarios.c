/* What goallocd is killed at. */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>

#include "crash/scenario.h"

#define SMALL 64u
#define LARGE 100000u
#define GROWN (3u << 20) /* more than a new heap has committed */
#define LONG  (5u << 20) /* longer than that */
#define NAME  "root"

static void *x;
static void *y;
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

static void try_long(void)
{
    keep_if_any(goalloc_malloc(ga_heap, LONG), LONG);
}

/* Free pages with memory, at the end of the heap. */
static void leave_free(void)
{
    get_one();
    goalloc_free(ga_heap, goalloc_malloc(ga_heap, GROWN));
}

/* Free pages without, in the middle: over the soft limit they are given back when the heap grows.
 */
static void leave_hole(void)
{
    void *p = goalloc_malloc(ga_heap, GROWN);
    (void)ga_actor_get(LARGE);
    goalloc_free(ga_heap, p);
    try_long();
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

/* By more than the heap has; it is the heap's last object. */
static void grow_beyond_the_heap(void)
{
    resize(30 * LARGE);
}

static void shrink(void)
{
    resize(LARGE / 2);
}

/* More than is taken back in one turn of the loop. */
static void get_many_spans(void)
{
    for (size_t i = 0; i < 4 * 260; i++)
        (void)ga_actor_get(2048);
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

/* ---- changes of roots and holds: each is made exactly once ---- */

static void expect(int r, int expected, const char *what)
{
    if (r != expected)
        ga_account_complain(ga_account, "%s: %d and not %d", what, r, expected);
}

static void expect_root(void *expected)
{
    void *found = NULL;
    (void)goalloc_lookup(ga_heap, NAME, &found);
    if (found != expected)
        ga_account_complain(ga_account, "the root names another object");
}

static void get_published(void)
{
    x = ga_actor_get(SMALL);
    y = ga_actor_get(SMALL);
    expect(goalloc_publish(ga_heap, NAME, x), 0, "publish");
}

static void publish(void)
{
    expect(goalloc_publish(ga_heap, NAME, x), 0, "publish");
    expect_root(x);
}

static void replace(void)
{
    void *old = NULL;
    expect(goalloc_replace(ga_heap, NAME, y, &old), 0, "replace");
    if (old != x)
        ga_account_complain(ga_account, "what was replaced is another object");
    expect_root(y);
}

static void unpublish(void)
{
    expect(goalloc_unpublish(ga_heap, NAME), 0, "unpublish");
    expect_root(NULL);
}

static void hold(void)
{
    expect(goalloc_hold(ga_heap, x), 0, "hold");
}

static void release(void)
{
    expect(goalloc_release(ga_heap, x), 0, "release");
}

static void get_held(void)
{
    get_one();
    hold();
}

static void get_held_twice(void)
{
    get_held();
    hold();
}

static void free_held(void)
{
    ga_account_leave(ga_account, x);
    goalloc_free(ga_heap, x);
}

static void get_held_and_freed(void)
{
    get_held();
    free_held();
}

/* So many holds there are, and not one more. */
static void release_all(uint32_t n)
{
    while (n-- > 0)
        release();
    expect(goalloc_release(ga_heap, x), -EINVAL, "release of what is not held");
}

static void release_last(void)
{
    release_all(1);
    go_on();
}

static void release_both(void)
{
    release_all(2);
    go_on();
}

/* x was freed, and goes with its last hold. */
static void release_freed(void)
{
    release_all(1);
    ga_account_drop(ga_account, x);
    go_on();
}

static void end_freed(void)
{
    release_all(0);
    ga_account_drop(ga_account, x);
    go_on();
}

static void end_held(void)
{
    release_all(0);
    go_on();
}

/* ---- private ---- */

static void get_tiny_blocks(void)
{
    for (size_t i = 0; i < 5; i++)
        (void)ga_actor_get_noscan(8);
}

/* Something of everything, and what others hold. */
static void get_and_hand_over(void)
{
    get_all_sorts();
    ga_account->spare[0] = many[20];
    ga_account->spare[1] = many[68];
    ga_account->spare[2] = x;
    for (unsigned i = 0; i < 2; i++)
        (void)goalloc_malloc_into(ga_heap, i ? LARGE : SMALL, goalloc_slot(ga_heap, i));
}

static void hold_handed(void)
{
    for (size_t i = 0; i < 3; i++) {
        expect(goalloc_hold(ga_heap, ga_account->spare[i]), 0, "hold");
        ga_account_hold(ga_account, ga_account->spare[i], i == 2 ? LARGE : SMALL);
    }
    /* The root of before has gone with its object. */
    expect(goalloc_publish(ga_heap, "of another", ga_account->spare[1]), 0, "publish");
}

/* What a private driver has is still there while it lives. */
static void go_on_private(void)
{
    for (uint32_t i = 0; i < ga_account->nobjects; i++) {
        const struct ga_account_object *object = &ga_account->objects[i];
        if (object->state == GA_OBJECT_PASSING &&
            !ga_account_is_whole(object, (const unsigned char *)object->address))
            ga_account_complain(ga_account, "an object of %u bytes is spoiled", object->bytes);
    }
    go_on();
}

/* What a client leaves that goes when nothing reaches it: two objects by names of their own, and of
 * each kind some that a table leads to, which has a name as well. */
static void leave_orphans(void)
{
    ga_actor_attach_as(GOALLOC_POLICY_UNREACHABLE, 0);
    void **table = goalloc_malloc(ga_heap, 100 * sizeof(void *));
    for (size_t i = 0; i < 100; i++)
        table[i] = i < 90   ? goalloc_malloc(ga_heap, SMALL)
                   : i < 94 ? goalloc_malloc(ga_heap, 16)
                   : i < 98 ? goalloc_alloc(ga_heap, 8, 0, GOALLOC_NOSCAN)
                            : goalloc_malloc(ga_heap, i == 98 ? LARGE : GROWN);
    (void)goalloc_publish(ga_heap, NAME, table);
    (void)goalloc_publish(ga_heap, "kept 1", ga_actor_get(SMALL));
    (void)goalloc_publish(ga_heap, "kept 2", ga_actor_get(SMALL));
}

/* After a collection that found all of it reachable, none begins by itself. */
static void lose_orphans(void)
{
    (void)goalloc_gc(ga_heap, NULL);
    (void)goalloc_unpublish(ga_heap, NAME);
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
        many[i] = ga_actor_get(SMALL);
    x = ga_actor_get(LARGE);
}

/* They are there still. When the driver has ended they would be collected, so it frees them.
 * Garbage there is none: any word of the driver's memory that looks like a pointer would keep it.
 */
static void collect_the_rest_and_free(void)
{
    collect_the_rest();
    for (uint32_t i = 0; i < ga_account->nobjects; i++) {
        const struct ga_account_object *object = &ga_account->objects[i];
        if (!ga_account_is_whole(object, (const unsigned char *)object->address))
            ga_account_complain(ga_account, "an object of %u bytes is spoiled", object->bytes);
    }
    for (size_t i = 0; i < 70; i++)
        ga_actor_put(many[i]);
    ga_actor_put(x);
}

/* ---- sweeping ---- */

#define LEFT      256u /* small ones, of two spans */
#define LEFT_KEPT 200u /* from here on they stay */
#define LEFT_BIG  20u  /* 4 a span */

static void leave_spans(void)
{
    for (uint32_t i = 0; i < LEFT; i++)
        (void)ga_actor_get(SMALL);
    for (uint32_t i = 0; i < LEFT_BIG; i++)
        (void)ga_actor_get(2048);
}

/* Free what another has left, so that spans of each class are empty, and the server is not told. */
static void put_left_spans(void)
{
    for (uint32_t i = 0; i < LEFT + LEFT_BIG - 6; i++)
        if (i < LEFT_KEPT || i >= LEFT)
            ga_actor_put((void *)ga_account->objects[i].address);
}

static void put_left_spans_and_try(void)
{
    put_left_spans();
    try_small();
    get_late();
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
     .is_slow = true,
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
     .is_slow = true,
     .before = get_one,
     .function = "ga_heap_large_alloc",
     .operation = try_grown,
     .after = go_on,
     .fresh = true,
     .bytes = GROWN},
    {.name = "server: growth over the soft limit",
     .is_slow = true,
     .before = leave_free,
     .function = "ga_heap_large_alloc",
     .operation = try_long,
     .after = go_on,
     .fresh = true,
     .soft_limit = "1M",
     .bytes = LONG},
    {.name = "server: a span of pages without memory",
     .is_slow = true,
     .before = leave_hole,
     .function = "ga_heap_large_alloc",
     .operation = try_grown,
     .after = go_on,
     .fresh = true,
     .soft_limit = "1M",
     .bytes = GROWN},
    {.name = "server: adoption of pages without memory",
     .is_slow = true,
     .before = leave_hole,
     .function = "ga_scavenge_adopt",
     .operation = try_large,
     .after = go_on,
     .fresh = true,
     .soft_limit = "1M",
     .adopts = true,
     .bytes = LARGE},
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
     .is_slow = true,
     .before = ga_actor_outgrow,
     .function = "ga_heap_return",
     .operation = ga_actor_give_back,
     .after = go_on,
     .bytes = GA_ACTOR_BIG},
    {.name = "server: a large object longer",
     .before = get_large,
     .function = "ga_heap_large_resize",
     .operation = grow,
     .after = go_on,
     .bytes = LARGE},
    {.name = "server: a large object longer, by growth",
     .before = get_large,
     .function = "ga_heap_large_resize",
     .operation = grow_beyond_the_heap,
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
     .function = "ga_heap_sweep_page",
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
     .before = get_one,
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
     .after = release_last},
    {.name = "server: hold once more",
     .before = get_held,
     .function = "ga_heap_hold",
     .operation = hold,
     .after = release_both},
    {.name = "server: release",
     .before = get_held,
     .function = "ga_heap_release",
     .operation = release,
     .after = end_held},
    {.name = "server: release one of two",
     .before = get_held_twice,
     .function = "ga_heap_release",
     .operation = release,
     .after = release_last},
    {.name = "server: free what is held",
     .before = get_held,
     .function = "ga_heap_put_off",
     .operation = free_held,
     .after = release_freed},
    {.name = "server: release what was freed",
     .before = get_held_and_freed,
     .function = "ga_heap_release",
     .operation = release,
     .after = end_freed},
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
     .before = ga_actor_outgrow,
     .function = "ga_heap_collect_returned",
     .operation = ga_actor_give_back,
     .after = go_on,
     .adopts = true,
     .bytes = GA_ACTOR_BIG},
    {.name = "server: death of a private client",
     .before = get_and_hand_over,
     .function = "ga_heap_client_leave",
     .fate = GA_DRIVER_FIRST,
     .is_private = true},
    {.name = "server: death of a private client, others hold",
     .before = get_and_hand_over,
     .survivor = hold_handed,
     .function = "ga_heap_client_leave",
     .fate = GA_DRIVER_FIRST,
     .is_private = true},
    {.name = "server: death of a private client, tiny",
     .before = get_tiny_blocks,
     .function = "ga_heap_client_leave",
     .fate = GA_DRIVER_FIRST,
     .bytes = 8,
     .noscan = true,
     .is_private = true},
    {.name = "server: detach of a private client",
     .before = get_and_hand_over,
     .function = "ga_heap_client_leave",
     .operation = detach,
     .fate = GA_DRIVER_DIES,
     .is_private = true},
    {.name = "server: adoption, a private client lives",
     .before = get_and_hand_over,
     .function = "ga_heap_adopt",
     .after = go_on_private,
     .adopts = true,
     .is_private = true},
    {.name = "server: adoption, a private client has died",
     .before = get_and_hand_over,
     .survivor = hold_handed,
     .function = "ga_heap_adopt",
     .adopts = true,
     .fate = GA_DRIVER_FIRST,
     .is_private = true},
    {.name = "server: adoption, a publish is decided",
     .before = get_one,
     .function = "ga_journal_adopt",
     .operation = publish,
     .after = go_on,
     .adopts = true,
     .journals = true},
    {.name = "server: adoption, a replace is decided",
     .before = get_published,
     .function = "ga_journal_adopt",
     .operation = replace,
     .after = go_on,
     .adopts = true,
     .journals = true},
    {.name = "server: adoption, an unpublish is decided",
     .before = get_published,
     .function = "ga_journal_adopt",
     .operation = unpublish,
     .after = go_on,
     .adopts = true,
     .journals = true},
    {.name = "server: adoption, a hold is decided",
     .before = get_one,
     .function = "ga_journal_adopt",
     .operation = hold,
     .after = release_last,
     .adopts = true,
     .journals = true},
    {.name = "server: adoption, a second hold is decided",
     .before = get_held,
     .function = "ga_journal_adopt",
     .operation = hold,
     .after = release_both,
     .adopts = true,
     .journals = true},
    {.name = "server: adoption, a release is decided",
     .before = get_held_and_freed,
     .function = "ga_journal_adopt",
     .operation = release,
     .after = end_freed,
     .adopts = true,
     .journals = true},
    {.name = "server: adoption, a free is put off",
     .before = get_held,
     .function = "ga_journal_adopt",
     .operation = free_held,
     .after = release_freed,
     .adopts = true,
     .journals = true},
    {.name = "server: a collection frees",
     .ancestor = leave_orphans,
     .before = lose_orphans,
     .function = "ga_collect_sweep_some",
     .operation = collect,
     .after = collect_the_rest},
    {.name = "server: managed clients stand still",
     .is_slow = true,
     .before = become_managed,
     .function = "ga_cycle_all_stopped",
     .operation = collect,
     .after = collect_the_rest_and_free},
    {.name = "server: managed clients go on",
     .is_slow = true,
     .before = become_managed,
     .function = "ga_standstill_release",
     .operation = collect,
     .after = collect_the_rest_and_free},
    {.name = "server: a slice of a sweep",
     .is_slow = true,
     .ancestor = leave_spans,
     .before = get_one, /* and so an mcache to free with */
     .function = "ga_heap_sweep_some",
     .operation = put_left_spans,
     .alone = true,
     .after = go_on},
    {.name = "server: a sweep for a class",
     .ancestor = leave_spans,
     .function = "ga_heap_lease",
     .operation = put_left_spans_and_try,
     .after = go_on},
    {.name = "server: adoption, a sweep is due",
     .ancestor = leave_spans,
     .function = "ga_heap_adopt",
     .operation = put_left_spans,
     .after = go_on,
     .adopts = true},
    {.name = "server: memory begins to go back",
     .is_slow = true,
     .before = leave_free,
     .function = "ga_heap_begin_release",
     .after = try_long,
     .fresh = true,
     .soft_limit = "1M",
     .bytes = LONG},
    {.name = "server: memory has gone back",
     .is_slow = true,
     .before = leave_free,
     .function = "ga_heap_end_release",
     .after = try_long,
     .fresh = true,
     .soft_limit = "1M",
     .bytes = LONG},
    {.name = "server: death of a client, second slice",
     .is_slow = true,
     .before = get_many_spans,
     .function = "ga_attachment_go_on",
     .fate = GA_DRIVER_FIRST,
     .bytes = 2048},
    {.name = "server: death of a private client, second slice",
     .is_slow = true,
     .before = get_many_spans,
     .function = "ga_attachment_go_on",
     .fate = GA_DRIVER_FIRST,
     .bytes = 2048,
     .is_private = true},
};
const size_t ga_nserver_scenarios = sizeof(ga_server_scenarios) / sizeof(ga_server_scenarios[0]);

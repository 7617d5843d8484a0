/* What clients are killed at. */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "crash/scenario.h"

#define SMALL    64u  /* 128 slots a span, two words */
#define FEW      480u /* 17 slots a span */
#define LARGE    100000u
#define HUGE     (2u << 20)  /* never kept by a thread */
#define TOO_MUCH (64u << 20) /* the reserve, of which the first page is never handed out */
#define NAME     "root"
#define HANDED   (ga_account->spare[0]) /* the object that another process allocated */

static void *x; /* the victim's object */
static void *many[256];

static void get_many(size_t n, size_t bytes)
{
    for (size_t i = 0; i < n; i++)
        many[i] = ga_actor_get(bytes);
}

/* ---- memory that is kept and not used ---- */

/* Empty spans, a large one, and frees of another's objects that are collected. */
static void keep_unused(void)
{
    get_many(200, SMALL);
    for (size_t i = 0; i < 180; i++)
        ga_actor_put(many[i]);
    ga_actor_put(ga_actor_get(LARGE));
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

/* With the cache that is just given back: from its list, from its other spans, and from none. */
static void use_cache_again(void)
{
    for (size_t i = 180; i < 200; i++)
        ga_actor_put(many[i]);
    for (size_t i = 0; i < 40; i++)
        (void)ga_actor_get(SMALL);
    ga_actor_put(ga_actor_get(LARGE));
}

/* ---- malloc ---- */

static void get_other(void)
{
    (void)ga_actor_get(512);
}

/* What a process frees later goes a shorter way than what it frees first. */
static void get_other_and_free(void)
{
    get_other();
    ga_actor_put(ga_actor_get(512));
}

static void malloc_small(void)
{
    x = goalloc_malloc(ga_heap, SMALL);
}

static void malloc_wide(void)
{
    x = goalloc_malloc(ga_heap, 16);
}

static void malloc_tiny(void)
{
    x = goalloc_alloc(ga_heap, 8, 0, GOALLOC_NOSCAN);
}

static void malloc_large(void)
{
    x = goalloc_malloc(ga_heap, LARGE);
}

static void malloc_huge(void)
{
    x = goalloc_malloc(ga_heap, HUGE);
}

static void get_one(void)
{
    (void)ga_actor_get(SMALL);
}

static void get_word(void)
{
    get_many(64, SMALL);
}

static void get_span(void)
{
    get_many(128, SMALL);
}

static void get_span_and_free_one(void)
{
    get_many(256, SMALL);
    for (size_t i = 0; i < 3; i++)
        ga_actor_put(many[i]);
}

static void get_wide_words(void)
{
    get_many(128, 16);
}

static void get_tiny(void)
{
    (void)ga_actor_get_noscan(8);
}

/* A run is a word of 128 bytes. */
static void get_tiny_run(void)
{
    for (size_t i = 0; i < 16; i++)
        (void)ga_actor_get_noscan(8);
}

/* Another frees some of what the victim has. */
static void hand_over_span(void)
{
    get_span();
    for (size_t i = 0; i < 4; i++)
        ga_account->spare[i] = many[i * 40];
}

static void hand_over_x_large(void)
{
    x = ga_actor_get(LARGE);
    for (size_t i = 0; i < 4; i++)
        ga_account->spare[i] = NULL;
    ga_account->spare[0] = x;
}

static void free_handed(void)
{
    for (size_t i = 0; i < 4 && ga_account->spare[i]; i++)
        ga_actor_put(ga_account->spare[i]);
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

/* ---- malloc into a slot: what it names goes with the victim ---- */

static void into(size_t bytes)
{
    if (!goalloc_malloc_into(ga_heap, bytes, goalloc_slot(ga_heap, 7)))
        ga_account_complain(ga_account, "nothing was allocated into the slot");
}

static void into_small(void)
{
    into(SMALL);
}

static void into_large(void)
{
    into(LARGE);
}

static void into_huge(void)
{
    into(HUGE);
}

/* An object in a slot, which may go. Of the run before, the root may be there. */
static void get_into_unpublished(void)
{
    (void)ga_actor_get(SMALL);
    int r = goalloc_unpublish(ga_heap, NAME);
    if (r < 0 && r != -ENOENT)
        ga_account_complain(ga_account, "%s", goalloc_strerror(r));
    x = goalloc_malloc_into(ga_heap, SMALL, goalloc_slot(ga_heap, 7));
    ga_account_keep(ga_account, x, SMALL);
    ga_account_leave(ga_account, x);
}

/* From when it is published on it must stay. */
static void publish_and_clear(void)
{
    int r = goalloc_publish(ga_heap, NAME, x);
    if (r < 0)
        ga_account_complain(ga_account, "%s", goalloc_strerror(r));
    ga_account_keep(ga_account, x, SMALL);
    *goalloc_slot(ga_heap, 7) = NULL;
}

/* Slots with objects of each kind. */
static void fill_slots(void)
{
    for (unsigned i = 0; i < 4; i++)
        (void)goalloc_malloc_into(ga_heap, SMALL, goalloc_slot(ga_heap, i));
    (void)goalloc_malloc_into(ga_heap, LARGE, goalloc_slot(ga_heap, 4));
    (void)goalloc_malloc_into(ga_heap, HUGE, goalloc_slot(ga_heap, 5));
    (void)ga_actor_get(SMALL);
}

/* ---- free ---- */

static void get_x(void)
{
    (void)ga_actor_get(SMALL);
    x = ga_actor_get(SMALL);
}

static void get_x_and_more(void)
{
    x = ga_actor_get(SMALL);
    get_many(70, SMALL);
}

static void get_x_tiny(void)
{
    x = ga_actor_get_noscan(8);
    (void)ga_actor_get_noscan(8);
    (void)ga_actor_get_noscan(8);
}

static void get_x_large(void)
{
    x = ga_actor_get(LARGE);
}

static void put_x(void)
{
    ga_actor_put(x);
}

static void get_large_and_free(void)
{
    get_x_large();
    put_x();
}

/* Objects of another client; the victim needs an mcache of its own. */
static void hand_over_small(void)
{
    HANDED = ga_actor_get(SMALL);
    (void)ga_actor_get(SMALL);
}

static void hand_over_only(void)
{
    HANDED = ga_actor_get(SMALL);
}

static void hand_over_of_another_word(void)
{
    HANDED = ga_actor_get(SMALL);
    get_many(70, SMALL);
}

static void hand_over_tiny(void)
{
    HANDED = ga_actor_get_noscan(8);
    (void)ga_actor_get_noscan(8);
    (void)ga_actor_get_noscan(8);
}

static void hand_over_large(void)
{
    HANDED = ga_actor_get(LARGE);
}

static void put_handed(void)
{
    ga_actor_put(HANDED);
}

static bool in_one_word(const void *p, const void *q)
{
    return (uintptr_t)p / (64 * SMALL) == (uintptr_t)q / (64 * SMALL);
}

/* The last of many of whose word there are three at least. */
static const void *last_of_three(size_t n)
{
    for (size_t i = n; i-- > 0;) {
        size_t found = 0;
        for (size_t j = 0; j < n; j++)
            found += in_one_word(many[j], many[i]);
        if (found >= 3)
            return many[i];
    }
    return many[0];
}

/* Three of a word that the survivor looks at early when it needs slots, and two of another; it has
 * free slots besides, some of which it knows of. */
static void hand_over_words(void)
{
    size_t nhanded = 0;
    size_t nfreed = 0;
    get_many(192, SMALL);
    const void *last = last_of_three(192);
    for (size_t i = 192; i-- > 0;) {
        bool same = in_one_word(many[i], last);
        if (same && nhanded < 3)
            ga_account->spare[nhanded++] = many[i];
        if (!same && nfreed++ < 128)
            ga_actor_put(many[i]);
    }
    for (size_t i = 3; i < 5; i++)
        ga_account->spare[i] = ga_actor_get(FEW);
}

static void put_first_word(void)
{
    for (size_t i = 0; i < 3; i++)
        ga_actor_put(ga_account->spare[i]);
}

static void put_second_word(void)
{
    for (size_t i = 3; i < 5; i++)
        ga_actor_put(ga_account->spare[i]);
}

static void begin_batch(void)
{
    get_other_and_free();
    put_first_word();
}

/* Whether all slots of many[i]'s page are among the first n of many; if so, hand them over. */
static bool hand_over_page(size_t n, size_t i)
{
    size_t found = 0;
    for (size_t j = 0; j < n && found < 17; j++)
        if ((uintptr_t)many[j] / 8192 == (uintptr_t)many[i] / 8192)
            ga_account->spare[found++] = many[j];
    return found == 17;
}

/* All of a span, and one of another. */
static void hand_over_few(void)
{
    ga_account->spare[17] = ga_actor_get(SMALL);
    for (size_t n = 0; n < sizeof(many) / sizeof(many[0]);) {
        many[n++] = ga_actor_get(FEW);
        for (size_t i = 0; n % 17 == 0 && i < n; i++)
            if (hand_over_page(n, i))
                return;
    }
    ga_account_complain(ga_account, "no span of the survivor is full");
}

static void put_all_but_one(void)
{
    get_other_and_free();
    ga_actor_put(ga_account->spare[17]);
    for (size_t i = 0; i < 16; i++)
        ga_actor_put(ga_account->spare[i]);
}

static void put_last(void)
{
    ga_actor_put(ga_account->spare[16]);
}

/* What a survivor can get without the server: all free slots of its spans. */
static void reuse_small(void)
{
    get_many(128, SMALL);
}

/* More than it knows to be free; not so much that it would need the server. */
static void reuse_word(void)
{
    get_many(100, SMALL);
}

static void reuse_few(void)
{
    get_many(34, FEW);
}

static void reuse_tiny(void)
{
    for (size_t i = 0; i < 100; i++)
        (void)ga_actor_get_noscan(8);
}

static void reuse_large(void)
{
    get_many(2, LARGE);
}

/* ---- realloc ---- */

static void grow_small(void)
{
    ga_account_leave(ga_account, x);
    x = goalloc_realloc(ga_heap, x, 2 * SMALL);
}

/* A small object, and a span that is kept and is longer than it will need. */
static void get_x_and_keep_large(void)
{
    get_large_and_free();
    x = ga_actor_get(SMALL);
}

/* From a small span into the one that was kept, and on within that. */
static void grow_into_kept(void)
{
    ga_account_leave(ga_account, x);
    x = goalloc_realloc(ga_heap, x, LARGE / 3);
    if (x && goalloc_realloc(ga_heap, x, LARGE / 2) != x)
        ga_account_complain(ga_account, "the object has moved");
}

/* One that will stay where it is. */
static void resize_large(size_t bytes)
{
    if (goalloc_realloc(ga_heap, x, bytes) != x)
        ga_account_complain(ga_account, "the object has moved");
}

static void grow_large(void)
{
    resize_large(3 * LARGE);
}

/* Of which the first half is to stay. */
static void get_x_half_large(void)
{
    x = goalloc_malloc(ga_heap, LARGE);
    ga_account_keep(ga_account, x, LARGE / 2);
}

static void shrink_large(void)
{
    resize_large(LARGE / 2);
}

/* ---- private ---- */

/* Of a private victim: what others hold of it, which stays while they do. */
static void hand_over_for_holds(void)
{
    get_many(70, SMALL);
    HANDED = x = many[3];
    ga_account->spare[1] = many[69];
}

static void hold_handed(void)
{
    for (size_t i = 0; i < 2; i++) {
        int r = goalloc_hold(ga_heap, ga_account->spare[i]);
        if (r < 0)
            ga_account_complain(ga_account, "%s", goalloc_strerror(r));
        ga_account_hold(ga_account, ga_account->spare[i], SMALL);
    }
}

/* ---- managed ---- */

/* Of a survivor: objects that only its own memory points to. */
static void get_managed(void)
{
    static bool managed;
    if (!managed)
        ga_actor_attach_as(GOALLOC_POLICY_KEEP, GOALLOC_MANAGED);
    managed = true;
    get_many(70, SMALL);
    x = ga_actor_get(LARGE);
}

/* Of a victim, which leaves nothing that would be collected when it has ended. */
static void become_managed(void)
{
    ga_actor_attach_as(GOALLOC_POLICY_KEEP, GOALLOC_MANAGED);
    ga_actor_put(ga_actor_get(SMALL));
}

static void collect(void)
{
    (void)goalloc_gc(ga_heap, NULL);
}

/* ---- the rest ---- */

static void get_all_sorts(void)
{
    get_many(70, SMALL);
    (void)ga_actor_get(16);
    (void)ga_actor_get(4000);
    (void)ga_actor_get_noscan(8);
    (void)ga_actor_get(LARGE);
    ga_actor_put(many[3]);
    ga_actor_put(many[69]);
}

static void detach(void)
{
    goalloc_detach(ga_heap);
}

static void expect(int r)
{
    if (r < 0)
        ga_account_complain(ga_account, "%s", goalloc_strerror(r));
}

/* Of the run before, the root may be there. */
static void get_x_unpublished(void)
{
    get_x();
    int r = goalloc_unpublish(ga_heap, NAME);
    expect(r == -ENOENT ? 0 : r);
}

static void get_x_published(void)
{
    void *old;
    get_x();
    expect(goalloc_replace(ga_heap, NAME, x, &old));
}

static void publish(void)
{
    expect(goalloc_publish(ga_heap, NAME, x));
}

static void replace(void)
{
    void *old;
    expect(goalloc_replace(ga_heap, NAME, x, &old));
}

static void unpublish(void)
{
    expect(goalloc_unpublish(ga_heap, NAME));
}

static void hold(void)
{
    expect(goalloc_hold(ga_heap, x));
}

static void get_x_held(void)
{
    get_x();
    hold();
}

static void get_x_held_and_freed(void)
{
    get_x_held();
    ga_account_leave(ga_account, x);
    goalloc_free(ga_heap, x);
}

static void release(void)
{
    expect(goalloc_release(ga_heap, x));
}

const struct ga_client_scenario ga_client_scenarios[] = {
    {.name = "malloc tiny: in the run",
     .before = get_tiny,
     .operation = malloc_tiny,
     .bytes = 8,
     .noscan = true,
     .in_flight = true,
     .twice = true},
    {.name = "malloc tiny: next run",
     .before = get_tiny_run,
     .operation = malloc_tiny,
     .bytes = 8,
     .noscan = true,
     .in_flight = true,
     .twice = true},
    {.name = "malloc tiny: from the server",
     .before = get_other,
     .operation = malloc_tiny,
     .bytes = 8,
     .noscan = true,
     .in_flight = true},
    {.name = "malloc small: from the list",
     .before = get_one,
     .operation = malloc_small,
     .in_flight = true,
     .twice = true},
    {.name = "malloc small: the next word",
     .before = get_word,
     .operation = malloc_small,
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
     .operation = malloc_small,
     .in_flight = true},
    {.name = "malloc small: slots that others freed",
     .survivor = get_other,
     .before = hand_over_span,
     .meanwhile = free_handed,
     .operation = malloc_small,
     .in_flight = true},
    {.name = "malloc small: from the server",
     .before = get_other,
     .operation = malloc_small,
     .in_flight = true,
     .twice = true},
    {.name = "malloc small: from the ring",
     .before = get_until_ring,
     .operation = malloc_from_ring,
     .bytes = 2048,
     .in_flight = true},
    {.name = "malloc small: a process's first", .operation = malloc_small, .in_flight = true},
    {.name = "malloc large",
     .before = get_one,
     .operation = malloc_large,
     .bytes = LARGE,
     .in_flight = true,
     .twice = true},
    {.name = "malloc large: a span that it kept",
     .before = get_large_and_free,
     .operation = malloc_large,
     .bytes = LARGE,
     .in_flight = true,
     .twice = true},
    {.name = "malloc large: a span that others freed",
     .survivor = get_other,
     .before = hand_over_x_large,
     .meanwhile = free_handed,
     .operation = malloc_large,
     .bytes = LARGE,
     .in_flight = true},
    {.name = "malloc larger than is kept",
     .before = get_one,
     .operation = malloc_huge,
     .bytes = HUGE,
     .in_flight = true},
    {.name = "realloc large: longer where it lies",
     .before = get_x_large,
     .operation = grow_large,
     .bytes = LARGE,
     .twice = true},
    {.name = "realloc large: shorter where it lies",
     .before = get_x_half_large,
     .operation = shrink_large,
     .bytes = LARGE,
     .twice = true},
    {.name = "malloc into: small", .before = get_one, .operation = into_small, .twice = true},
    {.name = "malloc into: small, from the server", .before = get_other, .operation = into_small},
    {.name = "malloc into: a large span that was kept",
     .before = get_large_and_free,
     .operation = into_large,
     .bytes = LARGE,
     .twice = true},
    {.name = "malloc into: large, leased",
     .before = get_one,
     .operation = into_large,
     .bytes = LARGE},
    {.name = "malloc into: large, not leased",
     .before = get_one,
     .operation = into_huge,
     .bytes = HUGE,
     .twice = true},
    {.name = "malloc into, publish and clear",
     .before = get_into_unpublished,
     .operation = publish_and_clear},
    {.name = "malloc into, beside others",
     .before = fill_slots,
     .operation = into_small,
     .twice = true},
    {.name = "detach with slots", .before = fill_slots, .operation = detach},
    {.name = "realloc small",
     .before = get_x,
     .operation = grow_small,
     .bytes = 2 * SMALL,
     .in_flight = true},
    {.name = "realloc large: into a span that was kept",
     .before = get_x_and_keep_large,
     .operation = grow_into_kept,
     .bytes = LARGE / 2,
     .in_flight = true},
    {.name = "free local: current word", .before = get_x, .operation = put_x, .twice = true},
    {.name = "free local: another word",
     .before = get_x_and_more,
     .operation = put_x,
     .twice = true},
    {.name = "free local: tiny",
     .before = get_x_tiny,
     .operation = put_x,
     .bytes = 8,
     .noscan = true},
    {.name = "free and return spans",
     .before = ga_actor_outgrow,
     .operation = ga_actor_give_back,
     .function = "ga_channel_note",
     .bytes = GA_ACTOR_BIG,
     .twice = true},
    {.name = "free large",
     .before = get_x_large,
     .operation = put_x,
     .bytes = LARGE,
     .twice = true},
    {.name = "free remote: of a leaseholder",
     .survivor = get_other,
     .before = get_other,
     .meanwhile = hand_over_small,
     .operation = put_handed,
     .twice = true},
    {.name = "free remote: of a leaseholder, not the first",
     .survivor = get_other,
     .before = get_other_and_free,
     .meanwhile = hand_over_small,
     .operation = put_handed,
     .twice = true},
    {.name = "free remote | it reuses",
     .survivor = get_other,
     .before = get_other_and_free,
     .meanwhile = hand_over_small,
     .operation = put_handed,
     .reuse = reuse_small},
    {.name = "free remote: another word | it reuses",
     .survivor = get_other,
     .before = get_other_and_free,
     .meanwhile = hand_over_of_another_word,
     .operation = put_handed,
     .reuse = reuse_small},
    {.name = "free remote: a batch is begun | it reuses",
     .survivor = hand_over_words,
     .before = get_other_and_free,
     .operation = put_first_word,
     .reuse = reuse_word,
     .twice = true},
    {.name = "free remote: a batch is flushed, another begun | it reuses",
     .survivor = hand_over_words,
     .before = begin_batch,
     .operation = put_second_word,
     .function = "ga_batch_flush",
     .reuse = reuse_word,
     .twice = true},
    {.name = "free remote: a batch is full | it reuses",
     .survivor = hand_over_few,
     .before = put_all_but_one,
     .operation = put_last,
     .function = "ga_batch_flush",
     .reuse = reuse_few,
     .bytes = FEW},
    {.name = "thread exit with a batch | it reuses",
     .survivor = hand_over_words,
     .before = begin_batch,
     .kind = GA_VICTIM_THREAD,
     .reuse = reuse_word},
    {.name = "detach with a batch | it reuses",
     .survivor = hand_over_words,
     .before = begin_batch,
     .operation = detach,
     .reuse = reuse_word},
    {.name = "free remote: of nobody",
     .ancestor = hand_over_small,
     .before = get_other,
     .operation = put_handed,
     .twice = true},
    {.name = "free remote: the last one, of nobody",
     .ancestor = hand_over_only,
     .before = get_other,
     .operation = put_handed,
     .twice = true},
    {.name = "free remote: the last one, of nobody, not the first",
     .ancestor = hand_over_only,
     .before = get_other_and_free,
     .operation = put_handed,
     .twice = true},
    {.name = "free remote: tiny | it reuses",
     .survivor = get_other,
     .before = get_other,
     .meanwhile = hand_over_tiny,
     .operation = put_handed,
     .reuse = reuse_tiny,
     .bytes = 8,
     .noscan = true},
    {.name = "free remote: large",
     .survivor = get_other,
     .before = get_other,
     .meanwhile = hand_over_large,
     .operation = put_handed,
     .bytes = LARGE},
    {.name = "free remote: large | it reuses",
     .survivor = get_other,
     .before = get_other,
     .meanwhile = hand_over_large,
     .operation = put_handed,
     .reuse = reuse_large,
     .bytes = LARGE},
    {.name = "thread exit", .before = get_all_sorts, .kind = GA_VICTIM_THREAD, .twice = true},
    {.name = "attach", .operation = ga_actor_attach, .kind = GA_VICTIM_UNATTACHED},
    {.name = "fork: the child's first malloc",
     .kind = GA_VICTIM_FORKED,
     .survivor = hand_over_small,
     .operation = malloc_small,
     .in_flight = true},
    {.name = "fork: the child's first free | the parent reuses",
     .kind = GA_VICTIM_FORKED,
     .survivor = hand_over_small,
     .operation = put_handed,
     .reuse = reuse_small},
    {.name = "grant: a span",
     .kind = GA_VICTIM_LIBRARY,
     .before = get_other,
     .operation = malloc_small,
     .function = "ga_grants_on_reply",
     .in_flight = true,
     .twice = true},
    {.name = "grant: a large span",
     .kind = GA_VICTIM_LIBRARY,
     .before = get_other,
     .operation = malloc_large,
     .function = "ga_grants_on_reply",
     .bytes = LARGE,
     .in_flight = true,
     .twice = true},
    {.name = "grant: a span larger than is kept",
     .kind = GA_VICTIM_LIBRARY,
     .before = get_other,
     .operation = malloc_huge,
     .function = "ga_grants_on_reply",
     .bytes = HUGE,
     .in_flight = true,
     .twice = true},
    {.name = "grant: a span larger than is kept, into a slot",
     .kind = GA_VICTIM_LIBRARY,
     .before = get_other,
     .operation = into_huge,
     .function = "ga_grants_on_reply",
     .bytes = HUGE,
     .twice = true},
    {.name = "idle thread's cache given back",
     .kind = GA_VICTIM_LIBRARY,
     .ancestor = hand_over_span,
     .before = keep_unused,
     .operation = have_asked_for_too_much,
     .function = "ga_reclaim",
     .twice = true},
    {.name = "idle thread's cache given back | it comes back",
     .kind = GA_VICTIM_LIBRARY,
     .ancestor = hand_over_span,
     .before = keep_unused,
     .operation = have_asked_for_too_much,
     .function = "ga_reclaim",
     .back = use_cache_again,
     .in_flight = true},
    {.name = "idle thread's cache given back | it comes back, both go on",
     .kind = GA_VICTIM_LIBRARY,
     .ancestor = hand_over_span,
     .before = keep_unused,
     .operation = have_asked_for_too_much,
     .function = "ga_reclaim",
     .back = use_cache_again,
     .lives_on = true},
    {.name = "managed: it stands still and tells",
     .kind = GA_VICTIM_LIBRARY,
     .survivor = get_managed,
     .before = become_managed,
     .operation = collect,
     .function = "ga_managed_stop",
     .is_slow = true},
    {.name = "managed: it has told",
     .kind = GA_VICTIM_LIBRARY,
     .survivor = get_managed,
     .before = become_managed,
     .operation = collect,
     .function = "ga_stop_release"},
    {.name = "reattach",
     .kind = GA_VICTIM_LIBRARY,
     .before = get_all_sorts,
     .function = "ga_channel_revive",
     .server_dies = true},
    {.name = "reattach: a span is asked for",
     .kind = GA_VICTIM_LIBRARY,
     .before = get_other,
     .operation = malloc_small,
     .function = "ga_channel_revive",
     .server_dies = true,
     .in_flight = true},
    {.name = "reattach: a large object is resized",
     .kind = GA_VICTIM_LIBRARY,
     .before = get_x_large,
     .operation = grow_large,
     .function = "ga_channel_revive",
     .server_dies = true,
     .bytes = LARGE},
    {.name = "reattach: spans were returned",
     .kind = GA_VICTIM_LIBRARY,
     .before = ga_actor_outgrow,
     .operation = ga_actor_give_back,
     .function = "ga_channel_revive",
     .server_dies = true,
     .bytes = GA_ACTOR_BIG},
    {.name = "detach", .before = get_all_sorts, .operation = detach},
    {.name = "publish", .before = get_x_unpublished, .operation = publish},
    {.name = "replace", .before = get_x_published, .operation = replace},
    {.name = "unpublish", .before = get_x_published, .operation = unpublish},
    {.name = "hold", .before = get_x, .operation = hold, .twice = true},
    {.name = "free what is held", .before = get_x_held, .operation = put_x, .twice = true},
    {.name = "release what was freed",
     .before = get_x_held_and_freed,
     .operation = release,
     .twice = true},
    {.name = "private: malloc tiny",
     .before = get_tiny_run,
     .operation = malloc_tiny,
     .bytes = 8,
     .noscan = true,
     .is_private = true,
     .twice = true},
    {.name = "private: malloc small",
     .before = get_word,
     .operation = malloc_small,
     .is_private = true,
     .twice = true},
    {.name = "private: malloc small, where others have left spans",
     .ancestor = hand_over_small,
     .before = get_other,
     .operation = malloc_small,
     .is_private = true},
    {.name = "private: malloc small, slots that others freed",
     .survivor = get_other,
     .before = hand_over_span,
     .meanwhile = free_handed,
     .operation = malloc_small,
     .is_private = true},
    {.name = "private: malloc large",
     .before = get_one,
     .operation = malloc_large,
     .bytes = LARGE,
     .is_private = true,
     .twice = true},
    {.name = "private: malloc larger than is kept",
     .before = get_one,
     .operation = malloc_huge,
     .bytes = HUGE,
     .is_private = true},
    {.name = "private: free local",
     .before = get_x_and_more,
     .operation = put_x,
     .is_private = true,
     .twice = true},
    {.name = "private: free remote | it reuses",
     .survivor = get_other,
     .before = get_other,
     .meanwhile = hand_over_small,
     .operation = put_handed,
     .reuse = reuse_small,
     .is_private = true},
    {.name = "private: malloc small, others hold",
     .survivor = get_other,
     .before = hand_over_for_holds,
     .meanwhile = hold_handed,
     .operation = malloc_small,
     .is_private = true,
     .twice = true},
    {.name = "private: free what others hold",
     .survivor = get_other,
     .before = hand_over_for_holds,
     .meanwhile = hold_handed,
     .operation = put_x,
     .is_private = true,
     .twice = true},
    {.name = "private: publish",
     .before = get_x_unpublished,
     .operation = publish,
     .is_private = true,
     .twice = true},
    {.name = "private: thread exit",
     .before = get_all_sorts,
     .kind = GA_VICTIM_THREAD,
     .is_private = true},
    {.name = "private: detach", .before = get_all_sorts, .operation = detach, .is_private = true},
};
const size_t ga_nclient_scenarios = sizeof(ga_client_scenarios) / sizeof(ga_client_scenarios[0]);

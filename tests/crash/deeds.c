#include "crash/deeds.h"

#include <stdint.h>

void *ga_deed_x;
void *ga_deed_many[256];

void ga_deed_get_many(size_t n, size_t bytes)
{
    for (size_t i = 0; i < n; i++)
        ga_deed_many[i] = ga_actor_get(bytes);
}

void ga_deed_get_other(void)
{
    (void)ga_actor_get(512);
}

void ga_deed_get_other_and_free(void)
{
    ga_deed_get_other();
    ga_actor_put(ga_actor_get(512));
}

void ga_deed_malloc_small(void)
{
    ga_deed_x = goalloc_malloc(ga_heap, GA_DEED_SMALL);
}

void ga_deed_malloc_tiny(void)
{
    ga_deed_x = goalloc_alloc(ga_heap, 8, 0, GOALLOC_NOSCAN);
}

void ga_deed_malloc_large(void)
{
    ga_deed_x = goalloc_malloc(ga_heap, GA_DEED_LARGE);
}

void ga_deed_malloc_huge(void)
{
    ga_deed_x = goalloc_malloc(ga_heap, GA_DEED_HUGE);
}

void ga_deed_get_one(void)
{
    ga_deed_x = ga_actor_get(GA_DEED_SMALL);
}

void ga_deed_get_word(void)
{
    ga_deed_get_many(64, GA_DEED_SMALL);
}

static void get_span(void)
{
    ga_deed_get_many(128, GA_DEED_SMALL);
}

void ga_deed_get_tiny_run(void)
{
    for (size_t i = 0; i < 16; i++)
        (void)ga_actor_get_noscan(8);
}

void ga_deed_hand_over_span(void)
{
    get_span();
    for (size_t i = 0; i < 4; i++)
        ga_account->spare[i] = ga_deed_many[i * 40];
}

void ga_deed_free_handed(void)
{
    for (size_t i = 0; i < 4 && ga_account->spare[i]; i++)
        ga_actor_put(ga_account->spare[i]);
}

void ga_deed_into(size_t bytes)
{
    if (!goalloc_malloc_into(ga_heap, bytes, goalloc_slot(ga_heap, 7)))
        ga_account_complain(ga_account, "nothing was allocated into the slot");
}

void ga_deed_into_huge(void)
{
    ga_deed_into(GA_DEED_HUGE);
}

void ga_deed_get_x(void)
{
    (void)ga_actor_get(GA_DEED_SMALL);
    ga_deed_x = ga_actor_get(GA_DEED_SMALL);
}

void ga_deed_get_x_and_more(void)
{
    ga_deed_x = ga_actor_get(GA_DEED_SMALL);
    ga_deed_get_many(70, GA_DEED_SMALL);
}

void ga_deed_get_x_large(void)
{
    ga_deed_x = ga_actor_get(GA_DEED_LARGE);
}

void ga_deed_put_x(void)
{
    ga_actor_put(ga_deed_x);
}

void ga_deed_get_large_and_free(void)
{
    ga_deed_get_x_large();
    ga_deed_put_x();
}

void ga_deed_hand_over_small(void)
{
    GA_DEED_HANDED = ga_actor_get(GA_DEED_SMALL);
    (void)ga_actor_get(GA_DEED_SMALL);
}

void ga_deed_put_handed(void)
{
    ga_actor_put(GA_DEED_HANDED);
}

void ga_deed_reuse_small(void)
{
    ga_deed_get_many(128, GA_DEED_SMALL);
}

void ga_deed_resize_large(size_t bytes)
{
    if (goalloc_realloc(ga_heap, ga_deed_x, bytes) != ga_deed_x)
        ga_account_complain(ga_account, "the object has moved");
}

void ga_deed_grow_large(void)
{
    ga_deed_resize_large(3 * GA_DEED_LARGE);
}

void ga_deed_get_all_sorts(void)
{
    ga_deed_get_many(70, GA_DEED_SMALL);
    (void)ga_actor_get(16);
    (void)ga_actor_get(4000);
    (void)ga_actor_get_noscan(8);
    (void)ga_actor_get(GA_DEED_LARGE);
    ga_actor_put(ga_deed_many[3]);
    ga_actor_put(ga_deed_many[69]);
}

void ga_deed_detach(void)
{
    goalloc_detach(ga_heap);
}

/* ---- of goallocd's ---- */

void ga_deed_keep_if_any(void *p, size_t bytes)
{
    if (p)
        ga_account_keep(ga_account, p, bytes);
}

void ga_deed_try_small(void)
{
    ga_deed_keep_if_any(goalloc_malloc(ga_heap, 128), 128);
}

void ga_deed_get_late(void)
{
    ga_deed_keep_if_any(goalloc_malloc(ga_heap, GA_DEED_SMALL), GA_DEED_SMALL);
}

void ga_deed_try_large(void)
{
    ga_deed_keep_if_any(goalloc_malloc(ga_heap, GA_DEED_LARGE), GA_DEED_LARGE);
}

void ga_deed_get_everything(void)
{
    ga_deed_get_many(70, GA_DEED_SMALL);
    (void)ga_actor_get(16);
    (void)ga_actor_get(4000);
    (void)ga_actor_get_noscan(8);
    ga_deed_x = ga_actor_get(GA_DEED_LARGE);
    ga_actor_put(ga_deed_many[3]);
    ga_actor_put(ga_deed_many[69]);
    (void)goalloc_hold(ga_heap, ga_deed_many[10]);
    (void)goalloc_hold(ga_heap, ga_deed_many[11]);
    ga_account_leave(ga_account, ga_deed_many[11]);
    goalloc_free(ga_heap, ga_deed_many[11]);
    void *old;
    (void)goalloc_replace(ga_heap, GA_DEED_ROOT, ga_deed_many[12], &old);
}

void ga_deed_get_many_spans(void)
{
    for (size_t i = 0; i < 4 * 260; i++)
        (void)ga_actor_get(2048);
}

void ga_deed_go_on(void)
{
    for (size_t i = 0; i < 8; i++) {
        void *p = goalloc_malloc(ga_heap, GA_DEED_SMALL);
        ga_deed_keep_if_any(p, GA_DEED_SMALL);
        if (p && i % 2)
            ga_actor_put(p);
    }
}

void ga_deed_expect(int r, int expected, const char *what)
{
    if (r != expected)
        ga_account_complain(ga_account, "%s: %d and not %d", what, r, expected);
}

/* Private clients that are killed: nothing of them may be left. */
#include <stddef.h>

#include "crash/deeds.h"
#include "crash/scenario.h"

/* Of a private victim: what others hold of it, which stays while they do. */
static void hand_over_for_holds(void)
{
    ga_deed_get_many(70, GA_DEED_SMALL);
    GA_DEED_HANDED = ga_deed_x = ga_deed_many[3];
    ga_account->spare[1] = ga_deed_many[69];
}

static void hold_handed(void)
{
    for (size_t i = 0; i < 2; i++) {
        int r = goalloc_hold(ga_heap, ga_account->spare[i]);
        if (r < 0)
            ga_account_complain(ga_account, "%s", goalloc_strerror(r));
        ga_account_hold(ga_account, ga_account->spare[i], GA_DEED_SMALL);
    }
}

const struct ga_client_scenario ga_client_private_scenarios[] = {
    {.name = "private: malloc tiny",
     .before = ga_deed_get_tiny_run,
     .operation = ga_deed_malloc_tiny,
     .bytes = 8,
     .noscan = true,
     .is_private = true,
     .twice = true},
    {.name = "private: malloc small",
     .before = ga_deed_get_word,
     .operation = ga_deed_malloc_small,
     .is_private = true,
     .twice = true},
    {.name = "private: malloc small, where others have left spans",
     .ancestor = ga_deed_hand_over_small,
     .before = ga_deed_get_other,
     .operation = ga_deed_malloc_small,
     .is_private = true},
    {.name = "private: malloc small, slots that others freed",
     .survivor = ga_deed_get_other,
     .before = ga_deed_hand_over_span,
     .meanwhile = ga_deed_free_handed,
     .operation = ga_deed_malloc_small,
     .is_private = true},
    {.name = "private: malloc large",
     .before = ga_deed_get_one,
     .operation = ga_deed_malloc_large,
     .bytes = GA_DEED_LARGE,
     .is_private = true,
     .twice = true},
    {.name = "private: malloc larger than is kept",
     .before = ga_deed_get_one,
     .operation = ga_deed_malloc_huge,
     .bytes = GA_DEED_HUGE,
     .is_private = true},
    {.name = "private: free local",
     .before = ga_deed_get_x_and_more,
     .operation = ga_deed_put_x,
     .is_private = true,
     .twice = true},
    {.name = "private: free remote | it reuses",
     .survivor = ga_deed_get_other,
     .before = ga_deed_get_other,
     .meanwhile = ga_deed_hand_over_small,
     .operation = ga_deed_put_handed,
     .reuse = ga_deed_reuse_small,
     .is_private = true},
    {.name = "private: malloc small, others hold",
     .survivor = ga_deed_get_other,
     .before = hand_over_for_holds,
     .meanwhile = hold_handed,
     .operation = ga_deed_malloc_small,
     .is_private = true,
     .twice = true},
    {.name = "private: free what others hold",
     .survivor = ga_deed_get_other,
     .before = hand_over_for_holds,
     .meanwhile = hold_handed,
     .operation = ga_deed_put_x,
     .is_private = true,
     .twice = true},
    {.name = "private: thread exit",
     .before = ga_deed_get_all_sorts,
     .kind = GA_VICTIM_THREAD,
     .is_private = true},
    {.name = "private: detach",
     .before = ga_deed_get_all_sorts,
     .operation = ga_deed_detach,
     .is_private = true},
    {.name = NULL},
};

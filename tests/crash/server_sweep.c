/* goallocd, killed while it sweeps. */
#include <stdint.h>

#include "crash/deeds.h"
#include "crash/scenario.h"

#define LEFT      256u /* small ones, of two spans */
#define LEFT_KEPT 200u /* from here on they stay */
#define LEFT_BIG  20u  /* 4 a span */

static void leave_large(void)
{
    ga_account->spare[0] = ga_actor_get(GA_DEED_LARGE);
}

static void put_left(void)
{
    ga_actor_put(ga_account->spare[0]);
}

static void leave_spans(void)
{
    for (uint32_t i = 0; i < LEFT; i++)
        (void)ga_actor_get(GA_DEED_SMALL);
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
    ga_deed_try_small();
    ga_deed_get_late();
}

const struct ga_server_scenario ga_server_sweep_scenarios[] = {
    {.name = "server: end of a large span",
     .ancestor = leave_large,
     .before = ga_deed_get_one,
     .function = "ga_heap_sweep_page",
     .operation = put_left,
     .after = ga_deed_go_on,
     .bytes = GA_DEED_LARGE},
    {.name = "server: a slice of a sweep",
     .is_slow = true,
     .ancestor = leave_spans,
     .before = ga_deed_get_one, /* and so an mcache to free with */
     .function = "ga_heap_sweep_some",
     .operation = put_left_spans,
     .alone = true,
     .after = ga_deed_go_on},
    {.name = "server: a sweep for a class",
     .ancestor = leave_spans,
     .function = "ga_heap_lease",
     .operation = put_left_spans_and_try,
     .after = ga_deed_go_on},
    {.name = "server: adoption, a sweep is due",
     .ancestor = leave_spans,
     .function = "ga_heap_adopt",
     .operation = put_left_spans,
     .after = ga_deed_go_on,
     .adopts = true},
    {.name = NULL},
};

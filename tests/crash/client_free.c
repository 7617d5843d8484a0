/* Clients that are killed while they free. */
#include <stddef.h>

#include "crash/deeds.h"
#include "crash/scenario.h"

static void get_x_tiny(void)
{
    ga_deed_x = ga_actor_get_noscan(8);
    (void)ga_actor_get_noscan(8);
    (void)ga_actor_get_noscan(8);
}

static void hand_over_only(void)
{
    GA_DEED_HANDED = ga_actor_get(GA_DEED_SMALL);
}

static void hand_over_of_another_word(void)
{
    GA_DEED_HANDED = ga_actor_get(GA_DEED_SMALL);
    ga_deed_get_many(70, GA_DEED_SMALL);
}

static void hand_over_tiny(void)
{
    GA_DEED_HANDED = ga_actor_get_noscan(8);
    (void)ga_actor_get_noscan(8);
    (void)ga_actor_get_noscan(8);
}

static void hand_over_large(void)
{
    GA_DEED_HANDED = ga_actor_get(GA_DEED_LARGE);
}

static void reuse_tiny(void)
{
    for (size_t i = 0; i < 100; i++)
        (void)ga_actor_get_noscan(8);
}

static void reuse_large(void)
{
    ga_deed_get_many(2, GA_DEED_LARGE);
}

const struct ga_client_scenario ga_client_free_scenarios[] = {
    {.name = "free local: current word",
     .before = ga_deed_get_x,
     .operation = ga_deed_put_x,
     .twice = true},
    {.name = "free local: another word",
     .before = ga_deed_get_x_and_more,
     .operation = ga_deed_put_x,
     .twice = true},
    {.name = "free local: tiny",
     .before = get_x_tiny,
     .operation = ga_deed_put_x,
     .bytes = 8,
     .noscan = true},
    {.name = "free and return spans",
     .before = ga_actor_outgrow,
     .operation = ga_actor_give_back,
     .function = "ga_channel_note",
     .bytes = GA_ACTOR_BIG,
     .twice = true},
    {.name = "free large",
     .before = ga_deed_get_x_large,
     .operation = ga_deed_put_x,
     .bytes = GA_DEED_LARGE,
     .twice = true},
    {.name = "free remote: of a leaseholder",
     .survivor = ga_deed_get_other,
     .before = ga_deed_get_other,
     .meanwhile = ga_deed_hand_over_small,
     .operation = ga_deed_put_handed,
     .twice = true},
    {.name = "free remote: of a leaseholder, not the first",
     .survivor = ga_deed_get_other,
     .before = ga_deed_get_other_and_free,
     .meanwhile = ga_deed_hand_over_small,
     .operation = ga_deed_put_handed,
     .twice = true},
    {.name = "free remote | it reuses",
     .survivor = ga_deed_get_other,
     .before = ga_deed_get_other_and_free,
     .meanwhile = ga_deed_hand_over_small,
     .operation = ga_deed_put_handed,
     .reuse = ga_deed_reuse_small},
    {.name = "free remote: another word | it reuses",
     .survivor = ga_deed_get_other,
     .before = ga_deed_get_other_and_free,
     .meanwhile = hand_over_of_another_word,
     .operation = ga_deed_put_handed,
     .reuse = ga_deed_reuse_small},
    {.name = "free remote: of nobody",
     .ancestor = ga_deed_hand_over_small,
     .before = ga_deed_get_other,
     .operation = ga_deed_put_handed,
     .twice = true},
    {.name = "free remote: the last one, of nobody",
     .ancestor = hand_over_only,
     .before = ga_deed_get_other,
     .operation = ga_deed_put_handed,
     .twice = true},
    {.name = "free remote: the last one, of nobody, not the first",
     .ancestor = hand_over_only,
     .before = ga_deed_get_other_and_free,
     .operation = ga_deed_put_handed,
     .twice = true},
    {.name = "free remote: tiny | it reuses",
     .survivor = ga_deed_get_other,
     .before = ga_deed_get_other,
     .meanwhile = hand_over_tiny,
     .operation = ga_deed_put_handed,
     .reuse = reuse_tiny,
     .bytes = 8,
     .noscan = true},
    {.name = "free remote: large",
     .survivor = ga_deed_get_other,
     .before = ga_deed_get_other,
     .meanwhile = hand_over_large,
     .operation = ga_deed_put_handed,
     .bytes = GA_DEED_LARGE},
    {.name = "free remote: large | it reuses",
     .survivor = ga_deed_get_other,
     .before = ga_deed_get_other,
     .meanwhile = hand_over_large,
     .operation = ga_deed_put_handed,
     .reuse = reuse_large,
     .bytes = GA_DEED_LARGE},
    {.name = NULL},
};

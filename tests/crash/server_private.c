/* goallocd, killed while a private client ends, and the next one, while it adopts what that has. */
#include <stddef.h>
#include <stdint.h>

#include "crash/deeds.h"
#include "crash/scenario.h"

static void get_tiny_blocks(void)
{
    for (size_t i = 0; i < 5; i++)
        (void)ga_actor_get_noscan(8);
}

/* Something of everything, and what others hold. */
static void get_and_hand_over(void)
{
    ga_deed_get_everything();
    ga_account->spare[0] = ga_deed_many[20];
    ga_account->spare[1] = ga_deed_many[68];
    ga_account->spare[2] = ga_deed_x;
    for (unsigned i = 0; i < 2; i++)
        (void)goalloc_malloc_into(ga_heap, i ? GA_DEED_LARGE : GA_DEED_SMALL,
                                  goalloc_slot(ga_heap, i));
}

static void hold_handed(void)
{
    for (size_t i = 0; i < 3; i++) {
        ga_deed_expect(goalloc_hold(ga_heap, ga_account->spare[i]), 0, "hold");
        ga_account_hold(ga_account, ga_account->spare[i], i == 2 ? GA_DEED_LARGE : GA_DEED_SMALL);
    }
    /* The root of before has gone with its object. */
    ga_deed_expect(goalloc_publish(ga_heap, "of another", ga_account->spare[1]), 0, "publish");
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
    ga_deed_go_on();
}

const struct ga_server_scenario ga_server_private_scenarios[] = {
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
    {.name = "server: death of a private client, sampled",
     .before = get_and_hand_over,
     .function = "ga_heap_client_leave",
     .fate = GA_DRIVER_FIRST,
     .sampled = true,
     .is_private = true},
    {.name = "server: detach of a private client",
     .before = get_and_hand_over,
     .function = "ga_heap_client_leave",
     .operation = ga_deed_detach,
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
    {.name = "server: death of a private client, second slice",
     .is_slow = true,
     .before = ga_deed_get_many_spans,
     .function = "ga_attachment_go_on",
     .fate = GA_DRIVER_FIRST,
     .bytes = 2048,
     .is_private = true},
    {.name = NULL},
};

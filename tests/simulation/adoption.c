#include "simulation/adoption.h"

#include <stdio.h>
#include <string.h>

#include "simulation/model.h"

/* What was cut off since the last adoption: one message, and as many deaths as were reaped. */
static struct ga_sim_message cut_off;
static bool any;

/* Whether the next server has it noted that it was done, what it then replaced, and whether it can
 * be seen to have been done. */
static bool noted;
static uint64_t noted_old_offset;
static bool seen;

void ga_sim_adoption_cut_off(const struct ga_sim_message *message)
{
    cut_off = *message;
    any = true;
    if (message->kind == GA_SIM_PUT_OFF_FREE)
        ga_sim_model_doubt(message->offset);
}

void ga_sim_adoption_forget(void)
{
    any = false;
}

static bool may_differ(ga_client_id client, uint64_t offset)
{
    if (!any || cut_off.client != client)
        return false;
    return cut_off.kind == GA_SIM_GONE ||
           ((cut_off.kind == GA_SIM_HOLD || cut_off.kind == GA_SIM_RELEASE) &&
            cut_off.offset == offset);
}

static const struct ga_hold *find_record(ga_client_id client, uint64_t offset)
{
    const struct ga_heap *heap = ga_sim.core.heap;
    for (uint32_t i = 0; i < heap->hold_end; i++) {
        const struct ga_hold *record = &heap->holds[i];
        if (ga_hold_counts(record->state) && record->client == client + 1 &&
            record->offset == offset)
            return record;
    }
    return NULL;
}

static void compare_holds(void)
{
    for (uint32_t i = 0; i < GA_SIM_HOLDS; i++) {
        struct ga_sim_hold *hold = &ga_sim_model.holds[i];
        const struct ga_hold *record = hold->count ? find_record(hold->client, hold->offset) : NULL;
        if (hold->count == 0 || (record && record->count == hold->count))
            continue;
        GA_SIM_REQUIRE(may_differ(hold->client, hold->offset), "what was held is held");
        seen = true;
        if (record)
            hold->count = record->count;
        else
            ga_sim_model_drop(hold);
    }
    const struct ga_heap *heap = ga_sim.core.heap;
    for (uint32_t i = 0; i < heap->hold_end; i++) {
        const struct ga_hold *record = &heap->holds[i];
        if (!ga_hold_counts(record->state) || ga_sim_model_hold(record->client - 1, record->offset))
            continue;
        GA_SIM_REQUIRE(may_differ(record->client - 1, record->offset), "nothing else is held");
        seen = true;
        ga_sim_model_hold_once_more(record->client - 1, record->offset);
    }
}

/* Whether an object's free is put off is in the records of its holds. */
static void compare_put_off(void)
{
    const struct ga_heap *heap = ga_sim.core.heap;
    for (uint32_t i = 0; i < GA_SIM_OBJECTS; i++) {
        struct ga_sim_object *object = &ga_sim_model.objects[i];
        bool put_off = false;
        for (uint32_t h = 0; h < heap->hold_end && object->state; h++)
            put_off = put_off || (heap->holds[h].offset == object->offset &&
                                  heap->holds[h].state == GA_HOLD_FREED);
        if (!put_off && object->state == GA_SIM_IN_DOUBT)
            object->state = GA_SIM_IN_USE;
        if (put_off == (object->state == GA_SIM_PUT_OFF))
            continue;
        GA_SIM_REQUIRE(put_off && any && cut_off.kind == GA_SIM_PUT_OFF_FREE &&
                           cut_off.offset == object->offset,
                       "what was put off is put off");
        seen = true;
        ga_sim_model_put_off(object);
    }
}

static void compare_roots(void)
{
    for (uint32_t i = 0; i < GA_SIM_NAMES; i++) {
        char name[16];
        uint64_t offset = 0;
        uint32_t client_plus_1;
        snprintf(name, sizeof(name), "root %u", i);
        (void)ga_heap_lookup(ga_sim.core.heap, name, &offset, &client_plus_1);
        if (offset == ga_sim_model.roots[i])
            continue;
        bool is_of_it = any && cut_off.kind >= GA_SIM_PUBLISH && cut_off.kind <= GA_SIM_UNPUBLISH &&
                        cut_off.count == i;
        GA_SIM_REQUIRE(is_of_it &&
                           offset == (cut_off.kind == GA_SIM_UNPUBLISH ? 0 : cut_off.offset),
                       "what was published is published");
        if (cut_off.kind == GA_SIM_REPLACE)
            GA_SIM_REQUIRE(noted && noted_old_offset == ga_sim_model.roots[i],
                           "what was replaced is noted");
        seen = true;
        ga_sim_model.roots[i] = offset;
    }
}

/* What the client is answered if it asks again. */
static void ask_again(void)
{
    struct ga_heap *heap = ga_sim.core.heap;
    noted = any && ga_sim_is_change(&cut_off) &&
            ga_heap_begin_request(heap, cut_off.client, cut_off.thread, cut_off.request,
                                  &noted_old_offset) == GA_REQUEST_DONE;
    ga_heap_end_request(heap);
}

void ga_sim_adoption_done(void)
{
    ask_again();
    seen = false;
    compare_holds();
    compare_put_off();
    compare_roots();
    /* A root may have been replaced with the object that it stood for. */
    if (any && ga_sim_is_change(&cut_off))
        GA_SIM_REQUIRE(noted == seen || (noted && cut_off.kind == GA_SIM_REPLACE),
                       "what was done is noted, and nothing else is");
    any = false;
}

#include "simulation/world.h"

#include <string.h>

#include "simulation/adoption.h"
#include "simulation/audit.h"
#include "simulation/collections.h"
#include "simulation/frame.h"
#include "simulation/graph.h"
#include "simulation/model.h"
#include "simulation/process.h"
#include "simulation/server.h"
#include "support/cunit_main.h"

#define LOOK_EVERY 16u /* steps between two looks at every object */

struct ga_sim ga_sim;

uint32_t ga_sim_pick(uint32_t n)
{
    return (uint32_t)(ga_test_random(&ga_sim.random) % n);
}

void ga_sim_fail(const char *clause)
{
    if (!ga_sim.wrong)
        ga_sim.wrong = clause;
}

static void deliver(bool only_replies)
{
    struct ga_sim_message m;
    if (!ga_sim_next_message(only_replies, &m))
        return;
    if (m.is_reply)
        ga_sim_process_hears(&m);
    else
        ga_sim_server_serve(&m);
}

void ga_sim_interlude(void)
{
    bool busy = ga_sim_server_is_busy();
    ga_sim.seen.interludes++;
    if (!ga_sim.server_is_up && !busy && ga_sim_pick(4) == 0)
        ga_sim_server_adopts();
    else if (ga_sim_pick(3) == 0)
        deliver(busy);
    else
        ga_sim_process_step();
}

void ga_sim_step(void)
{
    ga_sim.seen.steps++;
    if (ga_sim_pick(60) == 0)
        ga_sim.core.fail_commit = 1 + ga_sim_pick(6);
    uint32_t dice = ga_sim_pick(1000);
    if (ga_sim_collections_is_on() && ga_sim_pick(6) == 0)
        ga_sim_collections_step();
    else if (!ga_sim.server_is_up && dice < 150)
        ga_sim_server_adopts();
    else if (dice < 450)
        deliver(false);
    else if (dice < 925)
        ga_sim_process_step();
    else if (dice < 940 && ga_sim.server_is_up)
        ga_sim_collections_step();
    else if (dice < 960 && ga_sim.server_is_up)
        ga_sim_server_sweep();
    else if (dice < 980 && ga_sim.server_is_up)
        ga_sim_server_scavenge();
    else if (dice < 996)
        ga_sim_process_ends();
    else if (ga_sim.server_is_up)
        ga_sim_server_dies();
}

static void choose_kind(struct ga_sim_kind_of_world *kind)
{
    /* Of 16, 3, 1 and less words, tiny ones, of one page and several. */
    static const ga_span_class all[GA_SIM_CLASSES] = {2, 3, 3, 11, 20, 21, 60, 100, 135};
    kind->is_small = ga_sim_pick(2);
    kind->nclasses = kind->is_small ? 1 + ga_sim_pick(2) : GA_SIM_CLASSES;
    for (uint32_t i = 0; i < kind->nclasses; i++)
        kind->classes[i] = all[kind->is_small ? ga_sim_pick(GA_SIM_CLASSES) : i];
    kind->nobjects_max = kind->is_small ? 2 + ga_sim_pick(30) : GA_SIM_OBJECTS_MAX;
    kind->switch_reach = kind->is_small ? 5 : 8;
}

/* All have died, and one that comes after them frees what they left: every page is free again. */
static void end_of_run(void)
{
    struct ga_heap *heap;
    ga_sim_server_dies();
    ga_sim.is_ending = true;
    memset(ga_sim.processes, 0, sizeof(ga_sim.processes));
    while (!ga_sim.server_is_up && !ga_sim.wrong) {
        ga_sim.core.fail_commit = 0;
        ga_sim_server_adopts();
    }
    if (ga_sim.wrong)
        return;
    heap = ga_sim.core.heap;
    ga_sim.core.fail_commit = 0;
    ga_sim_collections_do_whole();
    ga_mcache_id mcache = ga_core_mcache(&ga_sim.core, ga_core_attach(&ga_sim.core));
    for (uint32_t i = 0; i < GA_SIM_OBJECTS; i++) {
        struct ga_sim_object *object = &ga_sim_model.objects[i];
        if (object->state == GA_SIM_NO_OBJECT)
            continue;
        struct ga_slot slot = ga_core_slot(&ga_sim.core, object->page, object->index);
        GA_SIM_REQUIRE(ga_core_free_other(&ga_sim.core, mcache, &slot),
                       "what is left can be freed");
        ga_sim_model_remove(object);
    }
    ga_heap_sweep_pending(heap);
    GA_SIM_REQUIRE(heap->nspans == 0, "every page is free in the end");
    const char *wrong = ga_sim_audit(true);
    GA_SIM_REQUIRE(!wrong, wrong);
}

bool ga_sim_world_run(uint64_t seed, uint32_t nsteps, uint32_t *ret_steps)
{
    ga_sim.random = seed;
    ga_sim.wrong = NULL;
    ga_sim.is_ending = false;
    memset(ga_sim.processes, 0, sizeof(ga_sim.processes));
    memset(&ga_sim_model, 0, sizeof(ga_sim_model));
    ga_sim_drop_messages();
    ga_sim_adoption_forget();
    ga_sim_graph_reset();
    ga_sim_collections_forget();
    ga_sim.stats_each_step = ga_sim_pick(2);
    choose_kind(&ga_sim.kind);
    ga_sim_server_start(seed, (1 + ga_sim_pick(8)) * GA_CORE_MIB);
    uint32_t step = 0;
    for (; step < nsteps && !ga_sim.wrong; step++) {
        ga_sim_step();
        const char *wrong = ga_sim_audit(step % LOOK_EVERY == 0);
        GA_SIM_REQUIRE(!wrong, wrong);
    }
    if (!ga_sim.wrong)
        end_of_run();
    *ret_steps = step;
    ga_core_close(&ga_sim.core);
    return !ga_sim.wrong;
}

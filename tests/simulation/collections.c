#include "simulation/collections.h"

#include "server/collect.h"
#include "simulation/frame.h"
#include "simulation/graph.h"
#include "simulation/process.h"

#define DEATHS 12u /* one step in so many is cut off */
#define REACH  11u
#define SLICE  40u /* spans at most */

static struct {
    enum { NONE, BEGUN, SWEEPING } phase;
    enum ga_collect_mode mode;
    uint32_t asked[GA_SIM_PROCESSES]; /* who stands still, by pid; 0 = nobody */
} cycle;

bool ga_sim_collections_is_on(void)
{
    return cycle.phase != NONE;
}

/* ---- the account ---- */

static void condemn(void)
{
    if (cycle.mode == GA_COLLECT_REPORT)
        return;
    ga_sim_graph_mark();
    for (uint32_t i = 0; i < GA_SIM_OBJECTS; i++) {
        struct ga_sim_object *object = &ga_sim_model.objects[i];
        if (object->state == GA_SIM_IN_USE && !object->reached)
            object->state = GA_SIM_GARBAGE;
    }
}

/* What has been freed of the garbage is no more. Returns how much there still is. */
static uint32_t look_at_garbage(bool is_over)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < GA_SIM_OBJECTS; i++) {
        struct ga_sim_object *object = &ga_sim_model.objects[i];
        if (object->state != GA_SIM_GARBAGE)
            continue;
        if (!ga_sim_model_in_use(object)) {
            ga_sim_model_remove(object);
            continue;
        }
        left++;
        if (is_over)
            object->state = GA_SIM_IN_USE;
    }
    return left;
}

void ga_sim_collections_forget(void)
{
    (void)look_at_garbage(true);
    cycle.phase = NONE;
    ga_sim.standing = false;
}

static void end(void)
{
    ga_collect_end(ga_sim.core.heap);
    ga_sim_collections_forget();
    ga_sim.seen.collections++;
}

static void abandon(void)
{
    ga_collect_cancel(ga_sim.core.heap);
    ga_collect_abandon(ga_sim.core.heap);
    ga_sim_collections_forget();
    ga_sim.seen.abandoned++;
}

/* ---- who stands still ---- */

/* Whether all managed clients can be asked: of one that has died the server has not heard. */
static bool ask_all(void)
{
    struct ga_client_info info = {.client = 0};
    for (uint32_t i = 0; i < GA_SIM_PROCESSES; i++) {
        const struct ga_sim_process *process = &ga_sim.processes[i];
        cycle.asked[i] = process->managed ? process->pid : 0;
    }
    for (; ga_heap_next_client(ga_sim.core.heap, info.client, &info) == 0; info.client++)
        if (info.managed && !ga_sim_process_lives(info.pid))
            return false;
    return true;
}

static bool all_stand(void)
{
    bool all = true;
    for (uint32_t i = 0; i < GA_SIM_PROCESSES; i++)
        all = all && (cycle.asked[i] == 0 || ga_sim_process_lives(cycle.asked[i]));
    return all;
}

/* ---- its parts ---- */

static int begin_cycle(void)
{
    uint64_t roots[GA_SIM_ROOTS_MAX];
    uint32_t nroots = ga_sim_graph_private(roots);
    int r = ga_collect_begin(ga_sim.core.heap, cycle.mode);
    if (r == 0)
        r = ga_collect_add_roots(ga_sim.core.heap, roots, nroots);
    return r;
}

static void begin(void *argument)
{
    *(int *)argument = begin_cycle();
    ga_sim_settled();
}

static void mark(void *argument)
{
    (void)argument;
    ga_collect_work(ga_sim.core.heap, true);
}

static void settle(void *argument)
{
    *(int *)argument = ga_collect_settle(ga_sim.core.heap);
    ga_sim_settled();
}

/* Sweep a slice. What is freed is counted when a span is done: who dies before that leaves it to
 * nobody to say how much was. */
static bool sweep_slice(uint32_t nspans)
{
    const struct ga_collect_result *result = ga_collect_get_result(ga_sim.core.heap);
    uint64_t before = result->freed.objects;
    ga_sim_model.is_unsure = ga_sim_model.is_unsure || ga_sim.core.fail_commit > 0;
    bool done = ga_collect_sweep_some(ga_sim.core.heap, nspans);
    ga_sim_settled();
    (void)look_at_garbage(false);
    ga_sim_model.missing_frees -= result->freed.objects - before;
    ga_sim.seen.collected += result->freed.objects - before;
    return done;
}

static void sweep(void *argument)
{
    *(bool *)argument = sweep_slice(1 + ga_sim_pick(SLICE));
}

/* One of them, as the server. False if it died. */
static bool carry_out(void (*part)(void *argument), void *argument)
{
    ga_sim_model.releasing = 0;
    if (ga_sim_run(NULL, DEATHS, REACH, part, argument))
        return true;
    ga_sim.seen.server_deaths_in_a_step++;
    return false;
}

/* ---- a cycle ---- */

static void begin_one(void)
{
    int r = 0;
    cycle.mode = ga_sim_pick(4) ? GA_COLLECT_FULL : ga_sim_pick(GA_COLLECT_MODES);
    if (!ask_all())
        return;
    ga_sim.standing = true;
    cycle.phase = BEGUN;
    if (carry_out(begin, &r) && r < 0)
        abandon();
}

static void settle_one(void)
{
    int r = 0;
    if (!all_stand()) {
        abandon();
        return;
    }
    if (!carry_out(settle, &r))
        return;
    if (r < 0) {
        abandon();
        return;
    }
    condemn();
    cycle.phase = SWEEPING;
    ga_sim.standing = false;
}

static void sweep_on(void)
{
    bool done = false;
    if (!carry_out(sweep, &done))
        ga_sim_model.is_unsure = true;
    else if (done)
        end();
}

void ga_sim_collections_step(void)
{
    if (cycle.phase == NONE && ga_sim_pick(3) == 0)
        ga_sim_collections_do_whole();
    else if (cycle.phase == NONE)
        begin_one();
    else if (cycle.phase == SWEEPING)
        sweep_on();
    else if (ga_sim_pick(2))
        (void)carry_out(mark, NULL);
    else
        settle_one();
}

void ga_sim_collections_do_whole(void)
{
    struct ga_heap *heap = ga_sim.core.heap;
    cycle.mode = GA_COLLECT_FULL;
    if (!ask_all())
        return;
    cycle.phase = BEGUN;
    bool good = begin_cycle() == 0;
    mark(NULL);
    good = good && ga_collect_settle(heap) == 0;
    GA_SIM_REQUIRE(good, "a collection can be had");
    if (!good)
        return;
    condemn();
    uint64_t ngarbage = 0;
    for (uint32_t i = 0; i < GA_SIM_OBJECTS; i++)
        ngarbage += ga_sim_model.objects[i].state == GA_SIM_GARBAGE;
    while (!sweep_slice(SLICE))
        continue;
    GA_SIM_REQUIRE(look_at_garbage(false) == 0, "what nothing reaches is freed");
    GA_SIM_REQUIRE(ga_collect_get_result(heap)->freed.objects == ngarbage, "and nothing else is");
    ga_sim.seen.collected_whole += ngarbage;
    end();
}

/* A client as the victim: bring it to the point, let the survivor reuse what it can, and kill. */
#include <inttypes.h>
#include <stdlib.h>

#include "crash/exploration.h"

#define ROUNDS_MAX 4

/* Everybody ready, and the victim at the beginning of its operation. */
static bool begin_client(struct ga_exploration *e, const struct ga_client_scenario *scenario,
                         struct ga_tracee *victim)
{
    ga_account_clear(e->account, true);
    if (scenario->ancestor && !ga_actor_run(&e->world, e->account, scenario->ancestor))
        return false;
    if (scenario->survivor && e->survivor.pid <= 0 &&
        !ga_actor_start(&e->survivor, &e->world, e->account, true))
        return false;
    if (scenario->survivor && !ga_actor_do(&e->survivor, scenario->survivor))
        return false;
    if (scenario->kind == GA_VICTIM_LIBRARY)
        return ga_exploration_begin_library(e, scenario, victim);
    pid_t pid = scenario->kind == GA_VICTIM_FORKED
                    ? ga_actor_fork_victim(&e->survivor, e->account, scenario->operation)
                    : ga_actor_start_victim(&e->world, e->account, scenario->before,
                                            scenario->operation, scenario->kind);
    if (pid < 0 || !ga_trace_await_mark(victim, pid))
        return false;
    return !scenario->meanwhile || ga_actor_do(&e->survivor, scenario->meanwhile);
}

void ga_exploration_kill_client(struct ga_exploration *e, const struct ga_tracee *victim)
{
    ga_trace_kill(victim);
    ga_actor_lost(&e->victim);
}

/* Whether the recorded run came by the function of the library that the scenario is about. */
static bool came_by(const struct ga_tracee *victim, const char *function,
                    const struct ga_trace *trace)
{
    uint64_t address = ga_trace_find_function(victim->pid, LIBRARY_PATH, function);
    for (uint32_t k = 0; k < trace->count; k++)
        if (trace->rip[k] == address)
            return true;
    return false;
}

/* The operation from its beginning to its end; recorded, if ret. */
static bool run_whole(struct ga_exploration *e, const struct ga_client_scenario *scenario,
                      struct ga_trace *ret)
{
    struct ga_tracee victim;
    bool library = scenario->kind == GA_VICTIM_LIBRARY;
    bool good = begin_client(e, scenario, &victim);
    if (good && ret)
        good = ga_trace_record(&victim, library, ga_crash_world_changed, &e->world, ret);
    else if (good && !library)
        ga_trace_run_out(&victim);
    if (!good) {
        ga_exploration_give_up(e, "the operation cannot be carried out: %s", e->account->complaint);
        return false;
    }
    if (ret && scenario->function && !library && !came_by(&victim, scenario->function, ret)) {
        ga_exploration_give_up(e, "the operation does not come to %s", scenario->function);
        return false;
    }
    if (ret)
        e->trace = ret;
    ga_exploration_kill_client(e, &victim);
    return ga_exploration_judge(e, ret ? ret->count : 0) && ga_exploration_end_survivor(e);
}

bool ga_exploration_record_client(struct ga_exploration *e,
                                  const struct ga_client_scenario *scenario, struct ga_trace *ret)
{
    if (!run_whole(e, scenario, NULL) || !run_whole(e, scenario, ret))
        return false;
    e->result->ninstructions = ret->count;
    return true;
}

bool ga_exploration_bring_client(struct ga_exploration *e,
                                 const struct ga_client_scenario *scenario,
                                 const struct ga_trace *trace, uint32_t k, struct ga_tracee *victim)
{
    for (int tries = 0; tries < ROUNDS_MAX; tries++) {
        bool drifted;
        if (!begin_client(e, scenario, victim))
            return false;
        if (ga_trace_go_to(victim, trace, k, tries > 0, &drifted)) {
            e->result->ndrifted += drifted;
            return true;
        }
        /* Another thread of the victim ran into a breakpoint: that is no run. */
        ga_exploration_kill_client(e, victim);
        uint32_t npoints = e->result->npoints;
        if (!ga_exploration_judge(e, k) || !ga_exploration_end_survivor(e))
            return false;
        e->result->npoints = npoints;
    }
    return false;
}

void ga_explore_client(const struct ga_client_scenario *scenario,
                       const struct ga_explore_options *options, struct ga_explored *ret)
{
    struct ga_exploration e;
    struct ga_trace trace = {0};
    if (!ga_exploration_open(&e, options, ret))
        goto close;
    ga_exploration_set_class(&e, scenario->bytes, scenario->noscan, scenario->in_flight,
                             scenario->is_private);
    e.account->sampled = scenario->sampled && !scenario->short_of_room;
    if (!ga_exploration_record_client(&e, scenario, &trace))
        goto close;
    ret->npoints = ret->in_flight = 0;
    struct ga_points points = ga_exploration_choose_points(&trace, false, options);
    for (uint32_t i = 0; i < points.count && !ret->failed; i++) {
        struct ga_tracee victim;
        uint32_t k = points.k[i];
        if (!ga_exploration_bring_client(&e, scenario, &trace, k, &victim)) {
            ga_exploration_give_up(&e, "k=%" PRIu32 ": the operation could not be begun: %s", k,
                                   e.account->complaint);
            break;
        }
        if (scenario->reuse && !ga_actor_do(&e.survivor, scenario->reuse))
            ga_exploration_give_up(&e, "k=%" PRIu32 ": the survivor does not answer", k);
        if (!ga_exploration_come_back(&e, scenario, &victim))
            ga_exploration_give_up(&e, "k=%" PRIu32 ": the victim's first thread is stuck", k);
        ga_exploration_kill_client(&e, &victim);
        if (!ga_exploration_judge(&e, k) || !ga_exploration_end_survivor(&e))
            break;
    }
    ga_exploration_free_points(&points);
close:
    ga_trace_free(&trace);
    ga_exploration_close(&e);
}

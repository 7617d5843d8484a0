/* A client killed, and the server that recovers what it has left killed as well; in between the
 * survivor reuses what it can. */
#include <inttypes.h>

#include "crash/exploration.h"

#define TWICE_MAX 30u /* points of a recovery, for each that it follows */

/* The client dies at k1, and the server at k2 of what it does about it. */
static bool run_twice(struct ga_exploration *e, const struct ga_client_scenario *scenario,
                      const struct ga_trace *first, uint32_t k1, struct ga_trace *second,
                      bool record, uint32_t k2)
{
    struct ga_tracee victim;
    struct ga_tracee server;
    uint64_t address;
    bool drifted = false;
    if (!ga_exploration_bring_client(e, scenario, first, k1, &victim)) {
        ga_exploration_give_up(e, "k=%" PRIu32 ": the operation could not be begun", k1);
        return false;
    }
    if (!ga_exploration_seize_server(e, "ga_heap_client_leave", &server, &address)) {
        ga_exploration_give_up(e, "the server cannot be traced");
        return false;
    }
    ga_exploration_kill_client(e, &victim);
    if (!ga_trace_run_to(&server, address)) {
        ga_exploration_give_up(e, "k=%" PRIu32 ": the server hears nothing of the death", k1);
        return false;
    }
    if (record) {
        if (!ga_trace_record(&server, true, ga_crash_world_changed, &e->world, second)) {
            ga_exploration_give_up(e, "the recovery cannot be recorded");
            return false;
        }
        k2 = second->count;
    } else {
        (void)ga_trace_go_to(&server, second, k2, false, &drifted);
    }
    e->result->ndrifted += drifted;
    /* The server stands still, and so does not serve. */
    if (scenario->reuse && !ga_actor_do(&e->survivor, scenario->reuse)) {
        ga_exploration_give_up(e, "k=%" PRIu32 "/%" PRIu32 ": the survivor cannot work", k1, k2);
        return false;
    }
    ga_actor_kill(&e->survivor);
    ga_account_orphan(e->account);
    e->trace = second;
    if (!ga_exploration_replace_server(e, &server)) {
        ga_exploration_give_up(e, "k=%" PRIu32 "/%" PRIu32 ": the next server does not serve", k1,
                               k2);
        return false;
    }
    bool good = ga_exploration_judge(e, k2);
    e->trace = first;
    return good;
}

void ga_explore_twice(const struct ga_client_scenario *scenario,
                      const struct ga_explore_options *options, struct ga_explored *ret)
{
    struct ga_exploration e;
    struct ga_trace first = {0};
    if (!ga_exploration_open(&e, options, ret))
        goto close;
    ga_exploration_set_class(&e, scenario->bytes, scenario->noscan, scenario->in_flight,
                             scenario->is_private);
    e.account->sampled = scenario->sampled && !scenario->short_of_room;
    if (!ga_exploration_record_client(&e, scenario, &first))
        goto close;
    ret->npoints = ret->in_flight = 0;
    /* Where only some are wanted: some of both. */
    struct ga_explore_options some = *options;
    some.points = options->points ? 2 : 0;
    struct ga_points points = ga_exploration_choose_points(&first, true, &some);
    for (uint32_t i = 0; i < points.count && !ret->failed; i++) {
        struct ga_trace second = {0};
        if (!run_twice(&e, scenario, &first, points.k[i], &second, true, 0))
            break;
        some.points = options->points ? (options->points + 1) / 2 : TWICE_MAX;
        some.seed = options->seed + i; /* others each time */
        struct ga_points seconds = ga_exploration_choose_points(&second, true, &some);
        for (uint32_t j = 0; j < seconds.count; j++)
            if (!run_twice(&e, scenario, &first, points.k[i], &second, false, seconds.k[j]))
                break;
        ga_exploration_free_points(&seconds);
        ga_trace_free(&second);
    }
    ga_exploration_free_points(&points);
close:
    ga_trace_free(&first);
    ga_exploration_close(&e);
}

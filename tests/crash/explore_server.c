/* The server as the victim: a driver makes it do something, and the next server goes on. */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "crash/exploration.h"

/* Kill the server where it stands, and start the next one. It has no soft limit: else it would
 * begin with giving memory back, and how the dead one has left that would not be seen. */
bool ga_exploration_replace_server(struct ga_exploration *e, const struct ga_tracee *server)
{
    ga_trace_kill(server);
    ga_crash_world_lost(&e->world);
    e->world.soft_limit = NULL;
    return ga_crash_world_start(&e->world, false) && ga_crash_world_await(&e->world);
}

/* The running server, traced and stopped. */
bool ga_exploration_seize_server(struct ga_exploration *e, const char *function,
                                 struct ga_tracee *server, uint64_t *ret_address)
{
    if (!ga_trace_seize(server, e->world.server, e->world.server))
        return false;
    *ret_address = ga_trace_find_function(e->world.server, e->world.goallocd, function);
    return *ret_address != 0;
}

/* Another server that begins on the heap, before its first instruction. */
static bool start_traced(struct ga_exploration *e, const char *function, struct ga_tracee *server,
                         uint64_t *ret_address)
{
    ga_crash_world_lost(&e->world);
    if (!ga_crash_world_start(&e->world, true))
        return false;
    *server = (struct ga_tracee){.pid = e->world.server, .tid = e->world.server};
    *ret_address = ga_trace_find_function(e->world.server, e->world.goallocd, function);
    return *ret_address != 0;
}

static bool is_journal_used(const struct ga_exploration *e)
{
    return ga_load_acquire(&e->world.view.meta->journal.kind) != GA_JOURNAL_NOTHING;
}

/* The first server dies over the driver's operation, when it has decided to make a change. */
static bool die_deciding(struct ga_exploration *e, const struct ga_server_scenario *scenario,
                         struct ga_actor *driver)
{
    struct ga_tracee first;
    uint64_t address;
    bool good = ga_exploration_seize_server(e, "ga_journal_begin", &first, &address) &&
                ga_actor_begin(driver, scenario->operation) && ga_trace_run_to(&first, address);
    while (good && !is_journal_used(e))
        good = ga_trace_step(&first) == GA_STOP_STEP;
    ga_trace_kill(&first);
    return good;
}

/* The first server dies over the driver's operation, or death, of which it has not heard. */
static bool die_deaf(struct ga_exploration *e, const struct ga_server_scenario *scenario,
                     struct ga_actor *driver)
{
    bool good = true;
    kill(e->world.server, SIGSTOP);
    if (scenario->fate == GA_DRIVER_FIRST)
        ga_actor_kill(driver);
    else if (scenario->operation)
        good = ga_actor_begin(driver, scenario->operation) && ga_actor_await_request(driver);
    kill(e->world.server, SIGKILL);
    waitpid(e->world.server, NULL, 0);
    return good;
}

/* The driver ready, and the one that stays. */
static bool begin_actors(struct ga_exploration *e, const struct ga_server_scenario *scenario,
                         struct ga_actor *driver)
{
    ga_account_clear(e->account, true);
    if (scenario->ancestor && !ga_actor_run(&e->world, e->account, scenario->ancestor))
        return false;
    if (!ga_actor_start(driver, &e->world, e->account, false) ||
        !ga_actor_do(driver, scenario->before))
        return false;
    if (!scenario->survivor)
        return true;
    if (e->survivor.pid <= 0 && !ga_actor_start(&e->survivor, &e->world, e->account, true))
        return false;
    return ga_actor_do(&e->survivor, scenario->survivor);
}

/* Where there is none, the server does it by itself. */
static bool begin_operation(struct ga_actor *driver, ga_actor_fn *operation)
{
    return !operation || ga_actor_begin(driver, operation);
}

/* All ready, and the server at the beginning of what the driver makes it do. */
static bool begin_server(struct ga_exploration *e, const struct ga_server_scenario *scenario,
                         struct ga_actor *driver, struct ga_tracee *server)
{
    uint64_t address;
    if (!begin_actors(e, scenario, driver))
        return false;
    if (scenario->adopts) {
        bool died =
            scenario->journals ? die_deciding(e, scenario, driver) : die_deaf(e, scenario, driver);
        return died && start_traced(e, scenario->function, server, &address) &&
               ga_trace_run_to(server, address);
    }
    if (!ga_exploration_seize_server(e, scenario->function, server, &address))
        return false;
    if (scenario->fate == GA_DRIVER_FIRST)
        ga_actor_kill(driver);
    else if (scenario->alone ? !ga_actor_do(driver, scenario->operation)
                             : !begin_operation(driver, scenario->operation))
        return false;
    return ga_trace_run_to(server, address);
}

/* The next server, and what becomes of the driver. */
static bool end_server(struct ga_exploration *e, const struct ga_server_scenario *scenario,
                       struct ga_actor *driver, const struct ga_tracee *server)
{
    if (scenario->fate == GA_DRIVER_DIES)
        ga_actor_kill(driver);
    if (!ga_exploration_replace_server(e, server))
        return false;
    if (scenario->fate == GA_DRIVER_LIVES) {
        bool done = !scenario->operation || (scenario->alone && !scenario->adopts);
        bool good = (done || ga_actor_await(driver)) && ga_actor_do(driver, scenario->after);
        ga_actor_kill(driver);
        return good;
    }
    return true;
}

/* What a run is for. */
enum purpose { WARM_UP, RECORD, KILL };

/* From the operation's beginning to where the server is to be killed. */
static bool bring_server(struct ga_exploration *e, const struct ga_server_scenario *scenario,
                         struct ga_tracee *server, struct ga_trace *trace, enum purpose purpose,
                         uint32_t k)
{
    bool drifted = false;
    switch (purpose) {
    case WARM_UP:
        ga_trace_let_go(server);
        return (!scenario->adopts || ga_crash_world_await(&e->world)) &&
               ga_crash_world_sync(&e->world);
    case RECORD:
        e->trace = trace;
        return ga_trace_record(server, true, ga_crash_world_changed, &e->world, trace);
    default:
        /* If it is silent, or elsewhere, it is killed all the same. */
        drifted = !ga_trace_go_to(server, trace, k, false, &drifted) || drifted;
        e->result->ndrifted += drifted;
        return true;
    }
}

static bool run_server(struct ga_exploration *e, const struct ga_server_scenario *scenario,
                       struct ga_trace *trace, enum purpose purpose, uint32_t k)
{
    struct ga_actor driver = {.pid = -1};
    struct ga_tracee server;
    if (scenario->fresh) {
        ga_crash_world_fini(&e->world);
        if (!ga_exploration_start_world(e)) {
            ga_exploration_give_up(e, "goallocd could not be started");
            return false;
        }
    }
    if (!begin_server(e, scenario, &driver, &server)) {
        ga_actor_kill(&driver);
        ga_exploration_give_up(e, "k=%" PRIu32 ": the server does not come to %s", k,
                               scenario->function);
        return false;
    }
    if (!bring_server(e, scenario, &server, trace, purpose, k) ||
        !end_server(e, scenario, &driver, &server)) {
        ga_actor_kill(&driver);
        ga_exploration_give_up(e, "k=%" PRIu32 ": the next server does not serve", k);
        return false;
    }
    return ga_exploration_judge(e, purpose == RECORD ? trace->count : k) &&
           ga_exploration_end_survivor(e);
}

void ga_explore_server(const struct ga_server_scenario *scenario,
                       const struct ga_explore_options *options, struct ga_explored *ret)
{
    struct ga_exploration e;
    struct ga_trace trace = {0};
    if (!ga_exploration_open(&e, options, ret))
        goto close;
    e.soft_limit = scenario->soft_limit;
    ga_exploration_set_class(&e, scenario->bytes, scenario->noscan, false, scenario->is_private);
    e.account->sampled = scenario->sampled;
    /* The second run is the one to go by, as for clients. */
    if (!run_server(&e, scenario, &trace, WARM_UP, 0) ||
        !run_server(&e, scenario, &trace, RECORD, 0))
        goto close;
    ret->ninstructions = trace.count;
    ret->npoints = ret->in_flight = 0;
    struct ga_points points = ga_exploration_choose_points(&trace, false, options);
    for (uint32_t i = 0; i < points.count; i++)
        if (!run_server(&e, scenario, &trace, KILL, points.k[i]))
            break;
    ga_exploration_free_points(&points);
close:
    ga_trace_free(&trace);
    ga_exploration_close(&e);
}

/* A run: bring the victim to the point, let the survivor reuse what it can, kill, wait until the
 * server (or the next one) has recovered, audit; then a successor attaches, allocates everything of
 * the class that it can get without the heap growing, frees all that is left, and the heap must be
 * empty. */
#include "crash/explore.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "crash/trace.h"
#include "shm/size_class.h"

#define ALL_INSTRUCTIONS 2000u /* from here on only before shared stores and system calls */
#define WANTED_MAX       3000u
#define TWICE_MAX        30u /* points of a recovery, for each that it follows */
#define ROUNDS_MAX       4

struct exploration {
    const struct ga_explore_options *options;
    struct ga_explored *result;
    struct ga_crash_world world;
    struct ga_account *account;
    struct ga_actor survivor;
    size_t bytes; /* of the class that the scenario is about */
    bool noscan;
    int in_flight_class;
    const struct ga_trace *trace; /* where faults are looked up */
};

static __attribute__((format(printf, 2, 3))) void give_up(struct exploration *e, const char *format,
                                                          ...)
{
    va_list args;
    va_start(args, format);
    e->result->failed = true;
    if (!e->result->fault[0])
        vsnprintf(e->result->fault, sizeof(e->result->fault), format, args);
    va_end(args);
}

/* ---- points ---- */

struct points {
    uint32_t *k;
    uint32_t count;
};

/* The points of a trace: after each of the first instructions, or only before events; and the end.
 */
static struct points choose_points(const struct ga_trace *trace, bool only_events,
                                   const struct ga_explore_options *options)
{
    struct points points = {.k = calloc(trace->count + 1, sizeof(uint32_t))};
    for (uint32_t k = 0; points.k && k <= trace->count; k++)
        if ((!only_events && k <= ALL_INSTRUCTIONS) || k == trace->count || trace->event[k])
            points.k[points.count++] = k;
    if (options->points == 0 || points.count <= options->points)
        return points;
    uint32_t step = (points.count + options->points - 1) / options->points;
    uint32_t n = 0;
    for (uint32_t i = options->seed % step; i < points.count; i += step)
        points.k[n++] = points.k[i];
    points.count = n;
    return points;
}

/* ---- the judgement ---- */

static ga_span_class class_of(const struct exploration *e)
{
    if (e->noscan && e->bytes < 16)
        return GA_SPAN_CLASS_TINY;
    uint32_t size_class = e->bytes > GA_SMALL_MAX ? 0 : ga_size_class_for_malloc(e->bytes);
    return (ga_span_class)(size_class * 2 + e->noscan);
}

/* In the successor. */
static const struct exploration *mine;

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void allocate_all(uint64_t *got, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        void *p = goalloc_alloc(ga_heap, mine->bytes, 0, mine->noscan ? GOALLOC_NOSCAN : 0);
        got[i] = (uintptr_t)p;
        if (!p)
            ga_account_complain(ga_account, "the successor gets no memory");
        else if (bsearch(&got[i], ga_account->found, ga_account->nfound, sizeof(uint64_t), compare))
            ga_account_complain(ga_account, "0x%" PRIx64 " is in use and was handed out", got[i]);
        else
            memset(p, 0xee, mine->bytes < 64 ? mine->bytes : 64);
    }
}

static void succeed(void)
{
    static uint64_t got[WANTED_MAX];
    static uint64_t sorted[WANTED_MAX];
    uint32_t n = ga_account->wanted;
    allocate_all(got, n);
    memcpy(sorted, got, sizeof(got));
    qsort(sorted, n, sizeof(sorted[0]), compare);
    for (uint32_t i = 1; i < n; i++)
        if (sorted[i] != 0 && sorted[i] == sorted[i - 1])
            ga_account_complain(ga_account, "0x%" PRIx64 " was handed out twice", sorted[i]);
    for (uint32_t i = 0; i < ga_account->nobjects; i++) {
        const struct ga_account_object *object = &ga_account->objects[i];
        if (object->state == GA_OBJECT_KEPT &&
            !ga_account_is_whole(object, (const unsigned char *)object->address))
            ga_account_complain(ga_account, "an object of %" PRIu32 " bytes was overwritten",
                                object->bytes);
    }
    for (uint32_t i = 0; i < n; i++)
        goalloc_free(ga_heap, (void *)got[i]);
    for (uint32_t i = 0; i < ga_account->nfound; i++) {
        bool survivors = false;
        for (uint32_t j = 0; j < ga_account->nobjects && !survivors; j++)
            survivors = ga_account->objects[j].survivors &&
                        ga_account->objects[j].state == GA_OBJECT_KEPT &&
                        ga_account->objects[j].address == ga_account->found[i];
        if (!survivors)
            goalloc_free(ga_heap, (void *)ga_account->found[i]);
    }
}

static bool settle(struct exploration *e)
{
    size_t nalive = e->survivor.pid > 0;
    return ga_crash_world_settle(&e->world, &e->survivor.pid, nalive);
}

static void note_fault(struct exploration *e, uint32_t k, const char *what)
{
    char place[256] = "the end";
    char line[512];
    if (k < e->trace->count)
        ga_trace_describe(e->world.server, e->trace->rip[k], place, sizeof(place));
    if (strncmp(place, "0x", 2) == 0 && k < e->trace->count)
        ga_trace_describe(getpid(), e->trace->rip[k], place, sizeof(place));
    snprintf(line, sizeof(line), "k=%" PRIu32 " before %s: %s", k, place, what);
    if (e->options->verbose)
        fprintf(stderr, "    %s\n", line);
    if (!e->result->fault[0])
        snprintf(e->result->fault, sizeof(e->result->fault), "%s", line);
}

/* Enter a verdict into the result. */
static void enter(struct exploration *e, uint32_t k, const struct ga_verdict *verdict)
{
    e->result->leaked += verdict->leaked;
    e->result->corrupted += verdict->corrupted;
    e->result->in_flight += verdict->in_flight;
    if (verdict->why[0])
        note_fault(e, k, verdict->why);
}

static void enter_complaints(struct exploration *e, uint32_t k)
{
    if (e->account->ncomplaints == 0)
        return;
    e->result->corrupted += e->account->ncomplaints;
    note_fault(e, k, e->account->complaint);
    e->account->ncomplaints = 0;
    e->account->complaint[0] = '\0';
}

/* After the kill: wait for the recovery, audit, and go on with the heap. Afterwards it holds what
 * the survivor has, and nothing else. */
static bool judge(struct exploration *e, uint32_t k)
{
    struct ga_verdict verdict;
    if (!settle(e)) {
        give_up(e, "k=%" PRIu32 ": what the dead had is not recovered", k);
        return false;
    }
    e->result->npoints++;
    enter_complaints(e, k);
    ga_crash_world_audit(&e->world, e->account, e->in_flight_class, &verdict);
    enter(e, k, &verdict);

    ga_span_class span_class = class_of(e);
    uint32_t wanted = span_class < 2 ? 2 : ga_crash_world_free_slots(&e->world, span_class) + 8;
    e->account->wanted = wanted < WANTED_MAX ? wanted : WANTED_MAX;
    mine = e;
    if (!ga_actor_run(&e->world, e->account, succeed) || !settle(e)) {
        give_up(e, "k=%" PRIu32 ": a new client could not work", k);
        return false;
    }
    enter_complaints(e, k);
    ga_account_clear(e->account, false);
    ga_crash_world_audit(&e->world, e->account, GA_NOTHING_IN_FLIGHT, &verdict);
    enter(e, k, &verdict);
    return true;
}

static bool start_world(struct exploration *e)
{
    return ga_crash_world_init(&e->world, e->options->goallocd) &&
           ga_crash_world_start(&e->world, false) && ga_crash_world_await(&e->world);
}

static bool open_world(struct exploration *e, const struct ga_explore_options *options,
                       struct ga_explored *result)
{
    *result = (struct ga_explored){0};
    *e = (struct exploration){.options = options, .result = result, .survivor = {.pid = -1}};
    static struct ga_trace no_trace;
    e->trace = &no_trace;
    e->account = ga_account_new();
    if (e->account && start_world(e))
        return true;
    give_up(e, "goallocd could not be started");
    return false;
}

static void close_world(struct exploration *e)
{
    ga_actor_kill(&e->survivor);
    ga_crash_world_fini(&e->world);
}

static void set_class(struct exploration *e, size_t bytes, bool noscan, bool in_flight)
{
    e->bytes = bytes ? bytes : 64;
    e->noscan = noscan;
    e->in_flight_class = in_flight ? class_of(e) / 2 : GA_NOTHING_IN_FLIGHT;
}

/* ---- a client as the victim ---- */

/* What the survivor noted, freed by itself. */
static void free_survivors(void)
{
    for (uint32_t i = 0; i < ga_account->nobjects; i++) {
        struct ga_account_object *object = &ga_account->objects[i];
        if (object->survivors && object->state == GA_OBJECT_KEPT) {
            goalloc_free(ga_heap, (void *)object->address);
            object->state = GA_OBJECT_NONE;
        }
    }
}

/* Everybody ready, and the victim at the beginning of its operation. */
static bool begin_client(struct exploration *e, const struct ga_client_scenario *scenario,
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
    pid_t pid = ga_actor_start_victim(&e->world, e->account, scenario->before, scenario->operation,
                                      scenario->unattached, scenario->by_thread);
    if (pid < 0 || !ga_trace_await_mark(victim, pid))
        return false;
    return !scenario->meanwhile || ga_actor_do(&e->survivor, scenario->meanwhile);
}

/* The survivor gives up what it has, so that the next run begins as this one did. */
static bool end_survivor(struct exploration *e)
{
    if (e->survivor.pid <= 0)
        return true;
    return ga_actor_do(&e->survivor, free_survivors);
}

/* The first run makes the tables that later ones find made: the second is the one to go by. */
static bool record_client(struct exploration *e, const struct ga_client_scenario *scenario,
                          bool again, struct ga_trace *ret)
{
    struct ga_tracee victim;
    if (!again && !record_client(e, scenario, true, ret))
        return false;
    ga_trace_free(ret);
    bool good = begin_client(e, scenario, &victim) &&
                ga_trace_record(&victim, false, ga_crash_world_changed, &e->world, ret);
    if (!good) {
        give_up(e, "the operation cannot be carried out: %s", e->account->complaint);
        return false;
    }
    e->trace = ret;
    e->result->ninstructions = ret->count;
    ga_trace_kill(&victim);
    return judge(e, ret->count) && end_survivor(e);
}

static bool bring_client(struct exploration *e, const struct ga_client_scenario *scenario,
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
        ga_trace_kill(victim);
        uint32_t npoints = e->result->npoints;
        if (!judge(e, k) || !end_survivor(e))
            return false;
        e->result->npoints = npoints;
    }
    return false;
}

void ga_explore_client(const struct ga_client_scenario *scenario,
                       const struct ga_explore_options *options, struct ga_explored *ret)
{
    struct exploration e;
    struct ga_trace trace = {0};
    if (!open_world(&e, options, ret))
        goto close;
    set_class(&e, scenario->bytes, scenario->noscan, scenario->in_flight);
    if (!record_client(&e, scenario, false, &trace))
        goto close;
    ret->npoints = 0;
    struct points points = choose_points(&trace, false, options);
    for (uint32_t i = 0; i < points.count && !ret->failed; i++) {
        struct ga_tracee victim;
        uint32_t k = points.k[i];
        if (!bring_client(&e, scenario, &trace, k, &victim)) {
            give_up(&e, "k=%" PRIu32 ": the operation could not be begun: %s", k,
                    e.account->complaint);
            break;
        }
        if (scenario->reuse && !ga_actor_do(&e.survivor, scenario->reuse))
            give_up(&e, "k=%" PRIu32 ": the survivor does not answer", k);
        ga_trace_kill(&victim);
        if (!judge(&e, k) || !end_survivor(&e))
            break;
    }
    free(points.k);
close:
    ga_trace_free(&trace);
    close_world(&e);
}

/* ---- the server as the victim ---- */

/* Kill the server where it stands, and start the next one. */
static bool replace_server(struct exploration *e, const struct ga_tracee *server)
{
    ga_trace_kill(server);
    ga_crash_world_lost(&e->world);
    return ga_crash_world_start(&e->world, false) && ga_crash_world_await(&e->world);
}

/* The running server, traced and stopped. */
static bool seize_server(struct exploration *e, const char *function, struct ga_tracee *server,
                         uint64_t *ret_address)
{
    if (!ga_trace_seize(server, e->world.server))
        return false;
    *ret_address = ga_trace_find_function(e->world.server, e->world.goallocd, function);
    return *ret_address != 0;
}

/* Another server that begins on the heap, before its first instruction. */
static bool start_traced(struct exploration *e, const char *function, struct ga_tracee *server,
                         uint64_t *ret_address)
{
    kill(e->world.server, SIGKILL);
    waitpid(e->world.server, NULL, 0);
    ga_crash_world_lost(&e->world);
    if (!ga_crash_world_start(&e->world, true))
        return false;
    *server = (struct ga_tracee){.pid = e->world.server, .tid = e->world.server};
    *ret_address = ga_trace_find_function(e->world.server, e->world.goallocd, function);
    return *ret_address != 0;
}

/* The driver ready, and the server at the beginning of what it makes it do. */
static bool begin_server(struct exploration *e, const struct ga_server_scenario *scenario,
                         struct ga_actor *driver, struct ga_tracee *server)
{
    uint64_t address;
    ga_account_clear(e->account, true);
    if (scenario->ancestor && !ga_actor_run(&e->world, e->account, scenario->ancestor))
        return false;
    if (!ga_actor_start(driver, &e->world, e->account, false) ||
        !ga_actor_do(driver, scenario->before))
        return false;
    if (scenario->adopts && scenario->fate == GA_DRIVER_FIRST) {
        /* Stopped, so that this server does not hear of the death. */
        kill(e->world.server, SIGSTOP);
        ga_actor_kill(driver);
    }
    if (scenario->adopts)
        return start_traced(e, scenario->function, server, &address) &&
               ga_trace_run_to(server, address);
    if (!seize_server(e, scenario->function, server, &address))
        return false;
    if (scenario->fate == GA_DRIVER_FIRST)
        ga_actor_kill(driver);
    else if (!ga_actor_begin(driver, scenario->operation))
        return false;
    return ga_trace_run_to(server, address);
}

/* The next server, and what becomes of the driver. */
static bool end_server(struct exploration *e, const struct ga_server_scenario *scenario,
                       struct ga_actor *driver, const struct ga_tracee *server)
{
    if (scenario->fate == GA_DRIVER_DIES)
        ga_actor_kill(driver);
    if (!replace_server(e, server))
        return false;
    if (scenario->fate == GA_DRIVER_LIVES) {
        bool good = (!scenario->operation || ga_actor_await(driver)) &&
                    ga_actor_do(driver, scenario->after);
        ga_actor_kill(driver);
        return good;
    }
    return true;
}

/* What a run is for. */
enum purpose { WARM_UP, RECORD, KILL };

/* From the operation's beginning to where the server is to be killed. */
static bool bring_server(struct exploration *e, const struct ga_server_scenario *scenario,
                         const struct ga_tracee *server, struct ga_trace *trace,
                         enum purpose purpose, uint32_t k)
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

static bool run_server(struct exploration *e, const struct ga_server_scenario *scenario,
                       struct ga_trace *trace, enum purpose purpose, uint32_t k)
{
    struct ga_actor driver = {.pid = -1};
    struct ga_tracee server;
    if (scenario->fresh) {
        ga_crash_world_fini(&e->world);
        if (!start_world(e)) {
            give_up(e, "goallocd could not be started");
            return false;
        }
    }
    if (!begin_server(e, scenario, &driver, &server)) {
        ga_actor_kill(&driver);
        give_up(e, "k=%" PRIu32 ": the server does not come to %s", k, scenario->function);
        return false;
    }
    if (!bring_server(e, scenario, &server, trace, purpose, k) ||
        !end_server(e, scenario, &driver, &server)) {
        ga_actor_kill(&driver);
        give_up(e, "k=%" PRIu32 ": the next server does not serve", k);
        return false;
    }
    return judge(e, purpose == RECORD ? trace->count : k);
}

void ga_explore_server(const struct ga_server_scenario *scenario,
                       const struct ga_explore_options *options, struct ga_explored *ret)
{
    struct exploration e;
    struct ga_trace trace = {0};
    if (!open_world(&e, options, ret))
        goto close;
    set_class(&e, scenario->bytes, scenario->noscan, false);
    /* The second run is the one to go by, as for clients. */
    if (!run_server(&e, scenario, &trace, WARM_UP, 0) ||
        !run_server(&e, scenario, &trace, RECORD, 0))
        goto close;
    ret->ninstructions = trace.count;
    ret->npoints = 0;
    struct points points = choose_points(&trace, false, options);
    for (uint32_t i = 0; i < points.count; i++)
        if (!run_server(&e, scenario, &trace, KILL, points.k[i]))
            break;
    free(points.k);
close:
    ga_trace_free(&trace);
    close_world(&e);
}

/* ---- a client, and then the server ---- */

/* The client dies at k1, and the server at k2 of what it does about it. */
static bool run_twice(struct exploration *e, const struct ga_client_scenario *scenario,
                      const struct ga_trace *first, uint32_t k1, struct ga_trace *second,
                      bool record, uint32_t k2)
{
    struct ga_tracee victim;
    struct ga_tracee server;
    uint64_t address;
    bool drifted = false;
    if (!bring_client(e, scenario, first, k1, &victim)) {
        give_up(e, "k=%" PRIu32 ": the operation could not be begun", k1);
        return false;
    }
    if (!seize_server(e, "ga_heap_client_leave", &server, &address)) {
        give_up(e, "the server cannot be traced");
        return false;
    }
    ga_trace_kill(&victim);
    if (!ga_trace_run_to(&server, address)) {
        give_up(e, "k=%" PRIu32 ": the server hears nothing of the death", k1);
        return false;
    }
    if (record) {
        if (!ga_trace_record(&server, true, ga_crash_world_changed, &e->world, second)) {
            give_up(e, "the recovery cannot be recorded");
            return false;
        }
        k2 = second->count;
    } else {
        (void)ga_trace_go_to(&server, second, k2, false, &drifted);
    }
    e->result->ndrifted += drifted;
    ga_actor_kill(&e->survivor);
    ga_account_orphan(e->account);
    e->trace = second;
    if (!replace_server(e, &server)) {
        give_up(e, "k=%" PRIu32 "/%" PRIu32 ": the next server does not serve", k1, k2);
        return false;
    }
    bool good = judge(e, k2);
    e->trace = first;
    return good;
}

void ga_explore_twice(const struct ga_client_scenario *scenario,
                      const struct ga_explore_options *options, struct ga_explored *ret)
{
    struct exploration e;
    struct ga_trace first = {0};
    if (!open_world(&e, options, ret))
        goto close;
    set_class(&e, scenario->bytes, scenario->noscan, scenario->in_flight);
    if (!record_client(&e, scenario, false, &first))
        goto close;
    ret->npoints = 0;
    /* Where only some are wanted: some of both. */
    struct ga_explore_options some = *options;
    some.points = options->points ? 4 : 0;
    struct points points = choose_points(&first, true, &some);
    for (uint32_t i = 0; i < points.count && !ret->failed; i++) {
        struct ga_trace second = {0};
        if (!run_twice(&e, scenario, &first, points.k[i], &second, true, 0))
            break;
        some.points = options->points ? (options->points + 3) / 4 : TWICE_MAX;
        some.seed = options->seed + i; /* others each time */
        struct points seconds = choose_points(&second, true, &some);
        for (uint32_t j = 0; j < seconds.count; j++)
            if (!run_twice(&e, scenario, &first, points.k[i], &second, false, seconds.k[j]))
                break;
        free(seconds.k);
        ga_trace_free(&second);
    }
    free(points.k);
close:
    ga_trace_free(&first);
    close_world(&e);
}

/* What every exploration does: choose its points, and judge what a kill has left: wait until the
 * server (or the next one) has recovered, audit; then a successor attaches, allocates everything of
 * the class that it can get without the heap growing, frees all that is left, and the heap must be
 * empty. */
#include "crash/exploration.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "crash/own_memory.h"
#include "shm/size_class.h"

#define ALL_INSTRUCTIONS 2000u /* from here on only before shared stores and system calls */
#define WANTED_MAX       3000u

void ga_exploration_give_up(struct ga_exploration *e, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    e->result->failed = true;
    if (!e->result->fault[0])
        vsnprintf(e->result->fault, sizeof(e->result->fault), format, args);
    va_end(args);
}

/* ---- points ---- */

/* The points of a trace: after each of the first instructions, or only before events; and the end.
 */
struct ga_points ga_exploration_choose_points(const struct ga_trace *trace, bool only_events,
                                              const struct ga_explore_options *options)
{
    struct ga_points points = {.room = (trace->count + 1) * sizeof(uint32_t)};
    points.k = ga_own_memory_new(points.room);
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

void ga_exploration_free_points(struct ga_points *points)
{
    ga_own_memory_free(points->k, points->room);
}

/* ---- the judgement ---- */

static ga_span_class class_of(const struct ga_exploration *e)
{
    if (e->noscan && e->bytes < 16)
        return GA_SPAN_CLASS_TINY;
    uint32_t size_class = e->bytes > GA_SMALL_MAX ? 0 : ga_size_class_for_malloc(e->bytes);
    return (ga_span_class)(size_class * 2 + e->noscan);
}

/* In the successor. */
static const struct ga_exploration *mine;

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

/* Before the objects that they name are freed. */
static void unpublish_all(void)
{
    const struct ga_view *view = &mine->world.view;
    uint32_t end = ga_load_acquire(&view->meta->root_end);
    for (uint32_t i = 0; i < end; i++)
        if (ga_load_acquire(&view->roots[i].used))
            (void)goalloc_unpublish(ga_heap, view->roots[i].name);
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
    unpublish_all();
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

static bool settle(struct ga_exploration *e)
{
    size_t nalive = e->survivor.pid > 0;
    return ga_crash_world_settle(&e->world, &e->survivor.pid, nalive);
}

static void note_fault(struct ga_exploration *e, uint32_t k, const char *what)
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
static void enter(struct ga_exploration *e, uint32_t k, const struct ga_verdict *verdict)
{
    e->result->leaked += verdict->leaked;
    e->result->corrupted += verdict->corrupted;
    e->result->in_flight += verdict->in_flight;
    if (verdict->why[0])
        note_fault(e, k, verdict->why);
}

static void enter_complaints(struct ga_exploration *e, uint32_t k)
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
bool ga_exploration_judge(struct ga_exploration *e, uint32_t k)
{
    struct ga_verdict verdict;
    if (!settle(e)) {
        ga_exploration_give_up(e, "k=%" PRIu32 ": what the dead had is not recovered", k);
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
        const char *why = e->account->complaint;
        ga_exploration_give_up(e, "k=%" PRIu32 ": a new client could not work%s%s", k,
                               why[0] ? ": " : "", why);
        return false;
    }
    enter_complaints(e, k);
    ga_account_clear(e->account, false);
    ga_crash_world_audit(&e->world, e->account, GA_NOTHING_IN_FLIGHT, &verdict);
    enter(e, k, &verdict);
    return !(e->options->first_fault && (e->result->leaked || e->result->corrupted));
}

/* What the survivor noted, freed or released by itself. */
static void free_survivors(void)
{
    for (uint32_t i = 0; i < ga_account->nobjects; i++) {
        struct ga_account_object *object = &ga_account->objects[i];
        if (object->survivors && object->state == GA_OBJECT_KEPT) {
            if (!object->held)
                goalloc_free(ga_heap, (void *)object->address);
            else if (goalloc_release(ga_heap, (void *)object->address) < 0)
                ga_account_complain(ga_account, "what is held is not");
            object->state = GA_OBJECT_NONE;
        }
    }
}

/* The survivor gives up what it has, so that the next run begins as this one did. */
bool ga_exploration_end_survivor(struct ga_exploration *e)
{
    if (e->survivor.pid <= 0)
        return true;
    bool good = ga_actor_do(&e->survivor, free_survivors);
    enter_complaints(e, e->trace->count);
    return good;
}

bool ga_exploration_start_world(struct ga_exploration *e)
{
    if (!ga_crash_world_init(&e->world, e->options->goallocd))
        return false;
    e->world.soft_limit = e->soft_limit;
    return ga_crash_world_start(&e->world, false) && ga_crash_world_await(&e->world);
}

bool ga_exploration_open(struct ga_exploration *e, const struct ga_explore_options *options,
                         struct ga_explored *result)
{
    *result = (struct ga_explored){0};
    *e = (struct ga_exploration){
        .options = options, .result = result, .survivor = {.pid = -1}, .victim = {.pid = -1}};
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* for the survivor's children */
    static struct ga_trace no_trace;
    e->trace = &no_trace;
    e->account = ga_account_new();
    if (e->account && ga_exploration_start_world(e))
        return true;
    ga_exploration_give_up(e, "goallocd could not be started");
    return false;
}

void ga_exploration_close(struct ga_exploration *e)
{
    ga_actor_kill(&e->survivor);
    ga_actor_kill(&e->victim);
    ga_crash_world_fini(&e->world);
}

void ga_exploration_set_class(struct ga_exploration *e, size_t bytes, bool noscan, bool in_flight,
                              bool is_private)
{
    e->bytes = bytes ? bytes : 64;
    e->noscan = noscan;
    e->account->policy = is_private ? GOALLOC_POLICY_PRIVATE : GOALLOC_POLICY_KEEP;
    e->in_flight_class = in_flight ? class_of(e) / 2 : GA_NOTHING_IN_FLIGHT;
}

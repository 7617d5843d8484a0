/* The steps of a cycle, from its beginning to its end. */
#include "server/shell/cycle.h"

#include <errno.h>

#include "server/shell/cycle_internal.h"
#include "server/shell/server.h"

/* While all run, what they have written is marked in so many rounds at most; the next one only
 * where it was more than so many OS pages in the last, and a quarter less than in that before. */
#define ROUNDS_MAX  8u
#define ROUND_PAGES 512u

/* And on a quarter of the cores, as in Go, unless somebody waits for the end. */
#define RUNNING_SHARE 4u

#define ENTER_NSPANS 2048u /* entered, or counted, in a turn of the loop */
#define SLICE_NSPANS 256u  /* swept */

/* ---- the end ---- */

/* Managed clients go on. */
static void end_standstill(struct ga_server *server)
{
    struct ga_cycle *cycle = &server->cycle;
    if (server->standstill.on && server->standstill.nasked > 0) {
        cycle->pause_ns = uv_hrtime() - server->standstill.began_ns;
        cycle->pause_total_ns += cycle->pause_ns + server->track.stood_ns;
        if (cycle->pause_ns < server->track.stood_ns)
            cycle->pause_ns = server->track.stood_ns;
    }
    ga_standstill_end(server);
}

static void finish(struct ga_server *server, const char *failure)
{
    struct ga_cycle *cycle = &server->cycle;
    cycle->failure = failure;
    if (failure)
        ga_collect_abandon(server->heap);
    else
        ga_collect_end(server->heap);
    cycle->last_end_ms = ga_world_now_ms();
    cycle->last_ms = cycle->last_end_ms - cycle->began_ns / 1000000;
    cycle->on = cycle->begun = cycle->sweeping = false;
    end_standstill(server);
    ga_track_end(server);
    if (server->ending)
        return;
    ga_cycle_note_growth(server);
    uv_idle_stop(&cycle->slices);
    if (failure)
        ga_event_collect_abandoned(server);
    else
        ga_event_collect_end(server);
    if (failure && cycle->failed_for_now)
        ga_cycle_try_again(server);
    ga_cycle_tell(server);
    ga_cycle_begin_next(server);
    ga_cycle_look(server);
}

/* ---- the sweep ---- */

static void on_slice(uv_idle_t *slices)
{
    struct ga_server *server = slices->data;
    struct ga_cycle *cycle = &server->cycle;
    if (ga_quiet_is_on(server)) {
        uv_idle_stop(slices); /* nothing may change now; ga_cycle_go_on */
        return;
    }
    uint64_t from = uv_hrtime();
    bool done = ga_collect_sweep_some(server->heap, SLICE_NSPANS);
    cycle->sweep_ns += uv_hrtime() - from;
    if (done)
        finish(server, NULL);
}

void ga_cycle_go_on(struct ga_server *server)
{
    if (server->ending)
        return;
    if (server->cycle.sweeping)
        uv_idle_start(&server->cycle.slices, on_slice);
    else
        ga_cycle_begin_next(server);
}

/* ---- the marking ---- */

static void mark(uv_work_t *work)
{
    const struct ga_server *server = work->data;
    ga_collect_work(server->heap, server->cycle.nworkers == 1);
}

static void stop(struct ga_server *server)
{
    server->cycle.phase = GA_CYCLE_STOPPING;
    if (server->track.on)
        ga_track_clear(server);
    if (ga_standstill_begin(server))
        ga_cycle_all_stopped(server);
}

/* All is marked that was found while clients ran. What they have written meanwhile is so much that
 * it is marked while they run, too, unless it was little the last time. */
static void on_marked_running(struct ga_server *server)
{
    struct ga_cycle *cycle = &server->cycle;
    if (server->ending || ga_world_is_damaged(server->world)) {
        finish(server, server->ending ? "the server ends" : "the heap is damaged");
        return;
    }
    uint64_t npages = ga_track_count(server);
    bool is_worth_it =
        cycle->nrounds == 0 || (npages > ROUND_PAGES && npages <= cycle->round_npages / 4 * 3);
    if (!ga_track_is_known(server) || !is_worth_it || cycle->nrounds == ROUNDS_MAX) {
        stop(server);
        return;
    }
    cycle->nrounds++;
    cycle->round_npages = cycle->nrounds == 1 ? UINT64_MAX : npages;
    cycle->phase = GA_CYCLE_LOOKING;
    ga_track_clear(server);
    ga_track_again(server);
}

static void on_marked(uv_work_t *work, int status)
{
    struct ga_server *server = work->data;
    struct ga_cycle *cycle = &server->cycle;
    (void)status; /* nobody cancels it */
    if (--cycle->nmarking > 0)
        return;
    if (cycle->phase == GA_CYCLE_MARKING) {
        on_marked_running(server);
        return;
    }
    int r = server->ending || cycle->failure ? -ECANCELED : ga_collect_settle(server->heap);
    cycle->mark_ns = uv_hrtime() - cycle->began_ns;
    /* What was missing has been read as zeros, and the heap ends. */
    if (cycle->failure)
        finish(server, cycle->failure);
    else if (r == 0 && ga_world_is_damaged(server->world))
        finish(server, "the heap is damaged");
    else if (r == 0 && !ga_standstill_release(server))
        finish(server, server->standstill.why);
    else if (r < 0)
        finish(server, server->ending ? "the server ends" : "there is no memory to mark with");
    else {
        /* What is garbage now nobody finds any more, and it is freed as any process frees others'
         * objects: so nobody need stand still for that. */
        end_standstill(server);
        cycle->sweeping = true;
        ga_cycle_go_on(server);
    }
}

/* As many threads as there are cores, of the four that libuv has; fewer while others run. */
static uint32_t count_workers(const struct ga_cycle *cycle)
{
    unsigned ncores = uv_available_parallelism();
    if (cycle->phase == GA_CYCLE_MARKING && !ga_cycle_is_waited_for(cycle))
        ncores = ncores < RUNNING_SHARE ? 1 : ncores / RUNNING_SHARE;
    return ncores < GA_CYCLE_WORKERS_MAX ? ncores : GA_CYCLE_WORKERS_MAX;
}

static void start_marking(struct ga_server *server, enum ga_cycle_phase phase)
{
    struct ga_cycle *cycle = &server->cycle;
    cycle->phase = phase;
    cycle->nworkers = count_workers(cycle);
    for (uint32_t i = 0; i < cycle->nworkers; i++) {
        cycle->work[i].data = server;
        if (uv_queue_work(&server->loop, &cycle->work[i], mark, on_marked) == 0)
            cycle->nmarking++;
    }
    if (cycle->nmarking == 0)
        finish(server, "no thread can be had to mark with");
}

void ga_cycle_begin(struct ga_server *server, enum ga_collect_mode mode)
{
    struct ga_cycle *cycle = &server->cycle;
    cycle->on = true;
    cycle->mode = mode;
    cycle->number++;
    cycle->nmarking = 0;
    cycle->mark_ns = cycle->sweep_ns = 0;
    cycle->began_ns = uv_hrtime();
    ga_cycle_take_waiters(server);
    cycle->failure = NULL;
    cycle->failed_for_now = false;
    ga_event_collect_begin(server);
    cycle->phase = GA_CYCLE_TRACKING;
    cycle->nrounds = 0;
    if (!ga_heap_has_managed(server->heap) || !ga_track_begin(server))
        stop(server);
}

/* Go on in phase if what had to be done for that could be, by r. */
static void go_on_marking(struct ga_server *server, int r, enum ga_cycle_phase phase)
{
    if (r < 0)
        finish(server, "there is no memory to mark with");
    else
        start_marking(server, phase);
}

/* All that is marked is marked while clients stand still. */
static void mark_all(struct ga_server *server)
{
    server->cycle.begun = true;
    ga_collect_abandon(server->heap); /* one that has begun while they ran */
    int r = ga_collect_begin(server->heap, server->cycle.mode);
    if (r == 0)
        r = ga_standstill_add_roots(server);
    go_on_marking(server, r, GA_CYCLE_CLOSING);
}

/* All but what clients have written in the end has been marked while they ran. */
static void mark_last(struct ga_server *server)
{
    const struct ga_track *track = &server->track;
    server->cycle.begun = true;
    int r = ga_collect_look_again(server->heap, track->written, track->nwords, true);
    if (r == 0)
        r = ga_standstill_add_roots(server);
    go_on_marking(server, r, GA_CYCLE_CLOSING);
}

void ga_cycle_all_stopped(struct ga_server *server)
{
    if (!ga_collect_is_on(server->heap) || !ga_track_is_known(server)) {
        mark_all(server);
        return;
    }
    server->cycle.phase = GA_CYCLE_TELLING;
    if (ga_track_last(server))
        ga_cycle_tracked(server);
}

/* Enter what is to be marked while all run. */
static void on_enter(uv_idle_t *slices)
{
    struct ga_server *server = slices->data;
    const struct ga_track *track = &server->track;
    bool is_known = ga_track_is_known(server);
    bool done = false;
    int r = is_known ? ga_collect_enter_some(server->heap, ENTER_NSPANS, &done) : 0;
    if (is_known && r == 0 && !done)
        return;
    uv_idle_stop(slices);
    if (!is_known) {
        stop(server);
        return;
    }
    if (r == 0)
        r = ga_collect_add_roots(server->heap, track->roots, track->nroots);
    go_on_marking(server, r, GA_CYCLE_MARKING);
}

static void enter(struct ga_server *server)
{
    struct ga_cycle *cycle = &server->cycle;
    cycle->phase = GA_CYCLE_ENTERING;
    if (ga_collect_prepare(server->heap, cycle->mode) < 0)
        finish(server, "there is no memory to mark with");
    else
        uv_idle_start(&cycle->slices, on_enter);
}

void ga_cycle_tracked(struct ga_server *server)
{
    struct ga_cycle *cycle = &server->cycle;
    const struct ga_track *track = &server->track;
    bool is_known = ga_track_is_known(server);
    if (cycle->phase == GA_CYCLE_TELLING && is_known) {
        mark_last(server);
    } else if (cycle->phase == GA_CYCLE_TELLING) {
        mark_all(server);
    } else if (!is_known) {
        stop(server);
    } else if (cycle->phase == GA_CYCLE_LOOKING) {
        int r = ga_collect_look_again(server->heap, track->written, track->nwords, false);
        go_on_marking(server, r, GA_CYCLE_MARKING);
    } else {
        enter(server);
    }
}

void ga_cycle_give_up(struct ga_server *server, const char *failure, bool for_now)
{
    struct ga_cycle *cycle = &server->cycle;
    cycle->failed_for_now = for_now;
    if (cycle->nmarking == 0) {
        finish(server, failure);
        return;
    }
    /* Who marks ends it; the others need not wait for that. */
    cycle->failure = failure;
    ga_collect_cancel(server->heap);
    end_standstill(server);
}

void ga_cycle_set_percent(struct ga_server *server, uint32_t percent)
{
    server->cycle.percent = percent;
    ga_cycle_set_goal(&server->cycle, server->cycle.reached_bytes);
}

int ga_cycle_init(struct ga_server *server)
{
    struct ga_cycle *cycle = &server->cycle;
    cycle->slices.data = cycle->delay.data = cycle->again.data = server;
    cycle->percent = server->world->options->gc_percent;
    ga_cycle_set_goal(cycle, 0);
    int r = uv_idle_init(&server->loop, &cycle->slices);
    if (r == 0)
        r = uv_timer_init(&server->loop, &cycle->delay);
    return r < 0 ? r : uv_timer_init(&server->loop, &cycle->again);
}

void ga_cycle_close(struct ga_server *server)
{
    uv_close((uv_handle_t *)&server->cycle.slices, NULL);
    uv_close((uv_handle_t *)&server->cycle.delay, NULL);
    uv_close((uv_handle_t *)&server->cycle.again, NULL);
    if (server->cycle.on)
        ga_collect_cancel(server->heap);
}

/* What a batch took is the time on a core of all threads but the loop's, those of the kernel that
 * work for the ring included; so others that keep the machine busy make the pace no slower. While
 * somebody copies the heap nothing is begun: what is free does not matter to the copy, but it is to
 * find the heap at rest. */
#include "server/shell/scavenger.h"

#include <time.h>

#include "server/shell/server.h"

static void on_run(void *data, uint32_t i, bool punched)
{
    struct ga_scavenger *scavenger = data;
    if (punched)
        scavenger->released_bytes += scavenger->puncher.runs[i].npages * GA_PAGE_SIZE;
    if (!punched && ga_log_limit_allows(&scavenger->server->refused_punches, ga_world_now_ms()))
        ga_log(GA_LOG_WARNING, "memory could not be given back to the system");
    ga_heap_end_release(scavenger->server->heap, i, punched);
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t work_of_others_ns(void)
{
    uint64_t own = clock_ns(CLOCK_THREAD_CPUTIME_ID); /* first, so that it is not the more */
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own;
}

static void on_timer(uv_timer_t *timer);

static void sleep_for(struct ga_scavenger *scavenger, uint64_t ns)
{
    uv_timer_start(&scavenger->timer, on_timer, ns / 1000000 + 1, 0);
}

static void on_batch(void *data)
{
    struct ga_scavenger *scavenger = data;
    struct ga_server *server = scavenger->server;
    if (scavenger->released_bytes > 0)
        ga_event_scavenge(server, scavenger->released_bytes);
    uint64_t now = uv_hrtime();
    uint64_t slept = scavenger->ended_ns ? scavenger->began_ns - scavenger->ended_ns : 0;
    scavenger->ended_ns = now;
    uint64_t sleep = ga_scavenge_pace_next(&scavenger->pace, now - scavenger->began_ns, slept,
                                           scavenger->bytes, ga_heap_surplus_bytes(server->heap));
    if (!server->ending)
        sleep_for(scavenger, sleep);
}

/* Begin a batch, or stop where there is none. */
static void go_on(struct ga_scavenger *scavenger)
{
    struct ga_server *server = scavenger->server;
    struct ga_page_run runs[GA_RELEASE_RUNS];
    uint32_t nruns = ga_quiet_is_on(server) ? 0 : ga_heap_begin_release(server->heap, runs);
    scavenger->at_work = nruns > 0;
    if (nruns == 0)
        return;
    scavenger->bytes = scavenger->released_bytes = 0;
    for (uint32_t i = 0; i < nruns; i++) {
        scavenger->bytes += runs[i].npages * GA_PAGE_SIZE;
        ga_ahead_keep_off(&server->world->ahead, (runs[i].page + runs[i].npages) * GA_PAGE_SIZE);
    }
    scavenger->began_ns = uv_hrtime();
    scavenger->worked_ns = work_of_others_ns();
    ga_puncher_begin(&scavenger->puncher, &server->loop, runs, nruns);
}

static void on_timer(uv_timer_t *timer)
{
    struct ga_scavenger *scavenger = timer->data;
    if (ga_puncher_is_ready(&scavenger->puncher))
        go_on(scavenger);
    else
        sleep_for(scavenger, 0);
}

void ga_scavenger_tick(struct ga_scavenger *scavenger)
{
    struct ga_heap *heap = scavenger->server->heap;
    ga_heap_next_period(heap);
    if (scavenger->at_work || ga_heap_surplus_bytes(heap) == 0)
        return;
    scavenger->ended_ns = 0;
    ga_scavenge_pace_begin(&scavenger->pace);
    on_timer(&scavenger->timer);
}

int ga_scavenger_start(struct ga_scavenger *scavenger, struct ga_server *server)
{
    const struct ga_world *world = server->world;
    scavenger->server = server;
    scavenger->timer.data = scavenger;
    scavenger->puncher.on_run = on_run;
    scavenger->puncher.on_batch = on_batch;
    scavenger->puncher.data = scavenger;
    ga_scavenge_pace_init(&scavenger->pace);
    int r = uv_timer_init(&server->loop, &scavenger->timer);
    if (r == 0)
        r = ga_puncher_start(&scavenger->puncher, &server->loop, world->mappings[GA_OBJECT_HEAP].fd,
                             world->options->io_uring);
    return r;
}

void ga_scavenger_close(struct ga_scavenger *scavenger)
{
    ga_puncher_close(&scavenger->puncher);
    uv_close((uv_handle_t *)&scavenger->timer, NULL);
}

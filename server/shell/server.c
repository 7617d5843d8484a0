/* The loop reads what clients sent and dispatches it at once. What several messages may ask for,
 * but need be done only once (a call for memory), waits for the check that follows reading. A timer
 * has the pending bits swept, a slice in each turn: clients that free small objects in spans of
 * nobody leave only a bit.
 *
 * The end, by signal or because the heap is damaged: the socket's file is removed, every handle is
 * closed, and the loop runs out by itself. */
#include "server/shell/server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>

#include "server/shell/attachment.h"
#include "server/shell/connection.h"
#include "server/shell/descriptors.h"
#include "server/shell/reload.h"
#include "server/shell/spoilt.h"

#define SWEEP_INTERVAL_MS 1000u
#define FIRST_CLIENT_MS   10000u
#define LAST_CLIENT_MS    1000u
#define BACKLOG           1024

static void end(struct ga_server *server)
{
    if (server->ending)
        return;
    server->ending = true;
    /* A second signal must not kill us before everything is taken back. */
    ga_signals_block();
    if (server->listener)
        ga_listener_remove(server->listener);
    uv_close((uv_handle_t *)&server->listening, NULL);
    for (int i = 0; i < GA_ENDING_SIGNALS; i++)
        uv_close((uv_handle_t *)&server->signals[i], NULL);
    uv_close((uv_handle_t *)&server->sweep_timer, NULL);
    uv_close((uv_handle_t *)&server->private_timer, NULL);
    uv_close((uv_handle_t *)&server->quiet.limit, NULL);
    uv_close((uv_handle_t *)&server->after_reading, NULL);
    ga_turns_close(&server->turns);
    ga_cycle_close(server);
    ga_track_close(server);
    ga_standstill_close(server);
    ga_events_close(server);
    ga_service_close(server);
    uv_close((uv_handle_t *)&server->catching_up, NULL);
    uv_close((uv_handle_t *)&server->recovering, NULL);
    uv_close((uv_handle_t *)&server->sweeping, NULL);
    ga_scavenger_close(&server->scavenger);
    server->world->puncher = NULL;
    server->world->server = NULL;
    for (struct ga_attachment *a = server->attachments; a; a = a->next)
        ga_attachment_abandon(a);
    ga_programs_abandon(server);
    for (struct ga_connection *c = server->connections; c; c = c->next)
        ga_connection_close(c);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct ga_server *server = handle->data;
    if (number == SIGHUP && server->reload) {
        ga_reload(server);
        return;
    }
    if (number == SIGUSR1) {
        ga_log(GA_LOG_INFO, "SIGUSR1: ending when the last client has gone");
        (void)ga_server_make_private(server);
        return;
    }
    ga_log(GA_LOG_INFO, "ending on %s", ga_signals_name(number));
    end(server);
}

/* What the core has read of a truncated object is not what was written there: nothing more is done
 * with it. */
static void end_damaged(struct ga_server *server, const char *object)
{
    if (server->ending)
        return;
    server->damaged = true;
    ga_log(GA_LOG_ERROR, "heap '%s' was damaged from outside: its %s object was truncated",
           server->world->name, object);
    end(server);
}

/* Not while the heap is copied: what is there to be swept then was freed by who is not attached. */
static void on_sweeping(uv_idle_t *idle)
{
    struct ga_server *server = idle->data;
    if (ga_quiet_is_on(server) || !ga_heap_sweep_some(server->heap))
        uv_idle_stop(idle);
    ga_pass_look(server);
}

void ga_server_sweep(struct ga_server *server)
{
    uv_idle_start(&server->sweeping, on_sweeping);
}

/* Three calls of fstat; so not at each turn of the loop. */
static void look_for_damage(struct ga_server *server)
{
    const char *object = ga_world_find_damage(server->world, server->heap);
    if (object)
        end_damaged(server, object);
}

static void end_if_damaged(struct ga_server *server)
{
    if (ga_world_is_damaged(server->world))
        look_for_damage(server);
}

static void on_sweep_timer(uv_timer_t *timer)
{
    struct ga_server *server = timer->data;
    (void)ga_heap_begin_sweep(server->heap);
    ga_server_sweep(server);
    ga_shortage_look(server);
    ga_scavenger_tick(&server->scavenger);
    ga_spoilt_look(server);
    look_for_damage(server);
    ga_strangers_expire(server, ga_world_now_ms());
}

static void on_after_reading(uv_check_t *check)
{
    struct ga_server *server = check->data;
    ga_strangers_thin(server);
    server->turn++;
    if (server->world->reclaim_wanted) {
        server->world->reclaim_wanted = false;
        ga_shortage_call(server);
    }
    end_if_damaged(server);
    ga_cycle_look_at_growth(server);
}

static void accept_next(struct ga_server *server)
{
    uv_stream_t *listening = (uv_stream_t *)&server->listening;
    int r = ga_connection_accept(server, listening);
    if (r < 0)
        ga_refusal_next(&server->refusal, listening);
    if (r < 0 && ga_log_limit_allows(&server->bad_peers, ga_world_now_ms()))
        ga_log(GA_LOG_WARNING, "a connection was not accepted: %s", uv_strerror(r));
}

/* Handle what connections have left over from the turn before, a turn's messages each; the loop
 * looks at everybody else in between. */
static void on_catching_up(uv_idle_t *idle)
{
    struct ga_server *server = idle->data;
    bool has_more = server->has_one_more;
    if (server->has_one_more && !server->ending) {
        server->has_one_more = false;
        accept_next(server);
    }
    for (struct ga_connection *c = server->connections; c; c = c->next)
        has_more |= ga_connection_go_on(c);
    if (!has_more)
        uv_idle_stop(idle);
}

static void on_recovering(uv_idle_t *idle)
{
    struct ga_server *server = idle->data;
    if (!ga_attachment_go_on(server))
        uv_idle_stop(idle);
    end_if_damaged(server);
}

void ga_server_recover(struct ga_server *server)
{
    if (!server->ending)
        uv_idle_start(&server->recovering, on_recovering);
}

void ga_server_catch_up(struct ga_server *server)
{
    if (!server->ending)
        uv_idle_start(&server->catching_up, on_catching_up);
}

static void on_connection(uv_stream_t *listening, int status)
{
    struct ga_server *server = listening->data;
    if (server->accept_turn != server->turn) {
        server->accept_turn = server->turn;
        server->accepted_in_turn = 0;
    }
    if (status == 0 && server->accepted_in_turn++ >= server->strangers.most_in_turn) {
        server->has_one_more = true; /* libuv offers no other before this one is accepted */
        ga_server_catch_up(server);
    } else if (status == 0) {
        accept_next(server);
    } else if (ga_log_limit_allows(&server->bad_peers, ga_world_now_ms())) {
        ga_log(GA_LOG_WARNING, "a connection was not accepted: %s", uv_strerror(status));
    }
}

/* ---- a private server ---- */

/* Whether somebody has connected whom the loop has not seen yet. */
static bool somebody_waits(struct ga_server *server)
{
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&server->listening, &fd) < 0)
        return false;
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    return poll(&waiting, 1, 0) > 0;
}

/* Whether there is anybody but those who only watch. */
static bool is_in_use(const struct ga_server *server)
{
    const struct ga_connection *c = server->connections;
    while (c && c->watch)
        c = c->next;
    return c || server->attachments || server->programs.first;
}

static void on_private_timer(uv_timer_t *timer)
{
    struct ga_server *server = timer->data;
    if (is_in_use(server) || somebody_waits(server))
        return; /* who leaves starts the timer again */
    ga_log(GA_LOG_INFO, "ending, since the last client has gone");
    end(server);
}

int ga_server_make_private(struct ga_server *server)
{
    server->is_private = true;
    return uv_timer_start(&server->private_timer, on_private_timer, FIRST_CLIENT_MS, 0);
}

void ga_server_left(struct ga_server *server)
{
    if (server->is_private && !server->ending && !is_in_use(server))
        uv_timer_start(&server->private_timer, on_private_timer, LAST_CLIENT_MS, 0);
}

/* None of these can fail but for want of memory or descriptors. */
static int init_handles(struct ga_server *server)
{
    server->listening.data = server;
    server->sweep_timer.data = server;
    server->private_timer.data = server;
    server->quiet.limit.data = server;
    server->after_reading.data = server;
    server->catching_up.data = server;
    server->recovering.data = server;
    server->sweeping.data = server;
    int r = uv_pipe_init(&server->loop, &server->listening, 0);
    if (r == 0)
        r = uv_timer_init(&server->loop, &server->sweep_timer);
    if (r == 0)
        r = uv_timer_init(&server->loop, &server->private_timer);
    if (r == 0)
        r = uv_timer_init(&server->loop, &server->quiet.limit);
    if (r == 0)
        r = uv_check_init(&server->loop, &server->after_reading);
    if (r == 0)
        r = uv_idle_init(&server->loop, &server->catching_up);
    if (r == 0)
        r = uv_idle_init(&server->loop, &server->recovering);
    if (r == 0)
        r = uv_idle_init(&server->loop, &server->sweeping);
    if (r == 0)
        r = ga_turns_init(&server->turns, &server->loop);
    if (r == 0)
        r = ga_cycle_init(server);
    if (r == 0)
        r = ga_track_init(server);
    if (r == 0)
        r = ga_standstill_init(server);
    if (r == 0)
        r = ga_events_init(server);
    if (r == 0)
        r = ga_service_init(server);
    for (int i = 0; r == 0 && i < GA_ENDING_SIGNALS; i++) {
        server->signals[i].data = server;
        r = uv_signal_init(&server->loop, &server->signals[i]);
    }
    if (r == 0)
        r = ga_scavenger_start(&server->scavenger, server);
    return r;
}

static void close_handle(uv_handle_t *handle, void *data)
{
    (void)data;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

int ga_server_new(struct ga_world *world, struct ga_heap *heap, const char *socket_path,
                  const struct ga_access *access, struct ga_server **ret)
{
    struct ga_server *server = calloc(1, sizeof(*server));
    if (!server)
        return -ENOMEM;
    ga_strangers_init(&server->strangers, ga_descriptors_count());
    server->world = world;
    server->heap = heap;
    ga_heap_set_memory(heap, world->mappings[GA_OBJECT_HEAP].address);
    server->socket_path = socket_path;
    server->access = access;
    int r = -ENOMEM;
    void *memory = malloc(GA_DECODE_ARENA_BYTES);
    if (!memory)
        goto free_server;
    ga_decode_arena_init(&server->arena, memory, GA_DECODE_ARENA_BYTES);
    r = uv_loop_init(&server->loop);
    if (r < 0)
        goto free_arena;
    r = init_handles(server);
    if (r < 0)
        goto close_loop;
    world->puncher = &server->scavenger.puncher;
    world->server = server;
    *ret = server;
    return 0;

close_loop:
    uv_walk(&server->loop, close_handle, NULL);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    uv_loop_close(&server->loop);
free_arena:
    free(memory);
free_server:
    free(server);
    return r;
}

void ga_server_free(struct ga_server *server)
{
    if (!server)
        return;
    end(server);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    uv_loop_close(&server->loop);
    free(server->arena.memory);
    free(server->events.held);
    free(server);
}

int ga_server_listen(struct ga_server *server, struct ga_listener *listener)
{
    int r = uv_pipe_open(&server->listening, listener->fd);
    if (r < 0)
        return r;
    ga_listener_take_fd(listener);
    server->listener = listener;
    r = uv_listen((uv_stream_t *)&server->listening, BACKLOG, on_connection);
    if (r == 0)
        r = uv_timer_start(&server->sweep_timer, on_sweep_timer, SWEEP_INTERVAL_MS,
                           SWEEP_INTERVAL_MS);
    if (r == 0)
        r = uv_check_start(&server->after_reading, on_after_reading);
    if (r == 0)
        ga_turns_start(&server->turns);
    if (r == 0)
        r = ga_signals_start(server->signals, on_signal);
    return r;
}

void ga_server_set_reload(struct ga_server *server, struct ga_reload *reload)
{
    server->reload = reload;
}

int ga_server_run(struct ga_server *server)
{
    uv_run(&server->loop, UV_RUN_DEFAULT);
    return server->damaged ? -EIO : 0;
}

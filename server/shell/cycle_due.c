/* When a cycle is due: for what managed clients were granted, and for what the dead have left. */
#include "server/shell/cycle_internal.h"

#include "server/shell/connection.h"
#include "server/shell/server.h"

/* Those that have gone by then are looked for together; and no more than a tenth of a core goes
 * into looking for orphans, however many go. */
#define DELAY_MS    200u
#define DELAY_SHARE 9u
#define FAILURE_MS  10000u /* after a cycle that was abandoned */

/* What managed clients have before the first cycle. */
#define GROWTH_MIN_BYTES (UINT64_C(4) << 20)
#define GROWTH_RETRY_MS  1000u /* after a cycle that was abandoned */

/* ---- managed clients' growth ---- */

void ga_cycle_set_goal(struct ga_cycle *cycle, uint64_t reached_bytes)
{
    uint64_t least_bytes = GROWTH_MIN_BYTES * cycle->percent / 100;
    uint64_t more_bytes = reached_bytes * cycle->percent / 100; /* of a reserve it fits */
    cycle->reached_bytes = reached_bytes;
    cycle->next_bytes = reached_bytes + more_bytes;
    if (cycle->next_bytes < least_bytes)
        cycle->next_bytes = least_bytes;
    cycle->trigger_bytes =
        cycle->next_bytes > reached_bytes ? cycle->next_bytes - reached_bytes : 0;
}

void ga_cycle_note_growth(struct ga_server *server)
{
    struct ga_cycle *cycle = &server->cycle;
    const struct ga_collect_result *result = ga_collect_get_result(server->heap);
    if (!cycle->failure && cycle->mode == GA_COLLECT_FULL) {
        ga_cycle_set_goal(cycle, result->found.bytes - result->garbage.bytes);
        cycle->granted_bytes = ga_heap_managed_bytes(server->heap);
        cycle->unseen_bytes = 0;
        cycle->nfull++;
        cycle->full_end_wall_ms = ga_world_wall_ms();
    }
}

/* After a cycle that was abandoned: threads may have stood still for seconds, for one that does
 * not. No more than a tenth of the time goes into that. */
static uint64_t growth_pause_ms(const struct ga_cycle *cycle)
{
    uint64_t pause_ms = DELAY_SHARE * cycle->last_ms;
    return pause_ms > GROWTH_RETRY_MS ? pause_ms : GROWTH_RETRY_MS;
}

static bool is_too_soon(const struct ga_cycle *cycle)
{
    return cycle->failure && ga_world_now_ms() - cycle->last_end_ms < growth_pause_ms(cycle);
}

/* What the next cycle is to find, of what makes it due. */
#define GAIN_PART 4u

static uint64_t granted_since(const struct ga_server *server)
{
    return ga_heap_managed_bytes(server->heap) - server->cycle.granted_bytes;
}

bool ga_cycle_comes_first(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    const struct ga_cycle *cycle = &server->cycle;
    const Goalloc__V1__LargeAlloc *wanted = message->large_alloc;
    uint64_t since_bytes = granted_since(server);
    if (connection->after_collection || cycle->percent == 0 || server->quiet.asked_by ||
        since_bytes < cycle->trigger_bytes / GAIN_PART ||
        (since_bytes < cycle->trigger_bytes &&
         wanted->size_bytes < cycle->trigger_bytes - since_bytes) ||
        is_too_soon(cycle) || !ga_heap_has_managed(server->heap) ||
        !ga_heap_would_grow(server->heap, wanted->size_bytes, wanted->alignment))
        return false;
    /* One that is under way is as good: what was granted since it began is little. */
    return ga_cycle_wait_with(connection, message, cycle->on && cycle->mode == GA_COLLECT_FULL);
}

void ga_cycle_note_large(struct ga_server *server, uint64_t before_bytes)
{
    uint64_t bytes = ga_heap_managed_bytes(server->heap) - before_bytes;
    if (bytes > 0)
        server->cycle.unseen_bytes = bytes;
}

/* The last large object is left out: a cycle now would find reached what it is to replace, and the
 * next large one has a cycle come before it. */
void ga_cycle_look_at_growth(struct ga_server *server)
{
    const struct ga_cycle *cycle = &server->cycle;
    if (cycle->on || cycle->percent == 0 || server->ending || server->quiet.asked_by ||
        granted_since(server) < cycle->trigger_bytes + cycle->unseen_bytes || is_too_soon(cycle))
        return;
    if (ga_heap_has_managed(server->heap))
        ga_cycle_begin(server, GA_COLLECT_FULL);
}

/* ---- orphans ---- */

static void on_delay(uv_timer_t *delay)
{
    struct ga_server *server = delay->data;
    /* With the end of the one under way, or of the quiet, it is looked again. */
    if (!server->cycle.on && !server->quiet.asked_by && ga_collect_has_new_orphans(server->heap))
        ga_cycle_begin(server, GA_COLLECT_ORPHANS);
}

void ga_cycle_look(struct ga_server *server)
{
    struct ga_cycle *cycle = &server->cycle;
    if (server->ending || cycle->on || !ga_collect_has_new_orphans(server->heap) ||
        uv_is_active((uv_handle_t *)&cycle->delay))
        return;
    uint64_t pause_ms = DELAY_SHARE * cycle->last_ms;
    if (cycle->failure && pause_ms < FAILURE_MS)
        pause_ms = FAILURE_MS;
    uint64_t next_ms = cycle->number ? cycle->last_end_ms + pause_ms : 0;
    uint64_t now_ms = ga_world_now_ms();
    uint64_t wait_ms = next_ms > now_ms ? next_ms - now_ms : 0;
    uv_timer_start(&cycle->delay, on_delay, wait_ms > DELAY_MS ? wait_ms : DELAY_MS, 0);
}

#include "server/shell/standstill.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/text.h"
#include "server/shell/attachment.h"
#include "server/shell/connection.h"
#include "server/shell/cycle.h"
#include "server/shell/dispatch_handlers.h"
#include "server/shell/server.h"
#include "shm/atomic.h"
#include "shm/gc_word.h"
#include "shm/process.h"

/* For a client to be heard of, with what it points to or that it goes on looking for that: longer
 * than it tries to stop its threads (client/managed.c). And for all of it. */
#define LIMIT_MS 4000u
#define TOTAL_MS 60000u
#define LOST_MS  1000u /* after its connection has ended, for its process to end, too */

/* Between two beats; clients wait for the next ten times as long (client/managed.c). */
#define BEAT_MS 500u

/* Roots are kept until all have answered. Clients tell each about once, so there are about as many
 * as objects at most; more is nothing that a client of ours does. */
#define ROOTS_MIN 65536u

/* ---- giving up ---- */

/* for_now: the next cycle may well find nothing of the kind. */
__attribute__((format(printf, 4, 5))) static void give_up(struct ga_server *server,
                                                          const struct ga_client_info *info,
                                                          bool for_now, const char *format, ...)
{
    struct ga_standstill *still = &server->standstill;
    char what[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    snprintf(still->why, sizeof(still->why), "process %" PRIu32 " (%s) does not stand still: %s",
             info->pid, info->name, what);
    ga_text_clean(still->why); /* it may have been cut */
    ga_cycle_give_up(server, still->why, for_now);
}

static bool find_info(const struct ga_server *server, ga_client_id client,
                      struct ga_client_info *ret)
{
    return ga_heap_next_client(server->heap, client, ret) == 0 && ret->client == client;
}

static void give_up_on(const struct ga_attachment *attachment, const char *what, bool for_now)
{
    struct ga_client_info info = {.pid = attachment->pid};
    (void)find_info(attachment->server, attachment->client, &info);
    give_up(attachment->server, &info, for_now, "%s", what);
}

/* ---- asking ---- */

static void ask(struct ga_attachment *attachment)
{
    struct ga_standstill *still = &attachment->server->standstill;
    Goalloc__V1__GcStop body = GOALLOC__V1__GC_STOP__INIT;
    body.cycle = still->number;
    body.tracked = ga_track_is_known(attachment->server) ? attachment->server->track.number : 0;
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = GOALLOC__V1__ENVELOPE__BODY_GC_STOP;
    note.gc_stop = &body;
    attachment->standing = GA_STANDING_ASKED;
    attachment->heard_ms = ga_world_now_ms();
    attachment->asked_early = !attachment->settled;
    still->nasked++;
    still->nwaiting++;
    ga_connection_send(attachment->connection, &note);
}

/* What keeps a client from being asked; NULL = nothing. */
static const char *why_not(const struct ga_attachment *attachment)
{
    if (!attachment || !attachment->connection || attachment->connection->closing)
        return "it has no connection to the server";
    if (attachment->quarantined)
        return "it is in quarantine";
    return ga_process_is_stopped(attachment->pid) ? "it is stopped by a signal, or a debugger"
                                                  : NULL;
}

/* Ask all, or nobody: who does not stand still in time must not hold up those who do. */
static bool ask_all(struct ga_server *server)
{
    struct ga_client_info info;
    ga_attachment_end_replaced(server);
    for (uint32_t i = 0; ga_heap_next_client(server->heap, i, &info) == 0; i = info.client + 1) {
        const struct ga_attachment *attachment = ga_attachment_find(server, info.client);
        const char *why = info.managed ? why_not(attachment) : NULL;
        if (why) {
            give_up(server, &info, !attachment || !attachment->connection, "%s", why);
            return false;
        }
    }
    for (uint32_t i = 0; ga_heap_next_client(server->heap, i, &info) == 0; i = info.client + 1)
        if (info.managed && server->standstill.on) /* who cannot be sent a note is lost */
            ask(ga_attachment_find(server, info.client));
    return true;
}

static void on_beat(uv_timer_t *beat)
{
    const struct ga_server *server = beat->data;
    ga_heap_beat(server->heap);
}

static const char *why_late(const struct ga_attachment *attachment, bool is_over)
{
    if (!attachment->connection)
        return "its connection has ended";
    if (ga_process_is_stopped(attachment->pid))
        return "it is stopped by a signal, or a debugger";
    return is_over ? "it takes too long to find what it points to" : "it does not answer";
}

static void on_limit(uv_timer_t *limit)
{
    struct ga_server *server = limit->data;
    uint64_t now_ms = ga_world_now_ms();
    bool is_over = uv_hrtime() - server->standstill.began_ns >= UINT64_C(1000000) * TOTAL_MS;
    uint64_t longest_ms = 0;
    const struct ga_attachment *late = NULL;
    for (const struct ga_attachment *a = server->attachments; a; a = a->next) {
        uint64_t silent_ms = a->connection ? now_ms - a->heard_ms : LIMIT_MS;
        if (a->standing != GA_STANDING_ASKED || silent_ms < longest_ms)
            continue;
        longest_ms = silent_ms;
        late = a;
    }
    if (late && (is_over || longest_ms >= LIMIT_MS))
        give_up_on(late, why_late(late, is_over), !late->connection);
    else if (late)
        uv_timer_start(limit, on_limit, LIMIT_MS - longest_ms, 0);
}

bool ga_standstill_begin(struct ga_server *server)
{
    struct ga_standstill *still = &server->standstill;
    still->on = true;
    still->forgets = false;
    still->nasked = still->nwaiting = 0;
    still->nroots = 0;
    /* A number that the words of clients of an earlier server do not have. */
    still->number =
        (uint32_t)(ga_heap_generation(server->heap) << 16) | ((still->number + 1) & UINT16_MAX);
    still->began_ns = uv_hrtime();
    if (!ask_all(server) || !still->on)
        return false;
    if (still->nwaiting > 0)
        uv_timer_start(&still->limit, on_limit, LIMIT_MS, 0);
    if (still->nasked > 0)
        uv_timer_start(&still->beat, on_beat, BEAT_MS, BEAT_MS);
    return still->nwaiting == 0;
}

/* ---- answers ---- */

/* Whether what the client says is of this standstill, and it has yet to answer. */
static bool is_expected(const struct ga_connection *connection, uint32_t cycle)
{
    const struct ga_standstill *still = &connection->server->standstill;
    return still->on && cycle == still->number &&
           connection->attachment->standing == GA_STANDING_ASKED;
}

static uint64_t roots_max(const struct ga_server *server)
{
    struct ga_heap_status status;
    ga_heap_get_status(server->heap, &status);
    return ROOTS_MIN + status.committed_bytes / sizeof(uint64_t);
}

static bool make_room(struct ga_standstill *still, size_t n)
{
    size_t room = still->room ? still->room : GA_GC_ROOTS_MAX;
    while (room < still->nroots + n)
        room *= 2;
    if (room == still->room)
        return true;
    uint64_t *roots = realloc(still->roots, room * sizeof(*roots));
    if (!roots)
        return false;
    still->roots = roots;
    still->room = room;
    return true;
}

void ga_standstill_roots(struct ga_connection *connection, const Goalloc__V1__GcRoots *note)
{
    struct ga_standstill *still = &connection->server->standstill;
    if (!is_expected(connection, note->cycle))
        return;
    connection->attachment->heard_ms = ga_world_now_ms();
    if (note->n_offsets == 0)
        return; /* nothing new, but it goes on */
    if (still->nroots + note->n_offsets > roots_max(connection->server)) {
        give_up_on(connection->attachment, "it points to more than there can be", false);
    } else if (!make_room(still, note->n_offsets)) {
        give_up_on(connection->attachment, "the server has no memory for what it points to", false);
    } else {
        memcpy(still->roots + still->nroots, note->offsets,
               note->n_offsets * sizeof(*note->offsets));
        still->nroots += note->n_offsets;
    }
}

/* The object that the message names, by its offset; 0 = none. */
static uint64_t object_in(const Goalloc__V1__Envelope *message)
{
    switch (message->body_case) {
    case GOALLOC__V1__ENVELOPE__BODY_LARGE_SPAN:
        return (uint64_t)message->large_span->page << GA_PAGE_SHIFT;
    case GOALLOC__V1__ENVELOPE__BODY_ROOT:
        return message->root->offset;
    case GOALLOC__V1__ENVELOPE__BODY_REPLACED:
        return message->replaced->old_offset;
    default:
        return 0;
    }
}

void ga_standstill_tells(struct ga_server *server, const Goalloc__V1__Envelope *message)
{
    struct ga_standstill *still = &server->standstill;
    uint64_t offset = still->on && !server->cycle.begun ? object_in(message) : 0;
    if (offset == 0)
        return;
    if (make_room(still, 1))
        still->roots[still->nroots++] = offset;
    else
        still->forgets = true;
}

/* Have the client go on; whether it stood still for cycle. */
static bool let_go(const struct ga_server *server, ga_client_id client, uint32_t cycle)
{
    _Atomic uint64_t *word = ga_heap_gc_word(server->heap, client);
    uint64_t stopped = ga_gc_word(GA_GC_STOPPED, cycle);
    /* Pairs with the client's compare and swap, by which it goes on by itself. */
    if (!ga_cas_seq_cst(word, &stopped, ga_gc_word(GA_GC_RUNNING, 0)))
        return false;
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    return true;
}

/* One less to wait for. */
static void note_answer(struct ga_server *server)
{
    struct ga_standstill *still = &server->standstill;
    if (--still->nwaiting > 0)
        return;
    uv_timer_stop(&still->limit);
    ga_cycle_all_stopped(server);
}

void ga_standstill_stopped(struct ga_connection *connection, const Goalloc__V1__GcStopped *note)
{
    struct ga_server *server = connection->server;
    struct ga_attachment *attachment = connection->attachment;
    if (!is_expected(connection, note->cycle)) {
        (void)let_go(server, attachment->client, note->cycle); /* too late: that one is over */
        return;
    }
    if (note->failure[0]) {
        attachment->standing = GA_STANDING_NOT;
        give_up_on(attachment, note->failure, attachment->asked_early);
        return;
    }
    attachment->standing = GA_STANDING_STILL;
    note_answer(server);
}

void ga_standstill_detached(const struct ga_attachment *attachment)
{
    if (attachment->server->standstill.on && attachment->standing != GA_STANDING_NOT)
        give_up_on(attachment, "it has detached", true);
}

void ga_standstill_ended(struct ga_attachment *attachment)
{
    struct ga_server *server = attachment->server;
    const struct ga_standstill *still = &server->standstill;
    enum ga_standing standing = attachment->standing;
    attachment->standing = GA_STANDING_NOT;
    if (!still->on || standing == GA_STANDING_NOT)
        return;
    if (standing == GA_STANDING_ASKED)
        note_answer(server);
    else if (!let_go(server, attachment->client, still->number)) /* it did not stand to its end */
        give_up_on(attachment, "it has gone on, and ended", true);
}

void ga_standstill_hung_up(const struct ga_attachment *attachment)
{
    struct ga_standstill *still = &attachment->server->standstill;
    if (still->on && attachment->standing == GA_STANDING_ASKED)
        uv_timer_start(&still->limit, on_limit, LOST_MS, 0);
}

/* ---- the collection ---- */

int ga_standstill_add_roots(struct ga_server *server)
{
    const struct ga_standstill *still = &server->standstill;
    return still->forgets ? -ENOMEM
                          : ga_collect_add_roots(server->heap, still->roots, still->nroots);
}

bool ga_standstill_release(struct ga_server *server)
{
    struct ga_standstill *still = &server->standstill;
    for (const struct ga_attachment *a = server->attachments; a; a = a->next) {
        if (a->standing != GA_STANDING_STILL)
            continue;
        if (!let_go(server, a->client, still->number)) {
            snprintf(still->why, sizeof(still->why),
                     "process %" PRIu32 " has gone on before the marking was done", a->pid);
            return false;
        }
    }
    return true;
}

void ga_standstill_end(struct ga_server *server)
{
    struct ga_standstill *still = &server->standstill;
    if (!still->on)
        return;
    still->on = false;
    if (!server->ending) {
        uv_timer_stop(&still->limit);
        uv_timer_stop(&still->beat);
    }
    for (struct ga_attachment *a = server->attachments; a; a = a->next) {
        if (a->standing != GA_STANDING_NOT)
            (void)let_go(server, a->client, still->number);
        a->standing = GA_STANDING_NOT;
    }
    free(still->roots);
    still->roots = NULL;
    still->nroots = still->room = 0;
    for (struct ga_connection *c = server->connections; c && !server->ending; c = c->next)
        ga_attach_now(c);
}

int ga_standstill_init(struct ga_server *server)
{
    struct ga_standstill *still = &server->standstill;
    still->limit.data = still->beat.data = server;
    int r = uv_timer_init(&server->loop, &still->limit);
    return r < 0 ? r : uv_timer_init(&server->loop, &still->beat);
}

void ga_standstill_close(struct ga_server *server)
{
    uv_close((uv_handle_t *)&server->standstill.limit, NULL);
    uv_close((uv_handle_t *)&server->standstill.beat, NULL);
    ga_standstill_end(server);
}

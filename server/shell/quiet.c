#include "server/shell/quiet.h"

#include <inttypes.h>

#include "server/shell/attachment.h"
#include "server/shell/connection.h"
#include "server/shell/log.h"
#include "server/shell/reply.h"
#include "server/shell/server.h"

/* Enough for people to see who it is, and never more than a message may have. */
#define SHOWN_MAX 64u

bool ga_quiet_is_on(const struct ga_server *server)
{
    return server->quiet.asked_by && server->quiet.id == 0;
}

/* ---- asking for pauses ---- */

static void tell(struct ga_connection *connection, bool wanted)
{
    if (!connection->attachment)
        return;
    Goalloc__V1__PauseWanted body = GOALLOC__V1__PAUSE_WANTED__INIT;
    body.wanted = wanted;
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = GOALLOC__V1__ENVELOPE__BODY_PAUSE_WANTED;
    note.pause_wanted = &body;
    ga_connection_send(connection, &note);
}

static void tell_all(struct ga_server *server, bool wanted)
{
    for (struct ga_connection *c = server->connections; c; c = c->next)
        tell(c, wanted);
}

void ga_quiet_tell(struct ga_connection *connection)
{
    if (connection->server->quiet.asked_by)
        tell(connection, true);
}

/* ---- the answer ---- */

static void answer(struct ga_server *server, Goalloc__V1__Quiet *body)
{
    struct ga_quiet *quiet = &server->quiet;
    uint64_t id = quiet->id;
    quiet->id = 0;
    uv_timer_stop(&quiet->limit);
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_QUIET;
    reply.quiet = body;
    ga_reply(quiet->asked_by, id, &reply);
}

static uint32_t count_paused(const struct ga_server *server)
{
    uint32_t count = 0;
    for (const struct ga_attachment *a = server->attachments; a; a = a->next)
        count += a->paused && !a->leaving && !a->ended;
    return count;
}

static void fill_client(struct ga_client_info *info, Goalloc__V1__ClientInfo *client)
{
    goalloc__v1__client_info__init(client);
    client->client = info->client + 1;
    client->pid = info->pid;
    client->uid = info->uid;
    client->name = info->name;
    client->quarantined = info->quarantined;
}

static bool holds_up(const struct ga_server *server, ga_client_id client)
{
    const struct ga_attachment *attachment = ga_attachment_find(server, client);
    return !attachment || !attachment->paused;
}

/* Give it up, and say who holds it up. */
static void refuse(struct ga_server *server)
{
    struct ga_client_info infos[SHOWN_MAX];
    Goalloc__V1__ClientInfo clients[SHOWN_MAX];
    Goalloc__V1__ClientInfo *list[SHOWN_MAX];
    Goalloc__V1__Quiet body = GOALLOC__V1__QUIET__INIT;
    body.clients = list;
    body.npaused = count_paused(server);
    struct ga_client_info info;
    for (uint32_t i = 0; ga_heap_next_client(server->heap, i, &info) == 0; i = info.client + 1) {
        if (!holds_up(server, info.client))
            continue;
        body.nclients++;
        if (body.n_clients == SHOWN_MAX)
            continue;
        infos[body.n_clients] = info;
        fill_client(&infos[body.n_clients], &clients[body.n_clients]);
        list[body.n_clients] = &clients[body.n_clients];
        body.n_clients++;
    }
    answer(server, &body);
    ga_quiet_end(server);
}

static void grant(struct ga_server *server)
{
    Goalloc__V1__Quiet body = GOALLOC__V1__QUIET__INIT;
    /* Whoever is leaving is taken back first: nobody else has a use for the server meanwhile. */
    while (ga_attachment_go_on(server))
        ;
    ga_heap_sweep_pending(server->heap);
    body.npaused = count_paused(server);
    ga_log(GA_LOG_DEBUG,
           "quiet for process %" PRIu32 ", which copies the heap; %" PRIu32 " clients are paused",
           server->quiet.asked_by->peer.pid, body.npaused);
    answer(server, &body);
}

void ga_quiet_look(struct ga_server *server)
{
    struct ga_heap_status status;
    if (server->quiet.id == 0)
        return;
    ga_heap_get_status(server->heap, &status);
    if (status.clients == count_paused(server))
        grant(server);
}

static void on_limit(uv_timer_t *limit)
{
    refuse(limit->data);
}

void ga_quiet_ask(struct ga_connection *connection, uint64_t id, uint32_t wait_ms)
{
    struct ga_server *server = connection->server;
    server->quiet.asked_by = connection;
    server->quiet.id = id;
    tell_all(server, true);
    ga_quiet_look(server);
    if (server->quiet.id != 0)
        uv_timer_start(&server->quiet.limit, on_limit, wait_ms, 0);
}

/* ---- the end ---- */

void ga_quiet_end(struct ga_server *server)
{
    server->quiet.asked_by = NULL;
    server->quiet.id = 0;
    if (server->ending)
        return;
    uv_timer_stop(&server->quiet.limit);
    /* First, so that nobody who goes on takes it for wanted still. */
    tell_all(server, false);
    for (struct ga_attachment *a = server->attachments; a; a = a->next) {
        uint64_t id = a->resume_id;
        if (id != 0) {
            a->resume_id = 0;
            a->paused = false;
            ga_reply_done(a->connection, id);
        }
        if (a->ends_later && !a->ended) {
            a->ends_later = false;
            ga_attachment_end(a, a->detach_id);
        }
    }
    ga_cycle_go_on(server);
    ga_cycle_look(server);
}

void ga_quiet_forget(struct ga_connection *connection)
{
    if (connection->server->quiet.asked_by == connection)
        ga_quiet_end(connection->server);
}

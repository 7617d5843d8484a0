#include "server/shell/shortage.h"

#include <inttypes.h>

#include "server/shell/attachment.h"
#include "server/shell/connection.h"
#include "server/shell/log.h"
#include "server/shell/server.h"
#include "server/shell/world.h"
#include "shm/process.h"

#define INTERVAL_MS 100u
#define SILENT_MS   100u /* a library's thread that runs answers in a few */

enum ga_withholding ga_shortage_of(const struct ga_attachment *attachment)
{
    const struct ga_shortage *s = &attachment->shortage;
    bool late = s->answered != s->asked && ga_world_now_ms() - s->asked_ms >= SILENT_MS;
    if ((late || s->named == GA_WITHHOLDS_STOPPED) && ga_process_is_stopped(attachment->pid))
        return GA_WITHHOLDS_STOPPED;
    return late ? GA_WITHHOLDS_SILENT : GA_WITHHOLDS_NOTHING;
}

static bool find_info(const struct ga_attachment *attachment, struct ga_client_info *ret)
{
    return ga_heap_next_client(attachment->server->heap, attachment->client, ret) == 0 &&
           ret->client == attachment->client;
}

/* Once each time that it begins. */
static void name(struct ga_attachment *attachment, enum ga_withholding what)
{
    struct ga_client_info info;
    if (what == attachment->shortage.named)
        return;
    attachment->shortage.named = what;
    if (what == GA_WITHHOLDS_NOTHING || !find_info(attachment, &info))
        return;
    ga_log(GA_LOG_WARNING,
           "memory is short, and client %" PRIu32 " ('%s', pid %" PRIu32 ") %s: it holds %" PRIu64
           " bytes in %" PRIu64 " spans",
           info.client + 1, info.name, info.pid,
           what == GA_WITHHOLDS_STOPPED ? "is stopped, so it was not asked for any"
                                        : "does not answer when asked for any",
           info.leased_bytes, info.spans);
}

static void ask(struct ga_connection *connection)
{
    struct ga_attachment *attachment = connection->attachment;
    if (!attachment || attachment->paused || connection->queued_bytes > 0)
        return;
    struct ga_shortage *s = &attachment->shortage;
    bool stopped = ga_process_is_stopped(attachment->pid);
    name(attachment, stopped ? GA_WITHHOLDS_STOPPED : ga_shortage_of(attachment));
    if (s->named != GA_WITHHOLDS_NOTHING)
        return; /* what it was asked before, it will do when it can */
    if (s->answered == s->asked)
        s->asked_ms = ga_world_now_ms();
    s->asked++;
    ga_connection_ask_reclaim(connection, s->asked, false);
}

void ga_shortage_call(struct ga_server *server)
{
    uint64_t now_ms = ga_world_now_ms();
    if (now_ms - server->shortage_ms < INTERVAL_MS)
        return;
    server->shortage_ms = now_ms;
    for (struct ga_connection *c = server->connections; c; c = c->next)
        ask(c);
}

void ga_shortage_look(struct ga_server *server)
{
    server->look_odd = !server->look_odd;
    if (server->look_odd || !ga_heap_has_unneeded(server->heap))
        return;
    for (struct ga_connection *c = server->connections; c; c = c->next) {
        struct ga_attachment *attachment = c->attachment;
        if (!attachment || attachment->paused || attachment->shortage.looking)
            continue;
        attachment->shortage.looking = true;
        ga_connection_ask_reclaim(c, 0, true);
    }
}

void ga_shortage_looked(struct ga_attachment *attachment)
{
    attachment->shortage.looking = false;
}

void ga_shortage_call_user(struct ga_server *server, uint32_t uid)
{
    for (struct ga_connection *c = server->connections; c; c = c->next)
        if (c->peer.uid == uid)
            ask(c);
}

void ga_shortage_answered(struct ga_attachment *attachment, uint32_t call)
{
    struct ga_shortage *s = &attachment->shortage;
    if (call - s->answered <= s->asked - s->answered) /* else it is none of ours */
        s->answered = call;
    if (s->answered == s->asked)
        name(attachment, GA_WITHHOLDS_NOTHING);
}

void ga_shortage_forget(struct ga_attachment *attachment)
{
    attachment->shortage = (struct ga_shortage){0};
}

void ga_shortage_sum(const struct ga_server *server, uint32_t *ret_clients, uint64_t *ret_bytes)
{
    uint32_t nclients = 0;
    uint64_t bytes = 0;
    for (const struct ga_attachment *a = server->attachments; a; a = a->next) {
        struct ga_client_info info;
        if (ga_shortage_of(a) == GA_WITHHOLDS_NOTHING || !find_info(a, &info))
            continue;
        nclients++;
        bytes += info.leased_bytes;
    }
    *ret_clients = nclients;
    *ret_bytes = bytes;
}

/* Messages by which clients come and go, and have mcaches. */
#include "server/shell/dispatch_handlers.h"

#include <errno.h>
#include <inttypes.h>

#include "proto/error.h"
#include "server/shell/attachment.h"
#include "server/shell/connection.h"
#include "server/shell/events.h"
#include "server/shell/log.h"
#include "server/shell/quarantine.h"
#include "server/shell/reply.h"
#include "server/shell/server.h"

static void fail_attach(struct ga_connection *connection, uint64_t id, int err)
{
    if (err == -ESRCH)
        ga_reply_failure(connection, id, -EPERM,
                         "the server does not see the client's process: it has ended, or is of "
                         "another pid namespace: run goallocd on the host, or in a container whose "
                         "pid namespace the clients share");
    else if (err == -EAGAIN)
        ga_reply_failure(connection, id, err, "%u clients are attached, the most there can be",
                         GA_CLIENT_COUNT);
    else if (err == -ENOMEM)
        ga_fail_for_memory(connection, id);
    else if (err == -EDQUOT)
        ga_fail_for_quota(connection, id);
    else
        ga_reply_failure(connection, id, err, "the server cannot watch the client: %s",
                         ga_error_text(err));
}

static bool layout_is_known(struct ga_connection *connection, uint64_t id, uint32_t layout_version)
{
    if (layout_version == GA_LAYOUT_VERSION)
        return true;
    ga_reply_failure(connection, id, -EPROTO,
                     "the heap has layout version %u, the client knows %" PRIu32, GA_LAYOUT_VERSION,
                     layout_version);
    return false;
}

static bool is_in_quarantine(struct ga_connection *connection, uint64_t id)
{
    uint32_t pid = connection->peer.pid;
    if (!ga_quarantine_has(connection->server, pid))
        return false;
    ga_reply_failure(connection, id, -EPERM,
                     "process %" PRIu32 " is in quarantine for what it did before", pid);
    return true;
}

static void tell_attached(struct ga_connection *connection, uint64_t id)
{
    const struct ga_server *server = connection->server;
    const struct ga_world *world = server->world;
    Goalloc__V1__Attached body = GOALLOC__V1__ATTACHED__INIT;
    body.client = connection->attachment->client + 1;
    body.layout_version = GA_LAYOUT_VERSION;
    body.heap_name = (char *)world->name;
    body.heap_base = world->base;
    body.reserve_bytes = world->reserve_bytes;
    body.generation = ga_heap_generation(server->heap);
    body.heap_id = ga_heap_id(server->heap);
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_ATTACHED;
    reply.attached = &body;
    ga_reply(connection, id, &reply);
}

/* Nobody begins, or comes back, while the heap is copied. */
static bool is_quiet(struct ga_connection *connection, uint64_t id)
{
    const struct ga_server *server = connection->server;
    if (!ga_quiet_is_on(server))
        return false;
    ga_reply_failure(connection, id, -EBUSY,
                     "process %" PRIu32
                     " takes a snapshot of the heap: attach again when it is done",
                     server->quiet.asked_by->peer.pid);
    return true;
}

static void attach(struct ga_connection *connection, uint64_t id, uint32_t policy, bool managed,
                   bool tracks, uint64_t profile_rate_plus_1)
{
    struct ga_heap *heap = connection->server->heap;
    struct ga_attachment *attachment;
    connection->server->world->refused_memory = false;
    int r = ga_attachment_new(connection, &attachment);
    if (r < 0) {
        fail_attach(connection, id, r);
        return;
    }
    (void)ga_heap_set_policy(heap, attachment->client, policy);
    if (managed)
        (void)ga_heap_set_managed(heap, attachment->client);
    attachment->tracks = tracks;
    ga_track_joined(attachment);
    if (profile_rate_plus_1)
        (void)ga_heap_set_profile_rate(heap, attachment->client + 1, 0, profile_rate_plus_1 - 1);
    ga_event_attach(attachment);

    tell_attached(connection, id);
    ga_quiet_tell(connection);
}

void ga_handle_attach(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    if (!layout_is_known(connection, message->id, message->attach->layout_version))
        return;
    uint32_t policy = message->attach->policy;
    if (policy >= GA_POLICY_COUNT) {
        ga_reply_failure(connection, message->id, -EINVAL,
                         "policy %" PRIu32 " is none that the server knows", policy);
        return;
    }
    if (connection->attachment || connection->leaving || connection->attach_id) {
        ga_reply_failure(connection, message->id, -EBUSY, "this connection is attached already");
        return;
    }
    if (is_quiet(connection, message->id))
        return;
    uint32_t pid = connection->peer.pid;
    ga_attachment_end_replaced(connection->server);
    if (ga_attachment_count(connection->server, pid) >= GA_PROCESS_ATTACHMENTS_MAX) {
        ga_reply_failure(connection, message->id, -EAGAIN,
                         "process %" PRIu32 " is attached %u times, the most it can be", pid,
                         GA_PROCESS_ATTACHMENTS_MAX);
        return;
    }
    if (is_in_quarantine(connection, message->id))
        return;
    /* One that is to be collected does not come while all others of these stand still. */
    if (message->attach->managed && connection->server->standstill.on) {
        connection->attach_id = message->id;
        connection->attach_policy = policy;
        connection->attach_tracks = message->attach->tracks;
        connection->attach_profile_rate_plus_1 = message->attach->profile_rate_plus_1;
        return;
    }
    attach(connection, message->id, policy, message->attach->managed, message->attach->tracks,
           message->attach->profile_rate_plus_1);
}

void ga_attach_now(struct ga_connection *connection)
{
    uint64_t id = connection->attach_id;
    connection->attach_id = 0;
    if (id != 0 && !connection->closing && !connection->attachment && !is_quiet(connection, id))
        attach(connection, id, connection->attach_policy, true, connection->attach_tracks,
               connection->attach_profile_rate_plus_1);
}

/* A server gives an id to another only when the process that had it has ended or detached. So who
 * says that this very server has made it the client that another process is, lies. Of an earlier
 * server that may have been true: ours may have taken for dead what it cannot see, as in another
 * pid namespace. */
static void judge_claim(struct ga_connection *connection, const Goalloc__V1__Reattach *wanted,
                        uint32_t pid)
{
    const struct ga_server *server = connection->server;
    if (wanted->generation != ga_heap_generation(server->heap))
        return;
    ga_quarantine_process(server, connection->peer.pid,
                          "it said that it is client %" PRIu32 ", which is process %" PRIu32,
                          wanted->client, pid);
    ga_connection_close(connection);
}

static void fail_reattach(struct ga_connection *connection, uint64_t id, int err, uint32_t client,
                          uint32_t pid)
{
    if (err == -EPERM && ga_log_limit_allows(&connection->server->bad_peers, ga_world_now_ms()))
        ga_log(GA_LOG_WARNING,
               "process %" PRIu32 " says that it is client %" PRIu32 ", which is process %" PRIu32
               ": refused",
               connection->peer.pid, client, pid);
    if (err == -EPERM)
        ga_reply_failure(connection, id, err, "client %" PRIu32 " is another process", client);
    else if (err == -ENOENT)
        ga_reply_failure(connection, id, err,
                         "client %" PRIu32 " is not attached any more: what it held was taken back",
                         client);
    else if (err == -EBUSY)
        ga_reply_failure(connection, id, err, "this connection is attached already");
    else
        fail_attach(connection, id, err);
}

void ga_handle_reattach(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    const struct ga_heap *heap = connection->server->heap;
    const Goalloc__V1__Reattach *wanted = message->reattach;
    if (!layout_is_known(connection, message->id, wanted->layout_version))
        return;
    if (wanted->heap_id != ga_heap_id(heap) || wanted->generation > ga_heap_generation(heap)) {
        ga_reply_failure(connection, message->id, -ESTALE,
                         "heap '%s' is another than the one that was attached",
                         connection->server->world->name);
        return;
    }
    if (is_quiet(connection, message->id) || is_in_quarantine(connection, message->id))
        return;
    uint32_t pid = 0;
    int r =
        wanted->client == 0 ? -ENOENT : ga_attachment_resume(connection, wanted->client - 1, &pid);
    if (r < 0) {
        fail_reattach(connection, message->id, r, wanted->client, pid);
        if (r == -EPERM)
            judge_claim(connection, wanted, pid);
        return;
    }
    ga_event_reattach(connection->attachment);
    connection->attachment->paused = wanted->paused;
    connection->attachment->tracks = wanted->tracks;
    /* Who is paused returns nothing until it says Reattached, and then it may be quiet. */
    if (wanted->paused)
        ga_heap_collect_returned(connection->server->heap, wanted->client - 1);
    tell_attached(connection, message->id);
    ga_quiet_tell(connection);
    ga_quiet_look(connection->server);
}

void ga_handle_reattached(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    (void)message;
    if (!ga_quiet_is_on(connection->server))
        ga_heap_collect_returned(connection->server->heap, connection->attachment->client);
}

void ga_handle_mapped(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    /* That it was sent is all that it says (dispatch.c). */
    (void)connection;
    (void)message;
}

void ga_handle_detach(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    ga_event_detach(connection->attachment);
    ga_attachment_end(connection->attachment, message->id);
}

void ga_handle_new_mcache(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    struct ga_attachment *attachment = connection->attachment;
    if (attachment->nmcaches >= GA_CLIENT_MCACHES_MAX) {
        ga_reply_failure(connection, message->id, -EAGAIN,
                         "the client has %u mcaches, the most it can have", GA_CLIENT_MCACHES_MAX);
        return;
    }
    ga_mcache_id mcache;
    server->world->refused_memory = false;
    int r = ga_heap_new_mcache(server->heap, attachment->client, &mcache);
    if (r == -ENOMEM || r == -EDQUOT) {
        r == -ENOMEM ? ga_fail_for_memory(connection, message->id)
                     : ga_fail_for_quota(connection, message->id);
        return;
    }
    if (r < 0) {
        ga_reply_failure(connection, message->id, r, "all of the heap's %u mcaches are in use",
                         GA_MCACHE_COUNT - 1);
        return;
    }
    attachment->nmcaches++;
    Goalloc__V1__Mcache body = GOALLOC__V1__MCACHE__INIT;
    body.mcache = mcache;
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_MCACHE;
    reply.mcache = &body;
    ga_reply(connection, message->id, &reply);
}

/* Messages about quiet (quiet.h): who copies the heap asks for it, and clients agree to it. */
#include "server/shell/dispatch_handlers.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "server/shell/attachment.h"
#include "server/shell/connection.h"
#include "server/shell/log.h"
#include "server/shell/reply.h"
#include "server/shell/server.h"

void ga_handle_quiesce(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    const struct ga_server *server = connection->server;
    uint32_t uid = connection->peer.uid;
    /* Others of the heap could keep everybody from attaching. */
    if (uid != geteuid() && uid != 0) {
        ga_reply_failure(connection, message->id, -EPERM,
                         "only root and the user of the server may copy the heap");
        return;
    }
    if (server->quiet.asked_by) {
        ga_reply_failure(connection, message->id, -EBUSY,
                         "process %" PRIu32 " takes a snapshot of the heap already",
                         server->quiet.asked_by->peer.pid);
        return;
    }
    ga_quiet_ask(connection, message->id, message->quiesce->wait_ms);
}

void ga_handle_pause(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    connection->attachment->paused = true;
    connection->attachment->broke_pause = false;
    ga_reply_done(connection, message->id);
    ga_quiet_look(connection->server);
}

static void resume_client(struct ga_connection *connection, uint64_t id)
{
    struct ga_attachment *attachment = connection->attachment;
    if (!attachment->paused || !connection->server->quiet.asked_by) {
        attachment->paused = false;
        ga_reply_done(connection, id);
    } else if (attachment->resume_id != 0) {
        ga_reply_failure(connection, id, -EBUSY, "the client waits to go on already");
    } else {
        attachment->resume_id = id;
    }
}

void ga_handle_resume(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    if (ga_quiet_is_on(server) && server->quiet.asked_by == connection) {
        ga_quiet_end(server);
        ga_reply_done(connection, message->id);
    } else if (connection->attachment) {
        resume_client(connection, message->id);
    } else {
        ga_reply_failure(connection, message->id, -EPERM,
                         "the client is not attached to the heap, nor is it quiet for it");
    }
}

bool ga_pause_allows(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_attachment *attachment = connection->attachment;
    if (!attachment->paused)
        return true;
    if (!attachment->broke_pause &&
        ga_log_limit_allows(&connection->server->broken_pauses, ga_world_now_ms()))
        ga_log(GA_LOG_WARNING,
               "process %" PRIu32 " (%s) uses the heap although it has paused: refused",
               attachment->pid, connection->client_name);
    attachment->broke_pause = true;
    if (message->id != 0)
        ga_reply_failure(connection, message->id, -EBUSY,
                         "the process has paused: it may not use the heap before it resumes");
    return false;
}

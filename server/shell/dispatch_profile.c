/* The messages about profiles: room for one, and how densely clients sample. */
#include <errno.h>
#include <inttypes.h>

#include "server/shell/attachment.h"
#include "server/shell/connection.h"
#include "server/shell/dispatch_handlers.h"
#include "server/shell/reply.h"
#include "server/shell/server.h"

void ga_handle_profile_room(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    if (ga_quiet_is_on(server)) {
        ga_reply_failure(connection, message->id, -EBUSY, "the heap is being copied");
        return;
    }
    int r = ga_heap_profile_room(server->heap, connection->attachment->client);
    if (r < 0)
        ga_reply_failure(connection, message->id, r, "there is no more room for a profile");
    else
        ga_reply_done(connection, message->id);
}

void ga_handle_set_profile_rate(struct ga_connection *connection,
                                const Goalloc__V1__Envelope *message)
{
    const Goalloc__V1__SetProfileRate *asked = message->set_profile_rate;
    int r = ga_heap_set_profile_rate(connection->server->heap, asked->client, asked->pid,
                                     asked->rate_bytes);
    if (r < 0)
        ga_reply_failure(connection, message->id, r,
                         asked->client ? "there is no client %" PRIu32
                                       : "process %" PRIu32 " is not attached",
                         asked->client ? asked->client : asked->pid);
    else
        ga_reply_done(connection, message->id);
}

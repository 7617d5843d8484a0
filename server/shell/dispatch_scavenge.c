/* The message that asks for free memory to be given back to the system. It is done in parts, so
 * that others are served in between. */
#include <errno.h>

#include "server/shell/connection.h"
#include "server/shell/dispatch_handlers.h"
#include "server/shell/reply.h"
#include "server/shell/server.h"

#define PART_BYTES (UINT64_C(8) << 20) /* takes 2 ms */

void ga_handle_scavenge(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    if (ga_quiet_is_on(server)) {
        ga_reply_failure(connection, message->id, -EBUSY, "the heap is being copied");
        return;
    }
    /* The one after the other, and each once. */
    if ((!connection->after_current && ga_pass_put_off(connection, message)) ||
        ga_cycle_put_off_marking(connection, message))
        return;
    Goalloc__V1__Scavenged body = GOALLOC__V1__SCAVENGED__INIT;
    body.released_bytes = ga_heap_release_now(server->heap, PART_BYTES);
    body.released_bytes += ga_world_give_ahead_back(server->world);
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_SCAVENGED;
    reply.scavenged = &body;
    ga_reply(connection, message->id, &reply);
}

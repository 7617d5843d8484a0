/* Messages about holds. */
#include "server/shell/dispatch_handlers.h"

#include <errno.h>
#include <inttypes.h>

#include "server/shell/attachment.h"
#include "server/shell/connection.h"
#include "server/shell/reply.h"
#include "server/shell/server.h"

static void fail_hold(struct ga_connection *connection, uint64_t id, int err, uint64_t offset)
{
    switch (err) {
    case -ENOENT:
        ga_reply_failure(connection, id, err,
                         "the object at offset 0x%" PRIx64 " is freed, and kept for others",
                         offset);
        break;
    case -ENOTSUP:
        ga_reply_failure(connection, id, err,
                         "the object at offset 0x%" PRIx64 " is tiny, and cannot be held", offset);
        break;
    case -ENOSPC:
        ga_reply_failure(connection, id, err, "there are %u holds, the most there can be",
                         GA_HOLD_COUNT);
        break;
    case -EOVERFLOW:
        ga_reply_failure(connection, id, err,
                         "the object at offset 0x%" PRIx64 " is held as often as can be counted",
                         offset);
        break;
    case -EDQUOT:
        ga_fail_for_quota(connection, id);
        break;
    case -ENOMEM:
        ga_fail_for_memory(connection, id);
        break;
    default:
        ga_reply_failure(connection, id, err, "no object begins at offset 0x%" PRIx64, offset);
    }
}

void ga_handle_hold(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    uint64_t offset = message->hold->offset;
    server->world->refused_memory = false;
    int r = ga_heap_hold(server->heap, connection->attachment->client, offset);
    if (r < 0)
        fail_hold(connection, message->id, r, offset);
    else
        ga_reply_done(connection, message->id);
}

void ga_handle_release(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    uint64_t offset = message->release->offset;
    int r = ga_heap_release(server->heap, connection->attachment->client, offset);
    if (r < 0) {
        ga_reply_failure(connection, message->id, r,
                         "the client holds no object at offset 0x%" PRIx64, offset);
        return;
    }
    ga_heap_sweep_page(server->heap, offset / GA_PAGE_SIZE); /* it may have freed the object */
    ga_reply_done(connection, message->id);
}

void ga_handle_put_off(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    uint64_t offset = message->put_off->offset;
    int r = ga_heap_put_off(connection->server->heap, offset);
    if (r == -ENOENT)
        ga_reply_failure(connection, message->id, r, "nobody holds the object at offset 0x%" PRIx64,
                         offset);
    else if (r < 0)
        ga_reply_failure(connection, message->id, r,
                         "the object at offset 0x%" PRIx64 " was freed before", offset);
    else
        ga_reply_done(connection, message->id);
}

/* Messages about collections (cycle.h). */
#include <errno.h>
#include <inttypes.h>

#include "server/shell/connection.h"
#include "server/shell/cycle.h"
#include "server/shell/dispatch_handlers.h"
#include "server/shell/reply.h"
#include "server/shell/server.h"

void ga_handle_gc(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    uint32_t mode = message->gc->mode;
    int r = mode < GA_COLLECT_MODES
                ? ga_cycle_ask(connection, message->id, (enum ga_collect_mode)mode)
                : -EINVAL;
    if (r == -EBUSY)
        ga_reply_failure(connection, message->id, r, "the heap is being copied");
    else if (r == -EINVAL)
        ga_reply_failure(connection, message->id, r,
                         "mode %" PRIu32 " is none that the server knows", mode);
    else if (r < 0)
        ga_reply_failure(connection, message->id, r, "the server has no memory");
}

void ga_handle_gc_roots(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    if (!ga_track_takes_roots(connection, message->gc_roots))
        ga_standstill_roots(connection, message->gc_roots);
}

void ga_handle_gc_written(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    ga_track_written(connection, message->gc_written);
}

void ga_handle_gc_tracked(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    ga_track_tracked(connection, message->gc_tracked);
}

void ga_handle_gc_stopped(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    ga_standstill_stopped(connection, message->gc_stopped);
}

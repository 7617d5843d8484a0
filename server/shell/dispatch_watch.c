/* Messages about events: who wants to be told of them, and what clients tell of. */
#include <errno.h>

#include "server/shell/attachment.h"
#include "server/shell/connection.h"
#include "server/shell/dispatch_handlers.h"
#include "server/shell/events.h"
#include "server/shell/reply.h"

void ga_handle_watch(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    const Goalloc__V1__Watch *wanted = message->watch;
    if (ga_events_watch(connection, wanted->kinds, wanted->pid) < 0)
        ga_reply_failure(connection, message->id, -ENOMEM, "the server has no memory");
    else
        ga_reply_done(connection, message->id);
}

void ga_handle_bad_free(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    const Goalloc__V1__BadFree *note = message->bad_free;
    uint64_t count = note->left_out == UINT64_MAX ? note->left_out : note->left_out + 1;
    ga_event_bad_free(connection->attachment, note->address, note->what, count);
}

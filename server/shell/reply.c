/* A detail may quote what the client sent, cut to its room: what the cut leaves is made text again,
 * or it could not be sent. */
#include "server/shell/reply.h"

#include <stdarg.h>
#include <stdio.h>

#include "proto/error.h"
#include "proto/text.h"
#include "server/shell/connection.h"

#define DETAIL_BYTES 400

void ga_reply(struct ga_connection *connection, uint64_t id, Goalloc__V1__Envelope *reply)
{
    reply->id = id;
    ga_connection_send(connection, reply);
}

void ga_reply_done(struct ga_connection *connection, uint64_t id)
{
    Goalloc__V1__Done body = GOALLOC__V1__DONE__INIT;
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_DONE;
    reply.done = &body;
    ga_reply(connection, id, &reply);
}

void ga_reply_root(struct ga_connection *connection, uint64_t id, const char *name, uint64_t offset,
                   uint32_t client_plus_1)
{
    Goalloc__V1__Root body = GOALLOC__V1__ROOT__INIT;
    body.name = (char *)name;
    body.offset = offset;
    body.client = client_plus_1;
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_ROOT;
    reply.root = &body;
    ga_reply(connection, id, &reply);
}

void ga_reply_replaced(struct ga_connection *connection, uint64_t id, uint64_t old_offset)
{
    Goalloc__V1__Replaced body = GOALLOC__V1__REPLACED__INIT;
    body.old_offset = old_offset;
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_REPLACED;
    reply.replaced = &body;
    ga_reply(connection, id, &reply);
}

void ga_reply_failure(struct ga_connection *connection, uint64_t id, int err, const char *format,
                      ...)
{
    char detail[DETAIL_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    ga_text_clean(detail);

    Goalloc__V1__Failure body = GOALLOC__V1__FAILURE__INIT;
    body.code = ga_error_to_wire(err);
    body.detail = detail;
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_FAILURE;
    reply.failure = &body;
    ga_reply(connection, id, &reply);
}

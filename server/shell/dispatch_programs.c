/* Messages about programs that have a heap of their own. */
#include <errno.h>
#include <string.h>

#include "server/shell/connection.h"
#include "server/shell/dispatch_handlers.h"
#include "server/shell/log.h"
#include "server/shell/programs.h"
#include "server/shell/reply.h"
#include "server/shell/server.h"

/* What a program takes in a list at most: its numbers and a name. */
#define PROGRAM_MAX_BYTES 128u
#define LIST_PROGRAMS     ((GA_LIST_MAX_BYTES - 64) / PROGRAM_MAX_BYTES)

void ga_handle_program(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    int r = ga_programs_add(connection, message->program);
    /* One that has ended meanwhile is nobody's loss. */
    if (r < 0 && r != -ESRCH &&
        ga_log_limit_allows(&connection->server->bad_notes, ga_world_now_ms()))
        ga_log(GA_LOG_WARNING, "process %u has a heap of its own, which will not be listed: %s",
               connection->peer.pid, strerror(-r));
}

void ga_handle_list_programs(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    Goalloc__V1__Program programs[LIST_PROGRAMS];
    Goalloc__V1__Program *list[LIST_PROGRAMS];
    Goalloc__V1__ProgramList body = GOALLOC__V1__PROGRAM_LIST__INIT;
    body.programs = list;
    body.seen = connection->server->programs.nseen;
    uint64_t cursor = message->list_programs->cursor;
    Goalloc__V1__Program program;
    while (ga_programs_next(connection->server, cursor, &program) == 0) {
        if (body.n_programs == LIST_PROGRAMS) {
            body.next = program.pid;
            break;
        }
        programs[body.n_programs] = program;
        list[body.n_programs] = &programs[body.n_programs];
        body.n_programs++;
        cursor = (uint64_t)program.pid + 1;
    }
    Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
    reply.body_case = GOALLOC__V1__ENVELOPE__BODY_PROGRAM_LIST;
    reply.program_list = &body;
    ga_reply(connection, message->id, &reply);
}

#include "server/shell/spoilt.h"

#include <inttypes.h>

#include "server/shell/attachment.h"
#include "server/shell/log.h"
#include "server/shell/server.h"

#define MCACHES_PER_LOOK 64u

static void tell(struct ga_server *server, const struct ga_suspicion *suspicion)
{
    struct ga_client_info client;
    if (ga_heap_next_client(server->heap, suspicion->client, &client) == 0 &&
        client.client == suspicion->client &&
        ga_log_limit_allows(&server->spoilt_words, ga_world_now_ms()))
        ga_log(GA_LOG_WARNING,
               "mcache %" PRIu32 ", of process %" PRIu32 ", has words that cannot be, and every "
               "client can write them: it %s",
               suspicion->mcache, client.pid, suspicion->what);
}

void ga_spoilt_look(struct ga_server *server)
{
    struct ga_suspicion suspicion;
    uint32_t left = MCACHES_PER_LOOK;
    while (ga_heap_suspect_next(server->heap, &server->next_suspect, &left, &suspicion))
        tell(server, &suspicion);
}

void ga_spoilt_look_at(const struct ga_attachment *attachment)
{
    struct ga_suspicion suspicion;
    while (ga_heap_suspect_client(attachment->server->heap, attachment->client, MCACHES_PER_LOOK,
                                  &suspicion))
        tell(attachment->server, &suspicion);
}

#include "server/shell/strangers.h"

#include <inttypes.h>

#include "server/shell/connection.h"
#include "server/shell/log.h"
#include "server/shell/server.h"

#define HELLO_MS       10000u
#define IN_TURN_MOST   64u
#define STRANGERS_MOST 1024u
#define ONE_IN         8u /* of the descriptors, where there are few */

void ga_strangers_init(struct ga_strangers *strangers, uint64_t descriptors)
{
    uint64_t part = descriptors / ONE_IN;
    *strangers = (struct ga_strangers){.most = part < STRANGERS_MOST ? part : STRANGERS_MOST,
                                       .most_in_turn = part < IN_TURN_MOST ? part : IN_TURN_MOST};
}

void ga_strangers_add(struct ga_strangers *strangers, struct ga_connection *connection)
{
    connection->is_stranger = true;
    connection->older = strangers->newest;
    connection->newer = NULL;
    if (strangers->newest)
        strangers->newest->newer = connection;
    else
        strangers->oldest = connection;
    strangers->newest = connection;
    strangers->count++;
}

void ga_strangers_remove(struct ga_strangers *strangers, struct ga_connection *connection)
{
    if (!connection->is_stranger)
        return;
    connection->is_stranger = false;
    if (connection->older)
        connection->older->newer = connection->newer;
    else
        strangers->oldest = connection->newer;
    if (connection->newer)
        connection->newer->older = connection->older;
    else
        strangers->newest = connection->older;
    strangers->count--;
}

static void close_oldest(struct ga_server *server, uint64_t now_ms, const char *why)
{
    struct ga_connection *oldest = server->strangers.oldest;
    if (ga_log_limit_allows(&server->bad_peers, now_ms))
        ga_log(GA_LOG_WARNING,
               "process %" PRIu32 " has connected and not said Hello%s: its connection is closed",
               oldest->peer.pid, why);
    ga_connection_close(oldest);
}

void ga_strangers_thin(struct ga_server *server)
{
    const struct ga_strangers *strangers = &server->strangers;
    while (strangers->count > strangers->most && strangers->oldest->accepted_turn < server->turn)
        close_oldest(server, ga_world_now_ms(), ", and neither have many others");
}

void ga_strangers_expire(struct ga_server *server, uint64_t now_ms)
{
    const struct ga_strangers *strangers = &server->strangers;
    while (strangers->oldest && now_ms - strangers->oldest->accepted_ms >= HELLO_MS)
        close_oldest(server, now_ms, "");
}

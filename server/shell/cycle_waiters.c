/* A list of who waits for the end of a cycle, that under way or a later one: those who have asked
 * for it are answered, and requests that were put off are handled again. */
#include "server/shell/cycle_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "server/shell/connection.h"
#include "server/shell/dispatch.h"
#include "server/shell/kept_request.h"
#include "server/shell/reply.h"
#include "server/shell/server.h"

#define TRIES_MAX    20u /* of who waits, while processes come and go */
#define TRY_AGAIN_MS 20u

struct ga_cycle_waiter {
    struct ga_cycle_waiter *next;
    struct ga_connection *connection;
    uint64_t id;
    enum ga_collect_mode mode;
    uint32_t cycle; /* whose end it waits for; 0 = of one that has not begun */
    /* A request that is handled again then; its id is id. */
    bool is_request;
    unsigned ntries;  /* cycles that were abandoned for now */
    bool for_current; /* it came when cycle was under way, and may wait for one more */
    struct ga_kept_request request;
};

/* ---- who is told ---- */

/* The first who waited for this cycle, off the list; NULL: none. */
static struct ga_cycle_waiter *take_waiter(struct ga_cycle *cycle)
{
    struct ga_cycle_waiter **link = &cycle->waiters;
    while (*link && (*link)->cycle != cycle->number)
        link = &(*link)->next;
    struct ga_cycle_waiter *waiter = *link;
    if (waiter)
        *link = waiter->next;
    return waiter;
}

/* Handle a request again, which does not wait a second time for the same. */
static void retry(const struct ga_cycle_waiter *waiter)
{
    struct ga_connection *connection = waiter->connection;
    connection->after_current = waiter->for_current;
    connection->after_collection = !waiter->for_current;
    ga_dispatch(connection, &waiter->request.message);
    connection->after_current = connection->after_collection = false;
}

void ga_cycle_tell(struct ga_server *server)
{
    Goalloc__V1__GcResult *answer = NULL;
    struct ga_cycle_waiter *waiter;
    server->cycle.telling = true;
    while ((waiter = take_waiter(&server->cycle)) != NULL) {
        if (waiter->is_request) {
            retry(waiter);
            free(waiter);
            continue;
        }
        if (!answer)
            answer = ga_cycle_answer_new(server);
        Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
        reply.body_case = GOALLOC__V1__ENVELOPE__BODY_GC_RESULT;
        reply.gc_result = answer;
        if (answer)
            ga_reply(waiter->connection, waiter->id, &reply);
        else
            ga_reply_failure(waiter->connection, waiter->id, -ENOMEM, "the server has no memory");
        free(waiter);
    }
    free(answer);
    server->cycle.telling = false;
}

static void on_again(uv_timer_t *again)
{
    ga_cycle_begin_next(again->data);
}

void ga_cycle_try_again(struct ga_server *server)
{
    struct ga_cycle *cycle = &server->cycle;
    for (struct ga_cycle_waiter *waiter = cycle->waiters; waiter; waiter = waiter->next) {
        if (waiter->cycle != cycle->number || waiter->for_current || waiter->ntries == TRIES_MAX)
            continue;
        waiter->cycle = 0;
        waiter->ntries++;
        uv_timer_start(&cycle->again, on_again, TRY_AGAIN_MS, 0);
    }
}

void ga_cycle_take_waiters(struct ga_server *server)
{
    const struct ga_cycle *cycle = &server->cycle;
    for (struct ga_cycle_waiter *waiter = cycle->waiters; waiter; waiter = waiter->next)
        if (waiter->cycle == 0 && waiter->mode == cycle->mode)
            waiter->cycle = cycle->number;
}

bool ga_cycle_is_waited_for(const struct ga_cycle *cycle)
{
    const struct ga_cycle_waiter *waiter = cycle->waiters;
    while (waiter && waiter->cycle != cycle->number)
        waiter = waiter->next;
    return waiter;
}

/* ---- who wants one ---- */

void ga_cycle_begin_next(struct ga_server *server)
{
    const struct ga_cycle_waiter *waiter = server->cycle.waiters;
    if (server->cycle.on || server->cycle.telling || server->quiet.asked_by ||
        uv_is_active((const uv_handle_t *)&server->cycle.again))
        return;
    while (waiter && waiter->cycle != 0)
        waiter = waiter->next;
    if (waiter)
        ga_cycle_begin(server, waiter->mode);
}

static struct ga_cycle_waiter *new_waiter(struct ga_connection *connection, uint64_t id,
                                          enum ga_collect_mode mode)
{
    struct ga_cycle_waiter *waiter = malloc(sizeof(*waiter));
    if (waiter)
        *waiter = (struct ga_cycle_waiter){.connection = connection, .id = id, .mode = mode};
    return waiter;
}

/* At the end of the list; begin its cycle if none is under way. */
static void wait(struct ga_server *server, struct ga_cycle_waiter *waiter)
{
    struct ga_cycle_waiter **link = &server->cycle.waiters;
    while (*link)
        link = &(*link)->next;
    *link = waiter;
    ga_cycle_begin_next(server);
}

int ga_cycle_ask(struct ga_connection *connection, uint64_t id, enum ga_collect_mode mode)
{
    struct ga_server *server = connection->server;
    if (server->quiet.asked_by)
        return -EBUSY;
    struct ga_cycle_waiter *waiter = new_waiter(connection, id, mode);
    if (!waiter)
        return -ENOMEM;
    wait(server, waiter);
    return 0;
}

/* Of a heap that is full of what is reached, no more than half of the time goes into finding that
 * out again. */
static bool is_worth_it(const struct ga_connection *connection)
{
    const struct ga_cycle *cycle = &connection->server->cycle;
    return cycle->on || cycle->number == 0 || connection->after_current ||
           ga_world_now_ms() - cycle->last_end_ms >= cycle->last_ms;
}

/* Keep the request, to handle it again when a cycle is over. */
static struct ga_cycle_waiter *keep(struct ga_connection *connection,
                                    const Goalloc__V1__Envelope *message)
{
    struct ga_cycle_waiter *waiter = new_waiter(connection, message->id, GA_COLLECT_FULL);
    if (!waiter)
        return NULL;
    waiter->is_request = true;
    ga_kept_request_init(&waiter->request, message);
    return waiter;
}

bool ga_cycle_wait_with(struct ga_connection *connection, const Goalloc__V1__Envelope *message,
                        bool for_current)
{
    struct ga_server *server = connection->server;
    struct ga_cycle_waiter *waiter = keep(connection, message);
    if (!waiter)
        return false;
    waiter->for_current = for_current;
    waiter->cycle = for_current ? server->cycle.number : 0;
    wait(server, waiter);
    return true;
}

bool ga_cycle_put_off_marking(struct ga_connection *connection,
                              const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    if (!ga_collect_is_marking(server->heap) || server->quiet.asked_by)
        return false;
    return ga_cycle_wait_with(connection, message, true);
}

bool ga_cycle_put_off(struct ga_connection *connection, const Goalloc__V1__Envelope *message, int r)
{
    struct ga_server *server = connection->server;
    if ((r != -ENOMEM && r != -EDQUOT) || connection->after_collection || server->quiet.asked_by)
        return false;
    if (r == -ENOMEM && ga_cycle_put_off_marking(connection, message))
        return true;
    if (!ga_heap_has_managed(server->heap) || !is_worth_it(connection))
        return false;
    return ga_cycle_wait_with(connection, message, false);
}

void ga_cycle_forget(struct ga_connection *connection)
{
    for (struct ga_cycle_waiter **link = &connection->server->cycle.waiters; *link;) {
        struct ga_cycle_waiter *waiter = *link;
        if (waiter->connection != connection) {
            link = &waiter->next;
            continue;
        }
        *link = waiter->next;
        free(waiter);
    }
}

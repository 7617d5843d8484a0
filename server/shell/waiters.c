/* One list for all names: to publish is rare, and so is to wait for long. */
#include "server/shell/waiters.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "server/shell/connection.h"
#include "server/shell/reply.h"

struct ga_waiter {
    struct ga_waiter *next;
    struct ga_connection *connection;
    uint64_t id;
    char name[];
};

static void append(struct ga_waiters *waiters, struct ga_waiter *waiter)
{
    waiter->next = NULL;
    if (waiters->last)
        waiters->last->next = waiter;
    else
        waiters->first = waiter;
    waiters->last = waiter;
}

int ga_waiters_add(struct ga_waiters *waiters, struct ga_connection *connection, uint64_t id,
                   const char *name)
{
    if (connection->nwaits == GA_CONNECTION_WAITS_MAX)
        return -EAGAIN;
    size_t name_bytes = strlen(name) + 1;
    struct ga_waiter *waiter = malloc(sizeof(*waiter) + name_bytes);
    if (!waiter)
        return -ENOMEM;
    waiter->connection = connection;
    waiter->id = id;
    memcpy(waiter->name, name, name_bytes);
    append(waiters, waiter);
    connection->nwaits++;
    return 0;
}

/* Which waiters are meant: by name, or by connection, and then by id unless that is 0. */
struct choice {
    const char *name;
    const struct ga_connection *connection;
    uint64_t id;
};

static bool is_chosen(const struct ga_waiter *waiter, const struct choice *choice)
{
    if (choice->name)
        return strcmp(waiter->name, choice->name) == 0;
    return waiter->connection == choice->connection && (!choice->id || waiter->id == choice->id);
}

/* Take those who are meant off the list, and make a list of them. */
static struct ga_waiters take(struct ga_waiters *waiters, const struct choice *choice)
{
    struct ga_waiters rest = {0};
    struct ga_waiters taken = {0};
    struct ga_waiter *next;
    for (struct ga_waiter *waiter = waiters->first; waiter; waiter = next) {
        next = waiter->next;
        bool chosen = is_chosen(waiter, choice);
        append(chosen ? &taken : &rest, waiter);
        if (chosen)
            waiter->connection->nwaits--;
    }
    *waiters = rest;
    return taken;
}

void ga_waiters_answer(struct ga_waiters *waiters, const char *name, uint64_t offset,
                       uint32_t client_plus_1)
{
    struct choice choice = {.name = name};
    struct ga_waiters taken = take(waiters, &choice);
    /* An answer that cannot be sent closes its connection, and that looks through the list: those
     * here are off it. The connection itself lasts until the loop's turn is over. */
    while (taken.first) {
        struct ga_waiter *waiter = taken.first;
        taken.first = waiter->next;
        ga_reply_root(waiter->connection, waiter->id, name, offset, client_plus_1);
        free(waiter);
    }
}

static void forget(struct ga_waiters *waiters, const struct choice *choice)
{
    struct ga_waiters taken = take(waiters, choice);
    while (taken.first) {
        struct ga_waiter *waiter = taken.first;
        taken.first = waiter->next;
        free(waiter);
    }
}

void ga_waiters_forget(struct ga_waiters *waiters, const struct ga_connection *connection,
                       uint64_t id)
{
    struct choice choice = {.connection = connection, .id = id};
    if (connection->nwaits > 0 && id != 0)
        forget(waiters, &choice);
}

void ga_waiters_forget_all(struct ga_waiters *waiters, struct ga_connection *connection)
{
    struct choice choice = {.connection = connection};
    if (connection->nwaits > 0)
        forget(waiters, &choice);
}

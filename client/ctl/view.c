/* The clients are kept in a table over all numbers that a client can have: there may be a hundred
 * thousand spans to find an owner for. */
#include "client/ctl/view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "shm/layout.h"

static int fetch_base(const struct ga_ctl *ctl, struct ga_ctl_view *view)
{
    struct ga_answer answer;
    int err = ga_ask_status(ctl, &answer);
    if (err < 0)
        return err;
    view->base = answer.message->status->heap_base;
    ga_answer_fini(&answer);
    return 0;
}

static int fetch_clients(const struct ga_ctl *ctl, struct ga_ctl_view *view)
{
    int err = ga_ask_clients(ctl, &view->clients);
    if (err < 0)
        return err;
    view->by_number = calloc(GA_CLIENT_COUNT + 1, sizeof(*view->by_number));
    if (!view->by_number) {
        fputs("goallocctl: out of memory\n", stderr);
        return -ENOMEM;
    }
    for (size_t i = 0; i < view->clients.count; i++) {
        const Goalloc__V1__ClientList *list = view->clients.answers[i].message->client_list;
        for (size_t k = 0; k < list->n_clients; k++)
            if (list->clients[k]->client <= GA_CLIENT_COUNT)
                view->by_number[list->clients[k]->client] = list->clients[k];
    }
    return 0;
}

int ga_ctl_view_fetch(const struct ga_ctl *ctl,
                      int (*ask_list)(const struct ga_ctl *ctl, struct ga_parts *ret_parts),
                      struct ga_ctl_view *ret_view)
{
    struct ga_ctl_view view = {0};
    int err = fetch_base(ctl, &view);
    if (err == 0)
        err = fetch_clients(ctl, &view);
    if (err == 0 && ask_list)
        err = ask_list(ctl, &view.parts);
    if (err < 0) {
        ga_ctl_view_fini(&view);
        return err;
    }
    *ret_view = view;
    return 0;
}

void ga_ctl_view_fini(struct ga_ctl_view *view)
{
    free(view->by_number);
    ga_parts_fini(&view->clients);
    ga_parts_fini(&view->parts);
}

const Goalloc__V1__ClientInfo *ga_ctl_view_client(const struct ga_ctl_view *view, uint32_t number)
{
    return view->by_number && number <= GA_CLIENT_COUNT ? view->by_number[number] : NULL;
}

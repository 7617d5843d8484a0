/* goallocctl roots: the objects that are published under a name, where they lie, and who published
 * them. A root stays when its publisher goes, so there may be nobody to name. */
#include "client/ctl/command.h"

#include <inttypes.h>

#include "client/ctl/json.h"
#include "client/ctl/print.h"
#include "client/ctl/table.h"
#include "client/ctl/view.h"

static void json_root(struct ga_json *json, const struct ga_ctl_view *view,
                      const Goalloc__V1__Root *root)
{
    const Goalloc__V1__ClientInfo *client = ga_ctl_view_client(view, root->client);
    ga_json_begin_object(json, NULL);
    ga_json_string(json, "name", root->name);
    ga_json_address(json, "address", view->base + root->offset);
    ga_json_number(json, "offset", root->offset);
    ga_json_number(json, "client", root->client);
    ga_json_number(json, "pid", client ? client->pid : 0);
    ga_json_string(json, "client_name", client ? client->name : NULL);
    ga_json_end(json);
}

static void print_json(const struct ga_ctl *ctl, const struct ga_ctl_view *view)
{
    struct ga_json json;
    ga_print_begin_json(ctl, &json);
    ga_json_address(&json, "base", view->base);
    ga_json_begin_list(&json, "roots");
    for (size_t i = 0; i < view->parts.count; i++) {
        const Goalloc__V1__RootList *list = view->parts.answers[i].message->root_list;
        for (size_t k = 0; k < list->n_roots; k++)
            json_root(&json, view, list->roots[k]);
    }
    ga_json_end(&json);
    ga_json_end(&json);
}

static int print_roots(const struct ga_ctl_view *view)
{
    static const struct ga_table_column columns[] = {
        {.title = "NAME", .align = GA_TABLE_LEFT, .min_columns = 12},
        {.title = "ADDRESS", .align = GA_TABLE_LEFT},
        {.title = "PUBLISHED BY", .align = GA_TABLE_LEFT, .min_columns = 12},
    };
    struct ga_table *table = ga_table_new(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < view->parts.count; i++) {
        const Goalloc__V1__RootList *list = view->parts.answers[i].message->root_list;
        for (size_t k = 0; k < list->n_roots; k++) {
            const Goalloc__V1__Root *root = list->roots[k];
            const Goalloc__V1__ClientInfo *client = ga_ctl_view_client(view, root->client);
            ga_table_cell(table, "%s", root->name);
            ga_table_cell(table, "0x%" PRIx64, view->base + root->offset);
            if (client)
                ga_table_cell(table, "%s, pid %" PRIu32, client->name, client->pid);
            else
                ga_table_cell(table, "a process that is gone");
        }
    }
    return ga_print_table(table);
}

int ga_ctl_roots(const struct ga_ctl *ctl)
{
    struct ga_ctl_view view;
    int err = ga_ctl_view_fetch(ctl, ga_ask_roots, &view);
    if (err < 0)
        return err;
    if (ctl->json)
        print_json(ctl, &view);
    else
        err = print_roots(&view);
    ga_ctl_view_fini(&view);
    return err;
}

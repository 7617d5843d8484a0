/* goallocctl users: who has what of the heap, user by user, and how much of it each may have. */
#include "client/ctl/command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "client/ctl/ask.h"
#include "client/ctl/json.h"
#include "client/ctl/print.h"
#include "client/ctl/table.h"
#include "client/ctl/units.h"

/* What is counted of a user, as columns show it. */
#define NKINDS 6

struct kind {
    const char *used_key;
    const char *allowed_key;
    uint64_t used;
    uint64_t allowed; /* 0 = unlimited */
};

static void list_kinds(const Goalloc__V1__UserInfo *user, struct kind ret[static NKINDS])
{
    ret[0] = (struct kind){"used_bytes", "allowed_bytes", user->used_bytes, user->allowed_bytes};
    ret[1] = (struct kind){"used_spans", "allowed_spans", user->used_spans, user->allowed_spans};
    ret[2] =
        (struct kind){"used_mcaches", "allowed_mcaches", user->used_mcaches, user->allowed_mcaches};
    ret[3] = (struct kind){"used_connections", "allowed_connections", user->used_connections,
                           user->allowed_connections};
    ret[4] = (struct kind){"used_roots", "allowed_roots", user->used_roots, user->allowed_roots};
    ret[5] = (struct kind){"used_holds", "allowed_holds", user->used_holds, user->allowed_holds};
}

static void json_user(struct ga_json *json, const Goalloc__V1__UserInfo *user)
{
    struct kind kinds[NKINDS];
    list_kinds(user, kinds);
    ga_json_begin_object(json, NULL);
    ga_json_number(json, "uid", user->uid);
    for (int i = 0; i < NKINDS; i++) {
        ga_json_number(json, kinds[i].used_key, kinds[i].used);
        if (kinds[i].allowed)
            ga_json_number(json, kinds[i].allowed_key, kinds[i].allowed);
        else
            ga_json_null(json, kinds[i].allowed_key);
    }
    ga_json_end(json);
}

static void print_json(const struct ga_ctl *ctl, const struct ga_parts *parts)
{
    struct ga_json json;
    ga_print_begin_json(ctl, &json);
    ga_json_begin_list(&json, "users");
    for (size_t i = 0; i < parts->count; i++) {
        const Goalloc__V1__UserList *list = parts->answers[i].message->user_list;
        for (size_t k = 0; k < list->n_users; k++)
            json_user(&json, list->users[k]);
    }
    ga_json_end(&json);
    ga_json_end(&json);
}

static void amount(uint64_t n, bool bytes, char text[static GA_UNITS_BYTES])
{
    if (bytes)
        ga_units_size(n, text);
    else
        snprintf(text, GA_UNITS_BYTES, "%" PRIu64, n);
}

/* "5 of 16", or just "5" where there is no quota. */
static void table_kind(struct ga_table *table, const struct kind *kind, bool bytes)
{
    char used[GA_UNITS_BYTES];
    char allowed[GA_UNITS_BYTES];
    amount(kind->used, bytes, used);
    amount(kind->allowed, bytes, allowed);
    if (kind->allowed)
        ga_table_cell(table, "%s of %s", used, allowed);
    else
        ga_table_cell(table, "%s", used);
}

static int print_users(const struct ga_parts *parts)
{
    static const struct ga_table_column columns[] = {
        {.title = "UID", .align = GA_TABLE_RIGHT},
        {.title = "BYTES", .align = GA_TABLE_RIGHT},
        {.title = "SPANS", .align = GA_TABLE_RIGHT},
        {.title = "MCACHES", .align = GA_TABLE_RIGHT},
        {.title = "CLIENTS", .align = GA_TABLE_RIGHT},
        {.title = "ROOTS", .align = GA_TABLE_RIGHT},
        {.title = "HOLDS", .align = GA_TABLE_RIGHT},
    };
    struct ga_table *table = ga_table_new(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < parts->count; i++) {
        const Goalloc__V1__UserList *list = parts->answers[i].message->user_list;
        for (size_t k = 0; k < list->n_users; k++) {
            struct kind kinds[NKINDS];
            list_kinds(list->users[k], kinds);
            ga_table_number(table, list->users[k]->uid);
            for (int n = 0; n < NKINDS; n++)
                table_kind(table, &kinds[n], n == 0);
        }
    }
    return ga_print_table(table);
}

int ga_ctl_users(const struct ga_ctl *ctl)
{
    struct ga_parts parts;
    int err = ga_ask_users(ctl, &parts);
    if (err < 0)
        return err;
    if (ctl->json)
        print_json(ctl, &parts);
    else
        err = print_users(&parts);
    ga_parts_fini(&parts);
    return err;
}

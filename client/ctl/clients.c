/* goallocctl clients: the processes that are attached, and what each of them holds and did. */
#include "client/ctl/command.h"

#include <inttypes.h>

#include "client/ctl/ask.h"
#include "client/ctl/json.h"
#include "client/ctl/own_programs.h"
#include "client/ctl/print.h"
#include "client/ctl/table.h"
#include "client/ctl/units.h"
#include "shm/layout.h"

/* How long ago a client attached, and whether it is in quarantine or paused, only its server knows.
 */
static bool knows_age(const struct ga_ctl *ctl)
{
    return ctl->source.socket != NULL;
}

static const char *policy_name(uint32_t policy)
{
    return policy == GA_POLICY_PRIVATE       ? "private"
           : policy == GA_POLICY_UNREACHABLE ? "unreachable"
                                             : "keep";
}

static const char *state_name(const Goalloc__V1__ClientInfo *client)
{
    if (client->quarantined)
        return "quarantined";
    if (client->stopped || client->silent)
        return client->stopped ? "stopped" : "silent";
    return client->paused ? "paused" : "good";
}

static void json_client(const struct ga_ctl *ctl, struct ga_json *json,
                        const Goalloc__V1__ClientInfo *client)
{
    ga_json_begin_object(json, NULL);
    ga_json_number(json, "client", client->client);
    ga_json_number(json, "pid", client->pid);
    ga_json_string(json, "name", client->name);
    ga_json_number(json, "uid", client->uid);
    ga_json_string(json, "policy", policy_name(client->policy));
    ga_json_bool(json, "managed", client->managed);
    ga_json_number(json, "mcaches", client->mcaches);
    ga_json_number(json, "slots", client->slots);
    ga_json_number(json, "spans", client->spans);
    ga_json_number(json, "leased_bytes", client->leased_bytes);
    ga_json_number(json, "mallocs", client->mallocs);
    ga_json_number(json, "frees", client->frees);
    if (knows_age(ctl)) {
        ga_json_number(json, "attached_ms", client->attached_ms);
        ga_json_bool(json, "quarantined", client->quarantined);
        ga_json_bool(json, "paused", client->paused);
        ga_json_bool(json, "stopped", client->stopped);
        ga_json_bool(json, "silent", client->silent);
    } else {
        ga_json_null(json, "attached_ms");
        ga_json_null(json, "quarantined");
        ga_json_null(json, "paused");
        ga_json_null(json, "stopped");
        ga_json_null(json, "silent");
    }
    ga_json_end(json);
}

static void print_json(const struct ga_ctl *ctl, const struct ga_parts *parts,
                       const struct ga_parts *programs)
{
    struct ga_json json;
    ga_print_begin_json(ctl, &json);
    ga_json_begin_list(&json, "clients");
    for (size_t i = 0; i < parts->count; i++) {
        const Goalloc__V1__ClientList *list = parts->answers[i].message->client_list;
        for (size_t k = 0; k < list->n_clients; k++)
            json_client(ctl, &json, list->clients[k]);
    }
    ga_json_end(&json);
    ga_own_programs_json(programs, &json);
    ga_json_end(&json);
}

static void table_client(const struct ga_ctl *ctl, struct ga_table *table,
                         const Goalloc__V1__ClientInfo *client)
{
    ga_table_number(table, client->client);
    ga_table_number(table, client->pid);
    ga_table_cell(table, "%s", client->name);
    ga_table_number(table, client->uid);
    ga_table_cell(table, "%s%s", policy_name(client->policy), client->managed ? ",managed" : "");
    ga_table_number(table, client->mcaches);
    ga_table_number(table, client->slots);
    ga_table_number(table, client->spans);
    ga_table_size(table, client->leased_bytes);
    ga_table_number(table, client->mallocs);
    ga_table_number(table, client->frees);
    if (!knows_age(ctl)) {
        for (int i = 0; i < 2; i++)
            ga_table_cell(table, "-");
        return;
    }
    char attached[GA_UNITS_BYTES];
    ga_units_duration(client->attached_ms, attached);
    ga_table_cell(table, "%s", attached);
    ga_table_cell(table, "%s", state_name(client));
}

static int print_clients(const struct ga_ctl *ctl, const struct ga_parts *parts)
{
    static const struct ga_table_column columns[] = {
        {.title = "ID", .align = GA_TABLE_RIGHT},
        {.title = "PID", .align = GA_TABLE_RIGHT},
        {.title = "NAME", .align = GA_TABLE_LEFT, .min_columns = 8},
        {.title = "UID", .align = GA_TABLE_RIGHT},
        {.title = "POLICY", .align = GA_TABLE_LEFT},
        {.title = "MCACHES", .align = GA_TABLE_RIGHT},
        {.title = "SLOTS", .align = GA_TABLE_RIGHT},
        {.title = "SPANS", .align = GA_TABLE_RIGHT},
        {.title = "LEASED", .align = GA_TABLE_RIGHT},
        {.title = "MALLOCS", .align = GA_TABLE_RIGHT},
        {.title = "FREES", .align = GA_TABLE_RIGHT},
        {.title = "AGE", .align = GA_TABLE_RIGHT},
        {.title = "STATE", .align = GA_TABLE_LEFT},
    };
    struct ga_table *table = ga_table_new(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < parts->count; i++) {
        const Goalloc__V1__ClientList *list = parts->answers[i].message->client_list;
        for (size_t k = 0; k < list->n_clients; k++)
            table_client(ctl, table, list->clients[k]);
    }
    return ga_print_table(table);
}

int ga_ctl_clients(const struct ga_ctl *ctl)
{
    struct ga_parts parts;
    struct ga_parts programs = {0};
    int err = ga_ask_clients(ctl, &parts);
    if (err < 0)
        return err;
    if (ctl->source.channel) /* only a server knows */
        err = ga_ask_programs(ctl, &programs);
    if (err == 0 && ctl->json) {
        print_json(ctl, &parts, &programs);
    } else if (err == 0) {
        err = print_clients(ctl, &parts);
        err = err < 0 ? err : ga_own_programs_print(&programs);
    }
    ga_parts_fini(&programs);
    ga_parts_fini(&parts);
    return err;
}

/* goallocctl status: what this heap is, who serves it and how much of it is in use, on a card. */
#include "client/ctl/command.h"

#include <inttypes.h>

#include "client/ctl/ask.h"
#include "client/ctl/json.h"
#include "client/ctl/print.h"
#include "client/ctl/table.h"
#include "client/ctl/units.h"

/* What only a server that runs can tell of itself: null of one that does not. */
static void json_server(const struct ga_ctl *ctl, struct ga_json *json,
                        const Goalloc__V1__Status *status)
{
    static const char *const keys[] = {"uptime_ms", "soft_limit_bytes", "cpu_ns",
                                       "turns",     "longest_turn_ns",  "longest_turn_cpu_ns"};
    static const Goalloc__V1__LoopStats none = {.turns = 0};
    const Goalloc__V1__LoopStats *loop = status->loop ? status->loop : &none;
    const uint64_t values[] = {status->uptime_ms, status->soft_limit_bytes, status->cpu_ns,
                               loop->turns,       loop->longest_ns,         loop->longest_cpu_ns};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (ctl->source.socket)
            ga_json_number(json, keys[i], values[i]);
        else
            ga_json_null(json, keys[i]);
    }
    ga_json_string(json, "scavenger", ctl->source.socket ? status->scavenger : NULL);
    ga_json_string(json, "collector", ctl->source.socket ? status->collector : NULL);
}

static void print_json(const struct ga_ctl *ctl, const Goalloc__V1__Status *status)
{
    struct ga_json json;
    ga_print_begin_json(ctl, &json);
    ga_json_string(&json, "heap_name", status->heap_name);
    ga_json_string(&json, "socket", ctl->source.socket ? status->socket : NULL);
    ga_json_string(&json, "server_version", status->server_version);
    ga_json_number(&json, "server_pid", status->server_pid);
    json_server(ctl, &json, status);
    ga_json_number(&json, "layout_version", status->layout_version);
    ga_json_address(&json, "base", status->heap_base);
    ga_json_address(&json, "end", status->heap_base + status->reserve_bytes);
    ga_json_number(&json, "reserve_bytes", status->reserve_bytes);
    ga_json_number(&json, "limit_bytes", status->limit_bytes);
    ga_json_number(&json, "committed_bytes", status->committed_bytes);
    ga_json_number(&json, "released_bytes", status->released_bytes);
    ga_json_number(&json, "inuse_bytes", status->inuse_bytes);
    ga_json_number(&json, "arenas_ready", status->arenas_ready);
    ga_json_number(&json, "arenas_prepared", status->arenas_prepared);
    ga_json_number(&json, "arenas_reserved", status->arenas_reserved);
    ga_json_number(&json, "clients", status->clients);
    ga_json_number(&json, "mcaches", status->mcaches);
    ga_json_number(&json, "roots", status->roots);
    ga_json_number(&json, "withholding_clients", status->withholding);
    ga_json_number(&json, "withheld_bytes", status->withheld_bytes);
    ga_json_end(&json);
}

static void size_line(struct ga_table *card, const char *key, uint64_t bytes)
{
    ga_table_cell(card, "%s", key);
    ga_table_size(card, bytes);
}

/* A size with its share of a larger one, where there is one: "12 MiB (1.2% of the limit)". */
static void share_line(struct ga_table *card, const char *key, uint64_t part, uint64_t whole,
                       const char *of)
{
    if (whole == 0) {
        size_line(card, key, part);
        return;
    }
    char size[GA_UNITS_BYTES];
    char share[GA_UNITS_BYTES];
    ga_units_size(part, size);
    ga_units_share(part, whole, share);
    ga_table_cell(card, "%s", key);
    ga_table_cell(card, "%s (%s of %s)", size, share, of);
}

/* Who serves the heap: asked, the server tells more of itself. */
static void server_lines(struct ga_table *card, const struct ga_ctl *ctl,
                         const Goalloc__V1__Status *status)
{
    ga_table_cell(card, "server");
    ga_table_cell(card, "goallocd %s, pid %" PRIu32 "%s, layout %" PRIu32, status->server_version,
                  status->server_pid, ctl->source.server_alive ? "" : " (dead)",
                  status->layout_version);
    if (!ctl->source.socket)
        return;
    char uptime[GA_UNITS_BYTES];
    ga_units_duration(status->uptime_ms, uptime);
    ga_table_cell(card, "socket");
    ga_table_cell(card, "%s", status->socket);
    ga_table_cell(card, "uptime");
    ga_table_cell(card, "%s", uptime);
}

/* The limit is on what has memory: the extent without what is given back. */
static void memory_lines(struct ga_table *card, const Goalloc__V1__Status *status)
{
    share_line(card, "committed", status->committed_bytes - status->released_bytes,
               status->limit_bytes, "the limit");
    share_line(card, "in use", status->inuse_bytes,
               status->committed_bytes - status->released_bytes, "what is committed");
    if (status->released_bytes > 0)
        size_line(card, "given back", status->released_bytes);
}

/* How busy the server is, and for how long it hears nobody at most. */
static void loop_lines(struct ga_table *card, const Goalloc__V1__Status *status)
{
    char cpu[GA_UNITS_BYTES];
    ga_units_duration(status->cpu_ns / 1000000, cpu);
    ga_table_cell(card, "cpu");
    ga_table_cell(card, "%s", cpu);
    if (!status->loop)
        return;
    ga_table_cell(card, "loop");
    ga_table_cell(card, "longest turn %.1f ms, %.1f ms of it on a core",
                  (double)status->loop->longest_ns / 1e6,
                  (double)status->loop->longest_cpu_ns / 1e6);
}

static int print_card(const struct ga_ctl *ctl, const Goalloc__V1__Status *status)
{
    static const struct ga_table_column columns[] = {{.align = GA_TABLE_LEFT},
                                                     {.align = GA_TABLE_LEFT}};
    struct ga_table *card = ga_table_new(columns, sizeof(columns) / sizeof(columns[0]));
    ga_table_cell(card, "heap");
    ga_table_cell(card, "%s", status->heap_name);
    server_lines(card, ctl, status);
    ga_table_cell(card, "window");
    ga_table_cell(card, "0x%" PRIx64 " - 0x%" PRIx64, status->heap_base,
                  status->heap_base + status->reserve_bytes);
    size_line(card, "reserve", status->reserve_bytes);
    size_line(card, "limit", status->limit_bytes);
    if (status->soft_limit_bytes > 0)
        size_line(card, "soft limit", status->soft_limit_bytes);
    memory_lines(card, status);
    ga_table_cell(card, "arenas");
    ga_table_cell(card, "%" PRIu32 " ready, %" PRIu32 " prepared, %" PRIu32 " reserved",
                  status->arenas_ready, status->arenas_prepared, status->arenas_reserved);
    ga_table_cell(card, "clients");
    ga_table_cell(card, "%" PRIu32 " (%" PRIu32 " mcache%s)", status->clients, status->mcaches,
                  ga_print_plural(status->mcaches));
    ga_table_cell(card, "roots");
    ga_table_cell(card, "%" PRIu32, status->roots);
    if (status->withholding > 0) {
        char size[GA_UNITS_BYTES];
        ga_units_size(status->withheld_bytes, size);
        ga_table_cell(card, "withheld");
        ga_table_cell(card, "%s by %" PRIu32 " client%s, stopped or silent while memory was short",
                      size, status->withholding, ga_print_plural(status->withholding));
    }
    if (ctl->source.socket) {
        loop_lines(card, status);
        ga_table_cell(card, "scavenger");
        ga_table_cell(card, "%s", status->scavenger);
        ga_table_cell(card, "collector");
        ga_table_cell(card, "%s", status->collector);
    }
    return ga_print_table(card);
}

int ga_ctl_status(const struct ga_ctl *ctl)
{
    struct ga_answer answer;
    int err = ga_ask_status(ctl, &answer);
    if (err < 0)
        return err;
    const Goalloc__V1__Status *status = answer.message->status;
    if (ctl->json)
        print_json(ctl, status);
    else
        err = print_card(ctl, status);
    ga_answer_fini(&answer);
    return err;
}

/* Rates are whole numbers in a second, the share of a core in thousandths, as all numbers here are
 * whole. */
#include "client/ctl/top_json.h"

#include "client/ctl/json.h"

static void write_totals(struct ga_json *json, const struct ga_top_sample *now)
{
    ga_json_string(json, "heap_name", now->heap_name);
    ga_json_number(json, "server_pid", now->server_pid);
    ga_json_bool(json, "server_alive", now->server_alive);
    ga_json_number(json, "uptime_ms", now->uptime_ms);
    ga_json_number(json, "cpu_ns", now->cpu_ns);
    ga_json_number(json, "limit_bytes", now->limit_bytes);
    ga_json_number(json, "committed_bytes", now->committed_bytes);
    ga_json_number(json, "inuse_bytes", now->inuse_bytes);
    ga_json_number(json, "alloc_bytes", now->alloc_bytes);
    ga_json_number(json, "objects", now->objects);
    ga_json_number(json, "mallocs", now->mallocs);
    ga_json_number(json, "frees", now->frees);
    ga_json_number(json, "lease_requests", now->lease_requests);
    ga_json_number(json, "lease_spans", now->lease_spans);
}

static void write_rates(struct ga_json *json, const struct ga_top_sample *before,
                        const struct ga_top_sample *now)
{
    struct ga_top_rates rates;
    ga_top_get_rates(before, now, &rates);
    ga_json_number(json, "mallocs_per_s", (uint64_t)rates.mallocs);
    ga_json_number(json, "frees_per_s", (uint64_t)rates.frees);
    ga_json_number(json, "lease_requests_per_s", (uint64_t)rates.lease_requests);
    ga_json_number(json, "lease_spans_per_s", (uint64_t)rates.lease_spans);
    ga_json_number(json, "cpu_permille", (uint64_t)(rates.cpu_share * 1000));
    ga_json_number(json, "served_p50_ns", rates.served_p50);
    ga_json_number(json, "served_p99_ns", rates.served_p99);
    ga_json_number(json, "waited_p50_ns", rates.waited_p50);
    ga_json_number(json, "waited_p99_ns", rates.waited_p99);
}

static void write_client(struct ga_json *json, const struct ga_top_client *client)
{
    ga_json_begin_object(json, NULL);
    ga_json_number(json, "client", client->client);
    ga_json_number(json, "pid", client->pid);
    ga_json_string(json, "name", client->name);
    ga_json_string(json, "state", client->state);
    ga_json_number(json, "mcaches", client->mcaches);
    ga_json_number(json, "spans", client->spans);
    ga_json_number(json, "leased_bytes", client->leased_bytes);
    ga_json_number(json, "mallocs", client->mallocs);
    ga_json_number(json, "frees", client->frees);
    ga_json_end(json);
}

static void write_class(struct ga_json *json, uint32_t index, const struct ga_top_class *class)
{
    if (class->mallocs == 0 && class->spans == 0)
        return;
    ga_json_begin_object(json, NULL);
    ga_json_number(json, "size_class", index);
    ga_json_number(json, "size_bytes", ga_size_classes[index].size);
    ga_json_number(json, "mallocs", class->mallocs);
    ga_json_number(json, "frees", class->frees);
    ga_json_number(json, "spans", class->spans);
    ga_json_number(json, "alloc_bytes", class->alloc_bytes);
    ga_json_end(json);
}

int ga_top_print_json(const struct ga_top_sample *before, const struct ga_top_sample *now)
{
    struct ga_json json;
    ga_json_init(&json, stdout);
    json.one_line = true;
    ga_json_begin_object(&json, NULL);
    write_totals(&json, now);
    write_rates(&json, before, now);
    ga_json_begin_list(&json, "clients");
    for (size_t i = 0; i < now->nclients; i++)
        write_client(&json, &now->clients[i]);
    ga_json_end(&json);
    ga_json_begin_list(&json, "classes");
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++)
        write_class(&json, c, &now->classes[c]);
    ga_json_end(&json);
    ga_json_end(&json);
    return 0;
}

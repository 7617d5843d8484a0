/* State and history, for the page. Numbers are as the server tells them; what people read is made
 * of them where they read it. */
#include "client/ctl/feed_text.h"

#include "client/ctl/json.h"
#include "shm/size_class.h"

static void write_status(struct ga_json *json, const Goalloc__V1__Status *status)
{
    ga_json_string(json, "heap_name", status->heap_name);
    ga_json_string(json, "server_version", status->server_version);
    ga_json_string(json, "socket", status->socket);
    ga_json_number(json, "server_pid", status->server_pid);
    ga_json_number(json, "uptime_ms", status->uptime_ms);
    ga_json_address(json, "base", status->heap_base);
    ga_json_number(json, "reserve_bytes", status->reserve_bytes);
    ga_json_number(json, "limit_bytes", status->limit_bytes);
    ga_json_number(json, "soft_limit_bytes", status->soft_limit_bytes);
    ga_json_number(json, "mcaches", status->mcaches);
    ga_json_number(json, "roots", status->roots);
    ga_json_number(json, "withholding", status->withholding);
    ga_json_number(json, "withheld_bytes", status->withheld_bytes);
}

static void write_stats(struct ga_json *json, const Goalloc__V1__Stats *stats)
{
    ga_json_number(json, "sys_bytes", stats->sys_bytes);
    ga_json_number(json, "meta_bytes", stats->meta_bytes);
    ga_json_number(json, "bits_bytes", stats->bits_bytes);
    ga_json_number(json, "spans_inuse", stats->spans_inuse);
    ga_json_number(json, "spans_leased", stats->spans_leased);
    ga_json_number(json, "leased_bytes", stats->leased_bytes);
    const Goalloc__V1__CycleStats *cycles = stats->cycles;
    ga_json_number(json, "cycles", cycles ? cycles->count : 0);
    ga_json_number(json, "cycle_pause_ns", cycles ? cycles->pause_ns : 0);
    ga_json_number(json, "cycle_pause_total_ns", cycles ? cycles->pause_total_ns : 0);
}

static void write_classes(struct ga_json *json, const Goalloc__V1__Stats *stats)
{
    ga_json_begin_list(json, "classes");
    for (size_t i = 0; i < stats->n_by_class; i++) {
        const Goalloc__V1__ClassStats *class = stats->by_class[i];
        if (class->size_class >= GA_SIZE_CLASS_COUNT || (class->mallocs == 0 && class->spans == 0))
            continue;
        const struct ga_size_class *shape = &ga_size_classes[class->size_class];
        ga_json_begin_object(json, NULL);
        ga_json_number(json, "size_class", class->size_class);
        ga_json_number(json, "slot_bytes", class->size_bytes);
        ga_json_number(json, "mallocs", class->mallocs);
        ga_json_number(json, "frees", class->frees);
        ga_json_number(json, "spans", class->spans);
        ga_json_number(json, "alloc_bytes", class->alloc_bytes);
        /* Large spans are as long as their objects. */
        ga_json_number(json, "span_bytes",
                       class->size_class ? class->spans * shape->npages * GA_PAGE_SIZE
                                         : class->alloc_bytes);
        ga_json_end(json);
    }
    ga_json_end(json);
}

static const char *condition_of(const Goalloc__V1__ClientInfo *client)
{
    if (client->quarantined)
        return "quarantined";
    if (client->stopped || client->silent)
        return client->stopped ? "stopped" : "silent";
    return client->paused ? "paused" : "good";
}

static void write_clients(struct ga_json *json, const struct ga_ctl_view *clients)
{
    ga_json_begin_list(json, "clients");
    for (size_t i = 0; i < clients->clients.count; i++) {
        const Goalloc__V1__ClientList *list = clients->clients.answers[i].message->client_list;
        for (size_t k = 0; k < list->n_clients; k++) {
            const Goalloc__V1__ClientInfo *client = list->clients[k];
            ga_json_begin_object(json, NULL);
            ga_json_number(json, "client", client->client);
            ga_json_number(json, "pid", client->pid);
            ga_json_string(json, "name", client->name);
            ga_json_number(json, "uid", client->uid);
            ga_json_number(json, "spans", client->spans);
            ga_json_number(json, "leased_bytes", client->leased_bytes);
            ga_json_number(json, "mallocs", client->mallocs);
            ga_json_number(json, "frees", client->frees);
            ga_json_number(json, "attached_ms", client->attached_ms);
            ga_json_string(json, "state", condition_of(client));
            ga_json_end(json);
        }
    }
    ga_json_end(json);
}

static const char *const columns[] = {
    "time_ms", "alloc_bytes", "inuse_bytes", "committed_bytes",   "released_bytes",
    "objects", "mallocs",     "frees",       "total_alloc_bytes", "server_cpu_ms"};

static void write_sample(struct ga_json *json, const char *key, const struct ga_feed_sample *sample)
{
    const uint64_t values[] = {sample->time_ms,           sample->alloc_bytes,
                               sample->inuse_bytes,       sample->committed_bytes,
                               sample->released_bytes,    sample->objects,
                               sample->mallocs,           sample->frees,
                               sample->total_alloc_bytes, sample->server_cpu_ms};
    static_assert(sizeof(values) / sizeof(values[0]) == sizeof(columns) / sizeof(columns[0]),
                  "each column has a value");
    ga_json_begin_list(json, key);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        ga_json_number(json, NULL, values[i]);
    ga_json_end(json);
}

void ga_feed_write_state(FILE *out, const void *data)
{
    const struct ga_feed_look *look = data;
    struct ga_json json;
    ga_json_init(&json, out);
    ga_json_begin_object(&json, NULL);
    ga_json_number(&json, "sequence", look->feed->sequence);
    ga_json_number(&json, "interval_ms", GA_FEED_INTERVAL_MS);
    const struct ga_source *source = &look->feed->ctl->source;
    ga_json_string(&json, "source", source->kind);
    ga_json_bool(&json, "server_alive", look->status != NULL && source->server_alive);
    if (look->status) {
        write_status(&json, look->status);
        write_stats(&json, look->stats);
        write_sample(&json, "sample", look->sample);
        write_clients(&json, look->clients);
        write_classes(&json, look->stats);
    } else {
        ga_json_number(&json, "lost_ms", look->feed->lost_ms);
    }
    ga_json_end(&json);
}

void ga_feed_write_history(FILE *out, const void *data)
{
    const struct ga_feed *feed = data;
    struct ga_json json;
    ga_json_init(&json, out);
    ga_json_begin_object(&json, NULL);
    ga_json_begin_list(&json, "columns");
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        ga_json_string(&json, NULL, columns[i]);
    ga_json_end(&json);
    ga_json_begin_list(&json, "samples");
    uint64_t first = feed->nsamples > GA_FEED_SAMPLES ? feed->nsamples - GA_FEED_SAMPLES : 0;
    for (uint64_t i = first; i < feed->nsamples; i++)
        write_sample(&json, NULL, &feed->samples[i % GA_FEED_SAMPLES]);
    ga_json_end(&json);
    ga_json_end(&json);
}

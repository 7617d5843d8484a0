/* Metrics as Prometheus reads them: each named once with what it means, then its values. What
 * counts ends in _total and never goes back while the heap lives. */
#include "client/ctl/feed_text.h"

#include <inttypes.h>

#include "shm/size_class.h"

static void put_label(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n')
            fputs("\\n", out);
        else if (*text == '"' || *text == '\\')
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
    }
}

static void head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP goalloc_%s %s\n# TYPE goalloc_%s %s\n", name, help, name, type);
}

static void gauge(FILE *out, const char *name, const char *help, uint64_t value)
{
    head(out, name, "gauge", help);
    fprintf(out, "goalloc_%s %" PRIu64 "\n", name, value);
}

static void counter(FILE *out, const char *name, const char *help, uint64_t value)
{
    head(out, name, "counter", help);
    fprintf(out, "goalloc_%s %" PRIu64 "\n", name, value);
}

static void seconds(FILE *out, const char *name, const char *help, uint64_t ms)
{
    head(out, name, "counter", help);
    fprintf(out, "goalloc_%s %" PRIu64 ".%03" PRIu64 "\n", name, ms / 1000, ms % 1000);
}

static void nanoseconds(FILE *out, const char *name, const char *help, uint64_t ns)
{
    head(out, name, "gauge", help);
    fprintf(out, "goalloc_%s %" PRIu64 ".%09" PRIu64 "\n", name, ns / 1000000000, ns % 1000000000);
}

static void write_loop(FILE *out, const Goalloc__V1__LoopStats *loop)
{
    counter(out, "server_turns_total", "How often the server's loop woke.", loop->turns);
    nanoseconds(out, "server_longest_turn_seconds",
                "How long the server heard nobody at most, since it began.", loop->longest_ns);
    nanoseconds(out, "server_longest_turn_cpu_seconds", "The same by its time on a core.",
                loop->longest_cpu_ns);
}

static void write_heap(FILE *out, const Goalloc__V1__Status *status,
                       const Goalloc__V1__Stats *stats)
{
    head(out, "info", "gauge", "The heap and its server.");
    fputs("goalloc_info{heap=\"", out);
    put_label(out, status->heap_name);
    fputs("\",version=\"", out);
    put_label(out, status->server_version);
    fputs("\"} 1\n", out);
    gauge(out, "uptime_seconds", "How long the server has served the heap.",
          status->uptime_ms / 1000);
    gauge(out, "heap_alloc_bytes", "Bytes of the objects in use.", stats->alloc_bytes);
    gauge(out, "heap_objects", "Objects in use.", stats->heap_objects);
    gauge(out, "heap_inuse_bytes", "Bytes of the spans in use.", stats->heap_inuse_bytes);
    gauge(out, "heap_idle_bytes", "Bytes of the heap that are in no span.", stats->heap_idle_bytes);
    gauge(out, "heap_released_bytes", "Of the idle ones, those without memory.",
          stats->heap_released_bytes);
    gauge(out, "heap_sys_bytes", "Bytes of the heap, in use and idle.", stats->heap_sys_bytes);
    gauge(out, "heap_limit_bytes", "How much of the heap may have memory.", status->limit_bytes);
    gauge(out, "heap_reserve_bytes", "Addresses that the heap may take.", status->reserve_bytes);
    gauge(out, "tables_bytes", "Memory of the server's tables.", stats->meta_bytes);
    gauge(out, "bitmaps_bytes", "Memory of bitmaps and mcaches.", stats->bits_bytes);
    gauge(out, "spans", "Spans in use.", stats->spans_inuse);
    gauge(out, "spans_leased", "Spans that an mcache allocates from.", stats->spans_leased);
    gauge(out, "leased_bytes", "Bytes of those.", stats->leased_bytes);
    gauge(out, "clients", "Attached processes.", status->clients);
    gauge(out, "mcaches", "Their mcaches, one for each thread that allocates.", status->mcaches);
    gauge(out, "roots", "Objects that are published.", status->roots);
    gauge(out, "clients_withholding", "Clients that gave nothing back when memory was short.",
          status->withholding);
    counter(out, "mallocs_total", "Objects allocated.", stats->mallocs);
    counter(out, "frees_total", "Objects freed.", stats->frees);
    counter(out, "alloc_bytes_total", "Bytes allocated.", stats->total_alloc_bytes);
    if (stats->leases) {
        counter(out, "lease_requests_total", "Requests for spans, since this server began.",
                stats->leases->requests);
        counter(out, "leases_total", "Spans that were leased, since this server began.",
                stats->leases->spans);
    }
    if (!stats->cycles)
        return;
    counter(out, "gc_cycles_total", "Collections that were carried out.", stats->cycles->count);
    seconds(out, "gc_pause_seconds_total", "How long clients stood still for them.",
            stats->cycles->pause_total_ns / 1000000);
}

/* One value for each class that was ever used. */
static void of_classes(FILE *out, const char *name, const char *type, const char *help,
                       const Goalloc__V1__Stats *stats, size_t offset)
{
    head(out, name, type, help);
    for (size_t i = 0; i < stats->n_by_class; i++) {
        const Goalloc__V1__ClassStats *class = stats->by_class[i];
        if (class->mallocs == 0 && class->spans == 0)
            continue;
        uint64_t value = *(const uint64_t *)(const void *)((const char *)class + offset);
        if (class->size_class == 0)
            fprintf(out, "goalloc_%s{size=\"large\"} %" PRIu64 "\n", name, value);
        else
            fprintf(out, "goalloc_%s{size=\"%" PRIu32 "\"} %" PRIu64 "\n", name, class->size_bytes,
                    value);
    }
}

static void write_classes(FILE *out, const Goalloc__V1__Stats *stats)
{
    of_classes(out, "class_mallocs_total", "counter", "Objects allocated, by bytes of a slot.",
               stats, offsetof(Goalloc__V1__ClassStats, mallocs));
    of_classes(out, "class_frees_total", "counter", "Objects freed, by bytes of a slot.", stats,
               offsetof(Goalloc__V1__ClassStats, frees));
    of_classes(out, "class_alloc_bytes", "gauge", "Bytes of the objects in use.", stats,
               offsetof(Goalloc__V1__ClassStats, alloc_bytes));
    of_classes(out, "class_spans", "gauge", "Spans in use.", stats,
               offsetof(Goalloc__V1__ClassStats, spans));
}

static void of_clients(FILE *out, const char *name, const char *type, const char *help,
                       const struct ga_ctl_view *clients, size_t offset)
{
    head(out, name, type, help);
    for (size_t i = 0; i < clients->clients.count; i++) {
        const Goalloc__V1__ClientList *list = clients->clients.answers[i].message->client_list;
        for (size_t k = 0; k < list->n_clients; k++) {
            const Goalloc__V1__ClientInfo *client = list->clients[k];
            fprintf(out, "goalloc_%s{client=\"%" PRIu32 "\",pid=\"%" PRIu32 "\",program=\"", name,
                    client->client, client->pid);
            put_label(out, client->name);
            fprintf(out, "\"} %" PRIu64 "\n",
                    *(const uint64_t *)(const void *)((const char *)client + offset));
        }
    }
}

static void write_clients(FILE *out, const struct ga_ctl_view *clients)
{
    of_clients(out, "client_leased_bytes", "gauge", "Bytes of the spans that the process leases.",
               clients, offsetof(Goalloc__V1__ClientInfo, leased_bytes));
    of_clients(out, "client_mallocs_total", "counter", "Objects that the process has allocated.",
               clients, offsetof(Goalloc__V1__ClientInfo, mallocs));
    of_clients(out, "client_frees_total", "counter",
               "Objects that the process has freed, whoever had allocated them.", clients,
               offsetof(Goalloc__V1__ClientInfo, frees));
}

void ga_feed_write_metrics(FILE *out, const void *data)
{
    const struct ga_feed_look *look = data;
    gauge(out, "up", "Whether the server answers.", look->status && !look->feed->ctl->source.heap);
    if (!look->status)
        return;
    write_heap(out, look->status, look->stats);
    seconds(out, "server_cpu_seconds_total", "What the server's process has used of a core.",
            look->sample->server_cpu_ms);
    if (look->status->loop)
        write_loop(out, look->status->loop);
    write_classes(out, look->stats);
    write_clients(out, look->clients);
}

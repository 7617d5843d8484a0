#include "client/ctl/top_fetch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/ctl/ask.h"
#include "client/ctl/printable.h"

static void take_status(const Goalloc__V1__Status *status, struct ga_top_sample *sample)
{
    snprintf(sample->heap_name, sizeof(sample->heap_name), "%s", status->heap_name);
    snprintf(sample->server_version, sizeof(sample->server_version), "%s", status->server_version);
    sample->server_pid = status->server_pid;
    sample->uptime_ms = status->uptime_ms;
    sample->cpu_ns = status->cpu_ns;
    sample->base = status->heap_base;
    sample->limit_bytes = status->limit_bytes;
    sample->committed_bytes = status->committed_bytes - status->released_bytes;
    sample->inuse_bytes = status->inuse_bytes;
}

static void take_stats(const Goalloc__V1__Stats *stats, struct ga_top_sample *sample)
{
    sample->alloc_bytes = stats->alloc_bytes;
    sample->objects = stats->heap_objects;
    sample->mallocs = stats->mallocs;
    sample->frees = stats->frees;
    for (size_t i = 0; i < stats->n_by_class; i++) {
        const Goalloc__V1__ClassStats *class = stats->by_class[i];
        if (class->size_class < GA_SIZE_CLASS_COUNT)
            sample->classes[class->size_class] = (struct ga_top_class){
                class->mallocs, class->frees, class->spans, class->alloc_bytes};
    }
    if (!stats->leases)
        return;
    sample->lease_requests = stats->leases->requests;
    sample->lease_spans = stats->leases->spans;
    sample->served = ga_latency_of(stats->leases->served, stats->leases->n_served);
    sample->waited = ga_latency_of(stats->leases->waited, stats->leases->n_waited);
}

static const char *state_of(const Goalloc__V1__ClientInfo *info)
{
    return info->quarantined ? "quarantined"
           : info->stopped   ? "stopped"
           : info->silent    ? "silent"
           : info->paused    ? "paused"
           : info->managed   ? "managed"
                             : "";
}

static void take_client(const Goalloc__V1__ClientInfo *info, struct ga_top_client *client)
{
    *client = (struct ga_top_client){.client = info->client,
                                     .pid = info->pid,
                                     .state = state_of(info),
                                     .mcaches = info->mcaches,
                                     .spans = info->spans,
                                     .leased_bytes = info->leased_bytes,
                                     .mallocs = info->mallocs,
                                     .frees = info->frees,
                                     .attached_ms = info->attached_ms};
    char *shown = ga_printable_copy(info->name);
    snprintf(client->name, sizeof(client->name), "%s", shown ? shown : "");
    free(shown);
}

static int take_clients(const struct ga_parts *parts, struct ga_top_sample *sample)
{
    size_t n = 0;
    for (size_t i = 0; i < parts->count; i++)
        n += parts->answers[i].message->client_list->n_clients;
    sample->clients = calloc(n + 1, sizeof(*sample->clients));
    for (size_t i = 0; i < parts->count && sample->clients; i++) {
        const Goalloc__V1__ClientList *list = parts->answers[i].message->client_list;
        for (size_t k = 0; k < list->n_clients; k++)
            take_client(list->clients[k], &sample->clients[sample->nclients++]);
    }
    return sample->clients ? 0 : -ENOMEM;
}

static int take_arenas(const struct ga_parts *parts, struct ga_top_sample *sample)
{
    size_t n = 0;
    for (size_t i = 0; i < parts->count; i++)
        n += parts->answers[i].message->arena_list->n_arenas;
    sample->arenas = calloc(n + 1, sizeof(*sample->arenas));
    for (size_t i = 0; i < parts->count && sample->arenas; i++) {
        const Goalloc__V1__ArenaList *list = parts->answers[i].message->arena_list;
        for (size_t k = 0; k < list->n_arenas; k++) {
            const Goalloc__V1__ArenaInfo *info = list->arenas[k];
            sample->arenas[sample->narenas++] = (struct ga_top_arena){
                info->index, info->count, info->state, info->ready_npages, info->inuse_npages};
        }
    }
    return sample->arenas ? 0 : -ENOMEM;
}

static int fetch_totals(const struct ga_ctl *ctl, struct ga_top_sample *sample)
{
    struct ga_answer answer;
    int r = ga_ask_status(ctl, &answer);
    if (r < 0)
        return r;
    take_status(answer.message->status, sample);
    ga_answer_fini(&answer);
    r = ga_ask_stats(ctl, &answer);
    if (r < 0)
        return r;
    take_stats(answer.message->stats, sample);
    ga_answer_fini(&answer);
    return 0;
}

int ga_top_fetch(const struct ga_ctl *ctl, struct ga_top_sample *ret)
{
    struct ga_top_sample sample = {.server_alive = ctl->source.server_alive};
    struct ga_parts parts = {0};
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    sample.time_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    int r = fetch_totals(ctl, &sample);
    if (r == 0)
        r = ga_ask_clients(ctl, &parts);
    if (r == 0)
        r = take_clients(&parts, &sample);
    ga_parts_fini(&parts);
    if (r == 0)
        r = ga_ask_arenas(ctl, &parts);
    if (r == 0)
        r = take_arenas(&parts, &sample);
    ga_parts_fini(&parts);
    if (r < 0)
        ga_top_sample_fini(&sample);
    else
        *ret = sample;
    return r;
}

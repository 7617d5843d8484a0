/* What one client did and holds, as shared memory tells it: its mcaches' counters beyond what they
 * were when it got them, and the spans that the page table says are leased to those. */
#include "client/ctl/shm_answer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "shm/counters.h"
#include "shm/page_entry.h"
#include "shm/recount.h"

struct client_stats {
    Goalloc__V1__Envelope envelope;
    Goalloc__V1__ClientStats body;
    Goalloc__V1__ClientClassStats classes[GA_SIZE_CLASS_COUNT];
    Goalloc__V1__ClientClassStats *list[GA_SIZE_CLASS_COUNT];
};

static bool is_of_client(const struct ga_shm_heap *heap, ga_mcache_id id, uint32_t number)
{
    return id != 0 && id < heap->mcache_end &&
           ga_load_relaxed(&heap->view.mcache_entries[id].client) == number;
}

static int count_spans(const struct ga_shm_heap *heap, struct client_stats *stats)
{
    uint64_t page = 1;
    uint64_t entry;
    int r;
    while ((r = ga_recount_next_span(&heap->view, &page, &entry)) == 0) {
        uint64_t npages = ga_entry_npages(entry);
        if (is_of_client(heap, ga_entry_owner(entry), stats->body.client)) {
            stats->classes[ga_entry_span_class(entry) / 2].leased_spans++;
            stats->body.leased_spans++;
            stats->body.leased_bytes += npages * GA_PAGE_SIZE;
        }
        page += npages;
    }
    return r == -EBADMSG ? ga_shm_heap_report_damage(heap, page) : 0;
}

static void count_deeds(const struct ga_shm_heap *heap, struct client_stats *stats)
{
    struct ga_counters counters = {0};
    Goalloc__V1__ClientStats *body = &stats->body;
    for (ga_mcache_id id = 1; id < heap->mcache_end; id++) {
        if (!is_of_client(heap, id, body->client))
            continue;
        ga_counters_add_since(&heap->view.mcaches[id], &counters);
        body->mcaches++;
    }
    body->mallocs = ga_counters_mallocs(&counters);
    body->frees = ga_counters_frees(&counters);
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++) {
        Goalloc__V1__ClientClassStats *class = &stats->classes[c];
        class->mallocs = counters.mallocs[c];
        class->frees = counters.frees[c];
        class->alloc_bytes = ga_counters_alloc_bytes(&counters, c);
        class->free_bytes = ga_counters_free_bytes(&counters, c);
        body->alloc_bytes += class->alloc_bytes;
        body->free_bytes += class->free_bytes;
    }
}

int ga_shm_client_stats(const struct ga_shm_heap *heap, uint32_t number, struct ga_answer *ret)
{
    if (number == 0 || number > heap->client_end ||
        ga_load_relaxed(&heap->view.clients[number - 1].state) != GA_CLIENT_ATTACHED) {
        fprintf(stderr, "goallocctl: no client %" PRIu32 " is attached to heap '%s'\n", number,
                heap->name);
        return -ENOENT;
    }
    struct client_stats *stats = calloc(1, sizeof(*stats));
    if (!stats) {
        fputs("goallocctl: out of memory\n", stderr);
        return -ENOMEM;
    }
    const struct ga_client_entry *entry = &heap->view.clients[number - 1];
    goalloc__v1__envelope__init(&stats->envelope);
    goalloc__v1__client_stats__init(&stats->body);
    stats->body.client = number;
    stats->body.pid = entry->pid;
    stats->body.name = (char *)(uintptr_t)entry->name; /* not const in protobuf-c; only read */
    stats->body.by_class = stats->list;
    stats->body.n_by_class = GA_SIZE_CLASS_COUNT;
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++) {
        goalloc__v1__client_class_stats__init(&stats->classes[c]);
        stats->classes[c].size_class = c;
        stats->list[c] = &stats->classes[c];
    }
    count_deeds(heap, stats);
    int r = count_spans(heap, stats);
    if (r < 0) {
        free(stats);
        return r;
    }
    stats->envelope.body_case = GOALLOC__V1__ENVELOPE__BODY_CLIENT_STATS;
    stats->envelope.client_stats = &stats->body;
    *ret = (struct ga_answer){.message = &stats->envelope, .memory = stats};
    return 0;
}

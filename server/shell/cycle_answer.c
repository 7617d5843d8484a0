/* The answer to who has asked for a cycle: what it has found and freed, and whose that was. */
#include "server/shell/cycle_internal.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include "server/shell/server.h"

#define OWNERS_MAX 64u /* that are told, those with the most garbage */

/* What a GcResult points to lies in one block with it. */
struct answer {
    Goalloc__V1__GcResult body;
    Goalloc__V1__GcCount classes[GA_SIZE_CLASS_COUNT];
    Goalloc__V1__GcCount *class_list[GA_SIZE_CLASS_COUNT];
    Goalloc__V1__GcCount owners[OWNERS_MAX];
    Goalloc__V1__GcCount *owner_list[OWNERS_MAX];
    struct ga_client_info infos[OWNERS_MAX];
};
static_assert(offsetof(struct answer, body) == 0, "who frees the body frees all of it");

static void fill_classes(const struct ga_collect_result *result, struct answer *answer)
{
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++) {
        if (result->by_class[c].objects == 0)
            continue;
        Goalloc__V1__GcCount *count = &answer->classes[answer->body.n_by_class];
        goalloc__v1__gc_count__init(count);
        count->size_class = c;
        count->objects = result->by_class[c].objects;
        count->bytes = result->by_class[c].bytes;
        answer->class_list[answer->body.n_by_class++] = count;
    }
    answer->body.by_class = answer->class_list;
}

static int by_bytes(const void *a, const void *b)
{
    uint64_t one = ((const struct ga_collect_owner *)a)->garbage.bytes;
    uint64_t other = ((const struct ga_collect_owner *)b)->garbage.bytes;
    return (one < other) - (one > other);
}

static void fill_owner(struct ga_server *server, const struct ga_collect_owner *owner,
                       struct answer *answer)
{
    size_t i = answer->body.n_by_owner++;
    Goalloc__V1__GcCount *count = &answer->owners[i];
    struct ga_client_info *info = &answer->infos[i];
    goalloc__v1__gc_count__init(count);
    count->objects = owner->garbage.objects;
    count->bytes = owner->garbage.bytes;
    if (owner->client_plus_1 != 0 &&
        ga_heap_next_client(server->heap, owner->client_plus_1 - 1, info) == 0 &&
        info->client == owner->client_plus_1 - 1) {
        count->client = info->client + 1;
        count->pid = info->pid;
        count->name = info->name;
    }
    answer->owner_list[i] = count;
}

static void fill_owners(struct ga_server *server, struct answer *answer)
{
    struct ga_collect_owner *owners = calloc(GA_CLIENT_COUNT + 1, sizeof(*owners));
    size_t n = 0;
    struct ga_collect_owner owner;
    if (!owners)
        return; /* the sums are told nevertheless */
    for (uint32_t i = 0; ga_collect_next_owner(server->heap, i, &owner) == 0;
         i = owner.client_plus_1 + 1)
        owners[n++] = owner;
    qsort(owners, n, sizeof(*owners), by_bytes);
    for (size_t i = 0; i < n && i < OWNERS_MAX; i++)
        fill_owner(server, &owners[i], answer);
    free(owners);
    answer->body.nowners = (uint32_t)n;
    answer->body.by_owner = answer->owner_list;
}

Goalloc__V1__GcResult *ga_cycle_answer_new(struct ga_server *server)
{
    struct answer *answer = calloc(1, sizeof(*answer));
    if (!answer)
        return NULL;
    const struct ga_cycle *cycle = &server->cycle;
    const struct ga_collect_result *result = ga_collect_get_result(server->heap);
    Goalloc__V1__GcResult *body = &answer->body;
    goalloc__v1__gc_result__init(body);
    body->cycle = cycle->number;
    body->mode = cycle->mode;
    body->failure = (char *)(uintptr_t)(cycle->failure ? cycle->failure : ""); /* only read */
    body->nworkers = cycle->nworkers;
    body->mark_ns = cycle->mark_ns;
    body->sweep_ns = cycle->sweep_ns;
    body->found_objects = result->found.objects;
    body->found_bytes = result->found.bytes;
    body->garbage_objects = result->garbage.objects;
    body->garbage_bytes = result->garbage.bytes;
    body->freed_objects = result->freed.objects;
    body->freed_bytes = result->freed.bytes;
    body->roots = result->roots;
    body->collection = result->collection;
    body->roots_outside = result->roots_outside;
    fill_classes(result, answer);
    fill_owners(server, answer);
    return body;
}

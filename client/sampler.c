#include "client/sampler.h"

#include <sys/random.h>
#include <time.h>

#include "shm/sampling.h"

/* The parts that a distance is counted down in: so many bytes, or mallocs where that is more. */
#define PART_BYTES    (UINT64_C(64) << 10)
#define PART_MALLOCS  64u
#define DISTANCE_NONE (UINT64_C(1) << 62)

void ga_sampler_init(struct ga_thread_cache *cache)
{
    if (getrandom(&cache->random, sizeof(cache->random), GRND_NONBLOCK) == sizeof(cache->random))
        return;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    cache->random = (uint64_t)now.tv_nsec << 32 ^ cache->id;
}

/* This process's rate; 0 where it is not attached, as in a child of fork. */
static uint64_t current_rate(const struct goalloc_heap *heap)
{
    uint32_t client = ga_load_relaxed(&heap->client);
    return client == 0 ? 0 : ga_load_relaxed(&heap->view.profile_entries[client - 1].rate_bytes);
}

/* How many mallocs come before the next that is sampled. */
static uint64_t draw(struct ga_thread_cache *cache, uint64_t size_bytes, uint64_t rate)
{
    if (rate == 0)
        return DISTANCE_NONE;
    double n = ga_sampling_distance(ga_random_next(&cache->random), rate) / (double)size_bytes;
    return n < (double)DISTANCE_NONE ? (uint64_t)n : DISTANCE_NONE;
}

bool ga_sampler_is_due(struct ga_thread_cache *cache, struct ga_free_list *list,
                       uint64_t size_bytes, uint64_t *ret_rate)
{
    uint64_t rate = current_rate(cache->heap);
    if (list->sample_rate != rate) {
        list->sample_rate = rate;
        list->beyond = draw(cache, size_bytes, rate);
    }
    bool due = list->beyond == 0;
    if (due)
        list->beyond = draw(cache, size_bytes, rate);
    else
        list->beyond--; /* this one */
    uint64_t part = PART_BYTES / size_bytes;
    part = part > PART_MALLOCS ? part : PART_MALLOCS;
    part = part < list->beyond ? part : list->beyond;
    list->to_sample = (int64_t)part;
    list->beyond -= part;
    *ret_rate = rate;
    return due;
}

bool ga_sampler_is_large_due(struct ga_thread_cache *cache, uint64_t size_bytes, uint64_t *ret_rate)
{
    uint64_t rate = current_rate(cache->heap);
    *ret_rate = rate;
    return rate != 0 && draw(cache, size_bytes, rate) == 0;
}

#include "shm/counters.h"

void ga_counters_add(const struct ga_mcache *mcache, struct ga_counters *sum)
{
    for (uint32_t c = 0; c < GA_SPAN_CLASS_COUNT; c++) {
        sum->mallocs[c / 2] += ga_load_relaxed(&mcache->classes[c].nmalloc);
        sum->frees[c / 2] += ga_load_relaxed(&mcache->classes[c].nfree);
    }
    sum->large_alloc_bytes += ga_load_relaxed(&mcache->large_alloc_bytes);
    sum->large_free_bytes += ga_load_relaxed(&mcache->large_free_bytes);
}

static uint64_t beyond(uint64_t now, const _Atomic uint64_t *before)
{
    uint64_t then = ga_load_relaxed(before);
    return now > then ? now - then : 0;
}

void ga_counters_add_since(const struct ga_mcache *mcache, struct ga_counters *sum)
{
    const struct ga_mcache_base *base = &mcache->base;
    struct ga_counters now = {0};
    ga_counters_add(mcache, &now);
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++) {
        sum->mallocs[c] += beyond(now.mallocs[c], &base->mallocs[c]);
        sum->frees[c] += beyond(now.frees[c], &base->frees[c]);
    }
    sum->large_alloc_bytes += beyond(now.large_alloc_bytes, &base->large_alloc_bytes);
    sum->large_free_bytes += beyond(now.large_free_bytes, &base->large_free_bytes);
}

void ga_counters_begin(struct ga_mcache *mcache)
{
    struct ga_mcache_base *base = &mcache->base;
    struct ga_counters now = {0};
    ga_counters_add(mcache, &now);
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++) {
        ga_store_relaxed(&base->mallocs[c], now.mallocs[c]);
        ga_store_relaxed(&base->frees[c], now.frees[c]);
    }
    ga_store_relaxed(&base->large_alloc_bytes, now.large_alloc_bytes);
    ga_store_relaxed(&base->large_free_bytes, now.large_free_bytes);
}

static uint64_t sum_of(const uint64_t counts[static GA_SIZE_CLASS_COUNT])
{
    uint64_t sum = 0;
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++)
        sum += counts[c];
    return sum;
}

uint64_t ga_counters_mallocs(const struct ga_counters *counters)
{
    return sum_of(counters->mallocs);
}

uint64_t ga_counters_frees(const struct ga_counters *counters)
{
    return sum_of(counters->frees);
}

uint64_t ga_counters_alloc_bytes(const struct ga_counters *counters, uint32_t size_class)
{
    return size_class ? counters->mallocs[size_class] * ga_size_classes[size_class].size
                      : counters->large_alloc_bytes;
}

uint64_t ga_counters_free_bytes(const struct ga_counters *counters, uint32_t size_class)
{
    return size_class ? counters->frees[size_class] * ga_size_classes[size_class].size
                      : counters->large_free_bytes;
}

uint64_t ga_counters_bound(uint32_t size_class, uint64_t bytes, uint64_t nspans)
{
    uint64_t most = nspans * GA_PAGE_SIZE; /* a tiny span is one page, as those of 8-byte slots */
    return size_class == GA_SPAN_CLASS_TINY / 2 && bytes > most ? most : bytes;
}

/* Profiles (shm/profile.h), as far as they are the server's: memory for them, how densely clients
 * sample, and that the profile of a client that is gone stays for a while. What is sampled clients
 * write down by themselves; here it is only taken back where the server frees objects. */
#include "server/heap_internal.h"

#include <errno.h>

#include "shm/sample.h"
#include "shm/size_class.h"

/* Of so many clients that are gone the profiles stay; then the oldest makes room. */
#define KEPT_MAX 256u

static uint64_t profile_offset(const struct ga_heap *heap, ga_client_id client)
{
    return heap->meta->bits_profiles_offset + client * sizeof(struct ga_profile);
}

int ga_profiles_back_entries(struct ga_heap *heap, ga_client_id client, uint32_t count)
{
    return ga_backing_ensure(&heap->meta_backing,
                             heap->meta->profiles_offset + client * sizeof(struct ga_profile_entry),
                             count * sizeof(struct ga_profile_entry));
}

int ga_profiles_back_again(struct ga_heap *heap, uint32_t count)
{
    int r = ga_profiles_back_entries(heap, 0, count);
    for (ga_client_id client = 0; r == 0 && client < count; client++) {
        _Atomic uint64_t *bytes = &heap->profile_entries[client].bytes;
        /* Of a server that was killed before it had said so, or a heap from a file: none. */
        if (ga_load_relaxed(bytes) > sizeof(struct ga_profile))
            ga_store_relaxed(bytes, 0);
        r = ga_backing_ensure(&heap->bits_backing, profile_offset(heap, client),
                              ga_load_relaxed(bytes));
    }
    return r;
}

uint64_t ga_profiles_sample_words(uint64_t rate_bytes)
{
    uint64_t wanted = rate_bytes ? 16 * GA_SAMPLE_SET_NPAGES * GA_PAGE_SIZE / rate_bytes : 0;
    uint64_t words = GA_SAMPLE_WORDS_MIN;
    while (words < GA_SAMPLE_WORDS_MAX && words < wanted)
        words *= 2;
    return words;
}

bool ga_profiles_is_kept(const struct ga_heap *heap, ga_client_id client)
{
    return ga_load_relaxed(&heap->profile_entries[client].bytes) != 0;
}

ga_client_id ga_profiles_oldest(const struct ga_heap *heap)
{
    ga_client_id oldest = heap->counts.clients;
    uint32_t nkept = 0;
    for (ga_client_id client = 0; client < heap->client_end; client++) {
        if (ga_load_relaxed(&heap->clients[client].state) != GA_CLIENT_FREE)
            continue;
        nkept += ga_profiles_is_kept(heap, client);
        if (oldest == heap->counts.clients ||
            heap->profile_entries[client].ended_ms < heap->profile_entries[oldest].ended_ms)
            oldest = client;
    }
    bool is_wanted = nkept >= KEPT_MAX || heap->client_end == heap->counts.clients;
    return is_wanted ? oldest : heap->counts.clients;
}

void ga_profiles_begin(struct ga_heap *heap, ga_client_id client)
{
    struct ga_profile_entry *entry = &heap->profile_entries[client];
    uint32_t instance = (ga_load_relaxed(&entry->instance) + 1) & GA_SAMPLE_INSTANCE_MASK;
    entry->ended_ms = 0;
    ga_store_relaxed(&entry->rate_bytes, ga_load_relaxed(&heap->meta->profile_rate_bytes));
    /* What lies in the profile is another's from here on. */
    ga_store_release(&entry->instance, instance ? instance : 1);
}

void ga_profiles_client_gone(struct ga_heap *heap, ga_client_id client)
{
    heap->profile_entries[client].ended_ms = heap->effects.wall_ms(heap->effects.data);
}

int ga_heap_profile_room(struct ga_heap *heap, ga_client_id client)
{
    if (!ga_clients_is_served(heap, client))
        return -EPERM;
    _Atomic uint64_t *shown = &heap->profile_entries[client].bytes;
    uint64_t bytes = ga_load_relaxed(shown);
    if (bytes == sizeof(struct ga_profile))
        return -ENOSPC;
    bytes = bytes ? 2 * bytes : GA_PROFILE_BYTES_MIN;
    int r = ga_backing_ensure(&heap->bits_backing, profile_offset(heap, client), bytes);
    if (r < 0)
        return r;
    /* Pairs with the client's acquire: who sees it finds the memory there. */
    ga_store_release(shown, bytes);
    return 0;
}

int ga_heap_set_profile_rate(struct ga_heap *heap, uint32_t client_plus_1, uint32_t pid,
                             uint64_t rate_bytes)
{
    bool all = client_plus_1 == 0 && pid == 0;
    bool found = all;
    if (all)
        ga_store_relaxed(&heap->meta->profile_rate_bytes, rate_bytes);
    for (ga_client_id client = 0; client < heap->client_end; client++) {
        if (!ga_clients_is_attached(heap, client) ||
            !(all || client + 1 == client_plus_1 || (pid != 0 && heap->clients[client].pid == pid)))
            continue;
        ga_store_relaxed(&heap->profile_entries[client].rate_bytes, rate_bytes);
        found = true;
    }
    return found ? 0 : -ENOENT;
}

/* ---- what the server frees ---- */

/* The site that the word names; NULL where there is none. */
static struct ga_profile_site *site_of(const struct ga_heap *heap, uint64_t word)
{
    uint32_t client = ga_sample_client(word);
    uint32_t site = ga_sample_site(word);
    uint64_t end = offsetof(struct ga_profile, sites) + (site + 1) * sizeof(struct ga_profile_site);
    if (client < heap->client_end && site < GA_PROFILE_SITES &&
        end <= ga_load_relaxed(&heap->profile_entries[client].bytes) &&
        ga_sample_instance(word) == ga_load_relaxed(&heap->profile_entries[client].instance))
        return &heap->view.profiles[client].sites[site];
    return NULL;
}

static void count_free(struct ga_heap *heap, uint64_t word)
{
    struct ga_profile_site *site = site_of(heap, word);
    if (site)
        ga_fetch_add_relaxed(&site->nfree_server, 1);
}

bool ga_profiles_has_samples(const struct ga_heap *heap, ga_page_id page)
{
    return ga_line_samples(ga_load_relaxed(&heap->view.lines[page].nholds)) != 0;
}

void ga_profiles_freed(struct ga_heap *heap, ga_page_id page, uint64_t offset)
{
    uint64_t word;
    if (ga_profiles_has_samples(heap, page) && ga_sample_take(&heap->view, page, offset, &word))
        count_free(heap, word);
}

void ga_profiles_freed_slots(struct ga_heap *heap, ga_page_id page, uint32_t word, uint64_t slots)
{
    if (!ga_profiles_has_samples(heap, page))
        return;
    uint32_t size = ga_size_classes[heap->mspans[page].span_class / 2].size;
    for (; slots; slots &= slots - 1) {
        uint64_t index = (uint64_t)word * 64 + (uint64_t)__builtin_ctzll(slots);
        ga_profiles_freed(heap, page, (uint64_t)page * GA_PAGE_SIZE + index * size);
    }
}

void ga_profiles_unreached_slots(const struct ga_heap *heap, ga_page_id page, uint32_t word,
                                 uint64_t slots, uint32_t collection)
{
    uint64_t size = ga_size_classes[heap->mspans[page].span_class / 2].size;
    for (; slots; slots &= slots - 1) {
        uint64_t index = (uint64_t)word * 64 + (uint64_t)__builtin_ctzll(slots);
        uint64_t sample;
        if (!ga_sample_find(&heap->view, (uint64_t)page * GA_PAGE_SIZE + index * size, &sample))
            continue;
        struct ga_profile_site *site = site_of(heap, sample);
        if (!site)
            continue;
        /* What another collection has counted there is void. */
        uint64_t before = ga_load_relaxed(&site->nunreached);
        uint64_t none = (uint64_t)collection << 32;
        ga_store_relaxed(&site->nunreached, (before >> 32 == collection ? before : none) + 1);
    }
}

void ga_profiles_forget_span(struct ga_heap *heap, ga_page_id page, uint64_t npages)
{
    if (ga_profiles_has_samples(heap, page))
        (void)ga_sample_forget_span(&heap->view, page, npages);
}

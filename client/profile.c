/* A site is found by its hash in an index of private memory, and made where there is none: its
 * words are filled in, and then it is ready. Two threads may make one site twice at once; who reads
 * the profile adds up what is alike. A lock is taken only to begin the profile, and to have more
 * memory for it, which the server commits: that is waited for no longer than ROOM_WAIT_MS. */
#include "client/profile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/code_map.h"
#include "client/deadline.h"
#include "client/heap.h"
#include "client/mcache.h"
#include "client/stack.h"
#include "client/uncancelled.h"
#include "shm/process.h"
#include "shm/sample.h"
#include "shm/sampling.h"

#define ROOM_WAIT_MS  100u
#define ROOM_AGAIN_MS 1000u
#define PROBES_MAX    64u
#define INDEX_BYTES   (GA_PROFILE_INDEX * sizeof(uint32_t))
#define OWN_BYTES     (INDEX_BYTES + GA_CODE_MAP_BUFFER_BYTES) /* of a profiler, private */

void ga_profile_init(struct goalloc_heap *heap)
{
    heap->profiler.lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

void ga_profile_fini(struct goalloc_heap *heap)
{
    struct ga_profiler *profiler = &heap->profiler;
    if (profiler->index)
        munmap(profiler->index, OWN_BYTES);
    pthread_mutex_destroy(&profiler->lock);
}

void ga_profile_reset(struct goalloc_heap *heap)
{
    ga_profile_init(heap);
    heap->profiler.asked_ms = 0;
}

/* ---- whose profile ---- */

/* This process as a client, as ga_sample_who has it; 0 where it is none. */
static uint64_t find_who(const struct goalloc_heap *heap)
{
    uint32_t client = ga_load_relaxed(&heap->client);
    if (client == 0)
        return 0;
    uint32_t instance = ga_load_acquire(&heap->view.profile_entries[client - 1].instance);
    return ga_sample_who(client - 1, instance);
}

static struct ga_profile *profile_of(const struct goalloc_heap *heap, uint64_t who)
{
    return &heap->view.profiles[ga_sample_client(who)];
}

static uint64_t room_of(const struct goalloc_heap *heap, uint64_t who)
{
    /* Pairs with the server's release: the memory is there. */
    return ga_load_acquire(&heap->view.profile_entries[ga_sample_client(who)].bytes);
}

/* Whether the profile has the site in its memory. */
static bool has_site(const struct goalloc_heap *heap, uint64_t who, uint32_t site)
{
    uint64_t end =
        offsetof(struct ga_profile, sites) + ((uint64_t)site + 1) * sizeof(struct ga_profile_site);
    return site < GA_PROFILE_SITES && end <= room_of(heap, who);
}

/* ---- beginning, and room ---- */

/* Have more memory for the profile. With the lock held. */
static bool ask_for_room(struct goalloc_heap *heap)
{
    struct ga_profiler *profiler = &heap->profiler;
    uint64_t now = ga_mcache_now_ms();
    if (profiler->asked_ms != 0 && now - profiler->asked_ms < ROOM_AGAIN_MS)
        return false;
    Goalloc__V1__ProfileRoom body = GOALLOC__V1__PROFILE_ROOM__INIT;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_PROFILE_ROOM;
    request.profile_room = &body;
    struct timespec deadline = ga_deadline_in(ROOM_WAIT_MS);
    struct ga_reply *reply;
    int r = ga_channel_call_once_until(heap->channel, &request, &deadline,
                                       GOALLOC__V1__ENVELOPE__BODY_DONE, NULL, &reply);
    profiler->asked_ms = r < 0 ? now : 0;
    if (r == 0)
        ga_reply_release(reply);
    return r == 0;
}

/* Where the library's own code lies, unless it is part of the program's file: then a profile shows
 * it, under names that whoever reads it knows to leave out. */
static void find_own_code(struct ga_profiler *profiler, const struct ga_profile_mapping *mappings,
                          uint32_t n)
{
    uintptr_t here = (uintptr_t)&ga_profile_note;
    char program[sizeof(mappings->path)];
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    program[length > 0 ? length : 0] = '\0';
    profiler->own = (struct ga_code_range){0};
    for (uint32_t i = 0; i < n; i++)
        if (here >= mappings[i].start && here < mappings[i].limit &&
            strcmp(mappings[i].path, program) != 0)
            profiler->own = (struct ga_code_range){mappings[i].start, mappings[i].limit};
}

static void name_program(struct ga_profile *profile)
{
    char path[512];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    path[length > 0 ? length : 0] = '\0';
    const char *slash = strrchr(path, '/');
    snprintf(profile->program, sizeof(profile->program), "%.87s", slash ? slash + 1 : path);
}

/* Fill in the profile anew; what another client has left there is void from the first store on. */
static void fill(struct goalloc_heap *heap, uint64_t who)
{
    struct ga_profile *profile = profile_of(heap, who);
    ga_store_release(&profile->instance, 0);
    if (!heap->is_own) /* there is no other, and it is 0 as it came */
        memset((char *)profile + sizeof(profile->instance), 0,
               room_of(heap, who) - sizeof(profile->instance));
    profile->pid = (uint32_t)getpid();
    if (!heap->is_own) /* where the process is there as long as its heap is */
        (void)ga_process_start_time(profile->pid, &profile->start_time);
    name_program(profile);
    uint32_t n = ga_code_map_read(heap->profiler.buffer, profile->mappings, GA_PROFILE_MAPPINGS);
    find_own_code(&heap->profiler, profile->mappings, n);
    ga_store_release(&profile->nmappings, n);
    ga_store_release(&profile->instance, ga_sample_instance(who));
}

static void *map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static bool have_empty_index(struct ga_profiler *profiler)
{
    if (profiler->index) {
        memset(profiler->index, 0, INDEX_BYTES); /* the parent's, in a child of fork */
        return true;
    }
    void *memory = profiler->at_hand ? profiler->at_hand : map(OWN_BYTES);
    if (!memory)
        return false;
    profiler->buffer = (char *)memory + INDEX_BYTES;
    profiler->index = memory;
    return true;
}

static bool begin_locked(struct goalloc_heap *heap, uint64_t who)
{
    struct ga_profiler *profiler = &heap->profiler;
    if (ga_load_relaxed(&profiler->who) == who)
        return true;
    if ((room_of(heap, who) == 0 && !ask_for_room(heap)) || !have_empty_index(profiler))
        return false;
    fill(heap, who);
    ga_store_release(&profiler->who, who);
    return true;
}

/* Begin the profile of this process unless it is begun. Returns whose it is; 0 where there can be
 * none now. */
static uint64_t begin(struct goalloc_heap *heap)
{
    uint64_t who = find_who(heap);
    /* Pairs with the release of who began it. */
    if (who == 0 || ga_load_acquire(&heap->profiler.who) == who)
        return who;
    GA_UNCANCELLED;
    pthread_mutex_lock(&heap->profiler.lock);
    bool begun = begin_locked(heap, who);
    pthread_mutex_unlock(&heap->profiler.lock);
    return begun ? who : 0;
}

/* Have memory for the site, if there may be. */
static bool make_room(struct goalloc_heap *heap, uint64_t who, uint32_t site)
{
    GA_UNCANCELLED;
    pthread_mutex_lock(&heap->profiler.lock);
    while (site < GA_PROFILE_SITES && !has_site(heap, who, site) && ask_for_room(heap))
        continue;
    pthread_mutex_unlock(&heap->profiler.lock);
    return has_site(heap, who, site);
}

/* ---- sites ---- */

/* What tells a site from others. */
struct key {
    uint64_t size_bytes;
    uint64_t rate_bytes;
    struct ga_stack stack;
};

static uint32_t hash(const struct key *key)
{
    uint64_t h = key->size_bytes * 31 + key->rate_bytes;
    for (uint32_t i = 0; i < key->stack.nframes; i++)
        h = (h ^ key->stack.pc[i]) * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(h >> 32);
}

static bool is_of(const struct ga_profile_site *site, const struct key *key)
{
    return site->size_bytes == key->size_bytes && site->rate_bytes == key->rate_bytes &&
           site->nframes == key->stack.nframes &&
           memcmp(site->pc, key->stack.pc, key->stack.nframes * sizeof(site->pc[0])) == 0;
}

/* A function may have been loaded since the code was mapped: read it once more. */
static void know_code(struct goalloc_heap *heap, struct ga_profile *profile,
                      const struct ga_stack *stack)
{
    uint32_t n = ga_load_relaxed(&profile->nmappings);
    bool known = true;
    for (uint32_t i = 0; i < stack->nframes && known; i++) {
        known = false;
        for (uint32_t m = 0; m < n && !known; m++)
            known = stack->pc[i] >= profile->mappings[m].start &&
                    stack->pc[i] < profile->mappings[m].limit;
    }
    if (known)
        return;
    GA_UNCANCELLED;
    pthread_mutex_lock(&heap->profiler.lock);
    n = ga_code_map_read(heap->profiler.buffer, profile->mappings, GA_PROFILE_MAPPINGS);
    ga_store_release(&profile->nmappings, n);
    pthread_mutex_unlock(&heap->profiler.lock);
}

/* Returns its number + 1, or 0. */
static uint32_t new_site(struct goalloc_heap *heap, uint64_t who, const struct key *key)
{
    struct ga_profile *profile = profile_of(heap, who);
    uint32_t number = ga_load_relaxed(&profile->nsites);
    if (!has_site(heap, who, number) && !make_room(heap, who, number))
        return 0;
    number = (uint32_t)ga_fetch_add_relaxed(&profile->nsites, 1);
    if (!has_site(heap, who, number)) /* others were faster */
        return 0;
    know_code(heap, profile, &key->stack);
    struct ga_profile_site *site = &profile->sites[number];
    site->size_bytes = key->size_bytes;
    site->rate_bytes = key->rate_bytes;
    site->nframes = key->stack.nframes;
    memcpy(site->pc, key->stack.pc, key->stack.nframes * sizeof(site->pc[0]));
    ga_store_release(&site->ready, 1);
    return number + 1;
}

/* The site of key, made now if it is new: its number + 1. 0 where there is no room. */
static uint32_t find_site(struct goalloc_heap *heap, uint64_t who, const struct key *key)
{
    struct ga_profile *profile = profile_of(heap, who);
    uint32_t h = hash(key);
    uint32_t made = 0;
    for (uint32_t i = 0; i < PROBES_MAX; i++) {
        _Atomic uint32_t *place = &heap->profiler.index[(h + i) % GA_PROFILE_INDEX];
        uint32_t number = ga_load_acquire(place);
        if (number == 0 && made == 0)
            made = new_site(heap, who, key);
        if (number == 0 && made == 0)
            return 0;
        /* Release: pairs with the acquire of other threads. */
        if (number == 0 && ga_cas_seq_cst(place, &number, made))
            return made;
        if (is_of(&profile->sites[number - 1], key))
            return number;
    }
    return made;
}

/* ---- objects ---- */

static bool put(struct goalloc_heap *heap, uint64_t who, uint32_t site, const void *p)
{
    struct ga_slot slot;
    ga_busy_begin();
    bool done = ga_lookup_slot(heap, p, &slot) == GA_LOOKUP_SLOT &&
                ga_sample_put(&heap->view, slot.page, (uintptr_t)p - heap->base,
                              who | (uint64_t)site << GA_SAMPLE_SITE_SHIFT);
    ga_busy_end();
    return done;
}

void ga_profile_free_stacks(struct ga_thread_cache *cache)
{
    if (!cache->stacks)
        return;
    if (cache->is_first) /* they are for the next; a thread that a child of fork lacks may be in it
                          */
        memset(cache->stacks, 0, sizeof(*cache->stacks));
    else
        munmap(cache->stacks, sizeof(*cache->stacks));
}

/* What this thread remembers of its stacks; NULL where it has no cache, or there is no memory. */
static struct ga_stack_memory *memory_of(struct goalloc_heap *heap)
{
    struct ga_stack_memory *memory = NULL;
    ga_busy_begin();
    struct ga_thread_cache *cache = ga_thread_cache_peek(heap);
    if (cache && cache->heap == heap && !cache->stacks) {
        cache->stacks =
            cache->is_first ? (void *)(heap->profiler.at_hand + OWN_BYTES) : map(sizeof(*memory));
    }
    if (cache && cache->heap == heap)
        memory = cache->stacks;
    ga_busy_end();
    return memory;
}

__attribute__((noinline)) void *ga_profile_note(struct goalloc_heap *heap, void *p,
                                                uint64_t size_bytes, uint64_t rate_bytes)
{
    int saved_errno = errno;
    struct key key = {.size_bytes = size_bytes, .rate_bytes = rate_bytes};
    uint64_t who = begin(heap);
    if (who != 0) {
        ga_stack_walk(&heap->profiler.own, memory_of(heap), &key.stack);
        struct ga_profile *profile = profile_of(heap, who);
        uint32_t site = find_site(heap, who, &key);
        bool tracked = site != 0 && put(heap, who, site - 1, p);
        if (!tracked)
            ga_fetch_add_relaxed(&profile->ndropped, 1);
        if (!tracked && site != 0)
            ga_fetch_add_relaxed(&profile->sites[site - 1].nuntracked, 1);
        if (site != 0)
            ga_fetch_add_relaxed(&profile->sites[site - 1].nalloc, 1);
    }
    ga_busy_keep(p);
    errno = saved_errno;
    return p;
}

/* This process as one who frees: a child of fork attaches for it, as it would for the free. 0 where
 * it cannot. */
static uint64_t find_freer(struct goalloc_heap *heap)
{
    int saved_errno = errno;
    struct ga_thread_cache *cache = ga_thread_cache_get(heap);
    uint64_t who = find_who(heap);
    if (cache)
        ga_thread_cache_put(cache);
    errno = saved_errno;
    return who;
}

/* me as one who frees, as ga_sample_freer has it. To ask for the pid each time is a system call. */
static uint64_t name_freer(struct goalloc_heap *heap, uint64_t me)
{
    uint64_t freer = ga_load_relaxed(&heap->profiler.freer);
    if (freer - ga_sample_freer_pid(freer) == me)
        return freer;
    freer = ga_sample_freer(me, (uint32_t)getpid());
    ga_store_relaxed(&heap->profiler.freer, freer);
    return freer;
}

/* Count the free for the matrix of who frees whose. me: 0 = somebody. */
static void count_freer(struct ga_profile *profile, uint64_t me, uint64_t size_bytes,
                        uint64_t rate_bytes)
{
    for (uint32_t i = 0; i < GA_PROFILE_FREERS; i++) {
        struct ga_profile_freer *freer = &profile->freers[i];
        uint64_t who = ga_load_relaxed(&freer->who);
        /* The last place is for all that come when the others are taken. */
        if (i == GA_PROFILE_FREERS - 1 || (me != 0 && who == me) ||
            (me != 0 && who == 0 && (ga_cas_seq_cst(&freer->who, &who, me) || who == me))) {
            double scale = ga_sampling_scale(size_bytes, rate_bytes);
            /* What was counted before is chance enough for the rounding. */
            uint64_t random =
                ga_fetch_add_relaxed(&freer->bytes, (uint64_t)(scale * (double)size_bytes + 0.5));
            ga_fetch_add_relaxed(&freer->nobjects, ga_sampling_round(scale, &random));
            return;
        }
    }
}

__attribute__((noinline)) void ga_profile_freed(struct goalloc_heap *heap,
                                                const struct ga_slot *slot, uint64_t offset)
{
    const struct ga_view *view = &heap->view;
    uint64_t word;
    if (!ga_sample_take(view, slot->page, offset, &word))
        return;
    uint32_t client = ga_sample_client(word);
    uint32_t number = ga_sample_site(word);
    const struct ga_profile_entry *entry = &view->profile_entries[client];
    /* The table's entries before this end are backed. */
    if (client >= ga_load_acquire(&view->meta->client_end) || !has_site(heap, word, number) ||
        ga_load_acquire(&entry->instance) != ga_sample_instance(word))
        return;
    uint64_t me = find_freer(heap);
    struct ga_profile *profile = &view->profiles[client];
    struct ga_profile_site *site = &profile->sites[number];
    bool own = me == ga_sample_who(client, ga_sample_instance(word));
    ga_fetch_add_relaxed(own ? &site->nfree_own : &site->nfree_other, 1);
    count_freer(profile, me ? name_freer(heap, me) : 0, site->size_bytes, site->rate_bytes);
}

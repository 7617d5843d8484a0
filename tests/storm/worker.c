#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "ledger.h"
#include "support/cunit_main.h"

enum { ATTACH_TRIES = 600, THREAD_LIFE = 20000 }; /* operations of a thread before the next one */

struct worker {
    struct goalloc_heap *heap;
    struct storm_ledger *ledger;
    uint32_t client;
    uint32_t thread;
    uint64_t random;
};

static void report(enum goalloc_report_kind kind, const char *message, void *data)
{
    struct storm_ledger *ledger = data;
    if (kind == GOALLOC_REPORT_LOST)
        return; /* the server was killed */
    atomic_fetch_add(&ledger->reports, 1);
    fprintf(stderr, "%s\n", message);
}

static size_t random_size(struct worker *w)
{
    uint64_t r = ga_test_random(&w->random);
    switch (r % 500) {
    case 0:
        return 1 + (r >> 16) % (3 << 20);
    case 1 ... 9:
        return 32769 + (r >> 16) % 100000;
    case 10 ... 60:
        return 1 + (r >> 16) % 32768;
    case 61 ... 200:
        return 1 + (r >> 16) % 15;
    default:
        return 1 + (r >> 16) % 500;
    }
}

static uint8_t *allocate(struct worker *w, size_t bytes, uint64_t kind)
{
    switch (kind % 4) {
    case 0:
        return goalloc_malloc(w->heap, bytes);
    case 1:
        return goalloc_calloc(w->heap, 1, bytes);
    case 2:
        return goalloc_aligned_alloc(w->heap, (size_t)1 << (kind >> 8) % 8, bytes);
    default:
        return goalloc_alloc(w->heap, bytes, 0, GOALLOC_NOSCAN);
    }
}

static void damage(struct worker *w, const char *when, const struct storm_entry *e)
{
    atomic_fetch_add(&w->ledger->damaged, 1);
    fprintf(stderr, "%s: %p, %llu bytes, is not as it was left\n", when, (void *)e->object,
            (unsigned long long)e->bytes);
}

static bool is_zero(const uint8_t *object, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (object[i] != 0)
            return false;
    return true;
}

static void make_one(struct worker *w, struct storm_entry *e)
{
    uint64_t kind = ga_test_random(&w->random);
    atomic_store(&e->object, NULL);
    e->bytes = random_size(w);
    e->seed = ga_test_random(&w->random);
    atomic_store(&e->state, storm_word(STORM_ALLOCATING, w->client));
    uint8_t *object = allocate(w, e->bytes, kind);
    if (!object) {
        atomic_fetch_add(&w->ledger->failed, 1);
        atomic_store(&e->state, storm_word(STORM_EMPTY, 0));
        return;
    }
    atomic_store(&e->object, object);
    if (kind % 4 == 1 && !is_zero(object, e->bytes))
        damage(w, "calloc", e);
    storm_fill(object, e->bytes, e->seed);
    atomic_store(&e->state, storm_word(STORM_LIVE, 0));
}

/* Take an object that is whole, or that a dead client left; what is done with it next is acting. */
static bool take(struct worker *w, struct storm_entry *e, enum storm_state acting,
                 enum storm_state *ret_was)
{
    uint64_t word = atomic_load(&e->state);
    *ret_was = storm_state_of(word);
    if (*ret_was != STORM_LIVE && *ret_was != STORM_UNFILLED)
        return false;
    return atomic_compare_exchange_strong(&e->state, &word, storm_word(acting, w->client));
}

static void free_one(struct worker *w, struct storm_entry *e)
{
    enum storm_state was;
    if (!take(w, e, STORM_FREEING, &was))
        return;
    if (was == STORM_LIVE && !storm_is_intact(e->object, e->bytes, e->seed))
        damage(w, "free", e);
    goalloc_free(w->heap, e->object);
    atomic_store(&e->state, storm_word(STORM_EMPTY, 0));
}

/* Only own entries are resized: what a reader of the ledger finds in one being resized is its. */
static void resize_one(struct worker *w, struct storm_entry *e)
{
    enum storm_state was;
    if (!take(w, e, STORM_RESIZING, &was))
        return;
    if (was == STORM_LIVE && !storm_is_intact(e->object, e->bytes, e->seed))
        damage(w, "realloc", e);
    size_t bytes = random_size(w);
    uint8_t *object = goalloc_realloc(w->heap, e->object, bytes);
    if (object) {
        uint64_t kept = e->bytes < bytes ? e->bytes : bytes;
        atomic_store(&e->object, object);
        if (was == STORM_LIVE && !storm_is_intact(object, kept, e->seed))
            damage(w, "realloc's copy", e);
        e->bytes = bytes;
        storm_fill(object, bytes, e->seed);
        was = STORM_LIVE;
    } else {
        atomic_fetch_add(&w->ledger->failed, 1);
    }
    atomic_store(&e->state, storm_word(was, 0));
}

static struct storm_entry *any_entry(struct worker *w)
{
    uint64_t r = ga_test_random(&w->random);
    return &w->ledger->entry[r % w->ledger->nclients][(r >> 16) % w->ledger->nthreads]
                            [(r >> 32) % STORM_ENTRIES];
}

static void one_step(struct worker *w)
{
    uint64_t r = ga_test_random(&w->random);
    struct storm_entry *own = &w->ledger->entry[w->client][w->thread][(r >> 16) % STORM_ENTRIES];
    if (r % 8 < 3)
        free_one(w, any_entry(w));
    else if (storm_state_of(atomic_load(&own->state)) == STORM_EMPTY)
        make_one(w, own);
    else if (r % 8 == 3)
        resize_one(w, own);
    else
        free_one(w, own);
}

static void *work(void *argument)
{
    struct worker *w = argument;
    for (uint32_t i = 0; i < THREAD_LIFE && !atomic_load(&w->ledger->stop); i++) {
        one_step(w);
        if (i % 64 == 0)
            atomic_fetch_add(&w->ledger->operations, 64);
    }
    return NULL;
}

/* Threads come and go: a thread that has lived is followed by another in its place. */
static void *follow(void *argument)
{
    struct worker *w = argument;
    while (!atomic_load(&w->ledger->stop)) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, w) != 0)
            continue;
        pthread_join(thread, NULL);
    }
    return NULL;
}

/* The server may be dead, or starting. */
static struct goalloc_heap *attach(struct storm_ledger *ledger)
{
    struct goalloc_options options = {
        .size = sizeof(options), .client_name = "storm", .report = report, .report_data = ledger};
    struct goalloc_heap *heap;
    for (int i = 0; i < ATTACH_TRIES; i++) {
        if (goalloc_attach(ledger->socket, &options, &heap) == 0)
            return heap;
        usleep(20000);
    }
    fprintf(stderr, "attach: %s\n", goalloc_attach_error());
    return NULL;
}

int storm_work(char **argv)
{
    struct storm_ledger *ledger = storm_ledger_open(atoi(argv[3]));
    uint32_t client = (uint32_t)strtoul(argv[2], NULL, 10);
    uint64_t seed = strtoull(argv[4], NULL, 10);
    struct goalloc_heap *heap = attach(ledger);
    if (!heap)
        return 1;
    atomic_fetch_add(&ledger->round[client], 1);
    static struct worker workers[STORM_THREADS_MAX];
    pthread_t threads[STORM_THREADS_MAX];
    for (uint32_t i = 0; i < ledger->nthreads; i++) {
        workers[i] = (struct worker){
            .heap = heap, .ledger = ledger, .client = client, .thread = i, .random = seed * 31 + i};
        if (pthread_create(&threads[i], NULL, follow, &workers[i]) != 0)
            return 3;
    }
    for (uint32_t i = 0; i < ledger->nthreads; i++)
        pthread_join(threads[i], NULL);
    if (client % 2) /* the others leave it to their death */
        goalloc_detach(heap);
    return 0;
}

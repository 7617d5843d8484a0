#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deeds.h"
#include "goalloc/goalloc.h"
#include "ledger.h"
#include "support/cunit_main.h"

enum { ATTACH_TRIES = 600, THREAD_LIFE = 20000 }; /* operations of a thread before the next one */

static struct storm_entry *any_entry(struct storm_worker *w)
{
    uint64_t r = ga_test_random(&w->random);
    return &w->ledger->entry[r % w->ledger->nclients][(r >> 16) % w->ledger->nthreads]
                            [(r >> 32) % STORM_ENTRIES];
}

static void one_step(struct storm_worker *w)
{
    uint64_t r = ga_test_random(&w->random);
    struct storm_entry *own = &w->ledger->entry[w->client][w->thread][(r >> 16) % STORM_ENTRIES];
    if ((r >> 48) % 512 == 0)
        storm_free_held(w, any_entry(w));
    else if ((r >> 48) % 512 == 1)
        storm_name(w, any_entry(w));
    else if (r % 8 < 3)
        storm_free(w, any_entry(w));
    else if (storm_state_of(atomic_load(&own->state)) == STORM_EMPTY)
        storm_make(w, own);
    else if (r % 8 == 3)
        storm_resize(w, own);
    else
        storm_free(w, own);
}

static void *work(void *argument)
{
    struct storm_worker *w = argument;
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
    struct storm_worker *w = argument;
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
    struct goalloc_options options = {.size = sizeof(options),
                                      .client_name = "storm",
                                      .report = storm_report,
                                      .report_data = ledger};
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
    uint32_t round = atomic_fetch_add(&ledger->round[client], 1);
    static struct storm_worker workers[STORM_THREADS_MAX];
    pthread_t threads[STORM_THREADS_MAX];
    for (uint32_t i = 0; i < ledger->nthreads; i++) {
        workers[i] = (struct storm_worker){.heap = heap,
                                           .ledger = ledger,
                                           .client = client,
                                           .thread = i,
                                           .round = round,
                                           .random = seed * 31 + i};
        if (pthread_create(&threads[i], NULL, follow, &workers[i]) != 0)
            return 3;
    }
    for (uint32_t i = 0; i < ledger->nthreads; i++)
        pthread_join(threads[i], NULL);
    if (client % 2) /* the others leave it to their death */
        goalloc_detach(heap);
    return 0;
}

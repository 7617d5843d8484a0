#include "worker.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "deeds.h"
#include "hand.h"
#include "support/cunit_main.h"

enum {
    ATTACH_TRIES = 600,
    ATTACH_REST_US = 20000,
    CALL_MS = 90000, /* longer than the driver waits: whatever takes so long hangs */
    BATCH = 16,      /* deeds between two looks at whether to stand still */
    LIFE = 400,      /* of a thread, in batches */
    PARKED_US = 300,
    SPONGE_BYTES = 32768,
};

static void *static_pocket[SHADOW_THREADS_MAX][SHADOW_POCKETS];
static _Thread_local void *own_pocket[SHADOW_POCKETS];

/* What calls have left of pointers, below the stack that is in use, and in vector registers. */
static __attribute__((noinline)) void wipe_stack(void)
{
    volatile char sponge[SPONGE_BYTES];
    memset((char *)sponge, 0, sizeof(sponge));
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vzeroall" : : : "memory");
#endif
}

static void stand_still(struct worker *w, uint64_t pause)
{
    deeds_note(w, DEED_PARKED);
    atomic_store(&w->shadow->thread[w->client][w->thread].parked, pause);
    while (atomic_load(&w->shadow->pause) == pause && !atomic_load(&w->shadow->stop))
        usleep(PARKED_US);
    deeds_note(w, DEED_NONE);
}

static void *in_heap(size_t bytes)
{
    void *p = calloc(1, bytes);
    if (!p)
        abort();
    return p;
}

static void *in_pages(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        abort();
    return p;
}

/* What the pockets lie in besides the stack. */
struct pockets {
    void **malloced;
    void **mapped;
};

static void sew_pockets(struct worker *w, void *volatile stack[SHADOW_POCKETS],
                        struct pockets *pockets)
{
    pockets->malloced = in_heap(SHADOW_POCKETS * sizeof(void *));
    pockets->mapped = in_pages(SHADOW_POCKETS * sizeof(void *));
    for (uint32_t i = 0; i < SHADOW_POCKETS; i++) {
        void *volatile *const places[POCKET_KINDS] = {
            [POCKET_STACK] = &stack[i],
            [POCKET_STATIC] = &static_pocket[w->thread][i],
            [POCKET_MALLOC] = &pockets->malloced[i],
            [POCKET_THREAD_LOCAL] = &own_pocket[i],
            [POCKET_MMAP] = &pockets->mapped[i],
            [POCKET_HOLD] = NULL,
        };
        w->pocket[i] = places[pocket_kind(i)];
    }
}

static void *live(void *argument)
{
    struct worker *w = argument;
    void *volatile stack[SHADOW_POCKETS] = {NULL};
    struct pockets pockets;
    sew_pockets(w, stack, &pockets);
    for (uint32_t i = 0; i < LIFE && !atomic_load(&w->shadow->stop); i++) {
        deeds_some(w, BATCH);
        uint64_t pause = atomic_load(&w->shadow->pause);
        if (pause == 0)
            continue;
        wipe_stack();
        stand_still(w, pause);
    }
    for (uint32_t i = 0; i < SHADOW_POCKETS; i++)
        hand_empty_pocket(w, i);
    wipe_stack();
    munmap(pockets.mapped, SHADOW_POCKETS * sizeof(void *));
    free(pockets.malloced);
    return NULL;
}

/* Threads come and go: a thread that has lived is followed by another in its place. */
static void *follow(void *argument)
{
    struct worker *w = argument;
    while (!atomic_load(&w->shadow->stop)) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, live, w) != 0)
            continue;
        pthread_join(thread, NULL);
    }
    return NULL;
}

/* The server may be dead, or starting. */
static struct goalloc_heap *attach(struct shadow *shadow, uint32_t client)
{
    struct goalloc_options options = {
        .size = sizeof(options),
        .policy = shadow->kind[client] == SHADOW_UNREACHABLE ? GOALLOC_POLICY_UNREACHABLE
                                                             : GOALLOC_POLICY_KEEP,
        .timeout_ms = CALL_MS,
        .flags = shadow->kind[client] == SHADOW_MANAGED ? GOALLOC_MANAGED : 0,
        .client_name = "mutation",
        .report = deeds_report,
        .report_data = shadow};
    struct goalloc_heap *heap;
    for (int i = 0; i < ATTACH_TRIES; i++) {
        if (goalloc_attach(shadow->socket, &options, &heap) == 0)
            return heap;
        usleep(ATTACH_REST_US);
    }
    fprintf(stderr, "attach: %s\n", goalloc_attach_error());
    return NULL;
}

int worker_main(char **argv)
{
    static struct worker workers[SHADOW_THREADS_MAX];
    struct shadow *shadow = shadow_open(atoi(argv[3]));
    uint32_t client = (uint32_t)strtoul(argv[2], NULL, 10);
    uint64_t seed = strtoull(argv[4], NULL, 10);
    for (uint32_t i = 0; i < shadow->nthreads; i++)
        atomic_store(&shadow->thread[client][i].doing, DEED_ATTACH);
    struct goalloc_heap *heap = attach(shadow, client);
    if (!heap)
        return 1;
    uint32_t round = atomic_fetch_add(&shadow->round[client], 1) + 1;
    pthread_t threads[SHADOW_THREADS_MAX];
    for (uint32_t i = 0; i < shadow->nthreads; i++) {
        workers[i] =
            (struct worker){.heap = heap,
                            .shadow = shadow,
                            .client = client,
                            .thread = i,
                            .round = round,
                            .holds = shadow->collected && shadow->kind[client] != SHADOW_MANAGED,
                            .random = seed * 31 + i};
        if (pthread_create(&threads[i], NULL, follow, &workers[i]) != 0)
            return 3;
    }
    for (uint32_t i = 0; i < shadow->nthreads; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < shadow->nthreads; i++)
        atomic_store(&shadow->thread[client][i].doing, DEED_DETACH);
    if (client % 2) /* the others leave it to their death */
        goalloc_detach(heap);
    return 0;
}

/* One thread collects what it frees, and another frees one of these once more. It is not refused
 * there; but where the first makes them free for everybody. */
#include <pthread.h>

#include "misuse/misuse.h"

#define N 40u

static void *objects[N];
static pthread_barrier_t turn;

static void *collect(void *argument)
{
    struct ga_misuse *m = argument;
    goalloc_free(m->heap, goalloc_malloc(m->heap, 300));
    for (unsigned i = 0; i < N; i++)
        goalloc_free(m->heap, objects[i]);
    pthread_barrier_wait(&turn);
    pthread_barrier_wait(&turn);
    return NULL; /* which ends the batch */
}

static void *free_one(void *argument)
{
    struct ga_misuse *m = argument;
    goalloc_free(m->heap, objects[N / 2]);
    return NULL;
}

void ga_misuse(struct ga_misuse *m)
{
    pthread_t first;
    pthread_t second;
    for (unsigned i = 0; i < N; i++)
        objects[i] = goalloc_malloc(m->heap, 100);
    void *beside = goalloc_malloc(m->heap, 100);
    pthread_barrier_init(&turn, NULL, 2);
    GA_REQUIRE(m, pthread_create(&first, NULL, collect, m) == 0);
    pthread_barrier_wait(&turn);
    GA_REQUIRE(m, pthread_create(&second, NULL, free_one, m) == 0);
    pthread_join(second, NULL);
    pthread_barrier_wait(&turn);
    pthread_join(first, NULL);
    ga_misuse_expect(m,
                     "goalloc: goalloc_free(%p): the object is not in use: a double free, or never "
                     "allocated (112 bytes); nothing was changed",
                     objects[N / 2]);
    goalloc_free(m->heap, beside);
}

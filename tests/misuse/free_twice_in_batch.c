/* A thread frees slots of one word in turn, so that they are collected, and two of them again. */
#include <pthread.h>

#include "misuse/misuse.h"

#define N 40u

static void *objects[N];
static void *beside; /* in the same span */

static void expect_refusal(struct ga_misuse *m, const void *p)
{
    ga_misuse_expect(m,
                     "goalloc: goalloc_free(%p): the object is not in use: a double free, or never "
                     "allocated (112 bytes); nothing was changed",
                     p);
}

static void *free_and_free_again(void *argument)
{
    struct ga_misuse *m = argument;
    goalloc_free(m->heap, goalloc_malloc(m->heap, 300));
    for (unsigned i = 0; i < N; i++)
        goalloc_free(m->heap, objects[i]);
    goalloc_free(m->heap, objects[N / 2]);
    expect_refusal(m, objects[N / 2]);
    /* Where something is held a free takes another way. */
    GA_REQUIRE(m, goalloc_hold(m->heap, beside) == 0);
    goalloc_free(m->heap, objects[N / 2 + 1]);
    expect_refusal(m, objects[N / 2 + 1]);
    GA_REQUIRE(m, goalloc_release(m->heap, beside) == 0);
    return NULL;
}

void ga_misuse(struct ga_misuse *m)
{
    for (unsigned i = 0; i < N; i++)
        objects[i] = goalloc_malloc(m->heap, 100);
    beside = goalloc_malloc(m->heap, 100);
    pthread_t thread;
    GA_REQUIRE(m, pthread_create(&thread, NULL, free_and_free_again, m) == 0);
    pthread_join(thread, NULL);
    goalloc_free(m->heap, beside);
}

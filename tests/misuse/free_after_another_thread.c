/* Another thread, which does not hold the span's lease, has freed the object before. */
#include <pthread.h>

#include "misuse/misuse.h"

static void *object;

static void *free_object(void *heap)
{
    goalloc_free(heap, object);
    return NULL;
}

void ga_misuse(struct ga_misuse *m)
{
    object = goalloc_malloc(m->heap, 100);
    void *beside = goalloc_malloc(m->heap, 100);
    pthread_t thread;
    GA_REQUIRE(m, pthread_create(&thread, NULL, free_object, m->heap) == 0);
    pthread_join(thread, NULL);
    goalloc_free(m->heap, object);
    ga_misuse_expect(m,
                     "goalloc: goalloc_free(%p): the object is not in use: a double free, or never "
                     "allocated (112 bytes); nothing was changed",
                     object);
    goalloc_free(m->heap, beside);
}

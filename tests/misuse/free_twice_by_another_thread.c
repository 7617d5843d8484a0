/* A thread that has an mcache of its own frees another's object, and frees it again. */
#include <pthread.h>

#include "misuse/misuse.h"

static void *object;

static void *free_object_twice(void *argument)
{
    struct ga_misuse *m = argument;
    goalloc_free(m->heap, goalloc_malloc(m->heap, 100));
    goalloc_free(m->heap, object);
    goalloc_free(m->heap, object);
    ga_misuse_expect(m,
                     "goalloc: goalloc_free(%p): the object is not in use: a double free, or never "
                     "allocated (112 bytes); nothing was changed",
                     object);
    return NULL;
}

void ga_misuse(struct ga_misuse *m)
{
    object = goalloc_malloc(m->heap, 100);
    void *beside = goalloc_malloc(m->heap, 100);
    pthread_t thread;
    GA_REQUIRE(m, pthread_create(&thread, NULL, free_object_twice, m) == 0);
    pthread_join(thread, NULL);
    goalloc_free(m->heap, beside);
}

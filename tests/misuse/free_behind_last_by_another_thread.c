/* The rest of a span, behind its last object, freed by a thread that has an mcache of its own and
 * does not hold the span. */
#include <pthread.h>

#include "misuse/misuse.h"

static char *behind;

static void *free_behind(void *argument)
{
    struct ga_misuse *m = argument;
    goalloc_free(m->heap, goalloc_malloc(m->heap, 100));
    goalloc_free(m->heap, behind);
    ga_misuse_expect(m,
                     "goalloc: goalloc_free(%p): behind the last object of a span of 112-byte "
                     "objects; nothing was changed",
                     (void *)behind);
    return NULL;
}

void ga_misuse(struct ga_misuse *m)
{
    char *p = goalloc_malloc(m->heap, 100);
    behind = (char *)((uintptr_t)p & ~(uintptr_t)8191) + 73 * 112;
    pthread_t thread;
    GA_REQUIRE(m, pthread_create(&thread, NULL, free_behind, m) == 0);
    pthread_join(thread, NULL);
    goalloc_free(m->heap, p);
}

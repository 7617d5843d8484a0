/* Threads that are all there at once, each with memory of its own. For each the process looks
 * through what the others have; if that took more than a look at each, a test would not see the
 * end. And each takes address space, which may be short.
 *
 *   preload_crowd THREADS */
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "check.h"

#define THREADS_MAX 10000u
#define STACK_BYTES ((size_t)32 << 10)
#define SIZE        100u
#define SKIPPED     77

static pthread_barrier_t all_there;

static void *work(void *data)
{
    unsigned char mark = (unsigned char)(uintptr_t)data;
    unsigned char *object = malloc(SIZE);
    CHECK(object);
    memset(object, mark, SIZE);
    pthread_barrier_wait(&all_there);
    for (unsigned i = 0; i < SIZE; i++)
        CHECK(object[i] == mark);
    free(object);
    return NULL;
}

int main(int argc, char **argv)
{
    static pthread_t thread[THREADS_MAX];
    unsigned count = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
    pthread_attr_t small;
    CHECK(count > 0 && count <= THREADS_MAX);
    CHECK(pthread_attr_init(&small) == 0);
    CHECK(pthread_attr_setstacksize(&small, STACK_BYTES) == 0);
    CHECK(pthread_barrier_init(&all_there, NULL, count) == 0);
    for (uintptr_t i = 0; i < count; i++)
        if (pthread_create(&thread[i], &small, work, (void *)i) != 0) {
            puts("so many threads may not be had here");
            _Exit(SKIPPED);
        }
    for (unsigned i = 0; i < count; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    puts("all were there at once");
    return 0;
}

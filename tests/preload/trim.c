/* malloc_trim takes what other threads keep away from them, while they allocate and free: at
 * whatever step of that they are. */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "check.h"

#define TRIMS 400000u

/* Large, so that what its page is of has to be looked up at each free; and one of a page that the
 * thread knows. */
#define LARGE_BYTES 40000u
#define SMALL_BYTES 100u

static void *(*volatile allocate)(size_t) = malloc;
static atomic_bool is_done;

static void *trim(void *unused)
{
    for (unsigned i = 0; i < TRIMS; i++)
        (void)malloc_trim(0);
    is_done = true;
    return unused;
}

static void use(size_t bytes, unsigned char mark)
{
    unsigned char *p = allocate(bytes);
    CHECK(p);
    *p = mark;
    free(p);
}

int main(void)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, trim, NULL) == 0);
    for (unsigned i = 0; !atomic_load_explicit(&is_done, memory_order_relaxed); i++)
        use(i % 8 == 0 ? SMALL_BYTES : LARGE_BYTES, (unsigned char)i);
    CHECK(pthread_join(thread, NULL) == 0);
    puts("nothing was taken from under it");
    return 0;
}

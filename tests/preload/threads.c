/* Threads that come and go, free each other's objects, and allocate in the destructors of what is
 * theirs; libraries that are loaded and closed meanwhile. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "check.h"

#define PLACES  512u
#define THREADS 6u
#define ROUNDS  40u
#define STEPS   20000u

struct object {
    uint32_t size;
    unsigned char mark;
    unsigned char data[];
};

static struct object *_Atomic shelf[PLACES];
static pthread_key_t key;
static _Atomic unsigned destroyed;

static struct object *make(uint32_t random)
{
    uint32_t size = 1 + random % 300;
    struct object *object = malloc(sizeof(*object) + size);
    CHECK(object);
    object->size = size;
    object->mark = (unsigned char)(random >> 8);
    memset(object->data, object->mark, size);
    return object;
}

static void destroy(struct object *object)
{
    for (uint32_t i = 0; object && i < object->size; i++)
        CHECK(object->data[i] == object->mark);
    free(object);
}

/* After the library has given up the thread's cache as well. */
static void at_exit_of_thread(void *data)
{
    destroy(data);
    destroy(make(777));
    destroyed++;
}

static void *work(void *data)
{
    uint32_t random = (uint32_t)(uintptr_t)data | 1;
    pthread_setspecific(key, make(random));
    for (uint32_t i = 0; i < STEPS; i++) {
        random = random * 1664525 + 1013904223;
        destroy(atomic_exchange(&shelf[random >> 16 & (PLACES - 1)], make(random)));
    }
    return NULL;
}

static void load_and_close(void)
{
    void *library = dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL);
    CHECK(library);
    CHECK(dlsym(library, "cbrt"));
    dlclose(library);
}

int main(void)
{
    CHECK(pthread_key_create(&key, at_exit_of_thread) == 0);
    for (uintptr_t round = 0; round < ROUNDS; round++) {
        pthread_t thread[THREADS];
        for (uintptr_t i = 0; i < THREADS; i++)
            CHECK(pthread_create(&thread[i], NULL, work, (void *)(round * 31 + i * 7919)) == 0);
        load_and_close();
        for (unsigned i = 0; i < THREADS; i++)
            CHECK(pthread_join(thread[i], NULL) == 0);
    }
    for (unsigned i = 0; i < PLACES; i++)
        destroy(shelf[i]);
    CHECK(destroyed == THREADS * ROUNDS);
    puts("all threads have come and gone");
    return 0;
}

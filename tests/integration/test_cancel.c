/* Threads that are cancelled: no call of the library is a cancellation point, whatever it does.
 * Each is made by a thread that has a cancellation pending, which must come out of it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

enum { KIB = 1024, MIB = 1024 * KIB };

static struct ga_test_server server;
static struct ga_test_server other;
static struct goalloc_heap *heap;
static struct goalloc_heap *attached;
static void *object;
static void **slot;

static void call_malloc(void)
{
    goalloc_free(heap, goalloc_malloc(heap, 100));
    goalloc_free(heap, goalloc_malloc(heap, 3 * MIB));
    goalloc_free(heap, goalloc_realloc(heap, goalloc_malloc(heap, MIB), 2 * MIB));
}

static void call_malloc_in_vain(void)
{
    CU_ASSERT_PTR_NULL(goalloc_malloc(heap, (size_t)1024 * MIB));
    CU_ASSERT_EQUAL(errno, ENOMEM);
}

static void call_malloc_into_in_vain(void)
{
    CU_ASSERT_PTR_NULL(goalloc_malloc_into(heap, (size_t)1024 * MIB, slot));
}

static void call_free_badly(void)
{
    int nothing;
    goalloc_free(heap, &nothing);
    CU_ASSERT_PTR_NULL(goalloc_malloc_into(heap, 10, &object));
}

static void call_roots(void)
{
    void *found;
    CU_ASSERT_EQUAL(goalloc_publish(heap, "a", object), 0);
    CU_ASSERT_EQUAL(goalloc_lookup(heap, "a", &found), 0);
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, "a"), 0);
    CU_ASSERT_EQUAL(goalloc_wait(heap, "nothing", 10, &found), -ETIMEDOUT);
}

static void call_holds(void)
{
    CU_ASSERT_EQUAL(goalloc_hold(heap, object), 0);
    CU_ASSERT_EQUAL(goalloc_release(heap, object), 0);
}

static void call_memstats(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL(goalloc_memstats(heap, &stats), 0);
}

static void call_pause(void)
{
    CU_ASSERT_EQUAL(goalloc_pause(heap), 0);
    CU_ASSERT_EQUAL(goalloc_resume(heap), 0);
}

static void call_attach(void)
{
    CU_ASSERT_EQUAL(goalloc_attach(other.socket, NULL, &attached), 0);
}

static void call_attach_in_vain(void)
{
    struct goalloc_heap *none;
    CU_ASSERT(goalloc_attach("/nowhere/socket", NULL, &none) < 0);
}

static void call_detach(void)
{
    goalloc_detach(attached);
}

static void *run_cancelled(void *argument)
{
    pthread_cancel(pthread_self());
    (*(void (**)(void))argument)();
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    return NULL;
}

static void make(void (*call)(void))
{
    pthread_t thread;
    void *result = NULL;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, run_cancelled, &call), 0);
    CU_ASSERT_EQUAL_FATAL(pthread_join(thread, &result), 0);
    CU_ASSERT_PTR_NOT_EQUAL(result, PTHREAD_CANCELED);
}

static void calls(void)
{
    static void (*const all[])(void) = {
        call_malloc,         call_malloc_in_vain, call_roots,  call_holds,
        call_memstats,       call_pause,          call_attach, call_detach,
        call_attach_in_vain, call_attach,         call_detach,
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        make(all[i]);
}

/* What the library says goes to stderr, which is a cancellation point of its own. */
static void reports(void)
{
    int kept = dup(STDERR_FILENO);
    int nowhere = open("/dev/null", O_WRONLY);
    CU_ASSERT_FATAL(kept >= 0 && nowhere >= 0 && dup2(nowhere, STDERR_FILENO) >= 0);
    make(call_free_badly);
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(nowhere);
}

static void *allocate_and_publish(void *unused)
{
    (void)unused;
    void *p = goalloc_malloc(heap, MIB);
    CU_ASSERT_EQUAL(goalloc_publish(heap, "kept", p), 0);
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, "kept"), 0);
    return p;
}

/* What is allocated after a malloc_into in vain is nobody's slot: it stays when the process is
 * gone. */
static void after_malloc_into(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    make(call_malloc_into_in_vain);
    pthread_t thread;
    void *p = NULL;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, allocate_and_publish, NULL), 0);
    pthread_join(thread, &p);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    goalloc_detach(heap);
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(server.socket, NULL, &heap), 0);
    CU_ASSERT_EQUAL(goalloc_memstats(heap, &stats), 0);
    CU_ASSERT_EQUAL(stats.heap_objects, 2);
    goalloc_free(heap, p);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"calls", calls},
        {"reports", reports},
        {"after a malloc_into in vain", after_malloc_into},
    };
    if (!ga_test_server_start("64M", &server) || !ga_test_server_start("64M", &other))
        return 2;
    if (goalloc_attach(server.socket, NULL, &heap) < 0)
        return 2;
    object = goalloc_malloc(heap, 50);
    slot = goalloc_slot(heap, 2);
    int r = ga_test_main("integration.cancel", tests, sizeof(tests) / sizeof(tests[0]));
    goalloc_free(heap, object);
    goalloc_detach(heap);
    bool good = ga_test_server_stop(&server);
    return ga_test_server_stop(&other) && good ? r : 1;
}

/* What a thread is at: the mark of an operation is there as long as one is under way, and never
 * afterwards; a thread that waits for the server is known as one. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/busy.h"
#include "goalloc/goalloc.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

static struct ga_test_server server;
static struct goalloc_heap *heap;
static int reports_in_operation;

static uint8_t mark(void)
{
    return atomic_load(&ga_tls.busy);
}

/* A report is made in the middle of the operation that was called wrongly. */
static void note_report(enum goalloc_report_kind kind, const char *message, void *data)
{
    (void)kind;
    (void)message;
    (void)data;
    reports_in_operation += mark() == GA_BUSY_IN_OPERATION;
}

static void attach(void)
{
    struct goalloc_options options = {
        .size = sizeof(options), .timeout_ms = 2000, .report = note_report};
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(server.socket, &options, &heap), 0);
}

/* Every way through malloc and free that there is by size: tiny, wide, longer, large, kept. */
static void mark_goes_after_sizes(void)
{
    attach();
    static void *p[2000];
    for (size_t size = 1; size < (4u << 20); size *= 3) {
        size_t count = size < 10000 ? 2000 : 3;
        for (unsigned flags = 0; flags < 4; flags++) {
            bool left = false;
            for (size_t i = 0; i < count; i++) {
                p[i] = flags ? goalloc_alloc(heap, size, 0, flags) : goalloc_malloc(heap, size);
                left = left || mark() != GA_BUSY_NOT || !p[i];
            }
            for (size_t i = 0; i < count; i++) { /* in an order of its own, then the rest */
                size_t k = flags & 1 ? count - 1 - i : i;
                goalloc_free(heap, p[k]);
                left = left || mark() != GA_BUSY_NOT;
            }
            CU_ASSERT(!left);
        }
    }
    goalloc_detach(heap);
}

static void *free_it(void *p)
{
    goalloc_free(heap, p);
    return (void *)(uintptr_t)mark();
}

static void mark_goes_after_other_calls(void)
{
    attach();
    void *p = goalloc_malloc(heap, 100);
    p = goalloc_realloc(heap, p, 100000);
    CU_ASSERT_EQUAL(mark(), GA_BUSY_NOT);
    p = goalloc_realloc(heap, p, 3 << 20);
    CU_ASSERT_EQUAL(mark(), GA_BUSY_NOT);
    p = goalloc_realloc(heap, p, 50);
    CU_ASSERT_EQUAL(mark(), GA_BUSY_NOT);
    CU_ASSERT(goalloc_usable_size(heap, p) >= 50);
    CU_ASSERT_EQUAL(mark(), GA_BUSY_NOT);
    CU_ASSERT_EQUAL(goalloc_hold(heap, p), 0);
    goalloc_free(heap, p); /* put off */
    CU_ASSERT_EQUAL(mark(), GA_BUSY_NOT);
    CU_ASSERT_EQUAL(goalloc_release(heap, p), 0);
    void *into = goalloc_malloc_into(heap, 60, goalloc_slot(heap, 0));
    CU_ASSERT_EQUAL(mark(), GA_BUSY_NOT);
    *goalloc_slot(heap, 0) = NULL;
    pthread_t thread;
    void *left = NULL;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, free_it, into), 0);
    pthread_join(thread, &left);
    CU_ASSERT_EQUAL((uintptr_t)left, GA_BUSY_NOT);
    goalloc_free(heap, NULL);
    CU_ASSERT_EQUAL(mark(), GA_BUSY_NOT);
    CU_ASSERT_PTR_NULL(goalloc_malloc(heap, SIZE_MAX / 2));
    CU_ASSERT_EQUAL(mark(), GA_BUSY_NOT);
    goalloc_detach(heap);
}

static void mark_is_there_meanwhile(void)
{
    attach();
    char *p = goalloc_malloc(heap, 100);
    reports_in_operation = 0;
    goalloc_free(heap, p + 1);
    goalloc_free(heap, p);
    goalloc_free(heap, p);
    CU_ASSERT_EQUAL(reports_in_operation, 2);
    CU_ASSERT_EQUAL(mark(), GA_BUSY_NOT);
    goalloc_detach(heap);
}

static struct ga_tls *_Atomic waiter;

static void *wait_for_server(void *unused)
{
    atomic_store(&waiter, &ga_tls);
    void *p = goalloc_malloc(heap, 100); /* a new thread's first needs an mcache */
    uint8_t left = mark();
    goalloc_free(heap, p);
    (void)unused;
    return (void *)(uintptr_t)(left != GA_BUSY_NOT || !p);
}

static void waiting_is_told_apart(void)
{
    attach();
    int status;
    CU_ASSERT_EQUAL_FATAL(kill(server.pid, SIGSTOP), 0);
    CU_ASSERT_EQUAL_FATAL(waitpid(server.pid, &status, WUNTRACED), server.pid);
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, wait_for_server, NULL), 0);
    bool waits = false;
    for (int ms = 0; ms < 1000 && !waits; ms++) {
        const struct ga_tls *tls = atomic_load(&waiter);
        waits = tls && atomic_load(&tls->busy) == GA_BUSY_WAITING;
        usleep(1000);
    }
    CU_ASSERT(waits);
    CU_ASSERT_EQUAL(kill(server.pid, SIGCONT), 0);
    void *failed = NULL;
    pthread_join(thread, &failed);
    CU_ASSERT_PTR_NULL(failed);
    goalloc_detach(heap);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"the mark goes, whatever the size", mark_goes_after_sizes},
        {"the mark goes after other calls", mark_goes_after_other_calls},
        {"the mark is there meanwhile", mark_is_there_meanwhile},
        {"who waits for the server is told apart", waiting_is_told_apart},
    };
    signal(SIGPIPE, SIG_IGN);
    if (!ga_test_server_start("256M", &server))
        return 2;
    int r = ga_test_main("integration.busy", tests, sizeof(tests) / sizeof(tests[0]));
    return ga_test_server_stop(&server) ? r : 1;
}

/* Memory asked for as zero is zero, whatever lay there before: freed by this thread, another thread
 * or another process, left by a dead process, or by one whose server died. And where a slot was
 * never handed out, it is not zeroed again. */
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pthread.h>

#include "goalloc/goalloc.h"
#include "integration/daemon.h"
#include "support/cunit_main.h"

#define DIRT     0xa5
#define OBJECTS  4000u
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Of one word a span, of one slot a span, of several words, and a large one. */
static const size_t sizes[] = {128, 144, 1024, 3000, 8192, 20000, 32768, 48, 100, 40000};

static struct ga_daemon the_server;
static struct goalloc_heap *heap;

/* Start the server; keep: the heap outlives it. */
static bool start(bool keep)
{
    const char *arguments[] = {
        "--name", ga_daemon_heap("zero"), "--socket", ga_daemon_path("zero"), "--reserve", "1G",
        NULL};
    struct ga_daemon_setup setup = {.keep = keep};
    return ga_daemon_launch(&the_server, &setup, arguments) && ga_daemon_wait(&the_server);
}

static struct goalloc_heap *attach(void)
{
    struct goalloc_heap *attached = NULL;
    if (goalloc_attach(ga_daemon_path("zero"), NULL, &attached) < 0)
        fprintf(stderr, "attach: %s\n", goalloc_attach_error());
    return attached;
}

static void open_heap(bool keep)
{
    CU_ASSERT_FATAL(start(keep));
    heap = attach();
    CU_ASSERT_PTR_NOT_NULL_FATAL(heap);
}

static void close_heap(void)
{
    goalloc_detach(heap);
    CU_ASSERT_EQUAL(ga_daemon_end(&the_server, SIGTERM), 0);
}

static bool is_zero(const unsigned char *p, size_t bytes)
{
    return bytes == 0 || (p[0] == 0 && memcmp(p, p + 1, bytes - 1) == 0);
}

/* An object asked for as zero, then dirty; NULL if it was not zero. */
static void *make(struct goalloc_heap *in, size_t bytes, unsigned flags)
{
    unsigned char *p = goalloc_alloc(in, bytes, 0, flags);
    if (!p || ((flags & GOALLOC_ZERO) && !is_zero(p, bytes)))
        return NULL;
    memset(p, DIRT, goalloc_usable_size(in, p));
    return p;
}

/* What was freed and comes again at once. */
static void freed_slots(void)
{
    open_heap(false);
    for (size_t s = 0; s < COUNT(sizes); s++) {
        for (int i = 0; i < 200; i++) {
            unsigned flags = i % 3 ? GOALLOC_ZERO : 0;
            void *first = make(heap, sizes[s], flags);
            void *second = make(heap, sizes[s], GOALLOC_ZERO);
            CU_ASSERT_PTR_NOT_NULL_FATAL(first);
            CU_ASSERT_PTR_NOT_NULL_FATAL(second);
            goalloc_free(heap, i % 2 ? first : second);
            void *third = make(heap, sizes[s], GOALLOC_ZERO);
            CU_ASSERT_PTR_NOT_NULL_FATAL(third);
            goalloc_free(heap, i % 2 ? second : first);
            if (i % 5)
                goalloc_free(heap, third);
        }
    }
    close_heap();
}

/* That the zeroing is spared where nothing was handed out. It cannot be told from outside, but by a
 * program that writes behind its object, into slots that nobody has had. */
static void never_handed_out(void)
{
    open_heap(false);
    /* volatile: the compiler must not know what it is that lies behind. */
    unsigned char *volatile slots = goalloc_calloc(heap, 1, 1024);
    CU_ASSERT_PTR_NOT_NULL_FATAL(slots);
    slots[1024] = DIRT;
    slots[3 * 1024] = DIRT;
    unsigned char *volatile second = goalloc_calloc(heap, 1, 1024);
    CU_ASSERT_PTR_EQUAL_FATAL(second, slots + 1024);
    CU_ASSERT_EQUAL(second[0], DIRT);
    /* After a free it is no more known how far the slots were handed out. */
    goalloc_free(heap, slots);
    CU_ASSERT_PTR_EQUAL(goalloc_calloc(heap, 1, 1024), slots);
    CU_ASSERT_PTR_EQUAL(goalloc_calloc(heap, 1, 1024), slots + 2 * 1024);
    unsigned char *volatile last = goalloc_calloc(heap, 1, 1024);
    CU_ASSERT_PTR_EQUAL_FATAL(last, slots + 3 * 1024);
    CU_ASSERT_EQUAL(last[0], 0);
    close_heap();
}

/* ---- several processes of several threads ---- */

struct work {
    struct goalloc_heap *heap;
    _Atomic(void *)
        *boxes; /* of OBJECTS, in the heap: objects on their way to whoever takes them */
    uint64_t random;
    unsigned wrong;
};

static void *work(void *argument)
{
    struct work *w = argument;
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t r = ga_test_random(&w->random);
        void *p = make(w->heap, sizes[r % (COUNT(sizes) - 1)], r >> 32 & 1 ? GOALLOC_ZERO : 0);
        if (!p) {
            w->wrong++;
            continue;
        }
        /* Whoever puts an object into a box frees what was in it. */
        goalloc_free(w->heap, atomic_exchange(&w->boxes[(r >> 8) % OBJECTS], p));
    }
    return NULL;
}

/* Of each process: see crowd.h for why ThreadSanitizer is content with one only. */
#ifdef __SANITIZE_THREAD__
#define THREADS 1u
#else
#define THREADS 2u
#endif

static unsigned work_in_threads(struct goalloc_heap *in, _Atomic(void *) *boxes, uint64_t seed)
{
    struct work works[THREADS];
    pthread_t threads[THREADS];
    unsigned wrong = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        works[i] = (struct work){.heap = in, .boxes = boxes, .random = seed + i};
        wrong += pthread_create(&threads[i], NULL, work, &works[i]) != 0;
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        wrong += works[i].wrong;
    }
    return wrong;
}

static void *found(struct goalloc_heap *in, const char *name)
{
    void *p = NULL;
    return goalloc_lookup(in, name, &p) < 0 ? NULL : p;
}

static bool ended_well(pid_t child)
{
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void crowded(void)
{
    uint64_t seed = ga_test_seed();
    CU_ASSERT_FATAL(start(false));
    heap = attach();
    CU_ASSERT_PTR_NOT_NULL_FATAL(heap);
    void *boxes = goalloc_calloc(heap, OBJECTS, sizeof(void *));
    CU_ASSERT_PTR_NOT_NULL_FATAL(boxes);
    CU_ASSERT_EQUAL(goalloc_publish(heap, "boxes", boxes), 0);
    goalloc_detach(heap);
    pid_t children[3];
    for (unsigned i = 0; i < COUNT(children); i++) {
        children[i] = fork();
        if (children[i] != 0)
            continue;
        struct goalloc_heap *mine = attach();
        void *table = mine ? found(mine, "boxes") : NULL;
        if (!table || work_in_threads(mine, table, seed + 100 * i) > 0)
            _exit(1);
        goalloc_detach(mine);
        _exit(0);
    }
    for (unsigned i = 0; i < COUNT(children); i++)
        CU_ASSERT(children[i] > 0 && ended_well(children[i]));
    heap = attach();
    CU_ASSERT_PTR_NOT_NULL_FATAL(heap);
    close_heap();
}

/* ---- deaths ---- */

/* Make spans dirty, half of their objects free, and be killed. */
static void dirty_and_die(void)
{
    struct goalloc_heap *mine = attach();
    for (size_t s = 0; mine && s < COUNT(sizes); s++)
        for (int i = 0; i < 60; i++) {
            void *p = make(mine, sizes[s], 0);
            if (i % 2)
                goalloc_free(mine, p);
        }
    raise(SIGKILL);
}

static void expect_all_zero(void)
{
    for (size_t s = 0; s < COUNT(sizes); s++)
        for (int i = 0; i < 120; i++)
            CU_ASSERT_PTR_NOT_NULL(make(heap, sizes[s], GOALLOC_ZERO));
}

static void left_by_the_dead(void)
{
    CU_ASSERT_FATAL(start(false));
    pid_t child = fork();
    if (child == 0)
        dirty_and_die();
    CU_ASSERT(child > 0 && waitpid(child, NULL, 0) == child);
    heap = attach();
    CU_ASSERT_PTR_NOT_NULL_FATAL(heap);
    expect_all_zero();
    close_heap();
}

/* The server is killed while a client has spans, which then are dirty and free; the next server
 * takes them over from it. */
static void left_with_another_server(void)
{
    open_heap(true);
    void *kept[COUNT(sizes)][60];
    for (size_t s = 0; s < COUNT(sizes); s++)
        for (int i = 0; i < 60; i++)
            kept[s][i] = make(heap, sizes[s], 0);
    CU_ASSERT_EQUAL(ga_daemon_end(&the_server, SIGKILL), 256 + SIGKILL);
    for (size_t s = 0; s < COUNT(sizes); s++)
        for (int i = 0; i < 60; i += 2)
            goalloc_free(heap, kept[s][i]);
    goalloc_detach(heap);
    open_heap(false);
    expect_all_zero();
    close_heap();
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"zero: slots that were freed", freed_slots},
        {"zero: slots never handed out are not zeroed again", never_handed_out},
        {"zero: processes and threads that free for each other", crowded},
        {"zero: spans of a dead process", left_by_the_dead},
        {"zero: spans of a dead server", left_with_another_server},
    };
    int failed = ga_test_main("zero", tests, COUNT(tests));
    int left = ga_daemon_clean_up();
    if (left != 0)
        fprintf(stderr, "%d objects were left\n", left);
    return failed || left != 0;
}

/* Slots through the library: goalloc_malloc_into and what becomes of the objects when the process
 * is killed, detaches or forks; published, held or neither. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

#define LIMIT  "256M"
#define SMALL  100u
#define LARGE  100000u            /* leased */
#define HUGE   (2u * 1024 * 1024) /* not leased */
#define WAITS  2000
#define NSIZES 3

static const size_t sizes[NSIZES] = {SMALL, LARGE, HUGE};

static struct ga_test_server server;
static struct goalloc_heap *heap;
static int nreports;

static void on_report(enum goalloc_report_kind kind, const char *message, void *data)
{
    (void)kind;
    (void)message;
    (void)data;
    nreports++;
}

static uint64_t objects_now(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL_FATAL(goalloc_memstats(heap, &stats), 0);
    return stats.heap_objects;
}

/* The server hears of a death by itself. */
static bool comes_down_to(uint64_t objects)
{
    for (int i = 0; i < WAITS; i++) {
        if (objects_now() == objects)
            return true;
        usleep(5000);
    }
    return false;
}

static void addresses(void)
{
    void **slots[GOALLOC_SLOTS];
    for (unsigned i = 0; i < GOALLOC_SLOTS; i++) {
        slots[i] = goalloc_slot(heap, i);
        CU_ASSERT_PTR_NOT_NULL_FATAL(slots[i]);
        CU_ASSERT_PTR_NULL(*slots[i]);
        CU_ASSERT_PTR_EQUAL(slots[i], slots[0] + i);
    }
    errno = 77;
    CU_ASSERT_PTR_EQUAL(goalloc_slot(heap, 3), slots[3]);
    CU_ASSERT_EQUAL(errno, 77);
    CU_ASSERT_PTR_NULL(goalloc_slot(heap, GOALLOC_SLOTS));
    CU_ASSERT_EQUAL(errno, EINVAL);
    errno = 0;
    CU_ASSERT_PTR_NULL(goalloc_slot(heap, (unsigned)-1));
    CU_ASSERT_EQUAL(errno, EINVAL);
}

/* An object like any other, as long as the process lives; also one that was kept and is used again,
 * and more than a word has. */
static void allocated(void)
{
    uint64_t before = objects_now();
    void **slot = goalloc_slot(heap, 0);
    for (int i = 0; i < 300; i++) {
        size_t size = sizes[i % NSIZES] + (size_t)i;
        errno = 77;
        char *p = goalloc_malloc_into(heap, size, slot);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        CU_ASSERT_EQUAL(errno, 77);
        CU_ASSERT_PTR_EQUAL(*slot, p);
        CU_ASSERT(goalloc_usable_size(heap, p) >= size);
        memset(p, 'x', size);
        *slot = NULL;
        goalloc_free(heap, p);
    }
    void *all[GOALLOC_SLOTS];
    for (unsigned i = 0; i < GOALLOC_SLOTS; i++)
        all[i] = goalloc_malloc_into(heap, i % 7, goalloc_slot(heap, i));
    CU_ASSERT_EQUAL(objects_now(), before + GOALLOC_SLOTS);
    for (unsigned i = 0; i < GOALLOC_SLOTS; i++) {
        CU_ASSERT_PTR_EQUAL(*goalloc_slot(heap, i), all[i]);
        *goalloc_slot(heap, i) = NULL;
        goalloc_free(heap, all[i]);
    }
    CU_ASSERT_EQUAL(objects_now(), before);
    CU_ASSERT_EQUAL(nreports, 0);
}

static void no_memory(void)
{
    void **slot = goalloc_slot(heap, 0);
    CU_ASSERT_PTR_NULL(goalloc_malloc_into(heap, (size_t)1 << 40, slot));
    CU_ASSERT_EQUAL(errno, ENOMEM);
    CU_ASSERT_PTR_NULL(goalloc_malloc_into(heap, (size_t)1 << 62, slot));
    CU_ASSERT_EQUAL(errno, ENOMEM);
    CU_ASSERT_PTR_NULL(*slot);
    void *p = goalloc_malloc_into(heap, 1, slot);
    CU_ASSERT_PTR_NOT_NULL(p);
    *slot = NULL;
    goalloc_free(heap, p);
    CU_ASSERT_EQUAL(nreports, 0);
}

static void *fill_slots_of_thread(void *data)
{
    unsigned first = *(unsigned *)data;
    for (unsigned i = first; i < first + 100; i++)
        if (!goalloc_malloc_into(heap, sizes[i % 2], goalloc_slot(heap, i)))
            return NULL;
    return data;
}

static void threads(void)
{
    uint64_t before = objects_now();
    pthread_t ids[4];
    unsigned first[4];
    for (unsigned i = 0; i < 4; i++) {
        first[i] = i * 100;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&ids[i], NULL, fill_slots_of_thread, &first[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        void *result = NULL;
        pthread_join(ids[i], &result);
        CU_ASSERT_PTR_NOT_NULL(result);
    }
    CU_ASSERT_EQUAL(objects_now(), before + 400);
    for (unsigned i = 0; i < 400; i++) {
        void **slot = goalloc_slot(heap, i);
        void *p = *slot;
        CU_ASSERT(goalloc_usable_size(heap, p) >= sizes[i % 2]);
        *slot = NULL;
        goalloc_free(heap, p);
    }
    CU_ASSERT_EQUAL(objects_now(), before);
    CU_ASSERT_EQUAL(nreports, 0);
}

/* ---- a child with objects in its slots, which goes in one way or the other ---- */

struct child {
    pid_t pid;
    int up[2];
    int down[2];
};

/* In the child: what it allocated, one of each size, is in slots 0 to 2, and sent to the parent. */
static void be_child(const struct child *child, const char *root)
{
    alarm(60);
    void *objects[NSIZES];
    char byte;
    for (unsigned i = 0; i < NSIZES; i++) {
        objects[i] = goalloc_malloc_into(heap, sizes[i], goalloc_slot(heap, i));
        if (!objects[i])
            _exit(1);
    }
    if (root && goalloc_publish(heap, root, objects[0]) < 0)
        _exit(1);
    if (write(child->up[1], objects, sizeof(objects)) != sizeof(objects) ||
        read(child->down[0], &byte, 1) != 1)
        _exit(1);
    goalloc_detach(heap);
    _exit(0);
}

static struct child start(const char *root, void *ret_objects[NSIZES])
{
    struct child child;
    CU_ASSERT_EQUAL_FATAL(pipe(child.up), 0);
    CU_ASSERT_EQUAL_FATAL(pipe(child.down), 0);
    child.pid = fork();
    if (child.pid == 0)
        be_child(&child, root);
    CU_ASSERT_EQUAL_FATAL(read(child.up[0], ret_objects, NSIZES * sizeof(void *)),
                          NSIZES * sizeof(void *));
    return child;
}

static void end(const struct child *child, bool kills)
{
    if (kills)
        kill(child->pid, SIGKILL);
    else
        CU_ASSERT_EQUAL(write(child->down[1], "d", 1), 1);
    int status = -1;
    waitpid(child->pid, &status, 0);
    CU_ASSERT_EQUAL(WIFSIGNALED(status), kills);
    CU_ASSERT(kills || WEXITSTATUS(status) == 0);
    for (int i = 0; i < 2; i++) {
        close(child->up[i]);
        close(child->down[i]);
    }
}

static void goes(bool kills)
{
    uint64_t before = objects_now();
    void *objects[NSIZES];
    void **mine = goalloc_slot(heap, 1);
    void *kept = goalloc_malloc_into(heap, SMALL, mine);
    struct child child = start(NULL, objects);
    CU_ASSERT_EQUAL(objects_now(), before + 1 + NSIZES);
    CU_ASSERT_PTR_EQUAL(*mine, kept); /* a child has slots of its own */
    end(&child, kills);
    CU_ASSERT(comes_down_to(before + 1));
    CU_ASSERT_PTR_EQUAL(*mine, kept);
    CU_ASSERT(goalloc_usable_size(heap, kept) >= SMALL);
    *mine = NULL;
    goalloc_free(heap, kept);
    CU_ASSERT_EQUAL(nreports, 0);
}

static void killed(void)
{
    goes(true);
}

static void detached(void)
{
#ifdef __SANITIZE_THREAD__
    puts("left out: ThreadSanitizer gives up on a child with threads that ends in order");
#else
    goes(false);
#endif
}

/* The server dies too, before its client or after it. */
static void server_dies(bool before_child)
{
    uint64_t before = objects_now();
    void *objects[NSIZES];
    struct child child = start("slots", objects);
    if (!before_child)
        end(&child, true);
    ga_test_server_kill(&server);
    CU_ASSERT_FATAL(ga_test_server_start_again(&server, LIMIT));
    if (before_child)
        end(&child, true);
    CU_ASSERT(comes_down_to(before + 1));
    CU_ASSERT(goalloc_usable_size(heap, objects[0]) >= SMALL);
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, "slots"), 0);
    goalloc_free(heap, objects[0]);
    CU_ASSERT_EQUAL(objects_now(), before);
    nreports = 0; /* that the connection had ended */
}

static void killed_with_server(void)
{
    server_dies(true);
    server_dies(false);
}

/* What is published, or held, outlives the slot that names it. */
static void published_and_held(void)
{
    uint64_t before = objects_now();
    void *objects[NSIZES];
    struct child child = start("slots", objects);
    CU_ASSERT_EQUAL(goalloc_hold(heap, objects[1]), 0);
    end(&child, true);
    CU_ASSERT(comes_down_to(before + 1)); /* a free that is put off is counted at once */
    void *found = NULL;
    CU_ASSERT_EQUAL(goalloc_lookup(heap, "slots", &found), 0);
    CU_ASSERT_PTR_EQUAL(found, objects[0]);
    CU_ASSERT(goalloc_usable_size(heap, found) >= SMALL);
    CU_ASSERT(goalloc_usable_size(heap, objects[1]) >= LARGE);
    CU_ASSERT_EQUAL(nreports, 0);
    CU_ASSERT_EQUAL(goalloc_release(heap, objects[1]), 0);
    CU_ASSERT_EQUAL(goalloc_usable_size(heap, objects[1]), 0);
    CU_ASSERT_EQUAL(nreports, 1);
    nreports = 0;
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, "slots"), 0);
    goalloc_free(heap, found);
    CU_ASSERT_EQUAL(objects_now(), before);
    CU_ASSERT_EQUAL(nreports, 0);
}

/* A child of fork finds its parent's slots mapped, and may not use them. */
static void parents_slots(void)
{
    void **slot = goalloc_slot(heap, 9);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        int failed = goalloc_malloc_into(heap, 1, slot) != NULL || errno != EINVAL || nreports != 1;
        failed |= goalloc_slot(heap, 9) == slot; /* attaches as itself */
        failed |= goalloc_malloc_into(heap, 1, slot) != NULL || nreports != 2;
        failed |= !goalloc_malloc_into(heap, 1, goalloc_slot(heap, 9)) || nreports != 2;
        failed |= *slot != NULL;
        _exit(failed);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_PTR_NULL(*slot);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"addresses", addresses},
        {"allocated", allocated},
        {"no memory", no_memory},
        {"threads", threads},
        {"killed", killed},
        {"detached", detached},
        {"killed, and the server", killed_with_server},
        {"published and held", published_and_held},
        {"a parent's slots", parents_slots},
    };
    struct goalloc_options options = {.size = sizeof(options), .report = on_report};
    if (!ga_test_server_start(LIMIT, &server))
        return 2;
    int r = goalloc_attach(server.socket, &options, &heap);
    if (r < 0) {
        fprintf(stderr, "attach: %s\n", goalloc_attach_error());
        ga_test_server_stop(&server);
        return 2;
    }
    int failures = ga_test_main("integration.slots", tests, sizeof(tests) / sizeof(tests[0]));
    goalloc_detach(heap);
    return ga_test_server_stop(&server) ? failures : 2;
}

/* Several heaps in one process: as many as there are windows for. Each knows its own objects and no
 * other's, and goes on when another's server has gone. On a /dev/shm of the test's own, so that
 * nobody else's heap has one of the windows. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <pthread.h>

#include "goalloc/goalloc.h"
#include "support/cunit_main.h"
#include "support/private_shm.h"
#include "support/server_fixture.h"

enum { HEAPS = 5, OBJECTS = 2000 };

static struct ga_test_server servers[HEAPS];
static struct goalloc_heap *heaps[HEAPS];
static uint64_t *objects[HEAPS][OBJECTS];
static unsigned nreports[HEAPS]; /* of bad frees, by heap */

static void count_report(enum goalloc_report_kind kind, const char *message, void *data)
{
    (void)message;
    if (kind == GOALLOC_REPORT_BAD_FREE)
        ++*(unsigned *)data;
}

static void open_heaps(int count)
{
    for (int h = 0; h < count; h++) {
        struct goalloc_options options = {
            .size = sizeof(options), .report = count_report, .report_data = &nreports[h]};
        nreports[h] = 0;
        CU_ASSERT_FATAL(ga_test_server_start("64M", &servers[h]));
        CU_ASSERT_EQUAL_FATAL(goalloc_attach(servers[h].socket, &options, &heaps[h]), 0);
    }
}

static void allocate_in_turn(int count)
{
    for (int i = 0; i < OBJECTS; i++)
        for (int h = 0; h < count; h++) {
            objects[h][i] = goalloc_malloc(heaps[h], sizeof(uint64_t) * (1 + (size_t)i % 500));
            CU_ASSERT_PTR_NOT_NULL_FATAL(objects[h][i]);
            *objects[h][i] = (uint64_t)h * OBJECTS + (uint64_t)i;
        }
}

/* Each object is in its own heap alone, and no other heap frees it. */
static void check_apart(int count)
{
    for (int h = 0; h < count; h++)
        for (int other = 0; other < count; other++) {
            CU_ASSERT_EQUAL(goalloc_contains(heaps[other], objects[h][0]), h == other);
            CU_ASSERT_EQUAL(goalloc_contains(heaps[other], objects[h][OBJECTS - 1]), h == other);
            if (h == other)
                continue;
            unsigned before = nreports[other];
            goalloc_free(heaps[other], objects[h][7]);
            CU_ASSERT_EQUAL(nreports[other], before + 1);
            CU_ASSERT_EQUAL(goalloc_publish(heaps[other], "x", objects[h][7]), -EINVAL);
        }
}

static void free_all_of(int h)
{
    unsigned before = nreports[h];
    int wrong = 0;
    for (int i = 0; i < OBJECTS; i++) {
        wrong += *objects[h][i] != (uint64_t)h * OBJECTS + (uint64_t)i;
        goalloc_free(heaps[h], objects[h][i]);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(nreports[h], before);
}

static void *free_by_thread(void *argument)
{
    free_all_of(*(int *)argument);
    return NULL;
}

static void close_heap(int h)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL(goalloc_memstats(heaps[h], &stats), 0);
    CU_ASSERT_EQUAL(stats.heap_objects, 0);
    goalloc_detach(heaps[h]);
    CU_ASSERT(ga_test_server_stop(&servers[h]));
}

static void apart(int count)
{
    open_heaps(count);
    allocate_in_turn(count);
    check_apart(count);
    for (int h = 0; h < count; h++) {
        pthread_t thread;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, free_by_thread, &h), 0);
        pthread_join(thread, NULL);
        close_heap(h);
    }
}

static void two(void)
{
    apart(2);
}

static void five(void)
{
    apart(HEAPS);
}

/* One server stops: its heap can still be read and freed in, and the others do not notice. */
static void one_server_stops(void)
{
    open_heaps(3);
    allocate_in_turn(3);
    CU_ASSERT(ga_test_server_stop(&servers[1]));
    void *found;
    CU_ASSERT(goalloc_lookup(heaps[1], "x", &found) < 0);
    free_all_of(1);
    goalloc_detach(heaps[1]);
    for (int h = 0; h < 3; h += 2) {
        void *large = goalloc_malloc(heaps[h], 1 << 20);
        CU_ASSERT_PTR_NOT_NULL(large);
        goalloc_free(heaps[h], large);
        free_all_of(h);
        close_heap(h);
    }
}

/* A place that a heap has left is another's: nothing of the old one is found through it. */
static void places_are_used_again(void)
{
    for (int round = 0; round < 20; round++) {
        open_heaps(1);
        void *p = goalloc_malloc(heaps[0], 100);
        CU_ASSERT_PTR_NOT_NULL(p);
        goalloc_free(heaps[0], p);
        CU_ASSERT_EQUAL(nreports[0], 0);
        close_heap(0);
    }
}

/* ---- a thread that was there before ---- */

enum { OWNERS = 4 };
static pthread_barrier_t turns;   /* main and the thread that frees */
static pthread_barrier_t staying; /* main and the owners */
static void *of_owner[OWNERS];

static void *own_one(void *object)
{
    *(void **)object = goalloc_malloc(heaps[0], 64);
    pthread_barrier_wait(&staying); /* all have theirs */
    pthread_barrier_wait(&staying); /* the end */
    return NULL;
}

/* Allocates in the first heap, and frees in the one that comes after it in its place. */
static void *free_in_the_next(void *unused)
{
    goalloc_free(heaps[0], goalloc_malloc(heaps[0], 64));
    pthread_barrier_wait(&turns);
    pthread_barrier_wait(&turns); /* the heap is another, and the objects are there */
    for (int i = 0; i < OWNERS; i++)
        goalloc_free(heaps[0], of_owner[i]);
    return unused;
}

static void number_is_used_again(void)
{
    pthread_t freer;
    pthread_t owners[OWNERS];
    pthread_barrier_init(&turns, NULL, 2);
    pthread_barrier_init(&staying, NULL, OWNERS + 1);
    open_heaps(1);
    pthread_create(&freer, NULL, free_in_the_next, NULL);
    pthread_barrier_wait(&turns);
    goalloc_detach(heaps[0]);
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(servers[0].socket, NULL, &heaps[0]), 0);
    for (int i = 0; i < OWNERS; i++)
        pthread_create(&owners[i], NULL, own_one, &of_owner[i]);
    pthread_barrier_wait(&staying);
    goalloc_free(heaps[0], goalloc_malloc(heaps[0], 64)); /* frees know how long the heap is */
    pthread_barrier_wait(&turns);
    pthread_join(freer, NULL);

    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL(goalloc_memstats(heaps[0], &stats), 0);
    CU_ASSERT_EQUAL(stats.heap_objects, 0); /* each free was counted, in this heap */
    pthread_barrier_wait(&staying);
    for (int i = 0; i < OWNERS; i++)
        pthread_join(owners[i], NULL);
    close_heap(0);
    pthread_barrier_destroy(&turns);
    pthread_barrier_destroy(&staying);
}

/* A thread's mcache of a heap that was detached has the number of somebody's in the heap that came
 * after it: what that one leases is not its own. */
static void numbers_are_used_again(void)
{
    for (int round = 0; round < 5; round++)
        number_is_used_again();
}

static void malloc_of_each_kind(void)
{
    static const size_t sizes[] = {8, 64, 2000, 100000};
    for (int i = 0; i < 4; i++)
        for (unsigned flags = 0; flags <= GOALLOC_NOSCAN; flags++) {
            void *p = goalloc_alloc(heaps[0], sizes[i], 0, flags);
            CU_ASSERT_PTR_NOT_NULL(p);
            CU_ASSERT(goalloc_usable_size(heaps[0], p) >= sizes[i]);
            goalloc_free(heaps[0], p);
        }
}

static void *malloc_in_the_next(void *unused)
{
    malloc_of_each_kind();
    pthread_barrier_wait(&turns);
    pthread_barrier_wait(&turns); /* the heap is another */
    malloc_of_each_kind();
    return unused;
}

/* What such a thread allocates is of the new heap, and counted there. */
static void allocated_in_the_next(void)
{
    pthread_t thread;
    pthread_barrier_init(&turns, NULL, 2);
    open_heaps(1);
    pthread_create(&thread, NULL, malloc_in_the_next, NULL);
    pthread_barrier_wait(&turns);
    goalloc_detach(heaps[0]);
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(servers[0].socket, NULL, &heaps[0]), 0);
    pthread_barrier_wait(&turns);
    pthread_join(thread, NULL);
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL(goalloc_memstats(heaps[0], &stats), 0);
    CU_ASSERT(stats.own_mallocs == 8 && stats.own_frees == 8);
    close_heap(0);
    pthread_barrier_destroy(&turns);
}

/* ---- the same, of large objects ---- */

struct resize {
    size_t from;
    size_t to;
    char *object; /* of main */
};

/* Keeps a large span of the first heap, and makes an object of the next one longer, or leaves it as
 * long as it is. */
static void *realloc_in_the_next(void *data)
{
    struct resize *resize = data;
    goalloc_free(heaps[0], goalloc_malloc(heaps[0], resize->to));
    pthread_barrier_wait(&turns);
    pthread_barrier_wait(&turns); /* the heap is another, and the object is there */
    resize->object = goalloc_realloc(heaps[0], resize->object, resize->to);
    return NULL;
}

static void resize_in_the_next(struct resize resize)
{
    pthread_t thread;
    pthread_barrier_init(&turns, NULL, 2);
    open_heaps(1);
    pthread_create(&thread, NULL, realloc_in_the_next, &resize);
    pthread_barrier_wait(&turns);
    goalloc_detach(heaps[0]);
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(servers[0].socket, NULL, &heaps[0]), 0);
    resize.object = goalloc_malloc(heaps[0], resize.from);
    CU_ASSERT_PTR_NOT_NULL_FATAL(resize.object);
    memcpy(resize.object, "as before", sizeof("as before"));
    pthread_barrier_wait(&turns);
    pthread_join(thread, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(resize.object);
    CU_ASSERT_STRING_EQUAL(resize.object, "as before");
    CU_ASSERT(goalloc_usable_size(heaps[0], resize.object) >= resize.to);
    goalloc_free(heaps[0], resize.object);
    close_heap(0);
    pthread_barrier_destroy(&turns);
}

/* What a thread has kept, or left room to grow, of a heap that was detached is not looked for in
 * the heap that came after it. */
static void kept_spans_are_not_used_again(void)
{
    resize_in_the_next((struct resize){.from = 100000, .to = 100000});
    resize_in_the_next((struct resize){.from = 5000, .to = 60000});
    resize_in_the_next((struct resize){.from = 40000, .to = 200000});
}

/* Leaves an object room to grow, and makes it longer when the heap is attached anew. */
static void *grow_in_the_next(void *unused)
{
    goalloc_free(heaps[0], goalloc_malloc(heaps[0], 1 << 20));
    char *object = goalloc_realloc(heaps[0], goalloc_malloc(heaps[0], 30000), 100000);
    CU_ASSERT_PTR_NOT_NULL_FATAL(object);
    CU_ASSERT(goalloc_usable_size(heaps[0], object) >= 1 << 20);
    memcpy(object, "as before", sizeof("as before"));
    pthread_barrier_wait(&turns);
    pthread_barrier_wait(&turns); /* the heap is another, and the object is there */
    object = goalloc_realloc(heaps[0], object, 150000);
    CU_ASSERT_PTR_NOT_NULL_FATAL(object);
    CU_ASSERT_STRING_EQUAL(object, "as before");
    goalloc_free(heaps[0], object);
    return unused;
}

/* The object outlives the heap that its thread knew; what the thread left it of room does not. */
static void room_is_not_used_again(void)
{
    pthread_t thread;
    pthread_barrier_init(&turns, NULL, 2);
    open_heaps(1);
    pthread_create(&thread, NULL, grow_in_the_next, NULL);
    pthread_barrier_wait(&turns);
    goalloc_detach(heaps[0]);
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(servers[0].socket, NULL, &heaps[0]), 0);
    pthread_barrier_wait(&turns);
    pthread_join(thread, NULL);
    close_heap(0);
    pthread_barrier_destroy(&turns);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"two heaps", two},
        {"five heaps", five},
        {"one server stops", one_server_stops},
        {"places are used again", places_are_used_again},
        {"numbers are used again", numbers_are_used_again},
        {"allocated in the next", allocated_in_the_next},
        {"kept spans are not used again", kept_spans_are_not_used_again},
        {"room is not used again", room_is_not_used_again},
    };
    if (ga_private_shm_enter("1g") < 0)
        return 77;
    return ga_test_main("integration.heaps", tests, sizeof(tests) / sizeof(tests[0]));
}

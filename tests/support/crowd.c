/* Objects change hands through a table of mailboxes that is itself an object of the heap. */
#include "support/crowd.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pthread.h>

#include "goalloc/goalloc.h"
#include "shm/mapping.h"
#include "shm/recount.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

#define LIMIT "1G"

enum { KEPT = 400, BOXES = 256, PATIENCE_MS = 20000, LIFE_MS = 30, DEATH_MS = 20 };

/* The head of every object; the rest is filled with bytes that follow from seed. */
struct object {
    uint64_t bytes;
    uint64_t seed;
};

struct exchange {
    _Atomic(struct object *) box[GA_CROWD_MAX][BOXES]; /* objects on their way to a process */
    struct ga_crowd crowd;
    _Atomic uint32_t attached;
    _Atomic uint32_t done;     /* threads that send no more */
    _Atomic uint32_t emptied;  /* threads that hold nothing more */
    _Atomic uint32_t stop;     /* set when the threads have done enough */
    _Atomic uint32_t leave;    /* set when the processes may detach */
    _Atomic uint64_t faults;   /* objects found changed */
    _Atomic uint64_t failures; /* allocations that failed */
    _Atomic uint64_t passed;   /* objects freed by another process */
};

struct worker {
    struct goalloc_heap *heap;
    struct exchange *exchange;
    uint32_t process;
    uint64_t random;
    struct object *kept[KEPT];
    uint32_t nkept;
};

static uint8_t pattern(uint64_t seed, uint64_t i)
{
    return (uint8_t)(seed >> (i % 8 * 8)) ^ (uint8_t)i;
}

static void fill(struct object *o, uint64_t bytes, uint64_t seed)
{
    o->bytes = bytes;
    o->seed = seed;
    for (uint64_t i = sizeof(*o); i < bytes; i++)
        ((uint8_t *)o)[i] = pattern(seed, i);
}

static bool is_intact(const struct object *o)
{
    for (uint64_t i = sizeof(*o); i < o->bytes; i++)
        if (((const uint8_t *)o)[i] != pattern(o->seed, i))
            return false;
    return true;
}

static void check_and_free(struct worker *w, struct object *o)
{
    if (!is_intact(o))
        atomic_fetch_add(&w->exchange->faults, 1);
    o->seed = 0;
    goalloc_free(w->heap, o);
}

static size_t random_size(struct worker *w)
{
    uint64_t r = ga_test_random(&w->random);
    switch (r % 100) {
    case 0:
        return 32769 + (r >> 8) % 100000; /* large */
    case 1 ... 9:
        return sizeof(struct object) + (r >> 8) % 32000;
    default:
        return sizeof(struct object) + (r >> 8) % 500;
    }
}

static struct object *make_object(struct worker *w)
{
    size_t bytes = random_size(w);
    uint64_t seed = ga_test_random(&w->random);
    struct object *o = NULL;
    switch (seed % 4) {
    case 0:
        o = goalloc_alloc(w->heap, bytes, 0, GOALLOC_NOSCAN);
        break;
    case 1:
        o = goalloc_calloc(w->heap, 1, bytes);
        for (size_t i = 0; o && i < bytes; i++)
            if (((uint8_t *)o)[i] != 0)
                atomic_fetch_add(&w->exchange->faults, 1);
        break;
    default:
        o = goalloc_malloc(w->heap, bytes);
    }
    if (o)
        fill(o, bytes, seed);
    else
        atomic_fetch_add(&w->exchange->failures, 1);
    return o;
}

/* Take what others have sent; whoever takes it frees it. */
static bool take_mail(struct worker *w, uint32_t most)
{
    bool any = false;
    for (uint32_t i = 0; i < BOXES && most > 0; i++) {
        _Atomic(struct object *) *box = &w->exchange->box[w->process][i];
        struct object *o = atomic_load(box) ? atomic_exchange(box, NULL) : NULL;
        if (!o)
            continue;
        check_and_free(w, o);
        atomic_fetch_add(&w->exchange->passed, 1);
        any = true;
        most--;
    }
    return any;
}

/* Send o to another process; false if its boxes are full. */
static bool send(struct worker *w, struct object *o)
{
    uint64_t r = ga_test_random(&w->random);
    uint32_t processes = w->exchange->crowd.processes;
    uint32_t to = (w->process + 1 + (uint32_t)(r % (processes - 1))) % processes;
    for (uint32_t i = 0; i < 8; i++) {
        struct object *none = NULL;
        if (atomic_compare_exchange_strong(&w->exchange->box[to][((r >> 8) + i) % BOXES], &none, o))
            return true;
    }
    return false;
}

static void drop_one(struct worker *w)
{
    uint64_t r = ga_test_random(&w->random);
    uint32_t i = (uint32_t)(r % w->nkept);
    struct object *o = w->kept[i];
    w->kept[i] = w->kept[--w->nkept];
    if ((r >> 32) % 2 == 0 || !send(w, o))
        check_and_free(w, o);
}

static void resize_one(struct worker *w)
{
    uint32_t i = (uint32_t)(ga_test_random(&w->random) % w->nkept);
    struct object *o = w->kept[i];
    if (!is_intact(o))
        atomic_fetch_add(&w->exchange->faults, 1);
    uint64_t before = o->bytes;
    size_t bytes = random_size(w);
    struct object *moved = goalloc_realloc(w->heap, o, bytes);
    if (!moved) {
        atomic_fetch_add(&w->exchange->failures, 1);
        return;
    }
    moved->bytes = before < bytes ? before : bytes;
    if (!is_intact(moved))
        atomic_fetch_add(&w->exchange->faults, 1);
    fill(moved, bytes, moved->seed);
    w->kept[i] = moved;
}

static void *work(void *argument)
{
    struct worker *w = argument;
    const struct ga_crowd *crowd = &w->exchange->crowd;
    for (uint32_t n = 0; n < crowd->operations && !atomic_load(&w->exchange->stop); n++) {
        uint64_t r = ga_test_random(&w->random);
        if (w->nkept > 0 && (w->nkept == KEPT || r % 100 < 48)) {
            drop_one(w);
        } else if (w->nkept > 0 && r % 100 < 52) {
            resize_one(w);
        } else {
            struct object *o = make_object(w);
            if (o)
                w->kept[w->nkept++] = o;
        }
        take_mail(w, 2);
    }
    while (w->nkept > 0)
        check_and_free(w, w->kept[--w->nkept]);
    atomic_fetch_add(&w->exchange->done, 1);
    bool last = false;
    while (!last) {
        last = atomic_load(&w->exchange->done) == crowd->processes * crowd->threads;
        if (!take_mail(w, BOXES))
            usleep(1000);
    }
    take_mail(w, BOXES);
    atomic_fetch_add(&w->exchange->emptied, 1);
    return NULL;
}

int ga_crowd_work(char **argv)
{
    const char *socket = argv[1];
    uint32_t process = (uint32_t)strtoul(argv[2], NULL, 10);
    uint64_t seed = strtoull(argv[3], NULL, 10);
    /* A machine that is busy must not look like a server that is gone. */
    struct goalloc_options options = {.size = sizeof(options), .timeout_ms = 60000};
    struct goalloc_heap *heap;
    if (goalloc_attach(socket, &options, &heap) < 0) {
        fprintf(stderr, "attach: %s\n", goalloc_attach_error());
        return 1;
    }
    void *found;
    if (goalloc_lookup(heap, "exchange", &found) < 0)
        return 2;
    struct exchange *exchange = found;
    atomic_fetch_add(&exchange->attached, 1);

    static struct worker workers[GA_CROWD_MAX];
    pthread_t threads[GA_CROWD_MAX];
    uint32_t nthreads = exchange->crowd.threads;
    for (uint32_t i = 0; i < nthreads; i++) {
        workers[i] = (struct worker){.heap = heap,
                                     .exchange = exchange,
                                     .process = process,
                                     .random = seed + process * 1000 + i};
        if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0)
            return 3;
    }
    for (uint32_t i = 0; i < nthreads; i++)
        pthread_join(threads[i], NULL);
    while (!atomic_load(&exchange->leave))
        usleep(1000);
    goalloc_detach(heap);
    return 0;
}

/* Start this program again as a worker. */
static pid_t start_process(const char *socket, uint32_t process, uint64_t seed)
{
    char number[16];
    char text[32];
    snprintf(number, sizeof(number), "%u", process);
    snprintf(text, sizeof(text), "%llu", (unsigned long long)seed);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "worker", socket, number, text, (char *)NULL);
        _exit(127);
    }
    return pid;
}

/* Map the heap's tables as a stranger would and count. */
static int recount(const char *heap_name, struct ga_recount *ret)
{
    struct ga_mapping meta;
    struct ga_mapping bits;
    if (ga_mapping_open(heap_name, GA_OBJECT_META, true, -1, 0, 0, &meta) < 0)
        return -1;
    if (ga_mapping_open(heap_name, GA_OBJECT_BITS, true, -1, 0, 0, &bits) < 0) {
        ga_mapping_close(&meta);
        return -1;
    }
    struct ga_view view = ga_view_of(meta.address, bits.address);
    uint64_t bad_page;
    int r = ga_recount(&view, ret, &bad_page);
    ga_mapping_close(&bits);
    ga_mapping_close(&meta);
    return r;
}

/* Kill the server in the middle of everything and start the next, now at once, now after a while.
 */
static void change_servers(const struct ga_crowd *crowd, struct ga_test_server *server,
                           struct exchange *exchange)
{
    uint64_t random = ga_test_seed();
    while (atomic_load(&exchange->attached) < exchange->crowd.processes)
        usleep(1000);
    for (uint32_t i = 0; i < crowd->kills; i++) {
        usleep((useconds_t)(ga_test_random(&random) % (LIFE_MS * 1000)));
        ga_test_server_kill(server);
        if (crowd->meanwhile)
            crowd->meanwhile(server->heap_name);
        usleep((useconds_t)(ga_test_random(&random) % (DEATH_MS * 1000)));
        CU_ASSERT_FATAL(ga_test_server_start_again(server, LIMIT));
    }
    atomic_store(&exchange->stop, 1);
}

static void wait_for_workers(const struct ga_crowd *crowd, struct exchange *exchange,
                             const char *heap_name, const pid_t *pids)
{
    time_t end = time(NULL) + crowd->seconds;
    while (atomic_load(&exchange->emptied) < crowd->processes * exchange->crowd.threads) {
        if (crowd->seconds && time(NULL) > end)
            atomic_store(&exchange->stop, 1);
        int status;
        pid_t gone = waitpid(-1, &status, WNOHANG);
        for (uint32_t i = 0; i < crowd->processes; i++)
            if (gone > 0 && pids[i] == gone)
                return; /* one died early: the checks will tell */
        if (crowd->meanwhile)
            crowd->meanwhile(heap_name);
        usleep(2000);
    }
}

/* Recount until the server says the same of the pages in use: spans may still be on their way back
 * to it. */
static void count_at_rest(struct goalloc_heap *heap, const char *heap_name,
                          struct ga_recount *ret_count, struct goalloc_memstats *ret_stats)
{
    for (int ms = 0; ms < PATIENCE_MS; ms++) {
        CU_ASSERT_EQUAL_FATAL(goalloc_memstats(heap, ret_stats), 0);
        CU_ASSERT_EQUAL_FATAL(recount(heap_name, ret_count), 0);
        if (ret_stats->heap_inuse == ret_count->inuse_npages * GA_PAGE_SIZE)
            return;
        usleep(1000);
    }
}

static void check_at_rest(struct goalloc_heap *heap, const char *heap_name)
{
    struct ga_recount count;
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    count_at_rest(heap, heap_name, &count, &stats);
    /* The exchange is the one object left. */
    CU_ASSERT_EQUAL(count.objects, 1);
    CU_ASSERT_EQUAL(stats.heap_objects, 1);
    CU_ASSERT_EQUAL(stats.mallocs - stats.frees, 1);
    CU_ASSERT_EQUAL(stats.alloc, count.alloc_bytes);
    CU_ASSERT_EQUAL(stats.heap_inuse, count.inuse_npages * GA_PAGE_SIZE);
    CU_ASSERT_EQUAL(stats.heap_sys, stats.heap_idle + stats.heap_inuse);
}

static void check_empty(struct goalloc_heap *heap, const char *heap_name)
{
    struct ga_recount count;
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL_FATAL(recount(heap_name, &count), 0);
    CU_ASSERT_EQUAL_FATAL(goalloc_memstats(heap, &stats), 0);
    CU_ASSERT_EQUAL(count.objects, 0);
    CU_ASSERT_EQUAL(stats.heap_objects, 0);
    printf("%llu mallocs, %llu frees; ", (unsigned long long)stats.mallocs,
           (unsigned long long)stats.frees);
}

void ga_crowd_run(const struct ga_crowd *crowd)
{
    assert(crowd->processes >= 2 && crowd->processes <= GA_CROWD_MAX &&
           crowd->threads <= GA_CROWD_MAX);
    struct ga_test_server server;
    CU_ASSERT_FATAL(ga_test_server_start(LIMIT, &server));
    struct goalloc_heap *heap;
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(server.socket, NULL, &heap), 0);
    struct exchange *exchange = goalloc_calloc(heap, 1, sizeof(*exchange));
    CU_ASSERT_PTR_NOT_NULL_FATAL(exchange);
    exchange->crowd = *crowd;
#ifdef __SANITIZE_THREAD__
    exchange->crowd.threads = 1;
#endif
    CU_ASSERT_EQUAL_FATAL(goalloc_publish(heap, "exchange", exchange), 0);

    uint64_t seed = ga_test_seed();
    pid_t pids[GA_CROWD_MAX];
    for (uint32_t i = 0; i < crowd->processes; i++)
        pids[i] = start_process(server.socket, i, seed);
    if (crowd->kills)
        change_servers(crowd, &server, exchange);
    wait_for_workers(crowd, exchange, server.heap_name, pids);
    CU_ASSERT_EQUAL(atomic_load(&exchange->attached), crowd->processes);
    CU_ASSERT_EQUAL(atomic_load(&exchange->faults), 0);
    CU_ASSERT_EQUAL(atomic_load(&exchange->failures), 0);
    CU_ASSERT(atomic_load(&exchange->passed) > 0);
    check_at_rest(heap, server.heap_name);

    atomic_store(&exchange->leave, 1);
    for (uint32_t i = 0; i < crowd->processes; i++) {
        int status = -1;
        CU_ASSERT_EQUAL(waitpid(pids[i], &status, 0), pids[i]);
        CU_ASSERT_EQUAL(status, 0);
    }
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, "exchange"), 0);
    goalloc_free(heap, exchange);
    check_empty(heap, server.heap_name);
    goalloc_detach(heap);
    CU_ASSERT(ga_test_server_stop(&server));
}

/* Memory goes back to the system, seen from outside: what the heap object takes (st_blocks) beside
 * what the server says, with io_uring and without; by itself and when it is asked for; under
 * limits; and again after a server was killed. What lives keeps its contents. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/daemon.h"
#include "integration/run.h"
#include "support/cunit_main.h"

#define MIB     (UINT64_C(1) << 20)
#define OBJECTS 192u
#define PATIENT 100000u /* ms: no test of speed */

static struct ga_daemon the_server;
static struct goalloc_heap *heap;
static unsigned char *objects[OBJECTS]; /* of a MiB */
static struct ga_run run;

static bool start(const char *option, const char *value, bool keep)
{
    const char *arguments[] = {"--name",    ga_daemon_heap("scavenge"),
                               "--socket",  ga_daemon_path("sock"),
                               "--reserve", "1G",
                               option,      value,
                               NULL};
    struct ga_daemon_setup setup = {.keep = keep};
    return ga_daemon_launch(&the_server, &setup, arguments) && ga_daemon_wait(&the_server);
}

static void open_heap(const char *option, const char *value)
{
    CU_ASSERT_FATAL(start(option, value, false));
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(ga_daemon_path("sock"), NULL, &heap), 0);
}

static void close_heap(void)
{
    goalloc_detach(heap);
    CU_ASSERT_EQUAL(ga_daemon_end(&the_server, SIGTERM), 0);
    CU_ASSERT_FALSE(ga_daemon_left_objects(ga_daemon_heap("scavenge")));
}

static const char *ctl(const char *command, const char *option)
{
    const char *arguments[] = {"--socket", ga_daemon_path("sock"), command, option, NULL};
    CU_ASSERT_FATAL(ga_run(&run, GOALLOCCTL_PATH, arguments));
    return run.out;
}

static uint64_t resident(void)
{
    struct stat st;
    int fd = ga_daemon_open_object(ga_daemon_heap("scavenge"), "heap", O_RDONLY);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(fstat(fd, &st), 0);
    close(fd);
    return (uint64_t)st.st_blocks * 512;
}

static struct goalloc_memstats stats_now(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL_FATAL(goalloc_memstats(heap, &stats), 0);
    CU_ASSERT_EQUAL(stats.heap_idle + stats.heap_inuse, stats.heap_sys);
    CU_ASSERT(stats.heap_released <= stats.heap_idle);
    return stats;
}

static unsigned fill(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (!objects[i])
            objects[i] = goalloc_malloc(heap, MIB + 8192); /* none is kept by the thread */
        if (!objects[i])
            return i;
        memset(objects[i], (int)i, MIB);
    }
    return n;
}

static void empty(unsigned from, unsigned to, unsigned step)
{
    for (unsigned i = from; i < to; i += step) {
        if (!objects[i])
            continue;
        CU_ASSERT(objects[i][0] == (unsigned char)i &&
                  memcmp(objects[i], objects[i] + 1, MIB - 1) == 0);
        goalloc_free(heap, objects[i]);
        objects[i] = NULL;
    }
}

/* Wait until the heap object takes no more than this. */
static bool shrinks_to(uint64_t bytes)
{
    for (unsigned ms = 0; ms < PATIENT; ms += 20) {
        if (resident() <= bytes)
            return true;
        nanosleep(&(struct timespec){0, 20000000}, NULL);
    }
    printf("resident %llu\n", (unsigned long long)resident());
    return false;
}

static void by_itself(const char *option, const char *engine)
{
    open_heap(option, NULL);
    CU_ASSERT_PTR_NOT_NULL(strstr(ctl("status", "--json"), engine));
    CU_ASSERT_EQUAL(fill(OBJECTS), OBJECTS);
    CU_ASSERT(resident() >= OBJECTS * MIB);
    CU_ASSERT_EQUAL(stats_now().heap_released, 0);
    empty(19, OBJECTS, 1);
    /* 19 MiB and what its threads keep, a tenth, a MiB, and what the next growth is to have. */
    CU_ASSERT(shrinks_to(32 * MIB));
    struct goalloc_memstats stats = stats_now();
    CU_ASSERT(stats.heap_released > 150 * MIB);
    CU_ASSERT_EQUAL(fill(60), 60); /* and it comes back */
    empty(0, 60, 1);
    close_heap();
}

static void with_io_uring(void)
{
    by_itself(NULL, "\"scavenger\": \"io_uring\"");
}

static void without_io_uring(void)
{
    by_itself("--no-io-uring", "\"scavenger\": \"fallocate, as asked for\"");
}

static void when_asked(void)
{
    open_heap(NULL, NULL);
    CU_ASSERT_EQUAL(fill(100), 100);
    empty(0, 100, 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(ctl("scavenge", NULL), "given back to the system"));
    CU_ASSERT_EQUAL(run.code, 0);
    struct goalloc_memstats stats = stats_now();
    uint64_t least = stats.heap_sys - stats.heap_released;
    CU_ASSERT_EQUAL(resident(), least);
    CU_ASSERT(stats.heap_released >= stats.heap_idle - 8192); /* page 0 stays */
    CU_ASSERT_PTR_NOT_NULL(strstr(ctl("scavenge", "--json"), "\"released_bytes\": 0\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(ctl("status", NULL), "given back"));
    CU_ASSERT_EQUAL(fill(100), 100);
    empty(0, 100, 1);
    close_heap();
}

/* An object that finds no run is made where the heap grows, though that passes the limit. */
static void fragmented_under_a_limit(void)
{
    open_heap("--limit", "128M");
    unsigned n = fill(OBJECTS);
    CU_ASSERT(n > 100 && n < 128 && errno == ENOMEM);
    empty(0, n, 2);
    unsigned char *large = goalloc_malloc(heap, 50 * MIB);
    CU_ASSERT_PTR_NOT_NULL(large);
    if (large)
        memset(large, 1, 50 * MIB);
    uint64_t taken = resident();
    if (taken > 128 * MIB)
        printf("resident %llu\n", (unsigned long long)taken);
    CU_ASSERT(taken <= 128 * MIB);
    CU_ASSERT(stats_now().heap_sys > 128 * MIB);
    errno = 0;
    CU_ASSERT(goalloc_malloc(heap, 40 * MIB) == NULL && errno == ENOMEM);
    goalloc_free(heap, large);
    empty(0, n, 1);
    close_heap();
}

static atomic_bool over;

static void *collect_until_over(void *argument)
{
    (void)argument;
    uintptr_t wrong = 0;
    while (!over)
        wrong += goalloc_gc(heap, NULL) < 0;
    return (void *)wrong;
}

/* No memory is given back while a collection marks: what needs that waits, and is served. */
static void while_it_is_collected(void)
{
    pthread_t collector;
    open_heap("--limit", "128M");
    over = false;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&collector, NULL, collect_until_over, NULL), 0);
    for (unsigned round = 0; round < 5; round++) {
        unsigned n = fill(100);
        CU_ASSERT_EQUAL(n, 100);
        empty(0, n, 2);
        unsigned char *large = goalloc_malloc(heap, 50 * MIB);
        CU_ASSERT_PTR_NOT_NULL(large);
        CU_ASSERT(resident() <= 128 * MIB);
        goalloc_free(heap, large);
        empty(0, n, 1);
        CU_ASSERT_PTR_NULL(strstr(ctl("scavenge", "--json"), "\"released_bytes\": 0\n"));
        CU_ASSERT_EQUAL(run.code, 0);
    }
    over = true;
    void *wrong = NULL;
    pthread_join(collector, &wrong);
    CU_ASSERT_PTR_NULL(wrong);
    close_heap();
}

/* Memory enough, but no run of it, and no addresses to grow into: ENOMEM, and the log says why. */
static void too_fragmented(void)
{
    static unsigned char *blocks[128];
    unsigned n = 0;
    open_heap("--reserve", "128M");
    while (n < 128 && (blocks[n] = goalloc_malloc(heap, MIB)) != NULL)
        n++;
    CU_ASSERT(n > 100);
    for (unsigned i = 0; i < n; i += 2)
        goalloc_free(heap, blocks[i]);
    errno = 0;
    CU_ASSERT(goalloc_malloc(heap, 40 * MIB) == NULL && errno == ENOMEM);
    CU_ASSERT(ga_daemon_said(&the_server, "the heap is too fragmented for 41943040 bytes"));
    CU_ASSERT(ga_daemon_said(&the_server, "but not in one piece"));
    void *fits = goalloc_malloc(heap, MIB);
    CU_ASSERT_PTR_NOT_NULL(fits);
    goalloc_free(heap, fits);
    for (unsigned i = 1; i < n; i += 2)
        goalloc_free(heap, blocks[i]);
    CU_ASSERT_PTR_NOT_NULL(fits = goalloc_malloc(heap, 40 * MIB));
    goalloc_free(heap, fits);
    close_heap();
}

static void soft_limit(void)
{
    open_heap("--soft-limit", "64M");
    CU_ASSERT_PTR_NOT_NULL(strstr(ctl("status", "--json"), "\"soft_limit_bytes\": 67108864"));
    CU_ASSERT_EQUAL(fill(50), 50);
    empty(0, 50, 2);
    unsigned char *large = goalloc_malloc(heap, 25 * MIB);
    CU_ASSERT_PTR_NOT_NULL(large);
    CU_ASSERT(resident() <= 64 * MIB);
    CU_ASSERT_EQUAL(fill(100), 100); /* soft */
    CU_ASSERT(resident() > 64 * MIB);
    goalloc_free(heap, large);
    empty(0, 100, 1);
    close_heap();
}

/* The next server knows which pages have no memory, and gives it to whom they are granted. */
static void after_a_kill(void)
{
    CU_ASSERT_FATAL(start(NULL, NULL, true));
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(ga_daemon_path("sock"), NULL, &heap), 0);
    CU_ASSERT_EQUAL(fill(100), 100);
    empty(0, 100, 2);
    ctl("scavenge", NULL);
    uint64_t before = resident();
    CU_ASSERT_EQUAL(ga_daemon_end(&the_server, SIGKILL), 256 + SIGKILL);
    CU_ASSERT_FATAL(start(NULL, NULL, false));
    CU_ASSERT_EQUAL(resident(), before);
    struct goalloc_memstats stats = stats_now();
    CU_ASSERT_EQUAL(stats.heap_sys - stats.heap_released, before);
    CU_ASSERT_EQUAL(fill(100), 100);
    empty(0, 100, 1);
    ctl("check", NULL);
    CU_ASSERT_EQUAL(run.code, 0);
    close_heap();
}

static uint64_t retained(void)
{
    struct goalloc_memstats stats = stats_now();
    return stats.heap_sys - stats.heap_released;
}

/* What a killed server had ready for the next growth is not there for nothing. */
static void ready_ahead_of_a_kill(void)
{
    CU_ASSERT_FATAL(start(NULL, NULL, true));
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(ga_daemon_path("sock"), NULL, &heap), 0);
    CU_ASSERT_EQUAL(fill(50), 50);
    for (unsigned ms = 0; ms < PATIENT && resident() == retained(); ms += 20)
        nanosleep(&(struct timespec){0, 20000000}, NULL);
    CU_ASSERT(resident() > retained());
    CU_ASSERT_EQUAL(ga_daemon_end(&the_server, SIGKILL), 256 + SIGKILL);
    CU_ASSERT_FATAL(start(NULL, NULL, false));
    CU_ASSERT_EQUAL(resident(), retained());
    CU_ASSERT_EQUAL(fill(60), 60);
    empty(0, 60, 1);
    close_heap();
}

/* How often the server's loop has gone to sleep. */
static unsigned long naps(void)
{
    char path[64];
    char line[256];
    unsigned long n = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", the_server.pid);
    FILE *file = fopen(path, "re");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "voluntary_ctxt_switches: %lu", &n) == 1)
            break;
    fclose(file);
    return n;
}

/* Nothing to give back: then the server does nothing but look once a second. */
static void idle(void)
{
    open_heap(NULL, NULL);
    CU_ASSERT_EQUAL(fill(40), 40);
    empty(0, 40, 1);
    CU_ASSERT(shrinks_to(8 * MIB));
    ctl("scavenge", NULL);
    unsigned long before = naps();
    nanosleep(&(struct timespec){3, 0}, NULL);
    unsigned long n = naps() - before;
    printf("%lu naps ", n);
    CU_ASSERT(n >= 1 && n < 60);
    CU_ASSERT_FALSE(ga_daemon_said(&the_server, "given back"));
    close_heap();
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"by itself, with io_uring", with_io_uring},
        {"by itself, without io_uring", without_io_uring},
        {"when asked", when_asked},
        {"fragmented under a limit", fragmented_under_a_limit},
        {"while it is collected", while_it_is_collected},
        {"too fragmented", too_fragmented},
        {"soft limit", soft_limit},
        {"after a kill", after_a_kill},
        {"ready ahead of a kill", ready_ahead_of_a_kill},
        {"idle", idle},
    };
    int r = ga_test_main("scavenge", tests, sizeof(tests) / sizeof(tests[0]));
    ga_run_fini(&run);
    return ga_daemon_clean_up() == 0 ? r : 1;
}

/* Memory runs out: /dev/shm is full, or the heap at its limit. Then malloc is NULL with ENOMEM, in
 * time; whatever it has given can be touched, so nobody gets SIGBUS; and after frees it goes on.
 * All on a tmpfs of 64 MiB in a mount namespace of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pthread.h>

#include "goalloc/goalloc.h"
#include "integration/daemon.h"
#include "support/cunit_main.h"
#include "support/private_shm.h"
#include "support/server_fixture.h"

enum { KIB = 1024, MIB = 1024 * KIB, OBJECTS = 90000, PROCESSES = 4, ROUNDS = 6 };

static struct ga_test_server server;
static struct goalloc_heap *heap;

struct object {
    unsigned char *bytes;
    size_t size;
};
static struct object objects[OBJECTS];
static size_t nobjects;
static size_t object_bytes; /* of all of them */

static struct goalloc_memstats stats_now(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL_FATAL(goalloc_memstats(heap, &stats), 0);
    return stats;
}

static void open_heap(const char *limit)
{
    CU_ASSERT_FATAL(ga_test_server_start(limit, &server));
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(server.socket, NULL, &heap), 0);
}

static void close_heap(void)
{
    CU_ASSERT_EQUAL(stats_now().heap_objects, 0);
    goalloc_detach(heap);
    CU_ASSERT(ga_test_server_stop(&server));
}

/* Allocate an object of size and touch every byte of it. False, with what errno must be, when there
 * is no memory. */
static bool add(size_t size)
{
    errno = 0;
    unsigned char *p = nobjects < OBJECTS ? goalloc_malloc(heap, size) : NULL;
    if (!p)
        return false;
    memset(p, (int)(nobjects & 0xff), size);
    objects[nobjects++] = (struct object){p, size};
    object_bytes += size;
    return true;
}

static bool fill(size_t size)
{
    while (add(size))
        continue;
    return errno == ENOMEM;
}

/* Free every object, after a look at whether it is as it was left. */
static bool free_all(void)
{
    bool good = true;
    while (nobjects > 0) {
        struct object *o = &objects[--nobjects];
        for (size_t i = 0; i < o->size; i++)
            good = good && o->bytes[i] == (nobjects & 0xff);
        goalloc_free(heap, o->bytes);
    }
    object_bytes = 0;
    return good;
}

/* ---- a full /dev/shm ---- */

static void by_small(void)
{
    open_heap("1G");
    size_t first = 0;
    for (int round = 0; round < 2; round++) {
        CU_ASSERT(fill(KIB));
        CU_ASSERT(object_bytes > 40 * MIB && object_bytes < 64 * MIB);
        CU_ASSERT(round == 0 || object_bytes >= first / 10 * 9);
        first = object_bytes;
        /* Other sizes find nothing either, or little. */
        for (size_t size = 8; size < 2 * MIB; size *= 3)
            CU_ASSERT(fill(size));
        CU_ASSERT(free_all());
    }
    close_heap();
}

static void by_large(void)
{
    open_heap("1G");
    for (int round = 0; round < 2; round++) {
        CU_ASSERT(fill(3 * MIB));
        CU_ASSERT(object_bytes > 40 * MIB && object_bytes < 64 * MIB);
        CU_ASSERT(fill(40000));
        CU_ASSERT(fill(100));
        CU_ASSERT(free_all());
    }
    CU_ASSERT_PTR_NULL(goalloc_malloc(heap, 100 * MIB));
    CU_ASSERT_EQUAL(errno, ENOMEM);
    close_heap();
}

/* A worker process: fills what there is, again and again, and frees it. */
static int run_worker(const char *socket, uint64_t seed)
{
    alarm(100);
    if (goalloc_attach(socket, NULL, &heap) < 0)
        return 2;
    bool good = true;
    for (int round = 0; round < ROUNDS; round++) {
        int refused = 0;
        while (refused < 3) {
            uint64_t r = ga_test_random(&seed);
            size_t size = r % 20 == 0 ? (r >> 8) % (2 * MIB) : (r >> 8) % (16 * KIB);
            if (add(size + 1))
                continue;
            good = good && errno == ENOMEM;
            refused++;
        }
        good = free_all() && good;
    }
    goalloc_detach(heap);
    return good ? 0 : 1;
}

static pid_t start_worker(uint64_t seed)
{
    char text[32];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)seed);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "worker", server.socket, text, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static void by_processes(void)
{
    open_heap("1G");
    uint64_t seed = ga_test_seed();
    pid_t pids[PROCESSES];
    for (int i = 0; i < PROCESSES; i++)
        pids[i] = start_worker(seed + (uint64_t)i);
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        CU_ASSERT_EQUAL(waitpid(pids[i], &status, 0), pids[i]);
        CU_ASSERT_EQUAL(status, 0);
    }
    CU_ASSERT(fill(KIB));
    CU_ASSERT(object_bytes > 30 * MIB);
    CU_ASSERT(free_all());
    close_heap();
}

/* ---- somebody else fills it ---- */

/* Leave no page free. The name is gone at once, so that nothing stays behind. */
static int fill_with_file(void)
{
    static char block[64 * KIB];
    int fd = open("/dev/shm/foreign", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    unlink("/dev/shm/foreign");
    ssize_t n;
    do
        n = write(fd, block, sizeof(block));
    while (n > 0);
    CU_ASSERT(n < 0 && errno == ENOSPC);
    return fd;
}

static void *allocate_once(void *ret)
{
    errno = 0;
    void *p = goalloc_malloc(heap, 100);
    *(int *)ret = p ? 0 : errno;
    if (p)
        memset(p, 1, 100);
    goalloc_free(heap, p);
    return NULL;
}

/* Whether a new process can attach: 0, or the error that it got. */
static int attach_elsewhere(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "attacher", server.socket, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int run_attacher(const char *socket)
{
    alarm(60);
    int r = goalloc_attach(socket, NULL, &heap);
    if (r == 0) {
        int error;
        allocate_once(&error);
        goalloc_detach(heap);
        return error;
    }
    return goalloc_attach_error()[0] ? -r : 126;
}

/* What the heap object has of memory beyond what the heap has of it. */
static uint64_t ready_ahead(void)
{
    char path[128];
    struct stat st;
    snprintf(path, sizeof(path), "/dev/shm/goalloc.%s.heap", server.heap_name);
    CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
    return (uint64_t)st.st_blocks * 512 - stats_now().heap_sys;
}

/* Wait until that is so much. */
static bool await_ready_ahead(uint64_t bytes)
{
    for (int ms = 0; ms < 20000; ms++) {
        if (ready_ahead() == bytes)
            return true;
        usleep(1000);
    }
    return false;
}

/* A heap of 40 MiB, with a 32nd of that ready for its next growth, on a full /dev/shm. Returns the
 * file that fills it. */
static int open_heap_with_some_ready(uint64_t *ret_ready)
{
    open_heap("1G");
    CU_ASSERT(add(8 * MIB));
    CU_ASSERT(await_ready_ahead(0)); /* a small heap has nothing ready */
    for (int i = 0; i < 32; i++)
        CU_ASSERT(add(MIB));
    *ret_ready = stats_now().heap_sys / 32 / 8192 * 8192;
    CU_ASSERT(*ret_ready > MIB && await_ready_ahead(*ret_ready));
    int file = fill_with_file();
    CU_ASSERT_EQUAL(ready_ahead(), *ret_ready);
    return file;
}

static void close_heap_with_none_ready(int file)
{
    close(file);
    CU_ASSERT(fill(100 * KIB));
    CU_ASSERT(object_bytes > 40 * MIB);
    CU_ASSERT(free_all());
    close_heap();
}

/* The heap grows by what is ready. */
static void grows_by_what_is_ready(void)
{
    uint64_t ready;
    int file = open_heap_with_some_ready(&ready);
    uint64_t heap_sys = stats_now().heap_sys;
    CU_ASSERT(fill(100 * KIB));
    /* Some of it may have become tables. */
    uint64_t grown = stats_now().heap_sys - heap_sys;
    CU_ASSERT(grown > ready / 2 && grown <= ready);
    CU_ASSERT_EQUAL(ready_ahead(), 0);
    close_heap_with_none_ready(file);
}

/* Nobody is refused memory for the sake of what is ready. */
static void ready_is_given_up(void)
{
    uint64_t ready;
    int file = open_heap_with_some_ready(&ready);
    CU_ASSERT_EQUAL(attach_elsewhere(), 0);
    CU_ASSERT_EQUAL(ready_ahead(), 0);
    close_heap_with_none_ready(file);
}

/* At its limit a heap has nothing ready. */
static void not_ahead_of_the_limit(void)
{
    open_heap("40M");
    CU_ASSERT(fill(MIB));
    CU_ASSERT(await_ready_ahead(0));
    CU_ASSERT(stats_now().heap_sys > 39 * MIB);
    CU_ASSERT(free_all());
    close_heap();
}

static void by_a_file(void)
{
    open_heap("1G");
    for (int i = 0; i < 4 * KIB; i++)
        CU_ASSERT(add(KIB));
    int file = fill_with_file();
    /* What the heap has already it can still hand out, and then no more. */
    CU_ASSERT(fill(KIB));
    CU_ASSERT(object_bytes < 16 * MIB);
    for (size_t size = 8; size < 2 * MIB; size *= 3)
        CU_ASSERT(fill(size));

    /* Threads that need an mcache each, while others of the process hold theirs. */
    for (int i = 0; i < 4; i++) {
        pthread_t thread;
        int error = -1;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, allocate_once, &error), 0);
        pthread_join(thread, NULL);
        CU_ASSERT(error == ENOMEM || error == 0);
    }
    int r = attach_elsewhere();
    CU_ASSERT(r == ENOMEM || r == 0);

    close(file); /* and all is as before */
    CU_ASSERT_EQUAL(attach_elsewhere(), 0);
    CU_ASSERT(add(8 * MIB));
    CU_ASSERT(fill(KIB));
    CU_ASSERT(object_bytes > 40 * MIB);
    CU_ASSERT(free_all());
    close_heap();
}

/* A process for each client and mcache, until the tables cannot grow. */
static void many_attach_on_a_full_one(void)
{
    open_heap("1G");
    int file = fill_with_file();
    static pid_t pids[100];
    int refused = 0;
    for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            execl("/proc/self/exe", "attacher", server.socket, (char *)NULL);
            _exit(127);
        }
    }
    for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++) {
        int status = -1;
        waitpid(pids[i], &status, 0);
        CU_ASSERT(status == 0 || (WIFEXITED(status) && WEXITSTATUS(status) == ENOMEM));
        refused += status != 0;
    }
    CU_ASSERT(refused > 0);
    close(file);
    CU_ASSERT_EQUAL(attach_elsewhere(), 0);
    close_heap();
}

static void server_start(void)
{
    int file = fill_with_file();
    struct ga_daemon daemon;
    const char *name = ga_daemon_heap("full");
    const char *const arguments[] = {"--name", name, "--socket", ga_daemon_path("sock"), NULL};
    CU_ASSERT_FALSE(ga_daemon_start(&daemon, 0, arguments));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, 0), 10);
    CU_ASSERT(ga_daemon_said(&daemon, "no memory is left in /dev/shm"));
    CU_ASSERT_FALSE(ga_daemon_left_objects(name));
    close(file);
    CU_ASSERT(ga_daemon_start(&daemon, 0, arguments));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
    ga_daemon_clean_up();
}

/* ---- the heap's own limit ---- */

static void hard_limit(void)
{
    open_heap("16M");
    for (int round = 0; round < 2; round++) {
        CU_ASSERT(fill(KIB));
        CU_ASSERT(object_bytes > 14 * MIB && object_bytes < 16 * MIB);
        CU_ASSERT(stats_now().heap_sys <= 16 * MIB);
        CU_ASSERT(fill(100000));
        CU_ASSERT(free_all());
        CU_ASSERT(fill(4 * MIB));
        CU_ASSERT(object_bytes >= 12 * MIB && object_bytes < 16 * MIB);
        CU_ASSERT(free_all());
    }
    close_heap();
}

/* Who allocates and frees the same again and again keeps its spans, however many they are. */
static void what_is_used_again_is_kept(void)
{
    open_heap("64M");
    uint64_t inuse = 0;
    for (int round = 0; round < 12; round++) {
        for (int i = 0; i < 1400; i++)
            CU_ASSERT(add(KIB));
        CU_ASSERT(free_all());
        uint64_t now = stats_now().heap_inuse;
        CU_ASSERT(round < 4 || now == inuse); /* what it got too much has gone */
        inuse = now;
    }
    close_heap();
}

/* Free count objects, chosen at random, and allocate as many again, each of which must be found,
 * since the heap has no others. Now and then the one allocated last is freed and allocated again in
 * between. */
static void replace_some(size_t size, size_t count, unsigned *random)
{
    for (size_t i = 0; i < count; i++) {
        size_t chosen = (size_t)rand_r(random) % nobjects;
        goalloc_free(heap, objects[chosen].bytes);
        objects[chosen] = objects[--nobjects];
    }
    if (rand_r(random) % 16 == 0) /* everything is looked through for memory */
        goalloc_free(heap, goalloc_malloc(heap, MIB));
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_FATAL(add(size));
        if (rand_r(random) % 4 == 0) {
            goalloc_free(heap, objects[--nobjects].bytes);
            CU_ASSERT_FATAL(add(size));
        }
    }
}

/* However many slots are freed, where, and in which order, malloc finds them all: in a full heap
 * none is left over, of spans with one word of slots, with several, and with so many that they lie
 * elsewhere. */
static void every_slot_is_found_again(void)
{
    static const size_t sizes[] = {KIB, 80, 48};
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        unsigned random = 7;
        open_heap("4M");
        CU_ASSERT(fill(sizes[s]));
        CU_ASSERT(object_bytes > 3 * MIB);
        for (int round = 0; round < 300; round++)
            replace_some(sizes[s], (size_t)1 << rand_r(&random) % 12, &random);
        while (nobjects > 0)
            goalloc_free(heap, objects[--nobjects].bytes);
        object_bytes = 0;
        close_heap();
    }
}

static int nreports;

static void on_report(enum goalloc_report_kind kind, const char *message, void *data)
{
    (void)data;
    printf("report %d: %s\n", (int)kind, message);
    nreports++;
}

/* The pages of one size are those of a smaller one now, and what this thread remembers of the first
 * must not be taken for objects of the second: see to whom a free goes that looks like the last. */
static void pages_of_another_size(void)
{
    struct goalloc_options options = {.size = sizeof(options), .report = on_report};
    CU_ASSERT_FATAL(ga_test_server_start("8M", &server));
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(server.socket, &options, &heap), 0);
    nreports = 0;
    CU_ASSERT(fill(256));
    CU_ASSERT(free_all());
    CU_ASSERT(fill(128));
    for (size_t i = 0; i < 2000; i++) {
        goalloc_free(heap, objects[i].bytes);
        objects[i].size = 0;
    }
    void *p = goalloc_malloc(heap, 256);
    CU_ASSERT_PTR_NOT_NULL(p);
    goalloc_free(heap, p);
    /* From the last: the wrong slot would be of one that is still to be freed. */
    for (size_t i = nobjects; i-- > 2000;)
        goalloc_free(heap, objects[i].bytes);
    nobjects = object_bytes = 0;
    CU_ASSERT_EQUAL(nreports, 0);
    close_heap();
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return run_worker(argv[1], strtoull(argv[2], NULL, 10));
    if (argc == 2)
        return run_attacher(argv[1]);
    static const struct ga_test tests[] = {
        {"a full /dev/shm, by small objects", by_small},
        {"by large objects", by_large},
        {"by several processes at once", by_processes},
        {"by somebody's file", by_a_file},
        {"grows by what is ready", grows_by_what_is_ready},
        {"ready is given up", ready_is_given_up},
        {"not ahead of the limit", not_ahead_of_the_limit},
        {"many attach on a full one", many_attach_on_a_full_one},
        {"a server starts on a full one", server_start},
        {"the hard limit", hard_limit},
        {"pages of another size", pages_of_another_size},
        {"every slot is found again", every_slot_is_found_again},
        {"what is used again is kept", what_is_used_again_is_kept},
    };
    if (ga_private_shm_enter("64m") < 0)
        return 77;
    alarm(110); /* who is stuck is told so, and cleaned up after */
    return ga_test_main("integration.memory", tests, sizeof(tests) / sizeof(tests[0]));
}

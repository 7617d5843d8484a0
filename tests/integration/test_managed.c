/* Managed processes: what nothing reaches goes without a free, and what a register, a stack, static
 * data, malloc's memory or another managed process points to stays; who cannot stand still is
 * named, and then nothing is freed; a program that only allocates goes on for ever within its
 * limit. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/run.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

#define COUNT(a)   (sizeof(a) / sizeof(*(a)))
#define GARBAGE    5000u
#define LIST       500
#define SHORT      5
#define LUCK       64u /* objects of the garbage that a stale word may keep */
#define LIMIT      "64M"
#define CYCLES     20
#define KILLS      10
#define STOPS      2
#define LONG_LIST  500000
#define PUBLISHERS 12
#define PUBLISHED  200u

struct node {
    struct node *next;
    uint64_t number;
    char text[40];
};

static struct ga_test_server server;
static struct goalloc_heap *heap;
static struct node *in_static_data;
static atomic_bool over;
static atomic_int nready;

static int try_attach(uint32_t flags, uint32_t signal_number, struct goalloc_heap **ret)
{
    struct goalloc_options options = {
        .size = sizeof(options), .timeout_ms = 60000, .flags = flags, .stop_signal = signal_number};
    return goalloc_attach(server.socket, &options, ret);
}

static void open_heap(const char *limit)
{
    CU_ASSERT_FATAL(ga_test_server_start(limit, &server));
    CU_ASSERT_EQUAL_FATAL(try_attach(GOALLOC_MANAGED, 0, &heap), 0);
    over = false;
    nready = 0;
}

static void close_heap(void)
{
    goalloc_detach(heap);
    CU_ASSERT(ga_test_server_stop(&server));
}

static struct node *make_list(int length)
{
    struct node *list = NULL;
    for (int i = 0; i < length; i++) {
        struct node *node = goalloc_malloc(heap, sizeof(*node));
        if (!node)
            abort();
        node->next = list;
        node->number = (uint64_t)i;
        memset(node->text, i, sizeof(node->text));
        list = node;
    }
    return list;
}

static bool is_whole(const struct node *list, int length)
{
    for (int i = length - 1; i >= 0; i--, list = list->next)
        if (!list || list->number != (uint64_t)i || list->text[39] != (char)i)
            return false;
    return list == NULL;
}

/* In a frame of its own, so that little of it is left where the stack is in use; and in short lists
 * and rings, so that a word that is left keeps few. */
static __attribute__((noinline)) void make_garbage(void)
{
    for (unsigned i = 0; i < GARBAGE / SHORT; i++) {
        struct node *list = make_list(SHORT);
        if (i % 2)
            list->next->next = list;
    }
    for (unsigned i = 0; i < 100; i++)
        if (!goalloc_malloc(heap, 1000 + i * 700) || !goalloc_alloc(heap, 10, 0, GOALLOC_NOSCAN))
            abort();
}

static struct goalloc_gc_result collect(void)
{
    struct goalloc_gc_result result = {.size = sizeof(result)};
    int r = goalloc_gc(heap, &result);
    CU_ASSERT_EQUAL(r, 0);
    if (r < 0)
        fprintf(stderr, "goalloc_gc: %s: %s\n", goalloc_strerror(r), result.failure);
    return result;
}

/* Until it is not abandoned any more: the server may have yet to learn of somebody's end, or be
 * connected again. How many objects were freed. */
static uint64_t collect_at_last(void)
{
    struct goalloc_gc_result result = {.size = sizeof(result)};
    int r;
    while ((r = goalloc_gc(heap, &result)) == -ECANCELED)
        poll(NULL, 0, 1);
    CU_ASSERT_EQUAL(r, 0);
    return result.freed;
}

static uint64_t objects(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL(goalloc_memstats(heap, &stats), 0);
    return stats.heap_objects;
}

/* Garbage goes, all but what luck keeps; some of it perhaps in a cycle that comes by itself. */
static void collect_garbage(void)
{
    uint64_t before = objects();
    make_garbage();
    struct goalloc_gc_result result = collect();
    uint64_t now = objects();
    CU_ASSERT(now <= before + LUCK);
    CU_ASSERT_EQUAL(result.freed, result.garbage);
    if (now > before + LUCK)
        printf("\n%lu objects more are there, and %lu were freed\n", now - before, result.freed);
}

/* ---- what stays ---- */

static void *keep_on_stack(void *argument)
{
    (void)argument;
    struct node *list = make_list(LIST);
    nready++;
    while (!over)
        poll(NULL, 0, 1);
    return (void *)(uintptr_t)is_whole(list, LIST);
}

static void what_is_reached_stays(void)
{
    open_heap("256M");
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, keep_on_stack, NULL), 0);
    while (nready == 0)
        sched_yield();
    in_static_data = make_list(LIST);
    struct node **in_malloc = malloc(sizeof(*in_malloc));
    *in_malloc = make_list(LIST);
    char *interior = (char *)make_list(LIST) + 20;
    struct node *of_large = goalloc_malloc(heap, 100000);
    of_large->next = make_list(LIST);
    struct node *published = goalloc_malloc(heap, sizeof(*published));
    published->next = make_list(LIST);
    CU_ASSERT_EQUAL(goalloc_publish(heap, "root", published), 0);
    published = NULL;
    for (int cycle = 0; cycle < CYCLES; cycle++)
        collect_garbage();
    CU_ASSERT(is_whole(in_static_data, LIST));
    CU_ASSERT(is_whole(*in_malloc, LIST));
    CU_ASSERT(is_whole((struct node *)(void *)(interior - 20), LIST));
    CU_ASSERT(is_whole(of_large->next, LIST));
    void *found = NULL;
    CU_ASSERT_EQUAL(goalloc_lookup(heap, "root", &found), 0);
    CU_ASSERT(found && is_whole(((struct node *)found)->next, LIST));
    over = true;
    void *whole = NULL;
    pthread_join(thread, &whole);
    CU_ASSERT_PTR_NOT_NULL(whole);
    free(in_malloc);
    in_static_data = NULL;
    close_heap();
}

/* ---- several processes ---- */

struct peer {
    pid_t pid;
    int to;   /* the child reads */
    int from; /* the child writes */
};

/* A child that takes what is published, takes the name back, and has it alone from then on. */
static void be_a_peer(int from, int to)
{
    char said;
    void *found = NULL;
    struct node *own = make_list(LIST); /* which nobody else ever sees */
    if (goalloc_lookup(heap, "list", &found) < 0 || goalloc_unpublish(heap, "list") < 0 ||
        write(to, "1", 1) != 1 || read(from, &said, 1) != 1)
        _exit(1);
    bool whole = is_whole(found, LIST) && is_whole(own, LIST);
    if (write(to, whole ? "1" : "0", 1) != 1)
        _exit(1);
    while (read(from, &said, 1) == 1)
        continue;
    _exit(0);
}

static struct peer start_peer(void (*be)(int from, int to))
{
    int to[2];
    int from[2];
    CU_ASSERT_FATAL(pipe(to) == 0 && pipe(from) == 0);
    struct peer peer = {.pid = fork(), .to = to[1], .from = from[0]};
    if (peer.pid == 0) {
        close(to[1]);
        close(from[0]);
        be(to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    return peer;
}

static bool hears(const struct peer *peer)
{
    char said = '0';
    return read(peer->from, &said, 1) == 1 && said == '1';
}

static void end_peer(const struct peer *peer)
{
    close(peer->to);
    close(peer->from);
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(peer->pid, &status, 0), peer->pid);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static __attribute__((noinline)) void publish_list(void)
{
    CU_ASSERT_EQUAL(goalloc_publish(heap, "list", make_list(LIST)), 0);
}

static void another_process_keeps_it(void)
{
    open_heap("256M");
    publish_list();
    struct peer peer = start_peer(be_a_peer);
    CU_ASSERT(hears(&peer));
    for (int cycle = 0; cycle < CYCLES; cycle++)
        collect_garbage();
    CU_ASSERT_EQUAL(write(peer.to, "?", 1), 1);
    CU_ASSERT(hears(&peer));
    end_peer(&peer);
    /* Nobody else reached what it had of its own. */
    CU_ASSERT(collect_at_last() >= LIST);
    close_heap();
}

/* ---- what is on its way to the server ---- */

static atomic_uint nlost;

static __attribute__((noinline)) bool publish_new(const char *name, uint64_t number)
{
    struct node *node = make_list(1);
    node->number = number;
    return goalloc_publish(heap, name, node) == 0;
}

/* What the thread's stack keeps of it is overwritten. */
static __attribute__((noinline)) void forget(void)
{
    volatile uint64_t frame[512];
    for (unsigned i = 0; i < COUNT(frame); i++)
        frame[i] = 0;
}

static __attribute__((noinline)) bool finds(const char *name, uint64_t number)
{
    void *found = NULL;
    return goalloc_lookup(heap, name, &found) == 0 && ((struct node *)found)->number == number;
}

/* More threads than may change names at once (change.c), so some wait with what they publish. */
static void *publish_again_and_again(void *argument)
{
    const char *name = argument;
    for (uint64_t i = 1; i <= PUBLISHED; i++) {
        bool published = publish_new(name, i << 32);
        forget();
        for (unsigned more = 0; more < 100; more++)
            (void)make_list(1);
        if (!published || !finds(name, i << 32) || goalloc_unpublish(heap, name) < 0)
            nlost++;
    }
    return NULL;
}

static void *collect_until_over(void *argument);

static void published_while_it_is_collected(void)
{
    static char names[PUBLISHERS][2];
    pthread_t publishers[PUBLISHERS];
    pthread_t collector;
    open_heap("256M");
    nlost = 0;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&collector, NULL, collect_until_over, NULL), 0);
    for (int i = 0; i < PUBLISHERS; i++) {
        names[i][0] = (char)('a' + i);
        CU_ASSERT_EQUAL_FATAL(
            pthread_create(&publishers[i], NULL, publish_again_and_again, names[i]), 0);
    }
    for (int i = 0; i < PUBLISHERS; i++)
        pthread_join(publishers[i], NULL);
    over = true;
    pthread_join(collector, NULL);
    CU_ASSERT_EQUAL(nlost, 0);
    close_heap();
}

/* Whether a collection is abandoned, and says this. */
static void abandoned(const char *says)
{
    struct goalloc_gc_result result = {.size = sizeof(result)};
    make_garbage();
    CU_ASSERT_EQUAL(goalloc_gc(heap, &result), -ECANCELED);
    CU_ASSERT_EQUAL(result.freed, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(result.failure, says));
    if (!strstr(result.failure, says))
        fprintf(stderr, "it says: %s\n", result.failure);
}

static void a_process_is_stopped(void)
{
    open_heap("256M");
    publish_list();
    struct peer peer = start_peer(be_a_peer);
    CU_ASSERT(hears(&peer));
    kill(peer.pid, SIGSTOP);
    int status;
    CU_ASSERT_EQUAL(waitpid(peer.pid, &status, WUNTRACED), peer.pid);
    abandoned("it is stopped by a signal");
    kill(peer.pid, SIGCONT);
    collect_garbage();
    CU_ASSERT_EQUAL(write(peer.to, "?", 1), 1);
    CU_ASSERT(hears(&peer));
    end_peer(&peer);
    close_heap();
}

static void *block_signals(void *argument)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    return keep_on_stack(argument);
}

static void a_thread_is_deaf(void)
{
    open_heap("256M");
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, block_signals, NULL), 0);
    while (nready == 0)
        sched_yield();
    abandoned("does not answer signal");
    over = true;
    void *whole = NULL;
    pthread_join(thread, &whole);
    CU_ASSERT_PTR_NOT_NULL(whole);
    collect_garbage();
    close_heap();
}

static void handle(int number)
{
    (void)number;
}

static void the_signal_is_taken(void)
{
    open_heap("256M");
    struct sigaction ours;
    struct sigaction theirs = {.sa_handler = handle};
    int number = SIGRTMAX - 1;
    CU_ASSERT_EQUAL(sigaction(number, &theirs, &ours), 0);
    abandoned("the program has set another handler for signal");
    CU_ASSERT_EQUAL(sigaction(number, &ours, NULL), 0);
    collect_garbage();
    close_heap();
}

static void bad_options(void)
{
    open_heap("256M");
    struct goalloc_heap *another = NULL;
    CU_ASSERT_EQUAL(try_attach(1u << 9, 0, &another), -EINVAL);
    CU_ASSERT_EQUAL(try_attach(0, SIGUSR1, &another), -EINVAL);
    CU_ASSERT_EQUAL(try_attach(GOALLOC_MANAGED, SIGUSR1, &another), -EBUSY);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(goalloc_attach_error(), "stops the threads of this process already"));
    close_heap();
}

/* ---- kills ---- */

/* A child that collects all the time, until it is killed in the middle. */
static void collect_for_ever(void)
{
    for (;;) {
        make_garbage();
        (void)goalloc_gc(heap, NULL);
    }
}

static void killed_in_a_cycle(void)
{
    open_heap("256M");
    in_static_data = make_list(LIST);
    uint64_t random = ga_test_seed();
    for (int i = 0; i < KILLS; i++) {
        pid_t pid = fork();
        if (pid == 0)
            collect_for_ever();
        poll(NULL, 0, (int)(ga_test_random(&random) % 60));
        kill(pid, SIGKILL);
        CU_ASSERT_EQUAL(waitpid(pid, NULL, 0), pid);
        CU_ASSERT(is_whole(in_static_data, LIST));
    }
    (void)collect_at_last();
    collect_garbage();
    CU_ASSERT(is_whole(in_static_data, LIST));
    in_static_data = NULL;
    close_heap();
}

static void *collect_until_over(void *argument)
{
    (void)argument;
    nready++;
    while (!over) {
        make_garbage();
        (void)goalloc_gc(heap, NULL);
    }
    return NULL;
}

/* The server is killed in the middle of cycles: everybody goes on, and with the next one it works.
 */
static void the_server_is_killed(void)
{
    open_heap("256M");
    in_static_data = make_list(LIST);
    uint64_t random = ga_test_seed();
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, collect_until_over, NULL), 0);
    for (int i = 0; i < KILLS; i++) {
        poll(NULL, 0, (int)(ga_test_random(&random) % 60));
        ga_test_server_kill(&server);
        CU_ASSERT(is_whole(in_static_data, LIST));
        CU_ASSERT_FATAL(ga_test_server_start_again(&server, "256M"));
    }
    over = true;
    pthread_join(thread, NULL);
    (void)collect_at_last();
    collect_garbage();
    CU_ASSERT(is_whole(in_static_data, LIST));
    in_static_data = NULL;
    close_heap();
}

static void *count_on(void *argument)
{
    atomic_ulong *count = argument;
    while (!over)
        (*count)++;
    return NULL;
}

/* A child, which does not stand still with us, stops the server, says so, and has it go on when it
 * is told to; and again. */
static void stop_the_server(int from, int to)
{
    char said;
    uint64_t random = ga_test_seed();
    for (int i = 0; i < STOPS; i++) {
        poll(NULL, 0, 50 + (int)(ga_test_random(&random) % 50));
        kill(server.pid, SIGSTOP);
        bool told = write(to, "1", 1) == 1 && read(from, &said, 1) == 1;
        kill(server.pid, SIGCONT);
        if (!told)
            _exit(1);
    }
    _exit(0);
}

/* The server is stopped, most likely while it marks: threads go on without it, and it frees
 * nothing then. */
static void the_server_is_stopped(void)
{
    static atomic_ulong count;
    open_heap("256M");
    in_static_data = make_list(LONG_LIST);
    pthread_t collector;
    pthread_t counter;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&collector, NULL, collect_until_over, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&counter, NULL, count_on, &count), 0);
    struct peer stopper = start_peer(stop_the_server);
    for (int i = 0; i < STOPS; i++) {
        CU_ASSERT(hears(&stopper));
        unsigned long before = count;
        while (count - before < 1000)
            poll(NULL, 0, 1);
        CU_ASSERT(is_whole(in_static_data, LONG_LIST));
        CU_ASSERT_EQUAL(write(stopper.to, "1", 1), 1);
    }
    over = true;
    pthread_join(collector, NULL);
    pthread_join(counter, NULL);
    end_peer(&stopper);
    collect_garbage();
    CU_ASSERT(is_whole(in_static_data, LONG_LIST));
    in_static_data = NULL;
    close_heap();
}

/* ---- for ever ---- */

/* Allocates many times what the heap may have, keeps a little, and frees nothing. */
static void within_the_limit(void)
{
    open_heap(LIMIT);
    const uint64_t total = (getenv("GOALLOC_LONG") ? UINT64_C(100) : UINT64_C(4)) << 30;
    static struct node *kept[512];
    uint64_t random = ga_test_seed();
    uint64_t wrong = 0;
    uint64_t failed = 0;
    for (uint64_t bytes = 0, i = 0; bytes < total && failed == 0; i++) {
        uint64_t r = ga_test_random(&random);
        size_t size = sizeof(struct node) + (r % 64 ? r / 64 % 500 : r / 64 % 200000);
        struct node *node = goalloc_malloc(heap, size);
        if (!node) {
            failed++;
            break;
        }
        struct node **place = &kept[r >> 32 & 511];
        wrong += *place && (*place)->number != (uint64_t)(place - kept);
        node->number = (uint64_t)(place - kept);
        node->next = NULL;
        *place = node;
        bytes += size;
    }
    CU_ASSERT_EQUAL(failed, 0);
    CU_ASSERT_EQUAL(wrong, 0);
    memset(kept, 0, sizeof(kept));
    close_heap();
}

/* ---- large objects ---- */

#define LARGE_BYTES (UINT64_C(16) << 20)
#define NLARGE      60u

static uint64_t extent(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL(goalloc_memstats(heap, &stats), 0);
    return stats.heap_sys;
}

static uint64_t cycles(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL(goalloc_memstats(heap, &stats), 0);
    return stats.num_gc;
}

/* A collection comes before the heap grows: of objects that replace one another there are two. */
static void large_objects_replaced(void)
{
    static char *kept;
    open_heap("2G");
    for (unsigned i = 0; i < NLARGE; i++) {
        kept = goalloc_malloc(heap, LARGE_BYTES);
        CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
        memset(kept, (int)i, 100);
    }
    printf("%lu MiB of heap ", extent() >> 20);
    CU_ASSERT(extent() < 2 * LARGE_BYTES + LARGE_BYTES / 2);
    kept = NULL;
    close_heap();
}

/* Where all are kept it comes no more often than what there is doubles. */
static void large_objects_kept(void)
{
    static char *all[NLARGE];
    open_heap("2G");
    for (unsigned i = 0; i < NLARGE; i++) {
        all[i] = goalloc_malloc(heap, LARGE_BYTES);
        CU_ASSERT_PTR_NOT_NULL_FATAL(all[i]);
    }
    printf("%lu collections ", cycles());
    CU_ASSERT(cycles() <= 8);
    memset(all, 0, sizeof(all));
    close_heap();
}

static void shown_as_managed(void)
{
    open_heap("256M");
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL(goalloc_memstats(heap, &stats), 0);
    CU_ASSERT(stats.num_gc == 0 && stats.last_gc == 0 && stats.pause_total_ns == 0);
    CU_ASSERT_EQUAL(stats.next_gc, UINT64_C(4) << 20);
    in_static_data = goalloc_malloc(heap, 16 << 20);
    (void)collect();
    (void)collect();
    CU_ASSERT_EQUAL(goalloc_memstats(heap, &stats), 0);
    CU_ASSERT(stats.num_gc >= 2 && stats.last_gc > 0);
    CU_ASSERT(stats.pause_ns > 0 && stats.pause_total_ns > stats.pause_ns);
    CU_ASSERT(stats.next_gc >= UINT64_C(32) << 20 && stats.next_gc < UINT64_C(34) << 20);
    in_static_data = NULL;

    struct ga_run run = {0};
    const char *const stats_arguments[] = {"--socket", server.socket, "stats", NULL};
    CU_ASSERT(ga_run(&run, GOALLOCCTL_PATH, stats_arguments));
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "collected"));
    const char *const arguments[] = {"--socket", server.socket, "clients", NULL};
    CU_ASSERT(ga_run(&run, GOALLOCCTL_PATH, arguments));
    CU_ASSERT_EQUAL(run.code, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "keep,managed"));
    ga_run_fini(&run);
    close_heap();
}

int main(void)
{
    const struct ga_test tests[] = {
        {"what is reached stays", what_is_reached_stays},
        {"another process keeps it", another_process_keeps_it},
        {"published while it is collected", published_while_it_is_collected},
        {"a process is stopped", a_process_is_stopped},
        {"a thread is deaf", a_thread_is_deaf},
        {"the signal is taken", the_signal_is_taken},
        {"bad options", bad_options},
        {"killed in a cycle", killed_in_a_cycle},
        {"the server is killed", the_server_is_killed},
        {"the server is stopped", the_server_is_stopped},
        {"within the limit", within_the_limit},
        {"large objects, replaced", large_objects_replaced},
        {"large objects, kept", large_objects_kept},
        {"shown as managed", shown_as_managed},
    };
    return ga_test_main("integration.managed", tests, COUNT(tests));
}

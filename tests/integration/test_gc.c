/* Collections: what a killed process of policy unreachable has left goes, but for what is reached;
 * by itself, when a program asks, and when goallocctl does. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/json_check.h"
#include "integration/run.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define GARBAGE  5000
#define LIST     300

struct node {
    struct node *next;
    char text[40];
};

static struct ga_test_server server;
static struct goalloc_heap *heap;
static struct ga_run run;

static struct goalloc_heap *attach(uint32_t policy)
{
    struct goalloc_heap *ret = NULL;
    struct goalloc_options options = {
        .size = sizeof(options), .policy = policy, .timeout_ms = 60000};
    if (goalloc_attach(server.socket, &options, &ret) < 0)
        fprintf(stderr, "%s\n", goalloc_attach_error());
    return ret;
}

static void open_heap(void)
{
    CU_ASSERT_FATAL(ga_test_server_start("256M", &server));
    heap = attach(GOALLOC_POLICY_KEEP);
    CU_ASSERT_PTR_NOT_NULL_FATAL(heap);
}

static void close_heap(void)
{
    goalloc_detach(heap);
    CU_ASSERT(ga_test_server_stop(&server));
}

static struct node *make_list(struct goalloc_heap *in, int length)
{
    struct node *list = NULL;
    for (int i = 0; i < length; i++) {
        struct node *node = goalloc_malloc(in, sizeof(*node));
        if (!node)
            abort();
        node->next = list;
        snprintf(node->text, sizeof(node->text), "node %d", i);
        list = node;
    }
    return list;
}

static bool list_is_whole(const struct node *list, int length)
{
    char text[40];
    for (int i = length - 1; i >= 0; i--, list = list->next) {
        snprintf(text, sizeof(text), "node %d", i);
        if (!list || strcmp(list->text, text) != 0)
            return false;
    }
    return list == NULL;
}

/* What another process does that is killed then: a list by a root, one by an object of ours, one
 * that we hold, and garbage of all kinds, rings among it. */
static void leave(struct node *ours, uint32_t policy)
{
    struct goalloc_heap *own = attach(policy);
    if (!own || goalloc_publish(own, "list", make_list(own, LIST)) < 0)
        _exit(1);
    ours->next = make_list(own, LIST);
    if (goalloc_publish(own, "held", make_list(own, LIST)) < 0)
        _exit(1);
    struct node *ring = make_list(own, GARBAGE);
    struct node *last = ring;
    while (last->next)
        last = last->next;
    last->next = ring;
    if (!goalloc_alloc(own, 10, 0, GOALLOC_NOSCAN) || !goalloc_malloc(own, 3000000) ||
        !goalloc_malloc(own, 100000) || !goalloc_alloc(own, 500, 0, GOALLOC_NOSCAN))
        _exit(1);
    kill(getpid(), SIGKILL);
}

/* This program, begun anew: a child of fork has the heap already, under our policy. */
static void leave_in_a_child(struct node *ours, uint32_t policy)
{
    char object[32];
    char how[16];
    snprintf(object, sizeof(object), "%p", (void *)ours);
    snprintf(how, sizeof(how), "%u", policy);
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "gc", server.socket, object, how, (char *)NULL);
        _exit(1);
    }
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static uint64_t objects(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL(goalloc_memstats(heap, &stats), 0);
    return stats.heap_objects;
}

static bool come_to(uint64_t n)
{
    for (int i = 0; i < 3000 && objects() != n; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    return objects() == n;
}

static struct goalloc_gc_result collect(void)
{
    struct goalloc_gc_result result = {.size = sizeof(result)};
    CU_ASSERT_EQUAL(goalloc_gc(heap, &result), 0);
    CU_ASSERT_STRING_EQUAL(result.failure, "");
    return result;
}

static struct node *root(const char *name)
{
    void *p = NULL;
    CU_ASSERT_EQUAL_FATAL(goalloc_lookup(heap, name, &p), 0);
    return p;
}

static void no_fault(void)
{
    const char *const words[] = {"--socket", server.socket, "check", NULL};
    CU_ASSERT(ga_run(&run, GOALLOCCTL_PATH, words));
    CU_ASSERT_EQUAL(run.code, 0);
    if (run.code != 0)
        printf("%s%s\n", run.out, run.err);
}

/* ---- the tests ---- */

/* Nobody asks, and the garbage goes; then what loses its last pointer, when we ask. */
static void of_who_is_gone(void)
{
    open_heap();
    struct node *ours = goalloc_calloc(heap, 1, sizeof(*ours));
    leave_in_a_child(ours, GOALLOC_POLICY_UNREACHABLE);
    CU_ASSERT(come_to(3 * LIST + 1));
    struct node *held = root("held");
    CU_ASSERT_EQUAL(goalloc_hold(heap, held), 0);
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, "held"), 0);
    struct goalloc_gc_result result = collect();
    CU_ASSERT_EQUAL(result.found, 3 * LIST);
    CU_ASSERT_EQUAL(result.garbage, 0);
    CU_ASSERT(list_is_whole(root("list"), LIST));
    CU_ASSERT(list_is_whole(ours->next, LIST));
    CU_ASSERT(list_is_whole(held, LIST));
    no_fault();

    CU_ASSERT_EQUAL(goalloc_unpublish(heap, "list"), 0);
    result = collect();
    CU_ASSERT_EQUAL(result.freed, LIST);
    CU_ASSERT_EQUAL(result.freed_bytes, LIST * sizeof(struct node));
    ours->next = ours->next->next;
    CU_ASSERT_EQUAL(collect().freed, 1);
    CU_ASSERT_EQUAL(goalloc_release(heap, held), 0);
    CU_ASSERT_EQUAL(collect().freed, LIST);
    CU_ASSERT(list_is_whole(ours->next, LIST - 1));
    CU_ASSERT_EQUAL(objects(), LIST);
    goalloc_free(heap, ours);
    CU_ASSERT_EQUAL(collect().freed, LIST - 1);
    CU_ASSERT_EQUAL(objects(), 0);
    no_fault();
    close_heap();
}

/* The next server knows what the last has been told. */
static void of_who_is_gone_since(void)
{
    open_heap();
    struct node *ours = goalloc_calloc(heap, 1, sizeof(*ours));
    ga_test_server_kill(&server);
    CU_ASSERT_FATAL(ga_test_server_start_again(&server, "256M"));
    for (int i = 0; i < 5; i++) {
        leave_in_a_child(ours, GOALLOC_POLICY_UNREACHABLE);
        /* Killed before, in or after the recovery and the collection. */
        nanosleep(&(struct timespec){.tv_nsec = 60000000L * i}, NULL);
        ga_test_server_kill(&server);
        CU_ASSERT_FATAL(ga_test_server_start_again(&server, "256M"));
        CU_ASSERT(come_to(3 * LIST + 1));
        CU_ASSERT_EQUAL(goalloc_unpublish(heap, "list"), 0);
        CU_ASSERT_EQUAL(goalloc_unpublish(heap, "held"), 0);
        CU_ASSERT(list_is_whole(ours->next, LIST));
        ours->next = NULL;
        /* Some of it a collection may have freed that the server has begun by itself. */
        (void)collect();
        CU_ASSERT_EQUAL(objects(), 1);
        no_fault();
    }
    close_heap();
}

/* Of who keeps: nothing is freed, and all that nothing reaches is reported. */
static void reported(void)
{
    open_heap();
    struct node *ours = goalloc_calloc(heap, 1, sizeof(*ours));
    /* More than the heap has room to note, but some it has. */
    setenv("GOALLOC_PROFILE_RATE", "1", 1);
    leave_in_a_child(ours, GOALLOC_POLICY_KEEP);
    unsetenv("GOALLOC_PROFILE_RATE");
    CU_ASSERT_EQUAL(collect().found, 0);
    const char *const words[] = {"--json", "--socket", server.socket, "gc", "--report", NULL};
    CU_ASSERT_FATAL(ga_run(&run, GOALLOCCTL_PATH, words));
    CU_ASSERT_EQUAL(run.code, 0);
    CU_ASSERT_STRING_EQUAL(run.err, "");
    CU_ASSERT(ga_json_is_valid(run.out));
    CU_ASSERT_EQUAL(ga_json_number_of(run.out, "unreachable_objects"), GARBAGE + 4);
    CU_ASSERT_EQUAL(ga_json_number_of(run.out, "looked_at_objects"), 3 * LIST + GARBAGE + 4);
    CU_ASSERT_EQUAL(ga_json_number_of(run.out, "freed_objects"), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\"abandoned\": null"));
    char expected[200];
    snprintf(expected, sizeof(expected),
             "{\"size_class\": 5, \"size_bytes\": 48, \"objects\": %d, \"bytes\": %d}", GARBAGE,
             GARBAGE * 48);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, expected));
    const char *places = strstr(run.out, "\"places\": [");
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\"program\": \"integration_gc\""));
    const char *lost = !places ? NULL : strstr(places, "\"lost_objects\": ");
    unsigned long long n = lost ? strtoull(lost + strlen("\"lost_objects\": "), NULL, 10) : 0;
    CU_ASSERT(n > 0 && n <= GARBAGE + 4);

    CU_ASSERT_FATAL(ga_run(&run, GOALLOCCTL_PATH, &words[1]));
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "where it was allocated"));
    CU_ASSERT_EQUAL(run.code, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "unreachable  5004 objects"));
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "gone"));
    CU_ASSERT_EQUAL(objects(), 3 * LIST + GARBAGE + 5);
    close_heap();
}

/* goallocctl frees, too, and says so. */
static void by_goallocctl(void)
{
    open_heap();
    struct node *ours = goalloc_calloc(heap, 1, sizeof(*ours));
    leave_in_a_child(ours, GOALLOC_POLICY_UNREACHABLE);
    CU_ASSERT(come_to(3 * LIST + 1));
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, "list"), 0);
    void *own = goalloc_malloc(heap, 100);
    CU_ASSERT_EQUAL(goalloc_publish(heap, "own", own), 0); /* points to nothing that is collected */
    const char *const words[] = {"--socket", server.socket, "gc", NULL};
    CU_ASSERT_FATAL(ga_run(&run, GOALLOCCTL_PATH, words));
    CU_ASSERT_EQUAL(run.code, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "freed        300 objects"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(run.out, "roots        1; ignored, since they point elsewhere: 1"));
    CU_ASSERT_EQUAL(objects(), 2 * LIST + 2);
    const char *const offline[] = {"--shm", server.heap_name, "gc", NULL};
    CU_ASSERT_FATAL(ga_run(&run, GOALLOCCTL_PATH, offline));
    CU_ASSERT_EQUAL(run.code, 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.err, "only a server can do 'gc'"));
    close_heap();
}

static void *ask_often(void *data)
{
    (void)data;
    for (int i = 0; i < 20; i++) {
        struct goalloc_gc_result result = {.size = sizeof(result)};
        if (goalloc_gc(heap, i % 2 ? &result : NULL) < 0)
            return (void *)1;
        for (int k = 0; k < 1000; k++)
            goalloc_free(heap, goalloc_malloc(heap, 48));
    }
    return NULL;
}

/* Many ask at once, and everybody is answered by a cycle that began after the question. */
static void many_ask(void)
{
    open_heap();
    struct node *ours = goalloc_calloc(heap, 1, sizeof(*ours));
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT(threads); i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, ask_often, NULL), 0);
    for (int i = 0; i < 10; i++) {
        leave_in_a_child(ours, GOALLOC_POLICY_UNREACHABLE);
        struct node *list = root("list");
        CU_ASSERT_EQUAL(goalloc_unpublish(heap, "list"), 0);
        CU_ASSERT_EQUAL(goalloc_unpublish(heap, "held"), 0);
        CU_ASSERT_PTR_NOT_NULL(list);
        CU_ASSERT(list_is_whole(ours->next, LIST));
        ours->next = NULL;
    }
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *failed = (void *)1;
        CU_ASSERT_EQUAL(pthread_join(threads[i], &failed), 0);
        CU_ASSERT_PTR_NULL(failed);
    }
    goalloc_free(heap, ours);
    CU_ASSERT(come_to(0) || collect().freed > 0);
    CU_ASSERT_EQUAL(collect().found, 0);
    struct goalloc_gc_result wrong = {.size = 3};
    CU_ASSERT_EQUAL(goalloc_gc(heap, &wrong), -EINVAL);
    no_fault();
    close_heap();
}

int main(int argc, char **argv)
{
    if (argc == 4) {
        snprintf(server.socket, sizeof(server.socket), "%s", argv[1]);
        leave((struct node *)strtoull(argv[2], NULL, 16), /* NOLINT: the same in every process */
              (uint32_t)strtoul(argv[3], NULL, 10));
        return 1;
    }
    const struct ga_test tests[] = {
        {"of who is gone", of_who_is_gone},
        {"of who is gone since", of_who_is_gone_since},
        {"reported", reported},
        {"by goallocctl", by_goallocctl},
        {"many ask", many_ask},
    };
    int code = ga_test_main("integration.gc", tests, COUNT(tests));
    ga_run_fini(&run);
    return code;
}

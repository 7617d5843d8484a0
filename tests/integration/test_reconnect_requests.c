/* The server is killed at a request of each kind: once before it has it, once after it has carried
 * it out and answered, with the answer lost. Whoever asked notices nothing: what it asked for was
 * done once. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/relay.h"
#include "support/cunit_main.h"

#define LIMIT    "256M"
#define COUNT(a) (sizeof(a) / sizeof(*(a)))

enum { LARGE = 2 << 20, LARGER = 8 << 20 };

static struct ga_test_server server;
static struct ga_relay relay;
static struct goalloc_heap *heap;
static void *x;
static void *y;
static _Atomic int nreports;

static void count_report(enum goalloc_report_kind kind, const char *message, void *data)
{
    (void)kind;
    (void)data;
    printf("reported: %s\n", message);
    nreports++;
}

static void *object(size_t bytes)
{
    void *p = goalloc_malloc(heap, bytes);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    memset(p, 0x5a, bytes);
    return p;
}

static void get_two(void)
{
    x = object(100);
    y = object(100);
}

static void put_two(void)
{
    goalloc_free(heap, x);
    goalloc_free(heap, y);
}

static uint64_t objects_now(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL_FATAL(goalloc_memstats(heap, &stats), 0);
    CU_ASSERT_EQUAL(stats.mallocs - stats.frees, stats.heap_objects);
    return stats.heap_objects;
}

/* ---- roots ---- */

static void *look_up(void)
{
    void *found = NULL;
    CU_ASSERT_EQUAL(goalloc_lookup(heap, "root", &found), 0);
    return found;
}

static void publish_y(void)
{
    get_two();
    CU_ASSERT_EQUAL(goalloc_publish(heap, "root", y), 0);
}

static void take_back(void)
{
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, "root"), 0);
    put_two();
}

static void publish(void)
{
    CU_ASSERT_EQUAL(goalloc_publish(heap, "root", x), 0);
    CU_ASSERT_PTR_EQUAL(look_up(), x);
}

static void replace(void)
{
    void *old = NULL;
    CU_ASSERT_EQUAL(goalloc_replace(heap, "root", x, &old), 0);
    CU_ASSERT_PTR_EQUAL(old, y);
    CU_ASSERT_PTR_EQUAL(look_up(), x);
}

static void unpublish(void)
{
    void *found = NULL;
    CU_ASSERT_EQUAL(goalloc_unpublish(heap, "root"), 0);
    CU_ASSERT_EQUAL(goalloc_lookup(heap, "root", &found), -ENOENT);
}

static void lookup(void)
{
    CU_ASSERT_PTR_EQUAL(look_up(), y);
}

static void wait_for_root(void)
{
    void *found = NULL;
    CU_ASSERT_EQUAL(goalloc_wait(heap, "root", GOALLOC_FOR_EVER, &found), 0);
    CU_ASSERT_PTR_EQUAL(found, y);
}

/* ---- holds ---- */

/* The object is held so often by this process. */
static void check_holds(int n)
{
    for (int i = 0; i < n; i++)
        CU_ASSERT_EQUAL(goalloc_release(heap, x), 0);
    CU_ASSERT_EQUAL(goalloc_release(heap, x), -EINVAL);
}

static void hold_twice(void)
{
    get_two();
    CU_ASSERT_EQUAL(goalloc_hold(heap, x), 0);
    CU_ASSERT_EQUAL(goalloc_hold(heap, x), 0);
}

static void hold(void)
{
    CU_ASSERT_EQUAL(goalloc_hold(heap, x), 0);
    check_holds(1);
}

static void hold_once_more(void)
{
    CU_ASSERT_EQUAL(goalloc_hold(heap, x), 0);
    check_holds(3);
}

static void release(void)
{
    CU_ASSERT_EQUAL(goalloc_release(heap, x), 0);
    check_holds(1);
}

static void free_held(void)
{
    goalloc_free(heap, x);
    CU_ASSERT_EQUAL(nreports, 0);
    CU_ASSERT_EQUAL(goalloc_usable_size(heap, x) >= 100, 1);
    goalloc_free(heap, x); /* a second free is one too many */
    CU_ASSERT_EQUAL(nreports, 1);
    nreports = 0;
    check_holds(2);
}

static void put_other(void)
{
    goalloc_free(heap, y);
}

/* ---- memory ---- */

static void none(void)
{
}

static void lease(void)
{
    static size_t bytes = 1000;
    void *p = object(bytes += 1000); /* of a class that this thread has nothing of */
    goalloc_free(heap, p);
}

static void *use_new_thread(void *unused)
{
    goalloc_free(heap, object(100));
    return unused;
}

/* The first of these threads are given what the others before them have left. */
static void new_mcache(void)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, use_new_thread, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void large(void)
{
    x = object(LARGE);
    CU_ASSERT_EQUAL(objects_now(), 1);
    goalloc_free(heap, x);
}

static void get_large(void)
{
    x = object(LARGE);
}

static void resize(void)
{
    unsigned char *p = goalloc_realloc(heap, x, LARGER);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_EQUAL(p[LARGE - 1], 0x5a);
    memset(p, 1, LARGER);
    x = p;
    CU_ASSERT_EQUAL(objects_now(), 1);
}

static void put_large(void)
{
    goalloc_free(heap, x);
}

static void count(void)
{
    CU_ASSERT_EQUAL(objects_now(), 0);
}

struct request {
    const char *name;
    Goalloc__V1__Envelope__BodyCase body_case;
    void (*before)(void);
    void (*ask)(void);
    void (*after)(void);
};

static const struct request requests[] = {
    {"publish", GOALLOC__V1__ENVELOPE__BODY_PUBLISH, get_two, publish, take_back},
    {"replace", GOALLOC__V1__ENVELOPE__BODY_REPLACE, publish_y, replace, take_back},
    {"unpublish", GOALLOC__V1__ENVELOPE__BODY_UNPUBLISH, publish_y, unpublish, put_two},
    {"lookup", GOALLOC__V1__ENVELOPE__BODY_LOOKUP, publish_y, lookup, take_back},
    {"wait", GOALLOC__V1__ENVELOPE__BODY_WAIT, publish_y, wait_for_root, take_back},
    {"hold", GOALLOC__V1__ENVELOPE__BODY_HOLD, get_two, hold, put_two},
    {"hold once more", GOALLOC__V1__ENVELOPE__BODY_HOLD, hold_twice, hold_once_more, put_two},
    {"release", GOALLOC__V1__ENVELOPE__BODY_RELEASE, hold_twice, release, put_two},
    {"free what is held", GOALLOC__V1__ENVELOPE__BODY_PUT_OFF, hold_twice, free_held, put_other},
    {"lease", GOALLOC__V1__ENVELOPE__BODY_LEASE, none, lease, none},
    {"a new mcache", GOALLOC__V1__ENVELOPE__BODY_NEW_MCACHE, none, new_mcache, none},
    {"a large object", GOALLOC__V1__ENVELOPE__BODY_LARGE_ALLOC, none, large, none},
    {"resize", GOALLOC__V1__ENVELOPE__BODY_LARGE_RESIZE, get_large, resize, put_large},
    {"statistics", GOALLOC__V1__ENVELOPE__BODY_GET_STATS, none, count, none},
};

static void kill_at(const struct request *request, enum ga_relay_moment moment)
{
    request->before();
    ga_relay_kill_at(&relay, request->body_case, moment);
    request->ask();
    CU_ASSERT(ga_relay_has_killed(&relay));
    if (!ga_relay_has_killed(&relay))
        printf("no request of this kind: %s\n", request->name);
    request->after();
    CU_ASSERT_EQUAL(objects_now(), 0);
    CU_ASSERT_EQUAL(nreports, 0);
}

static void begin(void)
{
    struct goalloc_options options = {
        .size = sizeof(options), .timeout_ms = 60000, .report = count_report};
    CU_ASSERT_FATAL(ga_test_server_start(LIMIT, &server));
    CU_ASSERT_FATAL(ga_relay_start(&relay, &server, LIMIT));
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(relay.path, &options, &heap), 0);
}

/* The folder is removed with the server, and so must be empty. */
static void end(void)
{
    goalloc_detach(heap);
    unlink(relay.path);
    CU_ASSERT(ga_test_server_stop(&server));
    ga_relay_stop(&relay);
}

static void every_kind(enum ga_relay_moment moment)
{
    begin();
    for (size_t i = 0; i < COUNT(requests); i++) {
        unsigned before = CU_get_number_of_failures();
        kill_at(&requests[i], moment);
        if (CU_get_number_of_failures() != before)
            printf("at: %s\n", requests[i].name);
    }
    end();
}

static void before(void)
{
    every_kind(GA_RELAY_BEFORE);
}

static void after(void)
{
    every_kind(GA_RELAY_AFTER);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"killed before it has the request", before},
        {"killed after it has answered", after},
    };
    signal(SIGPIPE, SIG_IGN);
    return ga_test_main("integration.reconnect_requests", tests, COUNT(tests));
}

/* What a client does while its server is away, and when another comes: each step by itself. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pthread.h>

#include "goalloc/goalloc.h"
#include "integration/wire.h"
#include "shm/mapping.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

#define LIMIT "64M"

enum { SHORT_MS = 300, LARGE = 1 << 20, OBJECTS = 3000 };

static struct ga_test_server server;
static struct goalloc_heap *heap;
static _Atomic int nlost;
static char reported[512]; /* by the library's thread, before nlost */

static void keep_report(enum goalloc_report_kind kind, const char *message, void *data)
{
    (void)data;
    snprintf(reported, sizeof(reported), "%s", message);
    nlost += kind == GOALLOC_REPORT_LOST;
}

static void begin(uint32_t timeout_ms)
{
    struct goalloc_options options = {
        .size = sizeof(options), .timeout_ms = timeout_ms, .report = keep_report};
    nlost = 0;
    CU_ASSERT_FATAL(ga_test_server_start(LIMIT, &server));
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(server.socket, &options, &heap), 0);
}

static void end(void)
{
    goalloc_detach(heap);
    CU_ASSERT(ga_test_server_stop(&server));
}

/* Without a server a call takes as long as it may, and fails; with the next one it works. */
static void time_limit(void)
{
    void *found;
    begin(SHORT_MS);
    ga_test_server_kill(&server);
    errno = 0;
    CU_ASSERT_PTR_NULL(goalloc_malloc(heap, LARGE));
    CU_ASSERT_EQUAL(errno, ENOMEM);
    CU_ASSERT_EQUAL(goalloc_lookup(heap, "x", &found), -ETIMEDOUT);
    CU_ASSERT_EQUAL(goalloc_wait(heap, "x", GOALLOC_FOR_EVER, &found), -ETIMEDOUT);
    CU_ASSERT_EQUAL(nlost, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(reported, "the next server is waited for"));
    CU_ASSERT_FATAL(ga_test_server_start_again(&server, LIMIT));
    void *p = NULL;
    for (int i = 0; i < 50 && !p; i++) /* a busy machine may need more than SHORT_MS */
        p = goalloc_malloc(heap, LARGE);
    CU_ASSERT_PTR_NOT_NULL(p);
    goalloc_free(heap, p);
    end();
}

static void *look_up_root(void *argument)
{
    int r = goalloc_lookup(heap, "root", argument);
    return r == 0 ? argument : NULL;
}

static void *wait_for_root(void *argument)
{
    int r = goalloc_wait(heap, "late", GOALLOC_FOR_EVER, argument);
    return r == 0 ? argument : NULL;
}

/* Holds, roots, waits and spans go on; a call that is made meanwhile waits. */
static void all_goes_on(void)
{
    static void *objects[OBJECTS];
    void *held;
    void *found = NULL;
    void *waited = NULL;
    pthread_t looker;
    pthread_t waiter;
    begin(60000);
    for (int i = 0; i < OBJECTS; i++)
        objects[i] = goalloc_malloc(heap, 1000);
    held = goalloc_malloc(heap, 100);
    CU_ASSERT_EQUAL(goalloc_publish(heap, "root", objects[0]), 0);
    CU_ASSERT_EQUAL(goalloc_hold(heap, held), 0);
    goalloc_free(heap, held);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&waiter, NULL, wait_for_root, &waited), 0);
    usleep(20000);
    ga_test_server_kill(&server);
    for (int i = 1; i < OBJECTS; i++)
        goalloc_free(heap, objects[i]); /* spans go back, and nobody hears of it */
    CU_ASSERT_EQUAL_FATAL(pthread_create(&looker, NULL, look_up_root, &found), 0);
    usleep(50000);
    CU_ASSERT_FATAL(ga_test_server_start_again(&server, LIMIT));
    pthread_join(looker, NULL);
    CU_ASSERT_PTR_EQUAL(found, objects[0]);
    CU_ASSERT_EQUAL(goalloc_release(heap, held), 0);
    CU_ASSERT_EQUAL(goalloc_release(heap, held), -EINVAL);
    CU_ASSERT_EQUAL(goalloc_publish(heap, "late", objects[0]), 0);
    void *result = NULL;
    pthread_join(waiter, &result);
    CU_ASSERT_PTR_NOT_NULL(result);
    CU_ASSERT_PTR_EQUAL(waited, objects[0]);
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL(goalloc_memstats(heap, &stats), 0);
    CU_ASSERT_EQUAL(stats.heap_objects, 1);
    CU_ASSERT_EQUAL(nlost, 0);
    goalloc_free(heap, objects[0]);
    end();
}

/* The name is another heap's now: told once, and nothing of it is touched. */
static void another_heap(void)
{
    void *found;
    char name[GA_OBJECT_NAME_BYTES];
    begin(60000);
    void *p = goalloc_malloc(heap, 100);
    ga_test_server_kill(&server);
    for (int object = 0; object < GA_OBJECT_COUNT; object++) {
        ga_object_name(server.heap_name, (enum ga_object)object, name);
        shm_unlink(name);
    }
    CU_ASSERT_FATAL(ga_test_server_start_again(&server, LIMIT));
    CU_ASSERT_EQUAL(goalloc_lookup(heap, "x", &found), -ENOTCONN);
    errno = 0;
    CU_ASSERT_PTR_NULL(goalloc_malloc(heap, LARGE));
    CU_ASSERT_EQUAL(errno, ENOMEM);
    CU_ASSERT_EQUAL(nlost, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(reported, "is another than the one that was attached"));
    void *q = goalloc_malloc(heap, 100); /* of what it holds */
    CU_ASSERT_PTR_NOT_NULL(q);
    goalloc_free(heap, p);
    end();
}

static void live_as_child(void)
{
    alarm(60);
    void *p = goalloc_malloc(heap, 100);
    goalloc_free(heap, p);
    goalloc_detach(heap);
    _exit(p ? 0 : 1);
}

/* A child that is forked without a server attaches to the next; who detaches does not wait. */
static void fork_and_detach(void)
{
#ifdef __SANITIZE_THREAD__
    puts("left out: ThreadSanitizer gives up on a child that starts threads");
    return;
#endif
    begin(60000);
    goalloc_free(heap, goalloc_malloc(heap, 100));
    ga_test_server_kill(&server);
    pid_t child = fork();
    if (child == 0)
        live_as_child();
    usleep(50000);
    CU_ASSERT_FATAL(ga_test_server_start_again(&server, LIMIT));
    int status = -1;
    waitpid(child, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
    ga_test_server_kill(&server);
    alarm(30); /* half of what a call may take */
    goalloc_detach(heap);
    alarm(0);
    CU_ASSERT_FATAL(ga_test_server_start_again(&server, LIMIT));
    CU_ASSERT(ga_test_server_stop(&server));
}

static const Goalloc__V1__Envelope *reattach(struct ga_wire *wire, uint32_t client,
                                             uint64_t heap_id, uint64_t generation)
{
    Goalloc__V1__Reattach body = GOALLOC__V1__REATTACH__INIT;
    body.layout_version = GA_LAYOUT_VERSION;
    body.client = client;
    body.heap_id = heap_id;
    body.generation = generation;
    return ga_wire_ask(wire, GOALLOC__V1__ENVELOPE__BODY_REATTACH, &body);
}

/* Whether a claim to be client 1 is refused, made on a connection of its own. */
static bool claim_is_refused(uint64_t heap_id, uint64_t generation, bool *ret_closed)
{
    struct ga_wire wire;
    bool refused = ga_wire_open_greeted(&wire, server.socket) &&
                   ga_wire_is_failure(reattach(&wire, 1, heap_id, generation), -EPERM,
                                      "client 1 is another process");
    Goalloc__V1__Sync sync = GOALLOC__V1__SYNC__INIT;
    *ret_closed = !ga_wire_ask(&wire, GOALLOC__V1__ENVELOPE__BODY_SYNC, &sync);
    ga_wire_close(&wire);
    return refused;
}

/* A client that has another number goes on where it may have had this one of a server before; where
 * it says that this server has given it, it is in quarantine. Returns 0, or what was not so. */
static int claim_as_client(uint64_t heap_id)
{
    struct ga_wire wire;
    struct ga_wire second;
    Goalloc__V1__NewMcache new_mcache = GOALLOC__V1__NEW_MCACHE__INIT;
    Goalloc__V1__Attach attach = GOALLOC__V1__ATTACH__INIT;
    bool closed = true;
    if (!ga_wire_open_attached(&wire, server.socket))
        return 1;
    if (!claim_is_refused(heap_id, 0, &closed) || closed)
        return 2;
    const Goalloc__V1__Envelope *reply =
        ga_wire_ask(&wire, GOALLOC__V1__ENVELOPE__BODY_NEW_MCACHE, &new_mcache);
    if (!reply || reply->body_case != GOALLOC__V1__ENVELOPE__BODY_MCACHE)
        return 3;
    if (!claim_is_refused(heap_id, 1, &closed) || !closed)
        return 4;
    if (!ga_wire_is_ended(&wire))
        return 5;
    if (!ga_wire_open_greeted(&second, server.socket))
        return 6;
    char detail[80];
    snprintf(detail, sizeof(detail), "process %d is in quarantine for what it did before",
             (int)getpid());
    attach.layout_version = GA_LAYOUT_VERSION;
    reply = ga_wire_ask(&second, GOALLOC__V1__ENVELOPE__BODY_ATTACH, &attach);
    return ga_wire_is_failure(reply, -EPERM, detail) ? 0 : 7;
}

static int in_child(int (*body)(uint64_t heap_id), uint64_t heap_id)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0)
        _exit(body(heap_id));
    waitpid(child, &status, 0);
    return status;
}

/* Without being a client, there is nothing to lose but the connection. */
static int claim_as_nobody(uint64_t heap_id)
{
    bool closed = false;
    return claim_is_refused(heap_id, 1, &closed) && closed ? 0 : 1;
}

/* Nobody goes on as a client that is another process. */
static void strangers(void)
{
    struct ga_mapping meta;
    struct ga_wire wire;
    begin(60000);
    CU_ASSERT_FATAL(ga_mapping_open(server.heap_name, GA_OBJECT_META, true, -1, 0, 0, &meta) == 0);
    uint64_t heap_id = ((const struct ga_meta_header *)meta.address)->heap_id;
    ga_mapping_close(&meta);
    CU_ASSERT_EQUAL(in_child(claim_as_nobody, heap_id), 0);
    CU_ASSERT_EQUAL(in_child(claim_as_client, heap_id), 0);
    CU_ASSERT_FATAL(ga_wire_open_greeted(&wire, server.socket));
    CU_ASSERT(ga_wire_is_failure(reattach(&wire, 9, heap_id, 1), -ENOENT,
                                 "client 9 is not attached any more: what it held was taken back"));
    const Goalloc__V1__Envelope *answer = reattach(&wire, 1, heap_id + 1, 1);
    CU_ASSERT(answer && answer->body_case == GOALLOC__V1__ENVELOPE__BODY_FAILURE);
    CU_ASSERT_EQUAL(answer->failure->code, 25);
    /* The process itself may, and its old connection ends; the library takes the client back. */
    answer = reattach(&wire, 1, heap_id, 1);
    CU_ASSERT(answer && answer->body_case == GOALLOC__V1__ENVELOPE__BODY_ATTACHED);
    void *p = goalloc_malloc(heap, LARGE);
    CU_ASSERT_PTR_NOT_NULL(p);
    goalloc_free(heap, p);
    CU_ASSERT(ga_wire_is_ended(&wire));
    ga_wire_close(&wire);
    end();
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"the time limit", time_limit},       {"all goes on", all_goes_on},
        {"another heap", another_heap},       {"fork and detach without a server", fork_and_detach},
        {"who is not the client", strangers},
    };
    signal(SIGPIPE, SIG_IGN);
    return ga_test_main("integration.reconnect", tests, sizeof(tests) / sizeof(tests[0]));
}

/* Statistics leave nothing unswept, and nobody waits for that but who asks: others are served while
 * a backlog of frees is swept. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/wire.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

#define OBJECTS      40000u /* of 1 KiB: 5,000 spans of 8 KiB */
#define OBJECT_BYTES 1024u

static struct ga_test_server server;
static struct goalloc_heap *heap;
static void *objects[OBJECTS];

/* Spans that nobody leases, full of objects. */
static void make_objects(void)
{
    struct goalloc_heap *other = NULL;
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(server.socket, NULL, &other), 0);
    for (unsigned i = 0; i < OBJECTS; i++) {
        objects[i] = goalloc_malloc(other, OBJECT_BYTES);
        CU_ASSERT_PTR_NOT_NULL_FATAL(objects[i]);
    }
    goalloc_detach(other);
}

/* Freed while the server is stopped: it finds all of it when it goes on. */
static void make_backlog(void)
{
    int status = 0;
    make_objects();
    heap = NULL;
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(server.socket, NULL, &heap), 0);
    goalloc_free(heap, goalloc_malloc(heap, OBJECT_BYTES)); /* it has all that a thread needs */
    CU_ASSERT_EQUAL(kill(server.pid, SIGSTOP), 0);
    CU_ASSERT_EQUAL(waitpid(server.pid, &status, WUNTRACED), server.pid);
    for (unsigned i = 0; i < OBJECTS; i++)
        goalloc_free(heap, objects[i]);
}

static void send_request(struct ga_wire *wire, uint64_t id, Goalloc__V1__Envelope *message)
{
    message->id = id;
    CU_ASSERT(ga_wire_send(wire, message));
}

/* Three requests in one go: the last, which needs no sweep, is answered first. */
static void others_are_served(void)
{
    struct ga_wire wire;
    CU_ASSERT_FATAL(ga_test_server_start("256M", &server));
    CU_ASSERT_FATAL(ga_wire_open_greeted(&wire, server.socket));
    make_backlog();
    Goalloc__V1__GetStats get_stats = GOALLOC__V1__GET_STATS__INIT;
    Goalloc__V1__GetStatus get_status = GOALLOC__V1__GET_STATUS__INIT;
    Goalloc__V1__ListRoots list_roots = GOALLOC__V1__LIST_ROOTS__INIT;
    Goalloc__V1__Envelope stats = GOALLOC__V1__ENVELOPE__INIT;
    Goalloc__V1__Envelope status = GOALLOC__V1__ENVELOPE__INIT;
    Goalloc__V1__Envelope roots = GOALLOC__V1__ENVELOPE__INIT;
    stats.body_case = GOALLOC__V1__ENVELOPE__BODY_GET_STATS;
    stats.get_stats = &get_stats;
    status.body_case = GOALLOC__V1__ENVELOPE__BODY_GET_STATUS;
    status.get_status = &get_status;
    roots.body_case = GOALLOC__V1__ENVELOPE__BODY_LIST_ROOTS;
    roots.list_roots = &list_roots;
    send_request(&wire, 101, &stats);
    send_request(&wire, 102, &status);
    send_request(&wire, 103, &roots);
    CU_ASSERT_EQUAL(kill(server.pid, SIGCONT), 0);
    const Goalloc__V1__Envelope *reply = ga_wire_receive(&wire);
    CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
    CU_ASSERT_EQUAL(reply->id, 103);
    reply = ga_wire_receive(&wire);
    CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
    CU_ASSERT_EQUAL(reply->id, 101);
    /* What the thread of ours has batched or leases is all that is left. */
    CU_ASSERT_EQUAL_FATAL(reply->body_case, GOALLOC__V1__ENVELOPE__BODY_STATS);
    CU_ASSERT(reply->stats->spans_inuse <= 20);
    CU_ASSERT_EQUAL(reply->stats->heap_objects, 0);
    reply = ga_wire_receive(&wire);
    CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
    CU_ASSERT_EQUAL(reply->id, 102);
    CU_ASSERT(reply->status && reply->status->inuse_bytes <= 20 * 65536);
    goalloc_detach(heap);
    ga_wire_close(&wire);
    CU_ASSERT(ga_test_server_stop(&server));
}

/* Whoever asked and has gone is answered by nobody. */
static void asked_and_gone(void)
{
    struct ga_wire wire;
    CU_ASSERT_FATAL(ga_test_server_start("256M", &server));
    CU_ASSERT_FATAL(ga_wire_open_greeted(&wire, server.socket));
    make_backlog();
    Goalloc__V1__GetStats get_stats = GOALLOC__V1__GET_STATS__INIT;
    Goalloc__V1__Envelope stats = GOALLOC__V1__ENVELOPE__INIT;
    stats.body_case = GOALLOC__V1__ENVELOPE__BODY_GET_STATS;
    stats.get_stats = &get_stats;
    for (uint64_t id = 101; id < 110; id++)
        send_request(&wire, id, &stats);
    ga_wire_close(&wire);
    CU_ASSERT_EQUAL(kill(server.pid, SIGCONT), 0);
    struct goalloc_memstats now = {.size = sizeof(now)};
    CU_ASSERT_EQUAL(goalloc_memstats(heap, &now), 0);
    CU_ASSERT_EQUAL(now.heap_objects, 0);
    CU_ASSERT(now.heap_inuse <= 20 * 65536);
    goalloc_detach(heap);
    CU_ASSERT(ga_test_server_stop(&server));
}

int main(void)
{
    const struct ga_test tests[] = {
        {"others are served", others_are_served},
        {"asked and gone", asked_and_gone},
    };
    return ga_test_main("integration.backlog", tests, 2);
}

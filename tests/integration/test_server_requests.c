/* Each request that a client can make of the heap, done right and done wrong: what is refused is
 * refused with its errno and a sentence that says why. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "integration/daemon.h"
#include "integration/wire.h"
#include "shm/layout.h"
#include "support/cunit_main.h"

#define BODY(name) GOALLOC__V1__ENVELOPE__BODY_##name
#define LIMIT      (UINT64_C(64) << 20)

static struct ga_daemon server;
static const char *socket_path;
static const char *heap_name;
static struct ga_wire client; /* attached, for all tests */
static uint32_t mcache;

static const Goalloc__V1__Envelope *ask(Goalloc__V1__Envelope__BodyCase body_case, void *body)
{
    return ga_wire_ask(&client, body_case, body);
}

static const Goalloc__V1__Envelope *publish(const char *name, uint64_t offset)
{
    Goalloc__V1__Publish body = GOALLOC__V1__PUBLISH__INIT;
    body.name = (char *)name;
    body.offset = offset;
    return ask(BODY(PUBLISH), &body);
}

static const Goalloc__V1__Envelope *replace(const char *name, uint64_t offset)
{
    Goalloc__V1__Replace body = GOALLOC__V1__REPLACE__INIT;
    body.name = (char *)name;
    body.offset = offset;
    return ask(BODY(REPLACE), &body);
}

static const Goalloc__V1__Envelope *lookup(struct ga_wire *wire, const char *name)
{
    Goalloc__V1__Lookup body = GOALLOC__V1__LOOKUP__INIT;
    body.name = (char *)name;
    return ga_wire_ask(wire, BODY(LOOKUP), &body);
}

static const Goalloc__V1__Envelope *unpublish(const char *name)
{
    Goalloc__V1__Unpublish body = GOALLOC__V1__UNPUBLISH__INIT;
    body.name = (char *)name;
    return ask(BODY(UNPUBLISH), &body);
}

static const Goalloc__V1__Envelope *lease(uint32_t of_mcache, uint32_t span_class, uint32_t count)
{
    Goalloc__V1__Lease body = GOALLOC__V1__LEASE__INIT;
    body.mcache = of_mcache;
    body.span_class = span_class;
    body.count = count;
    return ask(BODY(LEASE), &body);
}

static const Goalloc__V1__Envelope *large(uint32_t of_mcache, uint64_t size_bytes)
{
    Goalloc__V1__LargeAlloc body = GOALLOC__V1__LARGE_ALLOC__INIT;
    body.mcache = of_mcache;
    body.size_bytes = size_bytes;
    return ask(BODY(LARGE_ALLOC), &body);
}

/* Whether reply refuses a large object because the heap has not that much left. */
static bool does_not_fit(const Goalloc__V1__Envelope *reply, uint64_t size_bytes)
{
    if (!reply || reply->body_case != BODY(FAILURE))
        return false;
    char said[256];
    snprintf(said, sizeof(said), "%s", reply->failure->detail);
    Goalloc__V1__GetStatus body = GOALLOC__V1__GET_STATUS__INIT;
    reply = ask(BODY(GET_STATUS), &body);
    if (!reply || reply->body_case != BODY(STATUS))
        return false;
    char expected[256];
    snprintf(expected, sizeof(expected),
             "%" PRIu64 " bytes do not fit: %" PRIu64 " are left of the limit of 64 MiB",
             size_bytes, LIMIT - GA_PAGE_SIZE - reply->status->inuse_bytes);
    CU_ASSERT_STRING_EQUAL(said, expected);
    return strcmp(said, expected) == 0;
}

static bool is(const Goalloc__V1__Envelope *reply, Goalloc__V1__Envelope__BodyCase body_case)
{
    return reply && reply->body_case == body_case;
}

/* ---- attach ---- */

static void test_before_attach(void)
{
    static const char detail[] = "the client is not attached to the heap";
    struct ga_wire wire;
    CU_ASSERT_FATAL(ga_wire_open_greeted(&wire, socket_path));
    Goalloc__V1__NewMcache new_mcache = GOALLOC__V1__NEW_MCACHE__INIT;
    Goalloc__V1__Lease lease_body = GOALLOC__V1__LEASE__INIT;
    Goalloc__V1__LargeAlloc large_body = GOALLOC__V1__LARGE_ALLOC__INIT;
    Goalloc__V1__Publish publish_body = GOALLOC__V1__PUBLISH__INIT;
    Goalloc__V1__Replace replace_body = GOALLOC__V1__REPLACE__INIT;
    Goalloc__V1__Unpublish unpublish_body = GOALLOC__V1__UNPUBLISH__INIT;
    Goalloc__V1__Detach detach = GOALLOC__V1__DETACH__INIT;
    const struct {
        Goalloc__V1__Envelope__BodyCase body_case;
        void *body;
    } refused[] = {{BODY(NEW_MCACHE), &new_mcache},   {BODY(LEASE), &lease_body},
                   {BODY(LARGE_ALLOC), &large_body},  {BODY(PUBLISH), &publish_body},
                   {BODY(REPLACE), &replace_body},    {BODY(DETACH), &detach},
                   {BODY(UNPUBLISH), &unpublish_body}};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        CU_ASSERT(ga_wire_is_failure(ga_wire_ask(&wire, refused[i].body_case, refused[i].body),
                                     -EPERM, detail));

    Goalloc__V1__GetStats get_stats = GOALLOC__V1__GET_STATS__INIT;
    CU_ASSERT(is(ga_wire_ask(&wire, BODY(GET_STATS), &get_stats), BODY(STATS)));
    Goalloc__V1__Sync sync = GOALLOC__V1__SYNC__INIT;
    CU_ASSERT(is(ga_wire_ask(&wire, BODY(SYNC), &sync), BODY(DONE)));
    CU_ASSERT(ga_wire_is_failure(lookup(&wire, "x"), -ENOENT, "no root is called 'x'"));
    ga_wire_close(&wire);
}

static void test_attach(void)
{
    struct ga_wire wire;
    CU_ASSERT_FATAL(ga_wire_open_greeted(&wire, socket_path));
    Goalloc__V1__Attach attach = GOALLOC__V1__ATTACH__INIT;
    attach.layout_version = 99;
    char why[80];
    snprintf(why, sizeof(why), "the heap has layout version %u, the client knows 99",
             GA_LAYOUT_VERSION);
    CU_ASSERT(ga_wire_is_failure(ga_wire_ask(&wire, BODY(ATTACH), &attach), -EPROTO, why));
    attach.layout_version = GA_LAYOUT_VERSION;
    const Goalloc__V1__Envelope *reply = ga_wire_ask(&wire, BODY(ATTACH), &attach);
    CU_ASSERT_FATAL(is(reply, BODY(ATTACHED)));
    CU_ASSERT_STRING_EQUAL(reply->attached->heap_name, heap_name);
    CU_ASSERT_EQUAL(reply->attached->reserve_bytes, LIMIT);
    CU_ASSERT_EQUAL(reply->attached->heap_base % GA_ARENA_SIZE, 0);
    CU_ASSERT_EQUAL(reply->attached->generation, 1);
    CU_ASSERT(ga_wire_is_failure(ga_wire_ask(&wire, BODY(ATTACH), &attach), -EBUSY,
                                 "this connection is attached already"));
    Goalloc__V1__Detach detach = GOALLOC__V1__DETACH__INIT;
    CU_ASSERT(is(ga_wire_ask(&wire, BODY(DETACH), &detach), BODY(DONE)));
    CU_ASSERT(is(ga_wire_ask(&wire, BODY(ATTACH), &attach), BODY(ATTACHED)));
    CU_ASSERT(is(ga_wire_ask(&wire, BODY(DETACH), &detach), BODY(DONE)));
    ga_wire_close(&wire);
}

/* ---- spans ---- */

static void test_lease(void)
{
    CU_ASSERT(ga_wire_is_failure(lease(mcache, 1, 1), -EINVAL, "span class 1 is not in 2..135"));
    CU_ASSERT(
        ga_wire_is_failure(lease(mcache, 136, 1), -EINVAL, "span class 136 is not in 2..135"));
    CU_ASSERT(
        ga_wire_is_failure(lease(mcache, 258, 1), -EINVAL, "span class 258 is not in 2..135"));
    CU_ASSERT(ga_wire_is_failure(lease(mcache, 4, 0), -EINVAL, "a count of 0 is not in 1..64"));
    CU_ASSERT(ga_wire_is_failure(lease(mcache, 4, 65), -EINVAL, "a count of 65 is not in 1..64"));

    const Goalloc__V1__Envelope *reply = lease(mcache, 4, 64);
    CU_ASSERT_FATAL(is(reply, BODY(LEASES)));
    CU_ASSERT_EQUAL(reply->leases->n_pages, 64);
    CU_ASSERT_NOT_EQUAL(reply->leases->pages[0], 0);
}

static void test_large(void)
{
    CU_ASSERT(ga_wire_is_failure(large(mcache, 32768), -EINVAL,
                                 "32768 bytes are no large object: those have more than 32768"));
    CU_ASSERT(ga_wire_is_failure(large(mcache, LIMIT + 1), -ENOMEM,
                                 "67108865 bytes are more than the heap's limit of 64 MiB"));
    CU_ASSERT(
        ga_wire_is_failure(large(mcache, UINT64_MAX), -ENOMEM,
                           "18446744073709551615 bytes are more than the heap's limit of 64 MiB"));

    const Goalloc__V1__Envelope *reply = large(mcache, 100000);
    CU_ASSERT_FATAL(is(reply, BODY(LARGE_SPAN)));
    CU_ASSERT_NOT_EQUAL(reply->large_span->page, 0);
    CU_ASSERT(reply->large_span->zeroed);
}

/* Until the limit; then another attached client is asked to give back, and a lease is refused,
 * too, once the last page is gone. */
static void test_limit(void)
{
    struct ga_wire other;
    CU_ASSERT_FATAL(ga_wire_open_attached(&other, socket_path));
    const Goalloc__V1__Envelope *reply;
    uint64_t size_bytes = 1 << 20;
    long n = 0;
    while (size_bytes > 32768) {
        reply = large(mcache, size_bytes);
        if (is(reply, BODY(LARGE_SPAN)))
            n++;
        else
            size_bytes = size_bytes > 65536 ? size_bytes / 2 : 32768;
    }
    CU_ASSERT(n > 50 && n < 64 + 8);
    CU_ASSERT(does_not_fit(large(mcache, 1 << 20), 1 << 20));
    do {
        reply = lease(mcache, 6, 64);
    } while (is(reply, BODY(LEASES)));
    CU_ASSERT(ga_wire_is_failure(reply, -ENOMEM, "the heap is at its limit of 64 MiB"));
    CU_ASSERT(is(ga_wire_receive(&other), BODY(RECLAIM)));
    ga_wire_close(&other);
}

/* As much as the limit is never to be had, since page 0 is never handed out. */
static void test_all_of_it(void)
{
    CU_ASSERT(does_not_fit(large(mcache, LIMIT), LIMIT));
}

/* ---- roots and lists ---- */

static void test_names(void)
{
    static char long_name[301];
    memset(long_name, 'n', sizeof(long_name) - 1);
    static const char too_long[] = "name is 300 bytes long, the limit is 255";
    const uint64_t offset = GA_PAGE_SIZE; /* of the first span */
    CU_ASSERT(ga_wire_is_failure(publish("", offset), -EINVAL, "name is empty"));
    CU_ASSERT(ga_wire_is_failure(publish(long_name, offset), -ENAMETOOLONG, too_long));
    CU_ASSERT(ga_wire_is_failure(lookup(&client, ""), -EINVAL, "name is empty"));
    CU_ASSERT(ga_wire_is_failure(lookup(&client, long_name), -ENAMETOOLONG, too_long));
    CU_ASSERT(ga_wire_is_failure(unpublish(""), -EINVAL, "name is empty"));
    CU_ASSERT(ga_wire_is_failure(unpublish(long_name), -ENAMETOOLONG, too_long));
    CU_ASSERT(ga_wire_is_failure(unpublish("x"), -ENOENT, "no root is called 'x'"));
    CU_ASSERT(ga_wire_is_failure(publish("x", UINT64_C(1) << 40), -EINVAL,
                                 "offset 0x10000000000 is in no object of the heap"));

    CU_ASSERT(is(publish("x", offset), BODY(DONE)));
    CU_ASSERT(ga_wire_is_failure(publish("x", offset), -EEXIST, "a root is already called 'x'"));
    const Goalloc__V1__Envelope *reply = lookup(&client, "x");
    CU_ASSERT_FATAL(is(reply, BODY(ROOT)));
    CU_ASSERT_STRING_EQUAL(reply->root->name, "x");
    CU_ASSERT_EQUAL(reply->root->offset, offset);
    CU_ASSERT(is(unpublish("x"), BODY(DONE)));
    CU_ASSERT(ga_wire_is_failure(lookup(&client, "x"), -ENOENT, "no root is called 'x'"));
    long_name[GA_ROOT_NAME_MAX] = '\0';
    CU_ASSERT(is(publish(long_name, offset), BODY(DONE)));
    CU_ASSERT(is(unpublish(long_name), BODY(DONE)));
}

static void test_replace(void)
{
    static char long_name[301];
    memset(long_name, 'n', sizeof(long_name) - 1);
    CU_ASSERT(ga_wire_is_failure(replace("", GA_PAGE_SIZE), -EINVAL, "name is empty"));
    CU_ASSERT(ga_wire_is_failure(replace(long_name, GA_PAGE_SIZE), -ENAMETOOLONG,
                                 "name is 300 bytes long, the limit is 255"));
    CU_ASSERT(
        ga_wire_is_failure(replace("r", 0), -EINVAL, "offset 0x0 is in no object of the heap"));
    const Goalloc__V1__Envelope *reply = replace("r", GA_PAGE_SIZE);
    CU_ASSERT_FATAL(is(reply, BODY(REPLACED)));
    CU_ASSERT_EQUAL(reply->replaced->old_offset, 0);
    reply = replace("r", GA_PAGE_SIZE + 8);
    CU_ASSERT_FATAL(is(reply, BODY(REPLACED)));
    CU_ASSERT_EQUAL(reply->replaced->old_offset, GA_PAGE_SIZE);
    reply = lookup(&client, "r");
    CU_ASSERT_FATAL(is(reply, BODY(ROOT)));
    CU_ASSERT_EQUAL(reply->root->offset, GA_PAGE_SIZE + 8);
    CU_ASSERT(is(unpublish("r"), BODY(DONE)));
}

/* Send a Wait and do not receive. */
static void begin_wait(struct ga_wire *wire, uint64_t id, const char *name)
{
    Goalloc__V1__Wait body = GOALLOC__V1__WAIT__INIT;
    body.name = (char *)name;
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    message.id = id;
    message.body_case = BODY(WAIT);
    message.wait = &body;
    CU_ASSERT_FATAL(ga_wire_send(wire, &message));
}

static void stop_waiting(struct ga_wire *wire, uint64_t id)
{
    Goalloc__V1__StopWaiting body = GOALLOC__V1__STOP_WAITING__INIT;
    body.id = id;
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    message.body_case = BODY(STOP_WAITING);
    message.stop_waiting = &body;
    CU_ASSERT_FATAL(ga_wire_send(wire, &message));
}

/* Returns once all that wire sent before has been handled; nothing was sent to it meanwhile. */
static bool is_silent(struct ga_wire *wire, uint64_t id)
{
    Goalloc__V1__Sync sync = GOALLOC__V1__SYNC__INIT;
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    message.id = id;
    message.body_case = BODY(SYNC);
    message.sync = &sync;
    const Goalloc__V1__Envelope *reply =
        ga_wire_send(wire, &message) ? ga_wire_receive(wire) : NULL;
    return is(reply, BODY(DONE)) && reply->id == id;
}

static bool is_answer(const Goalloc__V1__Envelope *reply, uint64_t id, const char *name,
                      uint64_t offset)
{
    return is(reply, BODY(ROOT)) && reply->id == id && strcmp(reply->root->name, name) == 0 &&
           reply->root->offset == offset;
}

/* One who looks (and need not be attached) waits with several requests; each is answered once, in
 * its turn, and not those that were given up. */
static void test_wait(void)
{
    struct ga_wire wire;
    CU_ASSERT_FATAL(ga_wire_open_greeted(&wire, socket_path));
    static const char *const names[] = {"w", "v", "w", "w", "ww"};
    for (uint64_t id = 101; id <= 105; id++)
        begin_wait(&wire, id, names[id - 101]);
    stop_waiting(&wire, 103);
    stop_waiting(&wire, 99);
    stop_waiting(&wire, 0);
    CU_ASSERT(is_silent(&wire, 200));
    stop_waiting(&client, 101); /* the number of somebody else's request */
    CU_ASSERT(is(publish("w", GA_PAGE_SIZE), BODY(DONE)));
    CU_ASSERT(is_answer(ga_wire_receive(&wire), 101, "w", GA_PAGE_SIZE));
    CU_ASSERT(is_answer(ga_wire_receive(&wire), 104, "w", GA_PAGE_SIZE));
    CU_ASSERT(is_silent(&wire, 201));
    CU_ASSERT(is(replace("w", GA_PAGE_SIZE + 8), BODY(REPLACED)));
    CU_ASSERT(is_silent(&wire, 202)); /* told once */
    CU_ASSERT(is(replace("v", GA_PAGE_SIZE + 16), BODY(REPLACED)));
    CU_ASSERT(is_answer(ga_wire_receive(&wire), 102, "v", GA_PAGE_SIZE + 16));
    begin_wait(&wire, 106, "w");
    CU_ASSERT(is_answer(ga_wire_receive(&wire), 106, "w", GA_PAGE_SIZE + 8));
    begin_wait(&wire, 107, "");
    CU_ASSERT(ga_wire_is_failure(ga_wire_receive(&wire), -EINVAL, "name is empty"));
    ga_wire_close(&wire); /* with 105 still waiting */
    /* By the second answer a turn of the loop has passed in which the hanging up was there to be
     * seen. */
    CU_ASSERT(is_silent(&client, ++client.last_id));
    CU_ASSERT(is_silent(&client, ++client.last_id));
    CU_ASSERT(is(publish("ww", GA_PAGE_SIZE), BODY(DONE)));
    CU_ASSERT(is(unpublish("w"), BODY(DONE)));
    CU_ASSERT(is(unpublish("v"), BODY(DONE)));
    CU_ASSERT(is(unpublish("ww"), BODY(DONE)));
}

static void test_waits_at_most(void)
{
    enum { MOST = 4096 };
    struct ga_wire wire;
    CU_ASSERT_FATAL(ga_wire_open_greeted(&wire, socket_path));
    for (uint64_t id = 1001; id <= 1001 + MOST; id++)
        begin_wait(&wire, id, "crowd");
    const Goalloc__V1__Envelope *reply = ga_wire_receive(&wire);
    CU_ASSERT(ga_wire_is_failure(reply, -EAGAIN,
                                 "the connection waits for 4096 roots already, the most it may"));
    CU_ASSERT_EQUAL(reply->id, 1001 + MOST);
    stop_waiting(&wire, 1001); /* makes room for one */
    begin_wait(&wire, 9000, "crowd");
    CU_ASSERT(is_silent(&wire, 9001));
    CU_ASSERT(is(publish("crowd", GA_PAGE_SIZE), BODY(DONE)));
    bool in_order = true;
    for (uint64_t id = 1002; id < 1001 + MOST; id++)
        in_order = in_order && is_answer(ga_wire_receive(&wire), id, "crowd", GA_PAGE_SIZE);
    CU_ASSERT(in_order);
    CU_ASSERT(is_answer(ga_wire_receive(&wire), 9000, "crowd", GA_PAGE_SIZE));
    CU_ASSERT(is(unpublish("crowd"), BODY(DONE)));
    ga_wire_close(&wire);
}

static void test_list_roots(void)
{
    enum { ROOTS = 300 };
    char name[GA_ROOT_NAME_MAX + 1];
    for (int i = 0; i < ROOTS; i++) {
        snprintf(name, sizeof(name), "%0*d", (int)GA_ROOT_NAME_MAX, i);
        CU_ASSERT_FATAL(is(publish(name, GA_PAGE_SIZE), BODY(DONE)));
    }
    Goalloc__V1__ListRoots body = GOALLOC__V1__LIST_ROOTS__INIT;
    int listed = 0;
    int parts = 0;
    do {
        const Goalloc__V1__Envelope *reply = ask(BODY(LIST_ROOTS), &body);
        CU_ASSERT_FATAL(is(reply, BODY(ROOT_LIST)));
        CU_ASSERT(client.last_bytes <= GA_LIST_MAX_BYTES);
        for (size_t i = 0; i < reply->root_list->n_roots; i++)
            CU_ASSERT_EQUAL(atoi(reply->root_list->roots[i]->name), listed++);
        body.cursor = reply->root_list->next;
        parts++;
    } while (body.cursor != 0);
    CU_ASSERT_EQUAL(listed, ROOTS);
    CU_ASSERT(parts > 1);
    body.cursor = UINT64_MAX;
    const Goalloc__V1__Envelope *reply = ask(BODY(LIST_ROOTS), &body);
    CU_ASSERT_FATAL(is(reply, BODY(ROOT_LIST)));
    CU_ASSERT_EQUAL(reply->root_list->n_roots, 0);
    for (int i = 0; i < ROOTS; i++) {
        snprintf(name, sizeof(name), "%0*d", (int)GA_ROOT_NAME_MAX, i);
        CU_ASSERT(is(unpublish(name), BODY(DONE)));
    }
}

static void test_list_spans(void)
{
    Goalloc__V1__GetStats get_stats = GOALLOC__V1__GET_STATS__INIT;
    const Goalloc__V1__Envelope *reply = ask(BODY(GET_STATS), &get_stats);
    CU_ASSERT_FATAL(is(reply, BODY(STATS)));
    uint64_t nspans = reply->stats->spans_inuse;
    CU_ASSERT_EQUAL(reply->stats->n_by_class, 68);

    Goalloc__V1__ListSpans body = GOALLOC__V1__LIST_SPANS__INIT;
    uint64_t listed = 0;
    uint64_t from = 1;
    do {
        reply = ask(BODY(LIST_SPANS), &body);
        CU_ASSERT_FATAL(is(reply, BODY(SPAN_LIST)));
        CU_ASSERT(client.last_bytes <= GA_LIST_MAX_BYTES);
        const Goalloc__V1__SpanList *list = reply->span_list;
        listed += list->n_spans;
        for (size_t i = 0; i < list->n_spans; i++) {
            CU_ASSERT(list->spans[i]->page >= from);
            from = (uint64_t)list->spans[i]->page + list->spans[i]->npages;
        }
        body.cursor = list->next;
    } while (body.cursor != 0);
    CU_ASSERT_EQUAL(listed, nspans);
    CU_ASSERT(listed > 64);
    body.cursor = UINT64_MAX;
    reply = ask(BODY(LIST_SPANS), &body);
    CU_ASSERT_FATAL(is(reply, BODY(SPAN_LIST)));
    CU_ASSERT_EQUAL(reply->span_list->n_spans, 0);
}

static void test_status(void)
{
    Goalloc__V1__GetStatus body = GOALLOC__V1__GET_STATUS__INIT;
    const Goalloc__V1__Envelope *reply = ask(BODY(GET_STATUS), &body);
    CU_ASSERT_FATAL(is(reply, BODY(STATUS)));
    CU_ASSERT_STRING_EQUAL(reply->status->heap_name, heap_name);
    CU_ASSERT_STRING_EQUAL(reply->status->socket, socket_path);
    CU_ASSERT_EQUAL(reply->status->server_pid, (uint32_t)server.pid);
    CU_ASSERT_EQUAL(reply->status->limit_bytes, LIMIT);
    CU_ASSERT_EQUAL(reply->status->layout_version, GA_LAYOUT_VERSION);
    CU_ASSERT(reply->status->clients >= 1);
    CU_ASSERT_EQUAL(reply->status->mcaches, 1);
}

static bool begin(void)
{
    const char *arguments[] = {"--name",    heap_name, "--socket", socket_path,
                               "--reserve", "64M",     NULL};
    if (!ga_daemon_start(&server, 0, arguments) || !ga_wire_open_attached(&client, socket_path))
        return false;
    Goalloc__V1__NewMcache body = GOALLOC__V1__NEW_MCACHE__INIT;
    const Goalloc__V1__Envelope *reply = ask(BODY(NEW_MCACHE), &body);
    if (!is(reply, BODY(MCACHE)))
        return false;
    mcache = reply->mcache->mcache;
    return mcache == 1;
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"what needs an attached client", test_before_attach},
        {"attach and detach", test_attach},
        {"lease", test_lease},
        {"large objects", test_large},
        {"names of roots", test_names},
        {"replace", test_replace},
        {"wait", test_wait},
        {"the most that wait", test_waits_at_most},
        {"a list of roots in parts", test_list_roots},
        {"the limit", test_limit},
        {"an object as large as the limit", test_all_of_it},
        {"a list of spans", test_list_spans},
        {"status", test_status},
    };
    signal(SIGPIPE, SIG_IGN);
    socket_path = strdup(ga_daemon_path("sock"));
    heap_name = strdup(ga_daemon_heap("requests"));
    int failed = 1;
    if (begin())
        failed = ga_test_main("server_requests", tests, sizeof(tests) / sizeof(tests[0]));
    ga_wire_close(&client);
    int code = ga_daemon_end(&server, SIGTERM);
    int left = ga_daemon_clean_up();
    if (failed || code != 0 || left != 0)
        fprintf(stderr, "goallocd ended with %d and left %d objects; it said:\n%s", code, left,
                server.text);
    free((void *)socket_path);
    free((void *)heap_name);
    return failed || code != 0 || left != 0;
}

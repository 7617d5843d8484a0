/* What a server makes of bytes: of clients that break the protocol, and of each request done wrong.
 * After each the server still answers somebody else. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/daemon.h"
#include "integration/wire.h"
#include "shm/layout.h"
#include "support/cunit_main.h"

static struct ga_daemon server;
static const char *socket_path;

static bool server_answers(void)
{
    struct ga_wire wire;
    bool good = ga_wire_open_greeted(&wire, socket_path);
    Goalloc__V1__GetStatus body = GOALLOC__V1__GET_STATUS__INIT;
    const Goalloc__V1__Envelope *reply =
        good ? ga_wire_ask(&wire, GOALLOC__V1__ENVELOPE__BODY_GET_STATUS, &body) : NULL;
    good = reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_STATUS;
    ga_wire_close(&wire);
    return good;
}

/* Wait until the server's log has needle; it is written while the server handles what we sent. */
static bool server_says(const char *needle)
{
    for (int i = 0; i < 2000; i++) {
        if (ga_daemon_said(&server, needle))
            return true;
        usleep(5000);
    }
    fprintf(stderr, "not in the log: %s\n", needle);
    return false;
}

/* Returns when the server certainly does nothing, until SIGCONT. */
static void stop_server(void)
{
    CU_ASSERT_FATAL(kill(server.pid, SIGSTOP) == 0);
    CU_ASSERT_FATAL(waitpid(server.pid, NULL, WUNTRACED) == server.pid);
}

/* Without memory for a connection the server refuses it, also several at once, and goes on when
 * there is memory again. A sanitizer ends a program that has none. */
static void test_no_memory(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    enum { GOOD_MAX = 200, REFUSED = 5 };
    static struct ga_wire good[GOOD_MAX];
    struct ga_wire refused[REFUSED];
    struct rlimit before;
    CU_ASSERT_FATAL(prlimit(server.pid, RLIMIT_DATA, NULL, &before) == 0);
    struct rlimit none = {.rlim_cur = 1, .rlim_max = before.rlim_max};
    CU_ASSERT_FATAL(prlimit(server.pid, RLIMIT_DATA, &none, NULL) == 0);
    int n = 0;
    while (n < GOOD_MAX && ga_wire_open_greeted(&good[n], socket_path))
        n++;
    CU_ASSERT_FATAL(n < GOOD_MAX);
    stop_server();
    for (int i = 0; i < REFUSED; i++)
        CU_ASSERT_FATAL(ga_wire_open(&refused[i], socket_path));
    kill(server.pid, SIGCONT);
    bool ended = true;
    for (int i = 0; i < REFUSED; i++) {
        ended = ended && ga_wire_is_ended(&refused[i]);
        ga_wire_close(&refused[i]);
    }
    CU_ASSERT(ended);
    CU_ASSERT(server_says("a connection was not accepted: not enough memory"));
    CU_ASSERT(prlimit(server.pid, RLIMIT_DATA, &before, NULL) == 0);
    for (int i = 0; i <= n; i++)
        ga_wire_close(&good[i]);
    CU_ASSERT(server_answers());
#endif
}

static void test_no_hello(void)
{
    struct ga_wire wire;
    CU_ASSERT_FATAL(ga_wire_open(&wire, socket_path));
    Goalloc__V1__GetStatus body = GOALLOC__V1__GET_STATUS__INIT;
    CU_ASSERT(ga_wire_is_failure(ga_wire_ask(&wire, GOALLOC__V1__ENVELOPE__BODY_GET_STATUS, &body),
                                 -EPROTO, "the first message must be Hello"));
    CU_ASSERT(ga_wire_is_ended(&wire));
    ga_wire_close(&wire);
    CU_ASSERT(server_answers());
}

static void hello_with_versions(uint32_t min, uint32_t max, const char *detail)
{
    struct ga_wire wire;
    CU_ASSERT_FATAL(ga_wire_open(&wire, socket_path));
    Goalloc__V1__Hello hello = GOALLOC__V1__HELLO__INIT;
    hello.min_version = min;
    hello.max_version = max;
    CU_ASSERT(ga_wire_is_failure(ga_wire_ask(&wire, GOALLOC__V1__ENVELOPE__BODY_HELLO, &hello),
                                 -EPROTO, detail));
    CU_ASSERT(ga_wire_is_ended(&wire));
    ga_wire_close(&wire);
}

static void test_versions(void)
{
    hello_with_versions(4, 5, "the server speaks protocol versions 1..1, the client 4..5");
    hello_with_versions(0, 0, "the server speaks protocol versions 1..1, the client 0..0");
    hello_with_versions(3, 1, "the server speaks protocol versions 1..1, the client 3..1");
    struct ga_wire wire;
    CU_ASSERT_FATAL(ga_wire_open_greeted(&wire, socket_path));
    Goalloc__V1__Hello hello = GOALLOC__V1__HELLO__INIT;
    hello.min_version = 1;
    hello.max_version = 9;
    CU_ASSERT(ga_wire_is_failure(ga_wire_ask(&wire, GOALLOC__V1__ENVELOPE__BODY_HELLO, &hello),
                                 -EPROTO, "Hello was said already"));
    ga_wire_close(&wire);
    CU_ASSERT(server_answers());
}

/* Bytes that are no message: a Failure without an id, and the end. */
static void send_nonsense(bool greeted, const void *bytes, size_t nbytes, int err,
                          const char *detail)
{
    struct ga_wire wire;
    if (greeted)
        CU_ASSERT_FATAL(ga_wire_open_greeted(&wire, socket_path))
    else
        CU_ASSERT_FATAL(ga_wire_open(&wire, socket_path))
    CU_ASSERT(ga_wire_send_bytes(&wire, bytes, nbytes));
    CU_ASSERT(ga_wire_is_failure(ga_wire_receive(&wire), err, detail));
    CU_ASSERT(ga_wire_is_ended(&wire));
    ga_wire_close(&wire);
    CU_ASSERT(server_answers());
}

static void test_nonsense(void)
{
    static const char no_message[] =
        "the server was sent bytes that are no message of this protocol";
    static const char too_long[] = "the server was sent a message over the limit of size";
    static const uint8_t one_over[] = {1, 0, 1, 0, 0x08};
    static const uint8_t no_bytes[] = {0, 0, 0, 0};
    static const uint8_t no_body[] = {2, 0, 0, 0, 0x08, 0x01};
    static const uint8_t unknown_body[] = {5, 0, 0, 0, 0x08, 0x01, 0xfa, 0x3f, 0x00};
    static const uint8_t garbage[] = {4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
    for (int greeted = 0; greeted < 2; greeted++) {
        send_nonsense(greeted, "\xff\xff\xff\xff", 4, -EMSGSIZE, too_long);
        send_nonsense(greeted, "GET / HTTP/1.1\r\n\r\n", 18, -EMSGSIZE, too_long);
        send_nonsense(greeted, one_over, sizeof(one_over), -EMSGSIZE, too_long);
        send_nonsense(greeted, no_bytes, sizeof(no_bytes), -EBADMSG, no_message);
        send_nonsense(greeted, no_body, sizeof(no_body), -EBADMSG, no_message);
        send_nonsense(greeted, unknown_body, sizeof(unknown_body), -EBADMSG, no_message);
        send_nonsense(greeted, garbage, sizeof(garbage), -EBADMSG, no_message);
    }
    char warning[64];
    snprintf(warning, sizeof(warning), "goallocd: warning: process %d sent ", (int)getpid());
    CU_ASSERT(server_says(warning));
}

/* Whole frames of random bytes, and random bytes: whatever comes of it, the server goes on. */
static void test_random_bytes(void)
{
    uint64_t state = ga_test_seed();
    for (int round = 0; round < 300; round++) {
        struct ga_wire wire;
        CU_ASSERT_FATAL(ga_wire_open_greeted(&wire, socket_path));
        uint8_t bytes[260];
        size_t nbytes = 5 + ga_test_random(&state) % 255;
        for (size_t i = 0; i < nbytes; i++)
            bytes[i] = (uint8_t)ga_test_random(&state);
        if (round % 4 != 0)
            ga_frame_put_header(bytes, nbytes - GA_FRAME_HEADER_BYTES);
        ga_wire_send_bytes(&wire, bytes, nbytes);
        ga_wire_close(&wire);
    }
    CU_ASSERT(server_answers());
}

static void test_half_a_frame(void)
{
    static const uint8_t half[] = {100, 0, 0, 0, 0x08, 0x01};
    for (size_t nbytes = 1; nbytes <= sizeof(half); nbytes++) {
        struct ga_wire wire;
        CU_ASSERT_FATAL(ga_wire_open(&wire, socket_path));
        CU_ASSERT(ga_wire_send_bytes(&wire, half, nbytes));
        ga_wire_close(&wire);
    }
    CU_ASSERT(server_answers());
}

/* Hello and many requests in one stream, cut at every place: answered in their order. */
static void test_pieces(void)
{
    uint8_t stream[512];
    size_t total = 0;
    Goalloc__V1__Hello hello = GOALLOC__V1__HELLO__INIT;
    hello.min_version = hello.max_version = 1;
    Goalloc__V1__Sync sync = GOALLOC__V1__SYNC__INIT;
    for (uint64_t id = 1; id <= 20; id++) {
        Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
        message.id = id;
        message.body_case =
            id == 1 ? GOALLOC__V1__ENVELOPE__BODY_HELLO : GOALLOC__V1__ENVELOPE__BODY_SYNC;
        if (id == 1)
            message.hello = &hello;
        else
            message.sync = &sync;
        size_t nbytes;
        CU_ASSERT_FATAL(
            ga_message_encode(&message, stream + total, sizeof(stream) - total, &nbytes) == 0);
        total += nbytes;
    }
    for (size_t cut = 1; cut <= total; cut += 7) {
        struct ga_wire wire;
        CU_ASSERT_FATAL(ga_wire_open(&wire, socket_path));
        CU_ASSERT(ga_wire_send_bytes(&wire, stream, cut));
        CU_ASSERT(ga_wire_send_bytes(&wire, stream + cut, total - cut));
        for (uint64_t id = 1; id <= 20; id++) {
            const Goalloc__V1__Envelope *reply = ga_wire_receive(&wire);
            CU_ASSERT_FATAL(reply != NULL);
            CU_ASSERT_EQUAL(reply->id, id);
        }
        ga_wire_close(&wire);
    }
}

static void test_ids(void)
{
    struct ga_wire wire;
    CU_ASSERT_FATAL(ga_wire_open_attached(&wire, socket_path));
    Goalloc__V1__Sync sync = GOALLOC__V1__SYNC__INIT;
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    message.body_case = GOALLOC__V1__ENVELOPE__BODY_SYNC;
    message.sync = &sync;
    CU_ASSERT(ga_wire_send(&wire, &message));
    CU_ASSERT(ga_wire_is_failure(ga_wire_receive(&wire), -EBADMSG, "a request has the id 0"));

    Goalloc__V1__LargeFree note = GOALLOC__V1__LARGE_FREE__INIT;
    message.id = 77;
    message.body_case = GOALLOC__V1__ENVELOPE__BODY_LARGE_FREE;
    message.large_free = &note;
    CU_ASSERT(ga_wire_send(&wire, &message));
    CU_ASSERT(ga_wire_is_failure(ga_wire_receive(&wire), -EBADMSG,
                                 "a note has the id 77, as if it were a request"));

    Goalloc__V1__Done done = GOALLOC__V1__DONE__INIT;
    CU_ASSERT(ga_wire_is_failure(ga_wire_ask(&wire, GOALLOC__V1__ENVELOPE__BODY_DONE, &done),
                                 -EBADMSG, "this is a message for clients"));
    ga_wire_close(&wire);
    CU_ASSERT(server_answers());
}

static void test_many_connections(void)
{
    enum { AT_ONCE = 400 };
    static struct ga_wire wires[AT_ONCE];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < AT_ONCE; i++) {
            CU_ASSERT_FATAL(ga_wire_open(&wires[i], socket_path));
            if (i % 3 == 0)
                ga_wire_send_bytes(&wires[i], "\x09", 1);
        }
        CU_ASSERT(server_answers());
        for (int i = 0; i < AT_ONCE; i++)
            ga_wire_close(&wires[i]);
    }
    CU_ASSERT(server_answers());
}

/* Publish an object under count names, in one stream of bytes. Returns its length. */
static size_t encode_publishes(uint64_t offset, uint64_t count, uint8_t *stream, size_t room)
{
    size_t total = 0;
    for (uint64_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "n%d", (int)i);
        Goalloc__V1__Publish body = GOALLOC__V1__PUBLISH__INIT;
        body.name = name;
        body.offset = offset;
        Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
        message.id = 1000 + i;
        message.body_case = GOALLOC__V1__ENVELOPE__BODY_PUBLISH;
        message.publish = &body;
        size_t nbytes = 0;
        CU_ASSERT_FATAL(ga_message_encode(&message, stream + total, room - total, &nbytes) == 0);
        total += nbytes;
    }
    return total;
}

/* While the server is stopped, one client sends thousands of requests and then another a single
 * one. It is answered when few of the others are done: its answer says how many. */
static void test_fairness(void)
{
    enum { REQUESTS = 2000 };
    static uint8_t stream[65536];
    struct ga_wire flood;
    struct ga_wire other;
    CU_ASSERT_FATAL(ga_wire_open_attached(&flood, socket_path));
    CU_ASSERT_FATAL(ga_wire_open_greeted(&other, socket_path));
    Goalloc__V1__NewMcache new_mcache = GOALLOC__V1__NEW_MCACHE__INIT;
    const Goalloc__V1__Envelope *reply =
        ga_wire_ask(&flood, GOALLOC__V1__ENVELOPE__BODY_NEW_MCACHE, &new_mcache);
    CU_ASSERT_FATAL(reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_MCACHE);
    Goalloc__V1__LargeAlloc large = GOALLOC__V1__LARGE_ALLOC__INIT;
    large.mcache = reply->mcache->mcache;
    large.size_bytes = 40000;
    reply = ga_wire_ask(&flood, GOALLOC__V1__ENVELOPE__BODY_LARGE_ALLOC, &large);
    CU_ASSERT_FATAL(reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_LARGE_SPAN);
    size_t nbytes =
        encode_publishes(reply->large_span->page * GA_PAGE_SIZE, REQUESTS, stream, sizeof(stream));

    Goalloc__V1__GetStatus get_status = GOALLOC__V1__GET_STATUS__INIT;
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    message.id = 1;
    message.body_case = GOALLOC__V1__ENVELOPE__BODY_GET_STATUS;
    message.get_status = &get_status;
    stop_server();
    CU_ASSERT(ga_wire_send_bytes(&flood, stream, nbytes));
    CU_ASSERT(ga_wire_send(&other, &message));
    CU_ASSERT(kill(server.pid, SIGCONT) == 0);
    reply = ga_wire_receive(&other);
    CU_ASSERT_FATAL(reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_STATUS);
    CU_ASSERT(reply->status->roots <= REQUESTS / 10);

    for (uint64_t i = 0; i < REQUESTS; i++) {
        reply = ga_wire_receive(&flood);
        CU_ASSERT_FATAL(reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_DONE);
        CU_ASSERT_EQUAL(reply->id, 1000 + i);
    }
    ga_wire_close(&flood);
    ga_wire_close(&other);
}

static void test_never_reads(void)
{
    struct ga_wire wire;
    CU_ASSERT_FATAL(ga_wire_open_greeted(&wire, socket_path));
    Goalloc__V1__GetStats body = GOALLOC__V1__GET_STATS__INIT;
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    message.id = 2;
    message.body_case = GOALLOC__V1__ENVELOPE__BODY_GET_STATS;
    message.get_stats = &body;
    long sent = 0;
    while (sent < 1000000 && ga_wire_send(&wire, &message))
        sent++;
    CU_ASSERT(sent > 1000 && sent < 1000000);
    CU_ASSERT(server_says("does not read its replies"));
    ga_wire_close(&wire);
    CU_ASSERT(server_answers());
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"no memory for a connection", test_no_memory},
        {"a first message other than Hello", test_no_hello},
        {"versions nobody else speaks", test_versions},
        {"bytes that are no message", test_nonsense},
        {"random bytes", test_random_bytes},
        {"half a frame", test_half_a_frame},
        {"a stream cut anywhere", test_pieces},
        {"ids of requests and notes", test_ids},
        {"hundreds of connections", test_many_connections},
        {"a client that sends thousands at once", test_fairness},
        {"a client that never reads", test_never_reads},
    };
    signal(SIGPIPE, SIG_IGN);
    socket_path = strdup(ga_daemon_path("sock"));
    const char *arguments[] = {
        "--name", ga_daemon_heap("wire"), "--socket", socket_path, "--reserve", "64M", NULL};
    int failed = 1;
    if (ga_daemon_start(&server, 0, arguments))
        failed = ga_test_main("server_wire", tests, sizeof(tests) / sizeof(tests[0]));
    int code = ga_daemon_end(&server, SIGTERM);
    int left = ga_daemon_clean_up();
    if (failed || code != 0 || left != 0)
        fprintf(stderr, "goallocd ended with %d and left %d objects; it said:\n%s", code, left,
                server.text);
    free((void *)socket_path);
    return failed || code != 0 || left != 0;
}

/* What a server makes of bytes: of clients that break the protocol, and of each request done wrong.
 * After each the server still answers somebody else. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/daemon.h"
#include "integration/wire.h"
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
        {"a first message other than Hello", test_no_hello},
        {"versions nobody else speaks", test_versions},
        {"bytes that are no message", test_nonsense},
        {"random bytes", test_random_bytes},
        {"half a frame", test_half_a_frame},
        {"a stream cut anywhere", test_pieces},
        {"ids of requests and notes", test_ids},
        {"hundreds of connections", test_many_connections},
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

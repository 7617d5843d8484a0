/* The way out of the channel, against one end of a pair of sockets: what is sent directly, what is
 * queued, and a peer that is gone. */
#include "client/send_queue.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/frame.h"
#include "support/cunit_main.h"

static struct ga_block_pool *pool;
static struct ga_send_queue queue;
static int pair[2];

static void begin(void)
{
    pool = ga_send_pool_new();
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    CU_ASSERT_EQUAL_FATAL(ga_send_queue_init(&queue, pair[0], pool), 0);
}

static void end(void)
{
    ga_send_queue_fini(&queue);
    CU_ASSERT_EQUAL(ga_block_pool_close(pool), 0);
    close(pair[0]);
    if (pair[1] >= 0)
        close(pair[1]);
}

/* Bytes of a stream whose every byte is known from its position. */
static uint8_t byte_at(uint64_t position)
{
    return (uint8_t)(position * 31 + (position >> 8) * 7);
}

static int send_next(uint64_t *position, size_t nbytes)
{
    static uint8_t frame[GA_FRAME_BUFFER_BYTES];
    for (size_t i = 0; i < nbytes; i++)
        frame[i] = byte_at(*position + i);
    int r = ga_send_queue_send(&queue, frame, nbytes);
    if (r >= 0)
        *position += nbytes;
    return r;
}

/* Read what is there and check it. */
static void read_some(uint64_t *position)
{
    static uint8_t bytes[GA_FRAME_BUFFER_BYTES];
    ssize_t n = recv(pair[1], bytes, sizeof(bytes), MSG_DONTWAIT);
    uint64_t nwrong = 0;
    for (ssize_t i = 0; i < n; i++)
        nwrong += bytes[i] != byte_at(*position + (uint64_t)i);
    CU_ASSERT_EQUAL(nwrong, 0);
    if (n > 0)
        *position += (uint64_t)n;
}

/* Frames of all sizes go in at random while the peer reads now and then: all comes out, in order,
 * and only the change from empty to not empty asks for a flush. */
static void test_stream(void)
{
    uint64_t state = ga_test_seed(), sent = 0, received = 0;
    int waiting = 0;
    begin();
    for (int i = 0; i < 20000; i++) {
        uint64_t random = ga_test_random(&state);
        size_t nbytes = 1 + (random >> 8) % (random & 8 ? GA_FRAME_BUFFER_BYTES : 200);
        if (random % 8 < 3) {
            int r = send_next(&sent, nbytes);
            CU_ASSERT(r == 0 || (r == 1 && !waiting) || (r == -ENOMEM && waiting));
            waiting = waiting || r == 1;
        } else if (random % 8 < 5) {
            waiting = ga_send_queue_flush(&queue);
        } else {
            read_some(&received);
        }
    }
    while (ga_send_queue_flush(&queue) > 0)
        read_some(&received);
    while (received < sent)
        read_some(&received);
    end();
}

/* A full queue refuses whole frames, and takes them again when there is room. */
static void test_full(void)
{
    uint64_t sent = 0, received = 0;
    begin();
    int r;
    while ((r = send_next(&sent, GA_FRAME_BUFFER_BYTES)) >= 0)
        CU_ASSERT_FATAL(sent < 2 * GA_SEND_QUEUE_MAX_BYTES);
    CU_ASSERT_EQUAL(r, -ENOMEM);
    CU_ASSERT(sent > GA_SEND_QUEUE_MAX_BYTES - GA_FRAME_BUFFER_BYTES);
    while (ga_send_queue_flush(&queue) > 0)
        read_some(&received);
    while (received < sent)
        read_some(&received);
    CU_ASSERT_EQUAL(send_next(&sent, 100), 0);
    read_some(&received);
    CU_ASSERT_EQUAL(received, sent);
    end();
}

/* No signal, and whoever reads the socket sees the end, although the peer could still write. */
static void test_peer_reads_no_more(void)
{
    uint64_t sent = 0;
    char byte = 'x';
    begin();
    CU_ASSERT_EQUAL(send(pair[1], &byte, 1, 0), 1);
    shutdown(pair[1], SHUT_RD);
    CU_ASSERT_EQUAL(send_next(&sent, 10), -ENOTCONN);
    CU_ASSERT_EQUAL(recv(pair[0], &byte, 1, MSG_DONTWAIT), 1);
    CU_ASSERT_EQUAL(recv(pair[0], &byte, 1, MSG_DONTWAIT), 0);
    CU_ASSERT_EQUAL(send_next(&sent, 10), -ENOTCONN);
    CU_ASSERT_EQUAL(ga_send_queue_flush(&queue), -ENOTCONN);
    end();
}

static void test_peer_goes_while_queued(void)
{
    uint64_t sent = 0;
    begin();
    while (send_next(&sent, GA_FRAME_BUFFER_BYTES) == 0)
        ;
    CU_ASSERT_EQUAL(send_next(&sent, 10), 0); /* behind the rest of the last one */
    close(pair[1]);
    pair[1] = -1;
    CU_ASSERT_EQUAL(ga_send_queue_flush(&queue), -ENOTCONN);
    CU_ASSERT_EQUAL(send_next(&sent, 10), -ENOTCONN);
    end();
}

static void test_end(void)
{
    uint64_t sent = 0, received = 0;
    begin();
    CU_ASSERT_EQUAL(send_next(&sent, 10), 0);
    ga_send_queue_end(&queue);
    CU_ASSERT_EQUAL(send_next(&sent, 10), -ENOTCONN);
    CU_ASSERT_EQUAL(ga_send_queue_flush(&queue), -ENOTCONN);
    read_some(&received);
    CU_ASSERT_EQUAL(received, 10);
    end();
}

int main(void)
{
    const struct ga_test tests[] = {
        {"stream", test_stream},
        {"full", test_full},
        {"the peer reads no more", test_peer_reads_no_more},
        {"the peer goes while bytes are queued", test_peer_goes_while_queued},
        {"end", test_end},
    };
    return ga_test_main("client/send_queue", tests, sizeof(tests) / sizeof(tests[0]));
}

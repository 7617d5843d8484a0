/* Frames: a stream cut into pieces in every way gives the same payloads, and bad lengths end it. */
#include "proto/frame.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "support/cunit_main.h"

#define STREAM_MAX (3 * GA_FRAME_BUFFER_BYTES)

static uint8_t buffer[GA_FRAME_BUFFER_BYTES];
static uint8_t stream[STREAM_MAX];

/* Append a frame whose payload is told from others by its number. Returns the stream's new end. */
static size_t put_frame(size_t at, size_t payload_bytes, uint8_t number)
{
    ga_frame_put_header(stream + at, payload_bytes);
    at += GA_FRAME_HEADER_BYTES;
    for (size_t i = 0; i < payload_bytes; i++)
        stream[at + i] = (uint8_t)(number + 31 * i);
    return at + payload_bytes;
}

static bool is_payload(const uint8_t *payload, size_t payload_bytes, size_t expected,
                       uint8_t number)
{
    bool same = payload_bytes == expected;
    for (size_t i = 0; same && i < payload_bytes; i++)
        same = payload[i] == (uint8_t)(number + 31 * i);
    return same;
}

/* Hand the reader as much as there is room for. */
static size_t feed(struct ga_frame_reader *r, const uint8_t *bytes, size_t nbytes)
{
    size_t room;
    uint8_t *space = ga_frame_reader_space(r, &room);
    if (nbytes > room)
        nbytes = room;
    memcpy(space, bytes, nbytes);
    ga_frame_reader_filled(r, nbytes);
    return nbytes;
}

static void test_header(void)
{
    static const uint8_t expected[] = {0x34, 0x12, 0, 0}, largest[] = {0, 0, 1, 0};
    uint8_t header[GA_FRAME_HEADER_BYTES];
    ga_frame_put_header(header, 0x1234);
    CU_ASSERT(memcmp(header, expected, sizeof header) == 0);
    ga_frame_put_header(header, GA_FRAME_MAX_BYTES);
    CU_ASSERT(memcmp(header, largest, sizeof header) == 0);
}

static void test_byte_by_byte(void)
{
    struct ga_frame_reader r;
    const uint8_t *payload = NULL;
    size_t payload_bytes = 0;
    size_t end = put_frame(put_frame(0, 5, 1), 1, 2);
    ga_frame_reader_init(&r, buffer);
    CU_ASSERT_EQUAL(ga_frame_reader_next(&r, &payload, &payload_bytes), 0);
    for (size_t i = 0; i < end; i++) {
        CU_ASSERT_EQUAL(feed(&r, stream + i, 1), 1);
        int whole = i == 8 || i == 13;
        CU_ASSERT_EQUAL(ga_frame_reader_next(&r, &payload, &payload_bytes), whole);
        if (i == 8)
            CU_ASSERT(is_payload(payload, payload_bytes, 5, 1));
    }
    CU_ASSERT(is_payload(payload, payload_bytes, 1, 2));
    CU_ASSERT_EQUAL(ga_frame_reader_next(&r, &payload, &payload_bytes), 0);
}

static void test_split_at_every_point(void)
{
    static const size_t sizes[] = {7, 1, 300, 2};
    size_t end = 0, wrong = 0;
    for (uint8_t i = 0; i < 4; i++)
        end = put_frame(end, sizes[i], i);
    for (size_t split = 0; split <= end; split++) {
        struct ga_frame_reader r;
        const uint8_t *payload;
        size_t payload_bytes;
        uint8_t number = 0;
        ga_frame_reader_init(&r, buffer);
        feed(&r, stream, split);
        for (int part = 0; part < 2; part++) {
            while (ga_frame_reader_next(&r, &payload, &payload_bytes) == 1) {
                wrong += !is_payload(payload, payload_bytes, sizes[number], number);
                number++;
            }
            if (part == 0)
                feed(&r, stream + split, end - split);
        }
        wrong += number != 4;
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_several_at_once(void)
{
    struct ga_frame_reader r;
    const uint8_t *payload;
    size_t payload_bytes, end = 0;
    for (uint8_t i = 0; i < 100; i++)
        end = put_frame(end, 1u + i, i);
    ga_frame_reader_init(&r, buffer);
    CU_ASSERT_EQUAL(feed(&r, stream, end), end);
    for (uint8_t i = 0; i < 100; i++) {
        CU_ASSERT_EQUAL(ga_frame_reader_next(&r, &payload, &payload_bytes), 1);
        CU_ASSERT(is_payload(payload, payload_bytes, 1u + i, i));
    }
    CU_ASSERT_EQUAL(ga_frame_reader_next(&r, &payload, &payload_bytes), 0);
    size_t room;
    CU_ASSERT_PTR_EQUAL(ga_frame_reader_space(&r, &room), buffer);
    CU_ASSERT_EQUAL(room, GA_FRAME_BUFFER_BYTES);
}

/* A full buffer is always a whole frame, also where the frame began further back. */
static void test_largest(void)
{
    struct ga_frame_reader r;
    const uint8_t *payload;
    size_t payload_bytes, room;
    size_t end = put_frame(put_frame(0, 9, 1), GA_FRAME_MAX_BYTES, 2);
    ga_frame_reader_init(&r, buffer);
    size_t fed = feed(&r, stream, end);
    CU_ASSERT_EQUAL(fed, GA_FRAME_BUFFER_BYTES);
    ga_frame_reader_space(&r, &room);
    CU_ASSERT_EQUAL(room, 0);
    CU_ASSERT_EQUAL(ga_frame_reader_next(&r, &payload, &payload_bytes), 1);
    CU_ASSERT(is_payload(payload, payload_bytes, 9, 1));
    CU_ASSERT_EQUAL(ga_frame_reader_next(&r, &payload, &payload_bytes), 0);
    CU_ASSERT_EQUAL(feed(&r, stream + fed, end - fed), end - fed);
    ga_frame_reader_space(&r, &room);
    CU_ASSERT_EQUAL(room, 0);
    CU_ASSERT_EQUAL(ga_frame_reader_next(&r, &payload, &payload_bytes), 1);
    CU_ASSERT(is_payload(payload, payload_bytes, GA_FRAME_MAX_BYTES, 2));
    CU_ASSERT_EQUAL(ga_frame_reader_next(&r, &payload, &payload_bytes), 0);
}

static void test_bad_lengths(void)
{
    static const struct {
        uint8_t header[GA_FRAME_HEADER_BYTES];
        int result;
    } cases[] = {
        {{0, 0, 0, 0}, -EBADMSG},
        {{1, 0, 1, 0}, -EMSGSIZE},
        {{0, 0, 0, 1}, -EMSGSIZE},
        {{0xff, 0xff, 0xff, 0xff}, -EMSGSIZE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ga_frame_reader r;
        const uint8_t *payload = buffer;
        size_t payload_bytes = 77;
        ga_frame_reader_init(&r, buffer);
        size_t end = put_frame(0, 3, 9);
        feed(&r, stream, end);
        feed(&r, cases[i].header, 3);
        CU_ASSERT_EQUAL(ga_frame_reader_next(&r, &payload, &payload_bytes), 1);
        CU_ASSERT_EQUAL(ga_frame_reader_next(&r, &payload, &payload_bytes), 0);
        feed(&r, cases[i].header + 3, 1);
        CU_ASSERT_EQUAL(ga_frame_reader_next(&r, &payload, &payload_bytes), cases[i].result);
        CU_ASSERT_EQUAL(payload_bytes, 3);
        /* Final, whatever follows. */
        feed(&r, stream, end);
        CU_ASSERT_EQUAL(ga_frame_reader_next(&r, &payload, &payload_bytes), cases[i].result);
    }
}

/* Frames of random sizes in pieces of random sizes; the reader is not always emptied between. */
static void test_random_pieces(void)
{
    uint64_t random = ga_test_seed();
    for (int round = 0; round < 200; round++) {
        size_t sizes[64], count = 0, end = 0, at = 0, next = 0, wrong = 0, idle = 0;
        while (count < 64 && end + GA_FRAME_BUFFER_BYTES <= STREAM_MAX) {
            sizes[count] =
                1 + ga_test_random(&random) % (count % 8 == 7 ? GA_FRAME_MAX_BYTES : 900);
            end = put_frame(end, sizes[count], (uint8_t)count);
            count++;
        }
        struct ga_frame_reader r;
        ga_frame_reader_init(&r, buffer);
        while (next < count && idle < 1000) {
            size_t piece = ga_test_random(&random) % 5000;
            size_t fed = feed(&r, stream + at, piece < end - at ? piece : end - at);
            at += fed;
            idle = fed ? 0 : idle + 1;
            const uint8_t *payload;
            size_t payload_bytes;
            while (ga_frame_reader_next(&r, &payload, &payload_bytes) == 1) {
                wrong += !is_payload(payload, payload_bytes, sizes[next], (uint8_t)next);
                next++;
                if (ga_test_random(&random) % 4 == 0)
                    break;
            }
        }
        CU_ASSERT_EQUAL(next, count);
        CU_ASSERT_EQUAL(wrong, 0);
    }
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"the header's bytes", test_header},
        {"byte by byte", test_byte_by_byte},
        {"split at every point", test_split_at_every_point},
        {"several at once", test_several_at_once},
        {"the largest frame", test_largest},
        {"bad lengths", test_bad_lengths},
        {"random pieces", test_random_pieces},
    };
    return ga_test_main("proto.frame", tests, sizeof tests / sizeof tests[0]);
}

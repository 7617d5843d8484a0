/* Any payload is decoded within the arena or refused, and leaves the arena as it was where it is
 * refused. What is accepted can be sent on, and is then accepted again, as the same message. The
 * first two bytes say how large the arena is. */
#include <errno.h>
#include <stdalign.h>

#include "fuzz/fuzz.h"
#include "proto/message.h"

#define UNIT 64u /* of the arena's size in the input */

static alignas(max_align_t) uint8_t memory[GA_DECODE_ARENA_BYTES];
static alignas(max_align_t) uint8_t memory_again[2 * GA_DECODE_ARENA_BYTES];
static uint8_t frame[GA_FRAME_BUFFER_BYTES];
static uint8_t frame_again[GA_FRAME_BUFFER_BYTES];

/* Send what was received, receive that, and send it once more: the bytes must be the same. */
static void send_on(const Goalloc__V1__Envelope *message)
{
    size_t bytes = 0;
    int r = ga_message_encode(message, frame, sizeof(frame), &bytes);
    FUZZ_CHECK(r == 0 || r == -EMSGSIZE);
    if (r < 0)
        return; /* the shortest encoding can be longer than what came: a packed list unpacked */
    struct ga_decode_arena arena;
    ga_decode_arena_init(&arena, memory_again, sizeof(memory_again));
    Goalloc__V1__Envelope *again = NULL;
    r = ga_message_decode(frame + GA_FRAME_HEADER_BYTES, bytes - GA_FRAME_HEADER_BYTES, &arena,
                          &again);
    FUZZ_CHECK(r == 0 && again->body_case == message->body_case);
    size_t bytes_again = 0;
    FUZZ_CHECK(ga_message_encode(again, frame_again, sizeof(frame_again), &bytes_again) == 0);
    FUZZ_CHECK(bytes_again == bytes && memcmp(frame, frame_again, bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    size_t arena_bytes = (size_t)fuzz_take(&input, 2) * UNIT;
    if (arena_bytes == 0 || arena_bytes > sizeof(memory))
        arena_bytes = sizeof(memory);
    struct ga_decode_arena arena;
    ga_decode_arena_init(&arena, memory, arena_bytes);
    Goalloc__V1__Envelope *message = NULL;
    int r = ga_message_decode(input.data, input.size, &arena, &message);
    FUZZ_CHECK(r == 0 || r == -EBADMSG || r == -EMSGSIZE);
    FUZZ_CHECK(arena.used_bytes <= arena_bytes);
    if (r == 0)
        send_on(message);
    else
        FUZZ_CHECK(arena.used_bytes == 0);
    return 0;
}

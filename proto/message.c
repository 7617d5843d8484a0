/* Messages. protobuf-c does the encoding; what it leaves open is closed here.
 *
 * Memory: protobuf-c asks its allocator for each submessage, string, array and unknown field, and
 * for notes while it scans. Here that allocator is the arena, a pointer that only moves forward. It
 * frees nothing, so what a message can cost is bounded by the arena whatever the message says, and
 * the first allocation that does not fit ends the decoding. protobuf-c does not tell that apart
 * from a malformed message, so the arena remembers it.
 *
 * Content: an Envelope has a body, and strings are text (text.h). Both are checked when a message
 * is sent, too: there the error still names a culprit. */
#include "proto/message.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>

#include "proto/text.h"

#define ALIGNMENT alignof(max_align_t)

void ga_decode_arena_init(struct ga_decode_arena *arena, void *memory, size_t size_bytes)
{
    assert((uintptr_t)memory % ALIGNMENT == 0);
    *arena = (struct ga_decode_arena){.memory = memory, .size_bytes = size_bytes};
}

void ga_decode_arena_reset(struct ga_decode_arena *arena)
{
    arena->used_bytes = 0;
}

static void *arena_alloc(void *data, size_t size)
{
    struct ga_decode_arena *arena = data;
    /* used_bytes stays aligned, as each size is rounded up; a size_bytes that is not aligned leaves
     * a rest that is not used. */
    size_t available = (arena->size_bytes - arena->used_bytes) / ALIGNMENT * ALIGNMENT;
    if (arena->overflowed || size > available) {
        arena->overflowed = true;
        return NULL;
    }
    void *memory = arena->memory + arena->used_bytes;
    arena->used_bytes += (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return memory;
}

static void arena_free(void *data, void *memory)
{
    (void)data;
    (void)memory;
}

/* All bodies are messages, so any member of the union tells whether the pointer is there. */
static bool has_body(const Goalloc__V1__Envelope *message)
{
    return message->body_case != GOALLOC__V1__ENVELOPE__BODY__NOT_SET && message->hello != NULL;
}

int ga_message_encode(const Goalloc__V1__Envelope *message, uint8_t *buffer, size_t capacity_bytes,
                      size_t *ret_bytes)
{
    if (!has_body(message))
        return -EINVAL;
    size_t payload_bytes = goalloc__v1__envelope__get_packed_size(message);
    if (payload_bytes > GA_FRAME_MAX_BYTES ||
        capacity_bytes < GA_FRAME_HEADER_BYTES + payload_bytes)
        return -EMSGSIZE;
    uint8_t *payload = buffer + GA_FRAME_HEADER_BYTES;
    goalloc__v1__envelope__pack(message, payload);
    if (!ga_text_check_message(&goalloc__v1__envelope__descriptor, payload, payload_bytes))
        return -EINVAL;
    ga_frame_put_header(buffer, payload_bytes);
    *ret_bytes = GA_FRAME_HEADER_BYTES + payload_bytes;
    return 0;
}

int ga_message_decode(const uint8_t *payload, size_t payload_bytes, struct ga_decode_arena *arena,
                      Goalloc__V1__Envelope **ret_message)
{
    if (payload_bytes > GA_FRAME_MAX_BYTES)
        return -EMSGSIZE;
    if (!ga_text_check_message(&goalloc__v1__envelope__descriptor, payload, payload_bytes))
        return -EBADMSG;
    size_t used_before = arena->used_bytes;
    arena->overflowed = false;
    ProtobufCAllocator allocator = {arena_alloc, arena_free, arena};
    Goalloc__V1__Envelope *message =
        goalloc__v1__envelope__unpack(&allocator, payload_bytes, payload);
    if (message && has_body(message)) {
        *ret_message = message;
        return 0;
    }
    arena->used_bytes = used_before;
    return arena->overflowed ? -EMSGSIZE : -EBADMSG;
}

/* Messages: an Envelope to the bytes of a frame, and back. Both directions check the same rules, so
 * what one side can send the other accepts. Decoding takes its memory from an arena of its caller,
 * never from the process's heap: the client is part of an allocator, and a peer must not decide how
 * much memory its message costs. */
#ifndef GA_PROTO_MESSAGE_H
#define GA_PROTO_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/frame.h"
#include "proto-generated/goalloc.pb-c.h"

/* What senders keep to. */
#define GA_LIST_MAX_BYTES                                                                          \
    32768u                         /* of an encoded Envelope with SpanList, ClientList or RootList \
                                    */
#define GA_LEASES_MAX_PAGES 64u    /* in a Leases */
#define GA_RETURN_MAX_PAGES 1024u  /* in a Return or LargeFree */
#define GA_GC_ROOTS_MAX     4096u  /* offsets in a GcRoots */
#define GA_GC_WRITTEN_BYTES 32768u /* of bits in a GcWritten */

/* An arena of this size holds each message that keeps to these limits. The dearest is a list of the
 * shortest entries, which takes 25 times its encoded size. */
#define GA_DECODE_ARENA_BYTES (32u * GA_LIST_MAX_BYTES + 4096u)

/* Memory for decoded messages: given out from front to back, taken back all at once. Not
 * thread-safe. The fields are message.c's. */
struct ga_decode_arena {
    uint8_t *memory;
    size_t size_bytes;
    size_t used_bytes;
    bool overflowed; /* an allocation did not fit */
};

/* memory must be aligned for any type, and live as long as the arena. */
void ga_decode_arena_init(struct ga_decode_arena *arena, void *memory, size_t size_bytes);

/* Take back all memory; every message decoded into the arena is gone. */
void ga_decode_arena_reset(struct ga_decode_arena *arena);

/* Write message as one frame, header and payload, to buffer. Returns 0 and the frame's size;
 * -EMSGSIZE when the payload exceeds GA_FRAME_MAX_BYTES or the frame capacity; -EINVAL when message
 * has no body, or a string that is not UTF-8 (the buffer may then be written to). Allocates
 * nothing. Thread-safe. */
int ga_message_encode(const Goalloc__V1__Envelope *message, uint8_t *buffer, size_t capacity_bytes,
                      size_t *ret_bytes);

/* Decode the payload of one frame. Returns 0 and the message, which lies in arena until its reset,
 * has a body, and whose strings are never NULL (an absent one is empty) and valid UTF-8; fields
 * unknown here are kept but mean nothing. It must not be freed with protobuf-c's functions.
 * -EBADMSG: malformed, without a body known here, or with a string that is not UTF-8 or has a byte
 * 0 in it. -EMSGSIZE: over GA_FRAME_MAX_BYTES, or the arena is too small. On failure the arena is
 * as before. */
int ga_message_decode(const uint8_t *payload, size_t payload_bytes, struct ga_decode_arena *arena,
                      Goalloc__V1__Envelope **ret_message);

#endif

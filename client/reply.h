/* A message from the server and the memory it lies in. It is decoded once, on the library's thread,
 * straight from the bytes received, and then handed to whoever waits for it. */
#ifndef GA_CLIENT_REPLY_H
#define GA_CLIENT_REPLY_H

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

#include "client/block_pool.h"
#include "proto/message.h"

struct ga_reply {
    struct ga_block_pool *pool; /* where it goes when it is released (channel.h) */
    Goalloc__V1__Envelope *message;
    struct ga_decode_arena arena;
    alignas(max_align_t) uint8_t memory[GA_DECODE_ARENA_BYTES];
};

/* A pool whose blocks are replies; NULL when the system has no memory. */
struct ga_block_pool *ga_reply_pool_new(void);

/* A reply without a message; NULL when the system has no memory. Thread-safe. */
struct ga_reply *ga_reply_new(struct ga_block_pool *pool);

/* Decode the payload of a frame into reply, in place of what it held. Returns 0; -EBADMSG or
 * -EMSGSIZE as ga_message_decode, and then reply holds no message. */
int ga_reply_decode(struct ga_reply *reply, const uint8_t *payload, size_t payload_bytes);

#endif

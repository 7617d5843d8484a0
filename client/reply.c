/* Replies. Each lies in a block of the channel's pool together with the arena of its message; the
 * arena has the size that the largest message needs, of which usually the first OS page is used. */
#include "client/reply.h"

#include "client/channel.h"

struct ga_block_pool *ga_reply_pool_new(void)
{
    return ga_block_pool_new(sizeof(struct ga_reply));
}

struct ga_reply *ga_reply_new(struct ga_block_pool *pool)
{
    struct ga_reply *reply = ga_block_pool_get(pool);
    if (!reply)
        return NULL;
    reply->pool = pool;
    reply->message = NULL;
    ga_decode_arena_init(&reply->arena, reply->memory, sizeof(reply->memory));
    return reply;
}

int ga_reply_decode(struct ga_reply *reply, const uint8_t *payload, size_t payload_bytes)
{
    reply->message = NULL;
    ga_decode_arena_reset(&reply->arena);
    return ga_message_decode(payload, payload_bytes, &reply->arena, &reply->message);
}

const Goalloc__V1__Envelope *ga_reply_message(const struct ga_reply *reply)
{
    return reply->message;
}

void ga_reply_release(struct ga_reply *reply)
{
    if (reply)
        ga_block_pool_put(reply->pool, reply,
                          offsetof(struct ga_reply, memory) + reply->arena.used_bytes);
}

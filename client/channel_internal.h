/* The inside of a channel, for channel.c (what callers do) and channel_loop.c (what the library's
 * thread does). */
#ifndef GA_CLIENT_CHANNEL_INTERNAL_H
#define GA_CLIENT_CHANNEL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "client/block_pool.h"
#include "client/channel.h"
#include "client/pending_call.h"
#include "client/reply.h"
#include "client/send_queue.h"
#include "proto/frame.h"

#define GA_SERVER_TEXT_BYTES 256

struct ga_channel {
    /* Set before the library's thread starts, and not changed. */
    int fd;
    uint32_t timeout_ms;
    void (*on_note)(const Goalloc__V1__Envelope *note, void *data);
    void (*on_lost)(void *data);
    void *data;
    char heap_name[GA_SERVER_TEXT_BYTES];
    char server_version[GA_SERVER_TEXT_BYTES];

    /* Used by all threads; each has its own lock. */
    struct ga_block_pool reply_pool;
    struct ga_block_pool send_pool;
    struct ga_calls calls;
    struct ga_send_queue queue;
    _Atomic bool closing; /* written by ga_channel_close */
    uv_async_t wake;      /* only uv_async_send */

    /* The library's thread alone. */
    pthread_t thread;
    uv_loop_t loop;
    uv_poll_t poll;
    uv_timer_t closing_limit;
    int poll_events; /* what poll waits for */
    bool lost;
    struct ga_reply *spare; /* what the next message is decoded into */
    struct ga_frame_reader reader;
    uint8_t read_buffer[GA_FRAME_BUFFER_BYTES];
};

/* Start the library's thread. Returns 0 or a negative errno, and then nothing is left. */
int ga_channel_start_loop(struct ga_channel *ch);

/* Let the library's thread send what is queued, wait for its end and free the loop. */
void ga_channel_end_loop(struct ga_channel *ch);

#endif

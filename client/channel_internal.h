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
#include "client/link.h"
#include "client/own_fd.h"
#include "client/pending_call.h"
#include "client/reply.h"
#include "client/send_queue.h"
#include "proto/frame.h"

#define GA_SERVER_TEXT_BYTES 256

#define GA_CHANNEL_DISOWNED_TEXT "the program has closed descriptors of goalloc's"

struct ga_channel {
    /* Set before the library's thread starts, and not changed. */
    int fd;
    uint32_t timeout_ms;
    void (*on_note)(const Goalloc__V1__Envelope *note, void *data);
    void (*on_lost)(void *data);
    void (*on_reply)(const Goalloc__V1__Envelope *reply, bool wanted, void *data);
    const struct ga_channel_revival *revival;
    const char *socket_path;
    const char *client_name;
    void *data;
    char heap_name[GA_SERVER_TEXT_BYTES];
    char server_version[GA_SERVER_TEXT_BYTES];

    /* Used by all threads; the first four have a lock each. */
    struct ga_block_pool *reply_pool;
    struct ga_block_pool *send_pool;
    struct ga_calls calls;
    struct ga_send_queue queue;
    _Atomic bool closing; /* written by ga_channel_close */
    uv_async_t wake;      /* only uv_async_send */
    struct ga_link link;
    _Atomic bool disowned;  /* the program has closed our descriptors */
    _Atomic bool told_over; /* that is told */
    _Atomic bool marked;    /* the next two are there */
    struct ga_own_fd own_epoll;
    struct ga_own_fd own_wake;
    _Atomic pid_t thread_id; /* the library's thread's; 0 before it runs */

    /* The library's thread alone. */
    pthread_t thread;
    int stop_place; /* of the thread (managed_stop.h) */
    uv_loop_t loop;
    struct ga_own_fd own_socket; /* fd; read in children of fork, as the next is */
    struct ga_own_fd own_pipe[2];
    uv_poll_t poll;
    uv_timer_t closing_limit;
    uv_timer_t retry;
    int poll_events; /* what poll waits for */
    bool lost;
    bool replying;              /* on_reply is running, with the calls' lock held */
    uint32_t retry_ms;          /* until the next attempt to connect, if that fails too */
    struct timespec told_after; /* when it is told that there is no connection */
    bool told;
    _Atomic int new_fd; /* of a connection in the making, -1 = none; read in children of fork */
    char why[GA_CHANNEL_ERROR_BYTES];
    struct ga_reply *spare; /* what the next message is decoded into */
    struct ga_frame_reader reader;
    uint8_t read_buffer[GA_FRAME_BUFFER_BYTES];
};

/* Connect again and introduce ourselves (revive.c); on the library's thread, the connection being
 * lost. Returns 0, and then fd is the new connection; -EAGAIN; or another negative errno when it
 * can never be done. why is a sentence then. */
int ga_channel_revive(struct ga_channel *ch);

/* Have on_reply called. */
void ga_channel_watch_replies(struct ga_channel *ch);

/* Start the library's thread. Returns 0 or a negative errno, and then nothing is left. */
int ga_channel_start_loop(struct ga_channel *ch);

/* Let the library's thread send what is queued, wait for its end and free the loop. False where
 * nobody can wake it, since the program has closed the descriptors that it sleeps at: then it never
 * wakes, and what it has is left to it. */
bool ga_channel_end_loop(struct ga_channel *ch);

/* Wake the library's thread; disown where it cannot be. */
void ga_channel_wake(struct ga_channel *ch);

/* The program has closed descriptors of ours: the connection is over for good, and all calls end;
 * if on_reply has come upon it, when that has returned. Thread-safe. */
void ga_channel_disown(struct ga_channel *ch);

#endif

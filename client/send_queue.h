/* The way out of the channel. Any thread sends; when nothing is queued its bytes go straight into
 * the socket, and what does not fit there is queued, in order, for the library's thread. */
#ifndef GA_CLIENT_SEND_QUEUE_H
#define GA_CLIENT_SEND_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/block_pool.h"
#include "client/own_fd.h"

/* The most that may be queued: a server that has stopped reading must not cost more than this. */
#define GA_SEND_QUEUE_MAX_BYTES (16u * 1024u * 1024u)

struct ga_send_chunk;

/* The fields are send_queue.c's. */
struct ga_send_queue {
    pthread_mutex_t lock;
    struct ga_own_fd own;
    bool ended;
    struct ga_block_pool *pool;
    struct ga_send_chunk *first, *last; /* at least one, until the end */
    size_t queued_bytes;
};

/* A pool whose blocks are pieces of queues; each has at least GA_FRAME_BUFFER_BYTES, so they serve
 * to encode a frame in, too. NULL when the system has no memory. */
struct ga_block_pool *ga_send_pool_new(void);

/* Begin a queue to the stream socket fd, which stays the caller's. Returns 0 or -ENOMEM. */
int ga_send_queue_init(struct ga_send_queue *queue, int fd, struct ga_block_pool *pool);

/* Drop what is queued. */
void ga_send_queue_fini(struct ga_send_queue *queue);

/* Send a frame of at most GA_FRAME_BUFFER_BYTES, after all that was sent before. Never waits.
 * Returns 0 when it is sent; 1 when the queue was empty and no longer is, so that somebody must
 * begin to flush it; -ENOMEM when the queue is full, and nothing of the frame is sent; -ENOTCONN
 * when the connection is gone; -EBADF when that is because fd is not what it was, once.
 * Thread-safe.
 */
int ga_send_queue_send(struct ga_send_queue *queue, const uint8_t *frame, size_t nbytes);

/* Put into the socket what it takes of the oldest piece. Returns 0 when nothing is left, 1 when
 * something is, -ENOTCONN or -EBADF as ga_send_queue_send. Thread-safe. */
int ga_send_queue_flush(struct ga_send_queue *queue);

/* Drop what is queued, and send nothing more. Thread-safe. */
void ga_send_queue_end(struct ga_send_queue *queue);

/* After ga_send_queue_end, when fd is another connection: send again. Returns 0 or -ENOMEM.
 * Thread-safe. */
int ga_send_queue_resume(struct ga_send_queue *queue);

#endif

/* The queue of bytes to the server: a list of chunks, filled at the last, sent from the first. The
 * stream has no borders that matter here, but a frame is put into one chunk, so that it needs at
 * most one new chunk, which is there before its first byte is sent: half a frame can never be
 * followed by anything but its other half. While the queue is empty it keeps one empty chunk, into
 * which the rest of a frame that the socket took in part always fits.
 *
 * The lock is held while the socket takes bytes, which never waits. It makes one order of all that
 * is sent. */
#include "client/send_queue.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "proto/frame.h"

#define CHUNK_BYTES (128u * 1024u - 64u)

struct ga_send_chunk {
    struct ga_send_chunk *next;
    size_t start, end; /* of the bytes not yet sent */
    uint8_t bytes[CHUNK_BYTES];
};

static_assert(sizeof(struct ga_send_chunk) <= 128u * 1024u, "a chunk fits in OS pages");
static_assert(CHUNK_BYTES >= GA_FRAME_BUFFER_BYTES, "a frame fits in a chunk");

struct ga_block_pool *ga_send_pool_new(void)
{
    return ga_block_pool_new(sizeof(struct ga_send_chunk));
}

static struct ga_send_chunk *new_chunk(struct ga_send_queue *queue)
{
    struct ga_send_chunk *chunk = ga_block_pool_get(queue->pool);
    if (!chunk)
        return NULL;
    chunk->next = NULL;
    chunk->start = chunk->end = 0;
    return chunk;
}

static void free_chunk(struct ga_send_queue *queue, struct ga_send_chunk *chunk)
{
    ga_block_pool_put(queue->pool, chunk, offsetof(struct ga_send_chunk, bytes) + chunk->end);
}

int ga_send_queue_init(struct ga_send_queue *queue, int fd, struct ga_block_pool *pool)
{
    *queue = (struct ga_send_queue){
        .lock = PTHREAD_MUTEX_INITIALIZER, .own = ga_own_fd_of(fd), .pool = pool};
    queue->first = queue->last = new_chunk(queue);
    if (queue->first)
        return 0;
    pthread_mutex_destroy(&queue->lock);
    return -ENOMEM;
}

/* With the lock held. */
static void drop_chunks(struct ga_send_queue *queue)
{
    while (queue->first) {
        struct ga_send_chunk *chunk = queue->first;
        queue->first = chunk->next;
        free_chunk(queue, chunk);
    }
    queue->last = NULL;
    queue->queued_bytes = 0;
}

void ga_send_queue_fini(struct ga_send_queue *queue)
{
    drop_chunks(queue);
    pthread_mutex_destroy(&queue->lock);
}

/* Send what the socket takes. Returns 0 and how much that was; -ENOTCONN when the connection is
 * gone. Then both directions are shut, so that the library's thread, which alone ends the channel,
 * finds out as well, after the last bytes that the server sent. -EBADF when the program has closed
 * the descriptor: then its number is left alone. */
static int send_some(struct ga_send_queue *queue, const uint8_t *bytes, size_t nbytes,
                     size_t *ret_nsent)
{
    if (!ga_own_fd_is_ours(&queue->own)) {
        queue->ended = true;
        drop_chunks(queue);
        return -EBADF;
    }
    ssize_t nsent;
    do
        nsent = send(queue->own.fd, bytes, nbytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (nsent < 0 && errno == EINTR);
    if (nsent >= 0) {
        *ret_nsent = (size_t)nsent;
        return 0;
    }
    if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) {
        *ret_nsent = 0;
        return 0;
    }
    queue->ended = true;
    drop_chunks(queue);
    shutdown(queue->own.fd, SHUT_RDWR);
    return -ENOTCONN;
}

/* Put bytes behind what is queued. Returns 0, or -ENOMEM and the queue is as before. */
static int append(struct ga_send_queue *queue, const uint8_t *bytes, size_t nbytes)
{
    if (nbytes > GA_SEND_QUEUE_MAX_BYTES - queue->queued_bytes)
        return -ENOMEM;
    if (nbytes > CHUNK_BYTES - queue->last->end) {
        struct ga_send_chunk *chunk = new_chunk(queue);
        if (!chunk)
            return -ENOMEM;
        queue->last->next = chunk;
        queue->last = chunk;
    }
    memcpy(queue->last->bytes + queue->last->end, bytes, nbytes);
    queue->last->end += nbytes;
    queue->queued_bytes += nbytes;
    return 0;
}

static int send_locked(struct ga_send_queue *queue, const uint8_t *frame, size_t nbytes)
{
    if (queue->ended)
        return -ENOTCONN;
    if (queue->queued_bytes > 0)
        return append(queue, frame, nbytes);

    size_t nsent;
    int r = send_some(queue, frame, nbytes, &nsent);
    if (r < 0 || nsent == nbytes)
        return r;
    r = append(queue, frame + nsent, nbytes - nsent);
    assert(r == 0);
    return 1;
}

int ga_send_queue_send(struct ga_send_queue *queue, const uint8_t *frame, size_t nbytes)
{
    assert(nbytes <= GA_FRAME_BUFFER_BYTES);
    pthread_mutex_lock(&queue->lock);
    int r = send_locked(queue, frame, nbytes);
    pthread_mutex_unlock(&queue->lock);
    return r;
}

static int flush_locked(struct ga_send_queue *queue)
{
    if (queue->ended)
        return -ENOTCONN;
    if (queue->queued_bytes == 0)
        return 0;

    struct ga_send_chunk *chunk = queue->first;
    size_t nsent;
    int r = send_some(queue, chunk->bytes + chunk->start, chunk->end - chunk->start, &nsent);
    if (r < 0)
        return r;
    chunk->start += nsent;
    queue->queued_bytes -= nsent;
    if (chunk->start == chunk->end && chunk->next) {
        queue->first = chunk->next;
        free_chunk(queue, chunk);
    } else if (chunk->start == chunk->end) {
        chunk->start = chunk->end = 0;
    }
    return queue->queued_bytes > 0;
}

int ga_send_queue_flush(struct ga_send_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    int r = flush_locked(queue);
    pthread_mutex_unlock(&queue->lock);
    return r;
}

void ga_send_queue_end(struct ga_send_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->ended = true;
    drop_chunks(queue);
    pthread_mutex_unlock(&queue->lock);
}

int ga_send_queue_resume(struct ga_send_queue *queue)
{
    int r = 0;
    pthread_mutex_lock(&queue->lock);
    if (!queue->first)
        queue->first = queue->last = new_chunk(queue);
    if (!queue->first)
        r = -ENOMEM;
    else
        queue->ended = false;
    queue->own = ga_own_fd_of(queue->own.fd);
    pthread_mutex_unlock(&queue->lock);
    return r;
}

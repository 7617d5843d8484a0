/* The control channel to goallocd: a Unix stream socket served by a libuv loop on a thread of the
 * library. Any thread may call; replies are matched by id; what the server asks on its own (notes)
 * is handed to a callback on the library's thread. */
#ifndef GA_CLIENT_CHANNEL_H
#define GA_CLIENT_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "proto/message.h"

#define GA_CHANNEL_ERROR_BYTES 512

struct ga_channel;

/* How a connection that has ended is made anew. All is called on the library's thread, with the
 * channel's data. Where it says ret_why, a sentence is left there if it fails. */
struct ga_channel_revival {
    /* Whether there is sense in trying: 0; -EAGAIN, later; another error: never again. */
    int (*prepare)(char ret_why[static GA_CHANNEL_ERROR_BYTES], void *data);
    /* Nobody listens at the socket: start a server. 0 if somebody does now. */
    int (*start_server)(char ret_why[static GA_CHANNEL_ERROR_BYTES], void *data);
    /* Look who serves at the new connection fd, and make the request by which it is told who we
     * are; its body lasts until judge. 0, or -EAGAIN where this is not the one. */
    int (*introduce)(int fd, Goalloc__V1__Envelope *request,
                     char ret_why[static GA_CHANNEL_ERROR_BYTES], void *data);
    /* What its answer means: 0; -EAGAIN, to be tried again later; another error: it will never be.
     */
    int (*judge)(const Goalloc__V1__Envelope *answer, char ret_why[static GA_CHANNEL_ERROR_BYTES],
                 void *data);
    /* Calls and notes go through again. It may send notes. */
    void (*revived)(void *data);
    /* No connection for as long as a call may take (once each time it is lost), or never again. */
    void (*absent)(const char *why, bool for_ever, void *data);
};

struct ga_channel_options {
    uint32_t timeout_ms;     /* how long a call, the connection included, may take; 0 = 5000 */
    const char *client_name; /* told to the server; NULL = the program's short name */
    /* A note from the server (a message with id 0), valid during the call; NULL = ignore notes.
     * On the library's thread, perhaps before ga_channel_open has returned. It may send notes, but
     * must neither make calls on the channel nor close it. */
    void (*on_note)(const Goalloc__V1__Envelope *note, void *data);
    /* The connection has ended and not by ga_channel_close; calls and notes fail from now on. On
     * the library's thread, once; it must not close the channel. NULL is allowed. */
    void (*on_lost)(void *data);
    /* Sees each reply before its caller does; wanted: not so those whose callers have given up. On
     * the library's thread; it may send notes, and nothing else on the channel. NULL is allowed. */
    void (*on_reply)(const Goalloc__V1__Envelope *reply, bool wanted, void *data);
    /* A connection that ends is made anew: then on_lost is not called, and calls wait for the next
     * connection, as long as they may take, and are sent again. NULL = it stays lost. It and the
     * socket's path must last as long as the channel. */
    const struct ga_channel_revival *revival;
    void *data;
};

/* A reply and the memory its message lies in; it stays until ga_reply_release, also when its
 * channel has been closed. */
struct ga_reply;

/* Connect to socket_path and agree on a protocol version (Hello, Welcome). Starts the library's
 * thread, with all signals blocked. Returns 0 and *ret; or -ENOENT, -ECONNREFUSED, -EACCES,
 * -ENAMETOOLONG, -ETIMEDOUT, -EPROTO (no common version, or the other side does not speak this
 * protocol), -ENOTCONN (it ended the connection without an answer), what the server refused with,
 * or another negative errno; then ret_error holds a sentence that names the socket and what is
 * wrong. */
int ga_channel_open(const char *socket_path, const struct ga_channel_options *options,
                    char ret_error[static GA_CHANNEL_ERROR_BYTES], struct ga_channel **ret);

/* What the server said of itself when the channel was opened; valid until ga_channel_close. */
const char *ga_channel_heap_name(const struct ga_channel *ch);
const char *ga_channel_server_version(const struct ga_channel *ch);

/* The file descriptor of the socket (SO_PEERCRED tells who serves). */
int ga_channel_fd(const struct ga_channel *ch);

/* Send request (its id is filled in here) and wait for the reply, which must be of body case
 * expected. Where the connection ends meanwhile and can be made anew, it is sent again, with
 * first_id, until the time is over. Returns 0 and *ret_reply; a negative errno that the server sent
 * (Failure); -ETIMEDOUT, and a reply that comes later is dropped; -ENOTCONN when the connection is
 * gone for good; -EPROTO for a reply of another kind, or when the connection ends now because what
 * the server sends is malformed; -EMSGSIZE or -EINVAL when the request cannot be encoded
 * (proto/message.h); -ENOMEM, and then nothing was sent: memory for the answer is taken before.
 * ret_detail, where not NULL, has GA_CHANNEL_ERROR_BYTES and receives a sentence for each error:
 * the server's own if it sent one. Thread-safe. */
int ga_channel_call(struct ga_channel *ch, Goalloc__V1__Envelope *request,
                    Goalloc__V1__Envelope__BodyCase expected, char *ret_detail,
                    struct ga_reply **ret_reply);

/* The same for a request that may take its time: waits for timeout_ms, however long a call may take
 * otherwise; GA_CHANNEL_FOR_EVER: until the reply comes, but no longer without a connection than a
 * call may take (-ETIMEDOUT). After -ETIMEDOUT the request's id is still filled in, so that the
 * server can be told. */
#define GA_CHANNEL_FOR_EVER UINT32_MAX
int ga_channel_call_within(struct ga_channel *ch, Goalloc__V1__Envelope *request,
                           uint32_t timeout_ms, Goalloc__V1__Envelope__BodyCase expected,
                           char *ret_detail, struct ga_reply **ret_reply);

/* The same for a request that must not be sent twice, nor wait for a connection: where there is
 * none, or it ends before the answer, -ENOTCONN. */
int ga_channel_call_once(struct ga_channel *ch, Goalloc__V1__Envelope *request,
                         Goalloc__V1__Envelope__BodyCase expected, char *ret_detail,
                         struct ga_reply **ret_reply);

/* The same, until deadline (CLOCK_MONOTONIC). */
int ga_channel_call_once_until(struct ga_channel *ch, Goalloc__V1__Envelope *request,
                               const struct timespec *deadline,
                               Goalloc__V1__Envelope__BodyCase expected, char *ret_detail,
                               struct ga_reply **ret_reply);

/* Wait until there is a connection. Returns 0; -ETIMEDOUT; -ENOTCONN when there never will be.
 * deadline: on CLOCK_MONOTONIC. Thread-safe. */
int ga_channel_await(struct ga_channel *ch, const struct timespec *deadline);

/* on_reply is not called any more when this returns. Not on the library's thread. */
void ga_channel_stop_on_reply(struct ga_channel *ch);

const Goalloc__V1__Envelope *ga_reply_message(const struct ga_reply *reply);
void ga_reply_release(struct ga_reply *reply); /* NULL is allowed */

/* Send a note (id 0) and do not wait, not even for a server that does not read: then it is queued.
 * Notes and calls of one thread arrive in their order. Returns 0; -ENOTCONN; -EMSGSIZE or -EINVAL
 * as ga_channel_call; -ENOMEM when the queue is full (send_queue.h). Thread-safe. */
int ga_channel_note(struct ga_channel *ch, Goalloc__V1__Envelope *note);

/* The same, and wait until all that is queued has been sent, this note last; until deadline
 * (CLOCK_MONOTONIC), and then -ETIMEDOUT. For the library's thread while it does not serve the
 * socket. */
int ga_channel_note_sent(struct ga_channel *ch, Goalloc__V1__Envelope *note,
                         const struct timespec *deadline);

/* In a child of fork: close the descriptors that the channel had in the parent, and nothing else;
 * its thread does not exist here, and its locks may be held for ever. ch must not be used again;
 * its memory is not taken back. NULL is allowed. */
void ga_channel_abandon(struct ga_channel *ch);

/* Send what is queued, but for no longer than a call may take; then end the connection and the
 * thread. No other thread may use ch meanwhile. NULL is allowed. */
void ga_channel_close(struct ga_channel *ch);

#endif

/* The channel as its callers see it: opening, calling, noting, closing. A call is entered among
 * those that wait, sent from the calling thread, and completed by the library's thread
 * (channel_loop.c), which alone reads. All memory is mapped for the channel, none comes from the
 * process's malloc; only libuv, when a channel is opened, still uses that. */
#include "client/channel.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/busy.h"
#include "client/channel_internal.h"
#include "client/connect.h"
#include "client/deadline.h"
#include "client/handshake.h"
#include "client/uncancelled.h"
#include "proto/error.h"

#define DEFAULT_TIMEOUT_MS 5000

/* A frame of this size is encoded on the caller's stack, which may be a small one; almost all
 * requests and notes are. */
#define SMALL_FRAME_BYTES 1024

static struct ga_channel *new_channel(const struct ga_channel_options *options)
{
    struct ga_channel *ch = mmap(NULL, sizeof(*ch), PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (ch == MAP_FAILED)
        return NULL;
    ch->fd = -1;
    ch->own_socket = GA_OWN_FD_NONE;
    ch->timeout_ms = options->timeout_ms ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
    ch->on_note = options->on_note;
    ch->on_lost = options->on_lost;
    ch->on_reply = options->on_reply;
    ch->revival = options->revival;
    ch->client_name = options->client_name;
    ch->data = options->data;
    atomic_init(&ch->new_fd, -1);
    ch->reply_pool = ga_reply_pool_new();
    ch->send_pool = ga_send_pool_new();
    ga_calls_init(&ch->calls, GA_HANDSHAKE_ID);
    ga_channel_watch_replies(ch);
    ga_frame_reader_init(&ch->reader, ch->read_buffer);
    return ch;
}

static void close_socket(struct ga_channel *ch)
{
    if (!ga_own_fd_is_ours(&ch->own_socket))
        return;
    /* A child forked by the host program may still have the descriptor: end the connection for it
     * as well. */
    shutdown(ch->fd, SHUT_RDWR);
    close(ch->fd);
}

/* Free ch, which has no thread and no queue. */
static void free_channel(struct ga_channel *ch)
{
    ga_reply_release(ch->spare);
    close_socket(ch);
    ga_calls_fini(&ch->calls);
    ga_block_pool_close(ch->send_pool);
    ga_block_pool_close(ch->reply_pool); /* stays as long as a caller keeps a reply */
    munmap(ch, sizeof(*ch));
}

static int greet(struct ga_channel *ch, const char *socket_path, const char *client_name,
                 char ret_error[static GA_CHANNEL_ERROR_BYTES])
{
    struct timespec deadline = ga_deadline_in(ch->timeout_ms);
    int r = ga_connect(socket_path, &deadline, ret_error, &ch->fd);
    ch->own_socket = ga_own_fd_of(ch->fd);
    if (r == 0)
        r = ga_handshake(ch->fd, socket_path, client_name, &deadline, &ch->reader, ch->spare,
                         ret_error);
    if (r < 0)
        return r;
    const Goalloc__V1__Welcome *welcome = ch->spare->message->welcome;
    snprintf(ch->heap_name, sizeof(ch->heap_name), "%s", welcome->heap_name);
    snprintf(ch->server_version, sizeof(ch->server_version), "%s", welcome->server_version);
    return 0;
}

int ga_channel_open(const char *socket_path, const struct ga_channel_options *options,
                    char ret_error[static GA_CHANNEL_ERROR_BYTES], struct ga_channel **ret)
{
    int r = -ENOMEM;
    struct ga_channel *ch = new_channel(options);
    if (!ch)
        goto fail_new;
    ch->socket_path = socket_path;
    if (ch->reply_pool && ch->send_pool)
        ch->spare = ga_reply_new(ch->reply_pool);
    if (!ch->spare)
        goto fail_spare;
    r = greet(ch, socket_path, options->client_name, ret_error);
    if (r < 0) {
        free_channel(ch);
        return r;
    }
    r = ga_send_queue_init(&ch->queue, ch->fd, ch->send_pool);
    if (r < 0)
        goto fail_queue;
    r = ga_channel_start_loop(ch);
    if (r < 0)
        goto fail_loop;
    *ret = ch;
    return 0;

fail_loop:
    ga_send_queue_fini(&ch->queue);
fail_queue:
fail_spare:
    free_channel(ch);
fail_new:
    snprintf(ret_error, GA_CHANNEL_ERROR_BYTES, "%s: cannot serve the connection: %s", socket_path,
             strerrordesc_np(-r));
    return r;
}

void ga_channel_close(struct ga_channel *ch)
{
    if (!ch)
        return;
    if (!ga_channel_end_loop(ch)) {
        close_socket(ch);
        return;
    }
    ga_send_queue_fini(&ch->queue);
    free_channel(ch);
}

void ga_channel_abandon(struct ga_channel *ch)
{
    if (!ch)
        return;
    /* What uv_loop_close would close, but that needs the loop in a state that is known. */
    const struct ga_own_fd *const own[] = {&ch->own_socket, &ch->own_pipe[0], &ch->own_pipe[1],
                                           &ch->own_epoll, &ch->own_wake};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        ga_own_fd_close(own[i]);
    if (!atomic_load(&ch->marked)) { /* its thread had only just begun */
        close(ch->loop.backend_fd);
        close(ch->loop.async_io_watcher.fd);
    }
    int new_fd = atomic_load(&ch->new_fd);
    if (new_fd >= 0)
        close(new_fd);
}

const char *ga_channel_heap_name(const struct ga_channel *ch)
{
    return ch->heap_name;
}

const char *ga_channel_server_version(const struct ga_channel *ch)
{
    return ch->server_version;
}

int ga_channel_fd(const struct ga_channel *ch)
{
    return ch->fd;
}

/* Encode into buffer and send. Returns 0 or a negative errno. */
static int send_encoded(struct ga_channel *ch, const Goalloc__V1__Envelope *message,
                        uint8_t *buffer, size_t capacity_bytes)
{
    size_t nbytes;
    int r = ga_message_encode(message, buffer, capacity_bytes, &nbytes);
    if (r < 0)
        return r;
    r = ga_send_queue_send(&ch->queue, buffer, nbytes);
    if (r == -EBADF) {
        ga_channel_disown(ch);
        return -ENOTCONN;
    }
    if (r <= 0)
        return r;
    ga_channel_wake(ch);
    return 0;
}

static int send_message(struct ga_channel *ch, const Goalloc__V1__Envelope *message)
{
    uint8_t small[SMALL_FRAME_BYTES];
    int r = send_encoded(ch, message, small, sizeof(small));
    if (r != -EMSGSIZE)
        return r;
    uint8_t *large = ga_block_pool_get(ch->send_pool);
    if (!large)
        return -ENOMEM;
    r = send_encoded(ch, message, large, GA_FRAME_BUFFER_BYTES);
    ga_block_pool_put(ch->send_pool, large, GA_FRAME_BUFFER_BYTES);
    return r;
}

/* *reply is empty; the reply if 0 is returned, and otherwise empty again. */
static int send_and_wait(struct ga_channel *ch, Goalloc__V1__Envelope *request,
                         const struct timespec *deadline, struct ga_reply **reply)
{
    struct ga_pending_call call;
    int r = ga_calls_begin(&ch->calls, &call, *reply);
    if (r < 0)
        return r;
    request->id = call.id;
    r = send_message(ch, request);
    if (r < 0) {
        ga_calls_cancel(&ch->calls, &call);
    } else {
        uint8_t before = ga_busy_begin_wait(&call.done);
        r = ga_calls_wait(&ch->calls, &call, deadline);
        ga_busy_end_wait(before);
    }
    *reply = call.reply;
    return r;
}

/* Wait until the link is no more as it was seen. */
static int wait_for_change(struct ga_channel *ch, uint32_t seen, const struct timespec *deadline)
{
    uint8_t before = ga_busy_begin_wait(NULL);
    int r = ga_link_wait(&ch->link, seen, deadline);
    ga_busy_end_wait(before);
    return r;
}

/* Send request and wait, again and again as long as the connection ends before the answer. A call
 * without a limit has one as long as there is no connection. *reply as for send_and_wait. */
static int send_until_answered(struct ga_channel *ch, Goalloc__V1__Envelope *request,
                               uint32_t timeout_ms, struct ga_reply **reply)
{
    bool for_ever = timeout_ms == GA_CHANNEL_FOR_EVER;
    struct timespec end = ga_deadline_in(for_ever ? ch->timeout_ms : timeout_ms);
    uint64_t first_id = 0;
    for (;;) {
        int r = ga_channel_await(ch, &end);
        if (r < 0)
            return r;
        uint32_t link = ga_link_look(&ch->link);
        request->id = 0;
        request->first_id = first_id;
        r = send_and_wait(ch, request, for_ever ? NULL : &end, reply);
        if (r != -ENOTCONN || !ch->revival)
            return r;
        first_id = first_id ? first_id : request->id;
        if (for_ever)
            end = ga_deadline_in(ch->timeout_ms);
        r = wait_for_change(ch, link, &end);
        if (r < 0)
            return r;
    }
}

/* Once; by a caller, since the library's thread may never wake again. */
static void tell_disowned(struct ga_channel *ch)
{
    if (ch->revival && atomic_load(&ch->disowned) && !atomic_exchange(&ch->told_over, true))
        ch->revival->absent(GA_CHANNEL_DISOWNED_TEXT, true, ch->data);
}

int ga_channel_await(struct ga_channel *ch, const struct timespec *deadline)
{
    for (;;) {
        uint32_t link = ga_link_look(&ch->link);
        if (ga_link_state_of(link) == GA_LINK_UP)
            return 0;
        if (ga_link_state_of(link) == GA_LINK_OVER) {
            tell_disowned(ch);
            return -ENOTCONN;
        }
        ga_link_begin_waiting(&ch->link);
        ga_channel_wake(ch);
        int r = wait_for_change(ch, link, deadline);
        ga_link_end_waiting(&ch->link);
        if (r < 0)
            return r;
    }
}

void ga_channel_stop_on_reply(struct ga_channel *ch)
{
    ga_calls_stop_on_reply(&ch->calls);
}

int ga_channel_call(struct ga_channel *ch, Goalloc__V1__Envelope *request,
                    Goalloc__V1__Envelope__BodyCase expected, char *ret_detail,
                    struct ga_reply **ret_reply)
{
    return ga_channel_call_within(ch, request, ch->timeout_ms, expected, ret_detail, ret_reply);
}

/* What became of a call: r; where that is 0 reply is what was answered. Returns as
 * ga_channel_call. */
static int conclude(int r, struct ga_reply *reply, Goalloc__V1__Envelope__BodyCase expected,
                    char *ret_detail, struct ga_reply **ret_reply)
{
    if (r == 0 && reply->message->body_case == expected) {
        *ret_reply = reply;
        return 0;
    }
    const char *detail = "";
    if (r == 0 && reply->message->body_case == GOALLOC__V1__ENVELOPE__BODY_FAILURE) {
        r = ga_error_from_wire(reply->message->failure->code);
        detail = reply->message->failure->detail;
    } else if (r == 0) {
        r = -EPROTO;
        detail = "The server answered with another kind of message than the request asks for.";
    }
    if (ret_detail)
        snprintf(ret_detail, GA_CHANNEL_ERROR_BYTES, "%s", detail[0] ? detail : ga_error_text(r));
    ga_reply_release(reply);
    return r;
}

int ga_channel_call_within(struct ga_channel *ch, Goalloc__V1__Envelope *request,
                           uint32_t timeout_ms, Goalloc__V1__Envelope__BodyCase expected,
                           char *ret_detail, struct ga_reply **ret_reply)
{
    GA_UNCANCELLED; /* or the thread would take a lock with it, or a call that is waited for */
    struct ga_reply *reply = ga_reply_new(ch->reply_pool);
    int r = reply ? send_until_answered(ch, request, timeout_ms, &reply) : -ENOMEM;
    return conclude(r, reply, expected, ret_detail, ret_reply);
}

int ga_channel_call_once_until(struct ga_channel *ch, Goalloc__V1__Envelope *request,
                               const struct timespec *deadline,
                               Goalloc__V1__Envelope__BodyCase expected, char *ret_detail,
                               struct ga_reply **ret_reply)
{
    GA_UNCANCELLED;
    struct ga_reply *reply = ga_reply_new(ch->reply_pool);
    int r = reply ? send_and_wait(ch, request, deadline, &reply) : -ENOMEM;
    return conclude(r, reply, expected, ret_detail, ret_reply);
}

int ga_channel_call_once(struct ga_channel *ch, Goalloc__V1__Envelope *request,
                         Goalloc__V1__Envelope__BodyCase expected, char *ret_detail,
                         struct ga_reply **ret_reply)
{
    struct timespec end = ga_deadline_in(ch->timeout_ms);
    return ga_channel_call_once_until(ch, request, &end, expected, ret_detail, ret_reply);
}

int ga_channel_note(struct ga_channel *ch, Goalloc__V1__Envelope *note)
{
    GA_UNCANCELLED;
    note->id = 0;
    return send_message(ch, note);
}

int ga_channel_note_sent(struct ga_channel *ch, Goalloc__V1__Envelope *note,
                         const struct timespec *deadline)
{
    int r = ga_channel_note(ch, note);
    while (r == 0 && (r = ga_send_queue_flush(&ch->queue)) > 0) {
        struct pollfd socket = {.fd = ch->fd, .events = POLLOUT};
        int left_ms = ga_deadline_left_ms(deadline);
        r = left_ms == 0 ? -ETIMEDOUT : 0;
        if (r == 0)
            (void)poll(&socket, 1, left_ms);
    }
    return r;
}

/* The library's thread. It runs a libuv loop with the socket (uv_poll: the socket is read and
 * written here, not by libuv's streams, which allocate for each write), a wake-up for the other
 * threads, and a timer that bounds the sending at the end.
 *
 * Other threads write to the socket themselves as long as it takes all; the wake-up is for what it
 * did not take, and for the end. What this thread does to calls and queue is guarded by their
 * locks, none of which is held while a callback runs.
 *
 * The connection ends in one place, lose: when the stream ends or fails, or when what comes is
 * malformed, for after that nobody knows what the server meant. A thread whose send fails shuts the
 * socket, which shows up here as the end of the stream. Where the connection is to be made anew,
 * that is tried here (revive.c): at once, then after 10 ms, then twice as long each time up to half
 * a second, or 50 ms while somebody waits; and at once, whatever the time, when somebody begins to.
 */
#include "client/channel_internal.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "client/deadline.h"
#include "client/leak_root.h"
#include "client/managed_stop.h"

#define RETRY_FIRST_MS 10u
#define RETRY_MOST_MS  500u
#define RETRY_SOON_MS  50u

static void on_retry(uv_timer_t *timer);

static bool owns_loop(const struct ga_channel *ch)
{
    /* Pairs with the release in mark_loop. */
    if (!atomic_load_explicit(&ch->marked, memory_order_acquire))
        return true; /* the thread is just beginning */
    return ga_own_fd_is_ours(&ch->own_epoll) && ga_own_fd_is_ours(&ch->own_wake);
}

/* On the library's thread, which is the mark. */
static void mark_loop(struct ga_channel *ch)
{
    atomic_store(&ch->thread_id, gettid());
    ch->own_epoll = ga_own_fd_mark(ch->loop.backend_fd);
    ch->own_wake = ga_own_fd_mark(ch->loop.async_io_watcher.fd);
    /* Pairs with the acquire in owns_loop. */
    atomic_store_explicit(&ch->marked, true, memory_order_release);
}

void ga_channel_wake(struct ga_channel *ch)
{
    if (owns_loop(ch))
        uv_async_send(&ch->wake);
    else
        ga_channel_disown(ch);
}

void ga_channel_disown(struct ga_channel *ch)
{
    atomic_store(&ch->disowned, true);
    ga_link_set(&ch->link, GA_LINK_OVER);
    ga_send_queue_end(&ch->queue);
    bool replying = atomic_load(&ch->thread_id) == gettid() && ch->replying;
    if (!replying) /* else this thread has their lock, and complete does it */
        ga_calls_end(&ch->calls, -ENOTCONN);
}

/* The connection is gone; waiting calls get error. */
static void lose(struct ga_channel *ch, int error)
{
    ch->lost = true;
    uv_poll_stop(&ch->poll);
    if (ga_own_fd_is_ours(&ch->own_socket))
        shutdown(ch->fd, SHUT_RDWR);
    /* Before calls end, so that who is told finds that it has changed. */
    ga_link_set(&ch->link, ch->revival ? GA_LINK_DOWN : GA_LINK_OVER);
    ga_send_queue_end(&ch->queue);
    ga_calls_end(&ch->calls, error);
    /* Pairs with the release in ga_channel_end_loop. */
    if (atomic_load_explicit(&ch->closing, memory_order_acquire))
        return;
    if (ch->revival) {
        ch->told = false;
        ch->told_after = ga_deadline_in(ch->timeout_ms);
        ch->retry_ms = RETRY_FIRST_MS;
        uv_timer_start(&ch->retry, on_retry, 0, 0);
    } else if (ch->on_lost) {
        ch->on_lost(ch->data);
    }
}

static void watch_reply(const struct ga_reply *reply, bool wanted, void *data)
{
    struct ga_channel *ch = data;
    ch->replying = true;
    ch->on_reply(reply->message, wanted, ch->data);
    ch->replying = false;
}

void ga_channel_watch_replies(struct ga_channel *ch)
{
    ch->calls.data = ch;
    ch->calls.on_reply = ch->on_reply ? watch_reply : NULL;
}

static void complete(struct ga_channel *ch, uint64_t id)
{
    ga_calls_complete(&ch->calls, id, &ch->spare);
    if (atomic_load(&ch->disowned))
        ga_calls_end(&ch->calls, -ENOTCONN);
}

/* Hand on the message in spare. A call that gets it has brought the next spare. */
static void deliver(struct ga_channel *ch)
{
    const Goalloc__V1__Envelope *message = ch->spare->message;
    if (message->id != 0)
        complete(ch, message->id);
    else if (ch->on_note)
        ch->on_note(message, ch->data);
}

/* Hand on each whole message received. Returns 0, or -EPROTO when what came is malformed. */
static int deliver_received(struct ga_channel *ch)
{
    const uint8_t *payload;
    size_t payload_bytes;
    int r;
    while ((r = ga_frame_reader_next(&ch->reader, &payload, &payload_bytes)) > 0) {
        if (ga_reply_decode(ch->spare, payload, payload_bytes) < 0)
            return -EPROTO;
        deliver(ch);
    }
    return r < 0 ? -EPROTO : 0;
}

/* Read once and hand on what came. Returns 1; 0 when there is nothing to read now; -EPROTO;
 * -ENOTCONN when the stream has ended. */
static int receive(struct ga_channel *ch)
{
    size_t room;
    uint8_t *space = ga_frame_reader_space(&ch->reader, &room);
    ssize_t n = recv(ch->fd, space, room, MSG_DONTWAIT);
    if (n > 0) {
        ga_frame_reader_filled(&ch->reader, (size_t)n);
        int r = deliver_received(ch);
        return r < 0 ? r : 1;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return -ENOTCONN;
}

static void end_loop(struct ga_channel *ch)
{
    if (uv_is_closing((uv_handle_t *)&ch->wake))
        return;
    uv_close((uv_handle_t *)&ch->wake, NULL);
    uv_close((uv_handle_t *)&ch->poll, NULL);
    uv_close((uv_handle_t *)&ch->closing_limit, NULL);
    uv_close((uv_handle_t *)&ch->retry, NULL);
}

static void on_closing_limit(uv_timer_t *timer)
{
    end_loop(timer->data);
}

static void on_poll(uv_poll_t *poll, int status, int events);

/* Send what is queued and say what the socket is to be watched for; at the end, stop when nothing
 * is left to send. */
static void flush(struct ga_channel *ch)
{
    int waiting = ch->lost ? 0 : ga_send_queue_flush(&ch->queue);
    if (waiting == -EBADF)
        ga_channel_disown(ch);
    /* Pairs with the release in ga_channel_end_loop. */
    if (atomic_load_explicit(&ch->closing, memory_order_acquire)) {
        if (waiting <= 0) {
            end_loop(ch);
            return;
        }
        if (!uv_is_active((uv_handle_t *)&ch->closing_limit))
            uv_timer_start(&ch->closing_limit, on_closing_limit, ch->timeout_ms, 0);
    }
    int events = UV_READABLE | (waiting > 0 ? UV_WRITABLE : 0);
    if (!ch->lost && events != ch->poll_events) {
        ch->poll_events = events;
        uv_poll_start(&ch->poll, events, on_poll);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct ga_channel *ch = poll->data;
    if (!ga_own_fd_is_ours(&ch->own_socket)) {
        ch->lost = true;
        uv_poll_stop(&ch->poll);
        ga_channel_disown(ch);
        return;
    }
    /* An error on the socket comes once and stops the watching, so all that is left is read. */
    if (status < 0 || (events & UV_READABLE)) {
        int r;
        do
            r = receive(ch);
        while (r > 0 && status < 0);
        if (r == 0 && status < 0)
            r = -ENOTCONN;
        if (r < 0)
            lose(ch, r);
    }
    if (ch->poll_events & UV_WRITABLE)
        flush(ch);
}

/* ---- a new connection ---- */

static void resume(struct ga_channel *ch)
{
    ch->lost = false;
    ch->poll_events = UV_READABLE;
    uv_poll_start(&ch->poll, ch->poll_events, on_poll);
    ga_calls_resume(&ch->calls);
    ga_link_set(&ch->link, GA_LINK_UP);
    ch->revival->revived(ch->data);
    /* What came together with the last answer is here already, and no event will tell of it. */
    int r = deliver_received(ch);
    if (r < 0)
        lose(ch, r);
}

static void give_up(struct ga_channel *ch)
{
    /* Before those who wait go on. */
    if (!atomic_exchange(&ch->told_over, true))
        ch->revival->absent(ch->why, true, ch->data);
    ga_link_set(&ch->link, GA_LINK_OVER);
}

static void try_again(struct ga_channel *ch)
{
    int r = ga_channel_revive(ch);
    if (r == 0) {
        resume(ch);
        return;
    }
    if (r != -EAGAIN) {
        give_up(ch);
        return;
    }
    if (!ch->told && ga_deadline_left_ms(&ch->told_after) == 0) {
        ch->told = true;
        ch->revival->absent(ch->why, false, ch->data);
    }
    uint32_t most_ms = ga_link_is_waited_for(&ch->link) ? RETRY_SOON_MS : RETRY_MOST_MS;
    uv_timer_start(&ch->retry, on_retry, ch->retry_ms, 0);
    ch->retry_ms = ch->retry_ms * 2 < most_ms ? ch->retry_ms * 2 : most_ms;
}

static void on_retry(uv_timer_t *timer)
{
    struct ga_channel *ch = timer->data;
    /* Pairs with the release in ga_channel_end_loop: on_wake will end it all. */
    if (!atomic_load_explicit(&ch->closing, memory_order_acquire))
        try_again(ch);
}

static void on_wake(uv_async_t *wake)
{
    struct ga_channel *ch = wake->data;
    flush(ch);
    if (ga_link_take_wanted(&ch->link) && uv_is_active((uv_handle_t *)&ch->retry)) {
        ch->retry_ms = RETRY_FIRST_MS;
        uv_timer_start(&ch->retry, on_retry, 0, 0);
    }
}

static void *run(void *arg)
{
    struct ga_channel *ch = arg;
    ga_stop_set_thread(ch->stop_place, gettid());
    pthread_setname_np(pthread_self(), "goalloc");
    mark_loop(ch);
    /* What came together with the Welcome is here already, and no event will tell of it. */
    int r = deliver_received(ch);
    if (r < 0)
        lose(ch, r);
    uv_run(&ch->loop, UV_RUN_DEFAULT);
    return NULL;
}

/* Start run with all signals blocked: the host program's signals are its own threads' affair.
 * Returns 0 or a negative errno. */
static int start_thread(struct ga_channel *ch)
{
    sigset_t all, before;
    sigfillset(&all);
    ch->stop_place = ga_stop_reserve_place();
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&ch->thread, NULL, run, ch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r == 0)
        ga_stop_set_stack(ch->stop_place, ch->thread);
    else
        ga_stop_free_place(ch->stop_place);
    return -r;
}

int ga_channel_start_loop(struct ga_channel *ch)
{
    int r = uv_loop_init(&ch->loop);
    if (r < 0)
        return r;
    r = uv_async_init(&ch->loop, &ch->wake, on_wake);
    if (r < 0)
        goto fail_async;
    r = uv_poll_init(&ch->loop, &ch->poll, ch->fd);
    if (r < 0)
        goto fail_poll;
    uv_timer_init(&ch->loop, &ch->closing_limit);
    uv_timer_init(&ch->loop, &ch->retry);
    ch->wake.data = ch->poll.data = ch->closing_limit.data = ch->retry.data = ch;

    ch->own_pipe[0] = ga_own_fd_of(ch->loop.signal_pipefd[0]);
    ch->own_pipe[1] = ga_own_fd_of(ch->loop.signal_pipefd[1]);
    ch->poll_events = UV_READABLE;
    r = uv_poll_start(&ch->poll, ch->poll_events, on_poll);
    if (r == 0)
        r = start_thread(ch);
    if (r == 0) {
        ga_leak_root_add(&ch->loop, sizeof(ch->loop)); /* libuv has allocated for it */
        return 0;
    }

    end_loop(ch);
    goto fail_run;
fail_poll:
    uv_close((uv_handle_t *)&ch->wake, NULL);
fail_run:
    uv_run(&ch->loop, UV_RUN_DEFAULT);
fail_async:
    uv_loop_close(&ch->loop);
    return r;
}

/* libuv closes what it has; numbers that the program has for something else are taken from it. The
 * other two were looked at before the thread ended, and their mark with it. */
static void close_loop(struct ga_channel *ch)
{
    for (int i = 0; i < 2; i++)
        if (!ga_own_fd_is_ours(&ch->own_pipe[i]))
            ch->loop.signal_pipefd[i] = -1;
    uv_loop_close(&ch->loop);
}

bool ga_channel_end_loop(struct ga_channel *ch)
{
    /* Pairs with the acquires above. */
    atomic_store_explicit(&ch->closing, true, memory_order_release);
    if (!owns_loop(ch)) {
        pthread_detach(ch->thread);
        return false;
    }
    uv_async_send(&ch->wake);
    pthread_join(ch->thread, NULL);
    ga_stop_free_place(ch->stop_place);
    ga_leak_root_remove(&ch->loop, sizeof(ch->loop));
    close_loop(ch);
    return true;
}

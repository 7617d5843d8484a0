/* A connection in place of one that has ended. It is made as the first was, but on the library's
 * thread, which has nothing else to do meanwhile; then it takes the number of the old one's
 * descriptor, so that whoever sends need not learn of it, and libuv, which keeps a table by
 * descriptor, need not allocate. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "client/channel_internal.h"
#include "client/connect.h"
#include "client/deadline.h"
#include "client/handshake.h"

/* A server that does not answer in this time is asked again, and whoever closes the channel does
 * not wait for longer. */
#define ATTEMPT_MS 2000u

/* Say Hello and who we are. */
static int introduce(struct ga_channel *ch, int fd, const struct timespec *deadline)
{
    const struct ga_channel_revival *revival = ch->revival;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    ga_frame_reader_init(&ch->reader, ch->read_buffer);
    if (ga_handshake(fd, ch->socket_path, ch->client_name, deadline, &ch->reader, ch->spare,
                     ch->why) < 0)
        return -EAGAIN;
    int r = revival->introduce(fd, &request, ch->why, ch->data);
    if (r < 0)
        return r;
    r = ga_handshake_ask(fd, &request, deadline, &ch->reader, ch->spare);
    if (r < 0) {
        snprintf(ch->why, sizeof(ch->why), "%s: the server ended the connection, or was too slow",
                 ch->socket_path);
        return -EAGAIN;
    }
    return revival->judge(ch->spare->message, ch->why, ch->data);
}

static int connect_somewhere(struct ga_channel *ch, const struct timespec *deadline, int *ret_fd)
{
    const struct ga_channel_revival *revival = ch->revival;
    int r = ga_connect(ch->socket_path, deadline, ch->why, ret_fd);
    if ((r == -ENOENT || r == -ECONNREFUSED) && revival->start_server(ch->why, ch->data) == 0)
        r = ga_connect(ch->socket_path, deadline, ch->why, ret_fd);
    return r;
}

int ga_channel_revive(struct ga_channel *ch)
{
    if (!ga_own_fd_is_ours(&ch->own_socket) || atomic_load(&ch->disowned)) {
        snprintf(ch->why, sizeof(ch->why), "%s: " GA_CHANNEL_DISOWNED_TEXT, ch->socket_path);
        return -EBADF;
    }
    int r = ch->revival->prepare(ch->why, ch->data);
    if (r < 0)
        return r;
    struct timespec deadline =
        ga_deadline_in(ch->timeout_ms < ATTEMPT_MS ? ch->timeout_ms : ATTEMPT_MS);
    int fd = -1;
    if (connect_somewhere(ch, &deadline, &fd) < 0)
        return -EAGAIN;
    atomic_store(&ch->new_fd, fd);
    r = introduce(ch, fd, &deadline);
    if (r == 0 && (dup3(fd, ch->fd, O_CLOEXEC) < 0 || ga_send_queue_resume(&ch->queue) < 0)) {
        snprintf(ch->why, sizeof(ch->why), "%s: no memory for a connection", ch->socket_path);
        r = -EAGAIN;
    }
    atomic_store(&ch->new_fd, -1);
    close(fd);
    if (r == 0)
        ch->own_socket = ga_own_fd_of(ch->fd);
    return r;
}

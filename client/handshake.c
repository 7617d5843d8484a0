/* The handshake runs on the thread that opens the channel, before the library's thread is there: a
 * connection that does not come about leaves nothing behind and calls nobody back. */
#include "client/handshake.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "client/deadline.h"
#include "proto/error.h"
#include "proto/text.h"
#include "proto/version.h"

#define CLIENT_NAME_BYTES 64
#define HELLO_BYTES       (GA_FRAME_HEADER_BYTES + CLIENT_NAME_BYTES + 64)
#define ASK_BYTES         256

/* Returns 0 or a negative errno. */
static int say_hello(int fd, const char *client_name)
{
    char name[CLIENT_NAME_BYTES];
    snprintf(name, sizeof(name), "%s", client_name ? client_name : program_invocation_short_name);
    ga_text_clean(name);

    Goalloc__V1__Hello hello = GOALLOC__V1__HELLO__INIT;
    hello.min_version = GA_PROTOCOL_VERSION_MIN;
    hello.max_version = GA_PROTOCOL_VERSION_MAX;
    hello.client_name = name;
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    message.id = GA_HANDSHAKE_ID;
    message.body_case = GOALLOC__V1__ENVELOPE__BODY_HELLO;
    message.hello = &hello;

    uint8_t frame[HELLO_BYTES];
    size_t nbytes;
    int r = ga_message_encode(&message, frame, sizeof(frame), &nbytes);
    if (r < 0)
        return r;
    /* The socket is new, so its buffer has room for all of it at once. Where the other side has
     * already gone it may have said why: that is read next. */
    if (send(fd, frame, nbytes, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EPIPE)
        return -errno;
    return 0;
}

/* Receive what is there, or wait for it. Returns 0; -ENOTCONN at the end of the stream; -ETIMEDOUT
 * or another negative errno. */
static int receive(int fd, const struct timespec *deadline, struct ga_frame_reader *reader)
{
    for (;;) {
        size_t room;
        uint8_t *space = ga_frame_reader_space(reader, &room);
        ssize_t n = recv(fd, space, room, MSG_DONTWAIT);
        if (n > 0) {
            ga_frame_reader_filled(reader, (size_t)n);
            return 0;
        }
        if (n == 0 || errno == ECONNRESET)
            return -ENOTCONN;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        int left_ms = ga_deadline_left_ms(deadline);
        if (left_ms == 0)
            return -ETIMEDOUT;
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, left_ms) < 0 && errno != EINTR)
            return -errno;
    }
}

/* Wait for the first message. Returns 0 and it is in reply; -EPROTO where what comes is none of
 * goalloc's. */
static int receive_answer(int fd, const struct timespec *deadline, struct ga_frame_reader *reader,
                          struct ga_reply *reply)
{
    const uint8_t *payload;
    size_t payload_bytes;
    int r;
    while ((r = ga_frame_reader_next(reader, &payload, &payload_bytes)) == 0) {
        r = receive(fd, deadline, reader);
        if (r < 0)
            return r;
    }
    if (r < 0 || ga_reply_decode(reply, payload, payload_bytes) < 0)
        return -EPROTO;
    return 0;
}

/* Whether the server's answer is a Welcome to what is spoken here. */
static int check_answer(const Goalloc__V1__Envelope *answer, const char *path,
                        char ret_error[static GA_CHANNEL_ERROR_BYTES])
{
    if (answer->body_case == GOALLOC__V1__ENVELOPE__BODY_FAILURE) {
        int err = ga_error_from_wire(answer->failure->code);
        const char *detail = answer->failure->detail;
        if (detail[0] == '\0')
            detail = ga_error_text(err);
        if (err == -EPROTO)
            snprintf(ret_error, GA_CHANNEL_ERROR_BYTES,
                     "%s: %s (this library speaks protocol versions %u..%u)", path, detail,
                     GA_PROTOCOL_VERSION_MIN, GA_PROTOCOL_VERSION_MAX);
        else
            snprintf(ret_error, GA_CHANNEL_ERROR_BYTES, "%s: the server refused: %s", path, detail);
        return err;
    }
    if (answer->body_case != GOALLOC__V1__ENVELOPE__BODY_WELCOME || answer->id != GA_HANDSHAKE_ID) {
        snprintf(ret_error, GA_CHANNEL_ERROR_BYTES,
                 "%s: the other side does not speak goalloc's protocol: it did not answer Hello "
                 "with Welcome",
                 path);
        return -EPROTO;
    }
    uint32_t version = answer->welcome->version;
    if (version < GA_PROTOCOL_VERSION_MIN || version > GA_PROTOCOL_VERSION_MAX) {
        snprintf(ret_error, GA_CHANNEL_ERROR_BYTES,
                 "%s: the server speaks protocol version %u, this library %u..%u", path, version,
                 GA_PROTOCOL_VERSION_MIN, GA_PROTOCOL_VERSION_MAX);
        return -EPROTO;
    }
    return 0;
}

/* What err means before there is an answer. */
static const char *explain(int err)
{
    switch (err) {
    case -EPROTO:
        return "the other side does not speak goalloc's protocol";
    case -ENOTCONN:
        return "the other side ended the connection before it answered; is it goallocd?";
    case -ETIMEDOUT:
        return "the server did not answer in time; is it stopped or overloaded?";
    default:
        return strerrordesc_np(-err);
    }
}

int ga_handshake(int fd, const char *path, const char *client_name, const struct timespec *deadline,
                 struct ga_frame_reader *reader, struct ga_reply *reply,
                 char ret_error[static GA_CHANNEL_ERROR_BYTES])
{
    int r = say_hello(fd, client_name);
    if (r == 0)
        r = receive_answer(fd, deadline, reader, reply);
    if (r < 0) {
        snprintf(ret_error, GA_CHANNEL_ERROR_BYTES, "%s: %s", path, explain(r));
        return r;
    }
    return check_answer(reply->message, path, ret_error);
}

int ga_handshake_ask(int fd, Goalloc__V1__Envelope *request, const struct timespec *deadline,
                     struct ga_frame_reader *reader, struct ga_reply *reply)
{
    uint8_t frame[ASK_BYTES];
    size_t nbytes;
    request->id = GA_HANDSHAKE_ID;
    int r = ga_message_encode(request, frame, sizeof(frame), &nbytes);
    if (r < 0)
        return r;
    if (send(fd, frame, nbytes, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return errno == EPIPE ? -ENOTCONN : -errno;
    do
        r = receive_answer(fd, deadline, reader, reply);
    while (r == 0 && reply->message->id != GA_HANDSHAKE_ID);
    return r;
}

#include "integration/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/error.h"
#include "shm/layout.h"

#define SILENCE_S 20

void ga_wire_begin(struct ga_wire *wire, int fd)
{
    *wire = (struct ga_wire){.fd = fd};
    struct timeval silence = {.tv_sec = SILENCE_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof(silence));
    wire->buffer = malloc(GA_FRAME_BUFFER_BYTES);
    wire->memory = malloc(GA_DECODE_ARENA_BYTES);
    ga_frame_reader_init(&wire->reader, wire->buffer);
    ga_decode_arena_init(&wire->arena, wire->memory, GA_DECODE_ARENA_BYTES);
}

bool ga_wire_open(struct ga_wire *wire, const char *path)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        close(fd);
        *wire = (struct ga_wire){.fd = -1};
        return false;
    }
    ga_wire_begin(wire, fd);
    return true;
}

bool ga_wire_greet(struct ga_wire *wire)
{
    Goalloc__V1__Hello hello = GOALLOC__V1__HELLO__INIT;
    hello.min_version = 1;
    hello.max_version = 1;
    hello.client_name = "wire";
    const Goalloc__V1__Envelope *reply =
        ga_wire_ask(wire, GOALLOC__V1__ENVELOPE__BODY_HELLO, &hello);
    return reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_WELCOME;
}

bool ga_wire_open_greeted(struct ga_wire *wire, const char *path)
{
    return ga_wire_open(wire, path) && ga_wire_greet(wire);
}

bool ga_wire_open_attached(struct ga_wire *wire, const char *path)
{
    if (!ga_wire_open_greeted(wire, path))
        return false;
    Goalloc__V1__Attach attach = GOALLOC__V1__ATTACH__INIT;
    attach.layout_version = GA_LAYOUT_VERSION;
    const Goalloc__V1__Envelope *reply =
        ga_wire_ask(wire, GOALLOC__V1__ENVELOPE__BODY_ATTACH, &attach);
    return reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_ATTACHED;
}

void ga_wire_close(struct ga_wire *wire)
{
    if (wire->fd >= 0)
        close(wire->fd);
    free(wire->buffer);
    free(wire->memory);
    *wire = (struct ga_wire){.fd = -1};
}

bool ga_wire_send_bytes(struct ga_wire *wire, const void *bytes, size_t nbytes)
{
    const char *p = bytes;
    while (nbytes > 0) {
        ssize_t n = send(wire->fd, p, nbytes, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        p += n;
        nbytes -= (size_t)n;
    }
    return true;
}

bool ga_wire_send(struct ga_wire *wire, const Goalloc__V1__Envelope *message)
{
    static uint8_t frame[GA_FRAME_BUFFER_BYTES];
    size_t nbytes;
    return ga_message_encode(message, frame, sizeof(frame), &nbytes) == 0 &&
           ga_wire_send_bytes(wire, frame, nbytes);
}

const Goalloc__V1__Envelope *ga_wire_receive(struct ga_wire *wire)
{
    const uint8_t *payload;
    Goalloc__V1__Envelope *message;
    int r;
    while ((r = ga_frame_reader_next(&wire->reader, &payload, &wire->last_bytes)) == 0) {
        size_t room;
        uint8_t *space = ga_frame_reader_space(&wire->reader, &room);
        ssize_t n = recv(wire->fd, space, room, 0);
        if (n <= 0)
            return NULL;
        ga_frame_reader_filled(&wire->reader, (size_t)n);
    }
    ga_decode_arena_reset(&wire->arena);
    if (r < 0 || ga_message_decode(payload, wire->last_bytes, &wire->arena, &message) < 0)
        return NULL;
    return message;
}

bool ga_wire_is_ended(struct ga_wire *wire)
{
    char byte;
    ssize_t n = recv(wire->fd, &byte, 1, 0);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

const Goalloc__V1__Envelope *ga_wire_call(struct ga_wire *wire, Goalloc__V1__Envelope *message)
{
    message->id = ++wire->last_id;
    if (!ga_wire_send(wire, message))
        return NULL;
    const Goalloc__V1__Envelope *reply;
    do {
        reply = ga_wire_receive(wire);
    } while (reply && reply->id != message->id);
    return reply;
}

const Goalloc__V1__Envelope *ga_wire_ask(struct ga_wire *wire,
                                         Goalloc__V1__Envelope__BodyCase body_case, void *body)
{
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    message.body_case = body_case;
    message.hello = body; /* every member of the union is a pointer to its message */
    return ga_wire_call(wire, &message);
}

bool ga_wire_is_failure(const Goalloc__V1__Envelope *message, int err, const char *detail)
{
    if (!message || message->body_case != GOALLOC__V1__ENVELOPE__BODY_FAILURE) {
        fprintf(stderr, "no failure, but body case %d\n", message ? (int)message->body_case : -1);
        return false;
    }
    const Goalloc__V1__Failure *failure = message->failure;
    if (failure->code == ga_error_to_wire(err) && strcmp(failure->detail, detail) == 0)
        return true;
    fprintf(stderr, "failure %u: %s\n", failure->code, failure->detail);
    return false;
}

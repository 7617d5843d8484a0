/* One send on a connection that is closed then: the program keeps no descriptor of ours, and the
 * server learns of its end by itself. */
#include "register.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/address.h"
#include "client/connect.h"
#include "client/deadline.h"
#include "proto/text.h"
#include "proto/version.h"
#include "shm/layout.h"

#define WAIT_MS    500u
#define NAME_BYTES 64
#define SAID_BYTES 512

int ga_register_connect(char ret_why[static GA_CHANNEL_ERROR_BYTES], int *ret_fd)
{
    char path[GA_ADDRESS_BYTES];
    int r = ga_address_resolve(NULL, path);
    if (r < 0) {
        snprintf(ret_why, GA_CHANNEL_ERROR_BYTES, "$GOALLOC_SOCKET is no path of a socket");
        return r;
    }
    struct timespec deadline = ga_deadline_in(WAIT_MS);
    return ga_connect(path, &deadline, ret_why, ret_fd);
}

static size_t add(uint8_t *said, size_t at, const Goalloc__V1__Envelope *message)
{
    size_t bytes;
    int r = ga_message_encode(message, said + at, SAID_BYTES - at, &bytes);
    return r == 0 ? at + bytes : at;
}

static size_t add_hello(uint8_t *said)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof(name), "%s", program_invocation_short_name);
    ga_text_clean(name);
    Goalloc__V1__Hello hello = GOALLOC__V1__HELLO__INIT;
    hello.min_version = GA_PROTOCOL_VERSION_MIN;
    hello.max_version = GA_PROTOCOL_VERSION_MAX;
    hello.client_name = name;
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    message.id = 1;
    message.body_case = GOALLOC__V1__ENVELOPE__BODY_HELLO;
    message.hello = &hello;
    return add(said, 0, &message);
}

void ga_register_say(int fd, const void *meta, const void *bits)
{
    uint8_t said[SAID_BYTES];
    size_t bytes = add_hello(said);
    Goalloc__V1__Program program = GOALLOC__V1__PROGRAM__INIT;
    program.layout_version = GA_LAYOUT_VERSION;
    program.meta_address = (uintptr_t)meta;
    program.bits_address = (uintptr_t)bits;
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    message.body_case = GOALLOC__V1__ENVELOPE__BODY_PROGRAM;
    message.program = &program;
    bytes = add(said, bytes, &message);
    ssize_t sent = send(fd, said, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent; /* a new socket has room for it, unless nobody is there any more */
    close(fd);
}

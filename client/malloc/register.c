/* One send on a connection that is closed then: the program keeps no descriptor of ours, and the
 * server learns of its end by itself. All of it at once, so that the server, which a connect wakes,
 * need not be woken again for what is said, and for the end. */
#include "register.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/address.h"
#include "client/connect.h"
#include "client/deadline.h"
#include "proto/announce.h"
#include "shm/layout.h"

#define WAIT_MS 500u

/* Nothing is waited for: a new socket has room for it, unless nobody is there any more. */
static void say(int fd, const void *meta, const void *bits)
{
    uint8_t said[GA_ANNOUNCE_BYTES];
    const struct ga_announcement announcement = {.name = program_invocation_short_name,
                                                 .layout_version = GA_LAYOUT_VERSION,
                                                 .meta_address = (uintptr_t)meta,
                                                 .bits_address = (uintptr_t)bits};
    size_t bytes = ga_announce_encode(&announcement, said);
    ssize_t sent = send(fd, said, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent;
}

int ga_register(const void *meta, const void *bits, char ret_why[static GA_CHANNEL_ERROR_BYTES])
{
    char path[GA_ADDRESS_BYTES];
    int fd;
    int r = ga_address_resolve(NULL, path);
    if (r < 0) {
        snprintf(ret_why, GA_CHANNEL_ERROR_BYTES, "$GOALLOC_SOCKET is no path of a socket");
        return r;
    }
    struct timespec deadline = ga_deadline_in(WAIT_MS);
    r = ga_connect(path, &deadline, ret_why, &fd);
    if (r < 0)
        return r;
    say(fd, meta, bits);
    close(fd);
    return 0;
}

#include "integration/relay.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void hang_up(struct ga_relay *relay)
{
    ga_wire_close(&relay->client);
    ga_wire_close(&relay->up);
    relay->awaited = 0;
}

/* The client is cut off first: it must not wait for anything while this process forks. */
static void change_servers(struct ga_relay *relay)
{
    ga_test_server_kill(relay->server);
    hang_up(relay);
    if (!ga_test_server_start_again(relay->server, relay->limit))
        fprintf(stderr, "the relay has no server any more\n");
    atomic_store(&relay->moment, GA_RELAY_NEVER);
}

static void from_client(struct ga_relay *relay, const Goalloc__V1__Envelope *message)
{
    enum ga_relay_moment moment = atomic_load(&relay->moment);
    bool is_it = moment != GA_RELAY_NEVER && message->body_case == relay->body_case;
    if (is_it && moment == GA_RELAY_BEFORE) {
        change_servers(relay);
        return;
    }
    if (is_it)
        relay->awaited = message->id;
    if (!ga_wire_send(&relay->up, message))
        hang_up(relay);
}

static void from_server(struct ga_relay *relay, const Goalloc__V1__Envelope *message)
{
    if (relay->awaited && message->id == relay->awaited)
        change_servers(relay);
    else if (!ga_wire_send(&relay->client, message))
        hang_up(relay);
}

/* Read once and hand on what is whole. */
static void pump(struct ga_relay *relay, struct ga_wire *wire,
                 void (*hand_on)(struct ga_relay *relay, const Goalloc__V1__Envelope *message))
{
    size_t room;
    size_t nbytes;
    const uint8_t *payload;
    Goalloc__V1__Envelope *message;
    uint8_t *space = ga_frame_reader_space(&wire->reader, &room);
    ssize_t n = recv(wire->fd, space, room, 0);
    if (n <= 0) {
        hang_up(relay);
        return;
    }
    ga_frame_reader_filled(&wire->reader, (size_t)n);
    while (wire->fd >= 0 && ga_frame_reader_next(&wire->reader, &payload, &nbytes) == 1) {
        ga_decode_arena_reset(&wire->arena);
        if (ga_message_decode(payload, nbytes, &wire->arena, &message) == 0)
            hand_on(relay, message);
        else
            hang_up(relay);
    }
}

static void take_client(struct ga_relay *relay)
{
    hang_up(relay);
    int fd = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    ga_wire_begin(&relay->client, fd);
    if (!ga_wire_open(&relay->up, relay->server->socket))
        hang_up(relay);
}

static void *run(void *argument)
{
    struct ga_relay *relay = argument;
    for (;;) {
        /* What is not open is -1, which poll passes over. */
        struct pollfd fds[] = {{.fd = relay->stop[0], .events = POLLIN},
                               {.fd = relay->listener, .events = POLLIN},
                               {.fd = relay->client.fd, .events = POLLIN},
                               {.fd = relay->up.fd, .events = POLLIN}};
        if (poll(fds, 4, -1) < 0)
            continue;
        if (fds[0].revents)
            return NULL;
        if (fds[1].revents)
            take_client(relay);
        else if (fds[2].revents)
            pump(relay, &relay->client, from_client);
        else if (fds[3].revents)
            pump(relay, &relay->up, from_server);
    }
}

static bool listen_at(struct ga_relay *relay)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", relay->path);
    return bind(relay->listener, (struct sockaddr *)&address, sizeof(address)) == 0 &&
           listen(relay->listener, 8) == 0;
}

bool ga_relay_start(struct ga_relay *relay, struct ga_test_server *server, const char *limit)
{
    *relay =
        (struct ga_relay){.server = server, .limit = limit, .client = {.fd = -1}, .up = {.fd = -1}};
    snprintf(relay->path, sizeof(relay->path), "%s/relay", server->folder);
    relay->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return listen_at(relay) && pipe(relay->stop) == 0 &&
           pthread_create(&relay->thread, NULL, run, relay) == 0;
}

void ga_relay_kill_at(struct ga_relay *relay, Goalloc__V1__Envelope__BodyCase body_case,
                      enum ga_relay_moment moment)
{
    relay->body_case = body_case;
    atomic_store(&relay->moment, moment);
}

bool ga_relay_has_killed(const struct ga_relay *relay)
{
    return atomic_load(&relay->moment) == GA_RELAY_NEVER;
}

void ga_relay_stop(struct ga_relay *relay)
{
    close(relay->stop[1]);
    pthread_join(relay->thread, NULL);
    hang_up(relay);
    close(relay->stop[0]);
    close(relay->listener);
    unlink(relay->path);
}

/* A relay between one client of this process and its server: it hands on whole messages, and kills
 * the server at a request of a given kind, before the server has it or after it has answered; then
 * it ends the connection, without that answer, and starts the next server. The server believes that
 * the client connects to it directly, for the relay is a thread of the same process. */
#ifndef GA_TESTS_RELAY_H
#define GA_TESTS_RELAY_H

#include <pthread.h>

#include "integration/wire.h"
#include "support/server_fixture.h"

enum ga_relay_moment {
    GA_RELAY_NEVER,
    GA_RELAY_BEFORE, /* the server has the request */
    GA_RELAY_AFTER,  /* it has answered, and nobody hears of it */
};

struct ga_relay {
    struct ga_test_server *server;
    const char *limit;
    char path[108]; /* of the relay's socket */
    int listener;
    int stop[2]; /* a pipe */
    pthread_t thread;
    struct ga_wire client;
    struct ga_wire up;
    Goalloc__V1__Envelope__BodyCase body_case;
    _Atomic enum ga_relay_moment moment; /* written last when the relay is told */
    uint64_t awaited;                    /* id of the request whose answer is the sign; 0 = none */
};

/* Relay to server, which runs, with limit for those that come after it. False if that fails. */
bool ga_relay_start(struct ga_relay *relay, struct ga_test_server *server, const char *limit);
/* At the next request of this kind. */
void ga_relay_kill_at(struct ga_relay *relay, Goalloc__V1__Envelope__BodyCase body_case,
                      enum ga_relay_moment moment);
/* Whether that has happened, and another server is there. */
bool ga_relay_has_killed(const struct ga_relay *relay);
/* The servers that it started must be gone: they end with its thread. */
void ga_relay_stop(struct ga_relay *relay);

#endif

/* The driver's own: what it knows of its clients and servers, and how it starts, stops and kills
 * them. Whatever goes wrong ends the test, after all that was started has been removed. */
#ifndef GA_TESTS_MUTATION_DRIVER_H
#define GA_TESTS_MUTATION_DRIVER_H

#include <sys/types.h>

#include "goalloc/goalloc.h"
#include "shadow.h"

struct driver {
    uint64_t random;
    struct shadow *shadow;
    int shadow_fd;
    char heap_name[64];
    char folder[64];
    int log_fd; /* what the servers say */
    pid_t server;
    pid_t clients[SHADOW_CLIENTS];
    struct goalloc_heap *heap; /* the driver is attached, too */
    uint64_t npauses;
    uint64_t nclients_killed;
    uint64_t nservers_killed;
    uint64_t nstops;
    uint64_t nunknown; /* objects that may have been made, have no record, and stay for good */
};

extern struct driver driver;

/* Longer than this nothing may take that somebody waits for. */
enum { DRIVER_PATIENCE_MS = 60000 };

uint64_t driver_now_ms(void);
uint32_t driver_below(uint32_t n);

/* What runs and lies about is removed, also on the signals that end a test. */
void driver_begin(void);
void driver_end(void);
/* Remove all, and end the test. */
void driver_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Print what the servers have said, but for what they are to say of collections that were
 * abandoned. Returns how many lines that was. */
uint64_t driver_print_log(uint64_t *ret_nabandoned);

void driver_start_server(void);
void driver_kill_server(void);
void driver_attach(void);
void driver_start_client(uint32_t client);
void driver_kill_client(uint32_t client);
/* Nobody may take that for its death. */
void driver_stop_client_for_a_while(uint32_t client);
/* Fails if the client is dead that the driver has not killed. */
void driver_see_alive(uint32_t client);

/* Run goallocctl gc, and wait for its end. */
pid_t driver_begin_ctl_gc(void);
void driver_end_ctl_gc(pid_t ctl);

#endif

/* A heap under siege: a goallocd and workers, both killed as the test likes, the workers being this
 * program started again with what they share in a descriptor. Whatever goes wrong ends the test,
 * after all that was started has been removed; so do the signals that end a test. */
#ifndef GA_TESTS_SIEGE_H
#define GA_TESTS_SIEGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "support/folder.h"

enum { GA_SIEGE_WORKERS_MAX = 64 };

/* A worker is started with so many arguments: the test's name, "worker", its number, the descriptor
 * and a seed. */
enum { GA_SIEGE_WORKER_ARGC = 5 };

struct ga_siege {
    const char *test; /* its name, also of its heap and its folder */
    uint64_t random;
    int shared_fd; /* the workers' */
    int log_fd;    /* what the servers say */
    char heap_name[64];
    char folder[GA_TEST_FOLDER_BYTES];
    char socket[108];
    pid_t server;
    pid_t workers[GA_SIEGE_WORKERS_MAX]; /* 0 = none */
    uint64_t nworkers_killed;
    uint64_t nservers_killed;
    uint64_t npauses; /* the test's count, said with a failure */
};

/* Begin one, of which a program can have one. Prints the seed. */
void ga_siege_begin(struct ga_siege *siege, const char *test, int shared_fd);
/* Kill all that runs, and remove what lies about. */
void ga_siege_end(struct ga_siege *siege);
/* Say why, and what the servers said, end the siege, and exit with 1. */
void ga_siege_fail(struct ga_siege *siege, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

uint64_t ga_siege_now_ms(void);
/* A random number below n. */
uint32_t ga_siege_below(struct ga_siege *siege, uint32_t n);

/* Kill it and, after at most 0.1 s, start the next; a server that has ended by itself is a fault.
 */
void ga_siege_start_server(struct ga_siege *siege);
void ga_siege_kill_server(struct ga_siege *siege);

void ga_siege_start_worker(struct ga_siege *siege, uint32_t worker);
/* Kill it, which is a fault if it has ended by itself. The next is not started: the test looks
 * first at what this one was at. */
void ga_siege_kill_worker(struct ga_siege *siege, uint32_t worker);
/* Wait until it ends by itself, which must be with 0. False if it has not by end_ms. */
bool ga_siege_await_worker(struct ga_siege *siege, uint32_t worker, uint64_t end_ms);
/* Fails if it has ended. */
void ga_siege_see_alive(struct ga_siege *siege, uint32_t worker);

/* Print the lines that the servers have said, to stderr, but for those that have expected in them,
 * if it is not NULL. Returns how many lines that was; those left out are counted, too. */
uint64_t ga_siege_print_log(const struct ga_siege *siege, const char *expected,
                            uint64_t *ret_nexpected);

#endif

/* The goallocd of one run: a heap, a socket and a folder of its own, so that a run meets no
 * heap in use and leaves nothing behind. Not thread-safe. */
#ifndef GA_TESTS_BENCH_SERVER_H
#define GA_TESTS_BENCH_SERVER_H

#include "process.h"
#include "support/folder.h"

struct ga_bench_server {
    struct ga_bench_process process;
    char folder[GA_TEST_FOLDER_BYTES]; /* "": none */
    char socket[GA_TEST_FOLDER_BYTES + 16];
    char log[GA_TEST_FOLDER_BYTES + 16]; /* what goallocd said on stderr */
    char heap[64];
};

/* Start the goallocd at path, for a heap of at most limit_gib GiB, and wait until it accepts
 * clients; says on stderr what went wrong. Returns 0 and fills *ret_server, which
 * ga_bench_server_stop takes, or a negative errno. */
int ga_bench_server_start(const char *path, unsigned limit_gib, struct ga_bench_server *ret_server);

/* Copy the log to stderr, for a run that failed. */
void ga_bench_server_show_log(const struct ga_bench_server *server);

/* End goallocd and remove its folder and shared memory. A server never started is allowed. */
void ga_bench_server_stop(struct ga_bench_server *server);

#endif

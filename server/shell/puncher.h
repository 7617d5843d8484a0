/* Punching a batch of runs out of the heap object while the loop does something else: with
 * io_uring, whose completions reach the loop by an eventfd; or, where io_uring is refused, with
 * plain calls on a thread of libuv's pool. One batch at a time; all of these are called on the
 * loop's thread. */
#ifndef GA_SERVER_SHELL_PUNCHER_H
#define GA_SERVER_SHELL_PUNCHER_H

#include <stdbool.h>
#include <stdint.h>

#include <liburing.h>
#include <uv.h>

#include "server/heap.h"

struct ga_puncher {
    int fd; /* of the heap object */
    /* Of run i: whether it was punched. And then, once, that all of them have been told of. */
    void (*on_run)(void *data, uint32_t i, bool punched);
    void (*on_batch)(void *data);
    void *data;

    bool has_ring;
    int refused; /* negative errno with which the system refused a ring; 0 = it did not */
    struct io_uring ring;
    int event_fd;
    uv_poll_t poll;

    struct ga_page_run runs[GA_RELEASE_RUNS];
    uint32_t nruns;
    uint32_t nleft; /* of the batch, not told of; 0 = no batch is under way */

    /* Without a ring. */
    uv_work_t work;
    uv_mutex_t lock; /* over the rest */
    uv_cond_t changed;
    bool worked; /* all results are there */
    int results[GA_RELEASE_RUNS];
};

/* Get ready to punch the object at fd, without a ring if with_ring is false. on_run, on_batch and
 * data are set by the caller before; the puncher does not move. 0 or negative errno. */
int ga_puncher_start(struct ga_puncher *puncher, uv_loop_t *loop, int fd, bool with_ring);
/* Wait for the batch that is under way, and close what the loop has of this; the loop must run
 * once more before the puncher goes. */
void ga_puncher_close(struct ga_puncher *puncher);

/* Whether a batch may begin. After ga_puncher_wait that may take until the loop has run. */
bool ga_puncher_is_ready(const struct ga_puncher *puncher);
/* Begin to punch nruns (1..GA_RELEASE_RUNS) runs. It must be ready. */
void ga_puncher_begin(struct ga_puncher *puncher, uv_loop_t *loop, const struct ga_page_run *runs,
                      uint32_t nruns);
/* Wait for the batch that is under way, if any; on_run and on_batch have been called then. */
void ga_puncher_wait(struct ga_puncher *puncher);

/* How it is done, for people: "io_uring", or "fallocate" and why. */
#define GA_SCAVENGER_TEXT_BYTES 96
void ga_puncher_describe(const struct ga_puncher *puncher,
                         char ret[static GA_SCAVENGER_TEXT_BYTES]);

#endif

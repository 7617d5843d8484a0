/* The ring is small, its operations run on workers of the kernel (a punch never goes through at
 * once), and of these there is one: more would only wait for each other, since the kernel punches
 * one hole of an object at a time. The eventfd is only a bell: what is complete stands in the ring.
 *
 * Where a submission fails, what was not submitted is punched at once, and from then on it is done
 * without a ring. */
#include "server/shell/puncher.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "server/shell/punch.h"

#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

static void tell(struct ga_puncher *puncher, uint32_t i, bool punched)
{
    assert(puncher->nleft > 0);
    puncher->nleft--;
    puncher->on_run(puncher->data, i, punched);
    if (puncher->nleft == 0)
        puncher->on_batch(puncher->data);
}

static int punch_run(const struct ga_puncher *puncher, uint32_t i)
{
    const struct ga_page_run *run = &puncher->runs[i];
    return ga_punch(puncher->fd, run->page * GA_PAGE_SIZE, run->npages * GA_PAGE_SIZE);
}

/* ---- io_uring ---- */

/* An operation that was interrupted, or refused, is done with a plain call: its error is true. */
static void complete(struct ga_puncher *puncher, struct io_uring_cqe *cqe)
{
    uint32_t i = (uint32_t)io_uring_cqe_get_data64(cqe);
    int result = cqe->res;
    io_uring_cqe_seen(&puncher->ring, cqe);
    if (result < 0)
        result = punch_run(puncher, i);
    tell(puncher, i, result == 0);
}

static void take_completions(struct ga_puncher *puncher)
{
    struct io_uring_cqe *cqe;
    while (puncher->nleft > 0 && io_uring_peek_cqe(&puncher->ring, &cqe) == 0)
        complete(puncher, cqe);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct ga_puncher *puncher = poll->data;
    uint64_t count;
    ssize_t n = read(puncher->event_fd, &count, sizeof(count));
    (void)n; /* it may have been rung for what was taken before */
    take_completions(puncher);
}

static int start_ring(struct ga_puncher *puncher, uv_loop_t *loop)
{
    unsigned workers[2] = {1, 1}; /* bound and unbound */
    int r = io_uring_queue_init(GA_RELEASE_RUNS, &puncher->ring, 0);
    if (r < 0)
        return r;
    puncher->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r = puncher->event_fd < 0 ? -errno : 0;
    if (r < 0)
        goto exit_ring;
    r = io_uring_register_eventfd(&puncher->ring, puncher->event_fd);
    if (r < 0)
        goto close_event;
    (void)io_uring_register_iowq_max_workers(&puncher->ring, workers); /* since Linux 5.15 */
    r = uv_poll_init(loop, &puncher->poll, puncher->event_fd);
    if (r < 0)
        goto close_event;
    puncher->poll.data = puncher;
    r = uv_poll_start(&puncher->poll, UV_READABLE, on_event);
    if (r == 0)
        return 0;
    uv_close((uv_handle_t *)&puncher->poll, NULL);
close_event:
    close(puncher->event_fd);
exit_ring:
    io_uring_queue_exit(&puncher->ring);
    return r;
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct ga_puncher *puncher = handle->data;
    io_uring_queue_exit(&puncher->ring);
    close(puncher->event_fd);
}

static void close_ring(struct ga_puncher *puncher)
{
    puncher->has_ring = false;
    uv_close((uv_handle_t *)&puncher->poll, on_poll_closed);
}

static void wait_for_completions(struct ga_puncher *puncher, uint32_t nleft)
{
    while (puncher->nleft > nleft) {
        struct io_uring_cqe *cqe;
        if (io_uring_wait_cqe(&puncher->ring, &cqe) == 0)
            complete(puncher, cqe);
    }
}

/* The system has taken nsubmitted of the batch and no more. What it has not taken stays in the
 * ring, and would be done with the next batch, when the pages are somebody's: so this ring is never
 * submitted to again. */
static void give_ring_up(struct ga_puncher *puncher, uint32_t nsubmitted, int r)
{
    uint32_t nrest = puncher->nruns - nsubmitted;
    wait_for_completions(puncher, nrest);
    puncher->refused = r;
    close_ring(puncher);
    for (uint32_t i = nsubmitted; i < puncher->nruns; i++)
        tell(puncher, i, punch_run(puncher, i) == 0);
}

static void submit(struct ga_puncher *puncher)
{
    for (uint32_t i = 0; i < puncher->nruns; i++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&puncher->ring);
        assert(sqe); /* the ring holds a batch, and is empty */
        const struct ga_page_run *run = &puncher->runs[i];
        io_uring_prep_fallocate(sqe, puncher->fd, PUNCH, (off_t)(run->page * GA_PAGE_SIZE),
                                (off_t)(run->npages * GA_PAGE_SIZE));
        io_uring_sqe_set_data64(sqe, i);
    }
    uint32_t nsubmitted = 0;
    while (nsubmitted < puncher->nruns) {
        int r = io_uring_submit(&puncher->ring);
        if (r > 0)
            nsubmitted += (uint32_t)r;
        else if (r != -EINTR) {
            give_ring_up(puncher, nsubmitted, r < 0 ? r : -EBUSY);
            return;
        }
    }
}

/* ---- a thread ---- */

static void work(uv_work_t *request)
{
    struct ga_puncher *puncher = request->data;
    int results[GA_RELEASE_RUNS];
    for (uint32_t i = 0; i < puncher->nruns; i++)
        results[i] = punch_run(puncher, i);
    uv_mutex_lock(&puncher->lock);
    memcpy(puncher->results, results, puncher->nruns * sizeof(*results));
    puncher->worked = true;
    uv_cond_signal(&puncher->changed);
    uv_mutex_unlock(&puncher->lock);
}

static void take_results(struct ga_puncher *puncher)
{
    for (uint32_t i = 0; i < puncher->nruns && puncher->nleft > 0; i++)
        tell(puncher, i, puncher->results[i] == 0);
}

/* Who waited for the batch has taken its results already. */
static void after_work(uv_work_t *request, int status)
{
    (void)status;
    struct ga_puncher *puncher = request->data;
    request->data = NULL;
    take_results(puncher);
}

static void wait_for_work(struct ga_puncher *puncher)
{
    uv_mutex_lock(&puncher->lock);
    while (!puncher->worked)
        uv_cond_wait(&puncher->changed, &puncher->lock);
    uv_mutex_unlock(&puncher->lock);
    take_results(puncher);
}

/* ---- both ---- */

int ga_puncher_start(struct ga_puncher *puncher, uv_loop_t *loop, int fd, bool with_ring)
{
    puncher->fd = fd;
    puncher->event_fd = -1;
    int r = uv_mutex_init(&puncher->lock);
    if (r < 0)
        return r;
    r = uv_cond_init(&puncher->changed);
    if (r < 0) {
        uv_mutex_destroy(&puncher->lock);
        return r;
    }
    puncher->refused = with_ring ? start_ring(puncher, loop) : 0;
    puncher->has_ring = with_ring && puncher->refused == 0;
    return 0;
}

void ga_puncher_close(struct ga_puncher *puncher)
{
    ga_puncher_wait(puncher);
    if (puncher->has_ring)
        close_ring(puncher);
}

bool ga_puncher_is_ready(const struct ga_puncher *puncher)
{
    return puncher->nleft == 0 && !puncher->work.data;
}

void ga_puncher_begin(struct ga_puncher *puncher, uv_loop_t *loop, const struct ga_page_run *runs,
                      uint32_t nruns)
{
    assert(ga_puncher_is_ready(puncher) && nruns >= 1 && nruns <= GA_RELEASE_RUNS);
    memcpy(puncher->runs, runs, nruns * sizeof(*runs));
    puncher->nruns = nruns;
    puncher->nleft = nruns;
    if (puncher->has_ring) {
        submit(puncher);
        return;
    }
    puncher->worked = false;
    puncher->work.data = puncher;
    if (uv_queue_work(loop, &puncher->work, work, after_work) == 0)
        return;
    work(&puncher->work);
    puncher->work.data = NULL;
    take_results(puncher);
}

void ga_puncher_wait(struct ga_puncher *puncher)
{
    if (puncher->nleft > 0 && !puncher->has_ring)
        wait_for_work(puncher);
    else
        wait_for_completions(puncher, 0);
}

void ga_puncher_describe(const struct ga_puncher *puncher, char ret[static GA_SCAVENGER_TEXT_BYTES])
{
    if (puncher->has_ring)
        snprintf(ret, GA_SCAVENGER_TEXT_BYTES, "io_uring");
    else if (puncher->refused < 0)
        snprintf(ret, GA_SCAVENGER_TEXT_BYTES, "fallocate, since io_uring is refused: %s",
                 strerror(-puncher->refused));
    else
        snprintf(ret, GA_SCAVENGER_TEXT_BYTES, "fallocate, as asked for");
}

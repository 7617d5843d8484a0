/* One cycle of the collector, as a managed process sees it. The library's thread stops the others,
 * stores STOPPED in the client's gc word (shm/gc_word.h), tells the server what private memory
 * points to, and then sleeps at the word until the server says in it that all is marked, or the
 * cycle abandoned. It waits as long as the server shows that it is at it, by meta's gc_beat; when
 * there was nothing of that for GA_PATIENCE_MS it goes on by itself, and the cycle is void.
 *
 * Until the others go on this thread takes no lock that they might have, and so does not serve the
 * socket: answers that come meanwhile wait there. */
#include "client/managed.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/deadline.h"
#include "client/heap.h"
#include "client/managed_scan.h"
#include "client/patience.h"
#include "client/track.h"
#include "shm/gc_word.h"
#include "shm/process.h"
#include "shm/server_lock.h"

#define STOP_MS 2000u     /* for all threads to stand still */
#define TELL_MS 5000u     /* for the server to take a message */
#define LOOK_NS 20000000L /* between two looks whether the server is still there */

static_assert(GA_SCAN_BATCH <= GA_GC_ROOTS_MAX, "a batch fits into a message");

int ga_managed_begin(struct goalloc_heap *heap, uint32_t stop_signal,
                     char ret_why[static GA_STOP_WHY_BYTES])
{
    int r = ga_stop_take_signal(stop_signal, ret_why);
    if (r < 0)
        return r;
    heap->scan = ga_scan_new();
    if (!heap->scan) {
        snprintf(ret_why, GA_STOP_WHY_BYTES, "out of memory");
        return -ENOMEM;
    }
    heap->managed = true;
    return 0;
}

void ga_managed_end(struct goalloc_heap *heap)
{
    ga_scan_free(heap->scan);
    heap->scan = NULL;
}

/* ---- what the server is told ---- */

struct told {
    struct goalloc_heap *heap;
    uint32_t cycle;
    struct timespec deadline;
};

static int tell_roots(const uint64_t *offsets, uint32_t n, void *data)
{
    struct told *told = data;
    Goalloc__V1__GcRoots body = GOALLOC__V1__GC_ROOTS__INIT;
    body.cycle = told->cycle;
    body.n_offsets = n;
    body.offsets = (uint64_t *)(uintptr_t)offsets; /* not const in protobuf-c; only read */
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = GOALLOC__V1__ENVELOPE__BODY_GC_ROOTS;
    note.gc_roots = &body;
    told->deadline = ga_deadline_in(TELL_MS);
    return ga_channel_note_sent(told->heap->channel, &note, &told->deadline);
}

static int tell_stopped(struct told *told, char *failure)
{
    Goalloc__V1__GcStopped body = GOALLOC__V1__GC_STOPPED__INIT;
    body.cycle = told->cycle;
    body.failure = failure;
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = GOALLOC__V1__ENVELOPE__BODY_GC_STOPPED;
    note.gc_stopped = &body;
    told->deadline = ga_deadline_in(TELL_MS);
    return ga_channel_note_sent(told->heap->channel, &note, &told->deadline);
}

/* Everything that private memory points to, in parts. */
static int tell_all(struct told *told, uint32_t tracked, char *why)
{
    uint64_t bytes = 0;
    int r = ga_scan_look(told->heap->scan, told->heap, why);
    if (r == 0)
        r = ga_scan_run(told->heap->scan, tell_roots, told, why, &bytes);
    if (r == 0 && tracked)
        r = ga_track_tell_last(told->heap, tracked);
    if (r == 0)
        r = tell_stopped(told, (char[]){""});
    return r;
}

/* ---- standing still ---- */

/* Whether the server that began the cycle has ended. What cannot be told counts as living, but its
 * lock shows it, and to who sees its process so does that. */
static bool server_is_gone(struct goalloc_heap *heap, uint64_t generation)
{
    const struct ga_meta_header *meta = heap->view.meta;
    if (meta->generation != generation || ga_load_acquire(&meta->state) != GA_HEAP_LIVE)
        return true;
    const struct ga_own_fd *fd = &heap->object_fds[GA_OBJECT_META];
    if (ga_own_fd_is_ours(fd) && ga_server_lock_is_held(fd->fd))
        return false;
    return !ga_process_is_alive(meta->server_pid, meta->server_start_time);
}

/* Sleep until the word is another than seen, or a moment is over. */
static void sleep_at(_Atomic uint64_t *word, uint64_t seen)
{
    static const struct timespec moment = {.tv_nsec = LOOK_NS};
    /* The low half, which is first in memory; shared with the server. */
    syscall(SYS_futex, word, FUTEX_WAIT, (uint32_t)seen, &moment, NULL, 0);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Without the server's leave: unless it was first, it finds out, and frees nothing. */
static void go_on(_Atomic uint64_t *word, uint32_t cycle)
{
    uint64_t stopped = ga_gc_word(GA_GC_STOPPED, cycle);
    /* seq_cst: before any thread runs. Pairs with the server's compare and swap. */
    (void)ga_cas_seq_cst(word, &stopped, ga_gc_word(GA_GC_RUNNING, 0));
}

/* Until the word says that the threads may go on, or nobody will say so. */
static void await_end(struct goalloc_heap *heap, _Atomic uint64_t *word, uint32_t cycle)
{
    const uint64_t stopped = ga_gc_word(GA_GC_STOPPED, cycle);
    const struct ga_meta_header *meta = heap->view.meta;
    const uint64_t generation = meta->generation;
    struct ga_patience patience = {0};
    /* Pairs with the server's compare and swap. */
    while (ga_load_acquire(word) == stopped) {
        bool lasts = ga_patience_lasts(&patience, ga_load_relaxed(&meta->gc_beat), now_ms());
        if (lasts && !server_is_gone(heap, generation)) {
            sleep_at(word, stopped);
            continue;
        }
        go_on(word, cycle);
        return;
    }
}

void ga_managed_stop(struct goalloc_heap *heap, uint32_t cycle, uint32_t tracked)
{
    char why[GA_STOP_WHY_BYTES] = "";
    struct told told = {.heap = heap, .cycle = cycle};
    /* Pairs with the release when it was mapped. */
    if (!heap->managed || !ga_load_acquire(&heap->mapped)) {
        (void)tell_stopped(&told, (char[]){"it is just attaching"});
        return;
    }
    uint32_t client = ga_load_relaxed(&heap->client);
    _Atomic uint64_t *word = &heap->view.gc_words[client - 1];
    int r = ga_stop_all(STOP_MS, why);
    if (r < 0) {
        (void)tell_stopped(&told, why);
        return;
    }
    /* seq_cst: before anything is scanned. Pairs with the server's compare and swap. */
    ga_xchg_seq_cst(word, ga_gc_word(GA_GC_STOPPED, cycle));
    r = tell_all(&told, tracked, why);
    if (r == 0)
        await_end(heap, word, cycle);
    else
        go_on(word, cycle);
    ga_stop_release();
    if (r < 0)
        (void)tell_stopped(&told, why[0] ? why : (char[]){"the server does not listen"});
}

/* ---- while they run ---- */

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int ga_managed_look(struct goalloc_heap *heap, uint32_t cycle,
                    char ret_why[static GA_STOP_WHY_BYTES], uint64_t *ret_stood_ns)
{
    struct told told = {.heap = heap, .cycle = cycle};
    uint64_t bytes = 0;
    uint64_t from_ns = now_ns();
    int r = ga_stop_all(STOP_MS, ret_why);
    if (r < 0)
        return r;
    r = ga_scan_look(heap->scan, heap, ret_why);
    ga_stop_release();
    *ret_stood_ns = now_ns() - from_ns;
    return r < 0 ? r : ga_scan_run(heap->scan, tell_roots, &told, ret_why, &bytes);
}

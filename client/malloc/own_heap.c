/* Making the process's heap in a reservation of address space: its objects, meta and bits, and the
 * core's books; and what the core asks of the world. */
#include "own_heap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "account.h"
#include "client/mcache.h"
#include "huge_pages.h"
#include "proto/own_core.h"
#include "register.h"
#include "reservation.h"

/* Most children of fork are over, or another program, before anybody could look into them, and to
 * tell of one costs more than most of them do. So a child tells the server when it has needed the
 * core so often, or needs it so long after the fork. */
#define COPY_TELLS_AT_CALL  16u
#define COPY_TELLS_AFTER_MS 100u
static _Atomic bool is_unknown;      /* to the server */
static _Atomic uint32_t copy_ncalls; /* of the core, since the fork */
static uint64_t forked_ms;

struct goalloc_heap ga_own_heap_itself;
static bool is_made;
static bool was_filtered; /* its system calls, before it had a heap: as in a container */

static struct ga_reservation parts;

struct ga_stop_range ga_own_heap_range(void)
{
    return (struct ga_stop_range){(uintptr_t)parts.start, (uintptr_t)parts.start + parts.bytes};
}

const void *ga_own_heap_bits(void)
{
    return parts.bits;
}

struct goalloc_heap *ga_own_heap(void)
{
    return is_made ? &ga_own_heap_itself : NULL;
}

/* ---- what the core asks of the world ---- */

/* Arenas are opened as the heap comes to them, and stay open. */
static int open_heap(uint64_t bytes)
{
    static uint64_t opened;
    int r = ga_reservation_open_heap(&parts, opened, bytes);
    if (r == 0 && bytes > opened)
        opened = bytes;
    return r;
}

static void grown(uint64_t bytes)
{
    ga_huge_pages_grown(&parts, bytes);
}

static int open_table(bool meta, uint64_t offset, uint64_t bytes)
{
    return ga_reservation_open(&parts, meta, offset, bytes);
}

static int punch(uint64_t offset, uint64_t bytes)
{
    if (madvise(parts.heap + offset, bytes, MADV_DONTNEED) < 0)
        return -errno;
    ga_huge_pages_given_back(&parts);
    return 0;
}

/* ---- the heap ---- */

static int make_core(uint32_t *ret_client)
{
    const struct ga_own_memory memory = {.heap = parts.heap,
                                         .meta = parts.meta,
                                         .bits = parts.bits,
                                         .near_books = parts.near_books,
                                         .books = parts.books,
                                         .heap_bytes = parts.heap_bytes,
                                         .is_counted = parts.is_counted,
                                         .near_books_bytes = parts.near_books_bytes,
                                         .books_bytes = parts.books_bytes};
    static const struct ga_own_world world = {
        .open_heap = open_heap, .grown = grown, .open_table = open_table, .punch = punch};
    return ga_own_core_make(&memory, &world, ret_client);
}

static void init_heap(struct goalloc_heap *heap, uint32_t client)
{
    heap->base = (uintptr_t)parts.heap;
    heap->reserve_bytes = parts.heap_bytes;
    heap->view = ga_view_of((struct ga_meta_header *)(void *)parts.meta, parts.bits);
    heap->policy = GOALLOC_POLICY_KEEP; /* of what ends with the process */
    heap->is_own = true;
    /* No functions of the C library: the loader would look for each as it is called first. */
    heap->asked = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    heap->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    heap->pausing = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    ga_profile_init(heap);
    (void)ga_profile_read_rate(heap); /* what is no size changes nothing */
    uint64_t rate_plus_1 = ga_load_relaxed(&heap->profiler.rate_plus_1);
    if (rate_plus_1)
        ga_own_core_set_profile_rate(rate_plus_1 - 1);
    heap->first_cache = (void *)parts.thread_cache;
    heap->profiler.at_hand = parts.profiler;
    heap->place = GA_OWN_HEAP_PLACE;
    ga_store_relaxed(&heap->tls_index, heap->place);
    ga_store_relaxed(&heap->client, client);
    ga_store_release(&heap->mapped, true);
}

static int make(char ret_why[static GA_CHANNEL_ERROR_BYTES])
{
    uint32_t client = 0;
    if (!ga_reservation_make(&parts)) {
        snprintf(ret_why, GA_CHANNEL_ERROR_BYTES, "no address space can be reserved for a heap");
        return -ENOMEM;
    }
    int r = make_core(&client);
    if (r < 0)
        snprintf(ret_why, GA_CHANNEL_ERROR_BYTES, "no heap can be made: %s", strerrordesc_np(-r));
    else
        r = ga_register(parts.meta, parts.bits, ret_why);
    if (r < 0) {
        munmap(parts.start, parts.bytes);
        return r;
    }
    init_heap(&ga_own_heap_itself, client);
    ga_own_fork_init();
    is_made = true;
    return 0;
}

struct goalloc_heap *ga_own_heap_make(char ret_why[static GA_CHANNEL_ERROR_BYTES])
{
    if (make(ret_why) < 0)
        return NULL;
    was_filtered = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0;
    (void)ga_account_begin();
    return &ga_own_heap_itself;
}

/* In the parent, since the child would need an OS page more to read the clock. */
void ga_own_heap_is_to_be_copied(void)
{
    forked_ms = ga_mcache_now_ms();
}

void ga_own_heap_is_copied(void)
{
    ga_store_relaxed(&copy_ncalls, 0);
    ga_store_relaxed(&is_unknown, true);
}

/* A program that has locked itself in meanwhile may be killed for a connect. */
static bool is_locked_in(void)
{
    return !was_filtered && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0;
}

/* A child needs the core; whether the server is to know of it now: at once if somebody counts. */
static bool is_time_to_tell(void)
{
    uint32_t ncalls = ga_fetch_add_relaxed(&copy_ncalls, 1) + 1;
    if (ncalls == 1 && !is_locked_in() && ga_account_begin())
        return true;
    return ncalls >= COPY_TELLS_AT_CALL || ga_mcache_now_ms() - forked_ms >= COPY_TELLS_AFTER_MS;
}

static void tell_of_copy(void)
{
    char why[GA_CHANNEL_ERROR_BYTES];
    if (!is_time_to_tell())
        return;
    ga_store_relaxed(&is_unknown, false);
    if (!is_locked_in())
        (void)ga_register(parts.meta, parts.bits, why); /* the heap is there all the same */
}

void ga_own_heap_meet_server(void)
{
    if (__builtin_expect(ga_load_relaxed(&is_unknown), 0))
        tell_of_copy();
}

/* ---- attach.c's part: this heap is always attached ---- */

static uint32_t nwaiting; /* to ask, under the heap's lock; in a child of fork, its parent's too */

int ga_attach_begin_asking(struct goalloc_heap *heap, const struct timespec *deadline)
{
    (void)deadline; /* nobody asks for long */
    pthread_mutex_lock(&heap->lock);
    nwaiting++;
    while (heap->asking)
        pthread_cond_wait(&heap->asked, &heap->lock);
    nwaiting--;
    heap->asking = true;
    pthread_mutex_unlock(&heap->lock);
    return 0;
}

void ga_attach_end_asking(struct goalloc_heap *heap)
{
    pthread_mutex_lock(&heap->lock);
    heap->asking = false;
    if (nwaiting > 0)
        pthread_cond_broadcast(&heap->asked);
    pthread_mutex_unlock(&heap->lock);
}

int ga_attach_after_fork(struct goalloc_heap *heap)
{
    (void)heap;
    return 0;
}

bool ga_attach_may_pass(int err)
{
    (void)err;
    return false;
}

int ga_attach_channel_until(struct goalloc_heap *heap, const struct timespec *deadline,
                            struct ga_channel **ret)
{
    (void)deadline;
    return ga_attach_channel(heap, ret);
}

int ga_attach_channel(struct goalloc_heap *heap, struct ga_channel **ret)
{
    *ret = heap->channel;
    return 0;
}

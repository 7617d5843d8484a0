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
#include "core_memory.h"
#include "register.h"
#include "reservation.h"
#include "server/collect.h"
#include "server/heap.h"
#include "shm/process.h"

#define PROFILE_RATE (UINT64_C(512) << 10) /* Go's */

static struct goalloc_heap the_heap;
static bool is_made;
static _Atomic bool is_unknown; /* to the server */
static bool was_filtered;       /* its system calls, before it had a heap: as in a container */

static struct ga_reservation parts;

struct ga_stop_range ga_own_heap_range(void)
{
    return (struct ga_stop_range){(uintptr_t)parts.heap,
                                  (uintptr_t)parts.books + parts.books_bytes};
}

const void *ga_own_heap_bits(void)
{
    return parts.bits;
}

struct goalloc_heap *ga_own_heap(void)
{
    return is_made ? &the_heap : NULL;
}

/* ---- what the core asks of the world ---- */

/* Arenas are opened as the heap comes to them, and stay open. */
static int resize(void *data, enum ga_object object, uint64_t bytes)
{
    static uint64_t opened;
    (void)data;
    if (object != GA_OBJECT_HEAP || bytes <= opened)
        return 0;
    if (mprotect(parts.heap + opened, bytes - opened, PROT_READ | PROT_WRITE) < 0)
        return -ENOMEM;
    opened = bytes;
    return 0;
}

/* Memory comes when it is touched. */
static int commit(void *data, enum ga_object object, uint64_t offset, uint64_t bytes)
{
    (void)data;
    return object == GA_OBJECT_HEAP
               ? 0
               : ga_reservation_open(&parts, object == GA_OBJECT_META, offset, bytes);
}

int ga_own_heap_punch(uint64_t offset, uint64_t bytes)
{
    return madvise(parts.heap + offset, bytes, MADV_DONTNEED) < 0 ? -errno : 0;
}

static int punch(void *data, uint64_t offset, uint64_t bytes)
{
    (void)data;
    return ga_own_heap_punch(offset, bytes);
}

static void decommit(void *data, enum ga_object object, uint64_t offset, uint64_t bytes)
{
    if (object == GA_OBJECT_HEAP)
        (void)punch(data, offset, bytes);
}

static int recommit(void *data, uint64_t offset, uint64_t bytes)
{
    return commit(data, GA_OBJECT_HEAP, offset, bytes);
}

/* A release is over before its caller goes on; and who is short of memory looks for it himself. */
static void do_nothing(void *data)
{
    (void)data;
}

static uint64_t ms_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t now_ms(void *data)
{
    (void)data;
    return ms_of(CLOCK_MONOTONIC_COARSE);
}

static uint64_t wall_ms(void *data)
{
    (void)data;
    return ms_of(CLOCK_REALTIME_COARSE);
}

/* ---- the heap ---- */

static int make_core(struct ga_heap **ret, ga_client_id *ret_client)
{
    struct ga_heap_config config = {
        .name = "own",
        .base = (uintptr_t)parts.heap,
        .reserve_bytes = parts.heap_bytes,
        .heap_id = (uintptr_t)parts.heap,
        .server_pid = (uint32_t)getpid(),
        .server_version = GOALLOC_VERSION,
        .profile_rate_bytes = PROFILE_RATE,
    };
    static const struct ga_heap_effects effects = {
        .resize = resize,
        .commit = commit,
        .decommit = decommit,
        .punch = punch,
        .recommit = recommit,
        .wait_for_release = do_nothing,
        .reclaim = do_nothing,
        .now_ms = now_ms,
        .wall_ms = wall_ms,
    };
    ga_core_memory_init(parts.books, parts.books_bytes);
    int r = ga_heap_new(&config, parts.meta, parts.bits, &effects, ret);
    if (r == 0)
        r = ga_heap_attach(*ret, (uint32_t)getpid(), (uint32_t)getuid(), (uint32_t)getgid(), 0,
                           program_invocation_short_name, ret_client);
    return r;
}

static void init_heap(struct goalloc_heap *heap, struct ga_heap *core, ga_client_id client)
{
    heap->base = (uintptr_t)parts.heap;
    heap->reserve_bytes = parts.heap_bytes;
    heap->view = ga_view_of((struct ga_meta_header *)(void *)parts.meta, parts.bits);
    heap->policy = GOALLOC_POLICY_KEEP; /* of what ends with the process */
    heap->is_own = true;
    pthread_cond_init(&heap->asked, NULL);
    pthread_mutex_init(&heap->lock, NULL);
    pthread_mutex_init(&heap->pausing, NULL);
    ga_profile_init(heap);
    (void)ga_profile_read_rate(heap); /* what is no size changes nothing */
    uint64_t rate_plus_1 = ga_load_relaxed(&heap->profiler.rate_plus_1);
    if (rate_plus_1)
        (void)ga_heap_set_profile_rate(core, client + 1, 0, rate_plus_1 - 1);
    heap->place = 1;
    ga_store_relaxed(&heap->tls_index, heap->place);
    ga_store_relaxed(&heap->client, client + 1);
    ga_store_release(&heap->mapped, true);
}

static int make(char ret_why[static GA_CHANNEL_ERROR_BYTES])
{
    struct ga_heap *core;
    ga_client_id client = 0;
    if (!ga_reservation_make(&parts)) {
        snprintf(ret_why, GA_CHANNEL_ERROR_BYTES, "no address space can be reserved for a heap");
        return -ENOMEM;
    }
    int r = make_core(&core, &client);
    if (r < 0) {
        snprintf(ret_why, GA_CHANNEL_ERROR_BYTES, "no heap can be made: %s", strerrordesc_np(-r));
        return r;
    }
    init_heap(&the_heap, core, client);
    ga_heap_set_memory(core, parts.heap);
    ga_own_server_init(core, client, now_ms(NULL));
    ga_own_fork_init();
    is_made = true;
    return 0;
}

struct goalloc_heap *ga_own_heap_make(char ret_why[static GA_CHANNEL_ERROR_BYTES])
{
    int fd;
    if (ga_register_connect(ret_why, &fd) < 0)
        return NULL;
    if (make(ret_why) < 0) {
        close(fd);
        return NULL;
    }
    ga_register_say(fd, parts.meta, parts.bits);
    was_filtered = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0;
    ga_account_begin();
    return &the_heap;
}

void ga_own_heap_is_copied(void)
{
    ga_store_relaxed(&is_unknown, true);
}

/* A program that has locked itself in meanwhile may be killed for a connect. */
static bool is_locked_in(void)
{
    return !was_filtered && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0;
}

void ga_own_heap_meet_server(void)
{
    char why[GA_CHANNEL_ERROR_BYTES];
    int fd;
    if (!ga_load_relaxed(&is_unknown))
        return;
    ga_store_relaxed(&is_unknown, false);
    if (is_locked_in())
        return;
    ga_account_begin();
    if (ga_register_connect(why, &fd) == 0) /* else nobody is told: the heap is there */
        ga_register_say(fd, parts.meta, parts.bits);
}

/* ---- attach.c's part: this heap is always attached ---- */

int ga_attach_begin_asking(struct goalloc_heap *heap, const struct timespec *deadline)
{
    (void)deadline; /* nobody asks for long */
    pthread_mutex_lock(&heap->lock);
    while (heap->asking)
        pthread_cond_wait(&heap->asked, &heap->lock);
    heap->asking = true;
    pthread_mutex_unlock(&heap->lock);
    return 0;
}

void ga_attach_end_asking(struct goalloc_heap *heap)
{
    pthread_mutex_lock(&heap->lock);
    heap->asking = false;
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

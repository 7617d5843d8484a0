/* The heap core inside of the process whose heap it keeps: making it, what it asks of the process,
 * and giving memory back. */
#include "server/own/own_core.h"

#include <errno.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>

#include "server/collect.h"
#include "server/own/core_memory.h"

#define PROFILE_RATE (UINT64_C(512) << 10) /* Go's */
/* What only the process itself touches costs nothing until then: little need be noted of it. */
#define PIECE_BYTES         (UINT64_C(4) << 20)
#define COUNTED_PIECE_BYTES (UINT64_C(64) << 10)
#define PERIOD_MS           1000u
#define RELEASES_AT_ONCE    8u /* of 4 MiB each, about */

struct ga_heap *ga_own_heap_core;
ga_client_id ga_own_client;

static struct ga_own_world world;
static uint64_t period_ms; /* when the last one began */
static bool is_odd_period;

/* ---- effects ---- */

static int resize(void *data, enum ga_object object, uint64_t bytes)
{
    (void)data;
    return object == GA_OBJECT_HEAP ? world.open_heap(bytes) : 0;
}

/* Memory comes when it is touched. */
static int commit(void *data, enum ga_object object, uint64_t offset, uint64_t bytes)
{
    (void)data;
    if (object != GA_OBJECT_HEAP)
        return world.open_table(object == GA_OBJECT_META, offset, bytes);
    world.grown(offset + bytes);
    return 0;
}

static int punch(void *data, uint64_t offset, uint64_t bytes)
{
    (void)data;
    return world.punch(offset, bytes);
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

/* ---- making ---- */

int ga_own_core_make(const struct ga_own_memory *memory, const struct ga_own_world *of_process,
                     uint32_t *ret_client)
{
    struct ga_heap_config config = {
        .name = "own",
        .base = (uintptr_t)memory->heap,
        .reserve_bytes = memory->heap_bytes,
        .heap_id = (uintptr_t)memory->heap,
        .server_pid = (uint32_t)getpid(),
        .server_version = GOALLOC_VERSION,
        .profile_rate_bytes = PROFILE_RATE,
        .is_own = true,
        .piece_bytes = memory->is_counted ? COUNTED_PIECE_BYTES : PIECE_BYTES,
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
    world = *of_process;
    period_ms = now_ms(NULL);
    ga_core_memory_init(memory->near_books, memory->near_books_bytes, memory->books,
                        memory->books_bytes);
    int r = ga_heap_new(&config, memory->meta, memory->bits, &effects, &ga_own_heap_core);
    if (r == 0)
        r = ga_heap_attach(ga_own_heap_core, config.server_pid, (uint32_t)getauxval(AT_UID),
                           (uint32_t)getauxval(AT_GID), 0, program_invocation_short_name,
                           &ga_own_client);
    if (r < 0)
        return r;
    ga_heap_set_memory(ga_own_heap_core, memory->heap);
    *ret_client = ga_own_client + 1;
    return 0;
}

void ga_own_core_set_profile_rate(uint64_t rate_bytes)
{
    (void)ga_heap_set_profile_rate(ga_own_heap_core, ga_own_client + 1, 0, rate_bytes);
}

void ga_own_core_mcache_gone(uint32_t mcache)
{
    ga_heap_mcache_gone(ga_own_heap_core, ga_own_client, mcache);
}

/* ---- giving memory back ---- */

static void release(const struct ga_page_run *runs, uint32_t nruns)
{
    for (uint32_t i = 0; i < nruns; i++)
        ga_heap_end_release(
            ga_own_heap_core, i,
            world.punch(runs[i].page * GA_PAGE_SIZE, runs[i].npages * GA_PAGE_SIZE) == 0);
}

bool ga_own_core_tick(void)
{
    uint64_t now = now_ms(NULL);
    if (now - period_ms < PERIOD_MS)
        return false;
    period_ms = now;
    ga_heap_next_period(ga_own_heap_core);
    struct ga_page_run runs[GA_RELEASE_RUNS];
    uint32_t nruns = 1;
    for (uint32_t i = 0; i < RELEASES_AT_ONCE && nruns > 0; i++) {
        nruns = ga_heap_begin_release(ga_own_heap_core, runs);
        release(runs, nruns);
    }
    is_odd_period = !is_odd_period;
    return !is_odd_period && ga_heap_has_unneeded(ga_own_heap_core);
}

uint64_t ga_own_core_release(uint64_t pad)
{
    struct ga_heap_stats stats;
    ga_heap_sweep_pending(ga_own_heap_core);
    ga_heap_get_stats(ga_own_heap_core, &stats);
    uint64_t idle = stats.heap_idle_bytes - stats.heap_released_bytes;
    return idle > pad ? ga_heap_release_now(ga_own_heap_core, idle - pad) : 0;
}

/* ---- figures ---- */

void ga_own_core_figures(struct ga_own_figures *ret)
{
    static_assert(GA_OWN_CLASSES == GA_SIZE_CLASS_COUNT, "each class has its figures");
    struct ga_heap_stats stats;
    ga_heap_sweep_pending(ga_own_heap_core);
    ga_heap_get_stats(ga_own_heap_core, &stats);
    *ret = (struct ga_own_figures){
        .alloc_bytes = stats.alloc_bytes,
        .total_alloc_bytes = stats.total_alloc_bytes,
        .mallocs = stats.mallocs,
        .frees = stats.frees,
        .heap_objects = stats.heap_objects,
        .inuse_bytes = stats.heap_inuse_bytes,
        .idle_bytes = stats.heap_idle_bytes - stats.heap_released_bytes,
        .resident_bytes = stats.heap_sys_bytes - stats.heap_released_bytes,
        .books_bytes = stats.mspan_inuse_bytes + stats.mcache_inuse_bytes,
    };
    for (uint32_t c = 0; c < GA_OWN_CLASSES; c++) {
        ret->by_class[c].mallocs = stats.by_class[c].mallocs;
        ret->by_class[c].frees = stats.by_class[c].frees;
        ret->by_class[c].spans = stats.by_class[c].spans;
        ret->by_class[c].alloc_bytes = stats.by_class[c].alloc_bytes;
    }
}

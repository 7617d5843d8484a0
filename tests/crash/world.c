#include "crash/world.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crash/own_memory.h"
#include "crash/trace.h"
#include "support/folder.h"

#define SETTLE_MS    10000
#define SHADOW_BYTES (2u << 20)

static int ready_fd = -1;

/* What is to be removed if this process is told to end. */
static struct ga_crash_world *current;

static void end_early(int number)
{
    if (current)
        ga_crash_world_fini(current);
    _exit(128 + number);
}

bool ga_crash_world_init(struct ga_crash_world *world, const char *goallocd)
{
    static unsigned count;
    *world = (struct ga_crash_world){.goallocd = goallocd, .server = -1, .wire = {.fd = -1}};
    for (int i = 0; i < GA_OBJECT_COUNT; i++)
        world->objects[i] = GA_MAPPING_NONE;
    if (!ga_test_folder_make(world->folder))
        return false;
    current = world;
    signal(SIGTERM, end_early);
    signal(SIGINT, end_early);
    snprintf(world->socket, sizeof(world->socket), "%s/sock", world->folder);
    snprintf(world->heap_name, sizeof(world->heap_name), "test-%d-crash%u", getpid(), count++);
    return true;
}

bool ga_crash_world_start(struct ga_crash_world *world, bool traced)
{
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) < 0)
        return false;
    world->server = fork();
    if (world->server == 0) {
        char fd[16];
        snprintf(fd, sizeof(fd), "%d", dup(ready[1]));
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        personality(ADDR_NO_RANDOMIZE); /* an instruction is at one address in every run */
        if (traced)
            ga_trace_me();
        execl(world->goallocd, "goallocd", "--name", world->heap_name, "--socket", world->socket,
              "--reserve", "64M", "--ready-fd", fd, "--log-level", "error",
              world->soft_limit ? "--soft-limit" : NULL, world->soft_limit, (char *)NULL);
        _exit(127);
    }
    close(ready[1]);
    ready_fd = ready[0];
    int status;
    return world->server > 0 &&
           (!traced || (waitpid(world->server, &status, 0) == world->server && WIFSTOPPED(status)));
}

static bool map_objects(struct ga_crash_world *world)
{
    if (ga_mapping_open(world->heap_name, GA_OBJECT_META, true, -1, 0, 0,
                        &world->objects[GA_OBJECT_META]) < 0)
        return false;
    const struct ga_meta_header *meta = world->objects[GA_OBJECT_META].address;
    const uint64_t bytes[] = {0, meta->bits_bytes, meta->reserve_bytes};
    for (enum ga_object object = GA_OBJECT_BITS; object < GA_OBJECT_COUNT; object++)
        if (ga_mapping_open(world->heap_name, object, true, -1, 0, bytes[object],
                            &world->objects[object]) < 0)
            return false;
    world->view =
        ga_view_of(world->objects[GA_OBJECT_META].address, world->objects[GA_OBJECT_BITS].address);
    return true;
}

bool ga_crash_world_await(struct ga_crash_world *world)
{
    char answer[8] = "";
    ssize_t n = read(ready_fd, answer, sizeof(answer) - 1);
    close(ready_fd);
    ready_fd = -1;
    if (n <= 0 || strcmp(answer, "READY\n") != 0)
        return false;
    return (world->objects[GA_OBJECT_META].address || map_objects(world)) &&
           ga_wire_open_greeted(&world->wire, world->socket);
}

void ga_crash_world_lost(struct ga_crash_world *world)
{
    if (ready_fd >= 0)
        close(ready_fd);
    ready_fd = -1;
    if (world->wire.fd >= 0)
        ga_wire_close(&world->wire);
    world->server = -1;
}

void ga_crash_world_fini(struct ga_crash_world *world)
{
    if (world->server > 0) {
        kill(world->server, SIGKILL);
        waitpid(world->server, NULL, 0);
    }
    ga_crash_world_lost(world);
    for (enum ga_object object = 0; object < GA_OBJECT_COUNT; object++) {
        ga_mapping_close(&world->objects[object]);
        ga_object_unlink(world->heap_name, object);
    }
    ga_test_folder_remove(world->folder);
    ga_own_memory_free(world->shadow, SHADOW_BYTES);
    world->shadow = NULL;
    current = NULL;
}

/* ---- settling ---- */

static bool sync_once(struct ga_crash_world *world)
{
    Goalloc__V1__Sync sync = GOALLOC__V1__SYNC__INIT;
    const Goalloc__V1__Envelope *reply =
        ga_wire_ask(&world->wire, GOALLOC__V1__ENVELOPE__BODY_SYNC, &sync);
    return reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_DONE;
}

bool ga_crash_world_sync(struct ga_crash_world *world)
{
    /* A connection that waited to be accepted is read a turn later, and its process watched from
     * the next on; each answer is at least a turn. */
    return sync_once(world) && sync_once(world) && sync_once(world);
}

static bool is_among(uint32_t pid, const pid_t *alive, size_t nalive)
{
    for (size_t i = 0; i < nalive; i++)
        if (alive[i] == (pid_t)pid)
            return true;
    return false;
}

static bool all_gone(const struct ga_crash_world *world, const pid_t *alive, size_t nalive)
{
    uint32_t end = ga_load_acquire(&world->view.meta->client_end);
    for (uint32_t i = 0; i < end; i++) {
        const struct ga_client_entry *client = &world->view.clients[i];
        if (ga_load_acquire(&client->state) != GA_CLIENT_FREE &&
            !is_among(client->pid, alive, nalive))
            return false;
    }
    return true;
}

bool ga_crash_world_settle(struct ga_crash_world *world, const pid_t *alive, size_t nalive)
{
    if (!ga_crash_world_sync(world))
        return false;
    struct timespec pause = {.tv_nsec = 50000};
    int waits = 0;
    while (!all_gone(world, alive, nalive)) {
        if (++waits > SETTLE_MS * 20)
            return false;
        nanosleep(&pause, NULL);
    }
    return sync_once(world);
}

/* ---- what changes ---- */

struct piece {
    const void *at;
    size_t bytes;
};

#define PIECES         12
#define MCACHES_LOOKED 6u
#define SITES_LOOKED   8u /* of each profile */

/* What is in use of the tables. */
static void find_pieces(const struct ga_crash_world *world, struct piece ret[static PIECES])
{
    const struct ga_meta_header *meta = world->view.meta;
    uint64_t npages = ga_load_relaxed(&meta->committed_npages) + 128;
    const char *m = world->objects[GA_OBJECT_META].address;
    const char *b = world->objects[GA_OBJECT_BITS].address;
    ret[0] = (struct piece){m, sizeof(*meta) + sizeof(struct ga_arena_entry)};
    uint32_t nclients = ga_load_relaxed(&meta->client_end);
    ret[1] = (struct piece){m + meta->clients_offset,
                            GA_OS_PAGE_SIZE + nclients * sizeof(struct ga_client_entry)};
    ret[2] = (struct piece){m + meta->mcaches_offset, 256};
    ret[3] = (struct piece){m + meta->rings_offset, MCACHES_LOOKED * sizeof(struct ga_ring)};
    ret[4] = (struct piece){m + meta->roots_offset, 4 * sizeof(struct ga_root_entry)};
    ret[5] = (struct piece){m + meta->holds_offset, 16 * sizeof(struct ga_hold)};
    ret[6] = (struct piece){m + meta->page_table_offset, npages * 8};
    ret[7] =
        (struct piece){b + meta->bits_mcaches_offset, MCACHES_LOOKED * sizeof(struct ga_mcache)};
    ret[8] = (struct piece){b + ga_geometry_pending(meta, npages), (npages + 63) / 64 * 8};
    ret[9] = (struct piece){b + meta->bits_handles_offset, 4 * sizeof(struct ga_handles)};
    ret[10] = (struct piece){b + meta->bits_gc_words_offset, 8 * sizeof(uint64_t)};
    ret[11] = (struct piece){m + meta->profiles_offset, nclients * sizeof(struct ga_profile_entry)};
}

/* Lines, wide and tiny planes, samples: of the first pages, which are used first. */
#define PLANE_NPAGES 192u

static bool differs(const void *at, size_t bytes, unsigned char **shadow)
{
    bool changed = memcmp(*shadow, at, bytes) != 0;
    if (changed)
        memcpy(*shadow, at, bytes);
    *shadow += bytes;
    return changed;
}

/* The profiles of those who are attached: their headers and first sites. */
static bool profiles_differ(const struct ga_crash_world *world, unsigned char **shadow)
{
    const struct ga_view *view = &world->view;
    uint32_t end = ga_load_relaxed(&view->meta->client_end);
    bool changed = false;
    for (uint32_t client = 0; client < end; client++) {
        const struct ga_profile *profile = &view->profiles[client];
        if (ga_load_relaxed(&view->clients[client].state) == GA_CLIENT_FREE ||
            ga_load_relaxed(&view->profile_entries[client].bytes) == 0)
            continue;
        changed |= differs(profile, offsetof(struct ga_profile, mappings), shadow);
        changed |= differs(profile->sites, SITES_LOOKED * sizeof(profile->sites[0]), shadow);
    }
    return changed;
}

bool ga_crash_world_changed(void *data)
{
    struct ga_crash_world *world = data;
    if (!world->shadow)
        world->shadow = ga_own_memory_new(SHADOW_BYTES);
    struct piece pieces[PIECES];
    find_pieces(world, pieces);
    unsigned char *shadow = world->shadow;
    bool changed = false;
    for (int i = 0; i < PIECES; i++)
        changed |= differs(pieces[i].at, pieces[i].bytes, &shadow);
    changed |= differs(world->view.lines, PLANE_NPAGES * sizeof(struct ga_span_line), &shadow);
    changed |= differs(ga_view_wide(&world->view, PLANE_NPAGES - 1),
                       PLANE_NPAGES * sizeof(struct ga_span_wide), &shadow);
    changed |= differs(world->view.tiny, PLANE_NPAGES * sizeof(struct ga_tiny_bits), &shadow);
    changed |= differs(
        world->view.samples,
        PLANE_NPAGES / GA_SAMPLE_SET_NPAGES * world->view.sample_words * sizeof(uint64_t), &shadow);
    changed |= profiles_differ(world, &shadow);
    return changed;
}

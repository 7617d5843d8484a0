/* The objects are made in the order meta, bits, heap and removed in the opposite one, so who has
 * made meta has the name. A name is removed only while it still leads to the object we made: after
 * somebody has cleaned up by hand, it may be another server's.
 *
 * meta and bits get their whole length at once, as holes, and the heap grows arena by arena. Memory
 * comes with fallocate, so that a full /dev/shm is an error here and not a SIGBUS elsewhere. */
#include "server/shell/world.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "server/shell/claim.h"
#include "server/shell/events.h"
#include "shm/dirlock.h"
#include "server/shell/guard.h"
#include "server/shell/huge.h"
#include "server/shell/log.h"
#include "server/shell/neighbours.h"
#include "server/shell/process.h"
#include "server/shell/punch.h"
#include "server/shell/puncher.h"
#include "server/shell/restore.h"
#include "server/shell/snapshot_file.h"
#include "server/shell/takeover.h"

/* A commit of this much first looks at how much is free. */
#define LARGE_COMMIT_BYTES (UINT64_C(16) << 20)

#define STAT_BLOCK_BYTES 512u /* what st_blocks counts */

/* ---- effects ---- */

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t ga_world_now_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

uint64_t ga_world_wall_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

static void happened(void *data, enum ga_happening what, uint64_t bytes)
{
    const struct ga_world *world = data;
    if (!world->server)
        return;
    if (what == GA_HAPPENED_GROW)
        ga_event_grow(world->server, bytes);
    else
        ga_event_scavenge(world->server, bytes);
}

static uint64_t now_ms(void *data)
{
    (void)data;
    return clock_ms(CLOCK_MONOTONIC);
}

static uint64_t wall_ms(void *data)
{
    (void)data;
    return clock_ms(CLOCK_REALTIME);
}

/* What the core is told when the system has no memory, or allows us no more. */
static int refused(struct ga_world *world, int err)
{
    if (err != ENOSPC && err != ENOMEM && err != EFBIG && err != EDQUOT)
        return -err;
    world->refused_memory = true;
    return -ENOMEM;
}

static uint64_t length_of(const struct ga_world *world, enum ga_object object)
{
    struct stat st;
    return fstat(world->mappings[object].fd, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

static int resize(void *data, enum ga_object object, uint64_t bytes)
{
    struct ga_world *world = data;
    int r;
    /* Shorter, it would lose what is ready behind its end. */
    if (object == GA_OBJECT_HEAP && bytes < length_of(world, object))
        ga_ahead_give_up(&world->ahead);
    do {
        r = ftruncate(world->mappings[object].fd, (off_t)bytes);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? refused(world, errno) : 0;
}

/* Whether so much is free. Without asking, a commit that is too large fills /dev/shm for everybody
 * before it is undone. */
static bool has_room(int fd, uint64_t bytes)
{
    struct statvfs fs;
    return fstatvfs(fd, &fs) < 0 || bytes / fs.f_frsize <= fs.f_bavail || fs.f_blocks == 0;
}

static void decommit(void *data, enum ga_object object, uint64_t offset, uint64_t bytes)
{
    const struct ga_world *world = data;
    int r = ga_punch(world->mappings[object].fd, offset, bytes);
    if (r < 0)
        ga_log(GA_LOG_WARNING, "cannot give memory back: %s", strerror(-r));
}

/* 0 or an errno. */
static int try_to_allocate(struct ga_world *world, enum ga_object object, uint64_t offset,
                           uint64_t bytes)
{
    const struct ga_mapping *mapping = &world->mappings[object];
    enum ga_huge huge = object == GA_OBJECT_HEAP ? world->huge : GA_HUGE_NONE;
    if (bytes >= LARGE_COMMIT_BYTES && !has_room(mapping->fd, bytes))
        return ENOSPC;
    if (huge != GA_HUGE_NONE)
        ga_huge_populate(mapping, huge, offset, bytes);
    int r;
    do {
        r = fallocate(mapping->fd, 0, (off_t)offset, (off_t)bytes);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? errno : 0;
}

static int punch(void *data, uint64_t offset, uint64_t bytes)
{
    struct ga_world *world = data;
    ga_ahead_keep_off(&world->ahead, offset + bytes);
    return ga_punch(world->mappings[GA_OBJECT_HEAP].fd, offset, bytes);
}

/* What is ready ahead may be what is missing now. */
static int allocate(struct ga_world *world, enum ga_object object, uint64_t offset, uint64_t bytes)
{
    int err = try_to_allocate(world, object, offset, bytes);
    if (err != 0 && ga_ahead_give_up(&world->ahead))
        err = try_to_allocate(world, object, offset, bytes);
    return err == 0 ? 0 : refused(world, err);
}

static int commit(void *data, enum ga_object object, uint64_t offset, uint64_t bytes)
{
    struct ga_world *world = data;
    uint64_t length = length_of(world, object);
    /* fallocate would make an object that was cut as long as before, and nobody would notice. */
    if (length < offset + bytes) {
        world->cut[object] = true;
        return -ENOMEM;
    }
    int r = 0;
    if (object != GA_OBJECT_HEAP || !ga_ahead_has(&world->ahead, offset, bytes))
        r = allocate(world, object, offset, bytes);
    if (r < 0 && object == GA_OBJECT_HEAP && world->huge != GA_HUGE_NONE)
        decommit(world, object, offset, bytes); /* what was got before */
    if (r == 0 && object == GA_OBJECT_HEAP)
        ga_ahead_go_on(&world->ahead, offset + bytes,
                       length < world->limit_bytes ? length : world->limit_bytes);
    return r;
}

static int recommit(void *data, uint64_t offset, uint64_t bytes)
{
    struct ga_world *world = data;
    if (length_of(world, GA_OBJECT_HEAP) < offset + bytes) {
        world->cut[GA_OBJECT_HEAP] = true;
        return -ENOMEM;
    }
    /* What was got of huge pages when it fails is given back by who asked. */
    return allocate(world, GA_OBJECT_HEAP, offset, bytes);
}

static void wait_for_release(void *data)
{
    const struct ga_world *world = data;
    if (world->puncher)
        ga_puncher_wait(world->puncher);
}

/* The notes go out later, from the loop: the core is in the middle of something. */
static void reclaim(void *data)
{
    struct ga_world *world = data;
    world->reclaim_wanted = true;
}

/* ---- objects ---- */

static bool is_still_ours(const struct ga_world *world, enum ga_object object)
{
    char path[GA_OBJECT_NAME_BYTES];
    struct stat named;
    struct stat ours;
    ga_object_name(world->name, object, path);
    int fd = shm_open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool same = fstat(fd, &named) == 0 && fstat(world->mappings[object].fd, &ours) == 0 &&
                named.st_dev == ours.st_dev && named.st_ino == ours.st_ino;
    close(fd);
    return same;
}

void ga_world_close(struct ga_world *world)
{
    ga_guard_stop();
    ga_ahead_stop(&world->ahead);
    for (int object = GA_OBJECT_COUNT - 1; object >= 0; object--) {
        struct ga_mapping *mapping = &world->mappings[object];
        if (mapping->fd < 0)
            continue;
        if (!world->keep && is_still_ours(world, (enum ga_object)object))
            ga_object_unlink(world->name, (enum ga_object)object);
        ga_mapping_close(mapping);
    }
}

static int make_object(struct ga_world *world, enum ga_object object, uint64_t address,
                       uint64_t bytes)
{
    struct ga_mapping *mapping = &world->mappings[object];
    int r = ga_mapping_create(world->name, object, 0600, address, bytes, mapping);
    if (r == -EEXIST && object != GA_OBJECT_META) {
        /* The name is ours since meta is, so this was left by a server that died while it removed
         * its objects. */
        ga_object_unlink(world->name, object);
        r = ga_mapping_create(world->name, object, 0600, address, bytes, mapping);
    }
    bool made = r == 0;
    if (r == 0)
        r = ga_access_apply_to_object(&world->options->access, object, mapping->fd);
    bool refused = made && r == -EPERM;
    if (r == 0 && object != GA_OBJECT_HEAP)
        r = resize(world, object, bytes);
    if (r < 0) {
        char path[GA_OBJECT_NAME_BYTES];
        ga_object_name(world->name, object, path);
        ga_log(GA_LOG_ERROR, "the shared memory object %s cannot be made: %s", path,
               refused ? "--group: only a member of the group, or root, may give it to that"
                       : strerror(-r));
    }
    return r;
}

/* From here on until the header is written, whoever finds meta knows that nobody has used what is
 * in the other objects. */
static int say_being_made(struct ga_world *world)
{
    struct ga_meta_header *header = world->mappings[GA_OBJECT_META].address;
    int r = commit(world, GA_OBJECT_META, 0, sizeof(struct ga_meta_header));
    if (r == 0)
        header->magic = GA_META_MAKING;
    else
        ga_log(GA_LOG_ERROR, "the heap cannot be made: %s",
               world->refused_memory ? "no memory is left in /dev/shm" : strerror(-r));
    return r;
}

int ga_world_make_objects(struct ga_world *world)
{
    int r = make_object(world, GA_OBJECT_META, 0, ga_heap_meta_bytes(world->reserve_bytes));
    if (r < 0)
        return r;
    ga_neighbour_announce(world->mappings[GA_OBJECT_META].fd);
    r = say_being_made(world);
    if (r < 0)
        return r;
    r = make_object(world, GA_OBJECT_BITS, 0, ga_heap_bits_bytes(world->reserve_bytes));
    if (r < 0)
        return r;
    r = make_object(world, GA_OBJECT_HEAP, world->base, world->reserve_bytes);
    if (r == 0)
        ga_world_ask_for_huge(world);
    return r;
}

uint64_t ga_world_give_ahead_back(struct ga_world *world)
{
    uint64_t bytes = ga_ahead_bytes(&world->ahead);
    return ga_ahead_give_up(&world->ahead) ? bytes : 0;
}

void ga_world_ask_for_huge(struct ga_world *world)
{
    if (world->options->huge_pages)
        world->huge = ga_huge_begin(&world->mappings[GA_OBJECT_HEAP]);
}

int ga_world_guard(const struct ga_world *world)
{
    int r = ga_guard_start(world->mappings);
    if (r < 0)
        ga_log(GA_LOG_ERROR, "SIGBUS cannot be handled: %s", strerror(-r));
    return r;
}

int ga_world_configure(const struct ga_world *world, struct ga_heap_config *ret)
{
    uint32_t pid = (uint32_t)getpid();
    uint64_t start_time = 0;
    int r = ga_process_start_time(pid, &start_time);
    if (r < 0) {
        ga_log(GA_LOG_ERROR, "/proc does not say when this process began: is it mounted?");
        return r;
    }
    *ret = (struct ga_heap_config){
        .name = world->name,
        .base = world->base,
        .reserve_bytes = world->reserve_bytes,
        .limit_bytes = world->limit_bytes,
        .soft_limit_bytes = world->options->soft_limit_bytes,
        .huge_npages = world->huge != GA_HUGE_NONE ? GA_HUGE_PAGE_BYTES / GA_PAGE_SIZE : 0,
        .server_pid = pid,
        .server_start_time = start_time,
        .server_version = GOALLOC_VERSION,
        .profile_rate_bytes = world->options->profile_rate_bytes,
        .user_quota = world->options->user_quota,
        .client_quota = world->options->client_quota,
    };
    return 0;
}

struct ga_heap_effects ga_world_effects(struct ga_world *world)
{
    return (struct ga_heap_effects){.resize = resize,
                                    .commit = commit,
                                    .decommit = decommit,
                                    .punch = punch,
                                    .recommit = recommit,
                                    .wait_for_release = wait_for_release,
                                    .reclaim = reclaim,
                                    .happened = happened,
                                    .now_ms = now_ms,
                                    .wall_ms = wall_ms,
                                    .data = world};
}

static int make_heap(struct ga_world *world, struct ga_heap **ret)
{
    struct ga_heap_config config;
    int r = ga_world_configure(world, &config);
    if (r < 0)
        return r;
    if (getrandom(&config.heap_id, sizeof(config.heap_id), 0) != (ssize_t)sizeof(config.heap_id))
        return -EIO;
    struct ga_heap_effects effects = ga_world_effects(world);
    r = ga_heap_new(&config, world->mappings[GA_OBJECT_META].address,
                    world->mappings[GA_OBJECT_BITS].address, &effects, ret);
    if (r < 0)
        ga_log(GA_LOG_ERROR, "the heap cannot be made: %s",
               world->refused_memory ? "no memory is left in /dev/shm" : strerror(-r));
    return r;
}

static int make(struct ga_world *world, const struct ga_options *options, struct ga_heap **ret)
{
    int r = ga_claim_base(options, &world->base);
    if (r == 0)
        r = ga_world_make_objects(world);
    if (r == 0)
        r = ga_world_guard(world);
    return r < 0 ? r : make_heap(world, ret);
}

/* The name is ours to decide about only under the lock. */
static int open_named(struct ga_world *world, const struct ga_options *options,
                      struct ga_snapshot_file *snapshot, struct ga_heap **ret_heap)
{
    struct ga_neighbour old;
    bool restore = options->restore_path != NULL;
    int r = restore ? ga_restore_check(world, options, snapshot) : 0;
    if (r == 0)
        r = ga_claim_name(options, &old);
    if (r < 0)
        return r;
    if (restore)
        return r == GA_CLAIM_ADOPT ? ga_restore_refuse_name(world)
                                   : ga_restore(world, snapshot, ret_heap);
    return r == GA_CLAIM_ADOPT ? ga_takeover(world, options, &old, ret_heap)
                               : make(world, options, ret_heap);
}

int ga_world_open(struct ga_world *world, const struct ga_options *asked, struct ga_heap **ret_heap)
{
    struct ga_options options = *asked;
    struct ga_snapshot_file snapshot = {.fd = -1};
    *world = (struct ga_world){
        .options = asked,
        .mappings = {GA_MAPPING_NONE, GA_MAPPING_NONE, GA_MAPPING_NONE},
        .reserve_bytes = options.reserve_bytes,
        .limit_bytes = options.limit_bytes ? options.limit_bytes : options.reserve_bytes,
    };
    /* All of the file is read before anything else is touched, what --replace removes above all. */
    int r = options.restore_path ? ga_snapshot_file_open(options.restore_path, &snapshot) : 0;
    if (r < 0)
        return r;
    if (options.name[0] == '\0')
        memcpy(options.name, snapshot.header.name, sizeof(options.name));
    memcpy(world->name, options.name, sizeof(world->name));
    /* One that ends makes room in a moment, and whoever started us waits. */
    if (options.is_private)
        ga_claim_wait(&options);
    /* Of two servers that start at once, the second is to see what the first has taken. */
    int lock = ga_dirlock_take("/dev/shm", GA_DIRLOCK_SERVER_MS);
    r = open_named(world, &options, &snapshot, ret_heap);
    if (r < 0)
        ga_world_close(world);
    ga_dirlock_release(lock);
    ga_snapshot_file_close(&snapshot);
    return r;
}

void ga_world_commit_ahead(struct ga_world *world)
{
    ga_ahead_start(&world->ahead, &world->mappings[GA_OBJECT_HEAP], world->huge);
}

const struct ga_meta_header *ga_world_header(const struct ga_world *world)
{
    return world->mappings[GA_OBJECT_META].address;
}

static bool is_whole(const struct ga_world *world, const struct ga_heap *heap,
                     enum ga_object object)
{
    struct stat st;
    uint64_t committed = ga_heap_committed_bytes(heap, object);
    uint64_t backed = committed + (object == GA_OBJECT_HEAP ? ga_ahead_bytes(&world->ahead) : 0);
    uint64_t least =
        object == GA_OBJECT_HEAP ? ga_heap_extent_bytes(heap) : world->mappings[object].bytes;
    if (fstat(world->mappings[object].fd, &st) < 0)
        return true; /* that says nothing */
    return (uint64_t)st.st_size >= least && (uint64_t)st.st_blocks * STAT_BLOCK_BYTES >= backed;
}

bool ga_world_is_damaged(const struct ga_world *world)
{
    bool damaged = false;
    for (int i = 0; i < GA_OBJECT_COUNT; i++)
        damaged |= world->cut[i] || ga_guard_has_struck((enum ga_object)i);
    return damaged;
}

const char *ga_world_find_damage(struct ga_world *world, const struct ga_heap *heap)
{
    static const char *const names[GA_OBJECT_COUNT] = {"meta", "bits", "heap"};
    for (int i = 0; i < GA_OBJECT_COUNT; i++) {
        enum ga_object object = (enum ga_object)i;
        world->cut[i] =
            world->cut[i] || ga_guard_has_struck(object) || !is_whole(world, heap, object);
        if (world->cut[i])
            return names[i];
    }
    return NULL;
}

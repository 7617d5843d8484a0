/* The heap comes back as one that a dead server has left, and the takeover does the rest: what was
 * leased or half done when the copy was made is settled as after a death.
 *
 * What tells of processes is of another time, and perhaps of another machine, where pids and start
 * times mean something else. So server and clients are made processes that cannot be (pid 0), which
 * count as dead. The heap gets an id of its own: it is not the heap that it was copied from, which
 * may have gone on since, and may be there still under another name.
 *
 * Memory comes with fallocate before it is written or mapped memory is read, so a full /dev/shm is
 * an error and no SIGBUS. The header goes last: before, there is one that says that the heap is in
 * the making, and where it will lie. Killed before, we leave objects that the next server of the
 * name removes. */
#include "server/shell/restore.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "server/shell/log.h"
#include "server/shell/neighbours.h"
#include "server/shell/size_text.h"
#include "server/shell/takeover.h"
#include "shm/atomic.h"
#include "shm/page_entry.h"
#include "shm/view.h"

struct filling {
    struct ga_world *world;
    struct ga_heap_effects effects;
    union {
        struct ga_meta_header header;
        char bytes[GA_OS_PAGE_SIZE];
    } first_page; /* of meta, held back */
    const struct ga_snapshot_file *snapshot;
    bool has_room; /* the heap object has all the memory that it is to have */
};

static int refuse_system(const struct ga_world *world, int err)
{
    return ga_takeover_refuse(
        world, err, world->refused_memory ? "no memory is left in /dev/shm" : strerror(-err));
}

static int write_at(const struct ga_world *world, enum ga_object object, uint64_t offset,
                    const void *bytes, uint64_t nbytes)
{
    for (uint64_t done = 0; done < nbytes;) {
        ssize_t n = pwrite(world->mappings[object].fd, (const char *)bytes + done, nbytes - done,
                           (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return refuse_system(world, n < 0 ? -errno : -EIO);
        done += (uint64_t)n;
    }
    return 0;
}

static int commit(struct filling *filling, enum ga_object object, uint64_t offset, uint64_t bytes)
{
    int r = bytes == 0 ? 0 : filling->effects.commit(filling->effects.data, object, offset, bytes);
    return r < 0 ? refuse_system(filling->world, r) : 0;
}

static int make_as_long(struct filling *filling, uint64_t committed_npages)
{
    uint64_t bytes = committed_npages * GA_PAGE_SIZE;
    uint64_t narenas = (bytes + GA_ARENA_SIZE - 1) / GA_ARENA_SIZE;
    int r = filling->effects.resize(filling->effects.data, GA_OBJECT_HEAP, narenas * GA_ARENA_SIZE);
    return r < 0 ? refuse_system(filling->world, r) : 0;
}

/* What was a hole of the tables that the takeover reads. */
static int commit_tables(struct filling *filling, const struct ga_meta_header *header)
{
    const struct {
        uint64_t offset;
        uint64_t bytes;
    } tables[] = {
        {0, sizeof(*header)},
        {header->arenas_offset,
         header->reserve_bytes / GA_ARENA_SIZE * sizeof(struct ga_arena_entry)},
        {header->clients_offset, header->client_end * sizeof(struct ga_client_entry)},
        {header->mcaches_offset, header->mcache_end * sizeof(struct ga_mcache_entry)},
        {header->rings_offset, header->mcache_end * sizeof(struct ga_ring)},
        {header->roots_offset, header->root_end * sizeof(struct ga_root_entry)},
        {header->holds_offset, header->hold_end * sizeof(struct ga_hold)},
        {header->page_table_offset, header->committed_npages * sizeof(ga_page_word)},
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(tables) / sizeof(tables[0]); i++)
        r = commit(filling, GA_OBJECT_META, tables[i].offset, tables[i].bytes);
    return r;
}

/* The header that was read, checked as far as it is used here; the takeover checks it all. */
static int check_header(const struct ga_world *world, const struct ga_snapshot_file *snapshot,
                        const struct ga_meta_header *header)
{
    char why[128];
    if (ga_geometry_check(header, why, sizeof(why)) < 0)
        return ga_takeover_refuse(world, -EBADMSG, why);
    if (header->base != world->base || header->reserve_bytes != world->reserve_bytes ||
        header->committed_npages != snapshot->header.committed_npages ||
        header->client_end > header->counts.clients ||
        header->mcache_end > header->counts.mcaches || header->root_end > header->counts.roots ||
        header->hold_end > header->counts.holds)
        return ga_takeover_refuse(world, -EBADMSG,
                                  "its heap's header contradicts that of the file");
    return 0;
}

/* Whether the page had been given back: it has no memory now either. */
static bool is_scavenged(const struct filling *filling, uint64_t page)
{
    const char *meta = filling->world->mappings[GA_OBJECT_META].address;
    const ga_page_word *table = (const void *)(meta + filling->first_page.header.page_table_offset);
    return (ga_load_relaxed(&table[page]) & GA_ENTRY_SCAVENGED) != 0;
}

/* Commit the heap object's pages, but for those that had been given back. */
static int commit_pages(struct filling *filling)
{
    uint64_t end = filling->first_page.header.committed_npages;
    int r = 0;
    for (uint64_t page = 0, n; r == 0 && page < end; page += n + 1) {
        n = 0;
        while (page + n < end && !is_scavenged(filling, page + n))
            n++;
        r = commit(filling, GA_OBJECT_HEAP, page * GA_PAGE_SIZE, n * GA_PAGE_SIZE);
    }
    return r;
}

/* When meta is there: have memory for the heap object. */
static int make_room(struct filling *filling)
{
    const struct ga_meta_header *header = &filling->first_page.header;
    if (filling->has_room)
        return 0;
    int r = check_header(filling->world, filling->snapshot, header);
    if (r == 0)
        r = commit_tables(filling, header);
    if (r == 0)
        r = commit_pages(filling);
    filling->has_room = r == 0;
    return r;
}

static int take_piece(void *data, enum ga_object object, uint64_t offset, const char *bytes,
                      uint64_t nbytes)
{
    struct filling *filling = data;
    if (object == GA_OBJECT_META && offset == 0) {
        memcpy(filling->first_page.bytes, bytes, GA_OS_PAGE_SIZE);
        offset += GA_OS_PAGE_SIZE;
        bytes += GA_OS_PAGE_SIZE;
        nbytes -= GA_OS_PAGE_SIZE;
    }
    /* Meta comes before the heap. */
    int r = object == GA_OBJECT_HEAP ? make_room(filling) : commit(filling, object, offset, nbytes);
    return r < 0 ? r : write_at(filling->world, object, offset, bytes, nbytes);
}

static void bury_clients(const struct ga_world *world, const struct ga_meta_header *header)
{
    struct ga_client_entry *clients =
        (void *)((char *)world->mappings[GA_OBJECT_META].address + header->clients_offset);
    for (uint32_t i = 0; i < header->client_end; i++) {
        clients[i].pid = 0;
        clients[i].start_time = 0;
    }
}

static int settle(struct filling *filling)
{
    struct ga_world *world = filling->world;
    struct ga_meta_header *header = &filling->first_page.header;
    int r = make_room(filling); /* there may have been nothing in it */
    if (r < 0)
        return r;
    bury_clients(world, header);
    header->server_pid = 0;
    header->server_start_time = 0;
    memset(header->name, 0, sizeof(header->name));
    snprintf(header->name, sizeof(header->name), "%s", world->name);
    if (getrandom(&header->heap_id, sizeof(header->heap_id), 0) != (ssize_t)sizeof(header->heap_id))
        return refuse_system(world, -EIO);
    r = write_at(world, GA_OBJECT_BITS, offsetof(struct ga_bits_header, heap_id), &header->heap_id,
                 sizeof(header->heap_id));
    return r < 0 ? r
                 : write_at(world, GA_OBJECT_META, 0, filling->first_page.bytes, GA_OS_PAGE_SIZE);
}

/* Tell others which addresses are taken, since the rest may take long. */
static int announce(struct filling *filling)
{
    const struct ga_world *world = filling->world;
    struct ga_heap_config config;
    int r = ga_world_configure(world, &config);
    if (r < 0)
        return r;
    struct ga_meta_header header = {
        .magic = GA_META_MAGIC,
        .layout_version = GA_LAYOUT_VERSION,
        .header_bytes = sizeof(header),
        .state = GA_HEAP_IN_MAKING,
        .server_pid = config.server_pid,
        .server_start_time = config.server_start_time,
        .base = world->base,
        .reserve_bytes = world->reserve_bytes,
        .limit_bytes = world->limit_bytes,
    };
    snprintf(header.name, sizeof(header.name), "%s", world->name);
    r = commit(filling, GA_OBJECT_META, 0, GA_OS_PAGE_SIZE);
    return r < 0 ? r : write_at(world, GA_OBJECT_META, 0, &header, sizeof(header));
}

static int fill(struct ga_world *world, const struct ga_snapshot_file *snapshot)
{
    struct filling *filling = calloc(1, sizeof(*filling));
    if (!filling)
        return refuse_system(world, -ENOMEM);
    filling->world = world;
    filling->snapshot = snapshot;
    filling->effects = ga_world_effects(world);
    int r = announce(filling);
    if (r == 0)
        r = make_as_long(filling, snapshot->header.committed_npages);
    if (r == 0)
        r = ga_snapshot_file_read(snapshot, take_piece, filling);
    if (r == 0)
        r = settle(filling);
    free(filling);
    return r;
}

/* Pointers in the heap are worth nothing elsewhere. */
static int check_address(const struct ga_world *world)
{
    char why[192];
    struct ga_neighbour other;
    if (!ga_window_is_free(world->base, world->reserve_bytes)) {
        snprintf(why, sizeof(why),
                 "it can lie at 0x%" PRIx64
                 " and nowhere else, and these addresses are taken in this process",
                 world->base);
        return ga_takeover_refuse(world, -EADDRINUSE, why);
    }
    if (ga_neighbours_overlap(world->name, world->base, world->reserve_bytes, &other))
        ga_log(GA_LOG_WARNING,
               "heap '%s' has some of the same addresses: no process can attach both", other.name);
    return 0;
}

int ga_restore_check(struct ga_world *world, const struct ga_options *options,
                     const struct ga_snapshot_file *snapshot)
{
    struct ga_neighbour old = {.base = snapshot->header.base,
                               .reserve_bytes = snapshot->header.reserve_bytes,
                               .limit_bytes = snapshot->header.limit_bytes};
    int r = ga_takeover_check_wishes(world, options, &old);
    return r < 0 ? r : check_address(world);
}

int ga_restore_refuse_name(const struct ga_world *world)
{
    char why[192];
    snprintf(why, sizeof(why),
             "heap '%s' is there already, left by a server that has ended: --replace removes it, "
             "--name takes another name",
             world->name);
    return ga_takeover_refuse(world, -EEXIST, why);
}

int ga_restore(struct ga_world *world, const struct ga_snapshot_file *snapshot,
               struct ga_heap **ret)
{
    int r = ga_world_make_objects(world);
    if (r == 0)
        r = fill(world, snapshot);
    if (r == 0)
        r = ga_takeover_mapped(world, ret);
    if (r < 0)
        return r;
    char size[GA_SIZE_TEXT_BYTES];
    ga_log(GA_LOG_INFO, "restored heap '%s' from %s: %s of data of heap '%s'", world->name,
           snapshot->path, ga_size_format(snapshot->header.data_bytes, size),
           snapshot->header.name);
    return 0;
}

/* The objects are opened without O_CREAT, must be the server's user's, and must be as long as their
 * heap says. What they hold is checked by the core before it changes anything; whatever is refused
 * here is left as it is. */
#include "server/shell/takeover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/shell/log.h"
#include "server/shell/punch.h"
#include "server/shell/size_text.h"
#include "shm/atomic.h"

int ga_takeover_refuse(const struct ga_world *world, int err, const char *why)
{
    if (world->options->restore_path)
        ga_log(GA_LOG_ERROR, "%s cannot be restored: %s", world->options->restore_path, why);
    else
        ga_log(GA_LOG_ERROR,
               "heap '%s' cannot be taken over: %s; 'goallocd --name %s --replace' removes it and "
               "starts anew",
               world->name, why, world->name);
    return err;
}

int ga_takeover_check_wishes(struct ga_world *world, const struct ga_options *options,
                             const struct ga_neighbour *old)
{
    char text[GA_SIZE_TEXT_BYTES];
    char why[128];
    if (options->base != 0 && options->base != old->base) {
        snprintf(why, sizeof(why), "it lies at 0x%" PRIx64 ", and not where --base says",
                 old->base);
        return ga_takeover_refuse(world, -EINVAL, why);
    }
    if (options->reserve_given && options->reserve_bytes != old->reserve_bytes) {
        snprintf(why, sizeof(why), "its reserve is %s, and not what --reserve says",
                 ga_size_format(old->reserve_bytes, text));
        return ga_takeover_refuse(world, -EINVAL, why);
    }
    if (options->limit_bytes > old->reserve_bytes) {
        snprintf(why, sizeof(why), "its reserve is %s, less than --limit",
                 ga_size_format(old->reserve_bytes, text));
        return ga_takeover_refuse(world, -EINVAL, why);
    }
    world->base = old->base;
    world->reserve_bytes = old->reserve_bytes;
    world->limit_bytes = options->limit_bytes ? options->limit_bytes : old->limit_bytes;
    return 0;
}

static int adopt_object(struct ga_world *world, enum ga_object object, uint64_t address,
                        uint64_t bytes)
{
    struct ga_mapping *mapping = &world->mappings[object];
    int r = ga_mapping_adopt(world->name, object, (int64_t)geteuid(), address, bytes, mapping);
    if (r == 0)
        r = ga_access_apply_to_object(&world->options->access, object, mapping->fd);
    if (r == 0)
        return 0;
    char path[GA_OBJECT_NAME_BYTES];
    char why[128];
    ga_object_name(world->name, object, path);
    if (r == -EADDRINUSE) {
        r = -EADDRNOTAVAIL;
        snprintf(why, sizeof(why), "the addresses from 0x%" PRIx64 " on are taken in this process",
                 address);
    } else if (r == -EPERM)
        snprintf(why, sizeof(why), "%s is another user's", path);
    else if (r == -EPROTO)
        snprintf(why, sizeof(why), "%s is shorter than it was", path);
    else
        snprintf(why, sizeof(why), "%s cannot be opened: %s", path, strerror(-r));
    return ga_takeover_refuse(world, r, why);
}

static int adopt_objects(struct ga_world *world)
{
    int r = adopt_object(world, GA_OBJECT_META, 0, ga_heap_meta_bytes(world->reserve_bytes));
    if (r < 0)
        return r;
    ga_neighbour_announce(world->mappings[GA_OBJECT_META].fd);
    r = adopt_object(world, GA_OBJECT_BITS, 0, ga_heap_bits_bytes(world->reserve_bytes));
    if (r == 0)
        r = adopt_object(world, GA_OBJECT_HEAP, world->base, world->reserve_bytes);
    if (r < 0)
        return r;
    struct stat st;
    const struct ga_meta_header *header = ga_world_header(world);
    uint64_t committed = ga_load_acquire(&header->committed_npages) * GA_PAGE_SIZE;
    if (fstat(world->mappings[GA_OBJECT_HEAP].fd, &st) < 0 || (uint64_t)st.st_size < committed)
        return ga_takeover_refuse(world, -EBADMSG, "its heap object was truncated");
    ga_world_ask_for_huge(world);
    return 0;
}

/* What the old server made ready for the next growth, or had begun to commit, is nobody's. Where it
 * cannot be given back, the heap grows into it. */
static void give_back_behind_end(const struct ga_world *world, const struct ga_heap *heap)
{
    struct stat st;
    int fd = world->mappings[GA_OBJECT_HEAP].fd;
    uint64_t end = ga_heap_extent_bytes(heap);
    if (fstat(fd, &st) == 0 && (uint64_t)st.st_size > end)
        (void)ga_punch(fd, end, (uint64_t)st.st_size - end);
}

int ga_takeover_mapped(struct ga_world *world, struct ga_heap **ret)
{
    struct ga_heap_config config;
    char why[GA_ADOPT_WHY_BYTES];
    world->adopted = true;
    int r = ga_world_guard(world);
    if (r == 0)
        r = ga_world_configure(world, &config);
    if (r < 0)
        return r;
    struct ga_heap_effects effects = ga_world_effects(world);
    r = ga_heap_adopt(&config, world->mappings[GA_OBJECT_META].address,
                      world->mappings[GA_OBJECT_BITS].address, &effects, why, ret);
    if (r < 0)
        return ga_takeover_refuse(world, r, why);
    give_back_behind_end(world, *ret);
    return 0;
}

int ga_takeover(struct ga_world *world, const struct ga_options *options,
                const struct ga_neighbour *old, struct ga_heap **ret)
{
    world->keep = true;
    int r = ga_takeover_check_wishes(world, options, old);
    if (r == 0)
        r = adopt_objects(world);
    return r < 0 ? r : ga_takeover_mapped(world, ret);
}

/* Which heaps there are is read from /dev/shm (neighbours.h). A name that is taken is refused with
 * a sentence that says by whom and what to do; an address is chosen apart from all heaps we can
 * see, so that a process can attach several. */
#include "server/shell/claim.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "server/shell/log.h"
#include "server/shell/neighbours.h"
#include "server/shell/size_text.h"
#include "shm/mapping.h"

#define WAIT_TRIES 500
#define WAIT_NS    10000000L

static int refuse_served(const struct ga_neighbour *old)
{
    if (old->server_pid != 0)
        ga_log(GA_LOG_ERROR, "heap '%s' is served by process %" PRIu32, old->name, old->server_pid);
    else
        ga_log(GA_LOG_ERROR, "heap '%s' is served by another process", old->name);
    return -EEXIST;
}

static int remove_old(const struct ga_neighbour *old)
{
    for (int object = GA_OBJECT_COUNT - 1; object >= 0; object--) {
        int r = ga_object_unlink(old->name, (enum ga_object)object);
        if (r < 0 && r != -ENOENT) {
            ga_log(GA_LOG_ERROR, "the old heap '%s' cannot be removed: %s", old->name,
                   strerror(-r));
            return r;
        }
    }
    if (old->server_pid != 0)
        ga_log(GA_LOG_INFO, "removed the heap '%s' that process %" PRIu32 " had left", old->name,
               old->server_pid);
    else
        ga_log(GA_LOG_INFO, "removed what was left of heap '%s'", old->name);
    return 0;
}

/* Whether nobody could have used what old holds: it was never finished, or had ended. A server that
 * makes a heap says so in meta before it makes the other objects; so one that says nothing beside
 * objects with data has lost its meta. */
static bool is_rubbish(const struct ga_neighbour *old)
{
    if (old->layout_version == GA_LAYOUT_VERSION)
        return old->state != GA_HEAP_LIVE;
    return old->being_made || (old->blank && !ga_neighbour_has_data(old->name));
}

static int refuse_foreign(const struct ga_neighbour *old)
{
    if (old->blank)
        ga_log(GA_LOG_ERROR,
               "heap '%s' has lost its meta object, which is empty, and has data in others: they "
               "are left as they are; 'goallocd --name %s --replace' removes them and starts anew",
               old->name, old->name);
    else
        ga_log(GA_LOG_ERROR,
               "the name '%s' is taken: /dev/shm/goalloc.%s.meta is no heap; 'goallocd --name %s "
               "--replace' removes it and starts anew",
               old->name, old->name, old->name);
    return -EBADMSG;
}

/* What to do with a heap whose server is gone. */
static int decide(const struct ga_options *options, const struct ga_neighbour *old,
                  struct ga_neighbour *ret_old)
{
    if (options->replace || is_rubbish(old)) {
        int r = remove_old(old);
        return r < 0 ? r : GA_CLAIM_NEW;
    }
    if (old->layout_version == 0)
        return refuse_foreign(old);
    *ret_old = *old;
    return GA_CLAIM_ADOPT;
}

int ga_claim_name(const struct ga_options *options, struct ga_neighbour *ret_old)
{
    struct ga_neighbour old;
    int r = ga_neighbour_read(options->name, &old);
    if (r == -ENOENT)
        return GA_CLAIM_NEW;
    if (r == -EPERM) {
        ga_log(GA_LOG_ERROR,
               "the name '%s' is taken: /dev/shm/goalloc.%s.meta is another user's, or no heap at "
               "all; it is left as it is",
               options->name, options->name);
        return r;
    }
    if (r < 0) {
        ga_log(GA_LOG_ERROR, "heap '%s' is there already, and cannot be looked at: %s",
               options->name, strerror(-r));
        return r;
    }
    if (ga_neighbour_is_served(&old))
        return refuse_served(&old);
    if (old.layout_version != 0 && old.layout_version != GA_LAYOUT_VERSION) {
        ga_log(GA_LOG_ERROR,
               "heap '%s' is there already, with layout version %" PRIu32 ", and this server knows "
               "version %u: it is left as it is",
               old.name, old.layout_version, GA_LAYOUT_VERSION);
        return -EPROTO;
    }
    return decide(options, &old, ret_old);
}

void ga_claim_wait(const struct ga_options *options)
{
    struct ga_neighbour old;
    for (int i = 0; i < WAIT_TRIES && ga_neighbour_read(options->name, &old) == 0 &&
                    ga_neighbour_is_served(&old);
         i++)
        nanosleep(&(struct timespec){.tv_nsec = WAIT_NS}, NULL);
}

/* The first address a heap could have after neighbour, whose header may say anything. */
static uint64_t end_of(const struct ga_neighbour *neighbour)
{
    uint64_t end = neighbour->base + neighbour->reserve_bytes;
    return (end + GA_ARENA_SIZE - 1) / GA_ARENA_SIZE * GA_ARENA_SIZE;
}

/* Windows come first: heaps a window apart can have any reserve up to that. When all are taken, a
 * smaller one may fit between the heaps that are there. */
static int find_from(const struct ga_options *options, uint64_t first, uint64_t *ret_base)
{
    uint64_t end = first + GA_WINDOW_COUNT * GA_WINDOW_SIZE;
    uint64_t reserve = options->reserve_bytes;
    struct ga_neighbour other;
    for (uint64_t base = first; base + reserve <= end; base += GA_WINDOW_SIZE) {
        if (!ga_neighbours_overlap(options->name, base, reserve, &other) &&
            ga_window_is_free(base, reserve)) {
            *ret_base = base;
            return 0;
        }
    }
    uint64_t base = first;
    while (base + reserve <= end) {
        if (ga_neighbours_overlap(options->name, base, reserve, &other)) {
            base = end_of(&other);
        } else if (ga_window_is_free(base, reserve)) {
            *ret_base = base;
            return 0;
        } else {
            base += reserve;
        }
    }
    return -EADDRINUSE;
}

static int find_window(const struct ga_options *options, uint64_t *ret_base)
{
    if (find_from(options, GA_WINDOW_LOW, ret_base) == 0 ||
        find_from(options, GA_WINDOW_HIGH, ret_base) == 0)
        return 0;
    char text[GA_SIZE_TEXT_BYTES];
    char side[GA_SIZE_TEXT_BYTES];
    ga_log(GA_LOG_ERROR,
           "no room for a heap of %s in the %s from 0x%" PRIx64 " and from 0x%" PRIx64
           ", where other heaps lie: remove one (goallocctl destroy NAME), give a smaller "
           "--reserve, or --base",
           ga_size_format(options->reserve_bytes, text),
           ga_size_format(GA_WINDOW_COUNT * GA_WINDOW_SIZE, side), GA_WINDOW_LOW, GA_WINDOW_HIGH);
    return -EADDRNOTAVAIL;
}

int ga_claim_base(const struct ga_options *options, uint64_t *ret_base)
{
    if (options->base == 0)
        return find_window(options, ret_base);
    if (!ga_window_is_free(options->base, options->reserve_bytes)) {
        ga_log(GA_LOG_ERROR,
               "--base: the addresses from 0x%" PRIx64
               " on are taken in this process: give others, or leave the choice to goallocd",
               options->base);
        return -EADDRNOTAVAIL;
    }
    struct ga_neighbour other;
    if (ga_neighbours_overlap(options->name, options->base, options->reserve_bytes, &other))
        ga_log(GA_LOG_WARNING,
               "heap '%s' has some of the same addresses: no process can attach both", other.name);
    *ret_base = options->base;
    return 0;
}

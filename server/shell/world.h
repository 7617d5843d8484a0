/* What the heap core asks of the world, done with the operating system: the heap's shared memory
 * objects, memory behind them, clocks. One thread. */
#ifndef GA_SERVER_SHELL_WORLD_H
#define GA_SERVER_SHELL_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "server/heap.h"
#include "server/shell/ahead.h"
#include "server/shell/options.h"
#include "shm/mapping.h"

struct ga_puncher;
struct ga_server;

struct ga_world {
    char name[GA_HEAP_NAME_MAX + 1]; /* that of the snapshot, where options have none */
    const struct ga_options *options;
    struct ga_mapping mappings[GA_OBJECT_COUNT];
    struct ga_ahead ahead;
    struct ga_puncher *puncher; /* of the server; NULL = no release is ever under way */
    struct ga_server *server;   /* that is told what happens to the heap; NULL = none is yet */
    uint64_t base;
    uint64_t reserve_bytes;
    uint64_t limit_bytes;      /* never 0 */
    bool adopted;              /* the heap was there already */
    enum ga_huge huge;         /* whether and how the heap's memory comes in huge pages */
    bool keep;                 /* the objects, when the world closes */
    bool refused_memory;       /* by the system, since the flag was last cleared */
    bool reclaim_wanted;       /* by the core, since the flag was last cleared */
    bool cut[GA_OBJECT_COUNT]; /* somebody else has made the object shorter, or punched holes */
};

/* Make the objects of the heap that options describe, and the heap in them; or take over the heap
 * of that name that another server has left. What stands in the way is logged. Returns 0 or a
 * negative errno, and then leaves no object behind that was not there. world must not move
 * from then on, and closes after the heap was freed; options must outlive it. */
int ga_world_open(struct ga_world *world, const struct ga_options *options,
                  struct ga_heap **ret_heap);

/* Give back what was made ready ahead of demand. Returns how many bytes that were. */
uint64_t ga_world_give_ahead_back(struct ga_world *world);

/* From now on memory is committed ahead of demand, too (ahead.h). */
void ga_world_commit_ahead(struct ga_world *world);

/* Unmap the objects, and remove their names, as far as they are still ours, if they are not to be
 * kept. */
void ga_world_close(struct ga_world *world);

/* Make the objects, empty, that world describes. 0 or a negative errno, which has been logged. */
int ga_world_make_objects(struct ga_world *world);

/* What making a heap and taking one over have in common: what the core is told of the heap and of
 * this server, but for heap_id; what it can have done; and the guard over the bits object. 0 or a
 * negative errno, which has been logged. */
int ga_world_configure(const struct ga_world *world, struct ga_heap_config *ret);
struct ga_heap_effects ga_world_effects(struct ga_world *world);
int ga_world_guard(const struct ga_world *world);

/* Once the heap object is mapped: have its memory come in huge pages, if the options say so and
 * there are any. */
void ga_world_ask_for_huge(struct ga_world *world);

/* See whether every object is as long as it was made, and has as much memory behind it as was
 * committed. The name of one that is not ("bits"), or was found not to be before; NULL if all are
 * sound. */
const char *ga_world_find_damage(struct ga_world *world, const struct ga_heap *heap);
/* Whether damage was met since the heap was opened, without looking for any. */
bool ga_world_is_damaged(const struct ga_world *world);

/* The header of the heap, once it is made. */
const struct ga_meta_header *ga_world_header(const struct ga_world *world);

/* Milliseconds of a clock that never goes back. */
uint64_t ga_world_now_ms(void);
/* Wall clock milliseconds since 1970. */
uint64_t ga_world_wall_ms(void);

#endif

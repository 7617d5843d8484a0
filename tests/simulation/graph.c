#include "simulation/graph.h"

#include <string.h>
#include <sys/mman.h>

#include "support/cunit_main.h"

#define WALK 4u /* pointers that are followed at most */
#define INTO                                                                                       \
    64u           /* no pointer leads farther into an object: it does not become shorter than that \
                   */
#define LOOKS 16u /* at random objects, for one that is not collected */

static struct ga_sim_model *const model = &ga_sim_model;
static char *memory;

void ga_sim_graph_reset(void)
{
    if (!memory)
        memory = mmap(NULL, GA_ARENA_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CU_ASSERT_NOT_EQUAL_FATAL(memory, MAP_FAILED);
    CU_ASSERT_EQUAL_FATAL(madvise(memory, GA_ARENA_SIZE, MADV_DONTNEED), 0);
}

const void *ga_sim_graph_memory(void)
{
    return memory;
}

/* ---- words ---- */

/* A large one's length is in the page table: who has it made longer hears of it later. */
static uint64_t bytes_of(const struct ga_sim_object *object)
{
    return object->is_large
               ? ga_entry_npages(ga_view_entry(&ga_sim.core.view, object->page)) * GA_PAGE_SIZE
               : object->bytes;
}

/* In a span of tiny objects, of which only the beginnings are known: who is nearest, and not too
 * far to be as long. NULL. */
static struct ga_sim_object *tiny_at(ga_page_id page, uint64_t offset)
{
    uint32_t unit = (uint32_t)(offset % GA_PAGE_SIZE) / GA_TINY_UNIT_BYTES;
    uint64_t used = ga_tiny_used(&ga_sim.core.view.tiny[page].pair[unit / 64]);
    for (uint32_t n = 0; n < GA_TINY_UNITS; n++, unit--) {
        if (used >> unit % 64 & 1)
            return ga_sim_model_find(page, unit);
        if (unit % 64 == 0)
            break;
    }
    return NULL;
}

/* The object that has this byte; NULL. */
static struct ga_sim_object *object_at(uint64_t offset)
{
    ga_page_id page = (ga_page_id)(offset >> GA_PAGE_SHIFT);
    if (ga_view_entry(&ga_sim.core.view, page) & GA_ENTRY_TINY)
        return tiny_at(page, offset);
    for (uint32_t i = 0; i < GA_SIM_OBJECTS; i++) {
        struct ga_sim_object *object = &model->objects[i];
        if (object->state && offset >= object->offset && offset - object->offset < bytes_of(object))
            return object;
    }
    return NULL;
}

static bool has_word(const struct ga_sim_object *object)
{
    return object->bytes >= sizeof(uint64_t) && !object->is_tiny;
}

/* Have an object point to offset, or nowhere. In one that is not scanned the word means nothing. */
static void point(struct ga_sim_object *object, uint64_t offset)
{
    uint64_t word = offset ? GA_CORE_BASE + offset : 0;
    if (!has_word(object))
        return;
    memcpy(memory + object->offset, &word, sizeof(word));
    object->next = object->is_noscan ? 0 : offset;
}

/* A pointer to the object. */
static uint64_t pointer_to(const struct ga_sim_object *object)
{
    if (!object || object->is_tiny)
        return object ? object->offset : 0;
    return object->offset + ga_sim_pick(object->bytes < INTO ? (uint32_t)object->bytes : INTO);
}

void ga_sim_graph_removed(const struct ga_sim_object *object)
{
    /* Who has got its place since has begun with zeros. */
    if (has_word(object) && !object_at(object->offset))
        memset(memory + object->offset, 0, sizeof(uint64_t));
}

/* ---- what processes do ---- */

/* Where a walk from there ends. */
static struct ga_sim_object *walk_from(uint64_t from)
{
    struct ga_sim_object *object = from ? object_at(from) : NULL;
    for (uint32_t n = ga_sim_pick(WALK); object && object->next && n > 0; n--) {
        struct ga_sim_object *next = object_at(object->next);
        object = next ? next : object;
    }
    return object && object->state == GA_SIM_IN_USE ? object : NULL;
}

/* From a word of the process's, or from a root. */
static struct ga_sim_object *walk(const struct ga_sim_process *process)
{
    return walk_from(ga_sim_pick(6) ? process->own[ga_sim_pick(GA_SIM_OWN)]
                                    : model->roots[ga_sim_pick(GA_SIM_NAMES)]);
}

static struct ga_sim_object *pick_not_collected(void)
{
    for (uint32_t i = 0; i < LOOKS; i++) {
        struct ga_sim_object *object = ga_sim_model_pick();
        if (!object || !object->is_managed)
            return object;
    }
    return NULL;
}

static struct ga_sim_object *pick(const struct ga_sim_process *process)
{
    return process->managed ? walk(process) : pick_not_collected();
}

struct ga_sim_object *ga_sim_graph_pick(const struct ga_sim_process *process)
{
    struct ga_sim_frame *frame = ga_sim_current;
    ga_sim_current = NULL; /* or somebody might free it before it is returned */
    struct ga_sim_object *object = pick(process);
    ga_sim_current = frame;
    return object;
}

static struct ga_sim_object *pick_to_share(const struct ga_sim_process *process)
{
    const struct ga_sim_object *object = process->managed ? NULL : pick_not_collected();
    if (!object || object->next == 0)
        return pick(process);
    return walk_from(ga_sim_pick(2) ? object->next : model->roots[ga_sim_pick(GA_SIM_NAMES)]);
}

struct ga_sim_object *ga_sim_graph_pick_to_share(const struct ga_sim_process *process)
{
    struct ga_sim_frame *frame = ga_sim_current;
    ga_sim_current = NULL;
    struct ga_sim_object *object = pick_to_share(process);
    ga_sim_current = frame;
    return object;
}

static void change(struct ga_sim_process *process)
{
    struct ga_sim_object *object = pick(process);
    /* Who is not managed runs while it is marked, and may not move pointers then. */
    if (!process->managed && !ga_sim.standing && object)
        point(object, ga_sim_pick(3) ? model->roots[ga_sim_pick(GA_SIM_NAMES)] : 0);
    else if (process->managed && ga_sim_pick(2))
        process->own[ga_sim_pick(GA_SIM_OWN)] = pointer_to(object);
    else if (process->managed && object)
        point(object, pointer_to(ga_sim_pick(4) ? walk(process) : NULL));
}

void ga_sim_graph_change(struct ga_sim_process *process)
{
    struct ga_sim_frame *frame = ga_sim_current;
    ga_sim_current = NULL;
    change(process);
    ga_sim_current = frame;
}

void ga_sim_graph_added(struct ga_sim_process *process, struct ga_sim_object *object)
{
    memset(memory + object->offset, 0, bytes_of(object));
    object->is_managed = process->managed;
    if (!process->managed)
        return;
    process->own[ga_sim_pick(GA_SIM_OWN)] = pointer_to(object);
    struct ga_sim_object *other = ga_sim_pick(2) ? walk(process) : NULL;
    if (other)
        point(other, pointer_to(object));
}

/* ---- what is reached ---- */

uint32_t ga_sim_graph_private(uint64_t ret_offsets[static GA_SIM_ROOTS_MAX])
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < GA_SIM_PROCESSES; i++) {
        const struct ga_sim_process *process = &ga_sim.processes[i];
        if (process->pid == 0 || !process->managed)
            continue;
        for (uint32_t own = 0; own < GA_SIM_OWN; own++)
            if (process->own[own])
                ret_offsets[n++] = process->own[own];
        /* What a request is about is on the stack of who waits for the answer. */
        for (uint32_t t = 0; t < GA_SIM_THREADS; t++)
            if (process->threads[t].awaits && process->threads[t].about)
                ret_offsets[n++] = process->threads[t].about;
    }
    return n;
}

static struct ga_sim_object *found[GA_SIM_OBJECTS]; /* and not followed as yet */
static uint32_t nfound;

static void reach(struct ga_sim_object *object)
{
    if (!object || object->reached)
        return;
    object->reached = true;
    found[nfound++] = object;
}

void ga_sim_graph_mark(void)
{
    uint64_t own[GA_SIM_ROOTS_MAX];
    uint32_t nown = ga_sim_graph_private(own);
    for (uint32_t i = 0; i < GA_SIM_OBJECTS; i++)
        model->objects[i].reached = false;
    for (uint32_t i = 0; i < GA_SIM_OBJECTS; i++)
        if (model->objects[i].state && !model->objects[i].is_managed)
            reach(&model->objects[i]);
    for (uint32_t i = 0; i < nown; i++)
        reach(object_at(own[i]));
    for (uint32_t i = 0; i < GA_SIM_NAMES; i++)
        if (model->roots[i])
            reach(object_at(model->roots[i]));
    for (uint32_t i = 0; i < GA_SIM_HOLDS; i++)
        if (model->holds[i].count)
            reach(object_at(model->holds[i].offset));
    while (nfound > 0) {
        const struct ga_sim_object *object = found[--nfound];
        if (object->next)
            reach(object_at(object->next));
    }
}

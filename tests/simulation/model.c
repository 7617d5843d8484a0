#include "simulation/model.h"

#include "shm/size_class.h"
#include "simulation/graph.h"

#define LOOKS 16u /* at random objects, for one that is large */

struct ga_sim_model ga_sim_model;
static struct ga_sim_model *const model = &ga_sim_model;

struct ga_sim_object *ga_sim_model_find(ga_page_id page, uint32_t index)
{
    for (uint32_t i = 0; i < GA_SIM_OBJECTS; i++) {
        struct ga_sim_object *object = &model->objects[i];
        if (object->state && object->page == page && object->index == index)
            return object;
    }
    return NULL;
}

/* Of a slot of the span; of a tiny one: of the unit that index counts. */
static uint64_t slot_bytes(uint64_t entry)
{
    uint32_t size_class = ga_entry_span_class(entry) / 2u;
    if (entry & GA_ENTRY_TINY)
        return 2;
    return size_class ? ga_size_classes[size_class].size : ga_entry_npages(entry) * GA_PAGE_SIZE;
}

void ga_sim_model_write(uint64_t offset, uint64_t bytes)
{
    uint64_t end = offset + bytes;
    for (uint64_t page = offset >> GA_PAGE_SHIFT; page << GA_PAGE_SHIFT < end; page++)
        model->dirty[page] = true;
    for (uint64_t page = offset >> GA_PAGE_SHIFT; page << GA_PAGE_SHIFT < end; page++)
        GA_SIM_REQUIRE(!ga_sim.core.punched[page], "what somebody has has memory");
}

void ga_sim_model_punch(uint64_t offset, uint64_t bytes)
{
    for (uint64_t page = offset >> GA_PAGE_SHIFT; page << GA_PAGE_SHIFT < offset + bytes; page++)
        model->dirty[page] = false;
}

bool ga_sim_model_is_dirty(ga_page_id page)
{
    uint64_t entry = ga_view_entry(&ga_sim.core.view, page);
    bool dirty = false;
    for (uint64_t i = 0; i < ga_entry_npages(entry); i++)
        dirty = dirty || model->dirty[page + i];
    return dirty;
}

uint64_t ga_sim_model_add(struct ga_sim_process *process, ga_page_id page, uint32_t index,
                          uint32_t nunits)
{
    struct ga_sim_frame *frame = ga_sim_current;
    ga_sim_current = NULL; /* nothing comes between the commit and this */
    struct ga_sim_object *object = ga_sim_model_find(page, index);
    if (object) {
        /* Its free, or its last release, has been interrupted after the commit. */
        GA_SIM_REQUIRE(object->state == GA_SIM_FREEING || object->state == GA_SIM_GARBAGE ||
                           (object->state == GA_SIM_PUT_OFF &&
                            (model->releasing == object->offset || model->releasing == GA_SIM_ANY)),
                       "a slot is handed out only when it is free");
        ga_sim_model_remove(object);
    }
    object = model->objects;
    while (object->state)
        object++; /* there is room: who allocates looks first */
    uint64_t entry = ga_view_entry(&ga_sim.core.view, page);
    uint64_t unit_bytes = slot_bytes(entry);
    uint64_t bytes = nunits ? nunits * unit_bytes : unit_bytes;
    *object =
        (struct ga_sim_object){.state = GA_SIM_IN_USE,
                               .page = page,
                               .index = index,
                               .offset = ((uint64_t)page << GA_PAGE_SHIFT) + index * unit_bytes,
                               .bytes = bytes,
                               .is_large = (entry & GA_ENTRY_LARGE) != 0,
                               .is_tiny = nunits != 0,
                               .is_noscan = ga_entry_span_class(entry) % 2 != 0};
    ga_sim_model_write(object->offset, bytes);
    ga_sim_graph_added(process, object);
    model->nobjects++;
    ga_sim_current = frame;
    return entry;
}

void ga_sim_model_remove(struct ga_sim_object *object)
{
    /* It is counted later, if ever. */
    model->missing_frees += object->state == GA_SIM_FREEING || object->state == GA_SIM_GARBAGE;
    object->state = GA_SIM_NO_OBJECT;
    struct ga_sim_frame *frame = ga_sim_current;
    ga_sim_current = NULL;
    ga_sim_graph_removed(object);
    ga_sim_current = frame;
    model->nobjects--;
}

bool ga_sim_model_has_room(void)
{
    return model->nobjects < ga_sim.kind.nobjects_max;
}

struct ga_sim_object *ga_sim_model_pick(void)
{
    uint32_t first = ga_sim_pick(GA_SIM_OBJECTS);
    for (uint32_t i = 0; i < GA_SIM_OBJECTS; i++) {
        struct ga_sim_object *object = &model->objects[(first + i) % GA_SIM_OBJECTS];
        if (object->state == GA_SIM_IN_USE)
            return object;
    }
    return NULL;
}

struct ga_sim_object *ga_sim_model_pick_large(const struct ga_sim_process *process)
{
    struct ga_sim_frame *frame = ga_sim_current;
    struct ga_sim_object *object = NULL;
    ga_sim_current = NULL; /* or somebody might free it before it is returned */
    for (uint32_t i = 0; i < LOOKS; i++) {
        object = ga_sim_graph_pick(process);
        if (!object || (ga_view_entry(&ga_sim.core.view, object->page) & GA_ENTRY_LARGE))
            break;
    }
    ga_sim_current = frame;
    return object;
}

struct ga_sim_object *ga_sim_model_pick_held(const struct ga_sim_process *process)
{
    const struct ga_sim_hold *hold = &model->holds[ga_sim_pick(GA_SIM_HOLDS)];
    for (uint32_t i = 0; hold->count && i < GA_SIM_OBJECTS; i++)
        if (model->objects[i].state == GA_SIM_IN_USE && model->objects[i].offset == hold->offset &&
            (process->managed || !model->objects[i].is_managed))
            return &model->objects[i];
    return ga_sim_graph_pick(process);
}

struct ga_slot ga_sim_model_slot(const struct ga_sim_object *object)
{
    return ga_core_slot(&ga_sim.core, object->page, object->index);
}

bool ga_sim_model_in_use(const struct ga_sim_object *object)
{
    struct ga_slot slot = ga_sim_model_slot(object);
    return ga_entry_is_span(slot.entry) && ga_core_in_use(&ga_sim.core, &slot);
}

struct ga_sim_object *ga_sim_model_asked(uint64_t offset)
{
    for (uint32_t i = 0; i < GA_SIM_OBJECTS; i++)
        if (model->objects[i].state == GA_SIM_ASKING && model->objects[i].offset == offset)
            return &model->objects[i];
    return NULL;
}

void ga_sim_model_put_off(struct ga_sim_object *object)
{
    object->state = GA_SIM_PUT_OFF;
    model->missing_frees++;
    ga_sim.seen.put_off++;
}

void ga_sim_model_doubt(uint64_t offset)
{
    for (uint32_t i = 0; i < GA_SIM_OBJECTS; i++)
        if (model->objects[i].state == GA_SIM_IN_USE && model->objects[i].offset == offset)
            model->objects[i].state = GA_SIM_IN_DOUBT;
}

bool ga_sim_model_in_batch(ga_page_id page, uint32_t index)
{
    const struct ga_view *view = &ga_sim.core.view;
    uint64_t where = ga_batch_where(page, index / 64);
    uint32_t end = atomic_load(&view->meta->mcache_end);
    bool found = false;
    for (ga_mcache_id id = 1; id < end && !found; id++)
        found = atomic_load(&view->mcaches[id].batch_where) == where &&
                (atomic_load(&view->mcaches[id].batch_mask) >> index % 64 & 1) != 0;
    return found;
}

void ga_sim_model_died(uint32_t pid)
{
    for (uint32_t i = 0; i < GA_SIM_OBJECTS; i++) {
        struct ga_sim_object *object = &model->objects[i];
        if (object->state != GA_SIM_FREEING || object->pid != pid)
            continue;
        if (ga_sim_model_in_use(object) && !ga_sim_model_in_batch(object->page, object->index))
            object->state = GA_SIM_IN_USE;
        else
            ga_sim_model_remove(object);
    }
}

void ga_sim_model_unasked(uint32_t pid)
{
    for (uint32_t i = 0; i < GA_SIM_OBJECTS; i++) {
        struct ga_sim_object *object = &model->objects[i];
        if (object->state == GA_SIM_ASKING && (pid == 0 || object->pid == pid))
            object->state = GA_SIM_IN_USE;
    }
}

/* ---- holds ---- */

struct ga_sim_hold *ga_sim_model_hold(ga_client_id client, uint64_t offset)
{
    for (uint32_t i = 0; i < GA_SIM_HOLDS; i++) {
        struct ga_sim_hold *hold = &model->holds[i];
        if (hold->count && hold->client == client && hold->offset == offset)
            return hold;
    }
    return NULL;
}

bool ga_sim_model_has_room_for_a_hold(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < GA_SIM_HOLDS; i++)
        n += model->holds[i].count != 0;
    return n + GA_SIM_PROCESSES * GA_SIM_THREADS < GA_SIM_HOLDS;
}

bool ga_sim_model_is_held(uint64_t offset)
{
    bool held = false;
    for (uint32_t i = 0; i < GA_SIM_HOLDS && !held; i++)
        held = model->holds[i].count && model->holds[i].offset == offset;
    return held;
}

void ga_sim_model_hold_once_more(ga_client_id client, uint64_t offset)
{
    struct ga_sim_hold *hold = ga_sim_model_hold(client, offset);
    for (uint32_t i = 0; !hold && i < GA_SIM_HOLDS; i++)
        if (model->holds[i].count == 0)
            hold = &model->holds[i];
    GA_SIM_REQUIRE(hold, "there is room for the model's holds");
    if (hold)
        *hold = (struct ga_sim_hold){client, offset, hold->count + 1};
}

void ga_sim_model_drop(struct ga_sim_hold *hold)
{
    uint64_t offset = hold->offset;
    hold->count = 0;
    for (uint32_t i = 0; i < GA_SIM_OBJECTS; i++) {
        struct ga_sim_object *object = &model->objects[i];
        if (object->state != GA_SIM_PUT_OFF || object->offset != offset ||
            ga_sim_model_is_held(offset))
            continue;
        GA_SIM_REQUIRE(!ga_sim_model_in_use(object), "the last release frees what was put off");
        ga_sim_model_remove(object);
    }
}

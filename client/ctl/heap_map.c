/* One walk over the page table serves all: it visits the runs of the range in the order of
 * addresses. Bitmaps are read only of spans whose occupancy is told. If there turn out to be more
 * runs than are wanted, what was kept is dropped and a second walk counts them into cells; of a
 * heap of 16 GiB in spans of one page that is two million entries, some ten milliseconds. */
#include "client/ctl/heap_map.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "client/ctl/map_category.h"
#include "proto/age.h"
#include "shm/arenas.h"
#include "shm/recount.h"
#include "shm/slot.h"

struct walk {
    const struct ga_map_order *order;
    const struct ga_view *view;
    uint64_t from;
    uint64_t end;
    uint64_t bad_page;
};

/* 0 to go on; else the walk ends with what it returned. */
typedef int visit_fn(const struct ga_map_run *run, void *data);

/* The pages of [page, end), which are in no span, as runs of pages with memory and without. */
static int visit_free(const struct walk *walk, uint64_t page, uint64_t end, visit_fn *visit,
                      void *data)
{
    while (page < end) {
        bool released = ga_view_entry(walk->view, page) == GA_ENTRY_SCAVENGED;
        uint64_t next = page + 1;
        while (next < end && (ga_view_entry(walk->view, next) == GA_ENTRY_SCAVENGED) == released)
            next++;
        struct ga_map_run run = {.page = (uint32_t)page,
                                 .npages = (uint32_t)(next - page),
                                 .state = released ? GA_MAP_RELEASED : GA_MAP_FREE,
                                 .age_s = GA_MAP_AGE_UNKNOWN};
        int r = visit(&run, data);
        if (r != 0)
            return r;
        page = next;
    }
    return 0;
}

static uint16_t client_of(const struct ga_view *view, uint64_t page, uint64_t entry)
{
    ga_mcache_id owner = ga_entry_owner(entry);
    uint32_t client = 0;
    if (owner != 0 && owner < view->counts.mcaches)
        client = ga_load_relaxed(&view->mcache_entries[owner].client);
    else if (entry & GA_ENTRY_LARGE)
        client = ga_entry_owner(ga_view_entry(view, page + 1));
    return client <= view->counts.clients ? (uint16_t)client : 0;
}

static enum ga_map_state state_of(uint64_t entry)
{
    if (entry & GA_ENTRY_ORPHAN)
        return GA_MAP_ORPHAN;
    if (entry & GA_ENTRY_LARGE)
        return GA_MAP_LARGE;
    return ga_entry_owner(entry) ? GA_MAP_LEASED : GA_MAP_UNLEASED;
}

static int visit_span(const struct walk *walk, uint64_t page, uint64_t entry, visit_fn *visit,
                      void *data)
{
    const struct ga_map_order *order = walk->order;
    ga_span_class span_class = ga_entry_span_class(entry);
    struct ga_map_run run = {.page = (uint32_t)page,
                             .npages = (uint32_t)ga_entry_npages(entry),
                             .state = (uint8_t)state_of(entry),
                             .span_class = span_class,
                             .client = client_of(walk->view, page, entry),
                             .slots = 1,
                             .age_s = GA_MAP_AGE_UNKNOWN};
    if (span_class == GA_SPAN_CLASS_TINY)
        run.slots = GA_TINY_NBLOCKS;
    else if (span_class / 2 != 0)
        run.slots = ga_size_classes[span_class / 2].nslots;
    if (order->ages) /* a span that was not there when ages were asked for has been made since */
        run.age_s = page < order->npages_ages && order->ages[page] != 0
                        ? ga_age_seconds(order->ages[page])
                        : 0;
    return visit(&run, data);
}

/* Visit every run of the range; -EBADMSG with bad_page where the page table is damaged. */
static int visit_all(struct walk *walk, visit_fn *visit, void *data)
{
    uint64_t page = walk->from ? ga_arenas_span_begin(walk->view, walk->from) : 1;
    while (page < walk->end) {
        uint64_t span = page;
        uint64_t entry = 0;
        int r = ga_recount_next_span(walk->view, &span, &entry);
        if (r == -EBADMSG) {
            walk->bad_page = span;
            return r;
        }
        bool found = r == 0 && span < walk->end;
        r = visit_free(walk, page, found ? span : walk->end, visit, data);
        if (r != 0 || !found)
            return r;
        r = visit_span(walk, span, entry, visit, data);
        if (r != 0)
            return r;
        page = span + ga_entry_npages(entry);
    }
    return 0;
}

struct drawing {
    struct ga_map map;
    const struct ga_map_order *order;
    struct ga_map_owners owners;
    uint64_t npages_of[GA_CLIENT_COUNT + 1];
    size_t capacity; /* of runs */
};

static int count_owner(const struct ga_map_run *run, void *data)
{
    struct drawing *drawing = data;
    if (run->state < GA_MAP_FREE)
        drawing->npages_of[run->client] += run->npages;
    return 0;
}

/* How many pages of the run lie in [from, end). */
static uint64_t npages_within(const struct ga_map_run *run, uint64_t from, uint64_t end)
{
    uint64_t begin = run->page > from ? run->page : from;
    uint64_t stop = (uint64_t)run->page + run->npages;
    stop = stop < end ? stop : end;
    return stop > begin ? stop - begin : 0;
}

static struct ga_map_run finished(const struct drawing *drawing, const struct ga_map_run *run,
                                  bool count_slots)
{
    struct ga_map_run now = *run;
    if (count_slots && now.slots)
        now.used = ga_slot_count_used(drawing->order->view, now.page, now.slots);
    now.category = ga_map_category_of(&drawing->map, &drawing->owners, &now);
    return now;
}

#define TOO_MANY 1

static int keep_run(const struct ga_map_run *run, void *data)
{
    struct drawing *drawing = data;
    struct ga_map *map = &drawing->map;
    if (drawing->order->cells_max && map->nruns == drawing->order->runs_max)
        return TOO_MANY;
    if (!map->runs || map->nruns == drawing->capacity) {
        size_t capacity = drawing->capacity ? 2 * drawing->capacity : 1024;
        struct ga_map_run *runs = reallocarray(map->runs, capacity, sizeof(*runs));
        if (!runs)
            return -ENOMEM;
        map->runs = runs;
        drawing->capacity = capacity;
    }
    struct ga_map_run *kept = &map->runs[map->nruns++];
    *kept = finished(drawing, run, true);
    map->categories[kept->category].npages += npages_within(kept, map->from_page, map->end_page);
    return 0;
}

static int count_into_cells(const struct ga_map_run *run, void *data)
{
    struct drawing *drawing = data;
    struct ga_map *map = &drawing->map;
    struct ga_map_run now = finished(drawing, run, map->by == GA_MAP_BY_OCCUPANCY);
    map->categories[now.category].npages += npages_within(&now, map->from_page, map->end_page);
    uint64_t stop = (uint64_t)now.page + now.npages;
    stop = stop < map->end_page ? stop : map->end_page;
    uint64_t page = now.page > map->from_page ? now.page : map->from_page;
    while (page < stop) {
        uint64_t cell = (page - map->from_page) / map->pages_per_cell;
        uint64_t cell_end = map->from_page + (cell + 1) * map->pages_per_cell;
        uint64_t next = cell_end < stop ? cell_end : stop;
        map->counts[cell * map->ncategories + now.category] += (uint32_t)(next - page);
        page = next;
    }
    return 0;
}

static int draw_cells(struct walk *walk, struct drawing *drawing)
{
    struct ga_map *map = &drawing->map;
    uint64_t npages = map->end_page - map->from_page;
    free(map->runs);
    map->runs = NULL;
    map->nruns = 0;
    for (size_t i = 0; i < map->ncategories; i++)
        map->categories[i].npages = 0;
    map->pages_per_cell = 1;
    while ((npages + map->pages_per_cell - 1) / map->pages_per_cell > drawing->order->cells_max)
        map->pages_per_cell *= 2;
    map->ncells = (npages + map->pages_per_cell - 1) / map->pages_per_cell;
    map->counts = calloc(map->ncells * map->ncategories, sizeof(*map->counts));
    if (!map->counts)
        return -ENOMEM;
    return visit_all(walk, count_into_cells, drawing);
}

static int draw(struct walk *walk, struct drawing *drawing)
{
    struct ga_map *map = &drawing->map;
    int r = 0;
    if (map->by == GA_MAP_BY_OWNER) {
        /* Of the whole heap, so that a part of it is drawn in the same colours. */
        struct walk whole = {.order = walk->order, .view = walk->view, .end = map->heap_npages};
        r = visit_all(&whole, count_owner, drawing);
        walk->bad_page = whole.bad_page;
    }
    if (r < 0)
        return r;
    ga_map_name_categories(map, drawing->npages_of, walk->order->clients, &drawing->owners);
    r = visit_all(walk, keep_run, drawing);
    return r == TOO_MANY ? draw_cells(walk, drawing) : r;
}

int ga_map_draw(const struct ga_map_order *order, struct ga_map *ret, uint64_t *ret_bad_page)
{
    struct drawing *drawing = calloc(1, sizeof(*drawing));
    if (!drawing)
        return -ENOMEM;
    uint64_t npages = ga_load_acquire(&order->view->meta->committed_npages);
    uint64_t narenas = (npages + GA_PAGES_PER_ARENA - 1) / GA_PAGES_PER_ARENA;
    uint64_t first = order->arena < narenas ? order->arena : narenas;
    uint64_t count = order->narenas < narenas - first ? order->narenas : narenas - first;
    uint64_t end = (first + count) * GA_PAGES_PER_ARENA;
    drawing->order = order;
    drawing->map = (struct ga_map){.by = order->by,
                                   .base = order->view->meta->base,
                                   .from_page = first * GA_PAGES_PER_ARENA,
                                   .end_page = end < npages ? end : npages,
                                   .heap_npages = npages};
    struct walk walk = {.order = order,
                        .view = order->view,
                        .from = drawing->map.from_page,
                        .end = drawing->map.end_page};
    int r = draw(&walk, drawing);
    if (r < 0)
        ga_map_fini(&drawing->map);
    else
        *ret = drawing->map;
    if (r == -EBADMSG)
        *ret_bad_page = walk.bad_page;
    free(drawing);
    return r;
}

void ga_map_fini(struct ga_map *map)
{
    free(map->runs);
    free(map->counts);
    *map = (struct ga_map){0};
}

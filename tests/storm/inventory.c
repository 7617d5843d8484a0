#include "inventory.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shm/audit.h"
#include "shm/mapping.h"
#include "shm/recount.h"
#include "shm/slot.h"
#include "shm/tiny.h"

enum { PATIENCE_MS = 20000, LOOK_MS = 20, TEXTS_MOST = 20 };

static void *grown(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity ? *capacity * 2 : 1024;
    array = realloc(array, *capacity * size);
    if (!array)
        abort();
    return array;
}

void storm_doubt(struct storm_doubts *doubts, uint8_t *object)
{
    doubts->objects =
        grown(doubts->objects, doubts->nobjects, &doubts->capacity, sizeof(*doubts->objects));
    doubts->objects[doubts->nobjects++] = object;
}

static void list_span(const struct ga_view *view, ga_page_id page, uint64_t entry,
                      struct storm_inventory *inventory, size_t *capacity)
{
    uint32_t size_class = ga_entry_span_class(entry) / 2u;
    bool tiny = entry & GA_ENTRY_TINY;
    uint32_t nslots = tiny              ? GA_TINY_NBLOCKS * GA_TINY_UNITS
                      : size_class == 0 ? 1
                                        : ga_size_classes[size_class].nslots;
    uint32_t bytes = tiny ? GA_TINY_UNIT_BYTES : ga_size_classes[size_class].size;
    for (uint32_t i = 0; i < nslots; i++) {
        struct ga_slot slot = {.page = page, .index = i, .entry = entry};
        uint64_t a;
        if (!ga_slot_in_use(view, &slot, &a))
            continue;
        inventory->objects =
            grown(inventory->objects, inventory->count, capacity, sizeof(*inventory->objects));
        inventory->objects[inventory->count++] =
            (uint8_t *)(uintptr_t)(view->meta->base + ((uint64_t)page << GA_PAGE_SHIFT) +
                                   (uint64_t)i * bytes);
    }
}

static void list_all(const struct ga_view *view, struct storm_inventory *ret)
{
    size_t capacity = 0;
    uint64_t page = 1;
    uint64_t entry;
    *ret = (struct storm_inventory){0};
    while (ga_recount_next_span(view, &page, &entry) == 0) {
        list_span(view, (ga_page_id)page, entry, ret, &capacity);
        page += ga_entry_npages(entry);
    }
}

static void print_fault(void *data, const struct ga_audit_fault *fault)
{
    uint32_t *count = data;
    char text[GA_AUDIT_TEXT_BYTES];
    if ((*count)++ < TEXTS_MOST)
        fprintf(stderr, "audit: %s\n", ga_audit_fault_text(fault, text));
}

static int64_t audit(const struct ga_view *view, bool print, struct ga_audit *ret)
{
    static struct ga_audit_scratch scratch;
    uint32_t count = 0;
    struct ga_audit_options options = {
        .scratch = &scratch, .report = print ? print_fault : NULL, .data = &count};
    return ga_audit_run(view, &options, ret) < 0 ? -1 : (int64_t)ret->nfaults;
}

int64_t storm_take_inventory(const char *heap_name, uint32_t nclients, struct storm_inventory *ret)
{
    struct ga_mapping meta;
    struct ga_mapping bits;
    if (ga_mapping_open(heap_name, GA_OBJECT_META, true, -1, 0, 0, &meta) < 0)
        return -1;
    if (ga_mapping_open(heap_name, GA_OBJECT_BITS, true, -1, 0, 0, &bits) < 0) {
        ga_mapping_close(&meta);
        return -1;
    }
    struct ga_view view = ga_view_of(meta.address, bits.address);
    struct ga_audit result = {0};
    int64_t nfaults = -1;
    /* The server may not have taken back all that the last ones left. */
    for (int ms = 0; ms < PATIENCE_MS && (nfaults != 0 || result.clients != nclients);
         ms += LOOK_MS) {
        usleep(LOOK_MS * 1000);
        nfaults = audit(&view, false, &result);
    }
    if (nfaults > 0)
        nfaults = audit(&view, true, &result);
    if (result.clients != nclients) {
        fprintf(stderr, "%u clients are attached\n", result.clients);
        nfaults = -1;
    }
    list_all(&view, ret);
    ga_mapping_close(&bits);
    ga_mapping_close(&meta);
    return nfaults;
}

static int by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (uint8_t *const *)a;
    uintptr_t y = (uintptr_t) * (uint8_t *const *)b;
    return (x > y) - (x < y);
}

static bool has(uint8_t **sorted, size_t count, uint8_t *object)
{
    return count > 0 && bsearch(&object, sorted, count, sizeof(*sorted), by_address) != NULL;
}

/* Every object that the ledger has, in the order of their addresses. */
static struct storm_inventory list_ledger(const struct storm_ledger *ledger)
{
    struct storm_inventory all = {0};
    size_t capacity = 0;
    for (uint32_t i = 0; i < ledger->nclients * ledger->nthreads * STORM_ENTRIES; i++) {
        const struct storm_entry *e =
            &ledger->entry[i / STORM_ENTRIES / ledger->nthreads]
                          [i / STORM_ENTRIES % ledger->nthreads][i % STORM_ENTRIES];
        if (storm_state_of(atomic_load(&e->state)) == STORM_EMPTY)
            continue;
        all.objects = grown(all.objects, all.count, &capacity, sizeof(*all.objects));
        all.objects[all.count++] = atomic_load(&e->object);
    }
    qsort(all.objects, all.count, sizeof(*all.objects), by_address);
    return all;
}

struct storm_outcome storm_compare(const struct storm_ledger *ledger,
                                   const struct storm_inventory *inventory,
                                   const struct storm_doubts *doubts)
{
    struct storm_outcome outcome = {0};
    struct storm_inventory known = list_ledger(ledger);
    if (doubts->nobjects)
        qsort(doubts->objects, doubts->nobjects, sizeof(*doubts->objects), by_address);
    for (size_t i = 0; i < inventory->count; i++) {
        if (has(known.objects, known.count, inventory->objects[i]))
            outcome.live++;
        else if (has(doubts->objects, doubts->nobjects, inventory->objects[i]))
            outcome.doubted++;
        else
            outcome.unknown++;
    }
    outcome.lost = known.count - outcome.live;
    free(known.objects);
    return outcome;
}

#include "inventory.h"

#include <stdio.h>
#include <stdlib.h>

enum { TEXTS_MOST = 20 };

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

struct known {
    uint8_t *object;
    const struct storm_entry *entry;
};

/* Every object that the ledger has, in the order of their addresses. */
static struct known *list_ledger(const struct storm_ledger *ledger, size_t *ret_count)
{
    struct known *all = NULL;
    size_t capacity = 0;
    *ret_count = 0;
    for (uint32_t i = 0; i < ledger->nclients * ledger->nthreads * STORM_ENTRIES; i++) {
        const struct storm_entry *e =
            &ledger->entry[i / STORM_ENTRIES / ledger->nthreads]
                          [i / STORM_ENTRIES % ledger->nthreads][i % STORM_ENTRIES];
        if (storm_state_of(atomic_load(&e->state)) == STORM_EMPTY)
            continue;
        all = grown(all, *ret_count, &capacity, sizeof(*all));
        all[(*ret_count)++] = (struct known){.object = atomic_load(&e->object), .entry = e};
    }
    if (all)
        qsort(all, *ret_count, sizeof(*all), ga_inventory_by_address);
    return all;
}

static void compare_known(const char *heap_name, const struct storm_ledger *ledger,
                          const struct known *known, size_t nknown,
                          const struct ga_inventory *inventory, struct storm_outcome *outcome)
{
    for (size_t i = 0; i < nknown; i++) {
        char text[STORM_TEXT_BYTES];
        bool twice = i > 0 && known[i - 1].object == known[i].object;
        if (!twice && ga_inventory_find(inventory->objects, inventory->count,
                                        sizeof(*inventory->objects), known[i].object)) {
            outcome->live++;
        } else if (outcome->lost++ < TEXTS_MOST) {
            ga_inventory_tell(heap_name, known[i].object, twice ? "in two entries" : "lost",
                              storm_entry_text(ledger, known[i].entry, text));
        }
    }
}

struct storm_outcome storm_compare(const char *heap_name, const struct storm_ledger *ledger,
                                   const struct ga_inventory *inventory,
                                   const struct storm_doubts *doubts)
{
    struct storm_outcome outcome = {0};
    size_t nknown;
    struct known *known = list_ledger(ledger, &nknown);
    compare_known(heap_name, ledger, known, nknown, inventory, &outcome);
    if (doubts->nobjects)
        qsort(doubts->objects, doubts->nobjects, sizeof(*doubts->objects), ga_inventory_by_address);
    for (size_t i = 0; i < inventory->count; i++) {
        uint8_t *object = inventory->objects[i].object;
        if (ga_inventory_find(known, nknown, sizeof(*known), object))
            continue;
        if (ga_inventory_find(doubts->objects, doubts->nobjects, sizeof(*doubts->objects),
                              object)) {
            outcome.doubted++;
        } else if (++outcome.unknown > doubts->unknown &&
                   outcome.unknown <= doubts->unknown + TEXTS_MOST) {
            char text[32];
            snprintf(text, sizeof(text), "%p", (void *)object);
            ga_inventory_tell(heap_name, object, "one too many", text);
        }
    }
    free(known);
    return outcome;
}

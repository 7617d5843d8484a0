#include "client/free_list.h"

#include <stddef.h>

/* Nobody's object, NULL among them, is there. */
static char nowhere;

/* The place of every list that never serves: a word of A and its word of F say that it is in use.
 */
static _Atomic uint64_t in_use[GA_LINE_WORDS + 1] = {1};
#define NEVER_SERVES                                                                               \
    {                                                                                              \
        .p = &nowhere, .a = in_use, .bit = 1                                                       \
    }

void ga_free_list_init(struct ga_free_list *list, struct ga_mcache_class *counts,
                       ga_mcache_id holder, ga_span_class span_class,
                       const struct ga_size_class *class)
{
    static struct ga_free_slot none[2] = {NEVER_SERVES, NEVER_SERVES};
    *list = (struct ga_free_list){.counts = counts,
                                  .holder = GA_NOBODY,
                                  .span_class = span_class,
                                  .slot = none,
                                  .sample_rate = UINT64_MAX};
    if (class) {
        list->size = class->size;
        list->magic = class->magic;
        list->holder = holder;
    }
    ga_free_list_drop(list);
}

void ga_free_list_open(struct ga_free_list *list, struct ga_free_slot *places, uint32_t slots)
{
    list->slot = places;
    list->full = &places[slots];
    places[0] = (struct ga_free_slot)NEVER_SERVES;
    ga_free_list_forget(list);
}

void ga_free_list_move(struct ga_free_list *list, struct ga_free_slot *places)
{
    const struct ga_free_slot *from = list->slot;
    const ptrdiff_t count = list->top - from;
    _Atomic uint64_t *current = list->current;
    ga_free_list_open(list, places, GA_FREE_LIST_SLOTS);
    for (ptrdiff_t i = 1; i <= count; i++)
        places[i] = from[i];
    list->top = &places[count];
    list->current = current;
}

void ga_free_list_forget(struct ga_free_list *list)
{
    for (struct ga_free_slot *slot = &list->slot[1]; list->full && slot <= list->full + 1; slot++)
        slot->p = &nowhere;
    ga_free_list_drop(list);
}

struct ga_free_slot *ga_free_list_first(struct ga_free_list *list, uint64_t *ret_a)
{
    for (; list->top != list->slot; list->top--)
        if (ga_free_list_serves(list->top, ret_a))
            return list->top;
    return NULL;
}

void ga_free_list_fill(struct ga_free_list *list, char *base, struct ga_span_line *line,
                       _Atomic uint64_t *a, uint64_t slots, bool untouched)
{
    struct ga_free_slot *slot = list->slot;
    uint64_t size = list->size;
    while (slots != 0) {
        unsigned index = 63 - (unsigned)__builtin_clzll(slots);
        uint64_t bit = UINT64_C(1) << index;
        *++slot = (struct ga_free_slot){.p = base + index * size, .a = a, .bit = bit, .line = line};
        slots ^= bit;
    }
    list->top = slot;
    list->current = a;
    list->untouched = untouched;
    list->frees_filled = ga_load_relaxed(&list->counts->nfree);
}

#include "client/free_list.h"

void ga_free_list_init(struct ga_free_list *list, struct ga_mcache_class *counts, uint32_t size,
                       uint32_t magic)
{
    /* A word of A and its word of F, which say of its first slot that it is in use. */
    static _Atomic uint64_t in_use[GA_LINE_WORDS + 1] = {1};
    *list = (struct ga_free_list){.counts = counts, .size = size, .magic = magic};
    list->slot[0] = (struct ga_free_slot){.a = in_use, .bit = 1};
    ga_free_list_drop(list);
}

const struct ga_free_slot *ga_free_list_first(struct ga_free_list *list)
{
    for (; list->top != list->slot; list->top--) {
        const struct ga_free_slot *top = list->top;
        uint64_t used = ga_slot_used(top->a);
        if ((used & top->bit) == 0 && (used != 0 || top->a == list->current))
            return top;
    }
    return NULL;
}

void ga_free_list_fill(struct ga_free_list *list, char *base, _Atomic uint64_t *a, uint64_t slots,
                       bool untouched)
{
    struct ga_free_slot *slot = list->slot + __builtin_popcountll(slots);
    list->top = slot;
    list->current = a;
    list->untouched = untouched;
    list->frees_filled = ga_load_relaxed(&list->counts->nfree);
    for (; slots != 0; slots &= slots - 1)
        *slot-- = (struct ga_free_slot){
            .p = base + (uint64_t)__builtin_ctzll(slots) * list->size,
            .a = a,
            .bit = slots & -slots,
        };
}

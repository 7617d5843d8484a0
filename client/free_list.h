/* The free slots that an mcache knows of one class: where malloc and free are fastest.
 *
 * A list is an array in private memory, the slot that was put in last taken first. When it is empty
 * it is filled with the free slots of one word of a span (mcache.c); and a slot that its holder
 * frees is put in, so that the next malloc gets memory that is warm, and needs to find neither a
 * pointer from a bit nor a bit from a pointer. What is on the list is no more than a hint: whether
 * a slot is free is said by A and F alone, which malloc reads again. So a death loses nothing.
 *
 * No slot is on the list twice: it is filled only when it is empty, and what is put in else was in
 * use. The last object of a word is not put in when it is freed, but in the current one, which the
 * list was filled from: so a span that has become empty tends to stay so, and can be given back.
 *
 * A span whose free slots are all on the list need not be on that of the spans (spans.h): as long
 * as they are here, nothing is to be found in it. The list may be dropped at any time, by who sees
 * to its spans first (mcache_return.c). */
#ifndef GA_CLIENT_FREE_LIST_H
#define GA_CLIENT_FREE_LIST_H

#include <stdbool.h>

#include "shm/size_class.h"
#include "shm/slot.h"

#define GA_FREE_LIST_SLOTS 64u /* a word's */
/* The first never serves, so that malloc need not ask whether the list is empty. What was taken
 * stays above the top: where the objects are freed in turn, the last allocated first, each is found
 * there. The last is never filled. */
#define GA_FREE_LIST_PLACES (1 + GA_FREE_LIST_SLOTS + 1)
/* Of most classes in most programs little is ever used, so a list has room for little at first. */
#define GA_FREE_LIST_FIRST_SLOTS  8u
#define GA_FREE_LIST_FIRST_PLACES (1 + GA_FREE_LIST_FIRST_SLOTS + 1)

struct ga_class_cache;

struct ga_free_slot {
    char *p;
    _Atomic uint64_t *a;       /* its word of A */
    uint64_t bit;              /* of that */
    struct ga_span_line *line; /* its span's */
};

/* What malloc and free use comes first, in half a cache line. */
struct ga_free_list {
    struct ga_free_slot *top;  /* the slot that is taken next; slot[0] if there is none */
    struct ga_free_slot *full; /* where no more are put in; NULL unless it was opened */
    struct ga_mcache_class *counts;
    int64_t to_sample;         /* mallocs that come before it is looked for one to sample */
    _Atomic uint64_t *current; /* the word it was filled from last, NULL = none */
    struct ga_free_slot *slot; /* its places; unless it was opened two that are not its own */
    uint32_t size;             /* of a slot, bytes; 0 of large and tiny ones, which no list has */
    uint32_t magic;            /* of the size class (size_class.h) */
    ga_mcache_id holder;       /* whose spans these are; GA_NOBODY where size is 0 */
    ga_span_class span_class;
    bool untouched;               /* none of what it was filled with was ever handed out */
    struct ga_class_cache *class; /* whose list it is; NULL = it is of no class */
    uint64_t frees_filled;        /* what counts->nfree was when it was filled */
    uint64_t beyond;              /* mallocs that come then before one is sampled (sampler.h) */
    uint64_t sample_rate;         /* at which that was drawn */
};

/* An id that no holder word carries. */
#define GA_NOBODY ((ga_mcache_id)GA_HOLDER_ID_MASK)

/* Make an empty list of slots of span_class in holder's spans, or of none where class, of its size,
 * is NULL. It is of no class of a cache. */
void ga_free_list_init(struct ga_free_list *list, struct ga_mcache_class *counts,
                       ga_mcache_id holder, ga_span_class span_class,
                       const struct ga_size_class *class);

/* Give the list its places, for so many slots, at most GA_FREE_LIST_SLOTS, and 2 more: before the
 * first is put in. */
void ga_free_list_open(struct ga_free_list *list, struct ga_free_slot *places, uint32_t slots);

/* How many slots there is room for. */
static inline uint32_t ga_free_list_room(const struct ga_free_list *list)
{
    return (uint32_t)(list->full - list->slot);
}

/* Move the list, which is open, to GA_FREE_LIST_PLACES places. What is on it stays. */
void ga_free_list_move(struct ga_free_list *list, struct ga_free_slot *places);

/* Forget what is on the list. */
static inline void ga_free_list_drop(struct ga_free_list *list)
{
    list->top = list->slot;
    list->current = NULL;
}

/* Forget also what was taken from it, before the lease of a span that it may be of ends. */
void ga_free_list_forget(struct ga_free_list *list);

/* Whether the top slot may be taken. *ret_a: what its word of A is. */
static inline __attribute__((always_inline)) bool
ga_free_list_serves(const struct ga_free_slot *top, uint64_t *ret_a)
{
    _Atomic uint64_t *a = top->a;
    *ret_a = ga_load_relaxed(a);
    uint64_t used = ga_xor_acquire(*ret_a, ga_view_f_of(a));
    return (used & top->bit) == 0;
}

/* Take the top slot, which may be: one store, the commit. */
static inline __attribute__((always_inline)) void *
ga_free_list_take(struct ga_free_list *list, struct ga_free_slot *top, uint64_t a)
{
    ga_store_release(top->a, a ^ top->bit);
    list->top = top - 1;
    ga_count_one(&list->counts->nmalloc);
    return top->p;
}

/* Take the top slot if it may be: the fast path. Returns whether; *ret: where it lies. */
static inline __attribute__((always_inline)) bool ga_free_list_take_top(struct ga_free_list *list,
                                                                        void **ret)
{
    struct ga_free_slot *top = list->top;
    _Atomic uint64_t *a_word = top->a;
    uint64_t bit = top->bit;
    uint64_t a = ga_load_relaxed(a_word);
    if (__builtin_expect((ga_xor_acquire(a, ga_view_f_of(a_word)) & bit) != 0, 0))
        return false;
    ga_store_release(a_word, a ^ bit); /* the commit */
    list->top = top - 1;
    ga_count_one(&list->counts->nmalloc);
    *ret = top->p;
    return true;
}

/* Drop what may not be taken from the top. Returns the slot that is taken next, and in *ret_a what
 * its word of A is; NULL if there is none. */
struct ga_free_slot *ga_free_list_first(struct ga_free_list *list, uint64_t *ret_a);

/* Allocate the first slot that may be taken; NULL if there is none. */
static inline void *ga_free_list_malloc(struct ga_free_list *list)
{
    uint64_t a;
    struct ga_free_slot *first = ga_free_list_first(list, &a);
    return first ? ga_free_list_take(list, first, a) : NULL;
}

/* Put in a slot that its holder has freed. False if the list is full: the slot will be found by its
 * bit, if its span is listed (spans.h). */
static inline bool ga_free_list_put(struct ga_free_list *list, struct ga_free_slot slot)
{
    struct ga_free_slot *top = list->top;
    if (__builtin_expect(top == list->full, 0))
        return false;
    top[1] = slot;
    list->top = top + 1;
    return true;
}

/* Fill the list, which is empty, with these slots of a word, the lowest to be taken first; the word
 * is the current one from then on. base: where the word's first slot lies; line: its span's.
 * untouched: none of them was ever handed out. */
void ga_free_list_fill(struct ga_free_list *list, char *base, struct ga_span_line *line,
                       _Atomic uint64_t *a, uint64_t slots, bool untouched);

/* Whether the slot that was taken last was never handed out before: it is one of those that the
 * list was filled with, because nothing was put in since. */
static inline bool ga_free_list_was_untouched(const struct ga_free_list *list)
{
    return list->untouched && ga_load_relaxed(&list->counts->nfree) == list->frees_filled;
}

#endif

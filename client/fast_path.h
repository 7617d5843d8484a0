/* malloc and free of small objects by a thread that has its cache at hand: what nearly all of them
 * come to. It is compiled into goalloc_malloc and goalloc_free, and into malloc and free themselves
 * where those are goalloc's (client/malloc), which know of one heap and so need not be told of it.
 *
 * All of it is within an operation (busy.h), and ends it: the functions that it jumps to do so in
 * its place, so that it needs no frame. */
#ifndef GA_CLIENT_FAST_PATH_H
#define GA_CLIENT_FAST_PATH_H

#include "client/heap.h"
#include "client/sampler.h"
#include "client/spans.h"

/* ---- alloc.c ---- */

/* The class's list is used up, or has to be looked through first: go on with what is at hand. */
void *ga_alloc_next(struct goalloc_heap *heap, uint32_t span_class);
/* The class of size, which is small, has counted down, or is not made. */
void *ga_malloc_counted(struct goalloc_heap *heap, size_t size);
/* Of more than about 1 KiB. */
void *ga_malloc_longer(struct goalloc_heap *heap, size_t size);

/* ---- free.c ---- */

/* Free anything. */
void ga_free_any(struct goalloc_heap *heap, void *p);
/* Free an object in whose span something is sampled, or held. */
void ga_free_among_sampled(struct goalloc_heap *heap, void *p);
/* A free has left its word without objects, or its slot was not remembered: see to its span. */
void ga_free_look_at_span(struct goalloc_heap *heap, const struct ga_span_line *line,
                          _Atomic uint64_t *a_word);
/* Free what ga_fast_free has not freed; list: what it returned. */
void ga_free_other(struct goalloc_heap *heap, struct ga_thread_cache *cache,
                   const struct ga_free_list *list, void *p);

/* ---- malloc ---- */

/* From the list of a class that has not counted down. */
static inline __attribute__((always_inline)) void *ga_fast_take(struct goalloc_heap *heap,
                                                                struct ga_free_list *list)
{
    void *p;
    if (!ga_free_list_take_top(list, &p))
        return ga_alloc_next(heap, list->span_class);
    return ga_busy_end_with(p);
}

/* Allocate size bytes. */
static inline __attribute__((always_inline)) void *
ga_fast_malloc(struct goalloc_heap *heap, struct ga_thread_cache *cache, size_t size)
{
    if (__builtin_expect(size > GA_FINE_SIZE_MAX - 8, 0))
        return ga_malloc_longer(heap, size);
    struct ga_free_list *list = cache->by_size[(size + 7) / 8];
    cache->last = list;
    if (ga_sampler_count(list))
        return ga_malloc_counted(heap, size);
    return ga_fast_take(heap, list);
}

/* ---- free ---- */

/* Whether the slot bit of the word is in use; then it is freed: one store, the commit. *ret_last:
 * whether it was the last of the word. */
static inline __attribute__((always_inline)) bool ga_fast_flip(_Atomic uint64_t *a_word,
                                                               uint64_t bit, bool *ret_last)
{
    uint64_t a = ga_load_relaxed(a_word);
    uint64_t used = ga_xor_acquire(a, ga_view_f_of(a_word));
    *ret_last = used == bit;
    if (__builtin_expect((used & bit) == 0, 0))
        return false;
    ga_store_release(a_word, a ^ bit);
    return true;
}

/* Free the slot at p of a small span that this mcache holds, if it is in use: only then it ends the
 * operation. line: the span's; bit: the slot's, in a_word; list: of the span's class. */
static inline __attribute__((always_inline)) bool
ga_fast_free_slot(struct goalloc_heap *heap, struct ga_free_list *list, struct ga_span_line *line,
                  _Atomic uint64_t *a_word, uint64_t bit, char *p)
{
    bool is_last;
    if (!ga_fast_flip(a_word, bit, &is_last))
        return false;
    ga_count_one(&list->counts->nfree);
    struct ga_free_slot slot = {.p = p, .a = a_word, .bit = bit, .line = line};
    /* The last object of a word is not remembered, but in the current one. */
    if ((__builtin_expect(is_last, 0) && a_word != list->current) ||
        (!ga_free_list_put(list, slot) && !ga_spans_is_listed(line))) {
        ga_free_look_at_span(heap, line, a_word);
        return true;
    }
    ga_busy_end();
    return true;
}

/* The word of A of a slot of a known span. No branch: of small slots nobody can foresee whether
 * their word is in the line or in the wide plane. The words of both lie alike, so the first of the
 * wide plane, which lies backwards, would be where its first part is, less one part. */
static inline __attribute__((always_inline)) _Atomic uint64_t *
ga_fast_word(const struct ga_thread_cache *cache, struct ga_span_line *line, uint32_t word)
{
    uintptr_t in_line = (uintptr_t)line;
    uintptr_t in_wide = cache->wide - in_line * (sizeof(struct ga_span_wide) / sizeof(*line));
    uintptr_t first = word < GA_LINE_WORDS ? in_line : in_wide;
    uintptr_t words_of_f = word & ~(GA_LINE_WORDS - 1); /* that lie between */
    return (_Atomic uint64_t *)(first + (word + words_of_f) * sizeof(uint64_t));
}

/* Free an object of a small span that this mcache holds, which has this line; product: its offset
 * in the span by the class's magic number, which says that a slot begins there. */
static inline __attribute__((always_inline)) void
ga_fast_free_own(struct goalloc_heap *heap, const struct ga_thread_cache *cache,
                 struct ga_free_list *list, struct ga_span_line *line, uint64_t product, char *p)
{
    /* seq_cst: pairs with the server's count of a hold. */
    if (__builtin_expect(!ga_is_zero_seq_cst(&line->nholds), 0)) {
        ga_free_among_sampled(heap, p);
        return;
    }
    _Atomic uint64_t *a_word = ga_fast_word(cache, line, (uint32_t)(product >> 38));
    if (!ga_fast_free_slot(heap, list, line, a_word, UINT64_C(1) << (product >> 32) % 64, p))
        ga_free_any(heap, p);
}

/* Free what the list gave out last. That the list knows of it says that it is in a span that this
 * mcache holds: it forgets all before one is given back. */
static inline __attribute__((always_inline)) void
ga_fast_free_last(struct goalloc_heap *heap, struct ga_free_list *list, void *p)
{
    struct ga_free_slot *top = list->top;
    bool is_last;
    if (__builtin_expect(!ga_is_zero_seq_cst(&top[1].line->nholds), 0)) { /* as above */
        ga_free_among_sampled(heap, p);
        return;
    }
    if (!ga_fast_flip(top[1].a, top[1].bit, &is_last)) {
        ga_free_any(heap, p);
        return;
    }
    ga_count_one(&list->counts->nfree);
    if (__builtin_expect(is_last, 0) && top[1].a != list->current) { /* as in ga_fast_free_slot */
        ga_free_look_at_span(heap, top[1].line, top[1].a);
        return;
    }
    list->top = top + 1;
    ga_busy_end();
}

/* Free p if it is a small object in a page that the cache knows to be its mcache's. NULL: it is
 * freed, and the operation has ended. Else the list of what is known of p's page. */
static inline __attribute__((always_inline)) const struct ga_free_list *
ga_fast_free(struct goalloc_heap *heap, struct ga_thread_cache *cache, void *p)
{
    struct ga_free_list *last = cache->last;
    if (last->top[1].p == p) {
        ga_fast_free_last(heap, last, p);
        return NULL;
    }
    uint64_t page = ga_known_page(&cache->known, (uintptr_t)p);
    const struct ga_known_page *known = ga_known_look(&cache->known, page);
    uint64_t product = (uintptr_t)p % GA_PAGE_SIZE * known->magic;
    struct ga_free_list *list = cache->by_class[known->span_class];
    if (__builtin_expect((uint32_t)product >= known->magic, 0))
        return list;
    ga_fast_free_own(heap, cache, list, (struct ga_span_line *)cache->lines + page, product, p);
    return NULL;
}

#endif

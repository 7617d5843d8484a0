/* The spans that one class of a thread's cache has leased: all of them in a vector, and those that
 * may have free slots on a list.
 *
 * The list is linked through the link word of the span lines, which only the holder uses:
 *   bits 0..25 the next span's first page; bit 26: on the list; bit 27: on the list, and counted as
 *   empty; bits 28..63 place in the vector.
 * Other processes can write there, so what a link says is checked before it is followed. Used by
 * one thread at a time. */
#ifndef GA_CLIENT_SPANS_H
#define GA_CLIENT_SPANS_H

#include "client/heap.h"

/* Give up the class's spans, and the room for them. */
void ga_spans_fini(struct ga_class_cache *class);
/* Make room for count more spans. 0 or -ENOMEM. */
int ga_spans_reserve(struct ga_class_cache *class, uint32_t count);

/* Enter a span whose lease has begun; there must be room. It is not on the list as yet. untouched:
 * nothing of it was ever handed out. */
void ga_spans_add(struct ga_thread_cache *cache, struct ga_class_cache *class, ga_page_id page,
                  bool untouched);
/* Whether the span was entered as untouched, and this is called for the first time since. False
 * also where that is no longer known. */
bool ga_spans_touch(struct ga_thread_cache *cache, struct ga_class_cache *class, ga_page_id page);
/* The first page of the index-th span of the vector. */
ga_page_id ga_spans_at(const struct ga_class_cache *class, uint32_t index);
/* Forget a span that is not on the list. */
void ga_spans_remove(struct ga_thread_cache *cache, struct ga_class_cache *class, ga_page_id page);

/* Put a span at the head of the class's list; it is not counted as empty. */
void ga_spans_push(struct ga_thread_cache *cache, struct ga_class_cache *class, ga_page_id page);
/* Count a span of the list as empty. False if it is counted already. */
bool ga_spans_count_empty(struct ga_thread_cache *cache, struct ga_class_cache *class,
                          ga_page_id page);
/* Take the first span off the class's list, and out of the count of empty ones if it was counted;
 * 0 when there is none. */
ga_page_id ga_spans_pop(struct ga_thread_cache *cache, struct ga_class_cache *class);
/* Take a span that was popped aside, until ga_spans_rejoin. */
void ga_spans_set_aside(struct ga_thread_cache *cache, struct ga_class_cache *class,
                        ga_page_id page);
/* Put what is aside at the head of the list. */
void ga_spans_rejoin(struct ga_thread_cache *cache, struct ga_class_cache *class);

/* Make page the class's current span, which is not on the list; 0: it has none any more. */
void ga_spans_set_current(struct ga_thread_cache *cache, struct ga_class_cache *class,
                          ga_page_id page);

/* In the link of a span (spans.c): it is on the list, or the current one, so that a free in it need
 * not list it. */
#define GA_SPANS_LISTED (UINT64_C(1) << 26)
/* line: of the span's first page. */
static inline bool ga_spans_is_listed(const struct ga_span_line *line)
{
    return ga_load_relaxed(&line->link) & GA_SPANS_LISTED;
}

#endif

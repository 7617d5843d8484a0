/* One class of a thread's cache: filling it, and giving back what it does not use. */
#ifndef GA_CLIENT_MCACHE_H
#define GA_CLIENT_MCACHE_H

#include <time.h>

#include "client/heap.h"

/* Nanoseconds, for who measures. */
static inline uint64_t ga_mcache_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* When a request for spans begins, and how long it took, in nanoseconds: for the server's figures,
 * which a heap of the process's own has not. There it is 0, since a clock that is as fine takes a
 * fair part of what the request does. */
static inline uint64_t ga_mcache_begin_request(const struct goalloc_heap *heap)
{
    return heap->is_own ? 0 : ga_mcache_now_ns();
}

static inline uint64_t ga_mcache_request_ns(const struct goalloc_heap *heap, uint64_t from_ns)
{
    return heap->is_own ? 0 : ga_mcache_now_ns() - from_ns;
}

/* Milliseconds of a clock that costs no system call. */
static inline uint64_t ga_mcache_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline uint64_t ga_mcache_span_bytes(ga_span_class span_class)
{
    return ga_size_classes[span_class / 2].npages * GA_PAGE_SIZE;
}

/* Slots of a span; of the tiny class, blocks. */
static inline uint32_t ga_mcache_nslots(ga_span_class span_class)
{
    return span_class == GA_SPAN_CLASS_TINY ? GA_TINY_NBLOCKS
                                            : ga_size_classes[span_class / 2].nslots;
}

/* Whether the span's holder word still says that this mcache leases it. */
static inline bool ga_mcache_is_mine(const struct ga_thread_cache *cache, ga_page_id page)
{
    uint64_t holder = ga_load_relaxed(&cache->heap->view.lines[page].holder);
    return ga_holder_is_leased_by(holder, cache->id);
}

/* Words of bits that a span has. */
static inline uint32_t ga_mcache_nwords(ga_span_class span_class)
{
    return span_class == GA_SPAN_CLASS_TINY ? GA_TINY_WORDS
                                            : ga_word_count(ga_mcache_nslots(span_class));
}

/* Whether no slot of the span is in use. */
static inline bool ga_mcache_is_empty(const struct ga_thread_cache *cache, ga_span_class span_class,
                                      ga_page_id page)
{
    const struct ga_view *view = &cache->heap->view;
    if (span_class == GA_SPAN_CLASS_TINY)
        return ga_tiny_is_empty(view, page);
    uint32_t nwords = ga_mcache_nwords(span_class);
    for (uint32_t word = 0; word < nwords; word++)
        if (ga_slot_used(ga_view_a(view, page, word)) != 0)
            return false;
    return true;
}

/* Read and clear the inbox of span_class: what it names is in news afterwards. Returns whether
 * there is anything. */
bool ga_mcache_read_inbox(struct ga_thread_cache *cache, ga_span_class span_class,
                          uint64_t news[static GA_INBOX_WORDS]);

/* Whether news may be about the span at page: a bit stands for several. */
static inline bool ga_mcache_is_news(const uint64_t news[static GA_INBOX_WORDS], ga_page_id page)
{
    return news[page / 64 % GA_INBOX_WORDS] >> (page % 64) & 1;
}

/* Tell the server of spans whose lease was ended, count of them. */
void ga_mcache_note_returned(struct ga_thread_cache *cache, uint32_t *pages, uint32_t count);

/* Whether the page table says that this span was leased to us. */
bool ga_mcache_is_granted(const struct ga_thread_cache *cache, ga_span_class span_class,
                          ga_page_id page);

/* Put a span on the list, whose free slots are known of. */
void ga_mcache_list_span(struct ga_thread_cache *cache, ga_span_class span_class, ga_page_id page);

/* Look at the spans that the inbox of span_class names: put those with free slots on the list.
 * Returns whether there is any. */
bool ga_mcache_take_news(struct ga_thread_cache *cache, ga_span_class span_class);

/* Take the spans that have come ahead of need, of whatever class. */
void ga_mcache_take_ring(struct ga_thread_cache *cache);

/* Wait for the spans that were asked for ahead and have not come, if there are any, and take them:
 * a cache that nobody uses would not learn of them. Not on the library's thread. */
void ga_mcache_settle(struct ga_thread_cache *cache);

/* How many spans the class leases at once at least. In a heap of the process's own a lease writes
 * to 17 OS pages of the core's, which a child of fork copies, and a span that is not used to none
 * of them; so a class of few slots a span has some ahead. */
uint32_t ga_mcache_least(const struct ga_thread_cache *cache, ga_span_class span_class);

/* Fill the list of span_class, which is used up, from the spans that are known to have free slots.
 * False if there are none. */
bool ga_mcache_refill_at_hand(struct ga_thread_cache *cache, ga_span_class span_class);
/* Fill the list of span_class with free slots, leasing spans if need be. 0 or negative errno. */
int ga_mcache_refill(struct ga_thread_cache *cache, ga_span_class span_class);

/* The holder has freed slots of a span: it may be allocated from again; and if it is empty it may
 * be given back. may_be_empty: what was freed were the last objects of their word. */
void ga_mcache_freed(struct ga_thread_cache *cache, ga_span_class span_class, ga_page_id page,
                     bool may_be_empty);

/* Give back every span that is empty, the inbox read and the lists of free slots dropped. Returns
 * how many went. */
uint32_t ga_mcache_trim(struct ga_thread_cache *cache);

/* The thread is about to ask for spans: if the heap has grown, give back what classes have not
 * needed since it grew before. */
void ga_mcache_meet_growth(struct ga_thread_cache *cache);

/* Give back the empty spans that their classes have not needed since they were last looked at, the
 * inbox read, and the frees that are collected. */
void ga_mcache_give_back_unneeded(struct ga_thread_cache *cache);

/* Do what the server has asked for since the last time: trim, or give back what is not needed. */
void ga_mcache_obey_reclaim(struct ga_thread_cache *cache);

#endif

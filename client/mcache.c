/* Filling one class of a thread's cache.
 *
 * A class has a list of free slots (free_list.h), which is filled from one word of a span at a
 * time; a list of spans that may have more; and spans that had none when last looked at. A span
 * leaves the list when it becomes the current one, and comes back when a slot of it is freed: by
 * this thread once the list of free slots does not have the slot, by others through the inbox.
 *
 * More spans come from the server in batches. A batch is twice the last where that was used up
 * within FAST_MS, half of it where it lasted for SLOW_MS, and no more than a sixteenth of what the
 * class has. A class whose list runs short asks for the next batch ahead, with a note, and finds it
 * in the mcache's ring; so in a steady state nobody waits for the server. */
#include "client/mcache.h"

#include <errno.h>
#include <sys/sdt.h>

#include "client/class_cache.h"
#include "client/premap.h"
#include "client/spans.h"
#include "client/tiny.h"
#include "shm/ring.h"

#define BATCH_BYTES_MAX (UINT64_C(1) << 20)
#define BATCH_PART      16u
#define LEASE_MAX       64u
#define LEAST_SLOTS     4u
#define LEAST_BYTES     (UINT64_C(16) << 10)
#define FAST_MS         20u
#define SLOW_MS         1000u

/* The list of a class gets all its room when its first was used up so often: to fill it once more
 * costs a tenth of a page fault, and the room is half an OS page. */
#define USED_UP_MIN 8u

/* Only a class that goes through batches of this size is leased to ahead of its need. */
#define AHEAD_BATCH_MIN 4u

/* The lowest of the slots for which there is room. */
static uint64_t lowest(uint64_t slots, uint32_t room)
{
    uint64_t rest = slots;
    if (room >= GA_FREE_LIST_SLOTS)
        return slots;
    while (rest != 0 && room-- > 0)
        rest &= rest - 1;
    return slots ^ rest;
}

/* Fill the class's list with these slots of a word of the span at page, and make it the current
 * one.
 */
static void fill(struct ga_thread_cache *cache, ga_span_class span_class, ga_page_id page,
                 uint32_t word, uint64_t slots)
{
    struct ga_class_cache *class = ga_class_cache_peek(cache, span_class);
    const struct ga_view *view = &cache->heap->view;
    bool untouched = ga_spans_touch(cache, class, page) &&
                     slots == ga_valid_mask(ga_mcache_nslots(span_class), word);
    char *base = (char *)cache->heap->base + ((uint64_t)page << GA_PAGE_SHIFT) +
                 (uint64_t)word * 64 * class->list->size;
    ga_known_add(&cache->known, page, span_class, class->list->magic);
    ga_free_list_fill(class->list, base, &view->lines[page], ga_view_a(view, page, word),
                      lowest(slots, ga_free_list_room(class->list)), untouched);
    ga_spans_set_current(cache, class, page);
}

/* The same from the span at page, if it has free slots. Inline: of the current span there are
 * mostly none, and of the next there are. */
static inline __attribute__((always_inline)) bool
fill_from(struct ga_thread_cache *cache, ga_span_class span_class, ga_page_id page)
{
    if (span_class == GA_SPAN_CLASS_TINY)
        return ga_tiny_claim(cache, page);
    const struct ga_view *view = &cache->heap->view;
    uint32_t nslots = ga_mcache_nslots(span_class);
    uint64_t slots;
    uint32_t word = 0;
    while ((slots = ga_slot_find_free(view, page, word, nslots)) == 0)
        if (++word * 64 >= nslots)
            return false;
    fill(cache, span_class, page, word, slots);
    return true;
}

/* Fill from the first span of the list that has free slots. */
static bool fill_from_list(struct ga_thread_cache *cache, ga_span_class span_class)
{
    struct ga_class_cache *class = ga_class_cache_peek(cache, span_class);
    for (ga_page_id page; (page = ga_spans_pop(cache, class)) != 0;)
        if (fill_from(cache, span_class, page))
            return true;
    return false;
}

void ga_mcache_list_span(struct ga_thread_cache *cache, ga_span_class span_class, ga_page_id page)
{
    struct ga_class_cache *class = ga_class_cache_get(cache, span_class);
    ga_spans_push(cache, class, page);
    if (ga_mcache_is_empty(cache, span_class, page))
        (void)ga_spans_count_empty(cache, class, page);
}

bool ga_mcache_read_inbox(struct ga_thread_cache *cache, ga_span_class span_class,
                          uint64_t news[static GA_INBOX_WORDS])
{
    struct ga_mcache_inbox *inbox = &cache->shared->inbox[span_class];
    uint64_t any = 0;
    for (uint32_t i = 0; i < GA_INBOX_WORDS; i++) {
        /* Cleared before F is read, so that a free in between sets it again. */
        bool empty = ga_load_relaxed(&inbox->word[i]) == 0;
        news[i] = empty ? 0 : ga_xchg_seq_cst(&inbox->word[i], 0);
        any |= news[i];
    }
    return any != 0;
}

bool ga_mcache_take_news(struct ga_thread_cache *cache, ga_span_class span_class)
{
    uint64_t news[GA_INBOX_WORDS];
    if (!ga_mcache_read_inbox(cache, span_class, news))
        return false;

    const struct ga_class_cache *class = ga_class_cache_get(cache, span_class);
    uint32_t nslots = ga_mcache_nslots(span_class);
    bool found = false;
    for (uint32_t i = 0; i < class->spans.count; i++) {
        ga_page_id page = ga_spans_at(class, i);
        if (!ga_mcache_is_news(news, page) || page == class->page ||
            ga_spans_is_listed(&cache->heap->view.lines[page]) ||
            ga_slot_count_used(&cache->heap->view, page, nslots) == nslots)
            continue;
        ga_mcache_list_span(cache, span_class, page);
        found = true;
    }
    return found;
}

bool ga_mcache_is_granted(const struct ga_thread_cache *cache, ga_span_class span_class,
                          ga_page_id page)
{
    const struct ga_view *view = &cache->heap->view;
    if (page == 0 || page >= ga_load_acquire(&view->meta->committed_npages))
        return false;
    uint64_t entry = ga_view_entry(view, page);
    return ga_entry_is_span(entry) && ga_entry_owner(entry) == cache->id &&
           ga_entry_span_class(entry) == span_class;
}

/* Whether nothing of a span that was just granted was ever handed out. Not asked of spans that have
 * several words: their slots are below 128 bytes, and to zero one costs less than to know of it. */
static bool is_untouched(const struct ga_thread_cache *cache, ga_span_class span_class,
                         ga_page_id page)
{
    return ga_mcache_nwords(span_class) == 1 &&
           (ga_view_entry(&cache->heap->view, page) & GA_ENTRY_NEEDZERO) == 0;
}

/* The list is used up: see to it that it has room for a word of a span, if the class has more slots
 * than there is room for. */
static void make_room(struct ga_thread_cache *cache, ga_span_class span_class)
{
    struct ga_class_cache *class = ga_class_cache_peek(cache, span_class);
    uint32_t room = ga_free_list_room(class->list);
    uint64_t slots = (uint64_t)ga_mcache_nslots(span_class) * class->spans.count;
    if (room == GA_FREE_LIST_SLOTS || slots <= room || cache->nmoved == GA_LISTS_MOVED_MAX ||
        ++class->nused_up < USED_UP_MIN)
        return;
    ga_free_list_move(class->list, cache->places[cache->nmoved++]);
}

/* Enter a span whose lease has begun. There is room for it. */
static void add_span(struct ga_thread_cache *cache, ga_span_class span_class, ga_page_id page)
{
    struct ga_class_cache *class = ga_class_cache_peek(cache, span_class);
    ga_spans_add(cache, class, page, is_untouched(cache, span_class, page));
    ga_mcache_list_span(cache, span_class, page);
}

/* Begin the lease of a span that the server has granted through the ring, and list it. */
static int begin_lease(struct ga_thread_cache *cache, ga_span_class span_class, ga_page_id page)
{
    if (!ga_mcache_is_granted(cache, span_class, page))
        return -EPROTO;
    int r = ga_spans_reserve(ga_class_cache_get(cache, span_class), 1);
    if (r < 0)
        return r;
    ga_slot_begin_lease(&cache->heap->view, cache->id, page);
    add_span(cache, span_class, page);
    return 0;
}

/* Take the entry that comes next. 1; 0 when it is not there, or cannot be taken now. */
static int take_entry(struct ga_thread_cache *cache, struct ga_premap *run)
{
    const struct ga_view *view = &cache->heap->view;
    uint64_t next = cache->ring_taken + 1;
    if (view->counts.rings == 0)
        return 0;
    uint64_t entry = ga_load_acquire(&view->rings[cache->id].entry[ga_ring_index(next)]);
    if (ga_ring_sequence(entry) != next || ga_ring_state(entry) != GA_RING_READY)
        return 0;
    ga_page_id page = ga_ring_page(entry);
    ga_span_class span_class = ga_entry_span_class(ga_view_entry(view, page));
    int r = begin_lease(cache, span_class, page);
    if (r == -ENOMEM)
        return 0; /* no private memory: it stays where it is */
    cache->ring_taken = next;
    /* Pairs with the server's acquire: the entry may be written over. */
    ga_store_release(&cache->shared->ring_taken, next);
    if (r == 0) {
        ga_class_cache_peek(cache, span_class)->asked = false;
        ga_premap_add(cache->heap, page, run);
    }
    return 1;
}

void ga_mcache_take_ring(struct ga_thread_cache *cache)
{
    struct ga_premap run = {0};
    while (take_entry(cache, &run))
        continue;
    ga_premap_end(cache->heap, &run);
}

/* The most that a batch may have. A batch that is not used up costs memory, one that is too small
 * a wait for the server, which costs about what the first use of a span's memory does; so neither
 * is to be more than a part of what the class has used already. */
static uint64_t most_to_lease(const struct ga_class_cache *class, ga_span_class span_class)
{
    uint64_t most = BATCH_BYTES_MAX / ga_mcache_span_bytes(span_class);
    uint64_t part = class->spans.count / BATCH_PART;
    most = most > LEASE_MAX ? LEASE_MAX : most;
    most = most > part ? part : most;
    return most > 0 ? most : 1;
}

uint32_t ga_mcache_least(const struct ga_thread_cache *cache, ga_span_class span_class)
{
    uint64_t bytes = ga_mcache_span_bytes(span_class);
    uint32_t slots = ga_mcache_nslots(span_class);
    if (!cache->heap->is_own || slots >= LEAST_SLOTS || bytes > LEAST_BYTES)
        return 1;
    uint32_t wanted = (LEAST_SLOTS + slots - 1) / slots;
    uint32_t most = (uint32_t)(LEAST_BYTES / bytes);
    return wanted < most ? wanted : most;
}

/* How many spans the next batch has. */
static uint32_t next_batch(struct ga_class_cache *class, ga_span_class span_class)
{
    uint64_t now = ga_mcache_now_ms();
    uint64_t most = most_to_lease(class, span_class);
    if (class->leased_ms != 0 && now - class->leased_ms <= FAST_MS)
        class->batch *= 2;
    else if (now - class->leased_ms >= SLOW_MS)
        class->batch = (class->batch + 1) / 2;
    class->batch = class->batch > most ? (uint32_t)most : class->batch;
    class->leased_ms = now;
    return class->batch;
}

/* If the list is running short: ask for more before it is empty. */
static void ask_ahead(struct ga_thread_cache *cache, ga_span_class span_class)
{
    struct ga_class_cache *class = ga_class_cache_peek(cache, span_class);
    if (class->asked || class->batch < AHEAD_BATCH_MIN || class->npartial > class->batch / 2)
        return;
    ga_mcache_take_ring(cache); /* there must be room in it */
    Goalloc__V1__LeaseAhead body = GOALLOC__V1__LEASE_AHEAD__INIT;
    body.mcache = cache->id;
    body.span_class = span_class;
    body.count = next_batch(class, span_class);
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = GOALLOC__V1__ENVELOPE__BODY_LEASE_AHEAD;
    note.lease_ahead = &body;
    class->asked = ga_channel_note(cache->heap->channel, &note) == 0;
}

/* Wait until the server has done what it was asked ahead, if it is there. */
static void await_ahead(struct ga_thread_cache *cache)
{
    Goalloc__V1__Sync body = GOALLOC__V1__SYNC__INIT;
    body.unswept = true;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_SYNC;
    request.sync = &body;
    struct ga_reply *reply;
    if (ga_channel_call_once(cache->heap->channel, &request, GOALLOC__V1__ENVELOPE__BODY_DONE, NULL,
                             &reply) == 0)
        ga_reply_release(reply);
}

static int request_lease(struct ga_thread_cache *cache, ga_span_class span_class, uint32_t count,
                         struct ga_reply **ret)
{
    Goalloc__V1__Lease body = GOALLOC__V1__LEASE__INIT;
    body.mcache = cache->id;
    body.span_class = span_class;
    body.count = count;
    body.last_ns = cache->lease_ns;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_LEASE;
    request.lease = &body;
    uint64_t from_ns = ga_mcache_begin_request(cache->heap);
    int r = ga_channel_call(cache->heap->channel, &request, GOALLOC__V1__ENVELOPE__BODY_LEASES,
                            NULL, ret);
    cache->lease_ns = ga_mcache_request_ns(cache->heap, from_ns);
    DTRACE_PROBE5(goalloc, lease, cache->id, span_class, count, cache->lease_ns, r);
    return r;
}

/* Ask for a batch and wait for it. */
static int lease(struct ga_thread_cache *cache, ga_span_class span_class)
{
    uint32_t count = next_batch(ga_class_cache_get(cache, span_class), span_class);
    uint32_t least = ga_mcache_least(cache, span_class);
    count = count < least ? least : count;
    int r = ga_spans_reserve(ga_class_cache_get(cache, span_class), count);
    if (r < 0)
        return r;
    struct ga_reply *reply;
    r = request_lease(cache, span_class, count, &reply);
    if (r < 0)
        return r;
    struct ga_premap run = {0};
    bool is_first =
        ga_class_cache_peek(cache, span_class)->spans.count == 0; /* one object may be all */
    const Goalloc__V1__Leases *leases = ga_reply_message(reply)->leases;
    r = leases->n_pages == 0 || leases->n_pages > count ? -EPROTO : 0;
    /* From the last, so that the first, the fullest, is used first. */
    for (size_t i = leases->n_pages; i-- > 0 && r == 0;) {
        /* The library's thread has begun the lease (grants.c). */
        ga_page_id page = leases->pages[i];
        if (ga_mcache_is_granted(cache, span_class, page) && ga_mcache_is_mine(cache, page)) {
            add_span(cache, span_class, page);
            if (!is_first)
                ga_premap_add(cache->heap, page, &run);
        } else {
            r = -EPROTO;
        }
    }
    ga_premap_end(cache->heap, &run);
    ga_reply_release(reply);
    return r;
}

/* Get more spans for the class: what has come ahead, else what is asked for now. */
static int get_spans(struct ga_thread_cache *cache, ga_span_class span_class)
{
    struct ga_class_cache *class = ga_class_cache_peek(cache, span_class);
    ga_mcache_meet_growth(cache);
    ga_mcache_take_ring(cache);
    if (class->partial == 0 && class->asked) {
        await_ahead(cache);
        ga_mcache_take_ring(cache);
        class->asked = false; /* nothing comes where the ring was full or memory is short */
    }
    return class->partial ? 0 : lease(cache, span_class);
}

void ga_mcache_settle(struct ga_thread_cache *cache)
{
    bool asked = false;
    for (uint32_t c = 2; c < GA_SPAN_CLASS_COUNT; c++) {
        struct ga_class_cache *class = ga_class_cache_peek(cache, (ga_span_class)c);
        asked = asked || (class && class->asked);
        if (class)
            class->asked = false;
    }
    if (asked)
        await_ahead(cache);
    ga_mcache_take_ring(cache);
}

bool ga_mcache_refill_at_hand(struct ga_thread_cache *cache, ga_span_class span_class)
{
    struct ga_class_cache *class = ga_class_cache_get(cache, span_class);
    ga_batch_flush_own(cache); /* others may be looking for memory too */
    ga_mcache_obey_reclaim(cache);
    if (class->page) {
        make_room(cache, span_class);
        if (fill_from(cache, span_class, class->page))
            return true;
    }
    ga_spans_set_current(cache, class, 0);
    class->list->current = NULL;
    if (!fill_from_list(cache, span_class))
        return false;
    ask_ahead(cache, span_class);
    return true;
}

int ga_mcache_refill(struct ga_thread_cache *cache, ga_span_class span_class)
{
    while (!ga_mcache_refill_at_hand(cache, span_class)) {
        if (ga_mcache_take_news(cache, span_class))
            continue;
        int r = get_spans(cache, span_class);
        if (r < 0)
            return r;
    }
    return 0;
}

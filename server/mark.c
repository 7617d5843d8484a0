/* How it goes fast: a pointer is followed through two loads that miss the cache, that of what is
 * known of its page and that of the object; so neither is waited for. A word that may be a pointer
 * waits in a short queue while its page's record is fetched; an object that was reached for the
 * first time goes on a stack, and from there through a short queue while its first lines are
 * fetched. Where there is but one object to be read at a time, as in a list, nobody waits in
 * either.
 *
 * What is known of a page is in 32 bytes, so a pointer takes one line for everything: where its
 * span begins, of what class it is, and one bit a slot, which says both that it was in use and that
 * it has not been reached. To mark is to clear that bit.
 *
 * Several threads share the work by chunks of their stacks. A thread that has nothing takes a chunk
 * from the pool, and one that has much gives some when somebody is idle. The lock of the pool is
 * held for a few stores, by threads of this process alone. */
#include "server/mark.h"

#include <errno.h>
#include <stdlib.h>
#include <threads.h>

#include "shm/size_class.h"
#include "shm/slot.h"
#include "shm/tiny.h"

/* What is read of a large object at once; the rest may be another thread's. As in Go. */
#define OBLET_BYTES (UINT64_C(128) << 10)

#define WORD_QUEUE   16u /* pages' records on their way */
#define OBJECT_QUEUE 16u /* objects on their way */
#define CHUNK_ROOM   1021u
#define GIVE_LEAST   32u  /* on a stack, or none of it is given away */
#define LOOK_EVERY   256u /* objects, at whether somebody is idle */
#define LINE_BYTES   64u

/* What is known of a page. */
struct page {
    _Atomic uint64_t *words; /* of the span: in use and not reached. NULL = nothing to be found */
    uint32_t first;          /* the span's first page */
    uint8_t size_class;
    bool noscan;
    bool is_special; /* tiny, or large */
    uint8_t reserved;
    _Atomic uint64_t own[GA_LINE_WORDS]; /* of a first page: words, where these are enough. Of a
                                            large span the second is its length in pages */
};
static_assert(sizeof(struct page) == 32, "half a cache line");

/* Objects to be read: where one begins, and its size class; of class 0 what is left of a large one
 * from there on. */
#define ENTRY_CLASS_BITS 8
static inline uint64_t entry_of(uint64_t offset, uint32_t size_class)
{
    return offset << ENTRY_CLASS_BITS | size_class;
}

struct chunk {
    struct chunk *next;
    struct chunk *next_made;
    uint32_t count;
    uint64_t entries[CHUNK_ROOM];
};

/* Memory for the words of spans with many slots, given out from front to back. */
#define BLOCK_WORDS 8190u
struct block {
    struct block *next;
    uint64_t used;
    _Atomic uint64_t words[BLOCK_WORDS];
};

/* A tiny span has also its units that were in use, behind those not reached. */
#define TINY_NWORDS (2 * GA_TINY_WORDS)
static_assert(TINY_NWORDS <= BLOCK_WORDS, "the words of any span fit into a block");

/* What is read whole as a root: the slots of a span, or a part of a large object. */
struct root_span {
    ga_page_id page;
    uint16_t npages;
    uint8_t size_class;
};

struct ga_mark {
    const struct ga_view *view;
    const char *memory;
    uint64_t base;
    uint64_t bytes;
    struct page *pages;
    struct block *blocks;
    struct root_span *root_spans;
    uint64_t nroot_spans;
    uint64_t root_spans_room;
    uint64_t *roots;
    uint64_t nroots;
    uint64_t roots_room;

    /* Shared by the threads at work. */
    _Atomic uint64_t next_root_span; /* the first that nobody has taken */
    _Atomic uint64_t next_root;
    _Atomic uint32_t nworking; /* threads that have something, or look for it */
    _Atomic uint32_t nidle;
    _Atomic uint32_t is_cancelled;
    atomic_flag lock;     /* of the next three */
    struct chunk *full;   /* that hold something */
    struct chunk *empty;  /* that hold nothing */
    struct chunk *chunks; /* all that were made */
    _Atomic uint32_t nfull;
};

struct worker {
    struct ga_mark *mark;
    struct chunk *top; /* the stack's upper part */
    struct chunk
        *other; /* the part below, empty or full, so that little goes to the pool and back */
    uint32_t until_look;
    uint32_t word_head;
    uint32_t nwords;
    uint32_t object_head;
    uint32_t nobjects;
    uint64_t words[WORD_QUEUE];
    uint64_t objects[OBJECT_QUEUE];
};

/* ---- before the marking ---- */

int ga_mark_new(const struct ga_view *view, const void *memory, uint64_t base, uint64_t npages,
                struct ga_mark **ret)
{
    struct ga_mark *mark = calloc(1, sizeof(*mark));
    if (!mark)
        return -ENOMEM;
    *mark = (struct ga_mark){.view = view,
                             .memory = memory,
                             .base = base,
                             .bytes = npages * GA_PAGE_SIZE,
                             .lock = ATOMIC_FLAG_INIT};
    /* One more, so that there is something for an empty heap too. */
    uint64_t bytes = (npages + 1) * sizeof(struct page);
    mark->pages = aligned_alloc(LINE_BYTES, (bytes + LINE_BYTES - 1) & ~(uint64_t)(LINE_BYTES - 1));
    if (!mark->pages) {
        free(mark);
        return -ENOMEM;
    }
    for (uint64_t page = 0; page < npages; page++)
        mark->pages[page] = (struct page){0};
    *ret = mark;
    return 0;
}

void ga_mark_free(struct ga_mark *mark)
{
    if (!mark)
        return;
    for (struct chunk *chunk = mark->chunks, *next; chunk; chunk = next) {
        next = chunk->next_made;
        free(chunk);
    }
    for (struct block *block = mark->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(mark->root_spans);
    free(mark->roots);
    free(mark->pages);
    free(mark);
}

static _Atomic uint64_t *take_words(struct ga_mark *mark, uint32_t n)
{
    struct block *block = mark->blocks;
    if (!block || BLOCK_WORDS - block->used < n) {
        block = malloc(sizeof(*block));
        if (!block)
            return NULL;
        block->used = 0;
        block->next = mark->blocks;
        mark->blocks = block;
    }
    _Atomic uint64_t *words = &block->words[block->used];
    block->used += n;
    return words;
}

static uint64_t used_slots(const struct ga_view *view, ga_page_id page, uint32_t word,
                           uint32_t nslots)
{
    return ga_valid_mask(nslots, word) & ~ga_free_bits(view, page, word, nslots);
}

/* Note what the span has in use. */
static void note_used(struct ga_mark *mark, struct page *record)
{
    ga_page_id page = record->first;
    if (record->is_special && record->size_class != 0) {
        for (uint32_t word = 0; word < GA_TINY_WORDS; word++) {
            uint64_t used = ga_tiny_used(&mark->view->tiny[page].pair[word]);
            ga_store_relaxed(&record->words[word], used);
            ga_store_relaxed(&record->words[GA_TINY_WORDS + word], used);
        }
        return;
    }
    uint32_t nslots = record->size_class == 0 ? 1 : ga_size_classes[record->size_class].nslots;
    for (uint32_t word = 0; word < ga_word_count(nslots); word++)
        ga_store_relaxed(&record->words[word], used_slots(mark->view, page, word, nslots));
}

int ga_mark_add_span(struct ga_mark *mark, ga_page_id page, uint64_t npages,
                     ga_span_class span_class)
{
    struct page *first = &mark->pages[page];
    uint32_t size_class = span_class / 2u;
    bool tiny = span_class == GA_SPAN_CLASS_TINY;
    uint32_t nwords = tiny              ? TINY_NWORDS
                      : size_class == 0 ? 1
                                        : ga_size_class_nwords(&ga_size_classes[size_class]);
    *first = (struct page){.first = page,
                           .size_class = (uint8_t)size_class,
                           .noscan = span_class & 1,
                           .is_special = tiny || size_class == 0};
    first->words = nwords <= GA_LINE_WORDS ? first->own : take_words(mark, nwords);
    if (!first->words)
        return -ENOMEM;
    note_used(mark, first);
    if (size_class == 0)
        ga_store_relaxed(&first->own[1], npages);
    for (uint64_t i = 1; i < npages; i++)
        mark->pages[page + i] = (struct page){.words = first->words,
                                              .first = page,
                                              .size_class = (uint8_t)size_class,
                                              .noscan = span_class & 1,
                                              .is_special = size_class == 0};
    return 0;
}

/* Make room for one more entry. */
static int make_room(void **entries, uint64_t count, uint64_t *room, size_t entry_bytes)
{
    if (count < *room)
        return 0;
    uint64_t more = *room ? *room * 2 : 1024;
    void *grown = realloc(*entries, more * entry_bytes);
    if (!grown)
        return -ENOMEM;
    *entries = grown;
    *room = more;
    return 0;
}

static int put_root_span(struct ga_mark *mark, ga_page_id page, uint64_t npages,
                         uint32_t size_class)
{
    void *entries = mark->root_spans;
    int r =
        make_room(&entries, mark->nroot_spans, &mark->root_spans_room, sizeof(struct root_span));
    mark->root_spans = entries;
    if (r < 0)
        return r;
    mark->root_spans[mark->nroot_spans++] = (struct root_span){
        .page = page, .npages = (uint16_t)npages, .size_class = (uint8_t)size_class};
    return 0;
}

int ga_mark_add_root_span(struct ga_mark *mark, ga_page_id page, uint64_t npages,
                          ga_span_class span_class)
{
    const uint64_t oblet = OBLET_BYTES / GA_PAGE_SIZE;
    if (span_class & 1)
        return 0;
    if (span_class != 0)
        return put_root_span(mark, page, npages, span_class / 2u);
    int r = 0;
    if (used_slots(mark->view, page, 0, 1) == 0)
        return 0;
    for (uint64_t done = 0; r == 0 && done < npages; done += oblet)
        r = put_root_span(mark, (ga_page_id)(page + done),
                          npages - done < oblet ? npages - done : oblet, 0);
    return r;
}

void ga_mark_leave_out(struct ga_mark *mark, ga_page_id page, uint32_t word, uint64_t slots)
{
    _Atomic uint64_t *words = mark->pages[page].words;
    if (words)
        ga_store_relaxed(&words[word], ga_load_relaxed(&words[word]) & ~slots);
}

int ga_mark_add_root(struct ga_mark *mark, uint64_t offset)
{
    if (!ga_mark_knows(mark, offset))
        return 0;
    /* Threads that found none left may have counted on. */
    if (ga_load_relaxed(&mark->next_root) > mark->nroots)
        ga_store_relaxed(&mark->next_root, mark->nroots);
    void *entries = mark->roots;
    int r = make_room(&entries, mark->nroots, &mark->roots_room, sizeof(uint64_t));
    mark->roots = entries;
    if (r == 0)
        mark->roots[mark->nroots++] = offset;
    return r;
}

bool ga_mark_knows(const struct ga_mark *mark, uint64_t offset)
{
    return offset < mark->bytes && mark->pages[offset >> GA_PAGE_SHIFT].words;
}

/* ---- the pool ---- */

static void lock(struct ga_mark *mark)
{
    while (atomic_flag_test_and_set_explicit(&mark->lock, memory_order_acquire))
        thrd_yield();
}

static void unlock(struct ga_mark *mark)
{
    atomic_flag_clear_explicit(&mark->lock, memory_order_release);
}

static bool is_cancelled(const struct ga_mark *mark)
{
    return ga_load_relaxed(&mark->is_cancelled) != 0;
}

void ga_mark_cancel(struct ga_mark *mark)
{
    ga_store_relaxed(&mark->is_cancelled, 1);
}

/* A chunk that holds something; NULL if there is none. */
static struct chunk *take_full(struct ga_mark *mark)
{
    if (ga_load_relaxed(&mark->nfull) == 0)
        return NULL;
    lock(mark);
    struct chunk *chunk = mark->full;
    if (chunk) {
        mark->full = chunk->next;
        ga_fetch_sub_relaxed(&mark->nfull, 1);
    }
    unlock(mark);
    return chunk;
}

static void put(struct ga_mark *mark, struct chunk *chunk)
{
    struct chunk **list = chunk->count ? &mark->full : &mark->empty;
    lock(mark);
    chunk->next = *list;
    *list = chunk;
    if (chunk->count)
        ga_fetch_add_relaxed(&mark->nfull, 1);
    unlock(mark);
}

/* An empty chunk. NULL, and the marking is over, if there is no memory. */
static struct chunk *take_empty(struct ga_mark *mark)
{
    lock(mark);
    struct chunk *chunk = mark->empty;
    if (chunk)
        mark->empty = chunk->next;
    unlock(mark);
    if (chunk)
        return chunk;
    chunk = malloc(sizeof(*chunk));
    if (!chunk) {
        ga_mark_cancel(mark);
        return NULL;
    }
    chunk->count = 0;
    lock(mark);
    chunk->next_made = mark->chunks;
    mark->chunks = chunk;
    unlock(mark);
    return chunk;
}

/* ---- a thread's stack ---- */

static __attribute__((noinline)) bool make_room_on_top(struct worker *worker)
{
    struct ga_mark *mark = worker->mark;
    struct chunk *below = worker->other;
    if (below->count > 0) {
        struct chunk *fresh = take_empty(mark);
        if (!fresh)
            return false;
        put(mark, below);
        below = fresh;
    }
    worker->other = worker->top;
    worker->top = below;
    return true;
}

static inline void push(struct worker *worker, uint64_t entry)
{
    if (__builtin_expect(worker->top->count == CHUNK_ROOM, 0) && !make_room_on_top(worker))
        return; /* the marking is over */
    worker->top->entries[worker->top->count++] = entry;
}

/* The entry that was pushed last; 0 if the thread has none. */
static inline uint64_t pop(struct worker *worker)
{
    if (worker->top->count == 0) {
        struct chunk *below = worker->other;
        if (below->count == 0)
            return 0;
        worker->other = worker->top;
        worker->top = below;
    }
    return worker->top->entries[--worker->top->count];
}

/* Somebody has nothing to do: he gets half of what lies on top. */
static void give_some(struct worker *worker)
{
    struct ga_mark *mark = worker->mark;
    struct chunk *top = worker->top;
    if (ga_load_relaxed(&mark->nidle) == 0 || ga_load_relaxed(&mark->nfull) > 0 ||
        top->count < GIVE_LEAST)
        return;
    struct chunk *gift = take_empty(mark);
    if (!gift)
        return;
    while (gift->count < top->count)
        gift->entries[gift->count++] = top->entries[--top->count];
    put(mark, gift);
}

/* ---- marking ---- */

/* Clear the bit of what is reached. False if it was clear. */
static inline bool reach(_Atomic uint64_t *word, uint64_t bit, bool alone)
{
    uint64_t old = ga_load_relaxed(word);
    if ((old & bit) == 0)
        return false;
    if (alone)
        ga_store_relaxed(word, old & ~bit);
    else
        old = atomic_fetch_and_explicit(word, ~bit, memory_order_relaxed);
    return (old & bit) != 0;
}

/* The tiny object that begins at the unit or, in its word, at most 7 units before. It holds no
 * pointers. */
static void mark_tiny(const struct page *record, uint32_t unit, bool alone)
{
    uint32_t word = unit / 64;
    uint64_t up_to = ~UINT64_C(0) >> (63 - unit % 64);
    uint64_t used = ga_load_relaxed(&record->words[GA_TINY_WORDS + word]) & up_to;
    if (used == 0)
        return;
    uint32_t start = 63 - (uint32_t)__builtin_clzll(used);
    if (unit % 64 - start < GA_TINY_UNITS)
        (void)reach(&record->words[word], UINT64_C(1) << start, alone);
}

/* In a span of tiny objects, or of a large one. */
static __attribute__((noinline)) void mark_special(struct worker *worker, const struct page *record,
                                                   uint64_t in_span, bool alone)
{
    if (record->size_class != 0)
        mark_tiny(record, (uint32_t)in_span / GA_TINY_UNIT_BYTES, alone);
    else if (reach(record->words, 1, alone) && !record->noscan)
        push(worker, entry_of((uint64_t)record->first << GA_PAGE_SHIFT, 0));
}

/* Mark what lies at offset, inside the pages known. */
static inline void mark_offset(struct worker *worker, uint64_t offset, bool alone)
{
    const struct page *record = &worker->mark->pages[offset >> GA_PAGE_SHIFT];
    _Atomic uint64_t *words = record->words;
    if (!words)
        return;
    uint64_t start = (uint64_t)record->first << GA_PAGE_SHIFT;
    if (__builtin_expect(record->is_special, 0)) {
        mark_special(worker, record, offset - start, alone);
        return;
    }
    const struct ga_size_class *class = &ga_size_classes[record->size_class];
    uint32_t index = ga_slot_index(class, (uint32_t)(offset - start));
    if (!reach(&words[index / 64], UINT64_C(1) << index % 64, alone) || record->noscan)
        return;
    push(worker, entry_of(start + (uint64_t)index * class->size, record->size_class));
}

/* A word of an object on this page, which may be a pointer: mark what the one says that came some
 * words before; or, where it points to the same page, whose record is here, what this one says. */
static inline void see_word(struct worker *worker, uint64_t word, uint64_t page, bool alone)
{
    uint64_t offset = word - worker->mark->base;
    if (offset >= worker->mark->bytes)
        return;
    if (offset >> GA_PAGE_SHIFT != page) {
        __builtin_prefetch(&worker->mark->pages[offset >> GA_PAGE_SHIFT], 1);
        if (worker->nobjects == 0) /* as in a list: it will be next, if it is one */
            __builtin_prefetch(worker->mark->memory + offset);
        if (worker->nwords < WORD_QUEUE) {
            worker->words[(worker->word_head + worker->nwords++) % WORD_QUEUE] = offset;
            return;
        }
        uint64_t oldest = worker->words[worker->word_head];
        worker->words[worker->word_head] = offset;
        worker->word_head = (worker->word_head + 1) % WORD_QUEUE;
        offset = oldest;
    }
    mark_offset(worker, offset, alone);
}

/* Clients write the heap while it is read. */
static inline void read_words(struct worker *worker, uint64_t offset, uint64_t bytes, bool alone)
{
    const _Atomic uint64_t *word = (const void *)(worker->mark->memory + offset);
    const _Atomic uint64_t *end = word + bytes / sizeof(*word);
    uint64_t page = offset >> GA_PAGE_SHIFT;
    for (; word < end; word++)
        see_word(worker, ga_load_relaxed(word), page, alone);
}

/* Pages of a large object. It may have been freed since it was entered, and its memory given back:
 * to read there would take memory, and there may be none. The small are not met then: their bits
 * are read first. */
static void read_pages(struct worker *worker, uint64_t offset, uint64_t bytes, bool alone)
{
    for (uint64_t end = offset + bytes; offset < end; offset += GA_PAGE_SIZE) {
        uint64_t entry = ga_view_entry(worker->mark->view, offset >> GA_PAGE_SHIFT);
        if (!(entry & GA_ENTRY_SCAVENGED))
            read_words(worker, offset, GA_PAGE_SIZE, alone);
    }
}

static void read_large(struct worker *worker, uint64_t offset, bool alone)
{
    const struct ga_mark *mark = worker->mark;
    ga_page_id first = mark->pages[offset >> GA_PAGE_SHIFT].first;
    uint64_t end = (first + ga_load_relaxed(&mark->pages[first].own[1])) << GA_PAGE_SHIFT;
    uint64_t bytes = end - offset;
    if (bytes > OBLET_BYTES) {
        bytes = OBLET_BYTES;
        push(worker, entry_of(offset + bytes, 0));
    }
    read_pages(worker, offset, bytes, alone);
}

static inline void read_object(struct worker *worker, uint64_t entry, bool alone)
{
    uint64_t offset = entry >> ENTRY_CLASS_BITS;
    uint32_t size_class = (uint32_t)(entry & ((1u << ENTRY_CLASS_BITS) - 1));
    if (__builtin_expect(size_class == 0, 0))
        read_large(worker, offset, alone);
    else
        read_words(worker, offset, ga_size_classes[size_class].size, alone);
}

/* Read the objects of a span of roots. */
static void read_root_span(struct worker *worker, const struct root_span *span, bool alone)
{
    const struct ga_size_class *class = &ga_size_classes[span->size_class];
    uint64_t start = (uint64_t)span->page << GA_PAGE_SHIFT;
    if (span->size_class == 0) {
        read_pages(worker, start, span->npages * GA_PAGE_SIZE, alone);
        return;
    }
    for (uint32_t word = 0; word < ga_size_class_nwords(class); word++) {
        uint64_t used = used_slots(worker->mark->view, span->page, word, class->nslots);
        while (used) {
            uint64_t index = word * 64 + (uint64_t)__builtin_ctzll(used);
            used &= used - 1;
            read_words(worker, start + index * class->size, class->size, alone);
        }
    }
}

/* The object to be read next: one that was asked for some objects before, or, where there is but
 * one, as in a list, that. 0 if the thread has none. */
static inline uint64_t next_object(struct worker *worker)
{
    uint64_t entry;
    while ((entry = pop(worker)) != 0) {
        if (worker->nobjects == 0 && worker->top->count == 0)
            return entry;
        const char *object = worker->mark->memory + (entry >> ENTRY_CLASS_BITS);
        __builtin_prefetch(object);
        __builtin_prefetch(object + LINE_BYTES);
        if (worker->nobjects == OBJECT_QUEUE) {
            uint64_t oldest = worker->objects[worker->object_head];
            worker->objects[worker->object_head] = entry;
            worker->object_head = (worker->object_head + 1) % OBJECT_QUEUE;
            return oldest;
        }
        worker->objects[(worker->object_head + worker->nobjects++) % OBJECT_QUEUE] = entry;
    }
    if (worker->nobjects == 0)
        return 0;
    entry = worker->objects[worker->object_head];
    worker->object_head = (worker->object_head + 1) % OBJECT_QUEUE;
    worker->nobjects--;
    return entry;
}

/* Mark what a word says that waits, though its page's record may be on its way still. False if none
 * does. */
static inline bool mark_waiting(struct worker *worker, bool alone)
{
    if (worker->nwords == 0)
        return false;
    uint64_t oldest = worker->words[worker->word_head];
    worker->word_head = (worker->word_head + 1) % WORD_QUEUE;
    worker->nwords--;
    mark_offset(worker, oldest, alone);
    return true;
}

/* Something that nobody has begun with: roots, spans of roots, others' objects. False if there is
 * nothing. */
static bool begin_something(struct worker *worker, bool alone)
{
    struct ga_mark *mark = worker->mark;
    if (ga_load_relaxed(&mark->next_root) < mark->nroots) {
        uint64_t root = ga_fetch_add_relaxed(&mark->next_root, 1);
        if (root < mark->nroots)
            mark_offset(worker, mark->roots[root], alone);
        return true;
    }
    if (ga_load_relaxed(&mark->next_root_span) < mark->nroot_spans) {
        uint64_t span = ga_fetch_add_relaxed(&mark->next_root_span, 1);
        if (span < mark->nroot_spans)
            read_root_span(worker, &mark->root_spans[span], alone);
        return true;
    }
    struct chunk *chunk = take_full(mark);
    if (!chunk)
        return false;
    put(mark, worker->top);
    worker->top = chunk;
    return true;
}

/* Mark until there is nothing that this thread could do now. */
static inline void work(struct worker *worker, bool alone)
{
    struct ga_mark *mark = worker->mark;
    for (;;) {
        uint64_t entry = next_object(worker);
        if (entry != 0) {
            read_object(worker, entry, alone);
            if (--worker->until_look == 0) {
                worker->until_look = LOOK_EVERY;
                if (is_cancelled(mark))
                    return;
                if (!alone)
                    give_some(worker);
            }
        } else if (!mark_waiting(worker, alone) &&
                   (is_cancelled(mark) || !begin_something(worker, alone))) {
            return;
        }
    }
}

/* Both are compiled with what alone says known. */
static __attribute__((noinline, flatten)) void work_alone(struct worker *worker)
{
    work(worker, true);
}

static __attribute__((noinline, flatten)) void work_with_others(struct worker *worker)
{
    work(worker, false);
}

/* Wait until there is something again (true), or nobody has anything, and so nobody ever will.
 * A thread stops counting as working only when it has nothing and has found the pool empty, and
 * counts as working before it takes anything: so once nobody works, the pool stays empty. */
static bool wait_for_work(struct ga_mark *mark)
{
    ga_fetch_add_relaxed(&mark->nidle, 1);
    ga_fetch_add_seq_cst(&mark->nworking, (uint32_t)-1); /* pairs with the load below */
    bool found = false;
    while (!found && !is_cancelled(mark) && ga_load_seq_cst(&mark->nworking) != 0) {
        found = ga_load_relaxed(&mark->nfull) > 0;
        if (!found)
            thrd_yield();
    }
    if (found)
        ga_fetch_add_seq_cst(&mark->nworking, 1);
    ga_fetch_sub_relaxed(&mark->nidle, 1);
    return found;
}

void ga_mark_work(struct ga_mark *mark, bool alone)
{
    struct worker worker = {.mark = mark, .until_look = LOOK_EVERY};
    worker.top = take_empty(mark);
    worker.other = take_empty(mark);
    if (!worker.top || !worker.other)
        return; /* what was taken is on the list of all */
    ga_fetch_add_seq_cst(&mark->nworking, 1);
    do {
        if (alone)
            work_alone(&worker);
        else
            work_with_others(&worker);
    } while (wait_for_work(mark));
    put(mark, worker.top);
    put(mark, worker.other);
}

/* ---- after it ---- */

bool ga_mark_is_whole(const struct ga_mark *mark)
{
    return !is_cancelled(mark);
}

uint64_t ga_mark_unreached(const struct ga_mark *mark, ga_page_id page, uint32_t word)
{
    return ga_load_relaxed(&mark->pages[page].words[word]);
}

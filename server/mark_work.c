/* How it goes fast: a pointer is followed through two loads that miss the cache, that of what is
 * known of its page and that of the object; so neither is waited for. A word that may be a pointer
 * waits in a short queue while its page's record is fetched; an object that was reached for the
 * first time goes on a stack, and from there through a short queue while its first lines are
 * fetched. Where there is but one object to be read at a time, as in a list, nobody waits in
 * either. */
#include "server/mark_internal.h"

#include <threads.h>

#include "shm/size_class.h"
#include "shm/tiny.h"

#define WORD_QUEUE   16u  /* pages' records on their way */
#define OBJECT_QUEUE 16u  /* objects on their way */
#define GIVE_LEAST   32u  /* on a stack, or none of it is given away */
#define LOOK_EVERY   256u /* objects, at whether somebody is idle */

/* Objects to be read: where one begins, and its size class; of class 0 what is left of a large one
 * from there on. */
#define ENTRY_CLASS_BITS 8
static inline uint64_t entry_of(uint64_t offset, uint32_t size_class)
{
    return offset << ENTRY_CLASS_BITS | size_class;
}

struct worker {
    struct ga_mark *mark;
    struct ga_mark_chunk *top; /* the stack's upper part */
    struct ga_mark_chunk
        *other; /* the part below, empty or full, so that little goes to the pool and back */
    uint32_t until_look;
    uint32_t word_head;
    uint32_t nwords;
    uint32_t object_head;
    uint32_t nobjects;
    uint64_t words[WORD_QUEUE];
    uint64_t objects[OBJECT_QUEUE];
};

/* ---- a thread's stack ---- */

static __attribute__((noinline)) bool make_room_on_top(struct worker *worker)
{
    struct ga_mark *mark = worker->mark;
    struct ga_mark_chunk *below = worker->other;
    if (below->count > 0) {
        struct ga_mark_chunk *fresh = ga_mark_take_empty(mark);
        if (!fresh)
            return false;
        ga_mark_put(mark, below);
        below = fresh;
    }
    worker->other = worker->top;
    worker->top = below;
    return true;
}

static inline void push(struct worker *worker, uint64_t entry)
{
    if (__builtin_expect(worker->top->count == GA_MARK_CHUNK_ROOM, 0) && !make_room_on_top(worker))
        return; /* the marking is over */
    worker->top->entries[worker->top->count++] = entry;
}

/* The entry that was pushed last; 0 if the thread has none. */
static inline uint64_t pop(struct worker *worker)
{
    if (worker->top->count == 0) {
        struct ga_mark_chunk *below = worker->other;
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
    struct ga_mark_chunk *top = worker->top;
    if (ga_load_relaxed(&mark->nidle) == 0 || ga_load_relaxed(&mark->nfull) > 0 ||
        top->count < GIVE_LEAST)
        return;
    struct ga_mark_chunk *gift = ga_mark_take_empty(mark);
    if (!gift)
        return;
    while (gift->count < top->count)
        gift->entries[gift->count++] = top->entries[--top->count];
    ga_mark_put(mark, gift);
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
static void mark_tiny(const struct ga_mark_page *record, uint32_t unit, bool alone)
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
static __attribute__((noinline)) void
mark_special(struct worker *worker, const struct ga_mark_page *record, uint64_t in_span, bool alone)
{
    if (record->size_class != 0)
        mark_tiny(record, (uint32_t)in_span / GA_TINY_UNIT_BYTES, alone);
    else if (reach(record->words, 1, alone) && !record->noscan)
        push(worker, entry_of((uint64_t)record->first << GA_PAGE_SHIFT, 0));
}

/* Mark what lies at offset, inside the pages known. */
static inline void mark_offset(struct worker *worker, uint64_t offset, bool alone)
{
    const struct ga_mark_page *record = &worker->mark->pages[offset >> GA_PAGE_SHIFT];
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

/* Of a large object. It may have been freed since it was entered, and its memory given back: to
 * read there would take memory, and there may be none. The small are not met then: their bits are
 * read first. */
static void read_pages(struct worker *worker, uint64_t offset, uint64_t bytes, bool alone)
{
    for (uint64_t end = offset + bytes, next; offset < end; offset = next) {
        uint64_t entry = ga_view_entry(worker->mark->view, offset >> GA_PAGE_SHIFT);
        next = (offset | (GA_PAGE_SIZE - 1)) + 1;
        if (next > end)
            next = end;
        if (!(entry & GA_ENTRY_SCAVENGED))
            read_words(worker, offset, next - offset, alone);
    }
}

static void read_large(struct worker *worker, uint64_t offset, bool alone)
{
    const struct ga_mark *mark = worker->mark;
    ga_page_id first = mark->pages[offset >> GA_PAGE_SHIFT].first;
    uint64_t end = (first + ga_load_relaxed(&mark->pages[first].own[1])) << GA_PAGE_SHIFT;
    uint64_t bytes = end - offset;
    if (bytes > GA_MARK_OBLET_BYTES) {
        bytes = GA_MARK_OBLET_BYTES;
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
static void read_root_span(struct worker *worker, const struct ga_mark_root_span *span, bool alone)
{
    const struct ga_size_class *class = &ga_size_classes[span->size_class];
    uint64_t start = (uint64_t)span->page << GA_PAGE_SHIFT;
    if (span->size_class == 0) {
        read_pages(worker, start, span->npages * GA_PAGE_SIZE, alone);
        return;
    }
    for (uint32_t word = 0; word < ga_size_class_nwords(class); word++) {
        uint64_t used = ga_mark_used_slots(worker->mark->view, span->page, word, class->nslots);
        while (used) {
            uint64_t index = word * 64 + (uint64_t)__builtin_ctzll(used);
            used &= used - 1;
            read_words(worker, start + index * class->size, class->size, alone);
        }
    }
}

/* Of a word's slots, those whose objects count where they were written. */
static uint64_t written_slots(const struct ga_mark *mark, const struct ga_mark_written *written,
                              uint32_t word, uint32_t nslots)
{
    uint64_t used = ga_mark_used_slots(mark->view, written->first, word, nslots);
    return written->by_marks ? used & ~ga_load_relaxed(&mark->pages[written->first].words[word])
                             : used;
}

/* Read what was written of the slots of a small span. */
static void read_written_slots(struct worker *worker, const struct ga_mark_written *written,
                               bool alone)
{
    const struct ga_size_class *class = &ga_size_classes[written->span_class / 2];
    uint64_t start = (uint64_t)written->first << GA_PAGE_SHIFT;
    uint64_t index = (written->from - start) / class->size;
    uint64_t end = (written->to - start + class->size - 1) / class->size;
    uint64_t used = 0;
    if (end > class->nslots)
        end = class->nslots;
    for (uint64_t first = index; index < end; index++) {
        if (index == first || index % 64 == 0)
            used = written_slots(worker->mark, written, (uint32_t)(index / 64), class->nslots);
        if (!(used >> index % 64 & 1))
            continue;
        uint64_t from = start + index * class->size;
        uint64_t to = from + class->size;
        from = from > written->from ? from : written->from;
        to = to < written->to ? to : written->to;
        read_words(worker, from, to - from, alone);
    }
}

static void read_written(struct worker *worker, const struct ga_mark_written *written, bool alone)
{
    if (written->span_class > 1)
        read_written_slots(worker, written, alone);
    else if (written_slots(worker->mark, written, 0, 1) != 0)
        read_pages(worker, written->from, written->to - written->from, alone);
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
        __builtin_prefetch(object + GA_MARK_LINE_BYTES);
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
    if (ga_load_relaxed(&mark->next_written) < mark->nwritten) {
        uint64_t written = ga_fetch_add_relaxed(&mark->next_written, 1);
        if (written < mark->nwritten)
            read_written(worker, &mark->written[written], alone);
        return true;
    }
    struct ga_mark_chunk *chunk = ga_mark_take_full(mark);
    if (!chunk)
        return false;
    ga_mark_put(mark, worker->top);
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
                if (ga_mark_is_cancelled(mark))
                    return;
                if (!alone)
                    give_some(worker);
            }
        } else if (!mark_waiting(worker, alone) &&
                   (ga_mark_is_cancelled(mark) || !begin_something(worker, alone))) {
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
    while (!found && !ga_mark_is_cancelled(mark) && ga_load_seq_cst(&mark->nworking) != 0) {
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
    worker.top = ga_mark_take_empty(mark);
    worker.other = ga_mark_take_empty(mark);
    if (!worker.top || !worker.other)
        return; /* what was taken is on the list of all */
    ga_fetch_add_seq_cst(&mark->nworking, 1);
    do {
        if (alone)
            work_alone(&worker);
        else
            work_with_others(&worker);
    } while (wait_for_work(mark));
    ga_mark_put(mark, worker.top);
    ga_mark_put(mark, worker.other);
}

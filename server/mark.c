/* What is known of a page is in 32 bytes, so a pointer takes one line for everything: where its
 * span begins, of what class it is, and one bit a slot, which says both that it was in use and that
 * it has not been reached. To mark is to clear that bit. */
#include "server/mark_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "shm/size_class.h"
#include "shm/tiny.h"

/* Memory for the words of spans with many slots, given out from front to back. */
#define BLOCK_WORDS 8190u
struct ga_mark_block {
    struct ga_mark_block *next;
    uint64_t used;
    _Atomic uint64_t words[BLOCK_WORDS];
};

/* A tiny span has also its units that were in use, behind those not reached. */
#define TINY_NWORDS (2 * GA_TINY_WORDS)
static_assert(TINY_NWORDS <= BLOCK_WORDS, "the words of any span fit into a block");

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
    uint64_t bytes = (npages + 1) * sizeof(struct ga_mark_page);
    mark->pages = aligned_alloc(GA_MARK_LINE_BYTES, (bytes + GA_MARK_LINE_BYTES - 1) &
                                                        ~(uint64_t)(GA_MARK_LINE_BYTES - 1));
    if (!mark->pages) {
        free(mark);
        return -ENOMEM;
    }
    for (uint64_t page = 0; page < npages; page++)
        mark->pages[page] = (struct ga_mark_page){0};
    *ret = mark;
    return 0;
}

void ga_mark_free(struct ga_mark *mark)
{
    if (!mark)
        return;
    for (struct ga_mark_chunk *chunk = mark->chunks, *next; chunk; chunk = next) {
        next = chunk->next_made;
        free(chunk);
    }
    for (struct ga_mark_block *block = mark->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(mark->root_spans);
    free(mark->written);
    free(mark->roots);
    free(mark->pages);
    free(mark);
}

static _Atomic uint64_t *take_words(struct ga_mark *mark, uint32_t n)
{
    struct ga_mark_block *block = mark->blocks;
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

/* How many words say what of the span's is not reached. */
static uint32_t nwords_of(const struct ga_mark_page *record)
{
    if (record->size_class == 0)
        return 1;
    return record->is_special ? GA_TINY_WORDS
                              : ga_size_class_nwords(&ga_size_classes[record->size_class]);
}

/* Note what the span has in use. */
static void note_used(struct ga_mark *mark, struct ga_mark_page *record)
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
        ga_store_relaxed(&record->words[word], ga_mark_used_slots(mark->view, page, word, nslots));
}

int ga_mark_add_span(struct ga_mark *mark, ga_page_id page, uint64_t npages,
                     ga_span_class span_class)
{
    struct ga_mark_page *first = &mark->pages[page];
    uint32_t size_class = span_class / 2u;
    bool tiny = span_class == GA_SPAN_CLASS_TINY;
    uint32_t nwords = tiny              ? TINY_NWORDS
                      : size_class == 0 ? 1
                                        : ga_size_class_nwords(&ga_size_classes[size_class]);
    *first = (struct ga_mark_page){.first = page,
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
        mark->pages[page + i] = (struct ga_mark_page){.words = first->words,
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

/* Threads that found none left may have counted on. */
static void count_back(_Atomic uint64_t *next, uint64_t count)
{
    if (ga_load_relaxed(next) > count)
        ga_store_relaxed(next, count);
}

static int put_root_span(struct ga_mark *mark, ga_page_id page, uint64_t npages,
                         uint32_t size_class)
{
    count_back(&mark->next_root_span, mark->nroot_spans);
    void *entries = mark->root_spans;
    int r = make_room(&entries, mark->nroot_spans, &mark->root_spans_room,
                      sizeof(struct ga_mark_root_span));
    mark->root_spans = entries;
    if (r < 0)
        return r;
    mark->root_spans[mark->nroot_spans++] = (struct ga_mark_root_span){
        .page = page, .npages = (uint16_t)npages, .size_class = (uint8_t)size_class};
    return 0;
}

int ga_mark_add_root_span(struct ga_mark *mark, ga_page_id page, uint64_t npages,
                          ga_span_class span_class)
{
    const uint64_t oblet = GA_MARK_OBLET_BYTES / GA_PAGE_SIZE;
    if (span_class & 1)
        return 0;
    if (span_class != 0)
        return put_root_span(mark, page, npages, span_class / 2u);
    int r = 0;
    if (ga_mark_used_slots(mark->view, page, 0, 1) == 0)
        return 0;
    for (uint64_t done = 0; r == 0 && done < npages; done += oblet)
        r = put_root_span(mark, (ga_page_id)(page + done),
                          npages - done < oblet ? npages - done : oblet, 0);
    return r;
}

void ga_mark_leave_out(struct ga_mark *mark, ga_page_id page, uint32_t word, uint64_t slots)
{
    if (!ga_mark_knows(mark, (uint64_t)page << GA_PAGE_SHIFT))
        return;
    const struct ga_mark_page *record = &mark->pages[page];
    if (record->first == page && word < nwords_of(record))
        ga_store_relaxed(&record->words[word], ga_load_relaxed(&record->words[word]) & ~slots);
}

int ga_mark_add_root(struct ga_mark *mark, uint64_t offset)
{
    if (!ga_mark_knows(mark, offset))
        return 0;
    count_back(&mark->next_root, mark->nroots);
    void *entries = mark->roots;
    int r = make_room(&entries, mark->nroots, &mark->roots_room, sizeof(uint64_t));
    mark->roots = entries;
    if (r == 0)
        mark->roots[mark->nroots++] = offset;
    return r;
}

int ga_mark_add_written(struct ga_mark *mark, ga_page_id page, ga_span_class span_class,
                        uint64_t from, uint64_t to, bool by_marks)
{
    int r = 0;
    for (; r == 0 && !(span_class & 1) && from < to; from += GA_MARK_OBLET_BYTES) {
        void *entries = mark->written;
        r = make_room(&entries, mark->nwritten, &mark->written_room, sizeof(*mark->written));
        mark->written = entries;
        if (r == 0)
            mark->written[mark->nwritten++] = (struct ga_mark_written){
                .from = from,
                .to = to - from < GA_MARK_OBLET_BYTES ? to : from + GA_MARK_OBLET_BYTES,
                .first = page,
                .span_class = span_class,
                .by_marks = by_marks};
    }
    return r;
}

void ga_mark_forget_written(struct ga_mark *mark)
{
    mark->nwritten = 0;
    ga_store_relaxed(&mark->next_written, 0);
}

bool ga_mark_knows(const struct ga_mark *mark, uint64_t offset)
{
    return offset < mark->bytes && mark->pages[offset >> GA_PAGE_SHIFT].words;
}

/* ---- and after it ---- */

void ga_mark_cancel(struct ga_mark *mark)
{
    ga_store_relaxed(&mark->is_cancelled, 1);
}

bool ga_mark_is_whole(const struct ga_mark *mark)
{
    return !ga_mark_is_cancelled(mark);
}

uint64_t ga_mark_unreached(const struct ga_mark *mark, ga_page_id page, uint32_t word)
{
    return ga_load_relaxed(&mark->pages[page].words[word]);
}

/* In a word where nothing has begun or ended, the objects are those that pointers were looked up
 * by. */
static void keep_used_tiny(struct ga_mark *mark, const struct ga_mark_page *record)
{
    for (uint32_t word = 0; word < GA_TINY_WORDS; word++)
        if (ga_tiny_used(&mark->view->tiny[record->first].pair[word]) !=
            ga_load_relaxed(&record->words[GA_TINY_WORDS + word]))
            ga_store_relaxed(&record->words[word], 0);
}

void ga_mark_keep_used(struct ga_mark *mark, ga_page_id page)
{
    const struct ga_mark_page *record = &mark->pages[page];
    if (record->is_special && record->size_class != 0) {
        keep_used_tiny(mark, record);
        return;
    }
    uint32_t nslots = record->size_class == 0 ? 1 : ga_size_classes[record->size_class].nslots;
    for (uint32_t word = 0; word < ga_word_count(nslots); word++) {
        uint64_t unreached = ga_load_relaxed(&record->words[word]);
        if (unreached)
            ga_store_relaxed(&record->words[word],
                             unreached & ga_mark_used_slots(mark->view, page, word, nslots));
    }
}

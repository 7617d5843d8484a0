/* What the files of a collection cycle share (collect.h): collect.c has the steps, collect_again.c
 * what clients have written while it was marked, collect_sweep.c the garbage. */
#ifndef GA_SERVER_COLLECT_INTERNAL_H
#define GA_SERVER_COLLECT_INTERNAL_H

#include "server/collect.h"
#include "server/heap_internal.h"
#include "server/mark.h"
#include "shm/tiny.h"

/* A span that is collected, as it was when the cycle began. It is so still if its mspan says that
 * it is collected: who frees it, leases it or ends its lease takes that back. */
struct ga_collect_span {
    ga_page_id page;
    uint32_t npages;
    uint16_t client_plus_1; /* who leases it, or asked for the large object in it */
    ga_span_class span_class;
};
static_assert(GA_CLIENT_COUNT <= UINT16_MAX, "a client fits");

struct ga_collect {
    enum ga_collect_mode mode;
    bool is_on;
    bool is_entered; /* all that it looks for, and the roots that the server knows of */
    bool is_settled;
    bool is_concurrent; /* clients have run and written while it was marked (collect_again.c) */
    struct ga_mark *mark;
    struct ga_collect_span *spans;
    uint64_t nspans;
    uint64_t room;
    uint64_t npages;  /* of the heap when it began */
    uint64_t entered; /* up to this page */
    uint64_t counted; /* spans whose objects are in result.found */
    uint64_t swept;   /* spans */
    uint64_t
        *let_go; /* offsets of what was held or published while it was marked, and is no more */
    size_t nlet_go;
    size_t let_go_room;
    bool forgets;         /* there was no memory to note one */
    bool had_new_orphans; /* when it began */
    struct ga_collect_result result;
    struct ga_collect_count by_owner[GA_CLIENT_COUNT + 1];
};

static inline uint32_t ga_collect_words_of(const struct ga_collect_span *span)
{
    return span->span_class == GA_SPAN_CLASS_TINY
               ? GA_TINY_WORDS
               : ga_word_count(ga_mheap_nslots(span->span_class));
}

static inline uint64_t ga_collect_object_bytes(const struct ga_collect_span *span)
{
    return span->span_class < 2 ? span->npages * GA_PAGE_SIZE
                                : ga_size_classes[span->span_class / 2].size;
}

/* Its objects that are not reached, or not yet. */
uint64_t ga_collect_count_unreached(const struct ga_collect *collect,
                                    const struct ga_collect_span *span);
void ga_collect_add(struct ga_collect_count *count, const struct ga_collect_span *span, uint64_t n);

/* Slots that lie in somebody's batch are free for the program, and will be for everybody. */
void ga_collect_leave_out_batches(struct ga_heap *heap);
/* collect_again.c: what is free by now is no garbage. */
void ga_collect_keep_used(struct ga_heap *heap);
/* Roots that the server knows of. 0 or -ENOMEM. */
int ga_collect_add_known_roots(struct ga_heap *heap);

#endif

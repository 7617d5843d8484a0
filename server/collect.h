/* A collection cycle, as the core has it: which spans are collected, what the roots are, and how
 * garbage is freed. The marking itself is mark.h's. One cycle at a time:
 *
 *   begin       settles which spans are collected, and what is looked for in them; nothing changes
 *   add_roots   what clients found in memory of their own, if they were asked
 *   work        marks; on other threads than the core's, while the core serves others
 *   look_again  what clients have written since begin, if they were not standing still; and work
 * again settle      once more from the roots there are now, and whether the marking counts
 *   sweep_some  frees what was not reached, a slice at a time
 *   end         or abandon, from anywhere: what was not freed stays as it is
 *
 * Clients that stand still may do so from before begin to settle. Or they run, and say which pages
 * they have written to, and stand still from before the last look_again (collect_again.c).
 *
 * Only what was in use when the cycle began can be found to be garbage, in spans that are the same
 * still; what is allocated later is none of its business. To free is what any process does that
 * frees others' objects, so a server killed anywhere in a cycle leaves nothing to be repaired. */
#ifndef GA_SERVER_COLLECT_H
#define GA_SERVER_COLLECT_H

#include "server/heap.h"
#include "shm/size_class.h"

enum ga_collect_mode {
    GA_COLLECT_REPORT,  /* count what nothing reaches, also of who is gone and whose objects stay;
                           free nothing */
    GA_COLLECT_ORPHANS, /* free what clients have left whose objects go when nothing reaches them */
    GA_COLLECT_FULL,    /* and what managed clients have, who stand still */
    GA_COLLECT_MODES
};

struct ga_collect_count {
    uint64_t objects;
    uint64_t bytes; /* of their slots; of large objects, of their pages */
};

/* All of the spans that are collected, or counted. */
struct ga_collect_result {
    struct ga_collect_count found; /* in use when the cycle began */
    struct ga_collect_count garbage;
    struct ga_collect_count freed; /* of the garbage; the rest was freed or held by others
                                      meanwhile, or only counted */
    struct ga_collect_count by_class[GA_SIZE_CLASS_COUNT]; /* garbage, 0 = large */
    uint64_t roots;                                        /* that point into these spans */
    uint64_t roots_outside; /* named, held, in slots or sent by clients, that point elsewhere */
    uint32_t collection;    /* what profiles call it (ga_profile_site), of this server or another */
};

/* Of one client's garbage. */
struct ga_collect_owner {
    uint32_t client_plus_1; /* 0 = of who is gone */
    struct ga_collect_count garbage;
};

/* Where the heap object is mapped here, for reading: before the first cycle. */
void ga_heap_set_memory(struct ga_heap *heap, const void *memory);

/* 0; -EBUSY (a cycle is under way), -EINVAL (mode; or the memory is not known), -ENOMEM. */
int ga_collect_begin(struct ga_heap *heap, enum ga_collect_mode mode);
/* The same in slices, between which the core serves others, and clients note what they write: enter
 * or count about n spans. True in ret_done when it has begun, and work may come. enter_some: 0 or
 * -ENOMEM, and then it is abandoned. */
int ga_collect_prepare(struct ga_heap *heap, enum ga_collect_mode mode);
int ga_collect_enter_some(struct ga_heap *heap, uint64_t n, bool *ret_done);
/* Whether clients have left orphans since the last cycle that would free them began. */
bool ga_collect_has_new_orphans(const struct ga_heap *heap);
bool ga_collect_is_on(const struct ga_heap *heap);
/* Whether it is being marked, or is about to be: pages that were in use when it began may be read.
 */
bool ga_collect_is_marking(const struct ga_heap *heap);
/* Between begin and work. Any values are allowed; those that are no offsets of what is collected
 * are counted and ignored. 0 or -ENOMEM. */
int ga_collect_add_roots(struct ga_heap *heap, const uint64_t *offsets, size_t n);
/* Mark until nothing is left. On so many threads as call it, each returns when all is done; alone:
 * on one. Everything but the functions of this header may go on meanwhile. */
void ga_collect_work(struct ga_heap *heap, bool alone);
/* Have all threads return soon from ga_collect_work; then only abandon is left. Any thread. */
void ga_collect_cancel(struct ga_heap *heap);
/* Clients that stand still for the collection's sake have run since it began. When no thread is at
 * work: which OS pages of the heap clients have written to since begin, or since this was asked for
 * the last time; bit i of written, of nwords words, is page i. Work again then. last: they stand
 * still now; what they have in memory of their own is told by ga_collect_add_roots. 0 or -ENOMEM.
 */
int ga_collect_look_again(struct ga_heap *heap, const uint64_t *written, uint64_t nwords,
                          bool last);
/* When no thread is at work any more: look at what was published or held meanwhile. 0; -ECANCELED
 * (it was cancelled, or there was not enough memory to mark), -ENOMEM: abandon it. */
int ga_collect_settle(struct ga_heap *heap);
/* Count the garbage of about nspans spans, and free it if the mode says so. True when all is done.
 */
bool ga_collect_sweep_some(struct ga_heap *heap, uint32_t nspans);
/* The cycle is over. Its result stays until the next begins. */
void ga_collect_end(struct ga_heap *heap);
void ga_collect_abandon(struct ga_heap *heap);

const struct ga_collect_result *ga_collect_get_result(const struct ga_heap *heap);
/* The owner at or after client_plus_1 index that has garbage; -ENOENT past the last. Whole once the
 * sweep is. */
int ga_collect_next_owner(const struct ga_heap *heap, uint32_t index, struct ga_collect_owner *ret);

#endif

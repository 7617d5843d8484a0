/* What a process knows of a heap it has attached, and what a thread keeps for itself in it. */
#ifndef GA_CLIENT_HEAP_H
#define GA_CLIENT_HEAP_H

#include <pthread.h>
#include <stdbool.h>

#include "client/batch.h"
#include "client/busy.h"
#include "client/change.h"
#include "client/channel.h"
#include "client/free_list.h"
#include "client/known.h"
#include "client/own_fd.h"
#include "client/profile.h"
#include "client/reclaim.h"
#include "goalloc/goalloc.h"
#include "shm/mapping.h"
#include "shm/size_class.h"
#include "shm/slot.h"
#include "shm/tiny.h"

/* The spans leased for one class, by first page; a bit of each says that nothing of it was ever
 * allocated from (spans.h). Most classes of most programs have few, and need no OS page for them.
 */
#define GA_PAGES_FEW 24u
struct ga_page_vector {
    uint32_t *pages; /* few; or a mapping, where there were ever more */
    uint32_t count;
    uint32_t capacity;
    uint32_t few[GA_PAGES_FEW];
};

/* A thread's side of one span class: the slots that it knows to be free, and the list of spans that
 * may have more. */
struct ga_class_cache {
    struct ga_free_list *list;
    ga_page_id page;    /* the current span, which is looked at first when the list is used up; 0 =
                           none */
    ga_page_id partial; /* the first span of the list, linked through the span lines; 0 = none */
    ga_page_id aside;   /* spans taken off the list while empty ones are looked for */
    ga_page_id aside_end; /* the last of those */
    uint32_t nempty;      /* about how many spans of the list are empty */
    uint32_t nempty_low;  /* the lowest that was since the class was last looked at */
    uint32_t nemptied;    /* how many have become empty since then */
    uint32_t npartial;    /* spans of the list */
    uint32_t batch;       /* how many spans to ask for next time */
    uint32_t nused_up;    /* how often the list's first places were used up */
    bool asked;           /* spans were asked for ahead, and have not come yet */
    uint64_t leased_ms;   /* when spans were last asked for */
    struct ga_page_vector spans;
    struct ga_free_slot first[GA_FREE_LIST_FIRST_PLACES]; /* the list's places at first */
};

/* Large spans that an mcache has leased and does not use, the scan spans before the noscan ones, of
 * these the shorter before the longer, and of equal ones the one freed first in front. */
#define GA_LARGE_KEPT_MAX       32u
#define GA_LARGE_KEPT_BYTES_MAX (UINT64_C(16) << 20)
#define GA_LARGE_KEPT_BYTES_OWN (UINT64_C(512) << 10) /* in a heap of the process's own */

struct ga_large_entry {
    ga_page_id page;
    uint32_t npages;
    uint32_t freed; /* how many were before it */
    ga_span_class span_class;
};

struct ga_large_cache {
    uint32_t count;
    uint32_t nfreed;
    uint64_t bytes;
    struct ga_large_entry entry[GA_LARGE_KEPT_MAX];
};

/* Large objects that this thread has put into spans much longer than what was asked for (roomy.h).
 */
#define GA_ROOMY_MAX        32u
#define GA_ROOMY_NPAGES_MAX ((UINT64_C(4) << 20) / GA_PAGE_SIZE) /* to spare in all of them */

struct ga_roomy_object {
    ga_page_id page;
    uint32_t asked_npages; /* as the last malloc or realloc of it here said */
    uint32_t spare_npages; /* what the span had beyond that when it was taken */
};

struct ga_roomy {
    uint32_t count;
    uint32_t spare_npages;
    struct ga_roomy_object object[GA_ROOMY_MAX];
};

/* Tiny objects. */
struct ga_tiny_cache {
    struct ga_tiny_carver carver; /* in the span of the class's page */
    char *base;                   /* where its word's first unit lies */
    uintptr_t pairs;              /* where the pair of A and F of address 0 would lie */
};

/* So many lists of a thread may have all the places that they use up, those of the classes that it
 * uses up first; the others get along with their first ones. Places for all would
 * be as much again, and each thread's address space may be counted (ulimit -v, -d). */
#define GA_LISTS_MOVED_MAX 48u

/* A thread's cache: one mcache, and the private memory that goes with it. Belongs to one thread at
 * a time; a thread that exits leaves it to the process.
 *
 * Most threads use few classes, and many processes are short or children of such: to them each OS
 * page counts that they touch, or that their parent had and they write to. So what every malloc and
 * free writes to comes first, then what most of them only read; and what a class has lies in the
 * order in which they were made (class_cache.h). */
struct ga_thread_cache {
    struct goalloc_heap *heap; /* NULL once the heap is detached */
    struct ga_mcache *shared;
    ga_mcache_id id;
    uint64_t ring_taken;     /* the sequence of the last entry taken from the ring */
    uint32_t reclaim_seen;   /* the heap's reclaim count that was last obeyed */
    uint32_t unneeded_seen;  /* and its count of calls for what is not needed */
    uint64_t called_ms;      /* in a heap of the process's own: when the core was told last that
                                time goes by */
    uint64_t lease_ns;       /* how long the last answer to a request for spans took (mcache.h) */
    uint64_t look_at_npages; /* when the heap has so many, all classes are looked at again */
    struct ga_thread_cache *next; /* on the heap's list of idle caches */
    bool trimmed;                 /* on that list, and holds nothing that it could give back */
    bool is_first;                /* its memory is the heap's (first_cache) */
    struct ga_thread_cache *next_of_heap;
    struct ga_tls *home; /* of the thread that has it for longer than a call; NULL = there is none.
                            Under the heap's lock */
    struct ga_free_list *last; /* that was allocated from */
    uintptr_t wide;            /* fast_path.h, ga_fast_word */
    struct ga_known known;
    uintptr_t lines; /* where the span line of the heap's first page lies */
    struct ga_tiny_cache tiny;
    struct ga_stack_memory *stacks; /* that were sampled, NULL = none yet */
    uint64_t random;                /* the state of the numbers that decide what is sampled */
    uint32_t nclasses;              /* that are made, but for the tiny one */
    uint32_t nmoved;                /* lists that have GA_FREE_LIST_PLACES of places */
    /* Has nothing, and its holder is nobody. Each malloc from it counts it down, and finds that it
     * has counted down already: so it comes to where a class is made. */
    struct ga_free_list unmade;
    /* Of the classes, in the order in which they were made; but the tiny one's is the first, where
     * its fast path finds it without a load. */
    _Alignas(32) struct ga_free_list lists[GA_SPAN_CLASS_COUNT];

    /* Where the list is that malloc takes so many times 8 bytes from, and that of each class: a
     * load, no arithmetic. Of a class that is not made as yet it is unmade. */
    _Alignas(GA_OS_PAGE_SIZE) struct ga_free_list *by_size[GA_FINE_SIZES];
    struct ga_free_list *by_class[GA_SPAN_CLASS_COUNT];
    struct ga_batch batch;
    struct ga_large_cache large;
    struct ga_roomy roomy;
    struct ga_known_page known_few[GA_KNOWN_FEW]; /* known's room, unless it needs more */

    /* In the order in which they were made; but the tiny one is the last. */
    _Alignas(GA_OS_PAGE_SIZE) struct ga_class_cache classes[GA_SPAN_CLASS_COUNT];
    struct ga_free_slot places[GA_LISTS_MOVED_MAX][GA_FREE_LIST_PLACES];
};
static_assert(offsetof(struct ga_thread_cache, lists) + 32 * sizeof(struct ga_free_list) <=
                  GA_OS_PAGE_SIZE,
              "a small program's lists lie in the first OS page");
static_assert(offsetof(struct ga_thread_cache, known_few) % GA_OS_PAGE_SIZE >
                  offsetof(struct ga_thread_cache, by_size) % GA_OS_PAGE_SIZE,
              "and what finds them with the first known pages in one more");

/* How many of the bad frees the server is told of in this second, and which not. Any thread's. */
struct ga_bad_frees {
    _Atomic uint64_t window_ms; /* when the second began */
    _Atomic uint32_t told;
    _Atomic uint64_t left_out;
};

struct goalloc_heap {
    /* Where a thread finds its cache, in an OS page of its own that the kernel wipes in every copy
     * of this process (MADV_WIPEONFORK). Then it is 0, the place that is always empty: a child that
     * no fork handler has seen does not allocate from its parent's mcache, and falls through to the
     * slow path, which sees that it is one. Writer: attach, and the child. */
    _Atomic uint32_t tls_index;
    uint8_t wiped[GA_OS_PAGE_SIZE - sizeof(uint32_t)];

    uint32_t place; /* what tls_index is when it is not wiped */
    uintptr_t base;
    uint64_t reserve_bytes;
    _Atomic uint64_t npages_known; /* committed, when last looked at */
    struct ga_view view;
    struct ga_channel *channel;
    struct ga_mapping objects[GA_OBJECT_COUNT];
    struct ga_own_fd object_fds[GA_OBJECT_COUNT];
    goalloc_report_fn *report;
    void *report_data;
    uint32_t timeout_ms;
    uint32_t policy;
    char *address;
    char *client_name;
    bool managed;               /* its objects are collected (managed.h) */
    struct ga_scan *scan;       /* room for that */
    struct ga_written *written; /* what it writes while that goes on (written.h); NULL = unknown */
    bool may_start;             /* a private server, where nobody serves */
    _Atomic bool mapped;        /* view and objects are there, once and for all */
    _Atomic bool has_own_page;  /* the same of own_page.c's */
    _Atomic uint32_t client;    /* our number, as Attached said; 0 = not attached as yet */
    uint64_t generation;        /* of the server; the library's thread's, once attached */
    Goalloc__V1__Reattach reattach; /* the library's thread's */
    uint32_t generation_of_fork;    /* ga_fork_count when this process attached */
    _Atomic uint32_t reclaim_count;
    _Atomic uint32_t unneeded_count;
    /* Spans are at hand without a wait, being this process's own; so threads look sooner for those
     * that they do not need. */
    bool is_own;
    struct ga_places places; /* for the server's answers */
    struct ga_bad_frees bad_frees;

    /* This process has agreed to use the heap no more, perhaps; until it resumes. Written under
     * pausing; read also by the library's thread. */
    _Atomic bool paused;
    pthread_mutex_t pausing;
    _Atomic uint32_t reattach_count; /* how often the server was told whether it is paused */
    _Atomic uint32_t pause_wanted;   /* GA_PAUSE_...; a futex. Writer: the library's thread */

    struct ga_profiler profiler;

    bool going; /* is being detached, and not there in a child of fork; see registry.c */

    /* A thread asks the server for what the process needs as a whole: an attachment after fork, one
     * more mcache. The others wait for it no longer than a call may take; a fork does not. Under
     * lock. */
    bool asking;
    pthread_cond_t asked;
    /* Over the lists, and over channel and generation_of_fork; never held over a request, since a
     * fork waits for it. */
    pthread_mutex_t lock;
    uint32_t nleaving; /* exiting threads that still use the heap; under the lock of the links */
    bool detaching;    /* the server takes everything back; nobody else may */
    struct ga_thread_cache *idle;
    struct ga_thread_cache *caches;
    /* Memory of the heap's own for one of them, all zero; NULL = there is none, or it is in use.
     * Writer: who asks. */
    struct ga_thread_cache *first_cache;
};

/* Where the page lies. */
static inline uintptr_t ga_heap_address(const struct goalloc_heap *heap, ga_page_id page)
{
    return heap->base + ((uintptr_t)page << GA_PAGE_SHIFT);
}

/* ---- thread_cache.c ---- */

/* This thread's cache for heap, made or taken over now if it has none: slow. In an operation. NULL
 * with errno. */
struct ga_thread_cache *ga_thread_cache_get(struct goalloc_heap *heap);

/* This thread's cache where it is at hand, for the fast paths of malloc and free, in an operation
 * (busy.h): of a detached heap it has nothing to give, so the slow path finds out. */
static inline struct ga_thread_cache *ga_thread_cache_at_hand(const struct goalloc_heap *heap)
{
    return ga_busy_cache_at_hand(ga_load_relaxed(&heap->tls_index));
}

/* This thread's cache, which is not at hand, if it has one: waits until it is. */
struct ga_thread_cache *ga_thread_cache_await(struct goalloc_heap *heap);

/* This thread's cache if it has one, in an operation. */
static inline struct ga_thread_cache *ga_thread_cache_peek(struct goalloc_heap *heap)
{
    struct ga_thread_cache *cache = ga_thread_cache_at_hand(heap);
    return __builtin_expect(cache != NULL, 1) ? cache : ga_thread_cache_await(heap);
}

/* Call when done with what ga_thread_cache_get gave: a thread that has all but exited does not keep
 * it. Elsewhere this does nothing. */
void ga_thread_cache_put(struct ga_thread_cache *cache);

/* Give the cache's private memory back; no thread has it, and nobody finds it any more. */
void ga_thread_cache_free(struct ga_thread_cache *cache);

/* Give back what the caches of exited threads hold, unless somebody else is at it. */
void ga_thread_cache_reclaim_idle(struct goalloc_heap *heap, enum ga_reclaim_what what);

/* The heap is about to be detached: from now on exiting threads leave it alone; waits for those
 * that are at it. */
void ga_thread_cache_begin_detach(struct goalloc_heap *heap);

/* The heap is going: no thread may find it through its cache any more. Frees the caches that no
 * other thread can still see. */
void ga_thread_cache_forget_heap(struct goalloc_heap *heap);

/* Around a fork: the lock that exiting threads and detach take. Taken before any heap's lock. */
void ga_thread_cache_lock_links(void);
void ga_thread_cache_unlock_links(void);
/* In the child: the parent's caches of heap are the parent's. */
void ga_thread_cache_drop_all(struct goalloc_heap *heap);
/* The same in a copy of the process whose lists may be in any state: what they hold is left alone.
 */
void ga_thread_cache_abandon_all(struct goalloc_heap *heap);
/* In such a copy: nobody holds the lock. */
void ga_thread_cache_reset_links(void);

/* ---- registry.c: the heaps of this process ---- */

/* Memory for a heap, all zero, its first OS page wiped in copies of this process; NULL if there is
 * none. */
struct goalloc_heap *ga_registry_new_heap(void);
void ga_registry_free_heap(struct goalloc_heap *heap);
/* Around what a fork must find done or not begun: mapping a heap and entering it here, and the
 * reverse. Short: a fork waits for it. */
void ga_registry_begin_change(void);
void ga_registry_end_change(void);
/* Within a change: give heap a place (tls_index). 0 or -EMFILE. */
int ga_registry_add(struct goalloc_heap *heap);
/* Within a change. */
void ga_registry_remove(struct goalloc_heap *heap);
/* Call on the way to the server: if this process is a copy that no fork handler has seen, it
 * becomes what the child of a fork is. */
void ga_registry_meet_copy(struct goalloc_heap *heap);
/* How often this process has come out of a fork as the child. */
uint32_t ga_fork_count(void);

/* ---- attach.c ---- */

/* In a child of fork: give up heap, which a thread of the parent was detaching. */
void ga_attach_drop_in_child(struct goalloc_heap *heap);
/* Be the one who asks (heap->asking), and no longer. 0; or -ETIMEDOUT when others are at it until
 * deadline, NULL = however long. */
int ga_attach_begin_asking(struct goalloc_heap *heap, const struct timespec *deadline);
void ga_attach_end_asking(struct goalloc_heap *heap);
/* If this process came out of a fork since heap was attached, attach it anew as itself.
 * By who asks. 0 or negative errno. */
int ga_attach_after_fork(struct goalloc_heap *heap);
/* Whether err, of connecting or attaching, says that nobody serves, or no longer. */
bool ga_attach_is_nobody(int err);
/* The same, or that nobody may attach just now. */
bool ga_attach_may_pass(int err);
/* The channel to call on, after the same; where ga_attach_may_pass, until deadline. heap->lock is
 * not held. 0 or negative errno. */
int ga_attach_channel_until(struct goalloc_heap *heap, const struct timespec *deadline,
                            struct ga_channel **ret);
/* The same as long as a call may take. */
int ga_attach_channel(struct goalloc_heap *heap, struct ga_channel **ret);

/* ---- reattach.c ---- */

/* How the channel of a heap is made anew; its data is the heap. */
extern const struct ga_channel_revival ga_reattach_revival;
/* Whether the heap is gone for good. */
bool ga_reattach_heap_has_ended(const struct goalloc_heap *heap);

/* ---- pause.c ---- */

enum ga_pause_wanted {
    GA_PAUSE_NOT_WANTED = 0,
    GA_PAUSE_WANTED = 1,
    GA_PAUSE_NEVER = 2, /* the heap has no server any more */
};
/* What is known of that now; wakes who waits for it. On the library's thread. */
void ga_pause_set_wanted(struct goalloc_heap *heap, enum ga_pause_wanted wanted);
/* In a child of fork: it has agreed to nothing. */
void ga_pause_reset(struct goalloc_heap *heap);

/* ---- grants.c ---- */

/* Begin what a reply grants; data is the heap. On the library's thread. */
void ga_grants_on_reply(const Goalloc__V1__Envelope *reply, bool wanted, void *data);

/* ---- alloc.c ---- */

/* Allocate a slot of a small span class when its list is used up, or NULL with errno; of the tiny
 * class, when an object of this shape, which the other classes do not look at, does not fit into
 * the run. Ends the operation. */
void *ga_alloc_slowly(struct goalloc_heap *heap, ga_span_class span_class,
                      struct ga_tiny_shape shape);
/* What the fast path finds used up: fill the class's list. 0, or a negative errno when there
 * is no memory also after everybody has been asked for what he does not use. */
int ga_alloc_refill(struct ga_thread_cache *cache, ga_span_class span_class);
/* Whether to try again, when err says that there is no memory or quota left: what nobody uses was
 * given back meanwhile, by us or by the others. attempt: how often that was done before, from 0. */
bool ga_alloc_relieve(struct ga_thread_cache *cache, int err, unsigned attempt);

/* ---- large_alloc.c ---- */

/* Allocate a large object, or one of any size with an alignment of more than a page; whether its
 * memory is known to be zero. alignment: a power of two, or 0. Ends the operation. NULL with errno.
 */
void *ga_alloc_large(struct goalloc_heap *heap, size_t size, size_t alignment, bool noscan,
                     bool *ret_zeroed);

/* Get a span for a large object and take it. 0 and its page, or a negative errno. */
int ga_alloc_large_span(struct ga_thread_cache *cache, size_t size, size_t alignment, bool noscan,
                        ga_page_id *ret_page, bool *ret_zeroed);
/* Allocate a large object for one that grows to size bytes, from the spans that this thread keeps:
 * NULL if none of them holds it, and errno is as it was. */
void *ga_alloc_large_longest(struct goalloc_heap *heap, size_t size, bool noscan);

/* ---- holds.c ---- */

/* p, whose slot is slot, is to be freed in a span where something is held. 0: it is held, and will
 * be freed with its last release; -ENOENT: it is not; -EINVAL: it is held, and was freed before;
 * another error: it is held, and the server cannot be told. */
int ga_holds_put_off(struct goalloc_heap *heap, const void *p, const struct ga_slot *slot);

/* ---- lookup.c: from a pointer to its slot ---- */

enum ga_lookup {
    GA_LOOKUP_SLOT = 0, /* the start of a slot, or where a tiny object may start; whether it is in
                           use is not said */
    GA_LOOKUP_OUTSIDE,  /* not in the heap's address range */
    GA_LOOKUP_UNCOMMITTED, /* past the end of the committed heap */
    GA_LOOKUP_NO_SPAN,     /* no object was ever here, or its span is freed */
    GA_LOOKUP_INTERIOR,    /* inside a slot, not at its start */
};

enum ga_lookup ga_lookup_slot(struct goalloc_heap *heap, const void *p, struct ga_slot *ret);
/* Bytes of the slot; of a tiny object, up to what else is in use in its block. */
size_t ga_lookup_bytes(const struct goalloc_heap *heap, const struct ga_slot *slot);
/* Whether the slot is in use, seen from this thread. */
bool ga_lookup_in_use(struct goalloc_heap *heap, const struct ga_slot *slot);
/* Whether an object in use begins at p. */
bool ga_lookup_is_object(struct goalloc_heap *heap, const void *p);
/* Report that function was called with p, which is no object in use. */
void ga_report_bad(struct goalloc_heap *heap, const char *function, const void *p,
                   enum ga_lookup why, const struct ga_slot *slot);
/* Hand a message to the heap's report callback, or to stderr. */
void ga_report(struct goalloc_heap *heap, enum goalloc_report_kind kind, const char *message);

#endif

/* The heap core: what goallocd knows and decides, with no input or output of its own. Events come
 * in as calls; what it needs done comes out through a table of effects, so it runs in a test
 * without shared memory, sockets or a clock. One thread.
 *
 * Functions return 0 or a negative errno. The core believes nothing that a client says or can
 * write: it checks every argument against its own books. */
#ifndef GA_SERVER_HEAP_H
#define GA_SERVER_HEAP_H

#include <stdbool.h>

#include "server/quota.h"
#include "shm/counters.h"
#include "shm/layout.h"
#include "shm/mapping.h"

struct ga_heap;

/* A client's number: its index in the client table. */
typedef uint32_t ga_client_id;

enum ga_happening {
    GA_HAPPENED_GROW,
    GA_HAPPENED_SCAVENGE,
};

/* What the core asks of the world. */
struct ga_heap_effects {
    /* Make the object bytes long: longer, the new part being a hole, or shorter by what was never
     * committed. 0 or negative errno. */
    int (*resize)(void *data, enum ga_object object, uint64_t bytes);
    /* Back [offset, offset + bytes), inside the object, with memory. 0; -ENOMEM when there is none,
     * and then nothing is left half backed that matters: a later commit may cover it again. */
    int (*commit)(void *data, enum ga_object object, uint64_t offset, uint64_t bytes);
    /* Take the memory from behind [offset, offset + bytes) again; nobody uses it. */
    void (*decommit)(void *data, enum ga_object object, uint64_t offset, uint64_t bytes);
    /* Take the memory from behind [offset, offset + bytes) of the heap object, which is committed
     * and nobody's. 0; or negative errno, and then all of it may still be there. */
    int (*punch)(void *data, uint64_t offset, uint64_t bytes);
    /* Back [offset, offset + bytes) of the heap object again, which was punched. 0; or -ENOMEM, and
     * then some of it may have memory. */
    int (*recommit)(void *data, uint64_t offset, uint64_t bytes);
    /* Wait until the release that is under way is done: ga_heap_end_release is called before this
     * returns. */
    void (*wait_for_release)(void *data);
    /* Ask every client to give back what it does not use. */
    void (*reclaim)(void *data);
    /* The heap has grown by bytes, or bytes of it have been given back to the system within a
     * request: for who watches. NULL = nobody wants to know. */
    void (*happened)(void *data, enum ga_happening what, uint64_t bytes);
    /* Milliseconds since some start, never going back; and wall clock milliseconds since 1970. */
    uint64_t (*now_ms)(void *data);
    uint64_t (*wall_ms)(void *data);
    void *data;
};

struct ga_heap_config {
    const char *name;
    uint64_t base;
    uint64_t reserve_bytes; /* multiple of the arena size */
    uint64_t limit_bytes; /* multiple of the page size, at most reserve_bytes; 0 = reserve_bytes */
    uint64_t soft_limit_bytes; /* of memory in all three objects; 0 = none */
    unsigned huge_npages;      /* of a huge page that the heap's memory comes in; 0 = it does not */
    uint64_t heap_id;
    uint32_t server_pid;
    uint64_t server_start_time;
    const char *server_version;
    struct ga_amounts user_quota;   /* of each user */
    struct ga_amounts client_quota; /* of each client; connections are not looked at */
    uint64_t profile_rate_bytes;    /* of clients that attach, if nobody says otherwise */
    bool is_own; /* of one process, which is the server too: tables for no more than that */
    uint64_t piece_bytes; /* of meta and bits, that are committed at once; 0 = an OS page */
};

/* How many bytes of meta and bits a heap of this reserve maps that is not a process's own. */
uint64_t ga_heap_meta_bytes(uint64_t reserve_bytes);
uint64_t ga_heap_bits_bytes(uint64_t reserve_bytes);

/* Make a heap in meta and bits, mapped whole but still empty objects: commits what it needs of
 * them first. Returns 0, -EINVAL (config), -ENOMEM. */
int ga_heap_new(const struct ga_heap_config *config, void *meta, void *bits,
                const struct ga_heap_effects *effects, struct ga_heap **ret);
/* Take over the heap that another server has left in meta and bits, mapped whole: the books are
 * made again from what is there. config: as for ga_heap_new, but for heap_id, which is the heap's
 * own; limit_bytes may be another than before. Every client in it counts as attached; those whose
 * process has ended are to be reported with ga_heap_client_gone.
 * Free memory is given back until the limit is kept.
 * Returns 0; or, having changed nothing in meta and bits, -EINVAL (config), -EBADMSG where what is
 * there does not add up, or more is in use than the limit, -ENOMEM; -EBUSY where memory could not
 * be given back: the heap is then as a server leaves it that ends. Then ret_why is a clause that
 * says what is wrong. */
#define GA_ADOPT_WHY_BYTES 160
int ga_heap_adopt(const struct ga_heap_config *config, void *meta, void *bits,
                  const struct ga_heap_effects *effects, char ret_why[static GA_ADOPT_WHY_BYTES],
                  struct ga_heap **ret);
/* Forget the books; shared memory is left as it is. NULL is allowed. */
void ga_heap_free(struct ga_heap *heap);
/* Tell whoever maps meta that the heap has ended. */
void ga_heap_end(struct ga_heap *heap);

/* What may become of a heap that is in use: as in struct ga_heap_config. */
struct ga_heap_limits {
    uint64_t limit_bytes;
    uint64_t soft_limit_bytes;
    struct ga_amounts user_quota;
    struct ga_amounts client_quota;
};
/* From now on these hold, for what is asked for from now on: nobody loses what he has. 0; -EINVAL,
 * where the configuration would be refused; -EBUSY, where more is in use than limit_bytes, so that
 * the next server would not take the heap over: and then all is as before. */
int ga_heap_set_limits(struct ga_heap *heap, const struct ga_heap_limits *limits);

/* A process attaches. Returns 0 and its number; -EAGAIN when the table is full; -EDQUOT (its user
 * has as many connections as it may have). */
int ga_heap_attach(struct ga_heap *heap, uint32_t pid, uint32_t uid, uint32_t gid,
                   uint64_t start_time, const char *client_name, ga_client_id *ret_client);
/* What becomes of the client's objects when it goes, one of layout.h's policies: keep, unless this
 * is called before it has an mcache. -EINVAL, -EPERM. */
int ga_heap_set_policy(struct ga_heap *heap, ga_client_id client, uint32_t policy);
/* The client's objects are collected, and it stands still for that; before it has an mcache.
 * -EPERM. */
int ga_heap_set_managed(struct ga_heap *heap, ga_client_id client);
/* Whether any managed client is attached. */
bool ga_heap_has_managed(const struct ga_heap *heap);
/* How densely a client samples what it allocates from now on (struct ga_profile_entry): the one
 * with this number (from 1), or those of process pid, or, where both are 0, all, also those to
 * come. 0; -ENOENT: there is none. */
int ga_heap_set_profile_rate(struct ga_heap *heap, uint32_t client_plus_1, uint32_t pid,
                             uint64_t rate_bytes);
/* Have memory for the client's profile, or for as much again. 0; -EPERM; -ENOSPC: it has all there
 * may be; -ENOMEM. */
int ga_heap_profile_room(struct ga_heap *heap, ga_client_id client);
/* The client's gc word (shm/gc_word.h), which it writes too. */
_Atomic uint64_t *ga_heap_gc_word(struct ga_heap *heap, ga_client_id client);
/* Tell clients that stand still that the server is at the collection (meta's gc_beat). */
void ga_heap_beat(struct ga_heap *heap);
/* Bytes of spans that managed clients were ever granted: how much they may have allocated. */
uint64_t ga_heap_managed_bytes(const struct ga_heap *heap);
/* The client's connection has ended, and it has a new one: what was granted to it and has not
 * reached it, by the words that it would have written, is nobody's again. 0 or -EPERM. */
int ga_heap_client_back(struct ga_heap *heap, ga_client_id client);
/* Its notes may have been lost: take over what it has returned, by those words. */
void ga_heap_collect_returned(struct ga_heap *heap, ga_client_id client);
/* The process is certainly gone, or has detached: from now on the client holds nothing and is
 * granted nothing. What it has of spans and mcaches stays leased until ga_heap_recover has been
 * called often enough. */
void ga_heap_client_leave(struct ga_heap *heap, ga_client_id client);
/* Recover about nspans spans of a client that is leaving, by the slot protocol, or what takes as
 * long; their objects stay or are freed, as its policy says. True when nothing is left: only then
 * is its number used again. Between two calls anything else may be called; who would be refused
 * something meanwhile waits for as much of the rest as it needs. */
bool ga_heap_recover(struct ga_heap *heap, ga_client_id client, uint32_t nspans);
/* Both, with all of it at once. */
void ga_heap_client_gone(struct ga_heap *heap, ga_client_id client);

/* The thread that had client's mcache is certainly gone, and the client goes on: recover it. */
void ga_heap_mcache_gone(struct ga_heap *heap, ga_client_id client, ga_mcache_id mcache);

/* An mcache for one more thread of the client. 0, -EPERM, -EAGAIN when there are no more, -EDQUOT,
 * -ENOMEM. */
int ga_heap_new_mcache(struct ga_heap *heap, ga_client_id client, ga_mcache_id *ret_mcache);

#define GA_LEASE_MAX 64u /* spans granted at once, at most */

/* Lease up to count (1..GA_LEASE_MAX) spans of span_class (2..135) to mcache, which must be
 * client's: those with free slots that nobody leases first, the fullest first; then new ones.
 * Returns 0 with at least one, -EINVAL, -EPERM, -EDQUOT, -ENOMEM. */
int ga_heap_lease(struct ga_heap *heap, ga_client_id client, ga_mcache_id mcache,
                  ga_span_class span_class, uint32_t count,
                  ga_page_id ret_pages[static GA_LEASE_MAX], uint32_t *ret_count);

/* As ga_heap_lease, but the spans go into the mcache's ring, as many as it has room for and memory
 * allows: the client will find them there. Returns 0, -EINVAL, -EPERM, -EDQUOT, -ENOMEM; -EBADMSG
 * where the mcache says that it took more than there was. */
int ga_heap_lease_ahead(struct ga_heap *heap, ga_client_id client, ga_mcache_id mcache,
                        ga_span_class span_class, uint32_t count);

/* How many spans are leased, to all mcaches. */
uint64_t ga_heap_nleased(const struct ga_heap *heap);

/* mcache says it has returned the span at page. Believed only if the span's holder word says so
 * too. Returns 0, -EINVAL (no such lease), -EPERM, -EAGAIN (holder does not say returned). */
int ga_heap_return(struct ga_heap *heap, ga_client_id client, ga_mcache_id mcache, ga_page_id page);

/* Grant a span of its own for a large object, for the client to take (ga_slot_take_large); it falls
 * back if the client goes without having taken it. size_bytes > 32768, or any if alignment is more
 * than a page. alignment: of the object's address, a power of two up to GA_ALIGNMENT_MAX, or 0.
 * Returns 0, whether the memory is known to be zero, -EINVAL, -EPERM, -EDQUOT, -ENOMEM. */
int ga_heap_large_alloc(struct ga_heap *heap, ga_client_id client, ga_mcache_id mcache,
                        uint64_t size_bytes, uint64_t alignment, bool noscan, ga_page_id *ret_page,
                        bool *ret_zeroed);

/* Whether such a request would have the heap grow: no free run that it knows of is long enough. Of
 * what is no large object, or larger than the limit: false. */
bool ga_heap_would_grow(const struct ga_heap *heap, uint64_t size_bytes, uint64_t alignment);

/* Make the large object at page hold size_bytes > 32768 where it lies, with pages that follow it or
 * without its last ones. 0, -EINVAL (no such object), -EPERM, -EBUSY (it would become shorter, and
 * somebody holds it), -EDQUOT, -ENOMEM (the pages that follow are not free,
 * and are not to be had by growth, or a longer object had better lie elsewhere). */
int ga_heap_large_resize(struct ga_heap *heap, ga_client_id client, ga_page_id page,
                         uint64_t size_bytes);

/* The client did what no client does: it is granted nothing more, and keeps what it has until it is
 * gone. */
void ga_heap_quarantine(struct ga_heap *heap, ga_client_id client);

/* An mcache whose words say what cannot be: somebody has spoilt them, and since any client can
 * write any mcache's words, nobody knows who. Each mcache is told of once in its client's life. */
struct ga_suspicion {
    ga_client_id client;
    ga_mcache_id mcache;
    const char *what; /* as in "mcache 7 ..."; static */
};
/* Look at the words of the mcaches after *cursor, in a circle, until one of them is suspect, or
 * *left have been looked at; both are moved on. Returns whether one is. */
bool ga_heap_suspect_next(struct ga_heap *heap, uint32_t *cursor, uint32_t *left,
                          struct ga_suspicion *ret);
/* The first of client's own that is suspect; false if none of the first most is. */
bool ga_heap_suspect_client(struct ga_heap *heap, ga_client_id client, uint32_t most,
                            struct ga_suspicion *ret);

/* What the last -EDQUOT was about. */
struct ga_quota_refusal ga_heap_last_refusal(const struct ga_heap *heap);

/* Look for slots that were freed in spans which nobody leases: in all spans, however long it takes;
 * or in the one at page, and its neighbours. Requests for spans look for what they need by
 * themselves, within bounds (sweep.c). */
void ga_heap_sweep_pending(struct ga_heap *heap);
void ga_heap_sweep_page(struct ga_heap *heap, uint64_t page);
/* The same in slices: begin a pass, or begin it anew, and call the other until it says that nothing
 * is left of it: false. In between anything else may be called, and helps. begin returns a goal,
 * and has_swept says whether each page has been looked at since. */
uint64_t ga_heap_begin_sweep(struct ga_heap *heap);
bool ga_heap_sweep_some(struct ga_heap *heap);
bool ga_heap_has_swept(const struct ga_heap *heap, uint64_t goal);

/* Giving memory back in the background. A release is of up to GA_RELEASE_RUNS runs of free pages,
 * GA_RELEASE_NPAGES in all or a few more, and there is one at a time. begin takes them out, and the
 * caller punches them (PUNCH_HOLE), without waiting for it; of each it then tells with end whether
 * that was done. Meanwhile nobody is granted them. It is of what is more than the
 * goals, and not from parts of the heap that are nearly full. Returns the number of
 * runs; 0: there is nothing to do, or a release is under way. */
#define GA_RELEASE_RUNS   64u
#define GA_RELEASE_NPAGES 512u
struct ga_page_run {
    uint64_t page;
    uint64_t npages;
};
uint32_t ga_heap_begin_release(struct ga_heap *heap,
                               struct ga_page_run ret_runs[static GA_RELEASE_RUNS]);
void ga_heap_end_release(struct ga_heap *heap, uint32_t run, bool released);
/* Give back at once, goals or not: up to bytes of what is free, rounded up to pages. Returns how
 * many bytes that were; 0 when nothing is left. */
uint64_t ga_heap_release_now(struct ga_heap *heap, uint64_t bytes);
/* How much more memory the heap retains than the goals allow, without what is being released. */
uint64_t ga_heap_surplus_bytes(const struct ga_heap *heap);
/* A second or so is over: what was freed before it, and not used since, may be given back. */
void ga_heap_next_period(struct ga_heap *heap);

/* A request of client that changes roots or holds is about to be carried out: id, which it had when
 * it was first sent, and place, 0..GA_OUTCOME_COUNT - 1, in which the client has no other under
 * way. Returns 0: the next publish, replace, unpublish, hold, release or put_off is noted as its
 * answer, unless it fails, up to ga_heap_end_request. GA_REQUEST_DONE: it was carried out, perhaps
 * by another server; *ret_old_offset is what a replace found. -EINVAL, -EPERM. */
#define GA_REQUEST_DONE 1
int ga_heap_begin_request(struct ga_heap *heap, ga_client_id client, uint32_t place, uint64_t id,
                          uint64_t *ret_old_offset);
void ga_heap_end_request(struct ga_heap *heap);

/* Roots. offset is the published object's, checked to be inside committed memory.
 * name is 1..GA_ROOT_NAME_MAX bytes. -EINVAL, -ENAMETOOLONG, -EEXIST, -ENOENT, -ENOSPC, -EPERM,
 * -EDQUOT, -ENOMEM. */
int ga_heap_publish(struct ga_heap *heap, ga_client_id client, const char *name, uint64_t offset);
/* As publish, whether the name is taken or not; *ret_old_offset is what it stood for before, 0 for
 * nothing. */
int ga_heap_replace(struct ga_heap *heap, ga_client_id client, const char *name, uint64_t offset,
                    uint64_t *ret_old_offset);
int ga_heap_lookup(struct ga_heap *heap, const char *name, uint64_t *ret_offset,
                   uint32_t *ret_client_plus_1);
int ga_heap_unpublish(struct ga_heap *heap, const char *name);

/* Holds, of the object that begins at offset. hold: once more for client. 0, -EINVAL (no object can
 * begin there), -ENOTSUP (it is tiny), -ENOENT (it is freed already, and kept only for others),
 * -ENOSPC, -EOVERFLOW, -EPERM, -EDQUOT, -ENOMEM. release: once less; the last one of an object that
 * was freed meanwhile frees it. 0, -ENOENT (client does not hold it). */
int ga_heap_hold(struct ga_heap *heap, ga_client_id client, uint64_t offset);
int ga_heap_release(struct ga_heap *heap, ga_client_id client, uint64_t offset);
/* Free the object with its last release. 0, -ENOENT (nobody holds it: who asked frees it), -EINVAL
 * (it was freed before). */
int ga_heap_put_off(struct ga_heap *heap, uint64_t offset);

/* ---- what the heap shows of itself ---- */

struct ga_class_stats {
    uint64_t mallocs;
    uint64_t frees;
    uint64_t spans;
    uint64_t alloc_bytes;
};

struct ga_heap_stats {
    uint64_t alloc_bytes;
    uint64_t total_alloc_bytes;
    uint64_t sys_bytes;
    uint64_t mallocs;
    uint64_t frees;
    uint64_t heap_objects;
    uint64_t heap_sys_bytes;
    uint64_t heap_idle_bytes;
    uint64_t heap_inuse_bytes;
    uint64_t heap_released_bytes; /* of heap_idle_bytes, without memory */
    uint64_t meta_bytes;
    uint64_t bits_bytes;
    uint64_t spans_inuse;
    uint64_t spans_leased;
    uint64_t leased_bytes;
    uint64_t mspan_inuse_bytes;  /* entries, lines and wide lines of the spans in use */
    uint64_t mspan_sys_bytes;    /* committed of page table, span lines and wide plane */
    uint64_t mcache_inuse_bytes; /* mcaches that clients have, entries and rings included */
    uint64_t mcache_sys_bytes;   /* committed for those */
    uint64_t other_sys_bytes;    /* committed for all the rest of meta and bits */
    struct ga_class_stats by_class[GA_SIZE_CLASS_COUNT]; /* 0 = large */
};
/* What is freed and not yet swept counts as in use. */
void ga_heap_get_stats(struct ga_heap *heap, struct ga_heap_stats *ret);

/* Whether clients may well lease spans that are empty and that they do not need: what is allocated
 * takes much less than the pages in use. Not if nothing has changed since this was true for some
 * time: then what can be given back has been. To be called once in a while. */
bool ga_heap_has_unneeded(struct ga_heap *heap);

struct ga_heap_status {
    uint64_t base;
    uint64_t reserve_bytes;
    uint64_t limit_bytes;
    uint64_t committed_bytes; /* the heap's extent */
    uint64_t inuse_bytes;
    uint64_t released_bytes; /* of the extent, without memory: the limit is on the rest */
    uint64_t uptime_ms;
    uint32_t clients;
    uint32_t mcaches;
    uint32_t roots;
    uint32_t arenas_ready;
    uint32_t arenas_prepared;
    uint32_t arenas_reserved;
};
void ga_heap_get_status(struct ga_heap *heap, struct ga_heap_status *ret);

/* The arenas at index and on, as ga_arenas_next tells; -ENOENT past the last. */
struct ga_arena_info;
int ga_heap_next_arenas(struct ga_heap *heap, uint64_t index, struct ga_arena_info *ret);

struct ga_span_info {
    ga_page_id page;
    uint64_t npages;
    ga_span_class span_class;
    ga_mcache_id owner;
    ga_client_id client_plus_1; /* 0 = nobody's */
    uint32_t slots;
    uint32_t used;
};
/* The first span in use at or after page; -ENOENT when there is none. */
int ga_heap_next_span(struct ga_heap *heap, uint64_t page, struct ga_span_info *ret);
/* The same, but none that begins at end or after it is looked for: -EAGAIN where there may be one.
 */
int ga_heap_next_span_before(struct ga_heap *heap, uint64_t page, uint64_t end,
                             struct ga_span_info *ret);

#define GA_NO_AGE UINT32_MAX
/* Of at most count pages from page on: how many seconds ago the span that begins there was made, or
 * taken over; GA_NO_AGE where none begins. Returns of how many pages there are. */
uint64_t ga_heap_get_ages(const struct ga_heap *heap, uint64_t page, uint64_t count,
                          uint32_t *ret_ages);

struct ga_client_info {
    ga_client_id client;
    uint32_t pid;
    uint32_t uid;
    uint64_t start_time; /* of its process, in clock ticks after boot */
    uint32_t mcaches;
    uint64_t spans;
    uint64_t leased_bytes;
    uint64_t mallocs; /* since it attached */
    uint64_t frees;
    uint64_t attached_ms; /* how long ago */
    bool quarantined;
    uint32_t policy;
    bool managed;
    uint32_t slots; /* its handles that are in use */
    char name[32];
};
/* The random number that tells this heap from others of its name; and how many servers it has had.
 */
uint64_t ga_heap_id(const struct ga_heap *heap);
uint64_t ga_heap_generation(const struct ga_heap *heap);

/* Bytes of object that this server, or one before it, has committed, and nobody has given back, or
 * is giving back: there is so much memory behind it at least, unless somebody has cut it. And where
 * the heap object's committed part ends. */
uint64_t ga_heap_extent_bytes(const struct ga_heap *heap);
uint64_t ga_heap_committed_bytes(const struct ga_heap *heap, enum ga_object object);

/* The first attached client at or after number client; -ENOENT when there is none. */
int ga_heap_next_client(struct ga_heap *heap, uint32_t client, struct ga_client_info *ret);

struct ga_user_info {
    uint32_t index;
    uint32_t uid;
    struct ga_amounts used;
    struct ga_amounts allowed; /* 0 = unlimited */
};
/* The first user at or after index who has anything; -ENOENT when there is none. */
int ga_heap_next_user(struct ga_heap *heap, uint32_t index, struct ga_user_info *ret);

struct ga_client_stats {
    struct ga_client_info info;
    struct ga_counters counters; /* since it attached */
    uint64_t spans_by_class[GA_SIZE_CLASS_COUNT];
};
/* 0; -ENOENT where no such client is attached. */
int ga_heap_get_client_stats(struct ga_heap *heap, ga_client_id client,
                             struct ga_client_stats *ret);

struct ga_root_info {
    uint32_t index;
    char name[GA_ROOT_NAME_MAX + 1];
    uint64_t offset;
    ga_client_id client_plus_1;
};
/* The first root at or after index; -ENOENT when there is none. */
int ga_heap_next_root(struct ga_heap *heap, uint32_t index, struct ga_root_info *ret);

#endif

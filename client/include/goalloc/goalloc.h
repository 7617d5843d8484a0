/* goalloc.h - malloc for a family of processes.
 *
 * A process attaches to a heap that a server, goallocd, keeps in shared memory, and then allocates,
 * shares and frees objects in it with ordinary pointers, which mean the same in every process that
 * has attached. Functions that return int return 0 or a negative errno; allocations return NULL
 * with errno set. Every function may be called by several threads at once, except goalloc_detach.
 */
#ifndef GOALLOC_GOALLOC_H
#define GOALLOC_GOALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#if defined(__GNUC__)
/* A function of a struct's name is no mistake in C. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#endif
#endif

#if defined(__GNUC__)
#define GOALLOC_API __attribute__((visibility("default")))
#else
#define GOALLOC_API
#endif

/* The longest name of a root, in bytes without the terminating zero. */
#define GOALLOC_NAME_MAX 255

/* This process's attachment to one heap. */
struct goalloc_heap;

/* What a report is about. */
enum goalloc_report_kind {
    GOALLOC_REPORT_BAD_FREE = 1, /* a free, realloc or usable_size of what is no object in use */
    GOALLOC_REPORT_LOST = 2,     /* there is no server, for long or for good */
    GOALLOC_REPORT_BAD_SLOT = 3, /* a goalloc_malloc_into what is no empty slot of this process */
};

/* Called for each misuse, on the thread that did it; of the end of the connection
 * (GOALLOC_REPORT_LOST) it may also be called on the library's thread. message is one line without
 * a newline, valid during the call. Must not call goalloc. */
typedef void goalloc_report_fn(enum goalloc_report_kind kind, const char *message, void *data);

/* What becomes of this process's objects when it detaches or ends, however it ends. */
enum goalloc_policy {
    GOALLOC_POLICY_KEEP = 0, /* they stay until somebody frees them */
    /* They are freed, whoever still points to them; a pointer to one dangles from then on, as after
     * goalloc_free. An object that another process holds stays until it is released; a root of any
     * of them is taken back. A child of fork has objects of its own under the same policy. Objects
     * of this process share no pages with those of others, which costs memory if they are few. */
    GOALLOC_POLICY_PRIVATE = 1,
    /* A collection frees those that nothing reaches (goalloc_gc): that no root, no hold, no slot of
     * a living process, and no object that is reached or that another living process allocated
     * points to, by a word that is an address in it. One begins by itself soon after the process is
     * gone; what is reached then is looked at again in the next. Otherwise as private: objects of
     * its own pages, a child of fork under the same policy. */
    GOALLOC_POLICY_UNREACHABLE = 2,
};

/* Flags of goalloc_options.
 *
 * GOALLOC_MANAGED: this process's objects are collected. An object that nothing reaches any more is
 * freed by a collection (goallocctl gc; when the heap has grown; before an allocation fails), so
 * none need be freed, though goalloc_free stays allowed. Reached is what is published or held, what
 * a slot names, what this or another managed process has a pointer to, anywhere in it, in
 * registers, stacks, static data or any other private memory that it can write, and what any of
 * that points to, and so on; and what the objects of processes that are not managed point to.
 * Any word that looks like a pointer into an object counts. Not seen are pointers in memory that
 * is shared with other processes, in files, in the kernel (epoll, timers, pipes), or that are
 * packed, or not aligned to 8 bytes; goalloc_hold keeps such objects. The same goes for a process
 * that is not managed and has a pointer only in private memory, and for a child of fork before its
 * first call of goalloc.
 *
 * For a collection all threads of the process stand still, by a signal that the library takes: the
 * highest real-time signal below SIGRTMAX that is free, or stop_signal, or $GOALLOC_STOP_SIGNAL.
 * System calls that signals interrupt although their handlers say SA_RESTART (see signal(7)) return
 * EINTR. A thread must not block the signal for long, nor may the program handle it: then nothing
 * can be collected, and the server says so. Not with vfork, but to exec at once. In a process that
 * is managed a thread's first allocation calls the process's malloc. A child of fork is managed,
 * too. When it ends its objects stay as long as something reaches them, also under policy keep. */
#define GOALLOC_MANAGED (1u << 0)

/* Options of goalloc_attach; zero means the default everywhere. size must be sizeof(struct
 * goalloc_options), so that later versions can add fields at the end. */
struct goalloc_options {
    size_t size;
    uint32_t timeout_ms;     /* how long a call waits for the server, also for the next one when it
                                has died; default 5000 */
    uint32_t policy;         /* enum goalloc_policy; default: keep */
    const char *client_name; /* shown by goallocctl clients; default: the program's short name */
    goalloc_report_fn *report; /* default: one line on stderr */
    void *report_data;         /* handed to report */
    uint32_t flags;            /* GOALLOC_MANAGED */
    uint32_t stop_signal; /* with GOALLOC_MANAGED: the signal that stops threads; 0 = see there */
};

/* Attach this process to the heap served at address, the path of a Unix socket.
 * address: NULL means $GOALLOC_SOCKET, else the user's own, $XDG_RUNTIME_DIR/goalloc.sock or
 * /tmp/goalloc-UID/goalloc.sock; but where that is not there and the process may connect to it, the
 * system's, /run/goalloc/goalloc.sock. Where it is the user's own and nobody listens there, a
 * private server is started for the user, which ends a second after its last client and removes the
 * heap (never by a program that runs with more rights than its caller). It is $GOALLOC_SERVER, else
 * the installed goallocd. options: may be NULL. Returns 0 and sets *ret_heap; or -ENOENT or
 * -ECONNREFUSED (nobody listens there), -EACCES (no right to the socket or the heap), -EPROTO (the
 * other side speaks no protocol or layout known here), -EBUSY (a snapshot of the heap is being
 * written), -EADDRINUSE (the heap's address range is taken in this process), -EMFILE (too many
 * heaps in this process), -EAGAIN (the server's tables are full), -EDQUOT (the user has as many
 * connections as it may have), -ETIMEDOUT, -EINVAL, -ENOMEM. goalloc_attach_error() then tells
 * more. */
GOALLOC_API int goalloc_attach(const char *address, const struct goalloc_options *options,
                               struct goalloc_heap **ret_heap);

/* One line on why the calling thread's last goalloc_attach failed; "" if it did not. */
GOALLOC_API const char *goalloc_attach_error(void);

/* Give back every lease and end the attachment; objects stay in the heap, or are freed, as the
 * attachment's policy says; those that this process's slots name (goalloc_slot) are freed. No other
 * thread may use heap during or after the call. NULL is allowed. */
GOALLOC_API void goalloc_detach(struct goalloc_heap *heap);

/* Allocate size bytes that may hold pointers (scan). Aligned to 16 bytes from 16 bytes on, to 8
 * below. A size of 0 gives a pointer of its own. NULL with errno ENOMEM when the heap is full or
 * at its limit. In a steady state makes no system call and takes no lock. */
GOALLOC_API void *goalloc_malloc(struct goalloc_heap *heap, size_t size)
    __attribute__((malloc, alloc_size(2), warn_unused_result));

/* As goalloc_malloc for n objects of size bytes, zeroed. NULL with ENOMEM where n * size overflows.
 */
GOALLOC_API void *goalloc_calloc(struct goalloc_heap *heap, size_t n, size_t size)
    __attribute__((malloc, alloc_size(2, 3), warn_unused_result));

/* Resize p to size bytes, moving it if need be; scan or noscan stays as it was. p NULL: malloc.
 * size 0: free, and NULL. On failure NULL with errno, and p is as before. */
GOALLOC_API void *goalloc_realloc(struct goalloc_heap *heap, void *p, size_t size)
    __attribute__((alloc_size(3), warn_unused_result));

/* Flags of goalloc_alloc. */
#define GOALLOC_NOSCAN (1u << 0) /* the object never holds pointers into the heap */
#define GOALLOC_ZERO   (1u << 1) /* zeroed */

/* Allocate size bytes; alignment is 0 (as goalloc_malloc), or a power of two up to 1 GiB. A noscan
 * object below 16 bytes is tiny: it takes little more than its bytes, and without an alignment
 * asked for it has that of its size: 8 bytes for 8, 4 for 4 and 12, 2 for other even
 * sizes. Above 8192 the object has pages of its own, at least two, and costs a request to the
 * server. NULL with errno EINVAL for other alignments or unknown flags, ENOMEM as above, or where
 * the heap has no run of free pages that holds size and what alignment may leave out before it. */
GOALLOC_API void *goalloc_alloc(struct goalloc_heap *heap, size_t size, size_t alignment,
                                unsigned flags) __attribute__((warn_unused_result));

/* Allocate size bytes, which may hold pointers, at a multiple of alignment: a power of two up to
 * 1 GiB. size need not be a multiple of it, and may be 0. goalloc_realloc does not keep an
 * alignment of more than 16 where it moves the object. As goalloc_alloc, but 0 is no alignment
 * (EINVAL). */
GOALLOC_API void *goalloc_aligned_alloc(struct goalloc_heap *heap, size_t alignment, size_t size)
    __attribute__((alloc_align(2), alloc_size(3), warn_unused_result));

/* Free p, which any process attached to the heap may have allocated. NULL is allowed. What is not
 * the start of an object in use is refused and reported, and nothing changes. */
GOALLOC_API void goalloc_free(struct goalloc_heap *heap, void *p);

/* How many slots a process has in each heap. */
#define GOALLOC_SLOTS 512

/* This process's own slot, by its index: a word in the heap's shared memory that is NULL or names
 * an object that goalloc_malloc_into put there, and that nobody else need know of. When this
 * process detaches or ends, however it ends, the object that a slot names is freed; unless it is
 * published by then, and if somebody holds it, with its last release. The caller empties a slot by
 * storing NULL. The address is the same at each call, and good until goalloc_detach. A child of
 * fork has slots of its own, all NULL, at other addresses; those of its parent are not for it to
 * write. Asks the server only in such a child's first call. index: below GOALLOC_SLOTS. NULL with
 * errno EINVAL for other indices; in such a child, with the errno of what keeps it from attaching
 * (ETIMEDOUT, ENOTCONN, EDQUOT, ...). */
GOALLOC_API void **goalloc_slot(struct goalloc_heap *heap, unsigned index);

/* As goalloc_malloc, and *slot names the object: slot is one of this process's own, and NULL.
 * goalloc_malloc leaves an object that nobody knows of if the process is killed before the caller
 * has made use of the pointer. This leaves none, at whatever instruction it is killed.
 *
 * The object stays as long as the slot names it. To hand it over, first publish it, then empty the
 * slot: of that nothing is lost, nor freed under anybody's hands. To link it into an object that
 * others have: first empty the slot, then link, so that it is never freed while others can reach
 * it; who is killed between the two leaves that one object behind. To free it: first empty the
 * slot, then free; the same goes for realloc, which moves it. As long as a slot names it, nobody
 * else may free it; nor may another object than the one that was put there be stored in a slot.
 *
 * Thread-safe, but two threads need two slots. NULL with errno ENOMEM as goalloc_malloc; EINVAL,
 * and a report, if slot is no slot of this process or is not NULL. */
GOALLOC_API void *goalloc_malloc_into(struct goalloc_heap *heap, size_t size, void **slot)
    __attribute__((alloc_size(2)));

/* The bytes that may be used at p; 0 and a report if p is no object in use. */
GOALLOC_API size_t goalloc_usable_size(struct goalloc_heap *heap, const void *p);

/* Whether p points into the heap's address range. */
GOALLOC_API bool goalloc_contains(struct goalloc_heap *heap, const void *p);

/* Turn p, a pointer into the heap (to an object or into one), into a ref: a number that is good
 * wherever the heap is mapped, and in a file; it stays good as long as the object. p NULL gives 0.
 * Neither this nor goalloc_from_ref asks the server or looks whether an object is there. Returns 0
 * and sets *ret_ref; -EINVAL if p does not point into the heap. */
GOALLOC_API int goalloc_to_ref(struct goalloc_heap *heap, const void *p, uint64_t *ret_ref);

/* The pointer that ref stands for; NULL for 0, and NULL with errno EINVAL for a number that
 * goalloc_to_ref cannot have given for this heap. errno is untouched otherwise. */
GOALLOC_API void *goalloc_from_ref(struct goalloc_heap *heap, uint64_t ref);

/* How long the page is that goalloc_own_page gives. */
#define GOALLOC_OWN_PAGE_BYTES 4096

/* A page of memory of this process's own, at an address that is the same in every process of the
 * heap: it lies at the beginning of the heap's addresses, where no object ever is. So an object in
 * the heap may point to what each process has there for itself: a C++ object with virtual
 * functions, a table of functions. A process must have made this call, and put it there, before it
 * follows such a pointer; what others have is not seen, and after goalloc_detach it is gone. A
 * child of fork has a copy.
 *
 * The first word is heap itself. The rest of the first 1024 bytes is for goalloc's own headers
 * (goalloc.hpp), all behind it for the program; it is zero at first. It is unmapped by
 * goalloc_detach alone, and goalloc_free refuses it. Thread-safe; asks no server. NULL with errno
 * ENOMEM where the kernel has no more mappings for this process. */
GOALLOC_API void *goalloc_own_page(struct goalloc_heap *heap);

/* Publish object p under name (1..255 bytes of UTF-8), so that other processes find it.
 * Returns 0, -EEXIST (name taken), -EINVAL (name or p), -ENAMETOOLONG, -ENOSPC (table of roots
 * full), -EDQUOT (the user, or this process, has as many roots as it may have), -ETIMEDOUT,
 * -ENOTCONN (server gone). */
GOALLOC_API int goalloc_publish(struct goalloc_heap *heap, const char *name, void *p);

/* Publish object p under name, whether the name is taken or not, in one step: who looks the name up
 * finds the old object or the new one. *ret_old is the object that the name stood for, NULL if it
 * was free. The old object stays; to free it is up to the caller, who must know that nobody uses it
 * any more. Two callers who replace at once get different old objects.
 * Returns 0, -EINVAL (name or p), or as goalloc_publish but never -EEXIST. After -ETIMEDOUT the
 * name may stand for p nevertheless, now or later; the same goes for goalloc_publish. */
GOALLOC_API int goalloc_replace(struct goalloc_heap *heap, const char *name, void *p,
                                void **ret_old);

/* Find what was published under name. Returns 0 and sets *ret_p; -ENOENT, or as goalloc_publish. */
GOALLOC_API int goalloc_lookup(struct goalloc_heap *heap, const char *name, void **ret_p);

/* Wait until an object is published under name, and find it: at once if it is already. timeout_ms
 * is how long; GOALLOC_FOR_EVER waits on, but no longer without a server than other calls, and 0 is
 * goalloc_lookup. Any number of threads and processes may wait; all are told. Nothing polls. Like
 * every call, it is no cancellation point and goes on after a signal. The name may have been taken
 * back, or stand for another object, by the time the caller looks. Returns 0 and sets *ret_p;
 * -ETIMEDOUT; -EAGAIN (4096 threads of this process wait already); -ENOENT only with a timeout of
 * 0; or as goalloc_lookup. */
#define GOALLOC_FOR_EVER UINT32_MAX
GOALLOC_API int goalloc_wait(struct goalloc_heap *heap, const char *name, uint32_t timeout_ms,
                             void **ret_p);

/* Keep object p, even if somebody frees it, until this process has released it as often as it has
 * held it, or detaches or ends, however it ends. A free of an object that any process holds returns
 * at once and takes effect with the last release; a second free of it is refused. A child of fork
 * holds nothing.
 * An object that may be freed at any moment is held first and then looked for again (by
 * goalloc_lookup, or where its pointer lies): if it is still there, whoever frees it after taking
 * it away sees the hold. The pointer must be taken away by goalloc_replace or goalloc_unpublish,
 * under a lock, or with a sequentially consistent store. A hold costs a call of the server; so does
 * a free of an object that is held, and if the server is gone that object is not freed, which is
 * reported. Returns 0, -EINVAL (p is no object in use, or is freed and kept for others), -ENOTSUP
 * (p is tiny: noscan and below 16 bytes), -ENOSPC (4096 holds), -EDQUOT, -EOVERFLOW, -ENOMEM,
 * -ETIMEDOUT, -ENOTCONN. */
GOALLOC_API int goalloc_hold(struct goalloc_heap *heap, const void *p);

/* Take back one goalloc_hold of this process. Returns 0, -EINVAL (this process does not hold p),
 * -ETIMEDOUT, -ENOTCONN. */
GOALLOC_API int goalloc_release(struct goalloc_heap *heap, const void *p);

/* Take name back; the object stays. Returns 0, -ENOENT, or as goalloc_publish. */
GOALLOC_API int goalloc_unpublish(struct goalloc_heap *heap, const char *name);

/* Agree to a pause: from now on no thread of this process uses the heap, neither its functions (but
 * the three here, and goalloc_detach) nor the memory of any object, until goalloc_resume has
 * returned. Then the heap can be copied while this process is attached: goallocctl snapshot waits
 * until everybody who is attached has agreed, or has gone. When to pause, goalloc_wait_pause_wanted
 * tells; who pauses by itself holds no snapshot up later.
 *
 * The server keeps the agreement in mind, and the next server is told of it, until the process
 * resumes, detaches or ends. Threads may exit meanwhile. A child of fork begins without a pause; it
 * must not use what it shares with its parent before it has attached by a call of its own. Nothing
 * keeps threads from breaking the agreement: requests of the server are refused (goalloc_malloc
 * then gives ENOMEM when its thread's memory is used up, other calls -EBUSY), and a snapshot during
 * which something was allocated or freed is not written; but stores to objects go unnoticed, and
 * make the snapshot worthless. To pause twice is to pause once. Returns 0 when the server has noted
 * it; -ETIMEDOUT, and then it may have noted it or not: call goalloc_resume before the heap is used
 * again; -ENOTCONN (the heap has ended), and then there is no pause. */
GOALLOC_API int goalloc_pause(struct goalloc_heap *heap);

/* End the pause. As long as a snapshot is wanted or written this waits, however long that takes:
 * until it is written, has failed, or whoever writes it has ended or waits for others no longer. So
 * a program that calls goalloc_pause and then goalloc_resume when goalloc_wait_pause_wanted says so
 * has done its part. Without a pause this returns at once. Thread-safe; one thread at a time waits.
 * Returns 0; -ETIMEDOUT where there is no server for longer than a call may take: the pause goes
 * on, try again; -ENOTCONN where the heap has ended: the pause is over. */
GOALLOC_API int goalloc_resume(struct goalloc_heap *heap);

/* Wait until somebody wants to write a snapshot, which waits for this process to pause. timeout_ms
 * is how long; GOALLOC_FOR_EVER waits on, and 0 looks and neither waits nor makes a system call.
 * Returns 0 as long as a snapshot is wanted, whether this process has paused or not; -ETIMEDOUT
 * where none is; -ENOTCONN where the heap has ended; in a child of fork, unless timeout_ms is 0,
 * what keeps it from attaching. */
GOALLOC_API int goalloc_wait_pause_wanted(struct goalloc_heap *heap, uint32_t timeout_ms);

/* How many size classes there are. Class 0 stands for large objects (over 32 KiB), which have a
 * span each. */
#define GOALLOC_SIZE_CLASS_COUNT 68

/* What was done in one size class. */
struct goalloc_size_stats {
    uint64_t size;    /* of a slot, in bytes; 0 in class 0, where each object has its own */
    uint64_t mallocs; /* slots ever allocated */
    uint64_t frees;   /* slots ever freed */
};

/* Counts of the heap, as the server knows them, under the names of Go's runtime.MemStats; what is
 * no count of objects or spans is in bytes. An object counts with the size of its slot, a large one
 * with that of its pages. Always true:
 *
 *   heap_alloc = alloc                  heap_sys = heap_idle + heap_inuse
 *   sys = heap_sys + mspan_sys + mcache_sys + other_sys
 *   mallocs, frees = the sums of by_size's; own_mallocs, own_frees = those of own_by_size's
 *
 * and, as long as nobody allocates or frees meanwhile:
 *
 *   heap_objects = mallocs - frees      alloc <= heap_inuse
 *   alloc = the sum of (mallocs - frees) * size over the classes but 0, and the large objects;
 *           where tiny objects would then count more than their spans have, it is that */
struct goalloc_memstats {
    size_t size; /* sizeof(struct goalloc_memstats), set by the caller */

    uint64_t alloc;       /* of objects in use */
    uint64_t total_alloc; /* of objects ever allocated; never goes back */
    uint64_t sys;         /* memory obtained from the system, in all three objects of the heap */
    uint64_t mallocs;     /* objects ever allocated */
    uint64_t frees;       /* objects ever freed */

    uint64_t heap_alloc;    /* as alloc */
    uint64_t heap_sys;      /* memory obtained for objects */
    uint64_t heap_idle;     /* of it, in no span: free pages, never used ones included */
    uint64_t heap_inuse;    /* of it, in spans, which may have free slots */
    uint64_t heap_released; /* of heap_idle, given back to the system */
    uint64_t heap_objects;  /* objects in use */

    uint64_t mspan_inuse;  /* what describes the spans in use: page table, bitmaps */
    uint64_t mspan_sys;    /* memory obtained for that */
    uint64_t mcache_inuse; /* the threads' mcaches */
    uint64_t mcache_sys;   /* memory obtained for that; an mcache's is used again by the next */
    uint64_t other_sys;    /* memory obtained for the rest: headers, tables, pending bits */

    uint64_t spans;        /* in use */
    uint64_t leased_spans; /* of them, those that a thread allocates from */
    uint64_t leased_bytes; /* of the leased spans */

    /* Of this process's attachment alone, since it attached. Its frees may be of objects that
     * others allocated, so there may be more of them than mallocs. */
    uint64_t own_mallocs;
    uint64_t own_frees;
    uint64_t own_total_alloc; /* of the objects it allocated */
    uint64_t own_total_free;  /* of the objects it freed */
    uint64_t own_mcaches;     /* threads that allocate or free have one each */
    uint64_t own_leased_spans;
    uint64_t own_leased_bytes;

    struct goalloc_size_stats by_size[GOALLOC_SIZE_CLASS_COUNT];
    struct goalloc_size_stats own_by_size[GOALLOC_SIZE_CLASS_COUNT];

    /* Of collections of what managed processes have, by this server. */
    uint64_t num_gc;   /* that were carried out */
    uint64_t next_gc;  /* the next begins when managed processes may have so much: what was
                          reached, and what they were granted since; 0 = by no growth */
    uint64_t last_gc;  /* when the last ended, in milliseconds since 1970; 0 = there was none */
    uint64_t pause_ns; /* for how long threads stood still the last time, and in all, those */
    uint64_t pause_total_ns; /* included for which the collection was abandoned */
};

/* Fill *stats, whose size must be set: one round trip to the server. The counters are read while
 * others go on, so between two of them an object may come or go; at rest they are exact, with one
 * exception: a process killed between an allocation or free and its counting leaves the counts of
 * that class wrong by one, for each thread, from then on. alloc, total_alloc, heap_objects,
 * mallocs, frees and by_size, and own_ of these, are from those counts, all else is not; goallocctl
 * stats --recount counts the objects themselves. A tiny object counts as 8 bytes, with the 8-byte
 * class, and all of them in alloc as no more than their spans. Thread-safe. Returns 0; -EINVAL
 * (size), -ETIMEDOUT, -ENOTCONN (server gone), -EPROTO, and then *stats is untouched. */
GOALLOC_API int goalloc_memstats(struct goalloc_heap *heap, struct goalloc_memstats *stats);

/* What came of a collection. Objects count with the size of their slot, large ones with that of
 * their pages. */
struct goalloc_gc_result {
    size_t size;    /* sizeof(struct goalloc_gc_result), set by the caller */
    uint64_t cycle; /* its number */
    uint64_t found; /* objects that were looked at */
    uint64_t found_bytes;
    uint64_t garbage; /* of these, that nothing reaches */
    uint64_t garbage_bytes;
    uint64_t freed; /* of these, that are freed now */
    uint64_t freed_bytes;
    uint64_t roots;         /* that point to objects looked at */
    uint64_t roots_outside; /* that point elsewhere, or at nothing, and are ignored */
    uint64_t mark_ns;       /* from the beginning until all was marked */
    uint64_t sweep_ns;      /* that it then took to free */
    char failure[128];      /* a clause: why it was abandoned; "" if it was not */
};

/* Have the server free what nothing reaches, of the objects that processes of policy unreachable
 * have left, and wait until that is done. What an object in use holds counts as a pointer if it is
 * an address in the heap, also into the middle of an object; objects allocated with GOALLOC_NOSCAN
 * are not looked into. What a process has in its own memory alone is not seen: it holds such an
 * object (goalloc_hold), before it takes it out of the last place in the heap or moves it to
 * another, until a pointer in the heap keeps it again. Others allocate and free meanwhile. result:
 * may be NULL. Thread-safe. Returns 0; -ECANCELED (it was abandoned, and has freed nothing:
 * result->failure says why), -EBUSY (a snapshot of the heap is being written), -EINVAL
 * (result->size), -ETIMEDOUT (it goes on, and nobody is told what came of it), -ENOTCONN, -EPROTO,
 * -ENOMEM. */
GOALLOC_API int goalloc_gc(struct goalloc_heap *heap, struct goalloc_gc_result *result);

/* Set how densely what this process allocates is sampled for profiles (goallocctl profile): one
 * object in rate_bytes allocated, in the mean, with the calls it was allocated by; 1: each; 0:
 * none. Without this call the rate is what $GOALLOC_PROFILE_RATE says when the process attaches,
 * else the server's, 512 KiB if nobody has set another. The calling thread's next allocation knows
 * it; other threads learn it within 64 allocations or 64 KiB, whichever is more, of a size.
 * Children of fork inherit it. Thread-safe. Returns 0; -ETIMEDOUT, -ENOTCONN, -EPROTO, -ENOMEM. */
GOALLOC_API int goalloc_set_profile_rate(struct goalloc_heap *heap, uint64_t rate_bytes);

/* A sentence for a negative errno returned by a function above. */
GOALLOC_API const char *goalloc_strerror(int err);

#ifdef __cplusplus
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
}
#endif
#endif

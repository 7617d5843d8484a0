/* The layout of a heap's shared memory: constants, the structs of the meta and bits objects, and
 * where each table lies. Every process that maps a heap is compiled against this file, and refuses
 * a heap of another GA_LAYOUT_VERSION. Fixed-width words only; each word names its writer. */
#ifndef GA_SHM_LAYOUT_H
#define GA_SHM_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define GA_LAYOUT_VERSION 13u
#define GA_META_MAGIC     UINT64_C(0x6174656d636c6167) /* "galcmeta" in memory */
#define GA_META_MAKING                                                                             \
    UINT64_C(0x656b616d636c6167)                   /* "galcmake": it is being made, no heap yet    \
                                                    */
#define GA_BITS_MAGIC UINT64_C(0x73746962636c6167) /* "galcbits" */

#define GA_OS_PAGE_SIZE        UINT64_C(4096)
#define GA_PAGE_SHIFT          13
#define GA_PAGE_SIZE           (UINT64_C(1) << GA_PAGE_SHIFT)
#define GA_ARENA_SHIFT         26
#define GA_ARENA_SIZE          (UINT64_C(1) << GA_ARENA_SHIFT)
#define GA_PAGES_PER_ARENA     (GA_ARENA_SIZE / GA_PAGE_SIZE)
#define GA_LARGE_NPAGES_MIN    2u   /* of a large span */
#define GA_LARGE_NPAGES_LEASED 128u /* the longest that is leased to an mcache: 1 MiB */
#define GA_ALIGNMENT_MAX       (UINT64_C(1) << 30) /* of an object */
#define GA_SPAN_CLASS_COUNT    136u                /* 68 size classes, scan and noscan */

/* The windows a heap may be mapped at: where every process, also one under a sanitizer, has free
 * address space. GA_WINDOW_COUNT windows of GA_WINDOW_SIZE lie side by side from GA_WINDOW_LOW, and
 * as many from GA_WINDOW_HIGH, so a process can attach several heaps; one heap may span the windows
 * of one side. */
#define GA_WINDOW_LOW   UINT64_C(0x550000000000)
#define GA_WINDOW_HIGH  UINT64_C(0x7e8000000000)
#define GA_WINDOW_SIZE  (UINT64_C(64) << 30)
#define GA_WINDOW_COUNT 5u
#define GA_RESERVE_MAX  (GA_WINDOW_SIZE * GA_WINDOW_COUNT)

#define GA_HEAP_NAME_MAX 63u  /* bytes, without the zero */
#define GA_ROOT_NAME_MAX 255u /* bytes, without the zero */
/* The most that any heap's tables have; how many its own have says its header. */
#define GA_CLIENT_COUNT 4096u
#define GA_MCACHE_COUNT 65536u
#define GA_ROOT_COUNT   4096u
#define GA_HOLD_COUNT   4096u /* of processes and objects that they hold */
#define GA_HANDLE_COUNT 512u  /* of each client: what goalloc_slot gives */

/* A page's number in the heap. Page 0 is never handed out, so 0 means "none", and an offset of 0
 * into the heap means NULL. */
typedef uint32_t ga_page_id;
/* size class * 2 + noscan. */
typedef uint8_t ga_span_class;
/* Index into the tables of mcaches; 0 means none. */
typedef uint32_t ga_mcache_id;

/* ---- meta: written by the server alone, mapped read-only by clients ---- */

enum {
    GA_HEAP_IN_MAKING = 0,
    GA_HEAP_LIVE = 1,
    GA_HEAP_ENDED = 2, /* the server ended the heap and removed its objects */
};

/* What a change of roots or holds is: enough to carry it out once more (server/journal.c). */
enum {
    GA_JOURNAL_NOTHING = 0,
    GA_JOURNAL_PUBLISH = 1,   /* the root at index, which is filled in, is used from now on */
    GA_JOURNAL_REPLACE = 2,   /* the root at index stands for offset, and is client's */
    GA_JOURNAL_UNPUBLISH = 3, /* the root at index is used no more */
    GA_JOURNAL_HOLD = 4,      /* the hold at index, which is filled in, counts from now on */
    GA_JOURNAL_COUNT = 5,     /* the hold at index is of count */
    GA_JOURNAL_RELEASE = 6,   /* the hold at index is released */
    GA_JOURNAL_PUT_OFF = 7,   /* the object at offset is freed with its last hold */
    GA_JOURNAL_KINDS = 8,
};

struct ga_journal {
    _Atomic uint32_t kind; /* stored last when a change begins, and back to 0 when it is done */
    uint32_t index;
    uint32_t count;
    uint32_t publisher; /* index + 1 of who has the root from now on */
    uint32_t client;    /* index + 1 of who asked and may ask again; 0 = nobody */
    uint32_t place;     /* where in its outcomes this is noted, from 0 */
    uint64_t request;   /* the request's id */
    uint64_t offset;
    uint64_t old_offset;
};
static_assert(sizeof(struct ga_journal) == 48, "layout");

/* How many entries the tables have that are not of pages. A table of none takes no place, and what
 * it is for is not to be had in the heap. */
struct ga_table_counts {
    uint32_t clients;
    uint32_t mcaches;
    uint32_t rings; /* as many as mcaches, or none: nothing is leased ahead of need */
    uint32_t roots;
    uint32_t holds;
    uint32_t handles; /* tables of them: as many as clients, or none */
};
static_assert(sizeof(struct ga_table_counts) == 24, "layout");

struct ga_meta_header {
    uint64_t magic;
    uint32_t layout_version;
    uint32_t header_bytes;
    _Atomic uint32_t state; /* stored last when a heap is made, read first */
    uint32_t server_pid;
    uint64_t server_start_time; /* of the process, in clock ticks after boot */
    uint64_t heap_id;           /* random; the bits object carries the same */
    uint64_t generation;        /* how many servers this heap has had */
    uint64_t created_ms;        /* wall clock, since 1970 */
    uint64_t base;
    uint64_t reserve_bytes;
    _Atomic uint64_t limit_bytes;      /* heap bytes allowed that have memory; may change */
    _Atomic uint64_t committed_npages; /* of the heap, from page 0 on; a page is entered in the page
                                          table only after this covers it */
    uint64_t arenas_offset;            /* offsets of the tables in meta */
    uint64_t clients_offset;
    uint64_t mcaches_offset;
    uint64_t rings_offset;
    uint64_t roots_offset;
    uint64_t holds_offset;
    uint64_t profiles_offset;
    uint64_t page_table_offset;
    uint64_t meta_bytes;
    uint64_t bits_mcaches_offset; /* offsets of the planes in bits */
    uint64_t bits_pending_offset;
    uint64_t bits_handles_offset;
    uint64_t bits_gc_words_offset;
    uint64_t bits_profiles_offset;
    uint64_t bits_lines_offset;
    uint64_t bits_wide_offset;
    uint64_t bits_tiny_offset;
    uint64_t bits_samples_offset;
    uint64_t bits_bytes;
    char name[GA_HEAP_NAME_MAX + 1];
    char server_version[32];
    /* What a server that takes the heap over could not find out from the tables. */
    _Atomic uint32_t client_end; /* no entry of the tables from here on was ever used */
    _Atomic uint32_t mcache_end;
    _Atomic uint32_t root_end;
    _Atomic uint32_t hold_end;
    struct ga_journal journal;
    /* Changes a few times a second while managed clients stand still: who waits knows that there is
     * a server that is at it. */
    _Atomic uint64_t gc_beat;
    _Atomic uint64_t profile_rate_bytes; /* of clients that attach: see struct ga_profile_entry */
    uint64_t sample_words;               /* of each set of samples */
    struct ga_table_counts counts;
};
static_assert(sizeof(struct ga_meta_header) == 448, "layout");
static_assert(offsetof(struct ga_meta_header, state) == 16, "layout");
static_assert(offsetof(struct ga_meta_header, base) == 56, "layout");
static_assert(offsetof(struct ga_meta_header, committed_npages) == 80, "layout");
static_assert(offsetof(struct ga_meta_header, bits_bytes) == 232, "layout");
static_assert(offsetof(struct ga_meta_header, name) == 240, "layout");
static_assert(offsetof(struct ga_meta_header, client_end) == 336, "layout");
static_assert(offsetof(struct ga_meta_header, journal) == 352, "layout");
static_assert(offsetof(struct ga_meta_header, gc_beat) == 400, "layout");
static_assert(offsetof(struct ga_meta_header, counts) == 424, "layout");

/* What is behind an arena's addresses, as Go has it: Reserved (mapped, past the object's end),
 * Prepared (inside the object, a hole), Ready (committed). Go's None, outside the reserve, has no
 * entry; and Reserved is 0, so that the table is touched no further than the heap has come. */
enum {
    GA_ARENA_RESERVED = 0,
    GA_ARENA_PREPARED = 1,
    GA_ARENA_READY = 2,
};

struct ga_arena_entry {
    _Atomic uint32_t state;        /* of the furthest that any page of it has come */
    _Atomic uint32_t ready_npages; /* committed, from the arena's first page on */
};
static_assert(sizeof(struct ga_arena_entry) == 8, "layout");

enum {
    GA_CLIENT_FREE = 0,
    GA_CLIENT_ATTACHED = 1,
    GA_CLIENT_LEAVING = 2, /* it has detached or ended, and is being recovered */
};

/* What becomes of a client's objects when it detaches or ends. */
enum {
    GA_POLICY_KEEP = 0,        /* they stay until somebody frees them */
    GA_POLICY_PRIVATE = 1,     /* they are freed */
    GA_POLICY_UNREACHABLE = 2, /* those are freed that nothing reaches (server/collect.c) */
    GA_POLICY_COUNT = 3,
};

/* Of a client: its objects are collected, and for that it stands still and is scanned (gc_word.h).
 */
#define GA_CLIENT_MANAGED 1u

/* That a request of a client was carried out, for one that is sent again after its server's death
 * (server/journal.c). A client uses each of its places for one request at a time. */
struct ga_outcome {
    _Atomic uint64_t id; /* of the request, stored last; 0 = none */
    uint64_t old_offset; /* of the object that a Replace found */
};
#define GA_OUTCOME_COUNT 4u

struct ga_client_entry {
    _Atomic uint32_t state;
    uint32_t pid;
    uint32_t uid;
    uint32_t gid;
    uint64_t start_time; /* of the process, in clock ticks after boot: tells a reused pid */
    uint64_t attached_ms;
    uint16_t policy;
    uint16_t flags; /* GA_CLIENT_MANAGED */
    char name[28];
    struct ga_outcome outcomes[GA_OUTCOME_COUNT];
};
static_assert(sizeof(struct ga_client_entry) == 128, "layout");
static_assert(offsetof(struct ga_client_entry, name) == 36, "layout");

struct ga_mcache_entry {
    _Atomic uint32_t client; /* index + 1 of the client it belongs to, 0 = nobody's */
    _Atomic uint32_t nspans; /* leased to it */
    _Atomic uint64_t leased_bytes;
};
static_assert(sizeof(struct ga_mcache_entry) == 16, "layout");

#define GA_RING_ENTRIES 64u

/* The spans leased ahead of need to one mcache, in the order of their sequence: see ring.h. */
struct ga_ring {
    _Atomic uint64_t entry[GA_RING_ENTRIES];
};
static_assert(sizeof(struct ga_ring) == 512, "layout");

struct ga_root_entry {
    _Atomic uint32_t used;   /* stored last when a root is made, first when it is taken back */
    uint32_t client;         /* index + 1 of who published it */
    _Atomic uint64_t offset; /* of the object, from the heap's base */
    char name[GA_ROOT_NAME_MAX + 1];
    uint32_t uid; /* of who published it, who is charged with it also when gone */
    uint8_t reserved[44];
};
static_assert(sizeof(struct ga_root_entry) == 320, "layout");
static_assert(offsetof(struct ga_root_entry, name) == 16, "layout");

enum {
    GA_HOLD_UNUSED = 0,
    GA_HOLD_HELD = 1,
    GA_HOLD_FREED = 2,       /* and somebody has freed the object: it goes with its last hold */
    GA_HOLD_RELEASING_0 = 3, /* that is now; the slot's bit in A is 0 */
    GA_HOLD_RELEASING_1 = 4, /* or 1 */
    GA_HOLD_GONE = 5,        /* counts no more */
};

/* That a client holds an object (server/holds.c). */
struct ga_hold {
    _Atomic uint64_t offset; /* of the object, from the heap's base */
    _Atomic uint32_t state;  /* stored last when a hold is made */
    uint32_t client;         /* index + 1 of who holds it */
    uint32_t count;          /* how often */
    ga_page_id page;         /* the first of the object's span, whose nholds counts this */
};
static_assert(sizeof(struct ga_hold) == 24, "layout");

/* Whether a hold of this state keeps its object. */
static inline int ga_hold_counts(uint32_t state)
{
    return state != GA_HOLD_UNUSED && state != GA_HOLD_GONE;
}

/* Of a client's profile (profile.h), by the client's number; what is said of a client that is gone
 * stays until the number is another's. */
struct ga_profile_entry {
    _Atomic uint64_t rate_bytes; /* mean distance of its samples, in bytes allocated; 0 = none */
    _Atomic uint64_t bytes;      /* of its struct ga_profile that are committed; 0 = it has none */
    _Atomic uint32_t instance;   /* from 1 on: how many clients the number has had */
    uint32_t reserved;
    uint64_t ended_ms; /* when the client was gone, wall clock; 0 = it is not */
};
static_assert(sizeof(struct ga_profile_entry) == 32, "layout");

/* The page table: one entry a page, see page_entry.h. */
typedef _Atomic uint64_t ga_page_word;

/* ---- bits: written by clients and server ---- */

struct ga_bits_header {
    uint64_t magic;
    uint32_t layout_version;
    uint32_t header_bytes;
    uint64_t heap_id;
};
static_assert(sizeof(struct ga_bits_header) == 24, "layout");

/* What the holder of a mcache counts for one span class. Writer: the mcache's thread (the server
 * once it is dead). */
struct ga_mcache_class {
    _Atomic uint64_t nmalloc; /* slots this mcache allocated; never goes back, also not when the
                                 mcache's id is used again */
    _Atomic uint64_t nfree;   /* slots this mcache freed, whoever had allocated them */
};
static_assert(sizeof(struct ga_mcache_class) == 16, "layout");

#define GA_INBOX_WORDS 4u

/* An inbox bit stands for all spans of its class whose page number has the same low 8 bits. */
struct ga_mcache_inbox {
    _Atomic uint64_t word[GA_INBOX_WORDS]; /* set by those who free, cleared by the owner */
};

/* What an mcache's counters said when its client got it, by size class. Writer: the server, before
 * it gives the id to somebody. */
struct ga_mcache_base {
    _Atomic uint64_t mallocs[GA_SPAN_CLASS_COUNT / 2];
    _Atomic uint64_t frees[GA_SPAN_CLASS_COUNT / 2];
    _Atomic uint64_t large_alloc_bytes;
    _Atomic uint64_t large_free_bytes;
};
static_assert(sizeof(struct ga_mcache_base) == 1104, "layout");

struct ga_mcache {
    /* the thread's line: a cache line of its own */
    _Atomic uint64_t telling;    /* page of the span whose owner is being told of a free, 0 = none.
                                    Writer: the mcache's thread */
    _Atomic uint64_t ring_taken; /* the sequence of the last ring entry taken. Writer: the mcache's
                                    thread; the server before it gives the id to somebody */
    /* The object that goalloc_malloc_into is allocating, which a death leaves to the server
     * (server/handles.c): index + 1 of the handle, 0 = none, stored last when it begins and first
     * when it ends; and the object's offset, 0 = not chosen yet, stored before it is taken. Writer:
     * the mcache's thread; of into_object also the library's, which takes what the server grants */
    _Atomic uint64_t into_handle;
    _Atomic uint64_t into_object;
    /* The batch of frees by others that is collected (batch.h): of which word, and which of its
     * slots. Writer: the mcache's thread; the server once it is dead */
    _Atomic uint64_t batch_where;
    _Atomic uint64_t batch_mask;
    uint64_t line_reserved[2];

    _Atomic uint64_t tiny; /* up to where it has carved tiny objects (tiny.h). On a
                              line of its own: others read it at each of their frees. Writer: the
                              mcache's thread */
    uint8_t tiny_reserved[56];
    struct ga_mcache_class classes[GA_SPAN_CLASS_COUNT];
    struct ga_mcache_inbox inbox[GA_SPAN_CLASS_COUNT];
    /* What this mcache allocated and freed of large objects, in bytes of their spans; as nmalloc
     * and nfree. An object that grows or shrinks where it lies is counted by what it does. */
    _Atomic uint64_t large_alloc_bytes;
    _Atomic uint64_t large_free_bytes;
    struct ga_mcache_base base;
    uint8_t reserved[416];
};
static_assert(offsetof(struct ga_mcache, batch_where) == 32, "layout");
static_assert(offsetof(struct ga_mcache, batch_mask) == 40, "layout");
static_assert(offsetof(struct ga_mcache, tiny) == 64, "layout");
static_assert(offsetof(struct ga_mcache, classes) == 128, "layout");
static_assert(offsetof(struct ga_mcache, inbox) == 2304, "layout");
static_assert(offsetof(struct ga_mcache, base) == 6672, "layout");
static_assert(sizeof(struct ga_mcache) == 8192, "two OS pages");

/* The handles of one client: each is 0, or the address of an object that the client alone knows and
 * that goes when the client goes, unless it is published. Written by the client's process; by the
 * server before the number is given to somebody, and when its client is gone. */
struct ga_handles {
    _Atomic uint64_t object[GA_HANDLE_COUNT];
};
static_assert(sizeof(struct ga_handles) == GA_OS_PAGE_SIZE, "an OS page a client");

#define GA_LINE_WORDS 2u  /* words of each bitmap in the span line: 128 slots */
#define GA_WIDE_WORDS 14u /* further words in the wide plane: up to 1,024 slots */
#define GA_SPAN_WORDS (GA_LINE_WORDS + GA_WIDE_WORDS)

/* One cache line for each page, used at the span's first page. */
struct ga_span_line {
    _Atomic uint64_t a[GA_LINE_WORDS]; /* writer: the holder; the server where there is none */
    _Atomic uint64_t f[GA_LINE_WORDS]; /* written by whoever frees and is not the holder */
    _Atomic uint64_t holder;           /* holder.h. Writer: the mcache; the server after its end */
    /* Whose flush of a batch is under way, 0 = nobody's (batch.h). */
    _Atomic uint32_t d; /* a living mcache's, or one's that has died in it. Writers: those */
    _Atomic uint32_t d_recovery; /* a dead one's. Writer: the server */
    _Atomic uint64_t link;       /* the holder's own list of its spans (client/mcache.c) */
    /* What a free in the span has to look for, 0 = nothing: in the low half how many holds there
     * are of its objects, of the server's writing; in the high half how many of its objects were
     * sampled (profile.h), which who allocates adds and who frees takes back. */
    _Atomic uint64_t nholds;
};
static_assert(sizeof(struct ga_span_line) == 64, "one cache line");
static_assert(offsetof(struct ga_span_line, f) == GA_LINE_WORDS * 8, "F lies behind A");
static_assert(offsetof(struct ga_span_line, holder) == 32, "layout");
static_assert(offsetof(struct ga_span_line, d) == 40, "layout");
static_assert(offsetof(struct ga_span_line, d_recovery) == 44, "layout");

/* The rest of the bitmaps of spans with more than 128 slots a page; committed where needed. As in
 * the line, a word of F lies GA_LINE_WORDS words behind its word of A. The plane lies backwards,
 * the part of the heap's first page last and the first line behind it: what a small heap has of
 * both lies together. */
struct ga_span_wide {
    struct {
        _Atomic uint64_t a[GA_LINE_WORDS];
        _Atomic uint64_t f[GA_LINE_WORDS];
    } part[GA_WIDE_WORDS / GA_LINE_WORDS];
    uint64_t reserved[4];
};
static_assert(sizeof(struct ga_span_wide) == 256, "layout");

/* The span class of tiny objects. Its number is that of 8-byte noscan slots, which therefore there
 * are not: what small noscan objects there are is tiny. */
#define GA_SPAN_CLASS_TINY  3u
#define GA_TINY_BLOCK_BYTES 16u
#define GA_TINY_NBLOCKS     512u  /* a span, which is one page */
#define GA_TINY_NUNITS      4096u /* places where an object may start */
#define GA_TINY_WORDS       64u

/* A word of A and the same of F, side by side: a free looks at both. Writers as in the span line.
 */
struct ga_tiny_pair {
    _Atomic uint64_t a;
    _Atomic uint64_t f;
};

/* The bitmaps of a tiny span (tiny.h). Committed where needed. */
struct ga_tiny_bits {
    struct ga_tiny_pair pair[GA_TINY_WORDS];
};
static_assert(sizeof(struct ga_tiny_bits) == 1024, "layout");
static_assert(GA_TINY_NBLOCKS * GA_TINY_BLOCK_BYTES == GA_PAGE_SIZE, "the blocks fill the page");

/* ---- profiles: samples of what is allocated, and where (profile.h) ---- */

/* The objects of 32 pages share a set of words, each of which stands for a sampled object
 * (sample.h); committed with the pages. 0 = unused. Writers: who allocates the object, and who
 * frees it. How many words a set has, a power of two, is the heap's sample_words. */
#define GA_SAMPLE_SET_NPAGES 32u
#define GA_SAMPLE_WORDS_MIN  128u
#define GA_SAMPLE_WORDS_MAX  16384u /* two for each object of 32 bytes; valgrind maps no more */

#define GA_PROFILE_FRAMES    54u
#define GA_PROFILE_FREERS    64u
#define GA_PROFILE_MAPPINGS  112u
#define GA_PROFILE_SITES     1984u
#define GA_PROFILE_BYTES_MIN (UINT64_C(64) << 10) /* what is committed of one, if anything is */

/* Where a client allocates objects of one size, sampled at one rate: by which calls. What is
 * counted are samples. Writer: the client, once; of the counts who allocates and frees. */
struct ga_profile_site {
    _Atomic uint64_t ready; /* 1: the words up to nframes and pc are filled in; stored last */
    uint64_t rate_bytes;
    uint64_t size_bytes; /* of an object */
    uint64_t nframes;
    _Atomic uint64_t nalloc;
    _Atomic uint64_t nfree_own;     /* freed by the process that allocated them */
    _Atomic uint64_t nfree_other;   /* by another */
    _Atomic uint64_t nfree_server;  /* by the server: garbage, and objects of the dead */
    _Atomic uint64_t nunreached;    /* in use, but nothing reaches them: what the collection found
                                       that the high half names, counted in the low one. Writer: the
                                       server */
    _Atomic uint64_t nuntracked;    /* of nalloc: there was no room for their words, so nobody knows
                                       whether they are in use */
    uint64_t pc[GA_PROFILE_FRAMES]; /* in the calls, the innermost first */
};
static_assert(sizeof(struct ga_profile_site) == 512, "layout");

/* A piece of a file with code that the client has mapped. Writer: the client. */
struct ga_profile_mapping {
    uint64_t start;
    uint64_t limit;
    uint64_t offset; /* in the file */
    uint8_t build_id[20];
    uint8_t build_id_bytes;
    char path[203]; /* cut off where it is longer */
};
static_assert(sizeof(struct ga_profile_mapping) == 248, "layout");

/* Who has freed sampled objects of a client. Writers: those who free. */
struct ga_profile_freer {
    _Atomic uint64_t who;      /* ga_sample_freer, 0 = nobody as yet */
    _Atomic uint64_t nobjects; /* estimated, as bytes */
    _Atomic uint64_t bytes;
};
static_assert(sizeof(struct ga_profile_freer) == 24, "layout");

/* The profile of one client. */
struct ga_profile {
    _Atomic uint64_t
        instance;        /* which it is of; stored last when it is begun. Writer: the client */
    uint64_t start_time; /* of its process, in clock ticks after boot; 0 in a process's own heap */
    uint32_t pid;
    _Atomic uint32_t nsites; /* begun; those that there is no room for are none */
    _Atomic uint32_t nmappings;
    uint32_t reserved;
    _Atomic uint64_t ndropped; /* samples that there was no room for: untracked, or of no site */
    char program[88];          /* the name of its file */
    struct ga_profile_freer freers[GA_PROFILE_FREERS];
    uint8_t reserved_more[2432];
    struct ga_profile_mapping mappings[GA_PROFILE_MAPPINGS];
    uint8_t reserved_most[896];
    struct ga_profile_site sites[GA_PROFILE_SITES];
};
static_assert(offsetof(struct ga_profile, mappings) == GA_OS_PAGE_SIZE, "layout");
static_assert(offsetof(struct ga_profile, sites) == 32768, "layout");
static_assert(sizeof(struct ga_profile) == 1 << 20, "1 MiB");

#endif

/* The audit of a heap: every page, span, holder, bitmap, ring, root, hold, sample, mcache
 * and client against each other, by what lies in shared memory alone. It changes nothing, trusts
 * nothing that it reads (a damaged heap gives faults, never a crash), and needs no memory but what
 * the caller gives it.
 *
 * What a heap may look like depends on who was at work in it, and the caller says so:
 *   nothing         every process is between two calls, and the server has taken back what the dead
 *                   left: every word has one value that it may have, and the account must balance
 *   CLIENTS_MIDWAY  clients may be anywhere in a step, stopped or killed, and nobody has repaired
 *                   that: what a prefix of the step's stores leaves is sound
 *   SERVER_MIDWAY   the same of the server: of one step
 *   LIVE            others write meanwhile. What looks wrong is noted and, when all has been seen,
 *                   looked at again, with rests in between, and is a fault only if every word of
 *                   it stays as it was
 *
 * The account: every slot of every span is in use or free. In tiny spans a block is what elsewhere
 * is a slot. */
#ifndef GA_SHM_AUDIT_H
#define GA_SHM_AUDIT_H

#include <stdbool.h>

#include "shm/size_class.h"
#include "shm/view.h"

enum {
    GA_AUDIT_LIVE = 1, /* takes CLIENTS_MIDWAY with it */
    GA_AUDIT_CLIENTS_MIDWAY = 2,
    GA_AUDIT_SERVER_MIDWAY = 4,
    GA_AUDIT_COUNTED = 8, /* mallocs less frees must be what is in use: nobody was killed between
                              an allocation or free and its counting. Not with LIVE */
};

/* What can be wrong: its constant, its name for programs, and what it says of the place it is found
 * at. */
#define GA_AUDIT_KINDS(X)                                                                          \
    X(HEADER, "header", "the header of the meta object is damaged")                                \
    X(BITS_HEADER, "bits-header", "the header of the bits object is damaged, or another heap's")   \
    X(ARENA, "arena", "its state does not go with what is committed")                              \
    X(PAGE_ZERO, "page-zero", "page 0 is in use")                                                  \
    X(ENTRY, "entry", "the page's entry is none that can be")                                      \
    X(LENGTH, "length", "a span of a length that cannot be")                                       \
    X(INNER, "inner", "the page does not belong to the span that it lies in")                      \
    X(OWNER, "owner", "the span is leased to an mcache that is nobody's")                          \
    X(LARGE_CLIENT, "large-client", "the large span names a client that is not attached")          \
    X(HOLDER, "holder", "the span's holder is not whom it is leased to")                           \
    X(FLUSH, "flush", "a flush into the span is under way that nobody makes")                      \
    X(BEYOND, "beyond", "A and F differ where the span has no slots")                              \
    X(LOST, "lost", "the span is empty, nobody leases it, and nothing says so")                    \
    X(NHOLDS, "nholds", "the count of holds is not how many there are")                            \
    X(PENDING, "pending", "news is pending of a page that is not committed")                       \
    X(CLIENT, "client", "the client's entry is damaged")                                           \
    X(MCACHE_CLIENT, "mcache-client", "the mcache belongs to a client that is not attached")       \
    X(LEASES, "leases", "the mcache's leases are not as many as its entry says")                   \
    X(LEASED_BYTES, "leased-bytes", "the mcache's leases are not as large as its entry says")      \
    X(TINY, "tiny", "the tiny word is of no span that the mcache may carve from")                  \
    X(TELLING, "telling", "the mcache tells of a page that cannot be")                             \
    X(BATCH, "batch", "the mcache is about to free slots where there are none")                    \
    X(LEFT, "left", "the mcache is nobody's, and something is left in its words")                  \
    X(INTO, "into", "the mcache allocates into a slot of its client, or into none that can be")    \
    X(RING, "ring", "the ring's entry is none that can be")                                        \
    X(RING_TAKEN, "ring-taken", "what is taken from the ring was never in it")                     \
    X(RING_SPAN, "ring-span", "the ring offers a span that is not leased to its mcache")           \
    X(RING_TWICE, "ring-twice", "the ring offers a span twice")                                    \
    X(ROOT, "root", "the root's entry is damaged")                                                 \
    X(ROOT_TWICE, "root-twice", "another root has the same name")                                  \
    X(HOLD, "hold", "the hold's entry is damaged")                                                 \
    X(HANDLE, "handle", "the client's slot names what is no object in use")                        \
    X(HANDLE_LEFT, "handle-left", "the client is gone, and its slot is not empty")                 \
    X(SAMPLE, "sample", "what is said to be sampled is no object in use")                          \
    X(SAMPLE_PLACE, "sample-place", "the sampled object's word is not the one that a free finds")  \
    X(NSAMPLES, "nsamples", "more objects of the span are sampled than it counts")                 \
    X(GC_WORD, "gc-word", "the client's word stands for no state of a collection")                 \
    X(JOURNAL, "journal", "a change is written down that nobody is making")                        \
    X(COUNTERS, "counters", "mallocs less frees are not the objects in use")

enum ga_fault_kind {
#define GA_AUDIT_ENUM(name, id, text) GA_FAULT_##name,
    GA_AUDIT_KINDS(GA_AUDIT_ENUM)
#undef GA_AUDIT_ENUM
        GA_FAULT_KIND_COUNT,
};

/* A fault, and where: what does not apply is 0, or -1 in the signed fields. */
struct ga_audit_fault {
    uint32_t kind;
    ga_page_id page;     /* of the span, or the page itself */
    ga_mcache_id mcache; /* whose words */
    int32_t span_class;
    int32_t word;      /* of the span's bitmaps */
    int32_t index;     /* in its table: arena, client, ring entry, root, hold, size class */
    uint64_t found;    /* the word that is wrong */
    uint64_t expected; /* what it should be, where that is one value */
    uint64_t also;     /* the word that it does not go with */
    uint64_t holder;   /* of the span, where it matters */
};

#define GA_AUDIT_TEXT_BYTES 320

/* Say the fault in a line: where, what, and the words with their values. Returns text. */
const char *ga_audit_fault_text(const struct ga_audit_fault *fault,
                                char text[static GA_AUDIT_TEXT_BYTES]);
/* The kind's name for programs, "holder"; and its sentence. */
const char *ga_audit_kind_name(uint32_t kind);
const char *ga_audit_kind_text(uint32_t kind);

/* Of one span class, or of all. Bytes are those of the slots. */
struct ga_audit_account {
    uint64_t spans;
    uint64_t npages;
    uint64_t slots; /* in_use + free */
    uint64_t in_use;
    uint64_t free;
    uint64_t objects; /* in_use, but of tiny spans: a block may hold several */
    uint64_t bytes_in_use;
    uint64_t bytes_free;
};

struct ga_audit {
    struct ga_audit_account all;
    struct ga_audit_account by_class[GA_SPAN_CLASS_COUNT];
    uint64_t npages_committed;
    uint64_t npages_unused; /* of those in no span; page 0 is counted as neither */
    uint64_t spans_leased;
    uint64_t spans_partial; /* nobody leases them: some slots in use; or all; or none yet */
    uint64_t spans_full;
    uint64_t spans_empty;
    uint64_t spans_large; /* leased or not */
    uint32_t clients;
    uint32_t mcaches;
    uint32_t roots;
    uint32_t holds;
    uint64_t samples;      /* objects that are sampled */
    uint64_t looked_again; /* LIVE: how often something was */
    uint64_t in_motion;    /* LIVE: what was other than sound, and other each time */
    uint64_t nfaults;
};

#define GA_AUDIT_FINDINGS_MAX   8u
#define GA_AUDIT_CANDIDATES_MAX 1024u

struct ga_audit_run;

/* What one look at one thing has found; more than fit are left for when the first are mended. */
struct ga_audit_findings {
    uint32_t count;
    struct ga_audit_fault fault[GA_AUDIT_FINDINGS_MAX];
};

/* Look at the thing that is number `index` of what this looks at: fill in the findings, and keep
 * what it counts in `count`, anew at each call; again: whether it has been called for this thing
 * before. */
typedef void (*ga_audit_look)(struct ga_audit_run *run, uint64_t index, bool again, void *count,
                              struct ga_audit_findings *findings);

/* A thing that looks wrong in a heap in use, and is to be looked at again. */
struct ga_audit_candidate {
    ga_audit_look look;
    uint64_t index;
    struct ga_audit_findings wrong;
};

/* Memory for one audit at a time. It need not be cleared. */
struct ga_audit_scratch {
    uint32_t nspans[GA_MCACHE_COUNT]; /* leased to each mcache */
    uint64_t npages[GA_MCACHE_COUNT];
    struct ga_audit_candidate candidates[GA_AUDIT_CANDIDATES_MAX];
};

struct ga_audit_options {
    uint32_t flags;
    struct ga_audit_scratch *scratch;
    /* Told each fault, in the order of the tables. NULL: they are only counted. */
    void (*report)(void *data, const struct ga_audit_fault *fault);
    /* With LIVE: wait a while before all that looks wrong is looked at again, for the round-th time
     * (from 0). False: it was looked at often enough. Where more looks wrong than can be noted, the
     * rounds begin anew for each GA_AUDIT_CANDIDATES_MAX. */
    bool (*rest)(void *data, uint32_t round);
    void *data;
};

/* Audit the heap. Only what is committed is read, as long as the heap's header is sound. Returns 0
 * and what was counted, also when there are faults; -EBADMSG when the header is so damaged that no
 * table can be found: it is the one fault then. Thread-safe; without LIVE nobody may write to the
 * heap meanwhile. */
int ga_audit_run(const struct ga_view *view, const struct ga_audit_options *options,
                 struct ga_audit *ret);

#endif

/* The shadow of a heap: outside it, in memory of the test's own that every process maps, a record
 * of every object, who refers to whom, and who keeps what where. No word in it looks like a pointer
 * into the heap, so it keeps nothing alive.
 *
 * A record, or a name, is changed only by who has locked it, and is in step with the heap whenever
 * it is not locked. Nobody waits for a lock: what another has is left alone. A process that is
 * killed leaves its locks; the driver makes them doubts, which nobody can lock, and settles them
 * when everybody stands still: by then the words in the heap are the truth.
 *
 * refs counts who knows an object: edges, names, pockets, and threads that have it in their hands.
 * To know one more, somebody must know it already; so who knows it and finds 1 is the only one, and
 * may free it. The dead leave too many, until the driver counts anew. */
#ifndef GA_TESTS_MUTATION_SHADOW_H
#define GA_TESTS_MUTATION_SHADOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SHADOW_CLIENTS = 6,
    SHADOW_THREADS_MAX = 4,     /* of a client */
    SHADOW_POCKETS = 10,        /* of a thread */
    SHADOW_RECORDS_EACH = 2048, /* of a thread */
    SHADOW_RECORDS = SHADOW_CLIENTS * SHADOW_THREADS_MAX * SHADOW_RECORDS_EACH,
    SHADOW_EDGES = 6, /* of an object, at most */
    SHADOW_NAMES = 24,
};

/* What becomes of a client's objects. */
enum shadow_kind {
    SHADOW_ORDINARY,    /* they stay until somebody frees them, also when their process is dead */
    SHADOW_UNREACHABLE, /* what nothing reaches goes, once their process is dead */
    SHADOW_MANAGED,     /* what nothing reaches goes; and the process is scanned */
};

enum shadow_state {
    SHADOW_EMPTY = 0,
    SHADOW_MAKING, /* its object is being allocated */
    SHADOW_LIVE,
    SHADOW_FREED,   /* or just being freed */
    SHADOW_GARBAGE, /* nothing reached it when the driver last looked */
};

/* A lock: nobody's, a client's plus 1, or left by a dead one. */
#define SHADOW_DOUBT UINT32_MAX

/* A record by its index plus 1; 0 is none. */
typedef uint32_t shadow_id;

struct shadow_record {
    _Atomic uint32_t lock;
    _Atomic uint32_t state;
    _Atomic uint64_t hidden; /* the object's address, xor SHADOW_KEY */
    uint64_t number;         /* of this object, and no other: what its first word says */
    uint64_t bytes;
    uint32_t owner; /* client */
    uint32_t round; /* of the client */
    bool noscan;
    uint32_t nedges;
    _Atomic uint32_t refs;
    _Atomic shadow_id edge[SHADOW_EDGES];
};

struct shadow_name {
    _Atomic uint32_t lock;
    _Atomic shadow_id id;
};

struct shadow_thread {
    _Atomic uint32_t doing;  /* enum deed */
    _Atomic uint64_t parked; /* the number of the pause in which it stands still */
    _Atomic shadow_id pocket[SHADOW_POCKETS];
};

struct shadow {
    char socket[108];
    uint32_t nthreads;             /* of each client */
    bool collected;                /* the server collects; or else nobody does */
    uint32_t kind[SHADOW_CLIENTS]; /* enum shadow_kind */
    _Atomic uint32_t stop;
    _Atomic uint64_t pause;   /* the number of the pause that is wanted, 0 = none */
    _Atomic uint64_t numbers; /* given to objects so far */
    _Atomic uint64_t deeds;
    _Atomic uint64_t not_done;              /* calls that found no memory, or no server in time */
    _Atomic uint64_t damaged;               /* objects that were not what they must be */
    _Atomic uint64_t cycles;                /* that clients asked for and that came to their end */
    _Atomic uint64_t abandoned;             /* that did not */
    _Atomic uint32_t round[SHADOW_CLIENTS]; /* how many have been this client */
    struct shadow_thread thread[SHADOW_CLIENTS][SHADOW_THREADS_MAX];
    struct shadow_name name[SHADOW_NAMES];
    struct shadow_record record[SHADOW_RECORDS];
};

#define SHADOW_KEY UINT64_C(0x5ac3a55a3c963cc5)

static inline uint64_t shadow_hide(const void *p)
{
    return (uintptr_t)p ^ SHADOW_KEY;
}

static inline uint8_t *shadow_address(const struct shadow_record *record)
{
    return (uint8_t *)(uintptr_t)(atomic_load(&record->hidden) ^ SHADOW_KEY);
}

static inline struct shadow_record *shadow_record(struct shadow *shadow, shadow_id id)
{
    return &shadow->record[id - 1];
}

static inline bool shadow_try_lock(_Atomic uint32_t *lock, uint32_t client)
{
    uint32_t nobody = 0;
    return atomic_compare_exchange_strong(lock, &nobody, client + 1);
}

static inline void shadow_unlock(_Atomic uint32_t *lock)
{
    atomic_store(lock, 0);
}

/* Make a shadow in memory that a child can map too, through *ret_fd. Exits if there is none. */
struct shadow *shadow_make(int *ret_fd);
struct shadow *shadow_open(int fd);

/* The client is dead: its locks are doubts, its pockets empty, and what it was making or freeing is
 * left to who looks. Returns how many objects it may have made that have no record. */
uint32_t shadow_bury(struct shadow *shadow, uint32_t client);

/* What the record says, in text, which is returned. */
enum { SHADOW_TEXT_BYTES = 200 };
const char *shadow_text(struct shadow *shadow, shadow_id id, char text[static SHADOW_TEXT_BYTES]);

#endif

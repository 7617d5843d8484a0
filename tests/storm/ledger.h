/* The storm's ledger: outside the heap, in memory of the test's own that every process maps, an
 * entry for every object that there is, and what somebody is doing with it. A process that is
 * killed leaves its entries as they are; so what exists and what may exist is known afterwards. */
#ifndef GA_TESTS_STORM_LEDGER_H
#define GA_TESTS_STORM_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STORM_CLIENTS_MAX = 64,
    STORM_THREADS_MAX = 16,
    STORM_ENTRIES = 256, /* of each thread */
};

enum storm_state {
    STORM_EMPTY = 0,
    STORM_ALLOCATING, /* object is NULL until malloc has returned */
    STORM_LIVE,       /* whole, its bytes as fill leaves them; anybody may take it */
    STORM_UNFILLED,   /* as live, but its bytes are anything: who made it is dead */
    STORM_FREEING,    /* the actor has taken it, and frees it */
    STORM_RESIZING,   /* the actor has taken it; it may have moved */
    STORM_NAMING,     /* the actor has taken it, and leaves it as it was */
};

struct storm_entry {
    _Atomic uint64_t state; /* and who acts: see storm_word */
    _Atomic(uint8_t *) object;
    uint64_t bytes;
    uint64_t seed;
};

struct storm_ledger {
    char socket[108];
    uint32_t nclients;
    uint32_t nthreads;
    _Atomic uint32_t stop;
    _Atomic uint64_t operations;
    _Atomic uint64_t failed;  /* allocations that found no memory, or no server in time */
    _Atomic uint64_t damaged; /* objects whose bytes were not as they were left */
    _Atomic uint64_t reports; /* frees that were refused, and the like */
    _Atomic uint32_t round[STORM_CLIENTS_MAX]; /* how often each client got to work */
    struct storm_entry entry[STORM_CLIENTS_MAX][STORM_THREADS_MAX][STORM_ENTRIES];
};

/* A state, and the client that acts. */
static inline uint64_t storm_word(enum storm_state state, uint32_t client)
{
    return (uint64_t)client << 8 | state;
}

static inline enum storm_state storm_state_of(uint64_t word)
{
    return (enum storm_state)(word & 0xff);
}

static inline uint32_t storm_client_of(uint64_t word)
{
    return (uint32_t)(word >> 8);
}

/* Make a ledger in memory that a child can map too, through *ret_fd. Exits if there is none. */
struct storm_ledger *storm_ledger_make(int *ret_fd);
struct storm_ledger *storm_ledger_open(int fd);

/* Whose entry it is, and what it says; in text, which is returned. */
enum { STORM_TEXT_BYTES = 160 };
const char *storm_entry_text(const struct storm_ledger *ledger, const struct storm_entry *e,
                             char text[static STORM_TEXT_BYTES]);

/* What an object's bytes are. */
void storm_fill(uint8_t *object, uint64_t bytes, uint64_t seed);
bool storm_is_intact(const uint8_t *object, uint64_t bytes, uint64_t seed);

#endif

/* What is said between client and heap core where both are in one process (client/malloc and
 * server/own): the messages of goalloc.proto, as calls. Nothing is packed, and neither side sees
 * the other's headers. Of a process's one heap; by one thread at a time. */
#ifndef GA_PROTO_OWN_CORE_H
#define GA_PROTO_OWN_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/message.h"

/* Where the heap lies, its tables, and the core's own books: all zero, and the process's. */
struct ga_own_memory {
    void *heap;
    void *meta;
    void *bits;
    void *near_books; /* for tables of which little is touched: beside meta's beginning */
    void *books;
    uint64_t heap_bytes;
    uint64_t near_books_bytes;
    bool is_counted; /* somebody counts what may be written: the core says what is to be */
    uint64_t books_bytes;
};

/* What the core asks of the process. 0 or negative errno. */
struct ga_own_world {
    /* The first bytes of the heap may be read and written. */
    int (*open_heap)(uint64_t bytes);
    /* So many of them are used from now on. */
    void (*grown)(uint64_t bytes);
    /* So may [offset, offset + bytes) of meta, or of bits. */
    int (*open_table)(bool meta, uint64_t offset, uint64_t bytes);
    /* [offset, offset + bytes) of the heap has no memory from now on, and is zero. */
    int (*punch)(uint64_t offset, uint64_t bytes);
};

/* Make the heap, with the process as its one client, whose number, from 1, is *ret_client. Once;
 * both arguments' contents are copied. 0 or negative errno. */
int ga_own_core_make(const struct ga_own_memory *memory, const struct ga_own_world *world,
                     uint32_t *ret_client);
/* How densely it samples, in place of Go's 512 KiB; 0 = not at all. */
void ga_own_core_set_profile_rate(uint64_t rate_bytes);

/* An answer, and what its message lies in. */
struct ga_own_reply {
    Goalloc__V1__Envelope message;
    union {
        Goalloc__V1__Done done;
        Goalloc__V1__Mcache mcache;
        Goalloc__V1__Leases leases;
        Goalloc__V1__LargeSpan large_span;
    } body;
    uint32_t pages[GA_LEASES_MAX_PAGES];
};

/* Answer a request. 0, or the negative errno that a server would send. */
int ga_own_core_answer(const Goalloc__V1__Envelope *request, struct ga_own_reply *reply);
void ga_own_core_take_note(const Goalloc__V1__Envelope *note);
/* Somebody has come by: once a second, what was free all the while goes back to the system. Returns
 * whether threads are to give back what they have not needed lately. */
bool ga_own_core_tick(void);
/* The thread that had the mcache is gone, and the process goes on: its spans go to those who need
 * some, with what it was at. */
void ga_own_core_mcache_gone(uint32_t mcache);
/* Give all free memory back to the system but pad bytes. Returns how much that was. */
uint64_t ga_own_core_release(uint64_t pad);

#define GA_OWN_CLASSES 68u /* 0 = large */

struct ga_own_figures {
    uint64_t alloc_bytes;
    uint64_t total_alloc_bytes;
    uint64_t mallocs;
    uint64_t frees;
    uint64_t heap_objects;
    uint64_t inuse_bytes;    /* in spans */
    uint64_t idle_bytes;     /* in no span, with memory */
    uint64_t resident_bytes; /* of the heap */
    uint64_t books_bytes;    /* for what is in use */
    struct {
        uint64_t mallocs;
        uint64_t frees;
        uint64_t spans;
        uint64_t alloc_bytes;
    } by_class[GA_OWN_CLASSES];
};
void ga_own_core_figures(struct ga_own_figures *ret);

struct ga_own_count {
    uint64_t objects;
    uint64_t bytes;
};
struct ga_own_leavings {
    uint32_t collection; /* what the sites of profiles call it */
    struct ga_own_count left;
    struct ga_own_count lost; /* of these, what nothing reaches */
    struct ga_own_count lost_by_class[GA_OWN_CLASSES];
};
/* What is left in the heap of who is at an end: all that threads have is given up, and nothing may
 * be allocated any more. Begin, add what memory points to, offsets from the heap's beginning, and
 * ask what nothing reaches. 0 or negative errno. */
int ga_own_core_begin_leavings(void);
int ga_own_core_add_roots(const uint64_t *offsets, uint32_t n);
int ga_own_core_end_leavings(struct ga_own_leavings *ret);

#endif

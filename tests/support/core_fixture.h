/* A heap core in private memory: meta and bits are mappings that cannot be touched where the core
 * has not committed them, so that a piece it forgot ends the test. The effects count, watch what
 * they are asked, and can be told to fail. Beside it the steps of a client, as the slot protocol
 * has them, done by hand; and an audit of everything the core keeps. */
#ifndef GA_TESTS_CORE_FIXTURE_H
#define GA_TESTS_CORE_FIXTURE_H

#include "server/heap_internal.h"
#include "shm/audit.h"

#define GA_CORE_BASE UINT64_C(0x550000000000)
#define GA_CORE_MIB  (UINT64_C(1) << 20)

/* The span that an mcache allocates from. */
struct ga_core_current {
    uint32_t key;
    ga_page_id page;
};
#define GA_CORE_CURRENT_COUNT 4099u

struct ga_core {
    struct ga_heap *heap;
    struct ga_heap_config config;
    struct ga_heap_effects effects;
    struct ga_view view;
    char *objects[GA_OBJECT_COUNT]; /* meta and bits; NULL for the heap */
    uint64_t object_bytes[GA_OBJECT_COUNT];
    uint64_t heap_end;           /* the heap object's length */
    uint64_t heap_backed;        /* committed from its beginning on */
    uint8_t *punched;            /* of its pages, that have no memory since */
    uint64_t npunches;           /* calls */
    uint64_t npunched;           /* pages that had memory until then */
    uint64_t nrecommits;         /* calls, the failed ones included */
    uint64_t nwaits;             /* for a release */
    bool fail_punch;             /* all of them */
    uint64_t nrecommitted_whole; /* pages that had memory */
    bool fail_recommit;          /* all of them */
    uint64_t ncommits;           /* calls, the failed ones included */
    uint64_t fail_commit;        /* this many calls from now one fails; 0 = none */
    uint64_t fail_above;         /* commits of more heap bytes than this fail; 0 = none */
    bool fail_shrink;            /* making the heap object shorter fails */
    bool fail_extend;            /* all of them */
    uint64_t backed_bytes;       /* of meta and bits */
    uint64_t nextends;
    uint64_t nreclaims;
    uint64_t now_ms;
    uint64_t wall_ms;
    uint64_t nbad;        /* effects that were asked what makes no sense */
    uint32_t audit_flags; /* who may be midway (shm/audit.h) when the core is audited */
    struct ga_core_current current[GA_CORE_CURRENT_COUNT];
};

/* Prepare objects and effects for a heap of reserve_bytes, but make no heap yet. limit_bytes as in
 * the configuration. */
void ga_core_init(struct ga_core *core, uint64_t reserve_bytes, uint64_t limit_bytes);
/* Make the heap. Returns what ga_heap_new does. */
int ga_core_make(struct ga_core *core);
/* Both, where the test cannot do without. */
void ga_core_open(struct ga_core *core, uint64_t reserve_bytes, uint64_t limit_bytes);
/* Forget the books and take the heap over, as a server that starts anew does. Returns what
 * ga_heap_adopt does; on failure there is no heap. */
int ga_core_adopt(struct ga_core *core, char ret_why[static GA_ADOPT_WHY_BYTES]);
void ga_core_close(struct ga_core *core);

/* Attach a process; attach one and make an mcache for it. */
ga_client_id ga_core_attach(struct ga_core *core);
ga_mcache_id ga_core_mcache(struct ga_core *core, ga_client_id client);

/* As ga_heap_large_alloc, and the client takes what it is granted. */
int ga_core_large_alloc(struct ga_core *core, ga_client_id client, ga_mcache_id mcache,
                        uint64_t bytes, bool noscan, ga_page_id *ret_page, bool *ret_zeroed);

/* The client takes the large span that it was granted. */
void ga_core_take_large(struct ga_core *core, ga_mcache_id mcache, ga_page_id page);
/* Free a large object; its own span goes back to the server at once. */
void ga_core_free_large(struct ga_core *core, ga_client_id client, ga_mcache_id mcache,
                        ga_page_id page);

/* Have the release that is under way done, as the shell does; and begin one and do it at once.
 * Returns its pages. */
void ga_core_end_release(struct ga_core *core);
uint64_t ga_core_release(struct ga_core *core);
/* Of the heap's extent, pages without memory. */
uint64_t ga_core_nholes(const struct ga_core *core);

/* Lease one span and begin the lease. 0 if none is to be had. */
ga_page_id ga_core_lease(struct ga_core *core, ga_client_id client, ga_mcache_id mcache,
                         ga_span_class span_class);
/* Allocate from the span from now on. False if it has no free slot. */
bool ga_core_claim(struct ga_core *core, ga_mcache_id mcache, ga_page_id page);
/* Take the lowest free slot of the span claimed last; -ENOENT when there is none. */
int ga_core_malloc(struct ga_core *core, ga_mcache_id mcache, ga_span_class span_class,
                   struct ga_slot *ret);
/* Free as the holder does, or as everybody else. False if refused. */
bool ga_core_free_own(struct ga_core *core, ga_mcache_id mcache, const struct ga_slot *slot);
bool ga_core_free_other(struct ga_core *core, ga_mcache_id mcache, const struct ga_slot *slot);
/* Give the span back: the protocol's part, and then the message. */
void ga_core_end_lease(struct ga_core *core, ga_mcache_id mcache, ga_page_id page);
int ga_core_return(struct ga_core *core, ga_client_id client, ga_mcache_id mcache, ga_page_id page);

/* A slot of the span at page. */
struct ga_slot ga_core_slot(const struct ga_core *core, ga_page_id page, uint32_t index);
bool ga_core_in_use(const struct ga_core *core, const struct ga_slot *slot);
bool ga_core_is_pending(const struct ga_core *core, ga_page_id page);
bool ga_core_is_in_inbox(const struct ga_core *core, ga_mcache_id mcache, ga_span_class span_class,
                         ga_page_id page);

/* Count the slots in use of every span. */
void ga_core_recount(struct ga_core *core, uint64_t *ret_objects, uint64_t *ret_bytes);

/* Check everything the core keeps against everything else: pages, entries, lists, counts, arenas,
 * backing. Returns NULL, or the clause that is not true. */
const char *ga_core_audit(struct ga_core *core);
/* The same without what clients write, which may say anything. */
const char *ga_core_audit_books(struct ga_core *core);
/* Assert that ga_core_audit finds nothing, and say what it finds. */
void ga_core_check_sound(struct ga_core *core);

/* The part of that which needs no server. The text is valid until the next audit. */
const char *ga_core_audit_shared(const struct ga_core *core, uint32_t flags, struct ga_audit *ret);

#endif

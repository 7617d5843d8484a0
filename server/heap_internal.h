/* The core's own state, shared by its files. */
#ifndef GA_SERVER_HEAP_INTERNAL_H
#define GA_SERVER_HEAP_INTERNAL_H

#include "server/backing.h"
#include "server/heap.h"
#include "server/mcentral.h"
#include "server/page_alloc.h"
#include "server/scavenge.h"
#include "shm/slot.h"

/* What the server knows of an mcache beside its public entry. */
struct ga_mcache_record {
    uint32_t client_plus_1; /* whose it is, 0 = nobody's */
    uint32_t next;          /* the client's next mcache, or the next unused id; 0 = none */
    struct ga_span_list leased;
    uint64_t ring_head; /* the sequence of the last entry written to its ring; outlives clients */
    uint64_t leased_bytes;
    uint32_t leased_by_class[GA_SIZE_CLASS_COUNT]; /* spans; the list may be too long to count */
    bool suspected; /* its words were found to be what cannot be, and somebody was told */
};

struct ga_client_record {
    uint32_t first_mcache;
    uint32_t nmcaches;
    struct ga_span_list large; /* the large spans it asked for */
    uint64_t attached_ms;      /* by the effects' clock */
    bool quarantined;
};

/* The request that is being carried out; client_plus_1 0 = one that is not noted. */
struct ga_request {
    uint64_t id;
    uint32_t client_plus_1;
    uint32_t place;
};

/* What ga_heap_has_unneeded has found; stats.c. */
struct ga_unneeded {
    uint64_t activity; /* mallocs, frees and leases, of all that was ever done */
    uint32_t ncalls;   /* with the same activity */
};

/* The sweep of pending bits; sweep.c. */
struct ga_sweep {
    uint64_t next;          /* the word of them that is looked at next */
    uint64_t nsteps;        /* words looked at on the way round, ever */
    uint64_t credit_npages; /* came back beyond what was taken since */
    uint64_t pass_nwords;   /* left of the loop's pass */
    uint64_t unseen_nwords; /* by the request that is carried out */
    uint64_t nwords;        /* ever looked at; and spans */
    uint64_t nspans;
    uint64_t nwords_end; /* what those may be before the request looks at no more */
    uint64_t nspans_end;
};

struct ga_heap {
    struct ga_heap_effects effects;
    struct ga_meta_header *meta;
    struct ga_bits_header *bits_header;
    struct ga_view view;
    struct ga_table_counts counts;
    /* The writable face of what view shows read-only. */
    struct ga_arena_entry *arenas;
    struct ga_client_entry *clients;
    struct ga_mcache_entry *mcache_entries;
    struct ga_ring *rings;
    struct ga_root_entry *roots;
    struct ga_hold *holds;
    struct ga_profile_entry *profile_entries;
    ga_page_word *page_table;

    struct ga_backing meta_backing;
    struct ga_backing bits_backing;

    /* mheap */
    struct ga_page_alloc *pages;
    uint64_t npages_reserved;
    uint64_t npages_limit;     /* of those that have memory */
    uint64_t npages_committed; /* the heap's extent */
    uint64_t npages_inuse;
    uint64_t narenas_prepared; /* inside the object, Ready ones included */
    uint64_t zeroed_from;      /* pages from here on have never been handed out */
    struct ga_mspan *mspans;   /* by first page; moved when the heap outgrows them */
    uint64_t nmspans;          /* there is room for */
    uint64_t nspans;
    uint64_t nspans_leased;
    uint64_t nspans_tiny;
    uint64_t spans_by_class[68];
    struct ga_mcentral central[GA_SPAN_CLASS_COUNT];
    struct ga_span_list orphans;
    bool has_new_orphans; /* large ones too; since the last cycle */
    struct ga_scavenge scavenge;

    /* clients, mcaches, roots */
    struct ga_client_record *client_records;
    struct ga_mcache_record *mcaches; /* moved when there are more */
    uint32_t nmcache_records;         /* there is room for */
    uint32_t nclients;
    uint32_t nleaving;
    uint32_t client_end; /* no entry from here on was ever used */
    uint32_t nmcaches;
    uint32_t mcache_end;    /* as client_end; ids begin at 1 */
    uint32_t unused_mcache; /* first of the ids given back */
    uint32_t nroots;
    uint32_t root_end;
    uint32_t hold_end;

    struct ga_quota quota;
    struct ga_request request;

    struct ga_sweep sweep;
    struct ga_unneeded unneeded;
    uint64_t started_ms;
    uint64_t managed_bytes; /* ga_heap_managed_bytes */

    const void *memory; /* the heap object as it is mapped here, for marking; NULL = it is not */
    struct ga_collect *collect; /* of the last cycle, or the one under way; NULL = none yet */
};

static inline struct ga_mcache_record *ga_mcache_record(const struct ga_heap *heap, ga_mcache_id id)
{
    return &heap->mcaches[id];
}

/* ---- books.c ---- */

/* The tables by page and by mcache, for a heap whose reserve and counts are known. 0 or -ENOMEM. */
int ga_books_init(struct ga_heap *heap, bool is_own);
void ga_books_fini(struct ga_heap *heap);
/* Have room for the pages before end, and for the mcache. All of it moves for that. 0, or -ENOMEM,
 * and all is as before. */
int ga_books_have_pages(struct ga_heap *heap, uint64_t end);
int ga_books_have_mcache(struct ga_heap *heap, ga_mcache_id id);

/* heap.c: what making a heap and taking one over have in common. */

/* Whether the configuration makes sense: 0 or -EINVAL. */
int ga_heap_check_config(const struct ga_heap_config *config);
/* The books of a heap that has nothing in it yet. They lie in private memory; large tables are zero
 * pages until they are touched. 0 or -ENOMEM. */
int ga_heap_new_books(const struct ga_heap_config *config, const struct ga_heap_effects *effects,
                      struct ga_heap **ret);
/* Find the tables of the heap in these objects, whose header is right. */
void ga_heap_point_into(struct ga_heap *heap, void *meta, void *bits);

/* Write the header of bits, by which clients see that the objects belong together. Any of them can
 * spoil it, and none may thereby keep out those that come later: so it is written again before each
 * of these looks at it. */
void ga_heap_sign_bits(struct ga_heap *heap);

/* mheap.c: spans out of page runs. */

/* Make a span of npages, all of its slots free. A large span (size class 0) is for client to take.
 * Returns 0, *ret_page, and whether its memory may be other than zero; -ENOMEM. */
int ga_mheap_new_span(struct ga_heap *heap, ga_span_class span_class, uint64_t npages,
                      uint32_t client_plus_1, ga_page_id *ret_page, bool *ret_needzero);
/* The same for a large span whose address is a multiple of align_npages, a power of two, pages. */
int ga_mheap_new_aligned_span(struct ga_heap *heap, bool noscan, uint64_t npages,
                              uint64_t align_npages, uint32_t client_plus_1, ga_page_id *ret_page,
                              bool *ret_needzero);
/* Grow the heap so that npages from page on, which may be its end, are free, if nothing lies behind
 * page; and if there is no run of instead pages elsewhere. 0 or -ENOMEM. */
int ga_mheap_grow_behind(struct ga_heap *heap, uint64_t page, uint64_t npages, uint64_t instead);
/* Take these pages, which are free, for a span: they have memory then. 0, and whether all of it is
 * known to be zero; -ENOMEM, and they are free still. */
int ga_mheap_take(struct ga_heap *heap, uint64_t page, uint64_t npages, bool *ret_zeroed);
/* Whether a heap that has released all it can has room for npages more in use. */
bool ga_mheap_may_use(const struct ga_heap *heap, uint64_t npages);
/* A large span's client is gone: its object is nobody's. */
void ga_mheap_disown_large(struct ga_heap *heap, ga_page_id page);
/* Give back a span that nobody leases, that is on no list, and whose slots are all free. */
void ga_mheap_free_span(struct ga_heap *heap, ga_page_id page);
/* Back what is kept for each page of [page, page + npages); and what a span of the class at page
 * has beside its line: the wide part of the bitmaps, or tiny bits. 0 or -ENOMEM. */
int ga_mheap_back_tables(struct ga_heap *heap, uint64_t page, uint64_t npages);
int ga_mheap_back_bits(struct ga_heap *heap, uint64_t page, ga_span_class span_class);
/* Say in the arena table how much of each arena is committed and prepared. */
void ga_mheap_mark_arenas(struct ga_heap *heap);
/* How many slots a span has, blocks if it is tiny. */
uint32_t ga_mheap_nslots(ga_span_class span_class);
/* Store the span's owner in its entry (seq_cst: pairs with who frees and then looks whom to tell).
 * flags: to be set with the same store. */
void ga_mheap_set_owner(struct ga_heap *heap, ga_page_id page, ga_mcache_id owner, uint64_t flags);
/* Its objects go when nothing reaches them. */
bool ga_mheap_is_orphan(const struct ga_heap *heap, ga_page_id page);

/* lease.c */

/* Find a span with free slots that nobody leases, or make one, for client to lease. 0, -EDQUOT or
 * -ENOMEM. */
int ga_lease_find_span(struct ga_heap *heap, ga_client_id client, ga_span_class span_class,
                       ga_page_id *ret_page);
/* Lease the span at page, which is on no list, to mcache. */
void ga_lease_grant(struct ga_heap *heap, ga_mcache_id mcache, ga_page_id page);
/* The lease on the span at page has ended: take it over. */
void ga_lease_end(struct ga_heap *heap, ga_page_id page);
/* A server that takes the heap over finds the span at page, on its owner's list or on none:
 * end a lease that is over, tell an owner what the old server may have kept to itself, and find the
 * place of a span that nobody leases. */
void ga_lease_take_over(struct ga_heap *heap, ga_page_id page);
/* The leased span at page is about to be npages long. */
void ga_lease_note_length(struct ga_heap *heap, ga_page_id page, uint64_t npages);
/* A client has a new connection: end those of mcache's leases that were never begun, and never will
 * be, for they are not in its ring; or those that it has returned. Free the client's large spans
 * that were never taken. */
void ga_lease_end_unbegun(struct ga_heap *heap, ga_mcache_id mcache);
void ga_lease_end_returned(struct ga_heap *heap, ga_mcache_id mcache);
void ga_lease_free_untaken(struct ga_heap *heap, ga_client_id client);
/* Somebody may have freed slots of the span at page, which nobody leases: find its place again. */
void ga_lease_look_again(struct ga_heap *heap, ga_page_id page);
/* Somebody freed slots of the span at page and found nobody leasing it. */
void ga_lease_take_news(struct ga_heap *heap, ga_page_id page);
/* The client, plus 1, that leases the span at page or asked for it; 0 = none. */
uint32_t ga_lease_client(const struct ga_heap *heap, ga_page_id page);

/* sweep.c */

/* A request begins that may take spans: from here on it looks at so much, and no more. */
void ga_sweep_begin_request(struct ga_heap *heap);
/* The request takes npages: have as many come back first, if they are there, by credit or by what
 * it may still look at. */
void ga_sweep_reclaim(struct ga_heap *heap, uint64_t npages);
/* The same until the class has a span with free slots, if it has full ones. */
void ga_sweep_for_class(struct ga_heap *heap, ga_span_class span_class);
/* The request is about to be refused something: look at a part of what it has not seen. False if it
 * has seen everything, and asking again is no use. */
bool ga_sweep_rest(struct ga_heap *heap);

/* adopt.c: the least limit, in bytes, with which a heap is taken over. */
uint64_t ga_adopt_least_limit(uint64_t npages_committed, uint64_t npages_inuse);

/* recover.c: somebody is about to be refused something. Recover a slice of a client that is
 * leaving; false if there is none, and asking again is no use. */
bool ga_recover_some(struct ga_heap *heap);
/* Finish the flushes that another server was killed in the middle of. Before any span is looked at.
 */
void ga_recover_adopt_batches(struct ga_heap *heap);
/* Finish what is left of clients whose recovery another server had begun. */
void ga_recover_adopt(struct ga_heap *heap);
/* Take cost from what is left of a slice. False if nothing is. */
bool ga_recover_takes(uint32_t *left, uint32_t cost);

/* large.c */

/* A large span that nobody leases: free it if its object is gone, else it stays where it is. */
void ga_large_settle(struct ga_heap *heap, ga_page_id page);

/* ring.c: make mcache's ring ready for a new client: backed, empty, its count where the server's
 * is. 0 or -ENOMEM. */
int ga_ring_prepare(struct ga_heap *heap, ga_mcache_id mcache);
/* Whether mcache can have taken as much from its ring as it says. */
bool ga_ring_count_can_be(const struct ga_heap *heap, ga_mcache_id mcache);
/* Whether the span lies in mcache's ring and has not been taken from it. */
bool ga_ring_has(const struct ga_heap *heap, ga_mcache_id mcache, ga_page_id page);
/* Rebuild the server's count of a ring, which must be backed, from its entries, and complete or
 * drop the grant that the former server was at: by the page table, which says whether it was made.
 */
void ga_ring_adopt(struct ga_heap *heap, ga_mcache_id mcache);

/* clients.c */

/* The record of mcache if it is client's, who is not in quarantine, else NULL. */
struct ga_mcache_record *ga_clients_mcache(struct ga_heap *heap, ga_client_id client,
                                           ga_mcache_id mcache);
bool ga_clients_is_attached(const struct ga_heap *heap, ga_client_id client);
/* Whether client is attached, and not in quarantine. */
bool ga_clients_is_served(const struct ga_heap *heap, ga_client_id client);
bool ga_clients_is_private(const struct ga_heap *heap, ga_client_id client);
/* Whether client's objects are collected; it is attached or leaving. */
bool ga_clients_is_managed(const struct ga_heap *heap, ga_client_id client);
/* Whether spans with other clients' objects are none of client's, nor its own anybody else's. */
bool ga_clients_is_apart(const struct ga_heap *heap, ga_client_id client);
/* Whether what client leaves, when a lease of its ends now, goes when nothing reaches it. */
bool ga_clients_leaves_orphans(const struct ga_heap *heap, ga_client_id client);
/* The server has freed n objects of the class, of so many bytes: count it, where nobody else does.
 */
void ga_clients_count_frees(struct ga_heap *heap, ga_span_class span_class, uint64_t n,
                            uint64_t bytes);
/* A span of npages was granted to the client, plus 1. */
void ga_clients_count_grant(struct ga_heap *heap, uint32_t client_plus_1, uint64_t npages);
/* Back the gc words of count clients from client on. 0 or -ENOMEM. */
int ga_clients_back_gc_words(struct ga_heap *heap, ga_client_id client, uint32_t count);
bool ga_clients_is_leaving(const struct ga_heap *heap, ga_client_id client);
/* The client's mcache, which has been recovered, is nobody's. */
void ga_clients_drop_mcache(struct ga_heap *heap, ga_client_id client, ga_mcache_id mcache);
/* Make the records of clients and mcaches again from their tables, which are backed and right.
 * 0 or -EAGAIN (no accounts). */
int ga_clients_rebuild(struct ga_heap *heap);

/* holds.c: finish what another server was at, and show again what is held. The table is backed and
 * right. */
void ga_holds_adopt(struct ga_heap *heap);
/* What client held is held no more by it. False if *left has run out before. */
bool ga_holds_recover(struct ga_heap *heap, ga_client_id client, uint32_t *left);
/* What it costs to look through the holds, in spans that could be taken back meanwhile. */
uint32_t ga_holds_cost(const struct ga_heap *heap);
/* Enter the holds, and roots, of a heap that is taken over in the books. */
void ga_holds_enter(struct ga_heap *heap);
void ga_roots_enter(struct ga_heap *heap);
/* Of slots of the span at page, which are in use and are to be freed: put off the free of those
 * that somebody holds, and take them out of slots. Returns of how many it was not put off already.
 */
uint32_t ga_holds_put_off_span(struct ga_heap *heap, ga_page_id page,
                               uint64_t slots[static GA_SPAN_WORDS]);
/* The slot that begins at offset, in a span in use; of a tiny span, only the span. */
bool ga_holds_find_slot(const struct ga_heap *heap, uint64_t offset, struct ga_slot *ret);
/* Whether anybody holds the object. */
bool ga_holds_any(struct ga_heap *heap, uint64_t offset);

/* journal.c */

/* A change of roots or holds, as struct ga_journal has it. */
struct ga_change {
    uint32_t kind;
    uint32_t index;
    uint32_t count;
    uint32_t publisher;
    uint64_t offset;
    uint64_t old_offset;
};
/* From begin on the change will be made, if not by this server then by the next; with end it is
 * made, and the request that asked for it answered. */
void ga_journal_begin(struct ga_heap *heap, const struct ga_change *change);
void ga_journal_end(struct ga_heap *heap);
/* Make the change that another server had begun, if any, after ga_holds_adopt. */
void ga_journal_adopt(struct ga_heap *heap);
/* roots.c, holds.c: the change itself, which may have been made, in whole or in part. */
void ga_roots_repeat(struct ga_heap *heap, const struct ga_journal *journal);
void ga_holds_repeat(struct ga_heap *heap, const struct ga_journal *journal);
/* The client is a new one, and nothing is noted of it. */
void ga_journal_forget_outcomes(struct ga_client_entry *entry);

/* roots.c: what client has published stays, but is nobody's. */
void ga_roots_client_gone(struct ga_heap *heap, ga_client_id client);
/* Take back every root, whoever published it, of an object in client's spans. */
void ga_roots_unpublish_spans(struct ga_heap *heap, ga_client_id client);
/* Whether the object that begins at offset is published. */
bool ga_roots_has(const struct ga_heap *heap, uint64_t offset);

/* collect.c: a hold or a root of what lies at offset is no more. If that is marked just now, it
 * counts as held until then: whoever held it may have moved the only pointer to it from where the
 * marking had not been to where it had. */
void ga_collect_note_let_go(struct ga_heap *heap, uint64_t offset);
/* collect.c: give back what the last cycle has left. */
void ga_collect_free_books(struct ga_heap *heap);

/* stats.c: the clock by which spans age, in seconds. */
uint32_t ga_heap_now_s(const struct ga_heap *heap);

/* profile.c */

/* Back the entries of count clients from client on; or those of the first count clients, and what
 * they say is backed of their profiles. 0 or -ENOMEM. */
int ga_profiles_back_entries(struct ga_heap *heap, ga_client_id client, uint32_t count);
int ga_profiles_back_again(struct ga_heap *heap, uint32_t count);
/* How many words a set of samples has in a heap whose clients sample at this rate: 16 times as many
 * as that many pages are expected to have of samples, as far as the layout allows. */
uint64_t ga_profiles_sample_words(uint64_t rate_bytes);
/* Whether there is a profile under this number, be it of a client that is gone. */
bool ga_profiles_is_kept(const struct ga_heap *heap, ga_client_id client);
/* The free number whose client has been gone for longest, if enough profiles are kept that it may
 * be given away; else as many as there are. */
ga_client_id ga_profiles_oldest(const struct ga_heap *heap);
/* The number is about to be a client's; is nobody's any more. */
void ga_profiles_begin(struct ga_heap *heap, ga_client_id client);
void ga_profiles_client_gone(struct ga_heap *heap, ga_client_id client);
/* Whether an object in the span may be sampled; clients can write that. */
bool ga_profiles_has_samples(const struct ga_heap *heap, ga_page_id page);
/* The server frees the object at offset, or these slots of a word, in the span at page: before they
 * are free. */
void ga_profiles_freed(struct ga_heap *heap, ga_page_id page, uint64_t offset);
void ga_profiles_freed_slots(struct ga_heap *heap, ga_page_id page, uint32_t word, uint64_t slots);
/* Nothing reaches these slots of a word, in the span at page, says a collection: their sites tell
 * how many those are. */
void ga_profiles_unreached_slots(const struct ga_heap *heap, ga_page_id page, uint32_t word,
                                 uint64_t slots, uint32_t collection);
/* The span is gone, and nothing in it is in use. */
void ga_profiles_forget_span(struct ga_heap *heap, ga_page_id page, uint64_t npages);

/* handles.c */

/* Back the handles of count clients from client on. 0 or -ENOMEM. */
int ga_handles_back(struct ga_heap *heap, ga_client_id client, uint32_t count);
/* The number is about to be a client's: its handles are empty. */
void ga_handles_begin(struct ga_heap *heap, ga_client_id client);
/* Free what client, which is gone, has in its handles or was allocating into them. Before anything
 * else of it is taken back; may be broken off and done again. */
void ga_handles_client_gone(struct ga_heap *heap, ga_client_id client);

#endif

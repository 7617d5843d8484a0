/* The scavenger's policy: how much memory the heap may retain, and which free pages lose theirs.
 * Retained is what is committed and not scavenged: what the limit is about. Internal to the core;
 * the shell's part of it is in heap.h. */
#ifndef GA_SERVER_SCAVENGE_H
#define GA_SERVER_SCAVENGE_H

#include "server/heap.h"
#include "server/scavenge_candidate.h"

struct ga_scavenge {
    uint64_t soft_limit_bytes; /* of all three objects; 0 = none */
    struct ga_release_grain background;
    struct ga_release_grain forced;
    uint64_t peak_npages;      /* in use at most in this period */
    uint64_t last_peak_npages; /* and in the one before */
    uint64_t grown_npages;     /* not yet made up for */
    uint64_t credit_npages;    /* released for a growth beyond what it asked for */
    bool has_unpunched;        /* some scavenged page may have memory, and what was in it */
    /* The release under way: nobody has these pages, and they are retained until it is done. */
    struct ga_page_run runs[GA_RELEASE_RUNS]; /* of npages 0: done */
    uint32_t nruns;
    uint64_t releasing_npages;
};

void ga_scavenge_init(struct ga_scavenge *scavenge, const struct ga_heap_config *config);

/* Pages whose memory the heap has. */
uint64_t ga_scavenge_retained(const struct ga_heap *heap);
/* The pages in use are more than they were. If the heap grew for that, then what it has beyond the
 * goal, up to what it grew by, is released at once, and not when the background comes to it. */
void ga_scavenge_note_inuse(struct ga_heap *heap);

/* The heap is about to retain npages more, or already does, by taking scavenged pages (then npages
 * is 0): release others, so that it stays within its limits. 0; -ENOMEM where it cannot stay within
 * the hard one. The soft one is kept as far as there is anything to release. */
int ga_scavenge_make_room(struct ga_heap *heap, uint64_t npages);
/* How many pages the heap could grow by without passing a limit. */
uint64_t ga_scavenge_room(const struct ga_heap *heap);

/* Release up to npages at once. Returns how many were: none while a collection marks. */
uint64_t ga_scavenge_now(struct ga_heap *heap, uint64_t npages);
/* Have memory again behind those of the pages that are marked as scavenged. 0; or -ENOMEM, and then
 * they stay marked, and some may have memory. Nothing else is asked for: who asks for pages that
 * have memory, and are not written to as yet, and in the end does not get it all, loses them. */
int ga_scavenge_recommit(struct ga_heap *heap, uint64_t page, uint64_t npages);
/* Pages that were taken, of which some are scavenged, are not to be had after all: they are free
 * again, as they were. */
void ga_scavenge_taken(struct ga_heap *heap, uint64_t page, uint64_t npages);

/* Pages that were marked as scavenged have memory, again or still. */
void ga_scavenge_unmark(struct ga_heap *heap, uint64_t page, uint64_t npages);

/* A server that takes the heap over has entered the pages that are marked as scavenged: make sure
 * that none of them has memory. */
void ga_scavenge_adopt(struct ga_heap *heap);

#endif

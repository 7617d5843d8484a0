/* mspan: the server's private record of each span, kept in an array by first page, and lists of
 * spans linked through it. Nothing a client can write is in here. */
#ifndef GA_SERVER_MSPAN_H
#define GA_SERVER_MSPAN_H

#include <stdbool.h>

#include "shm/layout.h"

/* Which list a span is on, or that it is on none. */
enum ga_span_place {
    GA_SPAN_UNUSED = 0, /* no span begins at this page */
    GA_SPAN_LEASED,     /* an mcache allocates from it; on that mcache's list */
    GA_SPAN_PARTIAL,    /* nobody leases it, and it has free slots; in mcentral */
    GA_SPAN_FULL,       /* nobody leases it, and every slot is in use; in mcentral */
    GA_SPAN_ORPHAN,     /* nobody leases it, nor will before it is empty: a collection frees what
                           nothing reaches; on the list of orphans */
    GA_SPAN_LARGE,      /* one large object that nobody leases; on the list of the client that asked
                           for it, if it was never leased */
};

struct ga_mspan {
    uint32_t next; /* first page of the neighbour on the list, 0 = none */
    uint32_t prev;
    uint32_t npages;
    uint32_t owner;         /* mcache that leases it, 0 = none */
    uint32_t client_plus_1; /* of a large span: who asked for it */
    uint32_t made_s;        /* when, by the heap's clock; when it was taken over */
    uint8_t place;
    ga_span_class span_class;
    uint8_t bucket;   /* in mcentral: how full, 0..GA_BUCKET_COUNT-1 */
    bool collected;   /* by the cycle that is under way, for which this must stay the same span */
    uint16_t account; /* who is charged with it (quota.h): index + 1, 0 = nobody */
};
static_assert(sizeof(struct ga_mspan) == 32, "a record for each page of the reserve");

/* Whether a large object's span begins here. */
static inline bool ga_mspan_is_large(const struct ga_mspan *span)
{
    return span->npages != 0 && span->span_class < 2;
}

/* A list of spans, linked both ways through the mspans. */
struct ga_span_list {
    uint32_t first;
    uint32_t count;
};

void ga_span_list_push(struct ga_span_list *list, struct ga_mspan *mspans, ga_page_id page);
void ga_span_list_remove(struct ga_span_list *list, struct ga_mspan *mspans, ga_page_id page);

#endif

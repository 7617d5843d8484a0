/* mcentral: for each span class the spans that nobody leases, those with free slots by how full
 * they are. The fullest are leased first, so that sparse spans drain and can go back to mheap. */
#ifndef GA_SERVER_MCENTRAL_H
#define GA_SERVER_MCENTRAL_H

#include "server/mspan.h"

#define GA_BUCKET_COUNT 8 /* by eighths of the slots in use */

struct ga_mcentral {
    struct ga_span_list partial[GA_BUCKET_COUNT];
    struct ga_span_list full;
};

/* Put a span on the list that fits; 0 < used <= nslots. The span must be on none. */
void ga_mcentral_put(struct ga_mcentral *central, struct ga_mspan *mspans, ga_page_id page,
                     uint32_t used, uint32_t nslots);

/* Whether there is a span that has free slots. */
bool ga_mcentral_has_partial(const struct ga_mcentral *central);

/* Take the fullest span that has free slots, or 0 when there is none. */
ga_page_id ga_mcentral_take(struct ga_mcentral *central, struct ga_mspan *mspans);

/* The same among those that account is charged with, or nobody. Only so many are looked at: with no
 * luck among them it is 0, too. */
#define GA_MCENTRAL_LOOKS 1024u
ga_page_id ga_mcentral_take_of(struct ga_mcentral *central, struct ga_mspan *mspans,
                               uint16_t account);

/* Take this span off its list, because it is to be put elsewhere. */
void ga_mcentral_remove(struct ga_mcentral *central, struct ga_mspan *mspans, ga_page_id page);

#endif

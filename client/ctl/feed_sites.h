/* The places in programs that hold most memory, for the page: records of a profile, those of the
 * same calls as one, whichever processes and sizes they are of. */
#ifndef GA_CTL_FEED_SITES_H
#define GA_CTL_FEED_SITES_H

#include "client/ctl/document.h"
#include "client/ctl/profile_data.h"

/* Tell them as JSON, the one with most bytes in use first, with this number of the look that they
 * are of. Returns NULL without memory. */
struct ga_document *ga_feed_sites_write(const struct ga_profile_data *data, uint64_t sequence);

#endif

/* What a look at the server has told, as texts: JSON for the page, lines for Prometheus. */
#ifndef GA_CTL_FEED_TEXT_H
#define GA_CTL_FEED_TEXT_H

#include <stdio.h>

#include "client/ctl/feed.h"

/* One look. */
struct ga_feed_look {
    const struct ga_feed *feed;
    const Goalloc__V1__Status *status; /* NULL where the server was not reached */
    const Goalloc__V1__Stats *stats;
    const struct ga_ctl_view *clients;
    const struct ga_feed_sample *sample;
};

/* data: a struct ga_feed_look. */
void ga_feed_write_state(FILE *out, const void *data);
/* Prometheus' text format. data: as above; without a server, no more than that there is none. */
void ga_feed_write_metrics(FILE *out, const void *data);
/* All samples that are kept. data: a struct ga_feed. */
void ga_feed_write_history(FILE *out, const void *data);

#endif

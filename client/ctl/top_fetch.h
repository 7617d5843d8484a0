/* One look at a heap, for goallocctl top. */
#ifndef GA_CTL_TOP_FETCH_H
#define GA_CTL_TOP_FETCH_H

#include "client/ctl/command.h"
#include "client/ctl/top_figures.h"

/* Ask ctl's source for all that top shows. Returns 0 and the sample, for ga_top_sample_fini; or a
 * negative errno after the reason has been told on stderr. */
int ga_top_fetch(const struct ga_ctl *ctl, struct ga_top_sample *ret);

#endif

/* A look of goallocctl top as a line of JSON. */
#ifndef GA_CTL_TOP_JSON_H
#define GA_CTL_TOP_JSON_H

#include "client/ctl/top_figures.h"

/* Print what now shows, and the rates since before, which may be NULL, to stdout. Returns 0. */
int ga_top_print_json(const struct ga_top_sample *before, const struct ga_top_sample *now);

#endif

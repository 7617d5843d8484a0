/* goallocctl run --preload: what makes the malloc of every program of the family a heap of its own,
 * by libgoalloc-malloc.so, and where their accounts come. */
#ifndef GA_CTL_RUN_PRELOAD_H
#define GA_CTL_RUN_PRELOAD_H

#include <limits.h>

#include "client/ctl/run.h"
#include "client/ctl/run_family.h"

struct ga_run_preload {
    char preload[2 * PATH_MAX]; /* of LD_PRELOAD; "" = nothing is preloaded */
    char folder[PATH_MAX];      /* of accounts, "" = there is none */
};

#define GA_RUN_VARIABLES 5

/* Find the library, and make the folder, if options want them. 0; or a negative errno after telling
 * why on stderr. */
int ga_run_preload_begin(const struct ga_run_options *options, struct ga_run_preload *ret);
/* The program's variables, whose values lie in socket and preload. */
void ga_run_preload_variables(const struct ga_run_preload *preload, const char *socket,
                              struct ga_run_variable ret[static GA_RUN_VARIABLES]);
/* Remove the folder and what is in it. */
void ga_run_preload_end(struct ga_run_preload *preload);

#endif

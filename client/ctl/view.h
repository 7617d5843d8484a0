/* A list with what makes sense of it: the heap's base, which makes addresses of pages and offsets,
 * and the attached clients, which make processes of client numbers. */
#ifndef GA_CTL_VIEW_H
#define GA_CTL_VIEW_H

#include <stdint.h>

#include "client/ctl/ask.h"

struct ga_ctl_view {
    uint64_t base;
    struct ga_parts parts; /* the list itself */
    struct ga_parts clients;
    const Goalloc__V1__ClientInfo **by_number;
};

/* Fetch the list that ask_list asks for, NULL = none, and the rest. Returns 0, for the caller to
 * give to ga_ctl_view_fini, or a negative errno. */
int ga_ctl_view_fetch(const struct ga_ctl *ctl,
                      int (*ask_list)(const struct ga_ctl *ctl, struct ga_parts *ret_parts),
                      struct ga_ctl_view *ret_view);
void ga_ctl_view_fini(struct ga_ctl_view *view);

/* The attached client of this number; NULL for 0, which stands for nobody, and in an empty view.
 * Valid until ga_ctl_view_fini. */
const Goalloc__V1__ClientInfo *ga_ctl_view_client(const struct ga_ctl_view *view, uint32_t number);

#endif

/* A command of goallocctl: what it is told, and the functions that run each of them. A command
 * fetches all it needs first and prints then, so that a failure leaves no half of an answer. */
#ifndef GA_CTL_COMMAND_H
#define GA_CTL_COMMAND_H

#include <stdbool.h>

struct ga_channel;

struct ga_ctl {
    const char *socket; /* for messages */
    struct ga_channel *channel;
    bool json;
    bool all; /* show also what there is none of */
};

/* Ask the server and print the answer to stdout. Return 0, or a negative errno after the reason
 * has been told on stderr. */
int ga_ctl_status(const struct ga_ctl *ctl);
int ga_ctl_stats(const struct ga_ctl *ctl);
int ga_ctl_spans(const struct ga_ctl *ctl);
int ga_ctl_clients(const struct ga_ctl *ctl);
int ga_ctl_roots(const struct ga_ctl *ctl);

#endif

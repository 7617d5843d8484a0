/* goallocctl watch: the server's events, line by line, until a signal ends it. */
#ifndef GA_CTL_WATCH_H
#define GA_CTL_WATCH_H

struct ga_request;

/* It connects by itself, and again when the server ends. Returns 0 when it was told to end, or
 * nobody reads any more; a negative errno after the reason has been told on stderr. */
int ga_ctl_watch(const struct ga_request *request);

#endif

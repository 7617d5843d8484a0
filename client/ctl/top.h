/* goallocctl top: a live view of a heap on a terminal, or reports of it one after the other. */
#ifndef GA_CTL_TOP_H
#define GA_CTL_TOP_H

struct ga_request;

/* Returns 0 when it was told to end; GA_CTL_TERMINAL where the terminal is none, or too small; or a
 * negative errno. The reason of what is not 0 has been told on stderr. */
int ga_ctl_top(const struct ga_request *request);

#endif

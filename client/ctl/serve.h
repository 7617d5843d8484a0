/* The page of a heap, served to browsers and programs on this machine. */
#ifndef GA_CTL_SERVE_H
#define GA_CTL_SERVE_H

struct ga_request;

/* Serve the heap that request names until SIGINT, SIGTERM or SIGHUP, and say on stdout where.
 * Returns 0; GA_CTL_TAKEN where somebody else listens there; an outcome for wrong usage; or a
 * negative errno; each after the reason has been told on stderr. */
int ga_ctl_serve(const struct ga_request *request);

#endif

/* The HTTP side of goallocctl serve: what is asked for, and the answer out of the feed. */
#ifndef GA_CTL_HTTP_H
#define GA_CTL_HTTP_H

#include "client/ctl/feed.h"
#include "client/ctl/listen_address.h"

struct ga_http;

/* Answer requests on a thread of its own, with the caller's signal mask, until ga_http_stop. feed
 * and listener must outlive it. Returns 0, or -ENOMEM after telling it on stderr. */
int ga_http_start(struct ga_feed *feed, struct ga_listener *listener, struct ga_http **ret);

/* End all connections, and the thread. NULL is allowed. */
void ga_http_stop(struct ga_http *http);

#endif

/* Whom goallocctl serve answers: requests that only read, and come from no page of anybody else's.
 * A browser sends requests for any page to 127.0.0.1, also for one whose name its owner has made to
 * mean 127.0.0.1; what it then says of Host, Origin and Sec-Fetch-Site shows that. */
#ifndef GA_CTL_HTTP_GUARD_H
#define GA_CTL_HTTP_GUARD_H

#include <stdbool.h>

/* What a request says of where it comes from; NULL: it does not say. */
struct ga_http_origin {
    const char *host;
    const char *origin;
    const char *fetch_site;
    const char *fetch_mode;
};

/* Whether to answer. is_unix: it came by a Unix socket, to which no browser connects, and where
 * Host may be anything. */
bool ga_http_may_answer(const struct ga_http_origin *request, bool is_unix);

#endif

/* A request that is kept to be handled later: a copy of its message, which lies in the decoder's
 * memory only as long as it is handled. */
#ifndef GA_SERVER_SHELL_KEPT_REQUEST_H
#define GA_SERVER_SHELL_KEPT_REQUEST_H

#include "proto/message.h"

struct ga_kept_request {
    Goalloc__V1__Envelope message;
    union {
        Goalloc__V1__Lease lease;
        Goalloc__V1__LargeAlloc large_alloc;
        Goalloc__V1__Scavenge scavenge;
        Goalloc__V1__GetStats get_stats;
        Goalloc__V1__GetStatus get_status;
        Goalloc__V1__Sync sync;
    } body;
};

/* Copy a request of one of these kinds. kept must stay where it is. */
void ga_kept_request_init(struct ga_kept_request *kept, const Goalloc__V1__Envelope *message);

#endif

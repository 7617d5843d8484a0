#include "server/shell/kept_request.h"

#include <assert.h>

void ga_kept_request_init(struct ga_kept_request *kept, const Goalloc__V1__Envelope *message)
{
    Goalloc__V1__Envelope *copy = &kept->message;
    goalloc__v1__envelope__init(copy);
    copy->id = message->id;
    copy->body_case = message->body_case;
    switch (message->body_case) {
    case GOALLOC__V1__ENVELOPE__BODY_LEASE:
        kept->body.lease = *message->lease;
        copy->lease = &kept->body.lease;
        break;
    case GOALLOC__V1__ENVELOPE__BODY_LARGE_ALLOC:
        kept->body.large_alloc = *message->large_alloc;
        copy->large_alloc = &kept->body.large_alloc;
        break;
    case GOALLOC__V1__ENVELOPE__BODY_SCAVENGE:
        kept->body.scavenge = *message->scavenge;
        copy->scavenge = &kept->body.scavenge;
        break;
    case GOALLOC__V1__ENVELOPE__BODY_GET_STATS:
        kept->body.get_stats = *message->get_stats;
        copy->get_stats = &kept->body.get_stats;
        break;
    case GOALLOC__V1__ENVELOPE__BODY_GET_STATUS:
        kept->body.get_status = *message->get_status;
        copy->get_status = &kept->body.get_status;
        break;
    default:
        assert(message->body_case == GOALLOC__V1__ENVELOPE__BODY_SYNC);
        kept->body.sync = *message->sync;
        copy->sync = &kept->body.sync;
        break;
    }
}

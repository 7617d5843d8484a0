/* Which versions of the protocol this build speaks, and the one two sides agree on. A version is
 * raised when a peer of the old one could misread a message; new fields alone do not raise it. */
#ifndef GA_PROTO_VERSION_H
#define GA_PROTO_VERSION_H

#include <errno.h>
#include <stdint.h>

#define GA_PROTOCOL_VERSION_MIN 1u
#define GA_PROTOCOL_VERSION_MAX 1u

/* Agree on a version with a peer that speaks those from their_min to their_max. Returns 0 and the
 * highest that both speak; -EPROTO when there is none, also when the peer's range is empty. */
static inline int ga_protocol_negotiate(uint32_t their_min, uint32_t their_max,
                                        uint32_t *ret_version)
{
    uint32_t highest = their_max < GA_PROTOCOL_VERSION_MAX ? their_max : GA_PROTOCOL_VERSION_MAX;
    if (highest < their_min || highest < GA_PROTOCOL_VERSION_MIN)
        return -EPROTO;
    *ret_version = highest;
    return 0;
}

#endif

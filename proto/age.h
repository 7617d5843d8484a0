/* How old something is, in one byte: 0 where it is not known or not there, else an age of 0 s to
 * 136 years, exact below 16 s and never more than an eighth too low. For lists of very many. */
#ifndef GA_PROTO_AGE_H
#define GA_PROTO_AGE_H

#include <stdint.h>

/* A number of three bits behind its first, and how far that is shifted; below 8 as it is. */
static inline uint8_t ga_age_byte(uint32_t seconds)
{
    if (seconds < 8)
        return (uint8_t)(1 + seconds);
    uint32_t shift = 28u - (uint32_t)__builtin_clz(seconds);
    return (uint8_t)(1 + 8 * (shift + 1) + ((seconds >> shift) & 7));
}

/* byte: not 0. */
static inline uint32_t ga_age_seconds(uint8_t byte)
{
    uint32_t number = byte - 1u;
    if (number < 8)
        return number;
    uint32_t shift = number / 8 - 1;
    return shift > 28 ? UINT32_MAX : (8 + number % 8) << shift;
}

#endif

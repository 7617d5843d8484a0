/* Deadlines: the moment at which a wait ends, on the clock that nobody sets. A wait that is woken
 * early, by a signal or for nothing, goes on to the same moment. */
#ifndef GA_CLIENT_DEADLINE_H
#define GA_CLIENT_DEADLINE_H

#include <limits.h>
#include <stdint.h>
#include <time.h>

/* The moment timeout_ms from now, on CLOCK_MONOTONIC. */
static inline struct timespec ga_deadline_in(uint32_t timeout_ms)
{
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += timeout_ms / 1000;
    deadline.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_nsec -= 1000000000;
        deadline.tv_sec++;
    }
    return deadline;
}

/* The milliseconds left, rounded up so that a wait does not end early and spin; 0 when the moment
 * has come. */
static inline int ga_deadline_left_ms(const struct timespec *deadline)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t left_ns = ((int64_t)deadline->tv_sec - now.tv_sec) * INT64_C(1000000000) +
                      (deadline->tv_nsec - now.tv_nsec);
    if (left_ns <= 0)
        return 0;
    int64_t left_ms = (left_ns + 999999) / 1000000;
    return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

#endif

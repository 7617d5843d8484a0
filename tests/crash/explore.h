/* Exploring one scenario: all its points, or some of them. */
#ifndef GA_TESTS_CRASH_EXPLORE_H
#define GA_TESTS_CRASH_EXPLORE_H

#include "crash/scenario.h"

struct ga_explore_options {
    const char *goallocd; /* the program */
    uint32_t points;      /* at most so many of a scenario, evenly spread; 0 = all */
    uint32_t seed;        /* where the spread begins */
    bool verbose;         /* say each fault */
    bool first_fault;     /* a scenario ends with its first fault */
};

struct ga_explored {
    uint32_t npoints;
    uint32_t ninstructions; /* of the operation */
    uint32_t ndrifted;      /* points where another place was met than the trace's */
    uint32_t in_flight;     /* points at which an object was on its way to its caller */
    uint64_t leaked;        /* slots, over all points */
    uint64_t corrupted;
    bool failed;     /* the scenario could not be carried out */
    char fault[512]; /* the first one: where, and what */
};

void ga_explore_client(const struct ga_client_scenario *scenario,
                       const struct ga_explore_options *options, struct ga_explored *ret);
/* The same client killed at each shared store and system call, and the server, that recovers what
 * it has left, again at each of its own. */
void ga_explore_twice(const struct ga_client_scenario *scenario,
                      const struct ga_explore_options *options, struct ga_explored *ret);
void ga_explore_server(const struct ga_server_scenario *scenario,
                       const struct ga_explore_options *options, struct ga_explored *ret);

#endif

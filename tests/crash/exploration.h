/* One scenario under way, and what the explorations of clients and of servers have in common. */
#ifndef GA_TESTS_CRASH_EXPLORATION_H
#define GA_TESTS_CRASH_EXPLORATION_H

#include "crash/explore.h"
#include "crash/trace.h"

struct ga_exploration {
    const struct ga_explore_options *options;
    struct ga_explored *result;
    const char *soft_limit; /* for the next world */
    struct ga_crash_world world;
    struct ga_account *account;
    struct ga_actor survivor;
    struct ga_actor victim; /* one that is told what to do */
    size_t bytes;           /* of the class that the scenario is about */
    bool noscan;
    int in_flight_class;
    const struct ga_trace *trace; /* where faults are looked up */
};

/* The scenario cannot be carried out, and why. */
void ga_exploration_give_up(struct ga_exploration *e, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

struct ga_points {
    uint32_t *k;
    uint32_t count;
    size_t room; /* bytes */
};

/* The points of a trace: after each of the first instructions, or only before events; and the end.
 */
struct ga_points ga_exploration_choose_points(const struct ga_trace *trace, bool only_events,
                                              const struct ga_explore_options *options);
void ga_exploration_free_points(struct ga_points *points);

/* A goallocd, its heap, and the account. False after giving up. */
bool ga_exploration_open(struct ga_exploration *e, const struct ga_explore_options *options,
                         struct ga_explored *result);
void ga_exploration_close(struct ga_exploration *e);
/* A new heap. */
bool ga_exploration_start_world(struct ga_exploration *e);
/* What class the scenario is about, and whether the victim, or the driver, is private. */
void ga_exploration_set_class(struct ga_exploration *e, size_t bytes, bool noscan, bool in_flight,
                              bool is_private);

/* After the kill: wait for the recovery, audit, and go on with the heap. Afterwards it holds what
 * the survivor has, and nothing else. False after giving up. */
bool ga_exploration_judge(struct ga_exploration *e, uint32_t k);

/* The survivor gives up what it has, so that the next run begins as this one did. */
bool ga_exploration_end_survivor(struct ga_exploration *e);

/* Carry the operation out and note what it does. The first run makes the tables that later ones
 * find made: the second is the one to go by. */
bool ga_exploration_record_client(struct ga_exploration *e,
                                  const struct ga_client_scenario *scenario, struct ga_trace *ret);
/* Bring a new victim to point k. */
bool ga_exploration_bring_client(struct ga_exploration *e,
                                 const struct ga_client_scenario *scenario,
                                 const struct ga_trace *trace, uint32_t k,
                                 struct ga_tracee *victim);

/* Kill it. */
void ga_exploration_kill_client(struct ga_exploration *e, const struct ga_tracee *victim);
/* The same for one whose library's thread is to be killed at: bring it to the operation. */
bool ga_exploration_begin_library(struct ga_exploration *e,
                                  const struct ga_client_scenario *scenario,
                                  struct ga_tracee *victim);
/* When it is there: what its first thread does meanwhile, until that is done or waits. */
bool ga_exploration_come_back(struct ga_exploration *e, const struct ga_client_scenario *scenario,
                              const struct ga_tracee *victim);

/* The running server, traced and stopped, and where it has function. */
bool ga_exploration_seize_server(struct ga_exploration *e, const char *function,
                                 struct ga_tracee *server, uint64_t *ret_address);
/* Kill the server where it stands, and start the next one. */
bool ga_exploration_replace_server(struct ga_exploration *e, const struct ga_tracee *server);

#endif

/* What is killed, and doing what. Of a client's scenario the victim is a client; of a server's the
 * goallocd, while a driver makes it do something. All functions run in processes of their own and
 * may be NULL. */
#ifndef GA_TESTS_CRASH_SCENARIO_H
#define GA_TESTS_CRASH_SCENARIO_H

#include "crash/actor.h"

#define GA_NOTHING_IN_FLIGHT (-1)

struct ga_client_scenario {
    const char *name;
    ga_actor_fn *ancestor;  /* a client that has come and gone before */
    ga_actor_fn *survivor;  /* one that stays: it makes ready */
    ga_actor_fn *before;    /* the victim makes ready */
    ga_actor_fn *meanwhile; /* the survivor, when the victim is ready */
    ga_actor_fn *operation; /* of the victim, which is killed on the way */
    ga_actor_fn *reuse;     /* the survivor takes what it can get, before the death is noticed */
    ga_actor_fn *back;      /* GA_VICTIM_LIBRARY: the victim's first thread, meanwhile */
    bool lives_on;          /* and the library's thread goes on; the kill is when both are done */
    size_t bytes;           /* of the objects that it is about; 0: of 64 */
    bool noscan;
    bool in_flight;     /* one such object may be on its way to its caller */
    bool is_private;    /* the victim: nothing of it may be left */
    bool sampled;       /* everybody samples each object */
    bool short_of_room; /* though not all have a word */
    enum ga_victim_kind kind;
    const char *function; /* of the library: it must come by. GA_VICTIM_LIBRARY: it begins there */
    const char *over;     /* a function of the library that is carried out in one piece, */
    const char *but;      /* but for this one that it calls */
    bool server_dies;     /* the same: while the victim waits for it, and the next one serves */
    bool is_slow;         /* takes seconds to record */
    bool twice;           /* the server is killed too, while it recovers what the victim has left */
};

enum ga_driver_fate {
    GA_DRIVER_LIVES, /* it goes on, and ends when the next server serves */
    GA_DRIVER_DIES,  /* with the server */
    GA_DRIVER_FIRST, /* its death is what the server handles */
};

struct ga_server_scenario {
    const char *name;
    ga_actor_fn *ancestor;
    ga_actor_fn *before;    /* the driver makes ready */
    ga_actor_fn *survivor;  /* one that stays does this then */
    const char *function;   /* of goallocd, with whose beginning the operation begins */
    ga_actor_fn *operation; /* of the driver, which leads there */
    bool alone;             /* it needs no server, and is done before the server goes on */
    ga_actor_fn *after;     /* of the driver, if it lives, when the next server serves */
    bool fresh;             /* on a new heap each time */
    const char *soft_limit; /* of goallocd, if fresh; NULL = none */
    bool is_slow;           /* takes seconds to record */
    bool adopts;            /* a server dies over the operation, and the next one is the victim */
    bool journals; /* the same; it dies when the change is decided, and nothing else is done */
    enum ga_driver_fate fate;
    size_t bytes; /* as above */
    bool noscan;
    bool is_private; /* the driver: nothing of it may be left */
    bool sampled;    /* as above */
};

/* By subject: each ends with one that has no name. */
extern const struct ga_client_scenario ga_client_malloc_scenarios[];
extern const struct ga_client_scenario ga_client_realloc_scenarios[];
extern const struct ga_client_scenario ga_client_into_scenarios[];
extern const struct ga_client_scenario ga_client_free_scenarios[];
extern const struct ga_client_scenario ga_client_batch_scenarios[];
extern const struct ga_client_scenario ga_client_life_scenarios[];
extern const struct ga_client_scenario ga_client_library_scenarios[];
extern const struct ga_client_scenario ga_client_idle_scenarios[];
extern const struct ga_client_scenario ga_client_managed_scenarios[];
extern const struct ga_client_scenario ga_client_names_scenarios[];
extern const struct ga_client_scenario ga_client_private_scenarios[];
extern const struct ga_client_scenario ga_client_sampled_scenarios[];
extern const struct ga_server_scenario ga_server_grant_scenarios[];
extern const struct ga_server_scenario ga_server_memory_scenarios[];
extern const struct ga_server_scenario ga_server_sweep_scenarios[];
extern const struct ga_server_scenario ga_server_death_scenarios[];
extern const struct ga_server_scenario ga_server_journal_scenarios[];
extern const struct ga_server_scenario ga_server_private_scenarios[];
extern const struct ga_server_scenario ga_server_collect_scenarios[];

/* All of them; NULL is the end. */
extern const struct ga_client_scenario *const ga_client_scenarios[];
extern const struct ga_server_scenario *const ga_server_scenarios[];

#endif

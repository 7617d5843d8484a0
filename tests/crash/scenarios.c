/* All scenarios there are. */
#include <stddef.h>

#include "crash/scenario.h"

const struct ga_client_scenario *const ga_client_scenarios[] = {
    ga_client_malloc_scenarios,
    ga_client_realloc_scenarios,
    ga_client_into_scenarios,
    ga_client_free_scenarios,
    ga_client_batch_scenarios,
    ga_client_life_scenarios,
    ga_client_library_scenarios,
    ga_client_idle_scenarios,
    ga_client_managed_scenarios,
    ga_client_names_scenarios,
    ga_client_private_scenarios,
    ga_client_sampled_scenarios,
    NULL,
};

const struct ga_server_scenario *const ga_server_scenarios[] = {
    ga_server_grant_scenarios,   ga_server_memory_scenarios,
    ga_server_sweep_scenarios,   ga_server_death_scenarios,
    ga_server_journal_scenarios, ga_server_private_scenarios,
    ga_server_collect_scenarios, NULL,
};

#include "simulation/quotas.h"

#include "support/cunit_main.h"

#define ONE_RUN_OF 3u
#define USERS      2u
#define FIRST_UID  10u

/* Each kind has a limit or none. A user has what two clients may have, and a little less. */
static void choose(struct ga_amounts *limits, uint64_t *random, uint64_t bytes, uint64_t few)
{
    for (uint32_t kind = 0; kind < GA_QUOTA_KINDS; kind++) {
        uint64_t chance = ga_test_random(random);
        uint64_t most = kind == GA_QUOTA_BYTES   ? bytes
                        : kind == GA_QUOTA_SPANS ? bytes / GA_PAGE_SIZE / 2
                                                 : few;
        limits->of[kind] = chance % 2 ? 0 : most / 2 + (chance >> 8) % (most / 2) + 1;
    }
}

void ga_sim_quotas_choose(uint64_t seed)
{
    struct ga_heap_config *config = &ga_sim.core.config;
    if (seed % ONE_RUN_OF != 0)
        return;
    uint64_t random = seed;
    choose(&config->client_quota, &random, GA_CORE_MIB, 4);
    choose(&config->user_quota, &random, 2 * GA_CORE_MIB - GA_CORE_MIB / 4, 7);
}

uint32_t ga_sim_uid_of(uint32_t pid)
{
    return FIRST_UID + pid % USERS;
}

/* Connections are no matter of a client's own quota. */
static bool is_within(const struct ga_amounts *used, const struct ga_amounts *limits, bool of_user)
{
    bool within = true;
    for (uint32_t kind = 0; kind < GA_QUOTA_KINDS; kind++)
        if (limits->of[kind] && (of_user || kind != GA_QUOTA_CONNECTIONS))
            within = within && used->of[kind] <= limits->of[kind];
    return within;
}

const char *ga_sim_quotas_audit(void)
{
    const struct ga_quota *quota = &ga_sim.core.heap->quota;
    for (uint32_t i = 0; i < quota->account_end; i++)
        if (!is_within(&quota->accounts[i].used, &quota->user_limits, true))
            return "no user has more than it may have";
    for (uint32_t client = 0; client < GA_CLIENT_COUNT; client++)
        if (quota->client_accounts[client] &&
            !is_within(&quota->client_used[client], &quota->client_limits, false))
            return "no client has more than it may have";
    return NULL;
}

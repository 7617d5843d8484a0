/* The last two categories are the same in every map: pages without a span, with memory and without.
 * The others are few enough to be told apart by colour; of owners, those with most pages have one
 * each, in the order of their numbers, so that a colour does not change with each look. */
#include "client/ctl/map_category.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "shm/size_class.h"

struct named {
    const char *key;
    const char *label;
};

static const struct named states[] = {
    [GA_MAP_LEASED] = {"s0", "leased"}, [GA_MAP_UNLEASED] = {"s1", "unleased"},
    [GA_MAP_LARGE] = {"s2", "large"},   [GA_MAP_ORPHAN] = {"s3", "orphan"},
    [GA_MAP_FREE] = {"free", "free"},   [GA_MAP_RELEASED] = {"released", "released"},
};
#define NSTATES_OF_SPANS GA_MAP_FREE

/* Up to how many bytes a slot has. */
static const struct {
    uint32_t slot_bytes;
    struct named name;
} classes[] = {
    {16, {"k0", "to 16 B"}},       {64, {"k1", "to 64 B"}},    {256, {"k2", "to 256 B"}},
    {1024, {"k3", "to 1 KiB"}},    {4096, {"k4", "to 4 KiB"}}, {32768, {"k5", "to 32 KiB"}},
    {UINT32_MAX, {"k6", "large"}},
};

static const struct named occupancies[] = {
    {"u0", "empty"},      {"u1", "under 25 %"},  {"u2", "under 50 %"},
    {"u3", "under 75 %"}, {"u4", "under 100 %"}, {"u5", "full"},
};

static const struct {
    uint32_t below_s;
    struct named name;
} ages[] = {
    {10, {"a0", "under 10 s"}},  {60, {"a1", "under 1 min"}},    {600, {"a2", "under 10 min"}},
    {3600, {"a3", "under 1 h"}}, {86400, {"a4", "under 1 day"}}, {UINT32_MAX, {"a5", "older"}},
};

static const char *const owner_keys[GA_MAP_OWNERS] = {"o0", "o1", "o2", "o3",
                                                      "o4", "o5", "o6", "o7"};

static void add(struct ga_map *map, const char *key, const char *label)
{
    assert(map->ncategories < GA_MAP_CATEGORIES_MAX);
    struct ga_map_category *category = &map->categories[map->ncategories++];
    *category = (struct ga_map_category){.key = key};
    snprintf(category->label, sizeof(category->label), "%s", label);
}

static void add_owner(struct ga_map *map, uint32_t number, const struct ga_ctl_view *clients)
{
    const Goalloc__V1__ClientInfo *client = ga_ctl_view_client(clients, number);
    char label[GA_MAP_LABEL_BYTES];
    if (client)
        snprintf(label, sizeof(label), "%" PRIu32 " %s", client->pid, client->name);
    else
        snprintf(label, sizeof(label), "client %" PRIu32, number);
    add(map, owner_keys[map->ncategories], label);
}

/* The client with most pages that has no category yet, 0 where there is none. */
static uint32_t next_owner(const uint64_t *npages_of, const struct ga_map_owners *owners)
{
    uint32_t most = 0;
    for (uint32_t i = 1; i <= GA_CLIENT_COUNT; i++)
        if (npages_of[i] > 0 && owners->category[i] == UINT8_MAX &&
            (most == 0 || npages_of[i] > npages_of[most]))
            most = i;
    return most;
}

static void name_owners(struct ga_map *map, const uint64_t *npages_of,
                        const struct ga_ctl_view *clients, struct ga_map_owners *owners)
{
    memset(owners->category, UINT8_MAX, sizeof(owners->category));
    for (size_t n = 0; n < GA_MAP_OWNERS; n++) {
        uint32_t number = next_owner(npages_of, owners);
        if (number)
            owners->category[number] = 0; /* which one follows */
    }
    for (uint32_t i = 1; i <= GA_CLIENT_COUNT; i++) {
        if (owners->category[i] != 0)
            continue;
        owners->category[i] = (uint8_t)map->ncategories;
        add_owner(map, i, clients);
    }
    for (uint32_t i = 1; i <= GA_CLIENT_COUNT; i++)
        if (owners->category[i] == UINT8_MAX)
            owners->category[i] = (uint8_t)map->ncategories;
    owners->category[0] = (uint8_t)(map->ncategories + 1);
    add(map, "ox", "others");
    add(map, "on", "nobody");
}

void ga_map_name_categories(struct ga_map *map, const uint64_t *npages_of,
                            const struct ga_ctl_view *clients, struct ga_map_owners *ret_owners)
{
    switch (map->by) {
    case GA_MAP_BY_CLASS:
        for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
            add(map, classes[i].name.key, classes[i].name.label);
        break;
    case GA_MAP_BY_OWNER:
        name_owners(map, npages_of, clients, ret_owners);
        break;
    case GA_MAP_BY_OCCUPANCY:
        for (size_t i = 0; i < sizeof(occupancies) / sizeof(occupancies[0]); i++)
            add(map, occupancies[i].key, occupancies[i].label);
        break;
    case GA_MAP_BY_AGE:
        for (size_t i = 0; i < sizeof(ages) / sizeof(ages[0]); i++)
            add(map, ages[i].name.key, ages[i].name.label);
        break;
    default:
        for (size_t i = 0; i < NSTATES_OF_SPANS; i++)
            add(map, states[i].key, states[i].label);
    }
    add(map, states[GA_MAP_FREE].key, states[GA_MAP_FREE].label);
    add(map, states[GA_MAP_RELEASED].key, states[GA_MAP_RELEASED].label);
}

static uint8_t class_category(const struct ga_map_run *run)
{
    uint8_t i = 0;
    if (run->state == GA_MAP_LARGE)
        return sizeof(classes) / sizeof(classes[0]) - 1;
    while (ga_map_slot_bytes(run) > classes[i].slot_bytes)
        i++;
    return i;
}

static uint8_t occupancy_category(const struct ga_map_run *run)
{
    if (run->used == 0 || run->slots == 0)
        return 0;
    return (uint8_t)(run->used >= run->slots ? 5 : 1 + (uint64_t)run->used * 4 / run->slots);
}

static uint8_t age_category(uint32_t age_s)
{
    uint8_t i = 0;
    while (i + 1u < sizeof(ages) / sizeof(ages[0]) && age_s >= ages[i].below_s)
        i++;
    return i;
}

uint8_t ga_map_category_of(const struct ga_map *map, const struct ga_map_owners *owners,
                           const struct ga_map_run *run)
{
    if (run->state >= GA_MAP_FREE)
        return (uint8_t)(map->ncategories - (run->state == GA_MAP_FREE ? 2 : 1));
    switch (map->by) {
    case GA_MAP_BY_CLASS:
        return class_category(run);
    case GA_MAP_BY_OWNER:
        return owners->category[run->client];
    case GA_MAP_BY_OCCUPANCY:
        return occupancy_category(run);
    case GA_MAP_BY_AGE:
        return age_category(run->age_s);
    default:
        return run->state;
    }
}

const char *ga_map_state_name(enum ga_map_state state)
{
    return states[state].label;
}

uint64_t ga_map_slot_bytes(const struct ga_map_run *run)
{
    if (run->span_class == GA_SPAN_CLASS_TINY)
        return GA_TINY_BLOCK_BYTES;
    uint32_t size_class = run->span_class / 2u;
    return size_class ? ga_size_classes[size_class].size : (uint64_t)run->npages * GA_PAGE_SIZE;
}

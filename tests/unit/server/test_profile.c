/* Profiles, as far as they are the server's: room for them and who gets it, rates, numbers that are
 * kept for the profiles of the dead, what is said of objects that the server frees, and that all of
 * it is there for the next server. */
#include <errno.h>
#include <string.h>

#include "shm/sample.h"
#include "shm/size_class.h"
#include "support/core_fixture.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define CLASS    20
#define KEPT_MAX 256u

static struct ga_core core;

static struct ga_profile_entry *entry_of(ga_client_id client)
{
    return &core.heap->profile_entries[client];
}

static void open_core(void)
{
    ga_core_open(&core, GA_ARENA_SIZE, 0);
}

static void rates(void)
{
    open_core();
    ga_store_relaxed(&core.heap->meta->profile_rate_bytes, 500);
    ga_client_id one = ga_core_attach(&core);
    CU_ASSERT_EQUAL(ga_load_relaxed(&entry_of(one)->rate_bytes), 500);
    CU_ASSERT_EQUAL(ga_heap_set_profile_rate(core.heap, one + 1, 0, 7), 0);
    CU_ASSERT_EQUAL(ga_load_relaxed(&entry_of(one)->rate_bytes), 7);
    ga_client_id two = ga_core_attach(&core);
    CU_ASSERT_EQUAL(ga_load_relaxed(&entry_of(two)->rate_bytes), 500);
    CU_ASSERT_EQUAL(ga_heap_set_profile_rate(core.heap, 99, 0, 8), -ENOENT);
    CU_ASSERT_EQUAL(ga_heap_set_profile_rate(core.heap, 0, 4000000, 8), -ENOENT);
    uint32_t pid = core.view.clients[two].pid;
    core.heap->clients[one].pid = pid + 1;
    CU_ASSERT_EQUAL(ga_heap_set_profile_rate(core.heap, 0, pid, 9), 0);
    CU_ASSERT_EQUAL(ga_load_relaxed(&entry_of(one)->rate_bytes), 7);
    CU_ASSERT_EQUAL(ga_load_relaxed(&entry_of(two)->rate_bytes), 9);
    CU_ASSERT_EQUAL(ga_heap_set_profile_rate(core.heap, 0, 0, 0), 0);
    CU_ASSERT_EQUAL(ga_load_relaxed(&entry_of(one)->rate_bytes), 0);
    CU_ASSERT_EQUAL(ga_load_relaxed(&entry_of(ga_core_attach(&core))->rate_bytes), 0);
    ga_heap_client_gone(core.heap, two);
    CU_ASSERT_EQUAL(ga_heap_set_profile_rate(core.heap, two + 1, 0, 7), -ENOENT);
    ga_core_close(&core);
}

static void room(void)
{
    open_core();
    ga_client_id one = ga_core_attach(&core);
    CU_ASSERT_EQUAL(ga_load_relaxed(&entry_of(one)->bytes), 0);
    uint64_t expected = GA_PROFILE_BYTES_MIN;
    for (; expected <= sizeof(struct ga_profile); expected *= 2) {
        CU_ASSERT_EQUAL(ga_heap_profile_room(core.heap, one), 0);
        CU_ASSERT_EQUAL(ga_load_relaxed(&entry_of(one)->bytes), expected);
        ((char *)&core.view.profiles[one])[expected - 1] = 1; /* is backed */
    }
    CU_ASSERT_EQUAL(ga_heap_profile_room(core.heap, one), -ENOSPC);
    CU_ASSERT_EQUAL(ga_heap_profile_room(core.heap, one + 1), -EPERM);
    ga_client_id two = ga_core_attach(&core);
    core.fail_commit = 1;
    CU_ASSERT_EQUAL(ga_heap_profile_room(core.heap, two), -ENOMEM);
    CU_ASSERT_EQUAL(ga_load_relaxed(&entry_of(two)->bytes), 0);
    CU_ASSERT_EQUAL(ga_heap_profile_room(core.heap, two), 0);
    ga_core_close(&core);
}

/* A number without a profile is used again at once; one with a profile when enough are kept, and
 * then the one that was gone first. */
static void numbers_are_kept(void)
{
    open_core();
    ga_client_id one = ga_core_attach(&core);
    uint32_t instance = ga_load_relaxed(&entry_of(one)->instance);
    ga_heap_client_gone(core.heap, one);
    CU_ASSERT_EQUAL(ga_core_attach(&core), one);
    CU_ASSERT_EQUAL(ga_load_relaxed(&entry_of(one)->instance), instance + 1);
    CU_ASSERT_EQUAL(entry_of(one)->ended_ms, 0);

    CU_ASSERT_EQUAL(ga_heap_profile_room(core.heap, one), 0);
    for (uint32_t i = 1; i < KEPT_MAX; i++) {
        ga_client_id next = ga_core_attach(&core);
        CU_ASSERT_EQUAL(next, one + i);
        CU_ASSERT_EQUAL(ga_heap_profile_room(core.heap, next), 0);
    }
    core.wall_ms = 1000;
    ga_heap_client_gone(core.heap, one + 5);
    CU_ASSERT_EQUAL(entry_of(one + 5)->ended_ms, 1000);
    for (uint32_t i = 0; i < KEPT_MAX; i++) {
        core.wall_ms++;
        if (i != 5)
            ga_heap_client_gone(core.heap, one + i);
    }
    CU_ASSERT_EQUAL(ga_core_attach(&core), one + 5);
    CU_ASSERT_EQUAL(ga_core_attach(&core), one + KEPT_MAX);
    ga_core_close(&core);
}

/* ---- what the server frees ---- */

static ga_client_id client;
static ga_mcache_id mcache;
static ga_page_id page;
static struct ga_slot slot;
static uint64_t offset;

/* A client with an object that is sampled, at its site 3. */
static void sample_object(uint32_t policy)
{
    open_core();
    client = ga_core_attach(&core);
    CU_ASSERT_EQUAL(ga_heap_set_policy(core.heap, client, policy), 0);
    mcache = ga_core_mcache(&core, client);
    CU_ASSERT_EQUAL(ga_heap_profile_room(core.heap, client), 0);
    page = ga_core_lease(&core, client, mcache, CLASS);
    CU_ASSERT_FATAL(ga_core_claim(&core, mcache, page));
    CU_ASSERT_EQUAL_FATAL(ga_core_malloc(&core, mcache, CLASS, &slot), 0);
    CU_ASSERT_EQUAL_FATAL(ga_core_malloc(&core, mcache, CLASS, &slot), 0);
    offset = slot.page * GA_PAGE_SIZE + slot.index * ga_size_classes[CLASS / 2].size;
    uint64_t word = ga_sample_make(client, ga_load_relaxed(&entry_of(client)->instance), 3);
    CU_ASSERT(ga_sample_put(&core.view, page, offset, word));
    ga_core_check_sound(&core);
}

static uint64_t freed_by_server(void)
{
    return ga_load_relaxed(&core.view.profiles[client].sites[3].nfree_server);
}

static bool is_sampled(void)
{
    uint64_t word;
    return ga_sample_take(&core.view, page, offset, &word);
}

static void a_private_client_ends(void)
{
    sample_object(GA_POLICY_PRIVATE);
    ga_heap_client_gone(core.heap, client);
    CU_ASSERT_EQUAL(freed_by_server(), 1);
    CU_ASSERT(!is_sampled());
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.lines[page].nholds), 0);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

static void a_client_that_keeps_ends(void)
{
    sample_object(GA_POLICY_KEEP);
    ga_heap_client_gone(core.heap, client);
    CU_ASSERT_EQUAL(freed_by_server(), 0);
    ga_core_check_sound(&core);
    CU_ASSERT(is_sampled());
    ga_core_close(&core);
}

/* Words that a kill has left, and a site that there is not: nothing is counted, and nothing touched
 * that is not there. */
static void what_clients_may_write(void)
{
    sample_object(GA_POLICY_PRIVATE);
    uint64_t found;
    CU_ASSERT(ga_sample_take(&core.view, page, offset, &found));
    static const uint32_t sites[] = {GA_PROFILE_SITES - 1, 2047};
    for (size_t i = 0; i < COUNT(sites); i++)
        CU_ASSERT(ga_sample_put(
            &core.view, page, offset + 8 * i,
            ga_sample_make(client, ga_load_relaxed(&entry_of(client)->instance), sites[i])));
    CU_ASSERT(ga_sample_put(&core.view, page, offset, ga_sample_make(4095, 1, 0)));
    CU_ASSERT(ga_sample_put(&core.view, page, offset, ga_sample_make(client, 77, 3)));
    ga_heap_client_gone(core.heap, client);
    CU_ASSERT_EQUAL(freed_by_server(), 0);
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.lines[page].nholds), 0);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

static void a_hold_counts_beside(void)
{
    sample_object(GA_POLICY_KEEP);
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, client, offset), 0);
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.lines[page].nholds), UINT64_C(1) << 32 | 1);
    ga_core_check_sound(&core);
    CU_ASSERT_EQUAL(ga_heap_release(core.heap, client, offset), 0);
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.lines[page].nholds), UINT64_C(1) << 32);
    CU_ASSERT(is_sampled());
    ga_core_close(&core);
}

/* Counted at the site, for one collection; what is not sampled, or has no site, is not. */
static void what_is_unreached(void)
{
    sample_object(GA_POLICY_KEEP);
    const struct ga_profile_site *site = &core.view.profiles[client].sites[3];
    uint64_t found;
    CU_ASSERT(ga_sample_find(&core.view, offset, &found));
    CU_ASSERT_EQUAL(ga_sample_site(found), 3);
    CU_ASSERT(!ga_sample_find(&core.view, offset + 8, &found));
    uint64_t slots = UINT64_C(1) << slot.index % 64;
    ga_profiles_unreached_slots(core.heap, page, slot.index / 64, ~slots, 7);
    CU_ASSERT_EQUAL(ga_load_relaxed(&site->nunreached), 0);
    ga_profiles_unreached_slots(core.heap, page, slot.index / 64, slots, 7);
    ga_profiles_unreached_slots(core.heap, page, slot.index / 64, slots, 7);
    CU_ASSERT_EQUAL(ga_load_relaxed(&site->nunreached), UINT64_C(7) << 32 | 2);
    ga_profiles_unreached_slots(core.heap, page, slot.index / 64, slots, 9);
    CU_ASSERT_EQUAL(ga_load_relaxed(&site->nunreached), UINT64_C(9) << 32 | 1);
    CU_ASSERT(ga_sample_take(&core.view, page, offset, &found));
    CU_ASSERT(ga_sample_put(&core.view, page, offset, ga_sample_make(client, 77, 3)));
    ga_profiles_unreached_slots(core.heap, page, slot.index / 64, slots, 9);
    CU_ASSERT_EQUAL(ga_load_relaxed(&site->nunreached), UINT64_C(9) << 32 | 1);
    ga_core_close(&core);
}

static void the_next_server_has_it(void)
{
    sample_object(GA_POLICY_KEEP);
    ga_client_id gone = ga_core_attach(&core);
    CU_ASSERT_EQUAL(ga_heap_profile_room(core.heap, gone), 0);
    CU_ASSERT_EQUAL(ga_heap_profile_room(core.heap, gone), 0);
    ga_heap_client_gone(core.heap, gone);
    ga_client_id torn = ga_core_attach(&core); /* its server was killed before it had said so */
    ga_store_relaxed(&core.heap->profile_entries[torn].bytes, 2 * sizeof(struct ga_profile));
    struct ga_profile_entry before = *entry_of(gone);
    char why[GA_ADOPT_WHY_BYTES];
    CU_ASSERT_EQUAL_FATAL(ga_core_adopt(&core, why), 0);
    CU_ASSERT_EQUAL(memcmp(&core.heap->profile_entries[gone], &before, sizeof(before)), 0);
    CU_ASSERT_EQUAL(ga_load_relaxed(&entry_of(torn)->bytes), 0);
    ga_core_check_sound(&core);
    CU_ASSERT(ga_core_attach(&core) != gone);
    CU_ASSERT_EQUAL(ga_heap_profile_room(core.heap, client), 0); /* what was backed is known */
    CU_ASSERT_EQUAL(ga_load_relaxed(&entry_of(client)->bytes), 2 * GA_PROFILE_BYTES_MIN);
    CU_ASSERT(is_sampled());
    ga_core_close(&core);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"rates", rates},
        {"room", room},
        {"numbers are kept", numbers_are_kept},
        {"a private client ends", a_private_client_ends},
        {"a client that keeps ends", a_client_that_keeps_ends},
        {"what clients may write", what_clients_may_write},
        {"a hold counts beside", a_hold_counts_beside},
        {"what is unreached", what_is_unreached},
        {"the next server has it", the_next_server_has_it},
    };
    return ga_test_main("server.profile", tests, COUNT(tests));
}

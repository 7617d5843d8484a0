/* Clients and their mcaches: what the tables say of each, what is used again, and both tables full.
 */
#include "support/core_fixture.h"

#include <errno.h>
#include <string.h>

#include "shm/gc_word.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define RESERVE  GA_ARENA_SIZE
#define CLASS    20

static struct ga_core core;

static uint32_t count_clients(void)
{
    struct ga_client_info info;
    uint32_t n = 0;
    for (uint32_t at = 0; ga_heap_next_client(core.heap, at, &info) == 0; at = info.client + 1)
        n++;
    return n;
}

static void what_is_written(void)
{
    ga_core_open(&core, RESERVE, 0);
    struct ga_client_info info;
    CU_ASSERT_EQUAL(ga_heap_next_client(core.heap, 0, &info), -ENOENT);
    ga_client_id client = 99;
    CU_ASSERT_EQUAL(ga_heap_attach(core.heap, 1234, 11, 22, 987654321, "worker", &client), 0);
    CU_ASSERT_EQUAL(client, 0);
    const struct ga_client_entry *entry = &core.view.clients[client];
    CU_ASSERT_EQUAL(ga_load_relaxed(&entry->state), GA_CLIENT_ATTACHED);
    CU_ASSERT(entry->pid == 1234 && entry->uid == 11 && entry->gid == 22);
    CU_ASSERT(entry->start_time == 987654321 && entry->attached_ms == core.wall_ms);
    CU_ASSERT_STRING_EQUAL(entry->name, "worker");
    core.now_ms += 250;
    CU_ASSERT_EQUAL(ga_heap_next_client(core.heap, 0, &info), 0);
    CU_ASSERT(info.client == client && info.pid == 1234 && info.uid == 11);
    CU_ASSERT(info.attached_ms == 250 && info.mcaches == 0 && info.spans == 0);
    CU_ASSERT_STRING_EQUAL(info.name, "worker");
    CU_ASSERT_EQUAL(ga_heap_next_client(core.heap, client + 1, &info), -ENOENT);
    CU_ASSERT_EQUAL(ga_heap_next_client(core.heap, UINT32_MAX, &info), -ENOENT);

    ga_heap_client_gone(core.heap, client);
    CU_ASSERT_EQUAL(ga_load_relaxed(&entry->state), GA_CLIENT_FREE);
    CU_ASSERT_EQUAL(count_clients(), 0);
    ga_heap_client_gone(core.heap, client);
    ga_heap_client_gone(core.heap, client + 1);
    ga_heap_client_gone(core.heap, UINT32_MAX);
    CU_ASSERT_EQUAL(core.heap->nclients, 0);
    ga_core_close(&core);
}

/* That a client is managed is said before it has an mcache, and not of who gets its number next. */
static void managed(void)
{
    ga_core_open(&core, RESERVE, 0);
    struct ga_client_info info;
    ga_client_id client = 0;
    ga_mcache_id mcache;
    CU_ASSERT_EQUAL(ga_heap_set_managed(core.heap, client), -EPERM);
    CU_ASSERT_EQUAL(ga_heap_attach(core.heap, 1234, 11, 22, 1, "managed", &client), 0);
    CU_ASSERT(ga_heap_next_client(core.heap, 0, &info) == 0 && !info.managed);
    CU_ASSERT_EQUAL(ga_heap_set_managed(core.heap, client), 0);
    CU_ASSERT(ga_heap_next_client(core.heap, 0, &info) == 0 && info.managed);
    CU_ASSERT_EQUAL(ga_heap_new_mcache(core.heap, client, &mcache), 0);
    CU_ASSERT_EQUAL(ga_heap_set_managed(core.heap, client), -EPERM);
    ga_store_relaxed(&core.view.gc_words[client], ga_gc_word(GA_GC_STOPPED, 3));
    ga_heap_client_gone(core.heap, client);

    CU_ASSERT_EQUAL(ga_heap_attach(core.heap, 1235, 11, 22, 1, "not", &client), 0);
    CU_ASSERT_EQUAL(client, 0);
    CU_ASSERT(ga_heap_next_client(core.heap, 0, &info) == 0 && !info.managed);
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.gc_words[client]), 0);
    ga_core_close(&core);
}

/* A long name is cut to its room, and nothing of an entry's last user shows. */
static void names(void)
{
    ga_core_open(&core, RESERVE, 0);
    ga_client_id client;
    char longest[100];
    memset(longest, 'n', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = 0;
    CU_ASSERT_EQUAL(ga_heap_attach(core.heap, 1, 2, 3, 4, longest, &client), 0);
    struct ga_client_info info;
    CU_ASSERT_EQUAL(ga_heap_next_client(core.heap, 0, &info), 0);
    CU_ASSERT_EQUAL(strnlen(info.name, sizeof(info.name)), 27);
    CU_ASSERT_EQUAL(memcmp(info.name, longest, 27), 0);
    ga_heap_client_gone(core.heap, client);
    memcpy(longest + 25, "\xe2\x82\xac", 3); /* of which there is room for two bytes */
    CU_ASSERT_EQUAL(ga_heap_attach(core.heap, 1, 2, 3, 4, longest, &client), 0);
    CU_ASSERT_EQUAL(ga_heap_next_client(core.heap, 0, &info), 0);
    CU_ASSERT_EQUAL(strnlen(info.name, sizeof(info.name)), 25);
    ga_heap_client_gone(core.heap, client);
    memmove(longest + 24, longest + 25, 4); /* and for all three */
    CU_ASSERT_EQUAL(ga_heap_attach(core.heap, 1, 2, 3, 4, longest, &client), 0);
    CU_ASSERT_EQUAL(ga_heap_next_client(core.heap, 0, &info), 0);
    CU_ASSERT_EQUAL(strnlen(info.name, sizeof(info.name)), 27);
    ga_heap_client_gone(core.heap, client);
    CU_ASSERT_EQUAL(ga_heap_attach(core.heap, 1, 2, 3, 4, "", &client), 0);
    CU_ASSERT_EQUAL(ga_heap_next_client(core.heap, 0, &info), 0);
    CU_ASSERT_STRING_EQUAL(info.name, "");
    ga_core_close(&core);
}

/* 4,096 and no more; the lowest free entry is used again; a page of the table at a time. */
static void table_full(void)
{
    ga_core_open(&core, RESERVE, 0);
    uint64_t backed = core.backed_bytes;
    ga_client_id client = 0;
    for (uint32_t i = 0; i < GA_CLIENT_COUNT; i++) {
        CU_ASSERT_EQUAL(ga_heap_attach(core.heap, i, 2, 3, 4, "c", &client), 0);
        CU_ASSERT_EQUAL(client, i);
        /* and one each, of handles; gc words, profile entries */
        CU_ASSERT_EQUAL(core.backed_bytes - backed,
                        (i / 32 + 1 + i + 1 + i / 512 + 1 + i / 128 + 1) * GA_OS_PAGE_SIZE);
    }
    client = 77;
    CU_ASSERT_EQUAL(ga_heap_attach(core.heap, 1, 2, 3, 4, "c", &client), -EAGAIN);
    CU_ASSERT_EQUAL(client, 77);
    CU_ASSERT_EQUAL(count_clients(), GA_CLIENT_COUNT);
    ga_heap_client_gone(core.heap, 4000);
    ga_heap_client_gone(core.heap, 17);
    CU_ASSERT_EQUAL(count_clients(), GA_CLIENT_COUNT - 2);
    CU_ASSERT_EQUAL(ga_heap_attach(core.heap, 1, 2, 3, 4, "c", &client), 0);
    CU_ASSERT_EQUAL(client, 17);
    CU_ASSERT_EQUAL(ga_heap_attach(core.heap, 1, 2, 3, 4, "c", &client), 0);
    CU_ASSERT_EQUAL(client, 4000);
    CU_ASSERT_EQUAL(ga_heap_attach(core.heap, 1, 2, 3, 4, "c", &client), -EAGAIN);
    struct ga_heap_status status;
    ga_heap_get_status(core.heap, &status);
    CU_ASSERT_EQUAL(status.clients, GA_CLIENT_COUNT);
    ga_core_close(&core);
}

/* An mcache belongs to one client; it ends with it, and its id goes to the next. */
static void mcaches(void)
{
    ga_core_open(&core, RESERVE, 0);
    ga_mcache_id id = 77;
    CU_ASSERT_EQUAL(ga_heap_new_mcache(core.heap, 0, &id), -EPERM);
    ga_client_id one = ga_core_attach(&core);
    ga_client_id two = ga_core_attach(&core);
    CU_ASSERT_EQUAL(ga_heap_new_mcache(core.heap, 2, &id), -EPERM);
    CU_ASSERT_EQUAL(ga_heap_new_mcache(core.heap, UINT32_MAX, &id), -EPERM);
    CU_ASSERT_EQUAL(id, 77);
    for (ga_mcache_id i = 1; i <= 6; i++) {
        CU_ASSERT_EQUAL(ga_core_mcache(&core, i % 3 ? one : two), i);
        CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.mcache_entries[i].client),
                        (i % 3 ? one : two) + 1);
    }
    CU_ASSERT_PTR_NOT_NULL(ga_clients_mcache(core.heap, one, 1));
    CU_ASSERT_PTR_NULL(ga_clients_mcache(core.heap, two, 1));
    CU_ASSERT_PTR_NULL(ga_clients_mcache(core.heap, one, 0));
    CU_ASSERT_PTR_NULL(ga_clients_mcache(core.heap, one, 7));
    struct ga_client_info info;
    CU_ASSERT_EQUAL(ga_heap_next_client(core.heap, one, &info), 0);
    CU_ASSERT_EQUAL(info.mcaches, 4);
    ga_core_check_sound(&core);

    ga_heap_client_gone(core.heap, one);
    bool seen[7] = {false};
    for (ga_mcache_id i = 1; i <= 6; i++)
        CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.mcache_entries[i].client), i % 3 ? 0 : two + 1);
    CU_ASSERT_PTR_NULL(ga_clients_mcache(core.heap, one, 1));
    ga_core_check_sound(&core);
    for (int i = 0; i < 4; i++) { /* the four of the dead, each once */
        id = ga_core_mcache(&core, two);
        CU_ASSERT_FATAL(id >= 1 && id <= 6 && id % 3 != 0);
        CU_ASSERT_FALSE(seen[id]);
        seen[id] = true;
    }
    CU_ASSERT_EQUAL(ga_core_mcache(&core, two), 7);
    CU_ASSERT_EQUAL(ga_heap_next_client(core.heap, 0, &info), 0);
    CU_ASSERT(info.client == two && info.mcaches == 7);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* All the ids there are; and then none, until a client ends. */
static void mcaches_used_up(void)
{
    ga_core_open(&core, RESERVE, 0);
    ga_client_id one = ga_core_attach(&core);
    ga_client_id two = ga_core_attach(&core);
    ga_mcache_id id = 0;
    uint32_t n = 0;
    while (ga_heap_new_mcache(core.heap, n < 10 ? one : two, &id) == 0)
        CU_ASSERT_EQUAL_FATAL(id, ++n);
    CU_ASSERT_EQUAL(n, GA_MCACHE_COUNT - 1);
    CU_ASSERT_EQUAL(ga_heap_new_mcache(core.heap, one, &id), -EAGAIN);
    ga_heap_client_gone(core.heap, one);
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(ga_heap_new_mcache(core.heap, two, &id), 0);
    CU_ASSERT_EQUAL(ga_heap_new_mcache(core.heap, two, &id), -EAGAIN);
    ga_heap_client_gone(core.heap, two);
    CU_ASSERT_EQUAL(core.heap->nmcaches, 0);
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* What a client is told to have done begins with it, whoever had its mcache before; what the heap
 * has counted stays. */
static void counters(void)
{
    ga_core_open(&core, RESERVE, 0);
    struct ga_client_info info;
    struct ga_heap_stats stats;
    for (uint64_t round = 1; round <= 3; round++) {
        ga_client_id client = ga_core_attach(&core);
        ga_mcache_id mcache = ga_core_mcache(&core, client);
        CU_ASSERT_EQUAL(mcache, 1);
        ga_page_id page = ga_core_lease(&core, client, mcache, CLASS);
        struct ga_slot slot[8];
        CU_ASSERT(ga_core_claim(&core, mcache, page));
        for (int i = 0; i < 8; i++)
            CU_ASSERT_EQUAL(ga_core_malloc(&core, mcache, CLASS, &slot[i]), 0);
        for (int i = 0; i < 3; i++)
            CU_ASSERT(ga_core_free_own(&core, mcache, &slot[i]));
        CU_ASSERT_EQUAL(ga_heap_next_client(core.heap, 0, &info), 0);
        CU_ASSERT(info.mallocs == 8 && info.frees == 3);
        CU_ASSERT(info.spans == 1 && info.leased_bytes == GA_PAGE_SIZE);
        ga_heap_client_gone(core.heap, client);
        ga_heap_get_stats(core.heap, &stats);
        CU_ASSERT(stats.mallocs == 8 * round && stats.frees == 3 * round);
    }
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

/* A client's death does nothing to another's leases, and leaves its own objects and spans. */
static void one_of_two_dies(void)
{
    ga_core_open(&core, RESERVE, 0);
    ga_client_id clients[2];
    ga_page_id pages[2][3];
    struct ga_slot slot;
    for (int i = 0; i < 2; i++) {
        clients[i] = ga_core_attach(&core);
        for (uint32_t k = 0; k < 3; k++) {
            ga_mcache_id mcache = ga_core_mcache(&core, clients[i]);
            pages[i][k] = ga_core_lease(&core, clients[i], mcache, CLASS);
            CU_ASSERT(ga_core_claim(&core, mcache, pages[i][k]));
            CU_ASSERT_EQUAL(ga_core_malloc(&core, mcache, CLASS, &slot), 0);
        }
    }
    ga_heap_client_gone(core.heap, clients[0]);
    CU_ASSERT_EQUAL(core.heap->nspans, 6);
    CU_ASSERT_EQUAL(core.heap->nspans_leased, 3);
    for (uint32_t k = 0; k < 3; k++) {
        slot = ga_core_slot(&core, pages[0][k], 0);
        CU_ASSERT(ga_core_in_use(&core, &slot));
        CU_ASSERT_EQUAL(ga_entry_owner(slot.entry), 0);
        slot = ga_core_slot(&core, pages[1][k], 0);
        CU_ASSERT(ga_core_in_use(&core, &slot));
        CU_ASSERT_EQUAL(ga_entry_owner(slot.entry), 4 + k);
    }
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"what is written", what_is_written}, {"names", names},
        {"table full", table_full},           {"mcaches", mcaches},
        {"mcaches used up", mcaches_used_up}, {"counters", counters},
        {"one of two dies", one_of_two_dies}, {"managed", managed},
    };
    return ga_test_main("server.clients", tests, COUNT(tests));
}

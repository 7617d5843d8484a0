/* Roots: names and their limits, offsets that lie in an object's memory and others, the table full.
 */
#include "support/core_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define CLASS    20

static struct ga_core core;
static ga_client_id client;
static ga_mcache_id mcache;
static ga_page_id page;

/* A heap with one span of one page leased. */
static void open_core(void)
{
    ga_core_open(&core, GA_ARENA_SIZE, 0);
    client = ga_core_attach(&core);
    client = ga_core_attach(&core); /* number 1, so that it is not just any zero */
    mcache = ga_core_mcache(&core, client);
    page = ga_core_lease(&core, client, mcache, CLASS);
    CU_ASSERT_NOT_EQUAL_FATAL(page, 0);
}

static int publish(const char *name, uint64_t offset)
{
    return ga_heap_publish(core.heap, client, name, offset);
}

static uint64_t at(uint64_t p)
{
    return p * GA_PAGE_SIZE;
}

static void publish_lookup_unpublish(void)
{
    open_core();
    uint64_t offset = 7;
    uint32_t by = 7;
    CU_ASSERT_EQUAL(ga_heap_lookup(core.heap, "a", &offset, &by), -ENOENT);
    CU_ASSERT_EQUAL(ga_heap_unpublish(core.heap, "a"), -ENOENT);
    CU_ASSERT(offset == 7 && by == 7);
    CU_ASSERT_EQUAL(publish("a", at(page)), 0);
    CU_ASSERT_EQUAL(publish("b", at(page) + 128), 0);
    CU_ASSERT_EQUAL(publish("a", at(page) + 256), -EEXIST);
    CU_ASSERT_EQUAL(ga_heap_lookup(core.heap, "a", &offset, &by), 0);
    CU_ASSERT(offset == at(page) && by == client + 1);
    CU_ASSERT_EQUAL(ga_heap_lookup(core.heap, "b", &offset, &by), 0);
    CU_ASSERT_EQUAL(offset, at(page) + 128);
    CU_ASSERT_EQUAL(ga_heap_lookup(core.heap, "ab", &offset, &by), -ENOENT);
    CU_ASSERT_EQUAL(ga_heap_lookup(core.heap, "A", &offset, &by), -ENOENT);

    const struct ga_root_entry *entry = &core.view.roots[0];
    CU_ASSERT(ga_load_relaxed(&entry->used) == 1 && entry->offset == at(page));
    CU_ASSERT_EQUAL(entry->client, client + 1);
    CU_ASSERT_STRING_EQUAL(entry->name, "a");

    CU_ASSERT_EQUAL(ga_heap_unpublish(core.heap, "a"), 0);
    CU_ASSERT_EQUAL(ga_load_relaxed(&entry->used), 0);
    CU_ASSERT_EQUAL(ga_heap_unpublish(core.heap, "a"), -ENOENT);
    CU_ASSERT_EQUAL(ga_heap_lookup(core.heap, "a", &offset, &by), -ENOENT);
    CU_ASSERT_EQUAL(ga_heap_lookup(core.heap, "b", &offset, &by), 0);
    CU_ASSERT_EQUAL(publish("c", at(page)), 0); /* the first entry again */
    CU_ASSERT_STRING_EQUAL(entry->name, "c");
    CU_ASSERT_EQUAL(core.heap->nroots, 2);
    ga_core_close(&core);
}

static void replacing(void)
{
    open_core();
    ga_client_id other = ga_core_attach(&core);
    uint64_t old = 7;
    uint64_t offset = 7;
    uint32_t by = 7;
    CU_ASSERT_EQUAL(ga_heap_replace(core.heap, client, "a", at(page), &old), 0);
    CU_ASSERT(old == 0 && core.heap->nroots == 1);
    CU_ASSERT_EQUAL(publish("a", at(page)), -EEXIST);
    CU_ASSERT_EQUAL(publish("b", at(page) + 8), 0);
    CU_ASSERT_EQUAL(ga_heap_replace(core.heap, other, "a", at(page) + 16, &old), 0);
    CU_ASSERT(old == at(page) && core.heap->nroots == 2);
    CU_ASSERT_EQUAL(ga_heap_lookup(core.heap, "a", &offset, &by), 0);
    CU_ASSERT(offset == at(page) + 16 && by == other + 1);
    CU_ASSERT_EQUAL(ga_heap_lookup(core.heap, "b", &offset, &by), 0);
    CU_ASSERT(offset == at(page) + 8 && by == client + 1);

    old = 7;
    CU_ASSERT_EQUAL(ga_heap_replace(core.heap, client, "", at(page), &old), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_replace(core.heap, client, "a", 0, &old), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_replace(core.heap, other + 1, "a", at(page), &old), -EPERM);
    core.fail_commit = 1; /* a name that is taken needs no memory */
    CU_ASSERT_EQUAL(ga_heap_replace(core.heap, other, "b", at(page), &old), 0);
    CU_ASSERT_EQUAL(old, at(page) + 8);
    CU_ASSERT_EQUAL(core.fail_commit, 1);
    ga_core_close(&core);
}

/* A name that is free needs an entry, and one that is taken does not. */
static void replacing_in_full_table(void)
{
    open_core();
    char name[32];
    for (unsigned i = 0; i < GA_ROOT_COUNT; i++) {
        snprintf(name, sizeof(name), "root %u", i);
        CU_ASSERT_EQUAL(publish(name, at(page) + i), 0);
    }
    uint64_t old = 7;
    CU_ASSERT_EQUAL(ga_heap_replace(core.heap, client, "more", at(page), &old), -ENOSPC);
    CU_ASSERT_EQUAL(old, 7);
    CU_ASSERT_EQUAL(ga_heap_replace(core.heap, client, "root 9", at(page), &old), 0);
    CU_ASSERT_EQUAL(old, at(page) + 9);
    ga_core_close(&core);
}

static void names(void)
{
    open_core();
    char name[GA_ROOT_NAME_MAX + 2];
    memset(name, 'r', sizeof(name));
    name[GA_ROOT_NAME_MAX + 1] = 0;
    uint64_t offset;
    uint32_t by;
    CU_ASSERT_EQUAL(publish(name, at(page)), -ENAMETOOLONG);
    CU_ASSERT_EQUAL(ga_heap_lookup(core.heap, name, &offset, &by), -ENAMETOOLONG);
    CU_ASSERT_EQUAL(ga_heap_unpublish(core.heap, name), -ENAMETOOLONG);
    CU_ASSERT_EQUAL(publish("", at(page)), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_lookup(core.heap, "", &offset, &by), -EINVAL);
    CU_ASSERT_EQUAL(ga_heap_unpublish(core.heap, ""), -EINVAL);
    name[GA_ROOT_NAME_MAX] = 0;
    CU_ASSERT_EQUAL(publish(name, at(page)), 0);
    CU_ASSERT_EQUAL(publish(name, at(page)), -EEXIST);
    CU_ASSERT_STRING_EQUAL(core.view.roots[0].name, name);
    name[GA_ROOT_NAME_MAX - 1] = 0; /* one shorter is another */
    CU_ASSERT_EQUAL(publish(name, at(page)), 0);
    CU_ASSERT_EQUAL(publish("\xc3\xa4 / \x01", at(page)), 0);
    CU_ASSERT_EQUAL(ga_heap_lookup(core.heap, "\xc3\xa4 / \x01", &offset, &by), 0);
    ga_core_close(&core);
}

/* Only what lies in a span in use can be published; stale entries lead nowhere. */
static void offsets(void)
{
    open_core();
    ga_page_id large = 0;
    ga_page_id gone = 0;
    bool zeroed;
    CU_ASSERT_EQUAL(
        ga_core_large_alloc(&core, client, mcache, 6 * GA_PAGE_SIZE, false, &large, &zeroed), 0);
    CU_ASSERT_EQUAL(
        ga_core_large_alloc(&core, client, mcache, 6 * GA_PAGE_SIZE, false, &gone, &zeroed), 0);
    CU_ASSERT_EQUAL(publish("first", at(large)), 0);
    CU_ASSERT_EQUAL(publish("last", at(large + 6) - 1), 0);
    CU_ASSERT_EQUAL(publish("soon gone", at(gone) + 1), 0);
    ga_core_free_large(&core, client, mcache, gone);

    const uint64_t bad[] = {0,
                            1,
                            GA_PAGE_SIZE - 1, /* page 0 */
                            at(gone),
                            at(gone + 1), /* its entry is stale */
                            at(gone + 5),
                            at(core.heap->npages_committed) - 1,
                            at(core.heap->npages_committed),
                            GA_ARENA_SIZE,
                            UINT64_C(1) << 45,
                            UINT64_MAX};
    for (size_t i = 0; i < COUNT(bad); i++)
        CU_ASSERT_EQUAL(publish("bad", bad[i]), -EINVAL);
    /* A shorter span where the long one was: the stale entries behind it point at it. */
    CU_ASSERT_EQUAL(ga_core_lease(&core, client, mcache, CLASS), gone);
    CU_ASSERT_EQUAL(publish("good", at(gone)), 0);
    for (uint64_t i = 1; i < 6; i++)
        CU_ASSERT_EQUAL(publish("bad", at(gone + i)), -EINVAL);
    CU_ASSERT_EQUAL(core.heap->nroots, 4);
    ga_core_close(&core);
}

/* Who is not attached publishes nothing; roots outlive who published them. */
static void clients(void)
{
    open_core();
    CU_ASSERT_EQUAL(ga_heap_publish(core.heap, client + 1, "a", at(page)), -EPERM);
    CU_ASSERT_EQUAL(ga_heap_publish(core.heap, UINT32_MAX, "a", at(page)), -EPERM);
    struct ga_slot slot;
    CU_ASSERT(ga_core_claim(&core, mcache, page));
    CU_ASSERT_EQUAL(ga_core_malloc(&core, mcache, CLASS, &slot), 0);
    CU_ASSERT_EQUAL(publish("a", at(page)), 0);
    ga_heap_client_gone(core.heap, client);
    CU_ASSERT_EQUAL(publish("b", at(page)), -EPERM);
    uint64_t offset = 0;
    uint32_t by = 7;
    CU_ASSERT_EQUAL(ga_heap_lookup(core.heap, "a", &offset, &by), 0);
    CU_ASSERT_EQUAL(offset, at(page));
    CU_ASSERT_EQUAL(by, 0); /* nobody's, and not whose who gets the number next */
    ga_core_close(&core);
}

static void table_full(void)
{
    open_core();
    char name[32];
    for (unsigned i = 0; i < GA_ROOT_COUNT; i++) {
        snprintf(name, sizeof(name), "root %u", i);
        CU_ASSERT_EQUAL(publish(name, at(page) + i), 0);
    }
    CU_ASSERT_EQUAL(publish("one more", at(page)), -ENOSPC);
    CU_ASSERT_EQUAL(publish("root 4095", at(page)), -EEXIST);
    CU_ASSERT_EQUAL(ga_heap_unpublish(core.heap, "root 2000"), 0);
    CU_ASSERT_EQUAL(ga_heap_unpublish(core.heap, "root 0"), 0);
    CU_ASSERT_EQUAL(publish("one more", at(page)), 0);
    struct ga_root_info info;
    unsigned n = 0;
    for (uint32_t i = 0; ga_heap_next_root(core.heap, i, &info) == 0; i = info.index + 1) {
        snprintf(name, sizeof(name), info.index ? "root %u" : "one more", info.index);
        CU_ASSERT_STRING_EQUAL(info.name, name);
        CU_ASSERT_EQUAL(info.offset, at(page) + info.index);
        CU_ASSERT_EQUAL(info.client_plus_1, client + 1);
        CU_ASSERT_NOT_EQUAL(info.index, 2000);
        n++;
    }
    CU_ASSERT_EQUAL(n, GA_ROOT_COUNT - 1);
    CU_ASSERT_EQUAL(ga_heap_next_root(core.heap, UINT32_MAX, &info), -ENOENT);
    struct ga_heap_status status;
    ga_heap_get_status(core.heap, &status);
    CU_ASSERT_EQUAL(status.roots, n);
    ga_core_close(&core);
}

/* No memory for the table: nothing is published, and then it is. */
static void commit_fails(void)
{
    open_core();
    uint64_t backed = core.backed_bytes;
    core.fail_commit = 1;
    CU_ASSERT_EQUAL(publish("a", at(page)), -ENOMEM);
    CU_ASSERT(core.backed_bytes == backed && core.heap->nroots == 0);
    CU_ASSERT_EQUAL(publish("a", at(page)), 0);
    CU_ASSERT_EQUAL(core.backed_bytes, backed + GA_OS_PAGE_SIZE);
    ga_core_close(&core);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"publish, lookup, unpublish", publish_lookup_unpublish},
        {"replacing", replacing},
        {"replacing in a full table", replacing_in_full_table},
        {"names", names},
        {"offsets", offsets},
        {"clients", clients},
        {"table full", table_full},
        {"commit fails", commit_fails},
    };
    return ga_test_main("server.roots", tests, COUNT(tests));
}

/* shm/audit.c on a heap that changes while it is looked at, or that holds anything at all. */
#include "shm/audit.h"

#include "audit_fixture.h"

/* What is spoilt in the looking, so that it is another each time. */
static _Atomic uint32_t *moving;
static uint32_t nrounds;

static bool move(void *data, uint32_t round)
{
    (void)data;
    nrounds++;
    if (moving)
        ga_store_relaxed(moving, ga_load_relaxed(moving) + 1);
    return round < 5;
}

static void in_motion(void)
{
    fill();
    struct ga_audit_options options = {
        .flags = GA_AUDIT_LIVE, .scratch = &scratch, .report = keep, .rest = move};
    _Atomic uint32_t *d = &core.view.lines[leased].d;
    ga_store_relaxed(d, 1);
    CU_ASSERT_EQUAL(ga_audit_run(&core.view, &options, &audit), 0);
    CU_ASSERT_EQUAL(audit.nfaults, 1);
    CU_ASSERT_EQUAL(audit.looked_again, 5);
    CU_ASSERT_EQUAL(audit.in_motion, 0);
    moving = d;
    nrounds = 0;
    CU_ASSERT_EQUAL(ga_audit_run(&core.view, &options, &audit), 0);
    CU_ASSERT_EQUAL(audit.nfaults, 0);
    CU_ASSERT_EQUAL(audit.in_motion, 1);
    CU_ASSERT_EQUAL(nrounds, 1);
    moving = NULL;
    ga_core_close(&core);
}

static ga_mcache_id newcomer;

static bool grow(void *data, uint32_t round)
{
    (void)data;
    if (round == 0) {
        (void)ga_core_mcache(&core, ga_core_attach(&core)); /* with numbers used before */
        ga_client_id of = ga_core_attach(&core);
        newcomer = ga_core_mcache(&core, of);
        CU_ASSERT(ga_core_claim(&core, newcomer, ga_core_lease(&core, of, newcomer, 40)));
        CU_ASSERT_EQUAL(ga_heap_publish(core.heap, of, "newcomer", held), 0);
        CU_ASSERT_EQUAL(ga_heap_hold(core.heap, of, held), 0);
    }
    return round < 2;
}

static void audit_while_growing(enum ga_fault_kind kind)
{
    struct ga_audit_options options = {
        .flags = GA_AUDIT_LIVE, .scratch = &scratch, .report = keep, .rest = grow};
    nfaults = 0;
    newcomer = 0;
    CU_ASSERT_EQUAL(ga_audit_run(&core.view, &options, &audit), 0);
    CU_ASSERT(newcomer > idle);
    CU_ASSERT_EQUAL(audit.nfaults, 1);
    CU_ASSERT_EQUAL(faults[0].kind, kind);
}

/* In the middle of an audit, clients come and take spans, roots and holds: before the tables are
 * looked at, or after. */
static void growth(void)
{
    fill();
    core.heap->meta->header_bytes++; /* makes it look at the header again, before anything else */
    audit_while_growing(GA_FAULT_HEADER);
    CU_ASSERT_EQUAL(audit.mcaches, 4);
    CU_ASSERT_EQUAL(audit.roots, 3);
    CU_ASSERT_EQUAL(audit.holds, 2);
    ga_core_close(&core);
    fill();
    ga_store_relaxed(&core.view.lines[1].d, 1);
    audit_while_growing(GA_FAULT_FLUSH);
    ga_core_close(&core);
}

/* However much looks wrong, it is rested once for all of it; or for each so many as can be noted.
 */
static void rests(void)
{
    static ga_page_id pages[GA_AUDIT_CANDIDATES_MAX + 100];
    struct ga_audit_options options = {.flags = GA_AUDIT_LIVE, .scratch = &scratch, .rest = move};
    fill();
    for (uint32_t i = 0; i < COUNT(pages); i++)
        pages[i] = ga_core_lease(&core, client, mcache, 40);
    for (uint32_t i = 0; i < 50; i++)
        ga_store_relaxed(&core.view.lines[pages[i]].d, 1);
    nrounds = 0;
    CU_ASSERT_EQUAL(ga_audit_run(&core.view, &options, &audit), 0);
    CU_ASSERT_EQUAL(audit.nfaults, 50);
    CU_ASSERT_EQUAL(nrounds, 6);
    CU_ASSERT_EQUAL(audit.looked_again, 50 * 5);
    for (uint32_t i = 0; i < COUNT(pages); i++)
        ga_store_relaxed(&core.view.lines[pages[i]].d, 1);
    nrounds = 0;
    CU_ASSERT_EQUAL(ga_audit_run(&core.view, &options, &audit), 0);
    CU_ASSERT_EQUAL(audit.nfaults, COUNT(pages));
    CU_ASSERT_EQUAL(nrounds, 2 * 6);
    ga_core_close(&core);
}

/* Nothing that words may hold makes the audit read what is not committed, or never end: the fixture
 * ends the test where it would. */
static void noise(void)
{
    uint64_t random = ga_test_seed();
    for (int round = 0; round < 200; round++) {
        fill();
        uint64_t end = core.heap->npages_committed;
        for (int i = 0; i < 20; i++) {
            uint64_t r = ga_test_random(&random);
            uint64_t value = r & 1 ? ga_test_random(&random) : ga_test_random(&random) & 0xffff;
            _Atomic uint64_t *words[] = {
                &core.heap->page_table[(r >> 8) % end],
                &core.heap->page_table[leased],
                &core.view.lines[leased + (r >> 8) % 4].holder,
                &core.view.mcaches[mcache].tiny,
                &core.view.mcaches[mcache].ring_taken,
                &core.heap->rings[mcache].entry[(r >> 8) % GA_RING_ENTRIES],
                &core.heap->holds[0].offset,
                &core.heap->roots[0].offset,
                &core.view.handles[client].object[r % GA_HANDLE_COUNT],
                &core.view.samples[(r >> 8) % core.view.sample_words],
            };
            _Atomic uint64_t *word = words[(r >> 1) % COUNT(words)];
            bool wide_or_tiny = word >= core.heap->page_table && word < core.heap->page_table + end;
            /* An entry that makes a span of another class of these pages reads their other bits. */
            if (wide_or_tiny)
                value &= ~UINT64_C(0xff);
            ga_store_relaxed(word, value);
        }
        run(round % 2 ? GA_AUDIT_LIVE : 0);
        ga_core_close(&core);
    }
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"in motion", in_motion},
        {"growth", growth},
        {"rests", rests},
        {"noise", noise},
    };
    return ga_test_main("server.audit_motion", tests, COUNT(tests));
}

/* A heap core with something of everything in it, and what the audit says of it. */
#ifndef GA_TESTS_AUDIT_FIXTURE_H
#define GA_TESTS_AUDIT_FIXTURE_H

#include <string.h>

#include "shm/audit.h"
#include "support/core_fixture.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define CLASS    11 /* size class 5, noscan */
#define BIT(n)   (UINT64_C(1) << (n))

static struct ga_core core;
static struct ga_audit_scratch scratch;
static struct ga_audit audit;
static struct ga_audit_fault faults[64];
static uint32_t nfaults;

/* The heap that is spoilt, see fill. */
static ga_client_id client;
static ga_mcache_id mcache; /* leases all that is leased */
static ga_mcache_id idle;   /* leases nothing */
static ga_mcache_id nobody; /* its client is gone */
static ga_page_id leased;   /* two slots of its first word in use */
static ga_page_id partial;  /* nobody leases it, one slot in use */
static ga_page_id tiny;     /* carved from */
static ga_page_id large;
static ga_page_id unused; /* in no span */
static uint64_t held;     /* offset of the object held */

static inline void keep(void *data, const struct ga_audit_fault *fault)
{
    (void)data;
    if (nfaults < COUNT(faults))
        faults[nfaults++] = *fault;
}

static inline int run(uint32_t flags)
{
    struct ga_audit_options options = {.flags = flags, .scratch = &scratch, .report = keep};
    nfaults = 0;
    int r = ga_audit_run(&core.view, &options, &audit);
    CU_ASSERT_EQUAL(audit.nfaults, nfaults);
    return r;
}

static inline void sound_with(uint32_t flags)
{
    char text[GA_AUDIT_TEXT_BYTES];
    CU_ASSERT_EQUAL(run(flags), 0);
    CU_ASSERT_EQUAL(nfaults, 0);
    for (uint32_t i = 0; i < nfaults; i++)
        printf("%s\n", ga_audit_fault_text(&faults[i], text));
}

static inline const struct ga_audit_fault *find(enum ga_fault_kind kind)
{
    for (uint32_t i = 0; i < nfaults; i++)
        if (faults[i].kind == kind)
            return &faults[i];
    return NULL;
}

/* The audit, with these flags, has this to say, at this place. */
static inline void says(uint32_t flags, enum ga_fault_kind kind, ga_page_id page, ga_mcache_id id)
{
    char text[GA_AUDIT_TEXT_BYTES];
    run(flags);
    const struct ga_audit_fault *fault = find(kind);
    CU_ASSERT_PTR_NOT_NULL(fault);
    if (!fault) {
        printf("not found: %s\n", ga_audit_kind_name(kind));
        return;
    }
    CU_ASSERT_EQUAL(fault->page, page);
    CU_ASSERT_EQUAL(fault->mcache, id);
    ga_audit_fault_text(fault, text);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, ga_audit_kind_text(kind)));
}

/* With the word spoilt the audit says so, however much may be midway; mended, it says nothing. */
static inline void spoil(_Atomic uint64_t *word, uint64_t value, enum ga_fault_kind kind,
                         ga_page_id page, ga_mcache_id id)
{
    uint64_t good = ga_load_relaxed(word);
    ga_store_relaxed(word, value);
    says(0, kind, page, id);
    says(GA_AUDIT_LIVE, kind, page, id);
    ga_store_relaxed(word, good);
    sound_with(0);
}

static inline void spoil_32(_Atomic uint32_t *word, uint32_t value, enum ga_fault_kind kind,
                            ga_page_id page, ga_mcache_id id)
{
    uint32_t good = ga_load_relaxed(word);
    ga_store_relaxed(word, value);
    says(0, kind, page, id);
    says(GA_AUDIT_LIVE, kind, page, id);
    ga_store_relaxed(word, good);
    sound_with(0);
}

/* As spoil, but it is what a client that was cut off in its step may leave. */
static inline void spoil_at_rest(_Atomic uint64_t *word, uint64_t value, enum ga_fault_kind kind,
                                 ga_page_id page, ga_mcache_id id)
{
    uint64_t good = ga_load_relaxed(word);
    ga_store_relaxed(word, value);
    says(0, kind, page, id);
    sound_with(GA_AUDIT_CLIENTS_MIDWAY);
    sound_with(GA_AUDIT_LIVE);
    ga_store_relaxed(word, good);
    sound_with(0);
}

static inline void make_large(void)
{
    bool zeroed;
    CU_ASSERT_EQUAL(
        ga_core_large_alloc(&core, client, mcache, 2 * GA_CORE_MIB, false, &large, &zeroed), 0);
}

static inline void fill(void)
{
    struct ga_slot slot;
    ga_core_open(&core, 2 * GA_ARENA_SIZE, 0);
    ga_client_id gone = ga_core_attach(&core);
    nobody = ga_core_mcache(&core, gone);
    client = ga_core_attach(&core);
    mcache = ga_core_mcache(&core, client);
    idle = ga_core_mcache(&core, client);
    ga_heap_client_gone(core.heap, gone);

    partial = ga_core_lease(&core, client, mcache, CLASS);
    CU_ASSERT(ga_core_claim(&core, mcache, partial));
    CU_ASSERT_EQUAL(ga_core_malloc(&core, mcache, CLASS, &slot), 0);
    CU_ASSERT_EQUAL(ga_core_return(&core, client, mcache, partial), 0);
    leased = ga_core_lease(&core, client, mcache, 20);
    CU_ASSERT(ga_core_claim(&core, mcache, leased));
    for (int i = 0; i < 2; i++)
        CU_ASSERT_EQUAL(ga_core_malloc(&core, mcache, 20, &slot), 0);
    held = slot.page * GA_PAGE_SIZE + slot.index * (uint64_t)ga_size_classes[10].size;
    tiny = ga_core_lease(&core, client, mcache, GA_SPAN_CLASS_TINY);
    CU_ASSERT(ga_core_claim(&core, mcache, tiny));
    CU_ASSERT_EQUAL(ga_core_malloc(&core, mcache, GA_SPAN_CLASS_TINY, &slot), 0);
    make_large();
    CU_ASSERT_EQUAL(ga_heap_lease_ahead(core.heap, client, mcache, 30, 2), 0);
    CU_ASSERT_EQUAL(ga_heap_publish(core.heap, client, "a", held), 0);
    CU_ASSERT_EQUAL(ga_heap_publish(core.heap, client, "b", held), 0);
    CU_ASSERT_EQUAL(ga_heap_hold(core.heap, client, held), 0);
    unused = (ga_page_id)core.heap->npages_committed - 1;
}

#endif

/* Batches of frees by others: what a flush changes and refuses, where there is none, what the
 * server makes of those that a death has cut off at any store, and that no span goes while one is
 * under way. */
#include "shm/batch.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "server/heap_internal.h"
#include "shm/audit.h"
#include "shm/recount.h"
#include "support/core_fixture.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define RESERVE  (2 * GA_ARENA_SIZE)
#define CLASS    20 /* one page, 64 slots */
#define NSLOTS   64u
#define BIT(i)   (UINT64_C(1) << (i))

static struct ga_core core;
static ga_client_id client;
static ga_client_id other_client;
static ga_mcache_id holder;
static ga_mcache_id other;
static ga_page_id page;             /* of holder's span, with objects in all slots */
static struct ga_batch_slots batch; /* other's */

static void open_core(void)
{
    ga_core_open(&core, RESERVE, 0);
    client = ga_core_attach(&core);
    other_client = ga_core_attach(&core);
    holder = ga_core_mcache(&core, client);
    other = ga_core_mcache(&core, other_client);
    page = ga_core_lease(&core, client, holder, CLASS);
    CU_ASSERT_FATAL(ga_core_claim(&core, holder, page));
    struct ga_slot slot;
    for (uint32_t i = 0; i < NSLOTS; i++)
        CU_ASSERT_EQUAL(ga_core_malloc(&core, holder, CLASS, &slot), 0);
    batch = (struct ga_batch_slots){.page = page, .entry = ga_view_entry(&core.view, page)};
}

static void check_sound(void)
{
    const char *wrong = ga_core_audit(&core);
    CU_ASSERT_PTR_NULL(wrong);
    if (wrong)
        printf("not true: %s\n", wrong);
}

static _Atomic uint64_t *a_word(void)
{
    return ga_view_a(&core.view, page, 0);
}

static uint64_t used(void)
{
    return ga_slot_used(a_word());
}

static struct ga_mcache *line(void)
{
    return &core.view.mcaches[other];
}

static void count_frees(uint64_t n)
{
    _Atomic uint64_t *nfree = &line()->classes[CLASS].nfree;
    ga_store_relaxed(nfree, ga_load_relaxed(nfree) + n);
}

/* The batch has these slots. */
static void put(uint64_t slots)
{
    ga_batch_begin(line(), page, 0);
    for (uint32_t i = 0; i < NSLOTS; i++)
        if (slots & BIT(i))
            ga_batch_put(line(), &batch, BIT(i), ga_load_relaxed(a_word()));
    count_frees((uint64_t)__builtin_popcountll(slots));
}

static void is_over(void)
{
    CU_ASSERT_EQUAL(ga_load_relaxed(&line()->batch_mask), 0);
    CU_ASSERT_EQUAL(ga_load_relaxed(&line()->telling), 0);
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.lines[page].d_recovery), 0);
    CU_ASSERT(ga_core_is_in_inbox(&core, holder, CLASS, page));
}

static void flush(void)
{
    uint64_t refused = 77;
    open_core();
    put(BIT(3) | BIT(63));
    CU_ASSERT_EQUAL(used(), ~UINT64_C(0)); /* as yet */
    CU_ASSERT_FALSE(ga_core_is_in_inbox(&core, holder, CLASS, page));
    CU_ASSERT(ga_batch_flush(&core.view, other, &batch, &refused));
    CU_ASSERT_EQUAL(refused, 0);
    CU_ASSERT_EQUAL(used(), ~(BIT(3) | BIT(63)));
    CU_ASSERT_EQUAL(batch.mask, 0);
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.lines[page].d), 0);
    is_over();
    check_sound();
    ga_core_close(&core);
}

/* Slots that were freed by somebody else meanwhile, or belong to others since. */
static void refusals(void)
{
    uint64_t refused = 0;
    open_core();
    put(BIT(0) | BIT(1) | BIT(2));
    struct ga_slot slot = ga_core_slot(&core, page, 0);
    CU_ASSERT(ga_core_free_other(&core, other, &slot));
    slot.index = 1;
    CU_ASSERT(ga_core_free_other(&core, other, &slot));
    ga_slot_flip(a_word(), BIT(1)); /* allocated again */
    CU_ASSERT(ga_batch_flush(&core.view, other, &batch, &refused));
    CU_ASSERT_EQUAL(refused, BIT(0) | BIT(1));
    CU_ASSERT_EQUAL(used(), ~(BIT(0) | BIT(2)));
    /* Another span is there. */
    put(BIT(5));
    batch.entry = ga_entry_make(CLASS + 2, 1, 0, GA_ENTRY_INUSE | GA_ENTRY_FIRST);
    CU_ASSERT(ga_batch_flush(&core.view, other, &batch, &refused));
    CU_ASSERT_EQUAL(refused, BIT(5));
    CU_ASSERT_EQUAL(used(), ~(BIT(0) | BIT(2)));
    ga_core_close(&core);
}

/* Somebody else flushes into the span: this one is kept. */
static void busy(void)
{
    uint64_t refused = 77;
    open_core();
    put(BIT(9));
    ga_store_relaxed(&core.view.lines[page].d, holder);
    CU_ASSERT_FALSE(ga_batch_flush(&core.view, other, &batch, &refused));
    CU_ASSERT_EQUAL(refused, 77);
    CU_ASSERT_EQUAL(used(), ~UINT64_C(0));
    CU_ASSERT_EQUAL(batch.mask, BIT(9));
    CU_ASSERT_EQUAL(ga_load_relaxed(&line()->batch_mask), BIT(9));
    CU_ASSERT_EQUAL(ga_load_relaxed(&line()->telling), 0);
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.lines[page].d), holder);
    ga_core_close(&core);
}

static bool may_begin(ga_page_id at)
{
    return ga_batch_may_begin(&core.view, at, ga_view_entry(&core.view, at));
}

static void where_there_may_be_one(void)
{
    open_core();
    CU_ASSERT(may_begin(page));
    CU_ASSERT_FALSE(ga_batch_may_begin(
        &core.view, page, ga_entry_with_owner(ga_view_entry(&core.view, page), other)));
    CU_ASSERT(may_begin(
        ga_core_lease(&core, client, holder, (ga_span_class)(2 * ga_size_class_of(512)))));
    CU_ASSERT_FALSE(may_begin(
        ga_core_lease(&core, client, holder, (ga_span_class)(2 * ga_size_class_of(513)))));
    CU_ASSERT_FALSE(may_begin(ga_core_lease(&core, client, holder, GA_SPAN_CLASS_TINY)));
    ga_heap_client_gone(core.heap, client);
    CU_ASSERT_FALSE(may_begin(page)); /* nobody leases it */
    ga_client_id secretive = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, secretive);
    page = ga_core_lease(&core, secretive, mcache, CLASS);
    CU_ASSERT(may_begin(page));
    core.heap->clients[secretive].policy = GA_POLICY_PRIVATE;
    CU_ASSERT_FALSE(may_begin(page));
    ga_core_close(&core);
}

/* The stores of a flush: how many of them a death, or a server's, lets through. */
enum { BEGUN, D, F, MASK, STEPS };

static void flush_partly(int steps, _Atomic uint32_t *d)
{
    if (steps >= D)
        ga_store_relaxed(d, other);
    if (steps >= F)
        ga_slot_free_word(&core.view, page, 0, batch.mask);
    if (steps >= MASK)
        ga_store_relaxed(&line()->batch_mask, 0);
}

static void death(void)
{
    for (int step = BEGUN; step < STEPS; step++) {
        open_core();
        put(BIT(0) | BIT(7));
        flush_partly(step, &core.view.lines[page].d);
        core.audit_flags = GA_AUDIT_CLIENTS_MIDWAY;
        check_sound();
        core.audit_flags = 0;
        ga_heap_client_gone(core.heap, other_client);
        CU_ASSERT_EQUAL(used(), ~(BIT(0) | BIT(7)));
        CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.lines[page].d), 0);
        is_over();
        check_sound();
        ga_core_close(&core);
    }
}

/* A living one is in its flush into the same span, and may be stopped there: it is not waited for.
 */
static void death_beside_a_flush(void)
{
    open_core();
    put(BIT(4));
    ga_store_relaxed(&core.view.lines[page].d, holder);
    ga_heap_client_gone(core.heap, other_client);
    CU_ASSERT_EQUAL(used(), ~BIT(4));
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.lines[page].d), holder);
    is_over();
    ga_core_close(&core);
}

/* As after flush_partly by a server; and somebody has died since whose batch was of the same span,
 * and who comes first. */
static void two_deaths(int step)
{
    open_core();
    struct ga_mcache *first = &core.view.mcaches[holder];
    put(BIT(0) | BIT(7));
    flush_partly(step, &core.view.lines[page].d_recovery);
    ga_store_relaxed(&core.heap->clients[other_client].state, GA_CLIENT_LEAVING);
    ga_batch_begin(first, page, 0);
    ga_store_relaxed(&first->batch_mask, BIT(20));
    ga_store_relaxed(&first->classes[CLASS].nfree, 1);
    ga_store_relaxed(&core.heap->clients[client].state, GA_CLIENT_LEAVING);
}

/* The next server does all of it, and first what was begun, since the word that says so is one for
 * the span. */
static void server_death(void)
{
    char why[GA_ADOPT_WHY_BYTES];
    for (int step = BEGUN; step < STEPS; step++) {
        two_deaths(step);
        CU_ASSERT_EQUAL_FATAL(ga_core_adopt(&core, why), 0);
        CU_ASSERT_EQUAL(used(), ~(BIT(0) | BIT(7) | BIT(20)));
        CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.lines[page].d_recovery), 0);
        CU_ASSERT_EQUAL(ga_load_relaxed(&line()->batch_mask), 0);
        CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.mcaches[holder].batch_mask), 0);
        check_sound();
        ga_core_close(&core);
        two_deaths(step);
        ga_recover_adopt_batches(core.heap);
        CU_ASSERT_EQUAL(ga_load_relaxed(&line()->batch_where) == 0, step != BEGUN);
        CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.mcaches[holder].batch_mask), BIT(20));
        ga_core_close(&core);
    }
}

/* A span is empty by F, and the flush that made it so is not over: it stays until that is. */
static void no_span_goes_under_a_flush(void)
{
    open_core();
    put(~UINT64_C(0));
    flush_partly(F, &core.view.lines[page].d);
    core.audit_flags = GA_AUDIT_CLIENTS_MIDWAY;
    CU_ASSERT_EQUAL(ga_core_return(&core, client, holder, page), 0);
    CU_ASSERT(ga_entry_is_span(ga_view_entry(&core.view, page)));
    check_sound();
    core.audit_flags = 0;
    ga_heap_client_gone(core.heap, other_client);
    CU_ASSERT(ga_core_is_pending(&core, page));
    ga_heap_sweep_pending(core.heap);
    CU_ASSERT_FALSE(ga_entry_is_span(ga_view_entry(&core.view, page)));
    check_sound();
    ga_core_close(&core);
}

/* One that nobody makes, as a client may write it, keeps nothing. */
static void a_flush_of_nobody(void)
{
    open_core();
    put(~UINT64_C(0));
    uint64_t refused;
    CU_ASSERT(ga_batch_flush(&core.view, other, &batch, &refused));
    ga_store_relaxed(&core.view.lines[page].d, 60000);
    CU_ASSERT_EQUAL(ga_core_return(&core, client, holder, page), 0);
    CU_ASSERT_FALSE(ga_entry_is_span(ga_view_entry(&core.view, page)));
    check_sound();
    ga_core_close(&core);
}

/* ---- a flush, and the span's holder, who looks for its slots ---- */

#define ROUNDS 65536u

static _Atomic uint32_t arrived;

/* Both threads go on from the n-th meeting. */
static void meet(uint32_t n)
{
    ga_fetch_add_seq_cst(&arrived, 1);
    for (int i = 0; ga_load_acquire(&arrived) < 2 * n; i++)
        if (i % 1024 == 1023)
            sched_yield();
}

/* Go on a little earlier or later than the other, by up to some hundred instructions. */
static void stagger(uint32_t n)
{
    for (uint32_t i = n % 200; i > 0; i--)
        __asm__ volatile("");
}

static _Atomic uint64_t *holder_inbox(void)
{
    return &core.view.mcaches[holder].inbox[CLASS].word[page / 64 % GA_INBOX_WORDS];
}

/* Somebody has told of the span before, and now this thread flushes into it. */
static void *flush_again(void *unused)
{
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint64_t refused;
        put(BIT(5));
        ga_fetch_or_seq_cst(holder_inbox(), BIT(page % 64));
        meet(3 * round + 1);
        stagger(round * 7);
        CU_ASSERT(ga_batch_flush(&core.view, other, &batch, &refused));
        meet(3 * round + 2);
        meet(3 * round + 3);
    }
    return unused;
}

/* Who looks while a flush is under way takes nothing; so he is told of its end, though he was told
 * of the span before, and reads that just now. */
static void its_end_is_told(void)
{
    open_core();
    pthread_t thread;
    ga_store_relaxed(&arrived, 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, flush_again, NULL), 0);
    uint32_t lost = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        (void)ga_batch_is_recovering(&core.view, other); /* its line is this processor's, too */
        meet(3 * round + 1);
        stagger(round / 64 * 11);
        ga_xchg_seq_cst(holder_inbox(), 0);
        uint64_t found = ga_slot_find_free(&core.view, page, 0, NSLOTS);
        meet(3 * round + 2);
        lost += found == 0 && !ga_core_is_in_inbox(&core, holder, CLASS, page);
        ga_slot_flip(a_word(), BIT(5)); /* in use again */
        meet(3 * round + 3);
    }
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(lost, 0);
    ga_core_close(&core);
}

/* What a client may write there frees nothing where there are no slots, and leads nowhere. */
static void nonsense(void)
{
    static const uint64_t wild[] = {
        0, 1, 0xffffffff, UINT64_MAX, UINT64_C(1) << 32, UINT64_C(15) << 32 | 1};
    for (size_t i = 0; i < COUNT(wild); i++) {
        open_core();
        ga_page_id large;
        bool zeroed;
        CU_ASSERT_EQUAL(ga_core_large_alloc(&core, client, holder, 1 << 21, true, &large, &zeroed),
                        0);
        uint64_t where = i == 1   ? ga_batch_where(large, 0)
                         : i == 5 ? ga_batch_where(page, 1)
                                  : wild[i];
        ga_store_relaxed(&line()->batch_where, where);
        ga_store_relaxed(&line()->batch_mask, UINT64_MAX);
        CU_ASSERT_FALSE(ga_batch_can_be(&core.view, where));
        ga_heap_client_gone(core.heap, other_client);
        CU_ASSERT_EQUAL(used(), ~UINT64_C(0));
        CU_ASSERT_FALSE(ga_slot_large_is_freed(&core.view, large));
        CU_ASSERT_EQUAL(ga_load_relaxed(&line()->batch_where), 0);
        check_sound();
        ga_core_close(&core);
    }
}

/* Counts from the bitmaps leave out what is in a batch. */
static void counts(void)
{
    static struct ga_recount before, after;
    uint64_t bad;
    open_core();
    CU_ASSERT_EQUAL(ga_recount(&core.view, &before, &bad), 0);
    put(BIT(1) | BIT(2) | BIT(3));
    CU_ASSERT_EQUAL(ga_recount(&core.view, &after, &bad), 0);
    CU_ASSERT_EQUAL(before.objects - after.objects, 3);
    CU_ASSERT_EQUAL(before.alloc_bytes - after.alloc_bytes, 3 * ga_size_classes[CLASS / 2].size);
    core.audit_flags = GA_AUDIT_COUNTED;
    check_sound();
    ga_core_close(&core);
}

/* Slots that were freed twice stand in two batches; they are not left out of what is not there. */
static void counts_of_double_frees(void)
{
    static struct ga_recount count;
    uint64_t bad;
    open_core();
    put(~UINT64_C(0));
    struct ga_mcache *second = &core.view.mcaches[holder];
    ga_batch_begin(second, page, 0);
    ga_store_relaxed(&second->batch_mask, BIT(1) | BIT(2));
    CU_ASSERT_EQUAL(ga_recount(&core.view, &count, &bad), 0);
    CU_ASSERT_EQUAL(count.objects, 0);
    CU_ASSERT_EQUAL(count.objects_by_class[CLASS / 2], 0);
    CU_ASSERT_EQUAL(count.alloc_bytes, 0);
    static struct ga_audit_scratch scratch;
    static struct ga_audit audit;
    struct ga_audit_options options = {.scratch = &scratch};
    CU_ASSERT_EQUAL(ga_audit_run(&core.view, &options, &audit), 0);
    CU_ASSERT_EQUAL(audit.all.in_use, 0);
    CU_ASSERT_EQUAL(audit.all.bytes_in_use, 0);
    CU_ASSERT_EQUAL(audit.all.free, NSLOTS);
    ga_core_close(&core);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"flush", flush},
        {"refusals", refusals},
        {"busy", busy},
        {"where there may be one", where_there_may_be_one},
        {"death", death},
        {"death beside a flush", death_beside_a_flush},
        {"server death", server_death},
        {"no span goes under a flush", no_span_goes_under_a_flush},
        {"a flush of nobody", a_flush_of_nobody},
        {"its end is told", its_end_is_told},
        {"nonsense", nonsense},
        {"counts", counts},
        {"counts of double frees", counts_of_double_frees},
    };
    return ga_test_main("server.batch", tests, COUNT(tests));
}

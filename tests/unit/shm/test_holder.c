/* The words holder and where: fields at their limits, sequences that always change the word; and
 * what they are for: threads that allocate, free, look and pass a lease on, all at once. */
#include "shm/holder.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "shm/slot.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define PAGES    260u
#define PAGE     3u
#define CLASS    20 /* one word of 64 slots */
#define NSLOTS   64u
#define HOLDER   1u /* and the one after it */
#define OTHER    3u /* and those after it */
#define FREERS   3u
#define RACERS   2u /* who spin: no more than there are processors, as a rule */
#define BIT(i)   (UINT64_C(1) << (i))
#define ROUNDS   3072u /* whole rounds of all slots */

static const ga_mcache_id ids[] = {0, 1, 2, GA_MCACHE_COUNT - 1, (1u << 20) - 1};
static const uint64_t sequences[] = {0, 1, 1000, (UINT64_C(1) << 34) - 2};

static void holder_fields(void)
{
    for (size_t s = 0; s < COUNT(sequences); s++)
        for (size_t i = 0; i < COUNT(ids); i++)
            for (int returned = 0; returned < 2; returned++) {
                /* Whatever stood in the fields before does not stay. */
                uint64_t before =
                    sequences[s] << GA_HOLDER_SEQ_SHIFT | GA_HOLDER_RETURNED | 0xfffff;
                uint64_t h = ga_holder_next(before, ids[i], returned ? GA_HOLDER_RETURNED : 0);
                CU_ASSERT_EQUAL(ga_holder_id(h), ids[i]);
                CU_ASSERT_EQUAL(h >> GA_HOLDER_SEQ_SHIFT, sequences[s] + 1);
                CU_ASSERT_EQUAL(ga_holder_is_leased_by(h, ids[i]), !returned);
                CU_ASSERT_EQUAL(ga_holder_is_returned_by(h, ids[i]), returned);
                CU_ASSERT_FALSE(ga_holder_is_leased_by(h, ids[i] ^ 3));
                CU_ASSERT_FALSE(ga_holder_is_returned_by(h, ids[i] ^ 3));
            }
}

/* The last sequence is followed by the first: nothing runs over into the id. */
static void holder_sequence_wraps(void)
{
    uint64_t last = ~UINT64_C(0) << GA_HOLDER_SEQ_SHIFT;
    CU_ASSERT_EQUAL(ga_holder_next(last, 5, 0), 5);
    CU_ASSERT_EQUAL(ga_holder_next(last, 5, GA_HOLDER_RETURNED), GA_HOLDER_RETURNED | 5);
}

/* A word that names the same again is still another word: else a snapshot could not tell. */
static void sequences_change_the_word(void)
{
    uint64_t h = 0;
    for (int i = 0; i < 100; i++) {
        CU_ASSERT_NOT_EQUAL(ga_holder_next(h, 7, 0), h);
        h = ga_holder_next(h, 7, 0);
    }
    CU_ASSERT_EQUAL(h >> GA_HOLDER_SEQ_SHIFT, 100);
}

/* ---- one slot and many threads ---- */

static struct ga_mcache mcaches[7];
static _Atomic uint64_t pending[PAGES / 64 + 1];
static struct ga_span_line lines[PAGES];
static ga_page_word page_table[PAGES];
static const struct ga_view view = {.page_table = page_table,
                                    .mcaches = mcaches,
                                    .pending_end = pending + PAGES / 64 + 1,
                                    .lines = lines};

static pthread_barrier_t barrier;
static _Atomic uint32_t winners;
static _Atomic uint32_t ready;
static _Atomic uint32_t stop;
static _Atomic uint32_t refused_good;
static _Atomic uint32_t passed_bad;

/* The holder changes slots of the span: allocates those that are free, frees the others. */
static void flip(ga_page_id page, uint64_t slots)
{
    ga_slot_flip(ga_view_a(&view, page, 0), slots);
}

static struct ga_slot slot_at(ga_page_id page, uint32_t index)
{
    return (struct ga_slot){.page = page, .index = index, .entry = ga_view_entry(&view, page)};
}

static void set_owner(ga_page_id page, ga_mcache_id owner)
{
    ga_xchg_seq_cst(&page_table[page],
                    ga_entry_make(CLASS, 1, owner, GA_ENTRY_INUSE | GA_ENTRY_FIRST));
}

/* The server grants, and the lease begins. */
static void lease_to(ga_page_id page, ga_mcache_id id)
{
    set_owner(page, id);
    ga_slot_begin_lease(&view, id, page);
}

/* The span goes from one mcache to the other, as holder and server do it. */
static void transfer(ga_page_id page, ga_mcache_id from, ga_mcache_id to)
{
    ga_slot_end_lease(&view, from, page);
    set_owner(page, 0);
    _Atomic uint64_t *holder = &lines[page].holder;
    ga_xchg_seq_cst(holder, ga_holder_next(ga_load_relaxed(holder), 0, 0));
    lease_to(page, to);
}

static void *free_the_same(void *argument)
{
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct ga_slot slot = slot_at(PAGE, round % NSLOTS);
        pthread_barrier_wait(&barrier);
        /* The barrier lets the threads go one after the other: they meet once more, awake. */
        ga_fetch_add_relaxed(&ready, 1);
        for (int n = 0; ga_load_relaxed(&ready) < (round + 1) * RACERS; n++)
            if (n % 1024 == 1023)
                sched_yield();
        if (ga_slot_free_by_other(&view, (ga_mcache_id)(uintptr_t)argument, &slot))
            ga_fetch_add_relaxed(&winners, 1);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

/* Of threads that free one slot at once, exactly one succeeds. */
static void concurrent_double_frees(void)
{
    lease_to(PAGE, HOLDER);
    pthread_t threads[RACERS];
    pthread_barrier_init(&barrier, NULL, COUNT(threads) + 1);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_create(&threads[i], NULL, free_the_same, (void *)(uintptr_t)(OTHER + i));
    uint32_t wrong = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        /* All allocated again, every time with the other value in A. */
        if (round % NSLOTS == 0) {
            wrong += ga_slot_find_free(&view, PAGE, 0, NSLOTS) != ~UINT64_C(0);
            flip(PAGE, ~UINT64_C(0));
        }
        ga_store_relaxed(&winners, 0);
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        wrong += ga_load_relaxed(&winners) != 1;
    }
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(ga_slot_count_used(&view, PAGE, NSLOTS), 0);
}

static void *watch(void *argument)
{
    (void)argument;
    struct ga_slot used = slot_at(PAGE, 7);
    struct ga_slot unused = slot_at(PAGE, NSLOTS - 1);
    for (uint32_t n = 0; !ga_load_relaxed(&stop); n++) {
        uint64_t a;
        if (!ga_slot_in_use(&view, &used, &a))
            ga_fetch_add_relaxed(&refused_good, 1);
        if (ga_slot_in_use(&view, &unused, &a))
            ga_fetch_add_relaxed(&passed_bad, 1);
        if (n % 64 == 0)
            sched_yield(); /* one processor must do */
    }
    return NULL;
}

/* Whatever the holder does meanwhile, a slot in use is always seen in use; and one that is free
 * never. The lease, too, passes to and fro. */
static void snapshots(void)
{
    lease_to(PAGE, HOLDER);
    flip(PAGE, 0xff);
    pthread_t threads[2];
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_create(&threads[i], NULL, watch, NULL);
    ga_mcache_id me = HOLDER;
    for (uint32_t round = 0; round < 300 * ROUNDS; round++) {
        if (round % 16 == 0) {
            transfer(PAGE, me, 2 * HOLDER + 1 - me);
            me = 2 * HOLDER + 1 - me;
        }
        uint64_t slots = ga_slot_find_free(&view, PAGE, 0, NSLOTS);
        struct ga_slot slot = slot_at(PAGE, (uint32_t)__builtin_ctzll(slots));
        flip(PAGE, BIT(slot.index));
        if (round % 2)
            flip(PAGE, BIT(slot.index));
        else
            ga_slot_free_by_other(&view, OTHER, &slot);
        if (round % 64 == 0)
            sched_yield();
    }
    ga_store_relaxed(&stop, 1);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(ga_load_relaxed(&refused_good), 0);
    CU_ASSERT_EQUAL(ga_load_relaxed(&passed_bad), 0);
}

/* ---- the stress: one holder allocates, three threads free what it hands out ---- */

#define SPANS       3u
#define ALLOCATIONS 60000u

static const ga_page_id span_pages[SPANS] = {PAGE, PAGE + 1, PAGE + 256}; /* two share a bit */

/* Who is to free the slot, 0 = nobody; the freer takes it out. */
static _Atomic uint32_t mail[SPANS][NSLOTS];
/* Whether it is allocated: plain, for only who has the slot touches it. */
static uint32_t handed_out[SPANS][NSLOTS];
static _Atomic uint32_t nfreed;
static _Atomic uint32_t errors;

static void check_or_count(bool good)
{
    if (!good)
        ga_fetch_add_relaxed(&errors, 1);
}

static void free_one(uint32_t me, uint32_t span, uint32_t index)
{
    ga_store_relaxed(&mail[span][index], 0);
    check_or_count(handed_out[span][index] == 1);
    handed_out[span][index] = 0;
    struct ga_slot slot = slot_at(span_pages[span], index);
    check_or_count(ga_slot_free_by_other(&view, me, &slot));
    atomic_fetch_add_explicit(&nfreed, 1, memory_order_release);
}

static void *free_what_comes(void *argument)
{
    uint32_t me = (uint32_t)(uintptr_t)argument;
    bool last;
    do {
        last = ga_load_acquire(&stop);
        for (uint32_t span = 0; span < SPANS; span++)
            for (uint32_t index = 0; index < NSLOTS; index++)
                if (ga_load_acquire(&mail[span][index]) == me)
                    free_one(me, span, index);
        sched_yield();
    } while (!last);
    return NULL;
}

/* The holder's side. */
struct holder {
    ga_mcache_id me;
    uint32_t span;      /* allocated from */
    uint64_t slots;     /* of that, free when last looked at */
    bool listed[SPANS]; /* may have free slots */
    uint32_t nhanded;
    uint64_t random;
};

/* Look at the spans that the inbox names, and no others. */
static bool take_news(struct holder *h)
{
    bool any = false;
    for (uint32_t w = 0; w < GA_INBOX_WORDS; w++) {
        uint64_t news = ga_xchg_seq_cst(&mcaches[h->me].inbox[CLASS].word[w], 0);
        for (uint32_t i = 0; i < SPANS; i++)
            if (span_pages[i] / 64 % GA_INBOX_WORDS == w && news >> span_pages[i] % 64 & 1)
                any = h->listed[i] = true;
    }
    return any;
}

static bool find_listed(struct holder *h)
{
    for (uint32_t i = 0; i < SPANS; i++) {
        if (h->listed[i] && (h->slots = ga_slot_find_free(&view, span_pages[i], 0, NSLOTS)) != 0) {
            h->span = i;
            return true;
        }
        h->listed[i] = false;
    }
    return false;
}

/* Find free slots, waiting for the freers where every slot is out. False if news were lost: all
 * that was handed out is freed, and nobody has told. */
static bool refill(struct holder *h)
{
    for (;;) {
        uint32_t freed = atomic_load_explicit(&nfreed, memory_order_acquire);
        if (find_listed(h))
            return true;
        if (!take_news(h) && freed == h->nhanded)
            return false;
        sched_yield();
    }
}

static void change_mcache(struct holder *h)
{
    ga_mcache_id to = 2 * HOLDER + 1 - h->me;
    for (uint32_t i = 0; i < SPANS; i++) {
        transfer(span_pages[i], h->me, to);
        h->listed[i] = true;
    }
    h->me = to;
    h->slots = 0;
}

static void hand_out(struct holder *h)
{
    uint32_t index = (uint32_t)__builtin_ctzll(h->slots);
    h->slots &= h->slots - 1;
    flip(span_pages[h->span], BIT(index));
    uint32_t *mark = &handed_out[h->span][index];
    check_or_count(*mark == 0);
    *mark = 1;
    uint64_t dice = ga_test_random(&h->random);
    if (dice % 4 >= FREERS) { /* freed at once by the holder */
        *mark = 0;
        flip(span_pages[h->span], BIT(index));
        return;
    }
    ga_store_release(&mail[h->span][index], OTHER + (uint32_t)(dice % 4));
    h->nhanded++;
}

static void stress(void)
{
    memset(mcaches, 0, sizeof(mcaches));
    memset(lines, 0, sizeof(lines));
    struct holder h = {.me = HOLDER, .random = ga_test_seed()};
    for (uint32_t i = 0; i < SPANS; i++) {
        lease_to(span_pages[i], HOLDER);
        h.listed[i] = true;
    }
    ga_store_relaxed(&stop, 0);
    pthread_t threads[FREERS];
    for (size_t i = 0; i < FREERS; i++)
        pthread_create(&threads[i], NULL, free_what_comes, (void *)(uintptr_t)(OTHER + i));
    bool heard = true;
    for (uint32_t n = 0; n < ALLOCATIONS && heard; n++) {
        if (n % 977 == 976)
            change_mcache(&h);
        if (h.slots == 0)
            heard = refill(&h);
        if (heard)
            hand_out(&h);
    }
    ga_store_release(&stop, 1);
    for (size_t i = 0; i < FREERS; i++)
        pthread_join(threads[i], NULL);

    CU_ASSERT(heard);
    CU_ASSERT_EQUAL(ga_load_relaxed(&errors), 0);
    CU_ASSERT_EQUAL(ga_load_relaxed(&nfreed), h.nhanded);
    for (uint32_t i = 0; i < SPANS; i++) {
        CU_ASSERT_EQUAL(ga_slot_count_used(&view, span_pages[i], NSLOTS), 0);
        for (uint32_t index = 0; index < NSLOTS; index++)
            CU_ASSERT_EQUAL(handed_out[i][index], 0);
    }
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"fields of holder", holder_fields},
        {"the sequence of holder wraps", holder_sequence_wraps},
        {"sequences change the word", sequences_change_the_word},
        {"concurrent double frees", concurrent_double_frees},
        {"snapshots", snapshots},
        {"stress", stress},
    };
    return ga_test_main("shm.holder", tests, COUNT(tests));
}

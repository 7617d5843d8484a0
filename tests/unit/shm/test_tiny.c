/* The protocol of tiny objects: carving and its alignments, each step with every unit of the span
 * looked at, frees refused in every state that is not "in use", deaths after each store, and
 * threads that free what one carves. */
#include "shm/tiny.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define NPAGES   512u
#define PAGE     330u
#define ME       2u
#define OTHER    3u
#define NUNITS   (GA_TINY_NBLOCKS * GA_TINY_UNITS)
#define BIT(i)   (UINT64_C(1) << (i))

static struct ga_mcache mcaches[6];
static _Atomic uint64_t pending[NPAGES / 64];
static struct ga_span_line lines[NPAGES];
static struct ga_tiny_bits tiny_bits[NPAGES];
static ga_page_word page_table[NPAGES];
static const struct ga_view view = {.page_table = page_table,
                                    .mcaches = mcaches,
                                    .pending = pending,
                                    .lines = lines,
                                    .tiny = tiny_bits};

static void reset(void)
{
    memset(mcaches, 0, sizeof(mcaches));
    memset(lines, 0, sizeof(lines));
    memset(pending, 0, sizeof(pending));
    memset(tiny_bits, 0, sizeof(tiny_bits));
    ga_store_relaxed(
        &page_table[PAGE],
        ga_entry_make(GA_SPAN_CLASS_TINY, 1, ME, GA_ENTRY_INUSE | GA_ENTRY_FIRST | GA_ENTRY_TINY));
    ga_slot_begin_lease(&view, ME, PAGE);
}

static uint64_t tiny_of(ga_mcache_id id)
{
    return ga_load_relaxed(&mcaches[id].tiny);
}

static uint64_t byte_of(uint32_t block)
{
    return ga_load_relaxed(&tiny_bits[PAGE].live[block / 8]) >> block % 8 * 8 & 0xff;
}

static struct ga_slot slot_at(uint32_t index)
{
    return (struct ga_slot){.page = PAGE, .index = index, .entry = ga_view_entry(&view, PAGE)};
}

static bool in_use(uint32_t index)
{
    struct ga_slot slot = slot_at(index);
    uint64_t a = 77;
    bool used = ga_slot_in_use(&view, &slot, &a);
    CU_ASSERT_EQUAL(a, 0);
    return used;
}

static uint32_t bytes_of(uint32_t index)
{
    struct ga_slot slot = slot_at(index);
    return ga_tiny_bytes(&view, &slot);
}

static bool free_object(uint32_t index)
{
    struct ga_slot slot = slot_at(index);
    return ga_slot_free_by_other(&view, OTHER, &slot);
}

/* Carve as the holder; the unit in the span, or NUNITS if there is no room. */
static uint32_t carve(size_t size, uint32_t alignment)
{
    uint64_t next;
    uint32_t unit;
    if (!ga_tiny_carve(tiny_of(ME), size, alignment, &next, &unit))
        return NUNITS;
    ga_store_release(&mcaches[ME].tiny, next);
    return ga_tiny_block(next) * GA_TINY_UNITS + unit;
}

static uint32_t adopt(uint32_t from)
{
    uint32_t block = 999;
    ga_tiny_leave(&view, ME, tiny_of(ME));
    return ga_tiny_adopt(&view, ME, PAGE, from, &block) ? block : GA_TINY_NBLOCKS;
}

/* Whether exactly the units of the mask, in block, and nothing else of the span, are in use. */
static bool used_are(uint32_t block, uint64_t mask)
{
    bool good = ga_tiny_count_objects(&view, PAGE) == (uint32_t)__builtin_popcountll(mask);
    for (uint32_t i = 0; i < NUNITS; i++)
        good = good && in_use(i) == (i / 8 == block && (mask >> i % 8 & 1));
    return good;
}

static bool is_told(void)
{
    const struct ga_mcache_inbox *inbox = &mcaches[ME].inbox[GA_SPAN_CLASS_TINY];
    return ga_load_relaxed(&inbox->word[PAGE / 64 % GA_INBOX_WORDS]) == BIT(PAGE % 64);
}

/* Every pair of sizes, in every alignment: they do not overlap, lie as they should, and what has no
 * room is refused. */
static void carving(void)
{
    for (size_t first = 0; first <= GA_TINY_SIZE_MAX; first++)
        for (size_t second = 0; second <= GA_TINY_SIZE_MAX; second++)
            for (uint32_t alignment = 1; alignment <= GA_TINY_ALIGN_MAX; alignment *= 2) {
                reset();
                uint32_t block = adopt(63);
                CU_ASSERT_EQUAL(block, 63 * 8);
                uint32_t a = carve(first, ga_tiny_alignment(first));
                uint32_t b = carve(second, alignment);
                CU_ASSERT_EQUAL(a, block * 8);
                uint32_t end = ((uint32_t)(first ? first : 1) + 1) / 2 * 2;
                uint32_t start = (end + alignment - 1) / alignment * alignment;
                if (alignment == 1)
                    start = end;
                if (start + (second ? second : 1) <= 16) {
                    CU_ASSERT_EQUAL(b, block * 8 + start / 2);
                    CU_ASSERT_EQUAL(bytes_of(a), start);
                    CU_ASSERT_EQUAL(bytes_of(b), ((second ? second : 1) + 1) / 2 * 2);
                } else {
                    CU_ASSERT_EQUAL(b, NUNITS);
                    CU_ASSERT_EQUAL(bytes_of(a), end);
                }
            }
    static const uint32_t alignments[16] = {1, 1, 2, 1, 4, 1, 2, 1, 8, 1, 2, 1, 4, 1, 2, 1};
    for (size_t size = 0; size < 16; size++)
        CU_ASSERT_EQUAL(ga_tiny_alignment(size), alignments[size]);
    reset();
    CU_ASSERT_EQUAL(carve(1, 1), NUNITS); /* no block */
    /* A word that somebody has overwritten has no room. */
    ga_store_relaxed(&mcaches[ME].tiny, ~UINT64_C(0));
    CU_ASSERT_EQUAL(carve(1, 1), NUNITS);
}

static void one_block(void)
{
    reset();
    uint32_t block = adopt(5);
    CU_ASSERT_EQUAL(block, 40);
    CU_ASSERT_EQUAL(byte_of(block), 0xff);
    CU_ASSERT(used_are(block, 0));
    CU_ASSERT_EQUAL(ga_slot_count_used(&view, PAGE, GA_TINY_NBLOCKS), 1);
    for (uint32_t i = 0; i < 8; i++)
        CU_ASSERT_FALSE(free_object(block * 8 + i)); /* not handed out */
    CU_ASSERT_EQUAL(byte_of(block), 0xff);

    CU_ASSERT_EQUAL(carve(6, 2), block * 8);
    CU_ASSERT_EQUAL(carve(4, 4), block * 8 + 4);
    CU_ASSERT_EQUAL(carve(1, 1), block * 8 + 6);
    CU_ASSERT(used_are(block, BIT(0) | BIT(4) | BIT(6)));
    CU_ASSERT_FALSE(free_object(block * 8 + 1) || free_object(block * 8 + 7));
    CU_ASSERT(free_object(block * 8 + 4));
    CU_ASSERT_FALSE(free_object(block * 8 + 4));
    CU_ASSERT_EQUAL(bytes_of(block * 8), 12); /* what was freed behind it is nobody's */
    CU_ASSERT(used_are(block, BIT(0) | BIT(6)));
    CU_ASSERT_FALSE(is_told());

    uint64_t first_of_it = tiny_of(ME) >> GA_TINY_SEQ_SHIFT;
    CU_ASSERT_EQUAL(adopt(5), 41);
    CU_ASSERT_EQUAL(byte_of(block), BIT(0) | BIT(6));
    CU_ASSERT(used_are(block, BIT(0) | BIT(6)));
    CU_ASSERT_EQUAL(bytes_of(block * 8 + 6), 4); /* up to the end, which is not carved any more */
    CU_ASSERT_FALSE(free_object(block * 8 + 7));
    CU_ASSERT(free_object(block * 8));
    CU_ASSERT_FALSE(is_told());
    CU_ASSERT_EQUAL(ga_load_relaxed(&mcaches[OTHER].telling), 0);
    CU_ASSERT(free_object(block * 8 + 6));
    CU_ASSERT(is_told());
    CU_ASSERT_EQUAL(ga_slot_count_used(&view, PAGE, GA_TINY_NBLOCKS), 1);
    /* Free again: the next adoption from there finds it. */
    CU_ASSERT_EQUAL(adopt(5), 40);
    CU_ASSERT_EQUAL(tiny_of(ME) >> GA_TINY_SEQ_SHIFT, first_of_it + 2); /* each is another word */
}

/* 512 blocks and no more; freed ones are found from wherever the search begins. */
static void every_block(void)
{
    reset();
    for (uint32_t i = 0; i < GA_TINY_NBLOCKS; i++) {
        CU_ASSERT_EQUAL(adopt(i / 8), i);
        CU_ASSERT_EQUAL(carve(15, 1), i * 8);
    }
    CU_ASSERT_EQUAL(adopt(0), GA_TINY_NBLOCKS);
    CU_ASSERT_EQUAL(ga_tiny_page(tiny_of(ME)), 0);
    CU_ASSERT_EQUAL(carve(1, 1), NUNITS);
    CU_ASSERT_EQUAL(ga_slot_count_used(&view, PAGE, GA_TINY_NBLOCKS), GA_TINY_NBLOCKS);
    CU_ASSERT_EQUAL(ga_tiny_count_objects(&view, PAGE), GA_TINY_NBLOCKS);
    CU_ASSERT(free_object(300 * 8) && free_object(7 * 8));
    CU_ASSERT_EQUAL(ga_slot_count_used(&view, PAGE, GA_TINY_NBLOCKS), GA_TINY_NBLOCKS - 2);
    CU_ASSERT_EQUAL(adopt(63), 7);
    CU_ASSERT_EQUAL(adopt(1), 300);
    CU_ASSERT_EQUAL(adopt(1), 300); /* nothing was carved of it */
    CU_ASSERT_EQUAL(adopt(0), 7);
}

/* A death after each store of: adopt, carve twice, leave, adopt the next. Recovered, once and
 * again, just what was handed out and not freed is in use, and the rest can be had. */
static void deaths(void)
{
    for (int freed = 0; freed < 2; freed++)
        for (int stores = 0; stores <= 7; stores++) {
            reset();
            uint64_t before = tiny_of(ME);
            uint64_t expected = 0;
            uint32_t block = adopt(0);
            uint64_t named = tiny_of(ME);
            if (stores == 0)
                ga_store_relaxed(&mcaches[ME].tiny, before);
            if (stores <= 1)
                ga_store_relaxed(&tiny_bits[PAGE].live[0], 0);
            if (stores >= 3 && carve(4, 4) == block * 8)
                expected |= BIT(0);
            if (stores >= 4 && carve(8, 8) == block * 8 + 4)
                expected |= BIT(4);
            if (freed && expected) {
                CU_ASSERT(free_object(block * 8));
                expected &= ~BIT(0);
            }
            CU_ASSERT(used_are(block, expected));
            uint64_t handed = tiny_of(ME);
            if (stores >= 5)
                ga_tiny_leave(&view, ME, handed);
            if (stores == 5)
                ga_store_relaxed(&mcaches[ME].tiny, handed);
            if (stores == 7) {
                /* The next block is named; its byte is not set. */
                uint32_t next = adopt(1);
                CU_ASSERT_EQUAL(next, 8);
                ga_store_relaxed(&tiny_bits[PAGE].live[1], 0);
            }
            CU_ASSERT(used_are(block, expected));
            for (int again = 0; again < 2; again++) {
                uint64_t tiny = tiny_of(ME);
                ga_tiny_leave(&view, ME, tiny);
                if (again == 0)
                    ga_store_relaxed(&mcaches[ME].tiny,
                                     tiny); /* broken off before the last store */
                CU_ASSERT(used_are(block, expected));
            }
            CU_ASSERT_EQUAL(byte_of(block), expected);
            CU_ASSERT_EQUAL(ga_slot_count_used(&view, PAGE, GA_TINY_NBLOCKS), expected ? 1 : 0);
            CU_ASSERT_EQUAL(ga_tiny_page(tiny_of(ME)), 0);
            CU_ASSERT(tiny_of(ME) >> GA_TINY_SEQ_SHIFT >=
                      (stores ? named >> GA_TINY_SEQ_SHIFT : 0));
            CU_ASSERT_EQUAL(adopt(0), expected ? 1 : 0);
        }
}

/* Words of the holder that somebody has overwritten, and a span that is gone: nothing is in use, or
 * what live says; nobody follows them anywhere. */
static void overwritten_words(void)
{
    reset();
    uint32_t block = adopt(0);
    CU_ASSERT_EQUAL(carve(2, 2), block * 8);
    struct ga_slot slot = slot_at(0);
    bool emptied;
    ga_store_relaxed(&lines[PAGE].holder, GA_HOLDER_ID_MASK); /* no mcache has this id */
    CU_ASSERT(in_use(0));
    ga_store_relaxed(&page_table[PAGE], 0);
    CU_ASSERT_FALSE(ga_tiny_free(&view, &slot, &emptied));
    CU_ASSERT_FALSE(ga_slot_free_by_other(&view, OTHER, &slot));
    CU_ASSERT_EQUAL(ga_tiny_bytes(&view, &slot), 0);
    CU_ASSERT_EQUAL(byte_of(block), 0xff);
}

/* ---- threads ---- */

#define NTHREADS 3u
#define ROUNDS   60000u
#define RING     32u /* fewer than the objects between two adoptions of one block */

/* The carver hands each object to all the freers, who race: round + 1 and index, in one ring. */
static _Atomic uint32_t handed_over[RING];
static _Atomic uint32_t nfreed;
static _Atomic uint32_t nrefused;
static _Atomic uint32_t arrived[RING];

static void *free_all(void *argument)
{
    ga_mcache_id me = *(const ga_mcache_id *)argument;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t handed;
        while ((handed = ga_load_acquire(&handed_over[i % RING])) / NUNITS != i + 1)
            sched_yield();
        struct ga_slot slot = slot_at(handed % NUNITS);
        if (ga_slot_free_by_other(&view, me, &slot))
            ga_fetch_add_relaxed(&nfreed, 1);
        else
            ga_fetch_add_relaxed(&nrefused, 1);
        atomic_fetch_add_explicit(&arrived[i % RING], 1, memory_order_release);
    }
    return NULL;
}

/* Each object is freed by one of the racing threads and refused to the others, as long as the
 * carver does not reuse its block before all have tried. */
static void racing_frees(void)
{
    static const ga_mcache_id ids[NTHREADS] = {3, 4, 5};
    pthread_t threads[NTHREADS];
    uint64_t random_state = 1;
    reset();
    for (uint32_t i = 0; i < RING; i++)
        ga_store_relaxed(&handed_over[i], 0);
    for (uint32_t i = 0; i < NTHREADS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, free_all, (void *)&ids[i]), 0);
    uint32_t word = 0;
    uint32_t block = adopt(word);
    uint32_t nwrong = 0;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t index;
        size_t size = 1 + ga_test_random(&random_state) % GA_TINY_SIZE_MAX;
        while ((index = carve(size, ga_tiny_alignment(size))) == NUNITS) {
            /* From behind the last block, so that a block rests until all have tried its objects.
             */
            word = (word + 1) % GA_TINY_WORDS;
            block = adopt(word);
            if (block == GA_TINY_NBLOCKS)
                break;
        }
        nwrong += block == GA_TINY_NBLOCKS;
        /* Wait for whoever still has what stood here. */
        while (i >= RING && ga_load_acquire(&arrived[i % RING]) < NTHREADS * (i / RING))
            sched_yield();
        ga_store_release(&handed_over[i % RING], (i + 1) * NUNITS + index);
    }
    for (uint32_t i = 0; i < NTHREADS; i++)
        pthread_join(threads[i], NULL);
    ga_tiny_leave(&view, ME, tiny_of(ME));
    CU_ASSERT_EQUAL(nwrong, 0);
    CU_ASSERT_EQUAL(nfreed, ROUNDS);
    CU_ASSERT_EQUAL(nrefused, (NTHREADS - 1) * ROUNDS);
    CU_ASSERT_EQUAL(ga_slot_count_used(&view, PAGE, GA_TINY_NBLOCKS), 0);
    CU_ASSERT(is_told());
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"carving", carving},
        {"one block", one_block},
        {"every block", every_block},
        {"deaths", deaths},
        {"overwritten words", overwritten_words},
        {"racing frees", racing_frees},
    };
    return ga_test_main("shm.tiny", tests, COUNT(tests));
}

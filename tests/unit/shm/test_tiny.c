/* The protocol of tiny objects: runs and what is carved of them, each step with every unit of the
 * span looked at, frees refused in every state that is not "in use", deaths between stores, and
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
#define NONE     GA_TINY_NUNITS
#define BIT(i)   (UINT64_C(1) << (i))

static struct ga_mcache mcaches[6];
static _Atomic uint64_t pending[NPAGES / 64];
static struct ga_span_line lines[NPAGES];
static struct ga_tiny_bits tiny_bits[NPAGES];
static ga_page_word page_table[NPAGES];
static const struct ga_view view = {.counts = {.mcaches = sizeof(mcaches) / sizeof(mcaches[0])},
                                    .page_table = page_table,
                                    .mcaches = mcaches,
                                    .pending_end = pending + NPAGES / 64,
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

static struct ga_slot slot_at(uint32_t index)
{
    return (struct ga_slot){.page = PAGE, .index = index, .entry = ga_view_entry(&view, PAGE)};
}

static bool in_use(uint32_t index)
{
    struct ga_slot slot = slot_at(index);
    uint64_t a;
    return ga_slot_in_use(&view, &slot, &a);
}

static uint32_t bytes_of(uint32_t index)
{
    struct ga_slot slot = slot_at(index);
    return ga_tiny_bytes(&view, &slot);
}

static bool free_by_other(uint32_t index)
{
    struct ga_slot slot = slot_at(index);
    return ga_slot_free_by_other(&view, OTHER, &slot);
}

static bool free_own(uint32_t index)
{
    uint64_t used;
    struct ga_tiny_pair *pair = &tiny_bits[PAGE].pair[index / 64];
    bool freed = ga_tiny_free_own(pair, index, &used);
    CU_ASSERT(!freed || used == ga_tiny_used(pair));
    return freed;
}

/* What the holder carves from. */
static struct ga_tiny_carver carver;

/* The word where a run was found; GA_TINY_WORDS if there is none. */
static uint32_t find(uint32_t from)
{
    return ga_tiny_find(&carver, &view, PAGE, from) ? ga_tiny_word_of(&carver) : GA_TINY_WORDS;
}

/* Carve as the holder; the unit in the span, or NONE if there is no room. */
static uint32_t carve(size_t size, uint32_t alignment)
{
    struct ga_tiny_shape shape = ga_tiny_shape(size, alignment);
    uint64_t unit;
    if (!ga_tiny_carve(&carver, &mcaches[ME].tiny, &shape, &unit))
        return NONE;
    return ga_tiny_word_of(&carver) * 64 + (uint32_t)unit;
}

/* Whether just these units of the word are in use, and none elsewhere in the span. */
static bool used_are(uint32_t word, uint64_t mask)
{
    bool good = ga_tiny_count_objects(&view, PAGE) == (uint32_t)__builtin_popcountll(mask);
    for (uint32_t i = 0; i < GA_TINY_NUNITS; i++)
        good = good && in_use(i) == (i / 64 == word && (mask >> i % 64 & 1));
    return good;
}

static bool is_told(void)
{
    const struct ga_mcache_inbox *inbox = &mcaches[ME].inbox[GA_SPAN_CLASS_TINY];
    return ga_load_relaxed(&inbox->word[PAGE / 64 % GA_INBOX_WORDS]) == BIT(PAGE % 64);
}

/* Every pair of sizes, in every alignment: they do not overlap, lie as they should, and what has no
 * room is refused. From nothing, nothing can be carved. */
static void carving(void)
{
    for (size_t first = 0; first <= GA_TINY_SIZE_MAX; first++)
        for (size_t second = 0; second <= GA_TINY_SIZE_MAX; second++)
            for (uint32_t alignment = 1; alignment <= GA_TINY_ALIGN_MAX; alignment *= 2) {
                reset();
                CU_ASSERT_EQUAL(find(63), 63);
                carver.limit = 7; /* a run of 8 units */
                uint32_t a = carve(first, 0);
                uint32_t b = carve(second, alignment);
                uint32_t least = ga_tiny_alignment(second);
                uint32_t step = alignment > least ? alignment : least;
                uint32_t end = ((uint32_t)(first ? first : 1) + 1) / 2 * 2;
                uint32_t start = (end + step - 1) / step * step;
                uint32_t bytes = ((uint32_t)(second ? second : 1) + 1) / 2 * 2;
                CU_ASSERT_EQUAL(a, 63 * 64);
                if (start + bytes <= 16) {
                    CU_ASSERT_EQUAL(b, 63 * 64 + (start + start % 2) / 2);
                    CU_ASSERT_EQUAL(bytes_of(a), start + start % 2);
                    CU_ASSERT_EQUAL(bytes_of(b), bytes);
                } else {
                    CU_ASSERT_EQUAL(b, NONE);
                    CU_ASSERT_EQUAL(bytes_of(a), end);
                }
            }
    static const uint32_t alignments[16] = {1, 1, 2, 1, 4, 1, 2, 1, 8, 1, 2, 1, 4, 1, 2, 1};
    carver = (struct ga_tiny_carver){0};
    for (size_t size = 0; size < 16; size++) {
        CU_ASSERT_EQUAL(ga_tiny_alignment(size), alignments[size]);
        CU_ASSERT_EQUAL(ga_tiny_shapes[size].more, size ? (size - 1) / 2 : 0);
        CU_ASSERT_EQUAL((uint32_t)(-2 * ga_tiny_shapes[size].step),
                        alignments[size] + alignments[size] % 2);
        CU_ASSERT_EQUAL(carve(size, 0), NONE);
    }
}

/* The first run of a word, unit by unit; 64 if there is none. How many blocks fit in its runs. */
static uint32_t first_run(uint64_t used, uint32_t *ret_end, uint32_t *ret_nblocks)
{
    bool is_free[64 + 1] = {false};
    uint32_t found = 64;
    for (uint32_t i = 0; i < 64; i++)
        is_free[i] = (used << (63 - i) >> (i < 8 ? 63 - i : 56)) == 0; /* i - 7 .. i */
    *ret_nblocks = 0;
    for (uint32_t i = 0; i + 8 <= 64; i += 4) {
        uint32_t end = i;
        while (is_free[end])
            end++;
        if (end - i < 8)
            continue;
        if (found == 64)
            *ret_end = end;
        found = found == 64 ? i : found;
        ++*ret_nblocks;
        i += 4;
    }
    return found;
}

/* Whatever is in use in a word, and whichever way A and F say so. */
static void runs(void)
{
    uint64_t state = ga_test_seed();
    for (int round = 0; round < 20000; round++) {
        uint64_t used = ga_test_random(&state);
        for (int thin = round % 8; thin > 0; thin--)
            used &= ga_test_random(&state);
        uint32_t end = 0;
        uint32_t nblocks;
        uint32_t first = first_run(used, &end, &nblocks);
        reset();
        for (uint32_t word = 0; word < GA_TINY_WORDS; word++)
            ga_store_relaxed(&tiny_bits[PAGE].pair[word].a, ~UINT64_C(0));
        uint64_t f = ga_test_random(&state);
        ga_store_relaxed(&tiny_bits[PAGE].pair[9].f, f);
        ga_store_relaxed(&tiny_bits[PAGE].pair[9].a, f ^ used);
        CU_ASSERT_EQUAL(ga_tiny_used(&tiny_bits[PAGE].pair[9]), used);
        CU_ASSERT_EQUAL(ga_tiny_has_room(used), first < 64);
        CU_ASSERT_EQUAL(ga_tiny_count_blocks(&view, PAGE), GA_TINY_NBLOCKS - nblocks);
        CU_ASSERT_EQUAL(find((uint32_t)round % GA_TINY_WORDS), first < 64 ? 9 : GA_TINY_WORDS);
        if (first < 64) {
            CU_ASSERT(carver.last + 1 == first && carver.limit + 1 == end);
            CU_ASSERT_EQUAL(carve(15, 8), 9 * 64 + first); /* what is hardest to place */
        } else {
            CU_ASSERT_EQUAL(carve(1, 1), NONE);
        }
    }
}

static void one_word(void)
{
    const uint32_t at = 5 * 64;
    reset();
    CU_ASSERT_EQUAL(find(5), 5);
    CU_ASSERT(used_are(5, 0));
    CU_ASSERT_EQUAL(ga_slot_count_used(&view, PAGE, GA_TINY_NBLOCKS), 0);
    for (uint32_t i = 0; i < 64; i++)
        CU_ASSERT_FALSE(free_by_other(at + i) || free_own(at + i)); /* not handed out */
    CU_ASSERT_EQUAL(carve(6, 2), at);
    CU_ASSERT_EQUAL(carve(4, 4), at + 4);
    CU_ASSERT_EQUAL(carve(1, 1), at + 6);
    CU_ASSERT_EQUAL(ga_tiny_end(tiny_of(ME)), at + 7);
    CU_ASSERT(used_are(5, BIT(0) | BIT(4) | BIT(6)));
    CU_ASSERT_EQUAL(ga_slot_count_used(&view, PAGE, GA_TINY_NBLOCKS), 2);
    CU_ASSERT_FALSE(free_by_other(at + 1) || free_own(at + 7));
    CU_ASSERT_FALSE(is_told());
    CU_ASSERT(free_by_other(at + 4));
    CU_ASSERT(is_told());
    CU_ASSERT_EQUAL(ga_load_relaxed(&mcaches[OTHER].telling), 0);
    CU_ASSERT_FALSE(free_by_other(at + 4) || free_own(at + 4));
    CU_ASSERT(used_are(5, BIT(0) | BIT(6)));
    CU_ASSERT_EQUAL(bytes_of(at), 12); /* what was freed behind it is nobody's */
    CU_ASSERT_EQUAL(bytes_of(at + 6), 2);

    /* Behind an object of unknown length the next run leaves room for the longest. */
    CU_ASSERT_EQUAL(find(5), 5);
    CU_ASSERT_EQUAL(carve(2, 1), at + 16);
    CU_ASSERT_EQUAL(bytes_of(at + 6), 16);
    CU_ASSERT(free_own(at) && free_own(at + 6));
    CU_ASSERT_FALSE(free_own(at) || free_by_other(at + 6));
    CU_ASSERT(used_are(5, BIT(16)));
    CU_ASSERT_EQUAL(find(5), 5);
    CU_ASSERT_EQUAL(carve(15, 1), at);
    CU_ASSERT_EQUAL(carve(15, 1), at + 8);
    CU_ASSERT_EQUAL(carve(1, 1), NONE); /* there is the one that was left */
    CU_ASSERT_EQUAL(find(5), 5);
    CU_ASSERT_EQUAL(carve(15, 8), at + 24);
    CU_ASSERT_EQUAL(bytes_of(at + 16), 16);

    ga_tiny_leave(&view, ME);
    CU_ASSERT_EQUAL(tiny_of(ME), 0);
    CU_ASSERT(used_are(5, BIT(0) | BIT(8) | BIT(16) | BIT(24)));
}

/* 512 objects of 15 bytes and no more; what is freed is found from wherever the search begins. */
static void every_block(void)
{
    reset();
    CU_ASSERT_EQUAL(find(0), 0);
    for (uint32_t i = 0; i < GA_TINY_NBLOCKS; i++) {
        uint32_t unit = carve(15, 1);
        if (unit == NONE) {
            CU_ASSERT_EQUAL(find(0), i / 8);
            unit = carve(15, 1);
        }
        CU_ASSERT_EQUAL(unit, i * 8);
    }
    CU_ASSERT_EQUAL(find(0), GA_TINY_WORDS);
    CU_ASSERT_EQUAL(carve(1, 1), NONE);
    CU_ASSERT_EQUAL(ga_slot_count_used(&view, PAGE, GA_TINY_NBLOCKS), GA_TINY_NBLOCKS);
    CU_ASSERT_EQUAL(ga_tiny_count_objects(&view, PAGE), GA_TINY_NBLOCKS);
    CU_ASSERT_FALSE(ga_tiny_is_empty(&view, PAGE));
    CU_ASSERT(free_by_other(300 * 8) && free_own(7 * 8));
    CU_ASSERT_EQUAL(ga_slot_count_used(&view, PAGE, GA_TINY_NBLOCKS), GA_TINY_NBLOCKS - 2);
    CU_ASSERT_EQUAL(find(63), 0);
    CU_ASSERT_EQUAL(find(1), 300 / 8);
    CU_ASSERT_EQUAL(carve(8, 8), 300 * 8);
    CU_ASSERT_EQUAL(find(1), 0);
    CU_ASSERT_EQUAL(carve(8, 8), 7 * 8);
    CU_ASSERT_EQUAL(find(1), GA_TINY_WORDS);
    for (uint32_t i = 0; i < GA_TINY_NBLOCKS; i++) {
        CU_ASSERT_FALSE(ga_tiny_is_empty(&view, PAGE));
        CU_ASSERT(i % 2 ? free_by_other(i * 8) : free_own(i * 8));
    }
    CU_ASSERT(ga_tiny_is_empty(&view, PAGE));
    /* Whatever way the bits lie now, all of it can be had again. */
    CU_ASSERT_EQUAL(find(17), 17);
    CU_ASSERT(carver.last + 1 == 0 && carver.limit == 63);
}

/* A death between the stores of an allocation, and behind both: what is in use, and that what the
 * dead one had told keeps nobody from freeing and sizing what it left. */
static void deaths(void)
{
    for (int told = 0; told < 2; told++) {
        reset();
        CU_ASSERT_EQUAL(find(0), 0);
        CU_ASSERT_EQUAL(carve(4, 4), 0);
        uint64_t before = tiny_of(ME);
        CU_ASSERT_EQUAL(carve(8, 8), 4);
        if (!told)
            ga_store_relaxed(&mcaches[ME].tiny, before);
        CU_ASSERT(used_are(0, BIT(0) | BIT(4)));
        CU_ASSERT_EQUAL(bytes_of(0), told ? 8 : 4);
        for (int again = 0; again < 2; again++) /* the server does it, perhaps twice */
            ga_tiny_leave(&view, ME);
        CU_ASSERT(used_are(0, BIT(0) | BIT(4)));
        CU_ASSERT_EQUAL(bytes_of(0), 8);
        CU_ASSERT_EQUAL(bytes_of(4), 16);
        CU_ASSERT(free_by_other(4) && !free_by_other(4));
        CU_ASSERT(used_are(0, BIT(0)));
        CU_ASSERT_FALSE(ga_tiny_is_empty(&view, PAGE));
    }
}

/* Words of the holder that somebody has overwritten, and a span that is gone: in use is what A and
 * F say, or nothing; nobody follows the words anywhere, and no size is more than the longest. */
static void overwritten_words(void)
{
    reset();
    CU_ASSERT_EQUAL(find(0), 0);
    CU_ASSERT_EQUAL(carve(2, 2), 0);
    struct ga_slot slot = slot_at(0);
    uint64_t state = ga_test_seed();
    for (int i = 0; i < 1000; i++) {
        ga_store_relaxed(&mcaches[ME].tiny, ga_test_random(&state));
        uint32_t bytes = bytes_of(0);
        CU_ASSERT(bytes >= GA_TINY_UNIT_BYTES && bytes <= 16);
        ga_store_relaxed(&mcaches[ME].tiny, ga_tiny_word(PAGE, (uint32_t)i * 5));
        bytes = bytes_of(0);
        CU_ASSERT(bytes >= GA_TINY_UNIT_BYTES && bytes <= 16);
    }
    ga_store_relaxed(&lines[PAGE].holder, GA_HOLDER_ID_MASK); /* no mcache has this id */
    CU_ASSERT(in_use(0));
    CU_ASSERT_EQUAL(bytes_of(0), 16);
    ga_store_relaxed(&page_table[PAGE], 0);
    CU_ASSERT_FALSE(ga_slot_free_by_other(&view, OTHER, &slot));
    CU_ASSERT_EQUAL(ga_tiny_count_objects(&view, PAGE), 1);
}

/* ---- threads ---- */

#define NTHREADS 3u
#define ROUNDS   60000u
#define RING     32u /* fewer than the objects between two uses of one word */

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
        while ((handed = ga_load_acquire(&handed_over[i % RING])) / GA_TINY_NUNITS != i + 1)
            sched_yield();
        struct ga_slot slot = slot_at(handed % GA_TINY_NUNITS);
        if (ga_slot_free_by_other(&view, me, &slot))
            ga_fetch_add_relaxed(&nfreed, 1);
        else
            ga_fetch_add_relaxed(&nrefused, 1);
        atomic_fetch_add_explicit(&arrived[i % RING], 1, memory_order_release);
    }
    return NULL;
}

/* Each object is freed by one of the racing threads and refused to the others, as long as the
 * carver does not reuse its units before all have tried. */
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
    uint32_t word = find(0);
    uint32_t nwrong = 0;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t index;
        size_t size = 1 + ga_test_random(&random_state) % GA_TINY_SIZE_MAX;
        while ((index = carve(size, 0)) == NONE) {
            /* From behind the last word, so that a word rests until all have tried its objects. */
            word = find((word + 1) % GA_TINY_WORDS);
            if (word == GA_TINY_WORDS)
                break;
        }
        nwrong += word == GA_TINY_WORDS;
        /* Wait for whoever still has what stood here. */
        while (i >= RING && ga_load_acquire(&arrived[i % RING]) < NTHREADS * (i / RING))
            sched_yield();
        ga_store_release(&handed_over[i % RING], (i + 1) * GA_TINY_NUNITS + index);
    }
    for (uint32_t i = 0; i < NTHREADS; i++)
        pthread_join(threads[i], NULL);
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
        {"runs", runs},
        {"one word", one_word},
        {"every block", every_block},
        {"deaths", deaths},
        {"overwritten words", overwritten_words},
        {"racing frees", racing_frees},
    };
    return ga_test_main("shm.tiny", tests, COUNT(tests));
}

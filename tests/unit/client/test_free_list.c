/* The list of free slots: what comes off it, in which order, and what does not. */
#include "client/free_list.h"

#include "support/cunit_main.h"

#define SIZE     64u
#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define BIT(i)   (UINT64_C(1) << (i))

static char memory[2 * 64 * SIZE];
static _Atomic uint64_t words[2 * GA_LINE_WORDS]; /* A of two words, then F */
static struct ga_mcache_class counts;
static struct ga_free_list list;
static struct ga_span_line line;

/* F's bits have any value; no slot is in use. */
static void reset(void)
{
    for (uint32_t i = 0; i < GA_LINE_WORDS; i++) {
        ga_store_relaxed(&words[i], UINT64_C(0xf0f0) << i);
        ga_store_relaxed(&words[GA_LINE_WORDS + i], UINT64_C(0xf0f0) << i);
    }
    counts = (struct ga_mcache_class){0};
    static const struct ga_size_class class = {.size = SIZE, .nslots = 128};
    static struct ga_free_slot places[GA_FREE_LIST_PLACES];
    ga_free_list_init(&list, &counts, 1, 2, &class);
    ga_free_list_open(&list, places, GA_FREE_LIST_SLOTS);
}

static void fill(uint32_t word, uint64_t slots)
{
    ga_free_list_fill(&list, memory + (size_t)word * 64 * SIZE, &line, &words[word], slots, false);
}

static char *slot_at(uint32_t index)
{
    return memory + (size_t)index * SIZE;
}

/* A free by the holder, as goalloc_free does it. Returns whether there was room. */
static bool free_slot(uint32_t index)
{
    _Atomic uint64_t *a = &words[index / 64];
    ga_slot_flip(a, BIT(index % 64));
    ga_store_relaxed(&counts.nfree, ga_load_relaxed(&counts.nfree) + 1);
    struct ga_free_slot slot = {.p = slot_at(index), .a = a, .bit = BIT(index % 64), .line = &line};
    return ga_free_list_put(&list, slot);
}

static void empty_list(void)
{
    reset();
    CU_ASSERT_PTR_NULL(ga_free_list_malloc(&list));
    uint64_t a;
    CU_ASSERT_PTR_NULL(ga_free_list_first(&list, &a));
    CU_ASSERT_PTR_NULL(ga_free_list_malloc(&list));
    CU_ASSERT_EQUAL(ga_load_relaxed(&counts.nmalloc), 0);
}

/* The lowest first; each is in use from then on, and counted. */
static void filled_from_a_word(void)
{
    static const uint64_t masks[] = {1, BIT(63), BIT(3) | BIT(7) | BIT(40), ~UINT64_C(0)};
    for (size_t m = 0; m < COUNT(masks); m++) {
        reset();
        fill(0, masks[m]);
        uint64_t n = 0;
        for (uint32_t i = 0; i < 64; i++) {
            if ((masks[m] & BIT(i)) == 0)
                continue;
            CU_ASSERT_PTR_EQUAL(ga_free_list_malloc(&list), slot_at(i));
            CU_ASSERT((ga_slot_used(&words[0]) & BIT(i)) != 0);
            CU_ASSERT_EQUAL(ga_load_relaxed(&counts.nmalloc), ++n);
        }
        CU_ASSERT_EQUAL(ga_slot_used(&words[0]), masks[m]);
        CU_ASSERT_PTR_NULL(ga_free_list_malloc(&list));
    }
}

/* What was freed last comes first, also of another word. Where there is no room nothing changes. */
static void freed_last_first(void)
{
    reset();
    fill(0, ~UINT64_C(0));
    for (uint32_t i = 0; i < 64; i++)
        (void)ga_free_list_malloc(&list);
    ga_slot_flip(&words[1], ~UINT64_C(0)); /* the second word's are in use, too */
    for (uint32_t i = 0; i < GA_FREE_LIST_SLOTS + 3; i++)
        CU_ASSERT_EQUAL(free_slot(i), i < GA_FREE_LIST_SLOTS);
    for (uint32_t i = GA_FREE_LIST_SLOTS; i-- > 0;)
        CU_ASSERT_PTR_EQUAL(ga_free_list_malloc(&list), slot_at(i));
    CU_ASSERT_PTR_NULL(ga_free_list_malloc(&list));
    CU_ASSERT_EQUAL(ga_load_relaxed(&counts.nmalloc), 128);
    CU_ASSERT_EQUAL(list.top[1].line, &line);
}

/* What A and F say to be in use is not handed out, and the list goes on below it. */
static void in_use_after_all(void)
{
    reset();
    fill(0, 7);
    ga_slot_flip(&words[0], BIT(0));
    uint64_t a;
    CU_ASSERT_PTR_EQUAL(ga_free_list_first(&list, &a)->p, slot_at(1));
    CU_ASSERT_PTR_EQUAL(ga_free_list_malloc(&list), slot_at(1));
    CU_ASSERT_PTR_EQUAL(ga_free_list_malloc(&list), slot_at(2));
    CU_ASSERT_EQUAL(ga_slot_used(&words[0]), 7);
}

/* A slot is given out also where its word has become free meanwhile. */
static void words_that_are_free(void)
{
    reset();
    fill(0, 3);
    CU_ASSERT_PTR_EQUAL(ga_free_list_malloc(&list), slot_at(0));
    ga_slot_flip(&words[1], BIT(5) | BIT(6));
    (void)free_slot(64 + 5);
    (void)free_slot(64 + 6);
    CU_ASSERT_PTR_EQUAL(ga_free_list_malloc(&list), slot_at(64 + 6));
    CU_ASSERT_PTR_EQUAL(ga_free_list_malloc(&list), slot_at(64 + 5));
    CU_ASSERT_PTR_EQUAL(ga_free_list_malloc(&list), slot_at(1));
}

/* What was found may be taken, though another process frees what kept its word from being free. */
static void word_becomes_free(void)
{
    reset();
    fill(0, 1);
    ga_slot_flip(&words[1], BIT(5) | BIT(6));
    (void)free_slot(64 + 5);
    uint64_t a;
    struct ga_free_slot *first = ga_free_list_first(&list, &a);
    CU_ASSERT_PTR_EQUAL_FATAL(first->p, slot_at(64 + 5));
    words[GA_LINE_WORDS + 1] ^= BIT(6);
    CU_ASSERT_PTR_EQUAL(ga_free_list_take(&list, first, a), slot_at(64 + 5));
    CU_ASSERT_EQUAL(ga_slot_used(&words[1]), BIT(5));
    CU_ASSERT_PTR_EQUAL(ga_free_list_malloc(&list), slot_at(0));
    CU_ASSERT_PTR_NULL(ga_free_list_malloc(&list));
}

static void dropped(void)
{
    reset();
    fill(0, ~UINT64_C(0));
    ga_free_list_drop(&list);
    CU_ASSERT_PTR_NULL(ga_free_list_malloc(&list));
    CU_ASSERT_PTR_NULL(list.current);
    CU_ASSERT_EQUAL(ga_slot_used(&words[0]), 0);
}

/* What was taken stands above the top, until it is forgotten. */
static void given_out_last(void)
{
    reset();
    CU_ASSERT_PTR_NOT_NULL(list.top[1].p); /* a free of NULL does not find itself */
    fill(0, ~UINT64_C(0));
    for (uint32_t i = 0; i < 64; i++) {
        char *p = ga_free_list_malloc(&list);
        CU_ASSERT(list.top[1].p == p && list.top[1].bit == BIT(i) && list.top[1].a == &words[0]);
    }
    ga_free_list_forget(&list);
    for (uint32_t i = 0; i < GA_FREE_LIST_SLOTS + 1; i++)
        CU_ASSERT(list.top[1 + i].p < memory || list.top[1 + i].p >= memory + sizeof(memory));
    CU_ASSERT_PTR_NULL(ga_free_list_malloc(&list));
}

/* Of what the list was filled with untouched, until something was freed. */
static void untouched(void)
{
    reset();
    fill(0, 7);
    (void)ga_free_list_malloc(&list);
    CU_ASSERT_FALSE(ga_free_list_was_untouched(&list));
    ga_free_list_drop(&list);
    ga_free_list_fill(&list, memory, &line, &words[0], BIT(8) | BIT(9), true);
    CU_ASSERT_PTR_EQUAL(ga_free_list_malloc(&list), slot_at(8));
    CU_ASSERT(ga_free_list_was_untouched(&list));
    (void)free_slot(8);
    CU_ASSERT_PTR_EQUAL(ga_free_list_malloc(&list), slot_at(8));
    CU_ASSERT_FALSE(ga_free_list_was_untouched(&list));
    CU_ASSERT_PTR_EQUAL(ga_free_list_malloc(&list), slot_at(9));
    CU_ASSERT_FALSE(ga_free_list_was_untouched(&list));
}

/* A list with room for few slots, which is moved to more: what is on it stays, in its order, and
 * the places that it had are left alone. */
static void few_places(void)
{
    enum { FEW = 5 };
    static struct ga_free_slot few[FEW + 2];
    static struct ga_free_slot more[GA_FREE_LIST_PLACES];
    static const struct ga_free_slot untouched;
    reset();
    few[FEW + 1] = untouched;
    ga_free_list_open(&list, few, FEW);
    CU_ASSERT_EQUAL(ga_free_list_room(&list), FEW);
    fill(0, BIT(FEW) - 1);
    for (uint32_t i = 0; i < FEW; i++)
        CU_ASSERT_PTR_EQUAL(ga_free_list_malloc(&list), slot_at(i));
    CU_ASSERT_PTR_NULL(ga_free_list_malloc(&list));
    for (uint32_t i = 0; i < FEW; i++)
        CU_ASSERT(free_slot(i));
    CU_ASSERT_PTR_EQUAL(ga_free_list_malloc(&list), slot_at(FEW - 1));
    ga_slot_flip(&words[1], ~UINT64_C(0)); /* the second word's are in use */
    _Atomic uint64_t *current = list.current;
    ga_free_list_move(&list, more);
    CU_ASSERT_EQUAL(ga_free_list_room(&list), GA_FREE_LIST_SLOTS);
    CU_ASSERT_PTR_EQUAL(list.current, current);
    CU_ASSERT_PTR_EQUAL(few[1].p, slot_at(0));
    for (uint32_t i = 64; i < 64 + GA_FREE_LIST_SLOTS - FEW + 1; i++)
        CU_ASSERT(free_slot(i));
    CU_ASSERT_FALSE(free_slot(64 + GA_FREE_LIST_SLOTS - FEW + 1));
    for (uint32_t i = 64 + GA_FREE_LIST_SLOTS - FEW; i >= 64; i--)
        (void)ga_free_list_malloc(&list);
    for (uint32_t i = FEW - 1; i-- > 0;)
        CU_ASSERT_PTR_EQUAL(ga_free_list_malloc(&list), slot_at(i));
    CU_ASSERT_PTR_NULL(ga_free_list_malloc(&list));
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"few places", few_places},
        {"empty list", empty_list},
        {"filled from a word", filled_from_a_word},
        {"freed last first", freed_last_first},
        {"in use after all", in_use_after_all},
        {"words that are free", words_that_are_free},
        {"a word that becomes free", word_becomes_free},
        {"dropped", dropped},
        {"given out last", given_out_last},
        {"untouched", untouched},
    };
    return ga_test_main("client.free_list", tests, COUNT(tests));
}

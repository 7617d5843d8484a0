/* The words of sampled objects: what is put in is found, once, by whomever, and nothing else; the
 * count in the span's line goes with them; where there is no room nothing happens; and what a span
 * leaves is forgotten with it, and not what its neighbours have. */
#include "shm/sample.h"

#include <pthread.h>
#include <string.h>

#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define NPAGES   128u
#define NSETS    (NPAGES / GA_SAMPLE_SET_NPAGES)

static struct ga_span_line lines[NPAGES];
static _Atomic uint64_t sets[NSETS * GA_SAMPLE_WORDS_MIN];
static const struct ga_view view = {
    .lines = lines, .samples = sets, .sample_words = GA_SAMPLE_WORDS_MIN};

static void begin(void)
{
    memset(lines, 0, sizeof(lines));
    memset(sets, 0, sizeof(sets));
}

static uint32_t count_of(ga_page_id page)
{
    return ga_line_samples(ga_load_relaxed(&lines[page].nholds));
}

static void fields(void)
{
    static const uint32_t clients[] = {0, 1, GA_CLIENT_COUNT - 1};
    static const uint32_t sites[] = {0, 1, GA_PROFILE_SITES - 1};
    static const uint32_t instances[] = {1, 12345, GA_SAMPLE_INSTANCE_MASK};
    for (size_t c = 0; c < 3; c++)
        for (size_t s = 0; s < 3; s++)
            for (size_t i = 0; i < 3; i++) {
                uint64_t word = ga_sample_make(clients[c], instances[i], sites[s]);
                CU_ASSERT_EQUAL(ga_sample_client(word), clients[c]);
                CU_ASSERT_EQUAL(ga_sample_site(word), sites[s]);
                CU_ASSERT_EQUAL(ga_sample_instance(word), instances[i]);
                CU_ASSERT_EQUAL(ga_sample_offset(3, word | 5),
                                3 * GA_SAMPLE_SET_NPAGES * GA_PAGE_SIZE + 40);
            }
}

static void found_once(void)
{
    begin();
    uint64_t offset = 70 * GA_PAGE_SIZE + 48;
    uint64_t word = ga_sample_make(9, 4, 7);
    uint64_t found = 0;
    CU_ASSERT(!ga_sample_take(&view, 70, offset, &found));
    ga_store_relaxed(&lines[70].nholds, 2); /* the server's half */
    CU_ASSERT(ga_sample_put(&view, 70, offset, word));
    CU_ASSERT_EQUAL(count_of(70), 1);
    CU_ASSERT_EQUAL(ga_line_holds(ga_load_relaxed(&lines[70].nholds)), 2);
    CU_ASSERT(!ga_sample_take(&view, 70, offset + 8, &found));
    CU_ASSERT(!ga_sample_take(&view, 70, offset - GA_SAMPLE_SET_NPAGES * GA_PAGE_SIZE, &found));
    CU_ASSERT_EQUAL(found, 0);
    CU_ASSERT(ga_sample_take(&view, 70, offset, &found));
    CU_ASSERT_EQUAL(ga_sample_client(found), 9);
    CU_ASSERT_EQUAL(ga_sample_instance(found), 4);
    CU_ASSERT_EQUAL(ga_sample_site(found), 7);
    CU_ASSERT_EQUAL(ga_sample_offset(70 / GA_SAMPLE_SET_NPAGES, found), offset);
    CU_ASSERT_EQUAL(ga_load_relaxed(&lines[70].nholds), 2);
    CU_ASSERT(!ga_sample_take(&view, 70, offset, &found));
}

/* The count is no reason to do harm where somebody has spoilt it. */
static void a_spoilt_count(void)
{
    begin();
    uint64_t found;
    CU_ASSERT(ga_sample_put(&view, 3, 3 * GA_PAGE_SIZE, ga_sample_make(1, 1, 1)));
    ga_store_relaxed(&lines[3].nholds, 1);
    CU_ASSERT(ga_sample_take(&view, 3, 3 * GA_PAGE_SIZE, &found));
    CU_ASSERT_EQUAL(ga_load_relaxed(&lines[3].nholds), 1);
}

/* Where a line is full the one beside it has room: of these, eleven belong into one of eight. */
static void half_full(void)
{
    begin();
    for (uint64_t i = 0; i < GA_SAMPLE_WORDS_MIN / 2; i++)
        CU_ASSERT(ga_sample_put(&view, 5, i * i * 319 % 32768 * 8, ga_sample_make(2, 3, 4)));
}

/* Every slot of a span is sampled: as many as there is room for, and each of those is found. */
static void no_room(void)
{
    begin();
    uint64_t word = ga_sample_make(2, 3, 4);
    uint32_t nput = 0;
    bool put[1024];
    for (uint32_t i = 0; i < 1024; i++) {
        put[i] = ga_sample_put(&view, 5, 5 * GA_PAGE_SIZE + i * 8, word);
        nput += put[i];
        CU_ASSERT_EQUAL(count_of(5), nput);
    }
    CU_ASSERT(nput > GA_SAMPLE_WORDS_MIN * 9 / 10 && nput <= GA_SAMPLE_WORDS_MIN);
    for (uint32_t i = 0; i < 1024; i++) {
        uint64_t found;
        CU_ASSERT_EQUAL(ga_sample_has(&view, 5 * GA_PAGE_SIZE + i * 8), put[i]);
        CU_ASSERT_EQUAL(ga_sample_take(&view, 5, 5 * GA_PAGE_SIZE + i * 8, &found), put[i]);
        CU_ASSERT(!ga_sample_has(&view, 5 * GA_PAGE_SIZE + i * 8));
    }
    CU_ASSERT_EQUAL(count_of(5), 0);
}

static void spans_are_forgotten(void)
{
    begin();
    uint64_t word = ga_sample_make(2, 3, 4);
    uint64_t found;
    /* Pages 30 to 33, over the border of two sets; and one object beside it on either side. */
    for (uint64_t page = 30; page < 34; page++)
        CU_ASSERT(ga_sample_put(&view, 30, page * GA_PAGE_SIZE + 8, word));
    CU_ASSERT(ga_sample_put(&view, 29, 30 * GA_PAGE_SIZE - 8, word));
    CU_ASSERT(ga_sample_put(&view, 34, 34 * GA_PAGE_SIZE, word));
    CU_ASSERT_EQUAL(ga_sample_forget_span(&view, 30, 4), 4);
    CU_ASSERT_EQUAL(count_of(30), 0);
    CU_ASSERT(!ga_sample_take(&view, 30, 33 * GA_PAGE_SIZE + 8, &found));
    CU_ASSERT(ga_sample_take(&view, 29, 30 * GA_PAGE_SIZE - 8, &found));
    CU_ASSERT(ga_sample_take(&view, 34, 34 * GA_PAGE_SIZE, &found));
    /* A long one is one object, at its beginning. */
    CU_ASSERT(ga_sample_put(&view, 40, 40 * GA_PAGE_SIZE, word));
    CU_ASSERT_EQUAL(ga_sample_forget_span(&view, 40, 80), 1);
    CU_ASSERT_EQUAL(ga_sample_forget_span(&view, 40, 80), 0);
}

/* ---- threads ---- */

#define NTHREADS 3u
#define NSLOTS   24u
#define ROUNDS   20000u

static _Atomic uint32_t ntaken;

static void *take_all(void *argument)
{
    uint64_t state = (uint64_t)(uintptr_t)argument;
    uint64_t found;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint64_t offset = 7 * GA_PAGE_SIZE + ga_test_random(&state) % NSLOTS * 64;
        if (ga_sample_take(&view, 7, offset, &found))
            atomic_fetch_add(&ntaken, 1);
    }
    return NULL;
}

/* What is put in is taken out as often, whoever does it, and nothing is left but what was not. */
static void by_several(void)
{
    begin();
    pthread_t threads[NTHREADS];
    uint64_t state = ga_test_seed();
    uint32_t nput = 0;
    for (uintptr_t i = 0; i < NTHREADS; i++)
        pthread_create(&threads[i], NULL, take_all, (void *)(state + i)); /* NOLINT: a seed */
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint64_t offset = 7 * GA_PAGE_SIZE + ga_test_random(&state) % NSLOTS * 64;
        nput += ga_sample_put(&view, 7, offset, ga_sample_make(1, 1, 1));
    }
    for (uint32_t i = 0; i < NTHREADS; i++)
        pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(nput - atomic_load(&ntaken), count_of(7));
    CU_ASSERT_EQUAL(ga_sample_forget_span(&view, 7, 1), nput - atomic_load(&ntaken));
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"fields", fields},
        {"found once", found_once},
        {"a spoilt count", a_spoilt_count},
        {"half full", half_full},
        {"no room", no_room},
        {"spans are forgotten", spans_are_forgotten},
        {"by several", by_several},
    };
    return ga_test_main("shm.sample", tests, COUNT(tests));
}

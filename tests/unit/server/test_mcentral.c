/* mcentral and the lists of spans: the fullest first, any span out of the middle. */
#include "server/mcentral.h"

#include <string.h>

#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define SPANS    200u
#define NSLOTS   100u

static struct ga_mspan mspans[SPANS + 1];
static struct ga_mcentral central;

static void reset(void)
{
    memset(mspans, 0, sizeof(mspans));
    central = (struct ga_mcentral){0};
}

static void put(ga_page_id page, uint32_t used)
{
    ga_mcentral_put(&central, mspans, page, used, NSLOTS);
}

static void lists(void)
{
    reset();
    struct ga_span_list list = {0};
    for (ga_page_id page = 1; page <= 5; page++)
        ga_span_list_push(&list, mspans, page);
    CU_ASSERT(list.count == 5 && list.first == 5);
    ga_span_list_remove(&list, mspans, 3); /* in the middle */
    ga_span_list_remove(&list, mspans, 5); /* the first */
    ga_span_list_remove(&list, mspans, 1); /* the last */
    CU_ASSERT(list.count == 2 && list.first == 4);
    CU_ASSERT(mspans[4].prev == 0 && mspans[4].next == 2);
    CU_ASSERT(mspans[2].prev == 4 && mspans[2].next == 0);
    static const ga_page_id gone[] = {1, 3, 5};
    for (size_t i = 0; i < COUNT(gone); i++)
        CU_ASSERT(mspans[gone[i]].next == 0 && mspans[gone[i]].prev == 0);
    ga_span_list_remove(&list, mspans, 4);
    ga_span_list_remove(&list, mspans, 2);
    CU_ASSERT(list.count == 0 && list.first == 0);
}

static void places(void)
{
    reset();
    put(1, 1);
    put(2, NSLOTS - 1);
    put(3, NSLOTS);
    CU_ASSERT(mspans[1].place == GA_SPAN_PARTIAL && mspans[1].bucket == 0);
    CU_ASSERT(mspans[2].place == GA_SPAN_PARTIAL && mspans[2].bucket == GA_BUCKET_COUNT - 1);
    CU_ASSERT_EQUAL(mspans[3].place, GA_SPAN_FULL);
    CU_ASSERT_EQUAL(central.full.count, 1);
    CU_ASSERT_EQUAL(ga_mcentral_take(&central, mspans), 2);
    CU_ASSERT_EQUAL(ga_mcentral_take(&central, mspans), 1);
    /* A full span is never given to who wants to allocate. */
    CU_ASSERT_EQUAL(ga_mcentral_take(&central, mspans), 0);
    ga_mcentral_remove(&central, mspans, 3);
    CU_ASSERT_EQUAL(central.full.count, 0);
    put(3, NSLOTS / 2);
    CU_ASSERT_EQUAL(ga_mcentral_take(&central, mspans), 3);
}

/* Spans of one slot are full or not here. */
static void one_slot(void)
{
    reset();
    ga_mcentral_put(&central, mspans, 1, 1, 1);
    CU_ASSERT_EQUAL(mspans[1].place, GA_SPAN_FULL);
    CU_ASSERT_EQUAL(ga_mcentral_take(&central, mspans), 0);
}

/* By eighths the fullest come first, however they were put; each comes once. */
static void fullest_first(void)
{
    reset();
    uint64_t random = ga_test_seed();
    uint32_t used[SPANS + 1] = {0};
    for (ga_page_id page = 1; page <= SPANS; page++) {
        used[page] = 1 + (uint32_t)(ga_test_random(&random) % (NSLOTS - 1));
        put(page, used[page]);
    }
    /* Some change, as news come in. */
    uint32_t left = SPANS;
    for (ga_page_id page = 1; page <= SPANS; page += 3) {
        ga_mcentral_remove(&central, mspans, page);
        if (page % 2) {
            used[page] = 1 + (uint32_t)(ga_test_random(&random) % (NSLOTS - 1));
            put(page, used[page]);
        } else {
            used[page] = 0;
            left--;
        }
    }
    uint32_t eighth = 7;
    while (left-- > 0) {
        ga_page_id page = ga_mcentral_take(&central, mspans);
        CU_ASSERT_FATAL(page != 0 && used[page] != 0);
        CU_ASSERT(used[page] * 8 / NSLOTS <= eighth);
        eighth = used[page] * 8 / NSLOTS;
        used[page] = 0;
    }
    CU_ASSERT_EQUAL(ga_mcentral_take(&central, mspans), 0);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"lists", lists},
        {"places", places},
        {"one slot", one_slot},
        {"fullest first", fullest_first},
    };
    return ga_test_main("server.mcentral", tests, COUNT(tests));
}

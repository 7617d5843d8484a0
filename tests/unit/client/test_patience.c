/* Waiting for a server: as long as it shows that it goes on, and a while longer. */
#include "client/patience.h"

#include "support/cunit_main.h"

#define BEGAN_MS UINT64_C(1000000)

static void as_long_as_it_beats(void)
{
    struct ga_patience patience = {0};
    uint64_t now_ms = BEGAN_MS;
    for (uint64_t beat = 7; beat < 1000; beat++, now_ms += GA_PATIENCE_MS - 1)
        CU_ASSERT(ga_patience_lasts(&patience, beat, now_ms));
}

static void no_longer_than_that(void)
{
    struct ga_patience patience = {0};
    CU_ASSERT(ga_patience_lasts(&patience, 0, BEGAN_MS));
    CU_ASSERT(ga_patience_lasts(&patience, 1, BEGAN_MS + 100));
    CU_ASSERT(ga_patience_lasts(&patience, 1, BEGAN_MS + 99 + GA_PATIENCE_MS));
    CU_ASSERT_FALSE(ga_patience_lasts(&patience, 1, BEGAN_MS + 100 + GA_PATIENCE_MS));
}

/* A server that takes the heap over may have any. */
static void any_other_is_a_beat(void)
{
    struct ga_patience patience = {0};
    CU_ASSERT(ga_patience_lasts(&patience, 9, BEGAN_MS));
    CU_ASSERT(ga_patience_lasts(&patience, 3, BEGAN_MS + GA_PATIENCE_MS));
}

int main(void)
{
    const struct ga_test tests[] = {
        {"as long as it beats", as_long_as_it_beats},
        {"no longer than that", no_longer_than_that},
        {"any other is a beat", any_other_is_a_beat},
    };
    return ga_test_main("unit.client.patience", tests, sizeof(tests) / sizeof(*tests));
}

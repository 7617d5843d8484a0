/* Ages in a byte: what comes back is never more than what was put in, and nearly as much. */
#include "proto/age.h"

#include "support/cunit_main.h"

static void check(uint32_t seconds, uint8_t least)
{
    uint8_t byte = ga_age_byte(seconds);
    uint32_t back = ga_age_seconds(byte);
    CU_ASSERT(byte >= least && byte != 0);
    CU_ASSERT(back <= seconds && seconds - back <= seconds / 8);
    if (seconds < 16)
        CU_ASSERT_EQUAL(back, seconds);
}

static void test_ages(void)
{
    uint8_t least = 1;
    for (uint32_t s = 0; s < 200000; s++) {
        check(s, least);
        least = ga_age_byte(s);
    }
    for (uint32_t shift = 18; shift < 32; shift++) {
        for (int32_t off = -1; off <= 1; off++) {
            check((UINT32_C(1) << shift) + (uint32_t)off, least);
            least = ga_age_byte((UINT32_C(1) << shift) + (uint32_t)off);
        }
    }
    check(UINT32_MAX, least);
}

/* Also bytes that nobody puts in. */
static void test_any_byte(void)
{
    for (unsigned byte = 2; byte < 256; byte++)
        CU_ASSERT(ga_age_seconds((uint8_t)byte) >= ga_age_seconds((uint8_t)(byte - 1)));
}

int main(void)
{
    static const struct ga_test tests[] = {{"ages", test_ages}, {"any byte", test_any_byte}};
    return ga_test_main("unit.proto.age", tests, 2);
}

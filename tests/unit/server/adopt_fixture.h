/* A heap core that is taken over. */
#ifndef GA_TESTS_ADOPT_FIXTURE_H
#define GA_TESTS_ADOPT_FIXTURE_H

#include <stdio.h>

#include "support/core_fixture.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define RESERVE  (2 * GA_ARENA_SIZE)
#define CLASS    20 /* 176 bytes, scan: 46 slots */

static struct ga_core core;
static char why[GA_ADOPT_WHY_BYTES];

static inline void adopt(void)
{
    int r = ga_core_adopt(&core, why);
    if (r < 0)
        printf("refused: %s\n", why);
    CU_ASSERT_EQUAL_FATAL(r, 0);
    ga_core_check_sound(&core);
}

/* A copy of what is committed of meta and of the headers of bits, to see that it stays. */
static inline uint64_t checksum(void)
{
    const unsigned char *meta = (const void *)core.objects[GA_OBJECT_META];
    const struct ga_meta_header *header = (const void *)meta;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < 2 * GA_OS_PAGE_SIZE; i++)
        sum = sum * 31 + meta[i];
    for (uint64_t i = 0; i < 128 * sizeof(ga_page_word); i++)
        sum = sum * 31 + meta[core.view.meta == header ? core.view.meta->page_table_offset + i : 0];
    return sum;
}

#endif

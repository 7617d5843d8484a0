/* goalloc-layout(7) has the figures of layout.h: every row of its tables, and each figure here has
 * a row. */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/layout.h"
#include "support/cunit_main.h"

#define CONSTANT(name)                                                                             \
    {                                                                                              \
        "Dv", #name, name                                                                          \
    }
#define STRUCT(name)                                                                               \
    {                                                                                              \
        "Vt", #name, sizeof(struct name)                                                           \
    }
#define MEMBER(name)                                                                               \
    {                                                                                              \
        "Va", #name, offsetof(struct ga_meta_header, name)                                         \
    }

static const struct {
    const char *macro;
    const char *name;
    uint64_t value;
} figures[] = {
    CONSTANT(GA_LAYOUT_VERSION),
    CONSTANT(GA_PAGE_SIZE),
    CONSTANT(GA_ARENA_SIZE),
    CONSTANT(GA_PAGES_PER_ARENA),
    CONSTANT(GA_WINDOW_SIZE),
    CONSTANT(GA_WINDOW_COUNT),
    CONSTANT(GA_SPAN_CLASS_COUNT),
    CONSTANT(GA_LARGE_NPAGES_LEASED),
    CONSTANT(GA_CLIENT_COUNT),
    CONSTANT(GA_MCACHE_COUNT),
    CONSTANT(GA_ROOT_COUNT),
    CONSTANT(GA_HOLD_COUNT),
    CONSTANT(GA_HANDLE_COUNT),
    CONSTANT(GA_RING_ENTRIES),
    CONSTANT(GA_TINY_BLOCK_BYTES),
    CONSTANT(GA_TINY_NUNITS),
    MEMBER(magic),
    MEMBER(layout_version),
    MEMBER(header_bytes),
    MEMBER(state),
    MEMBER(server_pid),
    MEMBER(server_start_time),
    MEMBER(heap_id),
    MEMBER(generation),
    MEMBER(created_ms),
    MEMBER(base),
    MEMBER(reserve_bytes),
    MEMBER(limit_bytes),
    MEMBER(committed_npages),
    MEMBER(arenas_offset),
    MEMBER(counts),
    STRUCT(ga_meta_header),
    STRUCT(ga_arena_entry),
    STRUCT(ga_client_entry),
    STRUCT(ga_mcache_entry),
    STRUCT(ga_ring),
    STRUCT(ga_root_entry),
    STRUCT(ga_hold),
    STRUCT(ga_profile_entry),
    STRUCT(ga_bits_header),
    STRUCT(ga_mcache),
    STRUCT(ga_handles),
    STRUCT(ga_profile),
    STRUCT(ga_span_line),
    STRUCT(ga_span_wide),
    STRUCT(ga_tiny_bits),
};
#define NFIGURES (sizeof(figures) / sizeof(figures[0]))

/* A row: .It Dv NAME Ta 123 Ta text */
static bool is_true(const char *macro, const char *name, const char *value)
{
    for (size_t i = 0; i < NFIGURES; i++)
        if (strcmp(figures[i].macro, macro) == 0 && strcmp(figures[i].name, name) == 0)
            return strtoull(value, NULL, 10) == figures[i].value;
    return false;
}

static void rows_are_true(void)
{
    char line[512];
    size_t nrows = 0;
    FILE *page = fopen(GOALLOC_LAYOUT_MANUAL, "re");
    CU_ASSERT_PTR_NOT_NULL_FATAL(page);
    while (fgets(line, sizeof(line), page)) {
        char macro[8];
        char name[64];
        char value[32];
        if (sscanf(line, ".It %7s %63s Ta %31[0-9] Ta", macro, name, value) != 3)
            continue;
        nrows++;
        bool good = is_true(macro, name, value);
        CU_ASSERT(good);
        if (!good)
            fprintf(stderr, "goalloc-layout.7 says: %s", line);
    }
    fclose(page);
    CU_ASSERT_EQUAL(nrows, NFIGURES);
}

int main(void)
{
    static const struct ga_test tests[] = {{"rows are true", rows_are_true}};
    return ga_test_main("unit.shm.layout_manual", tests, 1);
}

/* Geometry: the tables lie one after the other, each on an OS page of its own, so that it can be
 * committed by itself.
 *
 *   meta   header | arenas | clients | mcache entries | rings | roots | holds | profile
 *          entries | page table
 *   bits   header | mcaches | pending bits | handles | gc words | profiles | span lines | wide
 * plane | tiny plane | samples
 */
#include "shm/view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static uint64_t place(uint64_t *end, uint64_t bytes)
{
    uint64_t offset = *end;
    *end += (bytes + GA_OS_PAGE_SIZE - 1) & ~(GA_OS_PAGE_SIZE - 1);
    return offset;
}

void ga_geometry_init(struct ga_meta_header *header, uint64_t reserve_bytes)
{
    uint64_t npages = reserve_bytes / GA_PAGE_SIZE;
    uint64_t narenas = reserve_bytes / GA_ARENA_SIZE;
    uint64_t end = 0;

    header->reserve_bytes = reserve_bytes;
    place(&end, sizeof(struct ga_meta_header));
    header->arenas_offset = place(&end, narenas * sizeof(struct ga_arena_entry));
    header->clients_offset = place(&end, GA_CLIENT_COUNT * sizeof(struct ga_client_entry));
    header->mcaches_offset = place(&end, GA_MCACHE_COUNT * sizeof(struct ga_mcache_entry));
    header->rings_offset = place(&end, GA_MCACHE_COUNT * sizeof(struct ga_ring));
    header->roots_offset = place(&end, GA_ROOT_COUNT * sizeof(struct ga_root_entry));
    header->holds_offset = place(&end, GA_HOLD_COUNT * sizeof(struct ga_hold));
    header->profiles_offset = place(&end, GA_CLIENT_COUNT * sizeof(struct ga_profile_entry));
    header->page_table_offset = place(&end, npages * sizeof(ga_page_word));
    header->meta_bytes = end;

    end = 0;
    place(&end, sizeof(struct ga_bits_header));
    header->bits_mcaches_offset = place(&end, GA_MCACHE_COUNT * sizeof(struct ga_mcache));
    header->bits_pending_offset = place(&end, npages / 8);
    header->bits_handles_offset = place(&end, GA_CLIENT_COUNT * sizeof(struct ga_handles));
    header->bits_gc_words_offset = place(&end, GA_CLIENT_COUNT * sizeof(uint64_t));
    header->bits_profiles_offset = place(&end, GA_CLIENT_COUNT * sizeof(struct ga_profile));
    header->bits_lines_offset = place(&end, npages * sizeof(struct ga_span_line));
    header->bits_wide_offset = place(&end, npages * sizeof(struct ga_span_wide));
    header->bits_tiny_offset = place(&end, npages * sizeof(struct ga_tiny_bits));
    header->bits_samples_offset =
        place(&end, npages / GA_SAMPLE_SET_NPAGES * GA_SAMPLE_WORDS_MAX * sizeof(uint64_t));
    header->bits_bytes = end;
}

int ga_geometry_check(const struct ga_meta_header *header, char *ret_why, size_t why_bytes)
{
    if (header->magic != GA_META_MAGIC) {
        snprintf(ret_why, why_bytes, "it is no goalloc heap");
        return -EPROTO;
    }
    if (header->layout_version != GA_LAYOUT_VERSION) {
        snprintf(ret_why, why_bytes, "its layout version is %u, known here is %u",
                 header->layout_version, GA_LAYOUT_VERSION);
        return -EPROTO;
    }
    uint64_t reserve = header->reserve_bytes;
    if (reserve == 0 || reserve % GA_ARENA_SIZE || reserve > GA_RESERVE_MAX ||
        header->base % GA_ARENA_SIZE || header->base == 0) {
        snprintf(ret_why, why_bytes, "its header is damaged: base %#llx, reserve %llu",
                 (unsigned long long)header->base, (unsigned long long)reserve);
        return -EPROTO;
    }
    if (ga_load_relaxed(&header->limit_bytes) > reserve ||
        ga_load_acquire(&header->committed_npages) > reserve / GA_PAGE_SIZE) {
        snprintf(ret_why, why_bytes, "its header is damaged: more is committed than allowed");
        return -EPROTO;
    }
    uint64_t words = header->sample_words;
    if (words < GA_SAMPLE_WORDS_MIN || words > GA_SAMPLE_WORDS_MAX || (words & (words - 1)) != 0) {
        snprintf(ret_why, why_bytes, "its header is damaged: %llu words in a set of samples",
                 (unsigned long long)words);
        return -EPROTO;
    }
    struct ga_meta_header expected = {0};
    ga_geometry_init(&expected, reserve);
    size_t from = offsetof(struct ga_meta_header, arenas_offset);
    size_t to = offsetof(struct ga_meta_header, name);
    if (memcmp((const char *)header + from, (const char *)&expected + from, to - from) != 0) {
        snprintf(ret_why, why_bytes, "its header is damaged: the tables' offsets are wrong");
        return -EPROTO;
    }
    return 0;
}

struct ga_view ga_view_of(const void *meta, void *bits)
{
    const struct ga_meta_header *header = meta;
    const char *m = meta;
    char *b = bits;
    return (struct ga_view){
        .meta = header,
        .arenas = (const void *)(m + header->arenas_offset),
        .clients = (const void *)(m + header->clients_offset),
        .mcache_entries = (const void *)(m + header->mcaches_offset),
        .rings = (const void *)(m + header->rings_offset),
        .roots = (const void *)(m + header->roots_offset),
        .holds = (const void *)(m + header->holds_offset),
        .profile_entries = (const void *)(m + header->profiles_offset),
        .page_table = (const void *)(m + header->page_table_offset),
        .mcaches = (void *)(b + header->bits_mcaches_offset),
        .pending = (void *)(b + header->bits_pending_offset),
        .handles = (void *)(b + header->bits_handles_offset),
        .gc_words = (void *)(b + header->bits_gc_words_offset),
        .profiles = (void *)(b + header->bits_profiles_offset),
        .lines = (void *)(b + header->bits_lines_offset),
        .wide = (void *)(b + header->bits_wide_offset),
        .tiny = (void *)(b + header->bits_tiny_offset),
        .sample_words = (uint32_t)header->sample_words,
        .samples = (void *)(b + header->bits_samples_offset),
    };
}

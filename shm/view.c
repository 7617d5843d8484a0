/* Geometry: the tables lie one after the other.
 *
 *   meta   header | clients | profile entries | arenas | mcache entries | rings | roots | holds |
 *          page table
 *   bits   header | gc words | pending bits, backwards | handles | mcaches | profiles |
 *          wide plane, backwards | span lines | tiny plane | samples
 *
 * In a heap of many clients each begins on an OS page of its own. In that of one process meta and
 * bits are one piece of memory, in which what is touched first of each table lies close together,
 * since a short-lived process pays for each OS page, and a fork for each page table, of 2 MiB:
 *
 *   meta's header to arenas, bits' header and gc words, page table | pending bits, backwards,
 *   mcache entries, mcaches | profiles | wide plane, backwards, span lines | tiny plane | samples
 */
#include "shm/view.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define CACHE_LINE 64u
#define PAGE_TABLE (UINT64_C(2) << 20) /* what one of the kernel's tables stands for */
/* An mcache of an own heap has its address space for so much of the reserve. */
#define BYTES_PER_MCACHE (UINT64_C(64) << 10)
#define MCACHES_MIN      1024u

struct ga_table_counts ga_table_counts_of_server(void)
{
    return (struct ga_table_counts){.clients = GA_CLIENT_COUNT,
                                    .mcaches = GA_MCACHE_COUNT,
                                    .rings = GA_MCACHE_COUNT,
                                    .roots = GA_ROOT_COUNT,
                                    .holds = GA_HOLD_COUNT,
                                    .handles = GA_CLIENT_COUNT};
}

struct ga_table_counts ga_table_counts_of_process(uint64_t reserve_bytes)
{
    uint64_t mcaches = reserve_bytes / BYTES_PER_MCACHE;
    mcaches = mcaches < MCACHES_MIN ? MCACHES_MIN : mcaches;
    mcaches = mcaches > GA_MCACHE_COUNT ? GA_MCACHE_COUNT : mcaches;
    return (struct ga_table_counts){.clients = 1, .mcaches = (uint32_t)mcaches};
}

/* An object, as far as it has got. */
struct object {
    uint64_t origin; /* where it begins in its memory */
    uint64_t *end;   /* of what has its place in that memory */
};

/* Where the next table begins in the object: of so many bytes, at a multiple of alignment. */
static uint64_t place(const struct object *object, uint64_t bytes, uint64_t alignment)
{
    uint64_t at = (*object->end + alignment - 1) & ~(alignment - 1);
    *object->end = at + bytes;
    return at - object->origin;
}

static uint64_t whole_os_pages(uint64_t bytes)
{
    return (bytes + GA_OS_PAGE_SIZE - 1) & ~(GA_OS_PAGE_SIZE - 1);
}

/* What meta begins with, at multiples of any. */
static void place_first(struct ga_meta_header *header, const struct object *meta, uint64_t any)
{
    const struct ga_table_counts n = header->counts;
    place(meta, sizeof(struct ga_meta_header), any);
    header->clients_offset = place(meta, n.clients * sizeof(struct ga_client_entry), any);
    header->profiles_offset = place(meta, n.clients * sizeof(struct ga_profile_entry), any);
    header->arenas_offset =
        place(meta, header->reserve_bytes / GA_ARENA_SIZE * sizeof(struct ga_arena_entry), any);
}

static void place_mcache_entries(struct ga_meta_header *header, const struct object *meta,
                                 uint64_t any)
{
    const struct ga_table_counts n = header->counts;
    header->mcaches_offset = place(meta, n.mcaches * sizeof(struct ga_mcache_entry), any);
    header->rings_offset = place(meta, n.rings * sizeof(struct ga_ring), any);
    header->roots_offset = place(meta, n.roots * sizeof(struct ga_root_entry), any);
    header->holds_offset = place(meta, n.holds * sizeof(struct ga_hold), any);
}

static void place_page_table(struct ga_meta_header *header, const struct object *meta, uint64_t any)
{
    header->page_table_offset =
        place(meta, header->reserve_bytes / GA_PAGE_SIZE * sizeof(ga_page_word), any);
}

static void place_bits_header(struct ga_meta_header *header, const struct object *bits,
                              uint64_t any)
{
    place(bits, sizeof(struct ga_bits_header), any);
    header->bits_gc_words_offset = place(bits, header->counts.clients * sizeof(uint64_t), any);
}

/* What bits end with; the wide plane, whose end matters, at a multiple of wide_alignment. */
static void place_planes(struct ga_meta_header *header, const struct object *bits,
                         uint64_t wide_alignment)
{
    const struct ga_table_counts n = header->counts;
    const uint64_t npages = header->reserve_bytes / GA_PAGE_SIZE;
    header->bits_handles_offset =
        place(bits, n.handles * sizeof(struct ga_handles), GA_OS_PAGE_SIZE);
    header->bits_mcaches_offset =
        place(bits, n.mcaches * sizeof(struct ga_mcache), GA_OS_PAGE_SIZE);
    header->bits_profiles_offset =
        place(bits, n.clients * sizeof(struct ga_profile), GA_OS_PAGE_SIZE);
    header->bits_wide_offset = place(bits, npages * sizeof(struct ga_span_wide), wide_alignment);
    header->bits_lines_offset = place(bits, npages * sizeof(struct ga_span_line), GA_OS_PAGE_SIZE);
    header->bits_tiny_offset = place(bits, npages * sizeof(struct ga_tiny_bits), GA_OS_PAGE_SIZE);
    header->bits_samples_offset =
        place(bits, npages / GA_SAMPLE_SET_NPAGES * GA_SAMPLE_WORDS_MAX * sizeof(uint64_t),
              GA_OS_PAGE_SIZE);
    header->bits_bytes = whole_os_pages(*bits->end - bits->origin);
}

/* A heap of many clients: two objects. */
static void place_of_many(struct ga_meta_header *header)
{
    uint64_t meta_end = 0;
    uint64_t bits_end = 0;
    const struct object meta = {.end = &meta_end};
    const struct object bits = {.end = &bits_end};
    place_first(header, &meta, GA_OS_PAGE_SIZE);
    place_mcache_entries(header, &meta, GA_OS_PAGE_SIZE);
    place_page_table(header, &meta, GA_OS_PAGE_SIZE);
    header->meta_bytes = whole_os_pages(meta_end);
    place_bits_header(header, &bits, GA_OS_PAGE_SIZE);
    header->bits_pending_offset =
        place(&bits, header->reserve_bytes / GA_PAGE_SIZE / 8, GA_OS_PAGE_SIZE);
    place_planes(header, &bits, GA_OS_PAGE_SIZE);
}

/* The heap of one process: one piece of memory, meta's beginning in the second half of what a page
 * table stands for. Of two tables that begin at one place the first lies backwards. */
static void place_of_process(struct ga_meta_header *header)
{
    uint64_t pending_bytes = header->reserve_bytes / GA_PAGE_SIZE / 8;
    uint64_t end = 0;
    const struct object meta = {.end = &end};
    place_first(header, &meta, CACHE_LINE);
    const struct object bits = {.origin = place(&meta, 0, GA_OS_PAGE_SIZE), .end = &end};
    place_bits_header(header, &bits, CACHE_LINE);
    place_page_table(header, &meta, CACHE_LINE);
    /* In a first half, so that the first mcaches, 1 MiB behind that at most, lie there as well. */
    end = (end + pending_bytes + PAGE_TABLE - 1) / PAGE_TABLE * PAGE_TABLE + PAGE_TABLE / 2;
    header->bits_pending_offset = end - pending_bytes - bits.origin;
    place_mcache_entries(header, &meta, CACHE_LINE);
    header->meta_bytes = whole_os_pages(end);
    place_planes(header, &bits, PAGE_TABLE);
}

void ga_geometry_init(struct ga_meta_header *header, uint64_t reserve_bytes,
                      const struct ga_table_counts *counts)
{
    header->reserve_bytes = reserve_bytes;
    header->counts = *counts;
    if (counts->clients == 1)
        place_of_process(header);
    else
        place_of_many(header);
}

uint64_t ga_geometry_bits_in_meta(const struct ga_meta_header *header)
{
    return whole_os_pages(header->arenas_offset +
                          header->reserve_bytes / GA_ARENA_SIZE * sizeof(struct ga_arena_entry));
}

/* Whether a heap can have these: nobody's index is to leave its table, nor its field. */
static int counts_can_be(const struct ga_table_counts *n)
{
    return n->clients >= 1 && n->clients <= GA_CLIENT_COUNT && n->mcaches >= 2 &&
           n->mcaches <= GA_MCACHE_COUNT && (n->rings == 0 || n->rings == n->mcaches) &&
           n->roots <= GA_ROOT_COUNT && n->holds <= GA_HOLD_COUNT &&
           (n->handles == 0 || n->handles == n->clients);
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
    const struct ga_table_counts counts = header->counts; /* what is checked is what is used */
    if (!counts_can_be(&counts)) {
        snprintf(ret_why, why_bytes,
                 "its header is damaged: no heap has tables of %u clients and %u mcaches",
                 counts.clients, counts.mcaches);
        return -EPROTO;
    }
    struct ga_meta_header expected = {0};
    ga_geometry_init(&expected, reserve, &counts);
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
        .counts = header->counts,
        .arenas = (const void *)(m + header->arenas_offset),
        .clients = (const void *)(m + header->clients_offset),
        .mcache_entries = (const void *)(m + header->mcaches_offset),
        .rings = (const void *)(m + header->rings_offset),
        .roots = (const void *)(m + header->roots_offset),
        .holds = (const void *)(m + header->holds_offset),
        .profile_entries = (const void *)(m + header->profiles_offset),
        .page_table = (const void *)(m + header->page_table_offset),
        .mcaches = (void *)(b + header->bits_mcaches_offset),
        .pending_end = (void *)(b + ga_geometry_pending(header, 0)),
        .handles = (void *)(b + header->bits_handles_offset),
        .gc_words = (void *)(b + header->bits_gc_words_offset),
        .profiles = (void *)(b + header->bits_profiles_offset),
        .lines = (void *)(b + header->bits_lines_offset),
        .wide_end = (void *)(b + ga_geometry_wide(header, 0)),
        .tiny = (void *)(b + header->bits_tiny_offset),
        .sample_words = (uint32_t)header->sample_words,
        .samples = (void *)(b + header->bits_samples_offset),
    };
}

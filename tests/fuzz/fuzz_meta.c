/* Taking over a heap whose shared memory says anything at all. A heap with everything in it is made
 * once; each input writes what it likes over words of meta and bits, and a server adopts that. It
 * may refuse; if it does not, its books must be sound, and stay so when all clients are gone.
 *
 * An input is pieces of 14 bytes: which table (1), which word of it (4), how (1), what (8). */
#include <errno.h>
#include <sys/mman.h>

#include "fuzz/fuzz.h"
#include "shm/recount.h"
#include "shm/tiny.h"
#include "support/core_fixture.h"

#define RESERVE     GA_ARENA_SIZE
#define CLASS       20 /* 176 bytes, scan: 46 slots */
#define CLASS_WIDE  4  /* 16 bytes: 512 slots */
#define IMAGE_MAX   1024
#define PATCHES_MAX 64

/* An OS page of meta or bits that is not zero in the heap that was made. */
struct image_page {
    enum ga_object object;
    uint64_t offset;
    char bytes[GA_OS_PAGE_SIZE];
};

static struct ga_core core;
static struct image_page image[IMAGE_MAX];
static uint32_t nimage;
static uint64_t npages_committed; /* of the heap that was made */

/* ---- the heap that every input begins with ---- */

static void allocate(ga_client_id client, ga_mcache_id mcache, ga_span_class span_class,
                     uint32_t nslots, struct ga_slot *ret_last)
{
    ga_page_id page = ga_core_lease(&core, client, mcache, span_class);
    FUZZ_CHECK(page != 0 && ga_core_claim(&core, mcache, page));
    for (uint32_t i = 0; i < nslots; i++)
        FUZZ_CHECK(ga_core_malloc(&core, mcache, span_class, ret_last) == 0);
}

static void populate(void)
{
    struct ga_heap *heap = core.heap;
    ga_client_id clients[2];
    ga_mcache_id mcaches[2];
    struct ga_slot slot;
    for (uint32_t i = 0; i < 2; i++) {
        FUZZ_CHECK(ga_heap_attach(heap, 100 + i, 1, 2, 3, "client", &clients[i]) == 0);
        FUZZ_CHECK(ga_heap_new_mcache(heap, clients[i], &mcaches[i]) == 0);
        allocate(clients[i], mcaches[i], CLASS_WIDE, 30, &slot);
        allocate(clients[i], mcaches[i], GA_SPAN_CLASS_TINY, 1, &slot);
        allocate(clients[i], mcaches[i], CLASS, 20, &slot);
    }
    FUZZ_CHECK(ga_core_free_other(&core, mcaches[0], &slot));
    allocate(clients[0], mcaches[0], 60, 1, &slot);
    uint64_t offset = (uint64_t)slot.page * GA_PAGE_SIZE;
    FUZZ_CHECK(ga_heap_publish(heap, clients[0], "one", offset) == 0);
    FUZZ_CHECK(ga_heap_hold(heap, clients[1], offset) == 0);
    FUZZ_CHECK(ga_heap_put_off(heap, offset) == 0);
    ga_store_relaxed(&core.view.handles[clients[0]].object[3], GA_CORE_BASE + offset);
    ga_page_id page;
    bool zeroed;
    for (uint32_t i = 0; i < 2; i++)
        FUZZ_CHECK(ga_core_large_alloc(&core, clients[i], mcaches[i], 100000, i, &page, &zeroed) ==
                   0);
    FUZZ_CHECK(ga_heap_lease_ahead(heap, clients[1], mcaches[1], CLASS, 3) == 0);
    /* One span of nobody, and one given back of which the server has not heard. */
    page = ga_core_lease(&core, clients[0], mcaches[0], CLASS + 1);
    FUZZ_CHECK(page && ga_core_return(&core, clients[0], mcaches[0], page) == 0);
    page = ga_core_lease(&core, clients[0], mcaches[0], CLASS + 2);
    ga_core_end_lease(&core, mcaches[0], page);
}

static bool is_zero(const char *page)
{
    for (size_t i = 0; i < GA_OS_PAGE_SIZE; i++)
        if (page[i])
            return false;
    return true;
}

static void keep_image(void)
{
    for (int object = GA_OBJECT_META; object <= GA_OBJECT_BITS; object++) {
        struct ga_backing *backing =
            object == GA_OBJECT_META ? &core.heap->meta_backing : &core.heap->bits_backing;
        for (uint64_t offset = 0; offset < core.object_bytes[object]; offset += GA_OS_PAGE_SIZE) {
            const char *page = core.objects[object] + offset;
            if (!ga_backing_bytes_in(backing, offset, GA_OS_PAGE_SIZE) || is_zero(page))
                continue;
            FUZZ_CHECK(nimage < IMAGE_MAX);
            image[nimage] = (struct image_page){.object = (enum ga_object)object, .offset = offset};
            memcpy(image[nimage++].bytes, page, GA_OS_PAGE_SIZE);
        }
    }
    npages_committed = core.heap->npages_committed;
}

static void make_once(void)
{
    if (nimage)
        return;
    ga_core_init(&core, RESERVE, 0);
    FUZZ_CHECK(ga_core_make(&core) == 0);
    populate();
    FUZZ_CHECK(ga_core_audit(&core) == NULL);
    keep_image();
    ga_heap_free(core.heap);
    core.heap = NULL;
    /* In shared memory what is not backed can be read too, as zeros. */
    for (int object = GA_OBJECT_META; object <= GA_OBJECT_BITS; object++)
        FUZZ_CHECK(
            mprotect(core.objects[object], core.object_bytes[object], PROT_READ | PROT_WRITE) == 0);
}

static void restore(void)
{
    for (int object = GA_OBJECT_META; object <= GA_OBJECT_BITS; object++)
        FUZZ_CHECK(madvise(core.objects[object], core.object_bytes[object], MADV_DONTNEED) == 0);
    for (uint32_t i = 0; i < nimage; i++)
        memcpy(core.objects[image[i].object] + image[i].offset, image[i].bytes, GA_OS_PAGE_SIZE);
    memset(core.punched, 0, RESERVE / GA_PAGE_SIZE); /* what the input before has given back */
    core.nbad = 0;
}

/* ---- an input ---- */

struct table {
    enum ga_object object;
    uint64_t offset;
    uint64_t bytes;
};

/* The tables that an input can write to, as far as there is something in them, or next to it. */
static struct table find_table(uint64_t which)
{
    struct ga_meta_header h = {0};
    const struct ga_table_counts counts = ga_table_counts_of_server();
    ga_geometry_init(&h, RESERVE, &counts);
    uint64_t npages = npages_committed + 2;
    const struct table tables[] = {
        {GA_OBJECT_BITS, h.bits_mcaches_offset, 4 * sizeof(struct ga_mcache)},
        {GA_OBJECT_BITS, ga_geometry_pending(&h, npages), (npages + 63) / 64 * 8},
        {GA_OBJECT_BITS, h.bits_handles_offset, 4 * sizeof(struct ga_handles)},
        {GA_OBJECT_BITS, h.bits_lines_offset, npages * sizeof(struct ga_span_line)},
        {GA_OBJECT_BITS, ga_geometry_wide(&h, npages), npages * sizeof(struct ga_span_wide)},
        {GA_OBJECT_BITS, h.bits_tiny_offset, npages * sizeof(struct ga_tiny_bits)},
        {GA_OBJECT_BITS, h.bits_samples_offset, (npages / GA_SAMPLE_SET_NPAGES + 1) * 1024},
        {GA_OBJECT_BITS, 0, sizeof(struct ga_bits_header)},
        {GA_OBJECT_META, 0, sizeof(struct ga_meta_header)},
        {GA_OBJECT_META, h.arenas_offset, 2 * sizeof(struct ga_arena_entry)},
        {GA_OBJECT_META, h.clients_offset, 4 * sizeof(struct ga_client_entry)},
        {GA_OBJECT_META, h.mcaches_offset, 4 * sizeof(struct ga_mcache_entry)},
        {GA_OBJECT_META, h.rings_offset, 4 * sizeof(struct ga_ring)},
        {GA_OBJECT_META, h.roots_offset, 3 * sizeof(struct ga_root_entry)},
        {GA_OBJECT_META, h.holds_offset, 3 * sizeof(struct ga_hold)},
        {GA_OBJECT_META, h.page_table_offset, npages * sizeof(ga_page_word)},
    };
    return tables[which % (sizeof(tables) / sizeof(*tables))];
}

/* Write one piece over a word. */
static void patch(struct fuzz_input *input)
{
    struct table table = find_table(fuzz_take(input, 1));
    uint64_t word = fuzz_take(input, 4) % (table.bytes / 8);
    uint64_t how = fuzz_take(input, 1);
    uint64_t value = fuzz_take(input, 8);
    uint64_t *at = (uint64_t *)(void *)(core.objects[table.object] + table.offset) + word;
    *at = how % 3 == 0 ? value : how % 3 == 1 ? *at ^ value : *at + value;
}

/* What goallocctl --shm does with a heap whose header it understands. */
static void look(void)
{
    const void *meta = core.objects[GA_OBJECT_META];
    char why[GA_ADOPT_WHY_BYTES];
    struct ga_recount count;
    uint64_t bad_page;
    if (ga_geometry_check(meta, why, sizeof(why)) < 0)
        return;
    const struct ga_meta_header *header = meta;
    if (header->reserve_bytes != RESERVE ||
        header->meta_bytes > core.object_bytes[GA_OBJECT_META] ||
        header->bits_bytes > core.object_bytes[GA_OBJECT_BITS])
        return; /* longer tables than there is memory behind here */
    struct ga_view view = ga_view_of(meta, core.objects[GA_OBJECT_BITS]);
    int r = ga_recount(&view, &count, &bad_page);
    FUZZ_CHECK(r == 0 || (r == -EBADMSG && bad_page < RESERVE / GA_PAGE_SIZE));
}

/* Everybody goes, and somebody new comes. */
static void live_on(void)
{
    struct ga_heap *heap = core.heap;
    ga_heap_sweep_pending(heap);
    for (ga_client_id client = 0; client < heap->client_end; client++)
        ga_heap_client_gone(heap, client);
    ga_heap_sweep_pending(heap);
    ga_client_id client;
    ga_mcache_id mcache;
    ga_page_id pages[GA_LEASE_MAX];
    uint32_t count;
    if (ga_heap_attach(heap, 1, 2, 3, 4, "new", &client) < 0 ||
        ga_heap_new_mcache(heap, client, &mcache) < 0)
        return;
    if (ga_heap_lease(heap, client, mcache, CLASS, 2, pages, &count) == 0)
        FUZZ_CHECK(count > 0 && heap->mspans[pages[0]].owner == mcache);
}

static void check_books(void)
{
    const char *wrong = ga_core_audit_books(&core);
    if (wrong)
        fprintf(stderr, "not true: %s\n", wrong);
    FUZZ_CHECK(!wrong);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    make_once();
    restore();
    for (unsigned i = 0; i < PATCHES_MAX && input.size > 0; i++)
        patch(&input);
    look();
    /* The shell refuses a heap object that is shorter than the header says. */
    const struct ga_meta_header *meta = (const void *)core.objects[GA_OBJECT_META];
    core.heap_end = RESERVE;
    core.heap_backed = ga_load_relaxed(&meta->committed_npages) * GA_PAGE_SIZE;
    char why[GA_ADOPT_WHY_BYTES] = "";
    int r = ga_core_adopt(&core, why);
    FUZZ_CHECK(r == 0 || why[0] != '\0');
    if (r == 0) {
        check_books();
        live_on();
        check_books();
    }
    ga_heap_free(core.heap);
    core.heap = NULL;
    return 0;
}

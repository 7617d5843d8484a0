/* Adoption of what does not add up: refused, and left as it is. */
#include "adopt_fixture.h"

#include <errno.h>
#include <string.h>

struct damaged {
    struct ga_meta_header *meta;
    struct ga_heap *tables; /* for its pointers into the objects */
    ga_page_id small;
    ga_page_id large;
};

static void set_entry(struct damaged *d, uint64_t page, uint64_t entry)
{
    ga_store_relaxed(&d->tables->page_table[page], entry);
}
static uint64_t entry_of(struct damaged *d, uint64_t page)
{
    return ga_load_relaxed(&d->tables->page_table[page]);
}

static void d_magic(struct damaged *d)
{
    d->meta->magic++;
}
static void d_version(struct damaged *d)
{
    d->meta->layout_version++;
}
static void d_ended(struct damaged *d)
{
    d->meta->state = GA_HEAP_ENDED;
}
static void d_making(struct damaged *d)
{
    d->meta->state = GA_HEAP_IN_MAKING;
}
static void d_name(struct damaged *d)
{
    d->meta->name[0]++;
}
static void d_base(struct damaged *d)
{
    d->meta->base += GA_ARENA_SIZE;
}
static void d_offsets(struct damaged *d)
{
    d->meta->roots_offset += GA_OS_PAGE_SIZE;
}
static void d_header_bytes(struct damaged *d)
{
    d->meta->header_bytes = 8;
}
static void d_committed(struct damaged *d)
{
    d->meta->committed_npages = RESERVE / GA_PAGE_SIZE + 1;
}
static void d_mcache_end(struct damaged *d)
{
    d->meta->mcache_end = GA_MCACHE_COUNT + 1;
}
static void d_client(struct damaged *d)
{
    d->tables->clients[0].state = 7;
}
static void d_client_gone(struct damaged *d)
{
    d->tables->clients[0].state = GA_CLIENT_FREE;
}
static void d_root(struct damaged *d)
{
    d->tables->roots[0].offset = UINT64_C(1) << 40;
}
static void d_class(struct damaged *d)
{
    set_entry(d, d->small, (entry_of(d, d->small) & ~UINT64_C(0xff)) | 200);
}
static void d_length(struct damaged *d)
{
    set_entry(d, d->small, entry_of(d, d->small) + (UINT64_C(1) << GA_ENTRY_SPAN_SHIFT));
}
static void d_too_long(struct damaged *d)
{
    set_entry(d, d->large, entry_of(d, d->large) + (UINT64_C(1000) << GA_ENTRY_SPAN_SHIFT));
}
static void d_inner(struct damaged *d)
{
    set_entry(d, d->large + 2, entry_of(d, d->large + 2) + (UINT64_C(1) << GA_ENTRY_SPAN_SHIFT));
}
static void d_overlap(struct damaged *d)
{
    set_entry(d, d->large + 2, entry_of(d, d->small));
}
static void d_owner(struct damaged *d)
{
    set_entry(d, d->small, ga_entry_with_owner(entry_of(d, d->small), 9));
}
static void d_left_behind(struct damaged *d)
{
    CU_ASSERT(ga_entry_owner(entry_of(d, d->small)) != 0);
    set_entry(d, d->small, entry_of(d, d->small) | GA_ENTRY_ORPHAN);
}
static void d_large_client(struct damaged *d)
{
    set_entry(d, d->large + 1, ga_entry_with_owner(entry_of(d, d->large + 1), 9));
}
static void d_page_0(struct damaged *d)
{
    set_entry(d, 0, entry_of(d, d->small));
}

static const struct {
    void (*damage)(struct damaged *damaged);
    const char *why; /* a part of it */
} damages[] = {
    {d_magic, "no goalloc heap"},
    {d_version, "known here is "},
    {d_ended, "it has ended"},
    {d_making, "not made to its end"},
    {d_name, "of another name"},
    {d_base, "it lies at 0x550004000000"},
    {d_offsets, "offsets are wrong"},
    {d_header_bytes, "says that it has 8 bytes"},
    {d_committed, "more is committed than allowed"},
    {d_mcache_end, "ends are wrong"},
    {d_client, "entry of client 1 is damaged"},
    {d_client_gone, "client 1, which is not attached"},
    {d_root, "root 0 is damaged"},
    {d_class, "a class that does not exist"},
    {d_length, "a length that cannot be"},
    {d_too_long, "a length that cannot be"},
    {d_inner, "does not belong to the span that it lies in"},
    {d_overlap, "does not belong to the span that it lies in"},
    {d_owner, "leased to an mcache of nobody"},
    {d_left_behind, "is leased, and left behind"},
    {d_large_client, "names a client that is not attached"},
    {d_page_0, "page 0 is in use"},
};

static void damage_is_refused(void)
{
    for (size_t i = 0; i < COUNT(damages); i++) {
        ga_core_open(&core, RESERVE, 0);
        ga_client_id client = ga_core_attach(&core);
        ga_mcache_id mcache = ga_core_mcache(&core, client);
        bool zeroed;
        struct damaged damaged = {.meta = (void *)core.objects[GA_OBJECT_META]};
        damaged.small = ga_core_lease(&core, client, mcache, CLASS);
        CU_ASSERT_EQUAL(
            ga_core_large_alloc(&core, client, mcache, 100000, false, &damaged.large, &zeroed), 0);
        CU_ASSERT_EQUAL(ga_heap_publish(core.heap, client, "root", GA_PAGE_SIZE), 0);
        struct ga_heap tables = *core.heap;
        damaged.tables = &tables;
        damages[i].damage(&damaged);
        uint64_t before = checksum();
        uint64_t nextends = core.nextends;
        why[0] = '\0';
        CU_ASSERT_EQUAL(ga_core_adopt(&core, why), -EBADMSG);
        CU_ASSERT_PTR_NOT_NULL(strstr(why, damages[i].why));
        if (!strstr(why, damages[i].why))
            printf("%zu: said '%s', expected '%s'\n", i, why, damages[i].why);
        CU_ASSERT_EQUAL(checksum(), before);
        CU_ASSERT_EQUAL(core.nextends, nextends);
        CU_ASSERT_PTR_NULL(core.heap);
        core.backed_bytes = 0;
        ga_core_close(&core);
    }
}

/* Any client can write the header of bits: whoever comes later finds it right, be it a server or a
 * client. */
static void bits_header_is_mended(void)
{
    ga_core_open(&core, RESERVE, 0);
    struct ga_bits_header *bits = (void *)core.objects[GA_OBJECT_BITS];
    const struct ga_bits_header right = *bits;
    CU_ASSERT_EQUAL(right.heap_id, core.view.meta->heap_id);
    memset(bits, 0xff, sizeof(*bits));
    CU_ASSERT_EQUAL(ga_core_adopt(&core, why), 0);
    CU_ASSERT_EQUAL(memcmp(bits, &right, sizeof(right)), 0);
    memset(bits, 0, sizeof(*bits));
    ga_core_attach(&core);
    CU_ASSERT_EQUAL(memcmp(bits, &right, sizeof(right)), 0);
    ga_core_close(&core);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"damage is refused", damage_is_refused},
        {"the header of bits is mended", bits_header_is_mended},
    };
    return ga_test_main("adopt_damage", tests, COUNT(tests));
}

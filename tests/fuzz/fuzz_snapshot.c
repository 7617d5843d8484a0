/* Numbers written over words of a snapshot's header and extents, whose check sums are right:
 * somebody has made the file so. What is accepted lies where it can: the parts in the file one
 * after the other, the extents in their objects, in order and apart, and together they are the
 * data. */
#include <errno.h>

#include "fuzz/fuzz.h"
#include "shm/snapshot.h"
#include "shm/view.h"

#define EXTENTS 6u
#define RESERVE GA_ARENA_SIZE

static struct ga_snapshot_header header;
static struct ga_snapshot_extent extents[EXTENTS];

static void make_good(void)
{
    memset(&header, 0, sizeof(header));
    header.magic = GA_SNAPSHOT_MAGIC;
    header.format_version = GA_SNAPSHOT_FORMAT_VERSION;
    header.layout_version = GA_LAYOUT_VERSION;
    header.nextents = EXTENTS;
    header.base = GA_WINDOW_LOW;
    header.reserve_bytes = RESERVE;
    header.limit_bytes = RESERVE;
    header.committed_npages = 256;
    header.name[0] = 'n';
    for (uint32_t i = 0; i < EXTENTS; i++) {
        extents[i] = (struct ga_snapshot_extent){
            .object = i / 2, .offset = i % 2 * 65536, .bytes = (i + 1) * GA_OS_PAGE_SIZE};
        header.data_bytes += extents[i].bytes;
    }
    header.file_bytes = ga_snapshot_trailer_offset(&header) + sizeof(struct ga_snapshot_trailer);
}

/* Over one word each: of the header without its magic, or of the extents. */
static void spoil(struct fuzz_input *input)
{
    while (input->size > 0) {
        uint64_t where = fuzz_take(input, 1);
        uint64_t number = fuzz_take(input, 8);
        char *base = where & 0x80 ? (char *)extents : (char *)&header + 8;
        size_t nwords = where & 0x80 ? sizeof(extents) / 8 : 22;
        memcpy(base + (where & 0x7f) % nwords * 8, &number, 8);
    }
}

static void check_extents(void)
{
    struct ga_meta_header geometry = {0};
    const struct ga_table_counts counts = ga_table_counts_of_server();
    ga_geometry_init(&geometry, header.reserve_bytes, &counts);
    uint64_t total = 0;
    for (uint64_t i = 0; i < header.nextents; i++) {
        const struct ga_snapshot_extent *e = &extents[i];
        uint64_t limit = e->object == GA_OBJECT_META   ? geometry.meta_bytes
                         : e->object == GA_OBJECT_BITS ? geometry.bits_bytes
                                                       : header.committed_npages * GA_PAGE_SIZE;
        FUZZ_CHECK(e->object < GA_OBJECT_COUNT && e->bytes > 0);
        FUZZ_CHECK(e->offset + e->bytes > e->offset && e->offset + e->bytes <= limit);
        FUZZ_CHECK(e->offset % GA_OS_PAGE_SIZE == 0 && e->bytes % GA_OS_PAGE_SIZE == 0);
        FUZZ_CHECK(i == 0 || e->object > e[-1].object ||
                   (e->object == e[-1].object && e->offset >= e[-1].offset + e[-1].bytes));
        total += e->bytes;
    }
    FUZZ_CHECK(total == header.data_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    char why[GA_SNAPSHOT_WHY_BYTES] = "";
    make_good();
    spoil(&input);
    /* The file is as long as it says, however long that is. */
    int r = ga_snapshot_header_check(&header, sizeof(header), header.sum, header.file_bytes, why);
    FUZZ_CHECK(r == 0 || (r == -EBADMSG && why[0]));
    if (r < 0)
        return 0;
    FUZZ_CHECK(header.reserve_bytes <= GA_RESERVE_MAX &&
               header.committed_npages <= header.reserve_bytes / GA_PAGE_SIZE);
    FUZZ_CHECK(GA_SNAPSHOT_HEADER_BYTES + header.nextents * sizeof(extents[0]) <=
                   ga_snapshot_data_offset(&header) &&
               ga_snapshot_data_offset(&header) < ga_snapshot_sums_offset(&header) &&
               ga_snapshot_sums_offset(&header) < ga_snapshot_trailer_offset(&header) &&
               ga_snapshot_trailer_offset(&header) < header.file_bytes);
    if (header.nextents > EXTENTS)
        return 0; /* there are no more here */
    r = ga_snapshot_extents_check(&header, extents, why);
    FUZZ_CHECK(r == 0 || (r == -EBADMSG && why[0]));
    if (r == 0)
        check_extents();
    return 0;
}

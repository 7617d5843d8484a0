/* A file says of itself how long it is and how much of it is what. All of that is checked against
 * the length that it has before anything is computed from it, so no sum below can overflow: each
 * part is shorter than the file. */
#include "shm/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "shm/view.h"

__attribute__((format(printf, 2, 3))) static int refuse(char *ret_why, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ret_why, GA_SNAPSHOT_WHY_BYTES, format, arguments);
    va_end(arguments);
    return -EBADMSG;
}

uint64_t ga_snapshot_extents_bytes(const struct ga_snapshot_header *header)
{
    uint64_t bytes = header->nextents * sizeof(struct ga_snapshot_extent);
    return (bytes + GA_OS_PAGE_SIZE - 1) & ~(GA_OS_PAGE_SIZE - 1);
}

uint64_t ga_snapshot_data_offset(const struct ga_snapshot_header *header)
{
    return GA_SNAPSHOT_HEADER_BYTES + ga_snapshot_extents_bytes(header);
}

uint64_t ga_snapshot_nblocks(const struct ga_snapshot_header *header)
{
    return (header->data_bytes + GA_SNAPSHOT_BLOCK_BYTES - 1) / GA_SNAPSHOT_BLOCK_BYTES;
}

uint64_t ga_snapshot_sums_offset(const struct ga_snapshot_header *header)
{
    return ga_snapshot_data_offset(header) + header->data_bytes;
}

uint64_t ga_snapshot_trailer_offset(const struct ga_snapshot_header *header)
{
    return ga_snapshot_sums_offset(header) + ga_snapshot_nblocks(header) * sizeof(uint64_t);
}

/* Whether it is a snapshot at all, and one that can be read here. */
static int check_kind(const struct ga_snapshot_header *header, uint64_t read_bytes, char *ret_why)
{
    if (read_bytes >= sizeof(header->magic) &&
        header->magic == __builtin_bswap64(GA_SNAPSHOT_MAGIC))
        return refuse(ret_why, "it is of a machine of another byte order");
    if (read_bytes < sizeof(header->magic) || header->magic != GA_SNAPSHOT_MAGIC)
        return refuse(ret_why, "it is no snapshot of a goalloc heap");
    if (read_bytes < sizeof(*header))
        return refuse(ret_why, "it has been cut short: not even its header is whole");
    return 0;
}

static bool is_sound(const struct ga_snapshot_header *header)
{
    uint64_t reserve = header->reserve_bytes;
    uint64_t file = header->file_bytes;
    return reserve != 0 && reserve % GA_ARENA_SIZE == 0 && reserve <= GA_RESERVE_MAX &&
           header->base != 0 && header->base % GA_ARENA_SIZE == 0 &&
           header->base <= UINT64_MAX - reserve && header->limit_bytes <= reserve &&
           header->committed_npages <= reserve / GA_PAGE_SIZE &&
           memchr(header->name, '\0', sizeof(header->name)) &&
           ga_heap_name_is_valid(header->name) && header->nextents > 0 &&
           header->nextents <= file / sizeof(struct ga_snapshot_extent) && header->data_bytes > 0 &&
           header->data_bytes <= file && header->data_bytes % GA_OS_PAGE_SIZE == 0 &&
           ga_snapshot_trailer_offset(header) + sizeof(struct ga_snapshot_trailer) == file;
}

int ga_snapshot_header_check(const struct ga_snapshot_header *header, uint64_t read_bytes,
                             uint64_t sum, uint64_t file_bytes,
                             char ret_why[static GA_SNAPSHOT_WHY_BYTES])
{
    int r = check_kind(header, read_bytes, ret_why);
    if (r < 0)
        return r;
    if (sum != header->sum)
        return refuse(ret_why, "its header is damaged: the check sum is wrong");
    if (header->format_version != GA_SNAPSHOT_FORMAT_VERSION)
        return refuse(ret_why, "its format has version %" PRIu32 ", known here is %u",
                      header->format_version, GA_SNAPSHOT_FORMAT_VERSION);
    if (header->layout_version != GA_LAYOUT_VERSION)
        return refuse(ret_why, "the layout of its heap has version %" PRIu32 ", known here is %u",
                      header->layout_version, GA_LAYOUT_VERSION);
    /* Before the rest, which is compared with what the file says of its length. */
    if (file_bytes < header->file_bytes)
        return refuse(ret_why, "it has been cut short: %" PRIu64 " of %" PRIu64 " bytes are there",
                      file_bytes, header->file_bytes);
    if (file_bytes > header->file_bytes)
        return refuse(ret_why, "it has %" PRIu64 " bytes, more than the %" PRIu64 " it was made of",
                      file_bytes, header->file_bytes);
    return is_sound(header) ? 0 : refuse(ret_why, "its header contradicts itself");
}

int ga_snapshot_extents_check(const struct ga_snapshot_header *header,
                              const struct ga_snapshot_extent *extents,
                              char ret_why[static GA_SNAPSHOT_WHY_BYTES])
{
    struct ga_meta_header geometry = {0};
    const struct ga_table_counts counts = ga_table_counts_of_server();
    ga_geometry_init(&geometry, header->reserve_bytes, &counts);
    const uint64_t limits[GA_OBJECT_COUNT] = {geometry.meta_bytes, geometry.bits_bytes,
                                              header->committed_npages * GA_PAGE_SIZE};
    uint32_t object = GA_OBJECT_META;
    uint64_t end = 0; /* of the extents so far, in their object */
    uint64_t rest = header->data_bytes;
    for (uint64_t i = 0; i < header->nextents; i++) {
        const struct ga_snapshot_extent *extent = &extents[i];
        if (extent->object >= GA_OBJECT_COUNT || extent->object < object)
            return refuse(ret_why, "its extent %" PRIu64 " is of no object", i);
        if (extent->object != object) {
            object = extent->object;
            end = 0;
        }
        if (extent->offset % GA_OS_PAGE_SIZE || extent->bytes % GA_OS_PAGE_SIZE ||
            extent->bytes == 0 || extent->offset < end || extent->offset > limits[object] ||
            extent->bytes > limits[object] - extent->offset || extent->bytes > rest)
            return refuse(ret_why, "its extent %" PRIu64 " lies where none can", i);
        end = extent->offset + extent->bytes;
        rest -= extent->bytes;
    }
    if (rest != 0 || extents[0].object != GA_OBJECT_META || extents[0].offset != 0)
        return refuse(ret_why, "its extents are not all of a heap");
    return 0;
}

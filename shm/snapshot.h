/* The file that a heap is kept in: what its parts are and how to tell that they fit together. What
 * is written and read lies with who does it (goallocctl snapshot, goallocd --restore); here is what
 * both must agree on. Fixed-width numbers in the byte order of the machine, which the magic tells.
 *
 *   header      one OS page
 *   extents     which pieces of which object follow, in the order of objects and offsets; filled up
 *               with zeros to a whole OS page
 *   data        those pieces, one after the other, without gaps
 *   sums        one check sum for each GA_SNAPSHOT_BLOCK_BYTES of data; the last block may be short
 *   trailer     check sums of the header, the extents and the sums
 *
 * So each byte of the file is covered by one check sum, and those of the data by the trailer's.
 * What is in no extent is a hole: it reads as zeros. Check sums are XXH3, 64 bits, and computed by
 * the caller, since this room uses no library. */
#ifndef GA_SHM_SNAPSHOT_H
#define GA_SHM_SNAPSHOT_H

#include "shm/layout.h"
#include "shm/mapping.h"

#define GA_SNAPSHOT_MAGIC          UINT64_C(0x70616e73636c6167) /* "galcsnap" in memory */
#define GA_SNAPSHOT_TRAILER_MAGIC  UINT64_C(0x646e6573636c6167) /* "galcsend" */
#define GA_SNAPSHOT_FORMAT_VERSION 1u
#define GA_SNAPSHOT_BLOCK_BYTES    (UINT64_C(1) << 20)
#define GA_SNAPSHOT_HEADER_BYTES   4096u

struct ga_snapshot_header {
    uint64_t magic;
    uint32_t format_version;
    uint32_t layout_version; /* of the heap */
    uint64_t file_bytes;     /* the trailer included */
    uint64_t nextents;
    uint64_t data_bytes;
    uint64_t taken_ms; /* wall clock, since 1970 */
    uint64_t heap_id;
    uint64_t base;
    uint64_t reserve_bytes;
    uint64_t limit_bytes;
    uint64_t committed_npages;
    char name[GA_HEAP_NAME_MAX + 1];
    char writer_version[32];
    uint8_t reserved[3904];
    uint64_t sum; /* of all that is before it */
};
static_assert(sizeof(struct ga_snapshot_header) == GA_SNAPSHOT_HEADER_BYTES, "one OS page");
static_assert(offsetof(struct ga_snapshot_header, name) == 88, "format");
static_assert(offsetof(struct ga_snapshot_header, sum) == 4088, "format");

/* A piece of an object: whole OS pages. */
struct ga_snapshot_extent {
    uint32_t object; /* enum ga_object */
    uint32_t reserved;
    uint64_t offset;
    uint64_t bytes;
};
static_assert(sizeof(struct ga_snapshot_extent) == 24, "format");

struct ga_snapshot_trailer {
    uint64_t magic;
    uint64_t header_sum;  /* of the header, its own sum included */
    uint64_t extents_sum; /* of the extents, the zeros behind them included */
    uint64_t sums_sum;
    uint64_t sum; /* of all that is before it */
};
static_assert(sizeof(struct ga_snapshot_trailer) == 40, "format");

#define GA_SNAPSHOT_WHY_BYTES 192u

/* Where the parts lie in a file with this header, which has passed ga_snapshot_header_check or was
 * made by the caller. */
uint64_t ga_snapshot_extents_bytes(const struct ga_snapshot_header *header);
uint64_t ga_snapshot_data_offset(const struct ga_snapshot_header *header);
uint64_t ga_snapshot_nblocks(const struct ga_snapshot_header *header);
uint64_t ga_snapshot_sums_offset(const struct ga_snapshot_header *header);
uint64_t ga_snapshot_trailer_offset(const struct ga_snapshot_header *header);

/* Check a header read from a file that is file_bytes long; read_bytes says how much of the header
 * was there, and sum is the check sum of all of it before its last word. Returns 0; or -EBADMSG and
 * ret_why, a clause that says what is wrong: no snapshot, of another machine or version, cut short,
 * damaged. Pure, thread-safe. */
int ga_snapshot_header_check(const struct ga_snapshot_header *header, uint64_t read_bytes,
                             uint64_t sum, uint64_t file_bytes,
                             char ret_why[static GA_SNAPSHOT_WHY_BYTES]);

/* Check the extents of a checked header: their order, that each lies in its object, that the first
 * has the header of the heap, and that together they are the data. As above. */
int ga_snapshot_extents_check(const struct ga_snapshot_header *header,
                              const struct ga_snapshot_extent *extents,
                              char ret_why[static GA_SNAPSHOT_WHY_BYTES]);

#endif

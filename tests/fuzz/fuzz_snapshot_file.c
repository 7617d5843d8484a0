/* The reader of snapshot files, given a whole file in which words are others, and which is longer
 * or shorter; its check sums are left as they were, or made right again as somebody would who knows
 * the format. Where they were left, nothing but the file as it was made is accepted. What is
 * accepted is handed out in the order of the extents, each byte as it is in the file.
 *
 * An input begins with a byte, whose lowest bit says that the check sums are to be right. Pieces of
 * 10 bytes follow: where (2: the part in the upper 3 bits, the word of it) and what (8). */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "fuzz/fuzz.h"
#include "server/shell/snapshot_file.h"

#define EXTENTS    6u
#define DATA_BYTES (GA_SNAPSHOT_BLOCK_BYTES + 5 * GA_OS_PAGE_SIZE) /* two blocks */
#define ROOM       (2 * GA_SNAPSHOT_BLOCK_BYTES)

static int fd = -1;
static char path[32];
static char good[ROOM];
static char file[ROOM];
static uint64_t good_bytes;
static uint64_t file_bytes;

/* Make the check sums right, as far as the parts lie in the file. */
static void seal(char *bytes)
{
    struct ga_snapshot_header header;
    struct ga_snapshot_trailer trailer = {.magic = GA_SNAPSHOT_TRAILER_MAGIC};
    memcpy(&header, bytes, sizeof(header));
    header.sum = XXH3_64bits(&header, offsetof(struct ga_snapshot_header, sum));
    memcpy(bytes, &header, sizeof(header));
    if (header.nextents > ROOM || header.data_bytes > ROOM ||
        ga_snapshot_trailer_offset(&header) > ROOM - sizeof(trailer))
        return;
    char *data = bytes + ga_snapshot_data_offset(&header);
    char *sums = bytes + ga_snapshot_sums_offset(&header);
    for (uint64_t i = 0; i < ga_snapshot_nblocks(&header); i++) {
        uint64_t rest = header.data_bytes - i * GA_SNAPSHOT_BLOCK_BYTES;
        uint64_t sum = XXH3_64bits(data + i * GA_SNAPSHOT_BLOCK_BYTES,
                                   rest < GA_SNAPSHOT_BLOCK_BYTES ? rest : GA_SNAPSHOT_BLOCK_BYTES);
        memcpy(sums + i * sizeof(sum), &sum, sizeof(sum));
    }
    trailer.header_sum = XXH3_64bits(&header, sizeof(header));
    trailer.extents_sum =
        XXH3_64bits(bytes + GA_SNAPSHOT_HEADER_BYTES, ga_snapshot_extents_bytes(&header));
    trailer.sums_sum = XXH3_64bits(sums, ga_snapshot_nblocks(&header) * sizeof(uint64_t));
    trailer.sum = XXH3_64bits(&trailer, offsetof(struct ga_snapshot_trailer, sum));
    memcpy(bytes + ga_snapshot_trailer_offset(&header), &trailer, sizeof(trailer));
}

/* Two extents of each object; one of them has the end of the first block in it. */
static void make_good(void)
{
    struct ga_snapshot_header header = {.magic = GA_SNAPSHOT_MAGIC,
                                        .format_version = GA_SNAPSHOT_FORMAT_VERSION,
                                        .layout_version = GA_LAYOUT_VERSION,
                                        .nextents = EXTENTS,
                                        .data_bytes = DATA_BYTES,
                                        .base = GA_WINDOW_LOW,
                                        .reserve_bytes = GA_ARENA_SIZE,
                                        .limit_bytes = GA_ARENA_SIZE,
                                        .committed_npages = 256,
                                        .name = "fuzz"};
    struct ga_snapshot_extent extents[EXTENTS];
    uint64_t rest = DATA_BYTES;
    for (uint32_t i = 0; i < EXTENTS; i++) {
        uint64_t bytes = i + 1 < EXTENTS ? (i % 2 + 1) * GA_OS_PAGE_SIZE : rest;
        extents[i] = (struct ga_snapshot_extent){
            .object = i / 2, .offset = i % 2 * 4 * GA_OS_PAGE_SIZE, .bytes = bytes};
        rest -= bytes;
    }
    good_bytes = ga_snapshot_trailer_offset(&header) + sizeof(struct ga_snapshot_trailer);
    header.file_bytes = good_bytes;
    memcpy(good, &header, sizeof(header));
    memcpy(good + GA_SNAPSHOT_HEADER_BYTES, extents, sizeof(extents));
    for (uint64_t i = 0; i < DATA_BYTES; i++)
        good[ga_snapshot_data_offset(&header) + i] = (char)(i * 7 + i / 251);
    seal(good);
    fd = memfd_create("snapshot", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
}

static void spoil(struct fuzz_input *input)
{
    const uint64_t parts[] = {0, GA_SNAPSHOT_HEADER_BYTES, 2 * GA_SNAPSHOT_HEADER_BYTES,
                              2 * GA_SNAPSHOT_HEADER_BYTES + DATA_BYTES,
                              GA_SNAPSHOT_HEADER_BYTES - sizeof(uint64_t)};
    while (input->size > 0) {
        uint64_t where = fuzz_take(input, 2);
        uint64_t number = fuzz_take(input, 8);
        uint64_t part = where >> 13;
        uint64_t offset = (where & 0x1fff) * sizeof(number);
        if (part >= sizeof(parts) / sizeof(parts[0]))
            file_bytes = number % ROOM;
        else if (parts[part] + offset <= ROOM - sizeof(number))
            memcpy(file + parts[part] + offset, &number, sizeof(number));
    }
}

struct place {
    const struct ga_snapshot_file *snapshot;
    uint64_t extent;
    uint64_t at; /* in the extent */
    uint64_t done;
};

static int take_piece(void *data, enum ga_object object, uint64_t offset, const char *bytes,
                      uint64_t nbytes)
{
    struct place *place = data;
    const struct ga_snapshot_header *header = &place->snapshot->header;
    FUZZ_CHECK(place->extent < header->nextents);
    const struct ga_snapshot_extent *extent = &place->snapshot->extents[place->extent];
    FUZZ_CHECK(object == extent->object && offset == extent->offset + place->at);
    FUZZ_CHECK(nbytes > 0 && nbytes <= extent->bytes - place->at);
    FUZZ_CHECK(memcmp(bytes, file + ga_snapshot_data_offset(header) + place->done, nbytes) == 0);
    place->done += nbytes;
    place->at += nbytes;
    if (place->at == extent->bytes) {
        place->extent++;
        place->at = 0;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    struct ga_snapshot_file snapshot;
    if (fd < 0)
        make_good();
    memcpy(file, good, sizeof(file));
    file_bytes = good_bytes;
    bool sealed = fuzz_take(&input, 1) & 1;
    spoil(&input);
    if (sealed)
        seal(file);
    FUZZ_CHECK(ftruncate(fd, (off_t)file_bytes) == 0);
    FUZZ_CHECK(pwrite(fd, file, file_bytes, 0) == (ssize_t)file_bytes);

    int r = ga_snapshot_file_open(path, &snapshot);
    FUZZ_CHECK(r == 0 || (r == -EBADMSG && snapshot.fd == -1));
    if (r < 0)
        return 0;
    FUZZ_CHECK(sealed || (file_bytes == good_bytes && memcmp(file, good, file_bytes) == 0));
    struct place place = {.snapshot = &snapshot};
    FUZZ_CHECK(ga_snapshot_file_read(&snapshot, take_piece, &place) == 0);
    FUZZ_CHECK(place.done == snapshot.header.data_bytes &&
               place.extent == snapshot.header.nextents);
    ga_snapshot_file_close(&snapshot);
    return 0;
}

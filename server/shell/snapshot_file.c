/* Nothing of the file is believed before its check sum was compared: the header's first, since it
 * says where the rest lies; then the trailer's, and by it those of extents and sums; then the data,
 * block by block. A file that somebody changes while it is read is noticed, because what is handed
 * out has been verified in memory. */
#include "server/shell/snapshot_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "server/shell/log.h"

static int refuse(const struct ga_snapshot_file *file, int err, const char *why)
{
    ga_log(GA_LOG_ERROR, "%s cannot be restored: %s", file->path, why);
    return err;
}

/* Read bytes at offset, or as much as there is. */
static int read_at(const struct ga_snapshot_file *file, uint64_t offset, uint64_t bytes,
                   void *ret_bytes, uint64_t *ret_read)
{
    uint64_t done = 0;
    while (done < bytes) {
        ssize_t n = pread(file->fd, (char *)ret_bytes + done, bytes - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return refuse(file, -errno, strerror(errno));
        if (n == 0)
            break;
        done += (uint64_t)n;
    }
    *ret_read = done;
    return 0;
}

static int read_whole(const struct ga_snapshot_file *file, uint64_t offset, uint64_t bytes,
                      void *ret_bytes)
{
    uint64_t n = 0;
    int r = read_at(file, offset, bytes, ret_bytes, &n);
    if (r == 0 && n < bytes)
        r = refuse(file, -EBADMSG, "it was cut short while it was read");
    return r;
}

static int read_header(struct ga_snapshot_file *file)
{
    char why[GA_SNAPSHOT_WHY_BYTES];
    struct stat st;
    uint64_t n = 0;
    if (fstat(file->fd, &st) < 0)
        return refuse(file, -errno, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return refuse(file, -EBADMSG, "it is no regular file");
    int r = read_at(file, 0, sizeof(file->header), &file->header, &n);
    if (r < 0)
        return r;
    uint64_t sum = XXH3_64bits(&file->header, offsetof(struct ga_snapshot_header, sum));
    r = ga_snapshot_header_check(&file->header, n, sum, (uint64_t)st.st_size, why);
    return r < 0 ? refuse(file, r, why) : 0;
}

/* Read the part at offset into memory of its own, and compare its check sum. */
static int read_part(const struct ga_snapshot_file *file, uint64_t offset, uint64_t bytes,
                     uint64_t sum, const char *damaged, void *ret_memory)
{
    void *memory = malloc(bytes);
    if (!memory)
        return refuse(file, -ENOMEM, "there is not enough memory");
    int r = read_whole(file, offset, bytes, memory);
    if (r == 0 && XXH3_64bits(memory, bytes) != sum)
        r = refuse(file, -EBADMSG, damaged);
    if (r < 0)
        free(memory);
    else
        memcpy(ret_memory, &memory, sizeof(memory));
    return r;
}

static int read_tables(struct ga_snapshot_file *file)
{
    const struct ga_snapshot_header *header = &file->header;
    struct ga_snapshot_trailer trailer;
    char why[GA_SNAPSHOT_WHY_BYTES];
    int r = read_whole(file, ga_snapshot_trailer_offset(header), sizeof(trailer), &trailer);
    if (r < 0)
        return r;
    if (trailer.magic != GA_SNAPSHOT_TRAILER_MAGIC ||
        trailer.sum != XXH3_64bits(&trailer, offsetof(struct ga_snapshot_trailer, sum)))
        return refuse(file, -EBADMSG, "its trailer is damaged: the check sum is wrong");
    if (trailer.header_sum != XXH3_64bits(header, sizeof(*header)))
        return refuse(file, -EBADMSG, "its header and its trailer are not of one file");
    r = read_part(file, GA_SNAPSHOT_HEADER_BYTES, ga_snapshot_extents_bytes(header),
                  trailer.extents_sum, "its table of extents is damaged: the check sum is wrong",
                  &file->extents);
    if (r == 0)
        r = read_part(file, ga_snapshot_sums_offset(header),
                      ga_snapshot_nblocks(header) * sizeof(uint64_t), trailer.sums_sum,
                      "its table of check sums is damaged", &file->sums);
    if (r < 0)
        return r;
    r = ga_snapshot_extents_check(header, file->extents, why);
    return r < 0 ? refuse(file, r, why) : 0;
}

/* ---- data ---- */

/* Where in the extents the next byte of data goes. */
struct place {
    uint64_t extent;
    uint64_t at;
};

static int hand_out(const struct ga_snapshot_file *file, struct place *place, uint64_t bytes,
                    ga_snapshot_piece_fn *take_piece, void *data)
{
    int r = 0;
    for (uint64_t done = 0; r == 0 && done < bytes;) {
        const struct ga_snapshot_extent *extent = &file->extents[place->extent];
        uint64_t rest = extent->bytes - place->at;
        uint64_t n = bytes - done < rest ? bytes - done : rest;
        r = take_piece(data, (enum ga_object)extent->object, extent->offset + place->at,
                       file->block + done, n);
        done += n;
        place->at += n;
        if (place->at == extent->bytes)
            *place = (struct place){.extent = place->extent + 1};
    }
    return r;
}

static int refuse_block(const struct ga_snapshot_file *file, uint64_t block)
{
    ga_log(GA_LOG_ERROR,
           "%s cannot be restored: its data is damaged: the check sum of block %" PRIu64
           " of %" PRIu64 " is wrong",
           file->path, block + 1, ga_snapshot_nblocks(&file->header));
    return -EBADMSG;
}

int ga_snapshot_file_read(const struct ga_snapshot_file *file, ga_snapshot_piece_fn *take_piece,
                          void *data)
{
    uint64_t offset = ga_snapshot_data_offset(&file->header);
    uint64_t rest = file->header.data_bytes;
    struct place place = {0};
    int r = 0;
    for (uint64_t i = 0; r == 0 && rest > 0; i++) {
        uint64_t n = rest < GA_SNAPSHOT_BLOCK_BYTES ? rest : GA_SNAPSHOT_BLOCK_BYTES;
        r = read_whole(file, offset, n, file->block);
        if (r == 0 && XXH3_64bits(file->block, n) != file->sums[i])
            r = refuse_block(file, i);
        if (r == 0)
            r = hand_out(file, &place, n, take_piece, data);
        offset += n;
        rest -= n;
    }
    return r;
}

static int take_nothing(void *data, enum ga_object object, uint64_t offset, const char *bytes,
                        uint64_t nbytes)
{
    (void)data;
    (void)object;
    (void)offset;
    (void)bytes;
    (void)nbytes;
    return 0;
}

int ga_snapshot_file_open(const char *path, struct ga_snapshot_file *ret)
{
    *ret = (struct ga_snapshot_file){.path = path};
    /* Not blocking: it might be a FIFO. */
    ret->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (ret->fd < 0)
        return refuse(ret, -errno, strerror(errno));
    (void)posix_fadvise(ret->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    int r = read_header(ret);
    if (r == 0)
        r = read_tables(ret);
    if (r == 0) {
        ret->block = malloc(GA_SNAPSHOT_BLOCK_BYTES);
        r = ret->block ? ga_snapshot_file_read(ret, take_nothing, NULL)
                       : refuse(ret, -ENOMEM, "there is not enough memory");
    }
    if (r < 0)
        ga_snapshot_file_close(ret);
    return r;
}

void ga_snapshot_file_close(struct ga_snapshot_file *file)
{
    if (file->fd < 0)
        return;
    close(file->fd);
    free(file->extents);
    free(file->sums);
    free(file->block);
    *file = (struct ga_snapshot_file){.fd = -1};
}

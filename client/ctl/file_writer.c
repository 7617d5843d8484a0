/* The buffers are registered once, so that the kernel does not pin and unpin their pages at each
 * write; there are few, because registered memory counts as locked (8 MiB are what a process may
 * have by default). A write is handed to a worker of the ring (IOSQE_ASYNC): file systems that
 * would do it at once would do it on our thread, which is to read and sum the next block meanwhile.
 *
 * Where a write of the ring comes back short or fails, its rest is written with pwrite, whose error
 * is then the truth. So an interrupted or refused operation costs time and nothing else. */
#include "client/ctl/file_writer.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define NBUFFERS     4u
#define ENGINE_BYTES 96

struct piece {
    uint64_t offset;
    uint32_t bytes;
    bool under_way;
};

struct ga_file_writer {
    int fd;
    int error;       /* the first, or 0 */
    uint64_t offset; /* where the next buffer goes */
    unsigned next;   /* buffer to be filled */
    bool has_ring;
    struct io_uring ring;
    struct piece pieces[NBUFFERS];
    char *memory;
    char engine[ENGINE_BYTES];
};

static char *buffer_of(const struct ga_file_writer *writer, unsigned i)
{
    return writer->memory + (size_t)i * GA_FILE_WRITER_BYTES;
}

/* ---- pwrite ---- */

static void write_rest(struct ga_file_writer *writer, unsigned i, uint32_t done)
{
    const struct piece *piece = &writer->pieces[i];
    while (done < piece->bytes && writer->error == 0) {
        ssize_t n = pwrite(writer->fd, buffer_of(writer, i) + done, piece->bytes - done,
                           (off_t)(piece->offset + done));
        if (n >= 0)
            done += (uint32_t)n;
        else if (errno != EINTR)
            writer->error = -errno;
    }
}

/* ---- io_uring ---- */

static void use_pwrite(struct ga_file_writer *writer, const char *step, int err)
{
    writer->has_ring = false;
    snprintf(writer->engine, sizeof(writer->engine), "pwrite (%s: %s)", step, strerror(-err));
}

static void start_ring(struct ga_file_writer *writer)
{
    struct iovec buffers[NBUFFERS];
    for (unsigned i = 0; i < NBUFFERS; i++)
        buffers[i] =
            (struct iovec){.iov_base = buffer_of(writer, i), .iov_len = GA_FILE_WRITER_BYTES};
    int r = io_uring_queue_init(NBUFFERS, &writer->ring, 0);
    if (r < 0) {
        use_pwrite(writer, "io_uring is refused", r);
        return;
    }
    r = io_uring_register_buffers(&writer->ring, buffers, NBUFFERS);
    if (r < 0) {
        io_uring_queue_exit(&writer->ring);
        use_pwrite(writer, "buffers cannot be registered", r);
        return;
    }
    writer->has_ring = true;
    snprintf(writer->engine, sizeof(writer->engine), "io_uring, %u registered buffers of %u KiB",
             NBUFFERS, GA_FILE_WRITER_BYTES / 1024);
}

static void complete(struct ga_file_writer *writer, const struct io_uring_cqe *cqe)
{
    unsigned i = (unsigned)io_uring_cqe_get_data64(cqe);
    writer->pieces[i].under_way = false;
    write_rest(writer, i, cqe->res > 0 ? (uint32_t)cqe->res : 0);
}

/* Wait until one more write is done. */
static void wait_for_one(struct ga_file_writer *writer)
{
    struct io_uring_cqe *cqe;
    int r;
    do {
        r = io_uring_wait_cqe(&writer->ring, &cqe);
    } while (r == -EINTR);
    if (r < 0) {
        /* What was under way is not known to be written, and never will be. */
        writer->error = r;
        for (unsigned i = 0; i < NBUFFERS; i++)
            writer->pieces[i].under_way = false;
        return;
    }
    complete(writer, cqe);
    io_uring_cqe_seen(&writer->ring, cqe);
}

static void submit(struct ga_file_writer *writer, unsigned i)
{
    struct piece *piece = &writer->pieces[i];
    struct io_uring_sqe *sqe = io_uring_get_sqe(&writer->ring);
    assert(sqe); /* as many as there are buffers, and each is submitted at once */
    io_uring_prep_write_fixed(sqe, writer->fd, buffer_of(writer, i), piece->bytes, piece->offset,
                              (int)i);
    io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
    io_uring_sqe_set_data64(sqe, i);
    int r;
    do {
        r = io_uring_submit(&writer->ring);
    } while (r == -EINTR || r == -EAGAIN || r == -EBUSY);
    if (r == 1) {
        piece->under_way = true;
    } else {
        writer->error = r < 0 ? r : -EIO; /* the entry is in the ring: go no further with it */
    }
}

/* ---- the face ---- */

int ga_file_writer_new(int fd, struct ga_file_writer **ret)
{
    struct ga_file_writer *writer = calloc(1, sizeof(*writer));
    if (!writer)
        return -ENOMEM;
    void *memory;
    if (posix_memalign(&memory, 4096, (size_t)NBUFFERS * GA_FILE_WRITER_BYTES) != 0) {
        free(writer);
        return -ENOMEM;
    }
    writer->fd = fd;
    writer->memory = memory;
    start_ring(writer);
    *ret = writer;
    return 0;
}

void *ga_file_writer_buffer(struct ga_file_writer *writer)
{
    while (writer->pieces[writer->next].under_way)
        wait_for_one(writer);
    return buffer_of(writer, writer->next);
}

int ga_file_writer_put(struct ga_file_writer *writer, uint32_t bytes)
{
    unsigned i = writer->next;
    assert(bytes <= GA_FILE_WRITER_BYTES && !writer->pieces[i].under_way);
    if (writer->error < 0)
        return writer->error;
    writer->pieces[i] = (struct piece){.offset = writer->offset, .bytes = bytes};
    if (writer->has_ring)
        submit(writer, i);
    else
        write_rest(writer, i, 0);
    writer->offset += bytes;
    writer->next = (i + 1) % NBUFFERS;
    return writer->error;
}

int ga_file_writer_finish(struct ga_file_writer *writer)
{
    for (unsigned i = 0; i < NBUFFERS; i++)
        while (writer->pieces[i].under_way)
            wait_for_one(writer);
    return writer->error;
}

const char *ga_file_writer_engine(const struct ga_file_writer *writer)
{
    return writer->engine;
}

void ga_file_writer_free(struct ga_file_writer *writer)
{
    if (!writer)
        return;
    ga_file_writer_finish(writer);
    if (writer->has_ring)
        io_uring_queue_exit(&writer->ring);
    free(writer->memory);
    free(writer);
}

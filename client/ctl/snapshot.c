/* goallocctl snapshot: a quiet heap written to a file. What goes into it is decided first, so that
 * the file is written from its beginning to its end: header, extents, data, sums, trailer. */
#include "client/ctl/command.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "client/ctl/file_writer.h"
#include "client/ctl/new_file.h"
#include "client/ctl/print.h"
#include "client/ctl/progress.h"
#include "client/ctl/quiet.h"
#include "client/ctl/snapshot_plan.h"
#include "client/ctl/stillness.h"
#include "client/ctl/units.h"
#include "proto/error.h"
#include "shm/atomic.h"

static_assert(GA_SNAPSHOT_BLOCK_BYTES == GA_FILE_WRITER_BYTES, "a block fills a buffer");

struct snapshot {
    struct ga_quiet quiet;
    struct ga_stillness stillness; /* of what clients write, before it is copied */
    struct ga_snapshot_plan plan;
    struct ga_snapshot_header header;
    struct ga_snapshot_trailer trailer;
    uint64_t *sums; /* of the blocks */
    uint64_t nsums;
    struct ga_file_writer *writer;
    struct ga_progress progress;
};

static uint64_t now_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void make_header(struct snapshot *s)
{
    const struct ga_meta_header *heap = &s->quiet.header;
    struct ga_snapshot_header *header = &s->header;
    *header = (struct ga_snapshot_header){
        .magic = GA_SNAPSHOT_MAGIC,
        .format_version = GA_SNAPSHOT_FORMAT_VERSION,
        .layout_version = heap->layout_version,
        .nextents = s->plan.nextents,
        .data_bytes = s->plan.data_bytes,
        .taken_ms = now_ms(CLOCK_REALTIME),
        .heap_id = heap->heap_id,
        .base = heap->base,
        .reserve_bytes = heap->reserve_bytes,
        .limit_bytes = ga_load_relaxed(&heap->limit_bytes),
        .committed_npages = ga_load_relaxed(&heap->committed_npages),
        .writer_version = GOALLOC_VERSION,
    };
    snprintf(header->name, sizeof(header->name), "%s", s->quiet.heap_name);
    header->file_bytes = ga_snapshot_trailer_offset(header) + sizeof(s->trailer);
    header->sum = XXH3_64bits(header, offsetof(struct ga_snapshot_header, sum));
}

/* Write what lies in memory, and behind it zeros up to padded_bytes. Returns the check sum of both
 * in *ret_sum. */
static int put(struct snapshot *s, const void *data, uint64_t bytes, uint64_t padded_bytes,
               uint64_t *ret_sum)
{
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return -ENOMEM;
    XXH3_64bits_reset(state);
    int r = 0;
    for (uint64_t done = 0; r == 0 && done < padded_bytes;) {
        char *buffer = ga_file_writer_buffer(s->writer);
        uint64_t rest = padded_bytes - done;
        uint64_t n = rest < GA_FILE_WRITER_BYTES ? rest : GA_FILE_WRITER_BYTES;
        uint64_t copied = done >= bytes ? 0 : bytes - done < n ? bytes - done : n;
        memcpy(buffer, (const char *)data + (copied ? done : 0), copied);
        memset(buffer + copied, 0, n - copied);
        XXH3_64bits_update(state, buffer, n);
        r = ga_file_writer_put(s->writer, (uint32_t)n);
        done += n;
    }
    *ret_sum = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return r;
}

static int read_piece(int fd, uint64_t offset, uint64_t bytes, char *ret)
{
    while (bytes > 0) {
        ssize_t n = pread(fd, ret, bytes, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EBADMSG; /* cut short meanwhile */
        ret += n;
        offset += (uint64_t)n;
        bytes -= (uint64_t)n;
    }
    return 0;
}

static int put_block(struct snapshot *s, const char *buffer, uint64_t bytes)
{
    s->sums[s->nsums++] = XXH3_64bits(buffer, bytes);
    return ga_file_writer_put(s->writer, (uint32_t)bytes);
}

static int put_data(struct snapshot *s)
{
    char *buffer = ga_file_writer_buffer(s->writer);
    uint64_t filled = 0;
    uint64_t done = 0;
    int r = 0;
    for (uint64_t i = 0; r == 0 && i < s->plan.nextents; i++) {
        const struct ga_snapshot_extent *extent = &s->plan.extents[i];
        for (uint64_t at = 0; r == 0 && at < extent->bytes;) {
            uint64_t room = GA_SNAPSHOT_BLOCK_BYTES - filled;
            uint64_t rest = extent->bytes - at;
            uint64_t n = rest < room ? rest : room;
            r = read_piece(s->quiet.objects[extent->object].fd, extent->offset + at, n,
                           buffer + filled);
            at += n;
            done += n;
            filled += n;
            if (r < 0 || filled < GA_SNAPSHOT_BLOCK_BYTES)
                continue;
            r = put_block(s, buffer, filled);
            buffer = ga_file_writer_buffer(s->writer);
            filled = 0;
            ga_progress_show(&s->progress, done);
        }
    }
    return r == 0 && filled > 0 ? put_block(s, buffer, filled) : r;
}

static int put_all(struct snapshot *s)
{
    struct ga_snapshot_trailer *trailer = &s->trailer;
    uint64_t unused;
    trailer->magic = GA_SNAPSHOT_TRAILER_MAGIC;
    int r = put(s, &s->header, sizeof(s->header), sizeof(s->header), &trailer->header_sum);
    if (r == 0)
        r = put(s, s->plan.extents, s->plan.nextents * sizeof(*s->plan.extents),
                ga_snapshot_extents_bytes(&s->header), &trailer->extents_sum);
    if (r == 0)
        r = put_data(s);
    uint64_t sums_bytes = s->nsums * sizeof(*s->sums);
    if (r == 0)
        r = put(s, s->sums, sums_bytes, sums_bytes, &trailer->sums_sum);
    trailer->sum = XXH3_64bits(trailer, offsetof(struct ga_snapshot_trailer, sum));
    if (r == 0)
        r = put(s, trailer, sizeof(*trailer), sizeof(*trailer), &unused);
    int last = ga_file_writer_finish(s->writer);
    return r < 0 ? r : last;
}

static int write_file(const struct ga_ctl *ctl, struct snapshot *s, int fd)
{
    make_header(s);
    s->sums = calloc(ga_snapshot_nblocks(&s->header), sizeof(*s->sums));
    int r = s->sums ? ga_file_writer_new(fd, &s->writer) : -ENOMEM;
    if (r == 0 && ctl->verbose)
        fprintf(stderr, "goallocctl: writing with %s\n", ga_file_writer_engine(s->writer));
    ga_progress_begin(&s->progress, !ctl->json && !ctl->quiet, s->plan.data_bytes);
    if (r == 0)
        r = put_all(s);
    ga_progress_end(&s->progress);
    if (r == -EBADMSG)
        fprintf(stderr, "goallocctl: an object of heap '%s' was cut short while it was read\n",
                s->quiet.heap_name);
    else if (r < 0)
        fprintf(stderr, "goallocctl: %s: cannot be written: %s\n", ctl->file, strerror(-r));
    return r;
}

static int plan(struct snapshot *s)
{
    int r = ga_snapshot_plan_make(s->quiet.objects, &s->quiet.header, &s->plan);
    if (r < 0)
        fprintf(stderr, "goallocctl: no snapshot of heap '%s': %s\n", s->quiet.heap_name,
                r == -EBADMSG ? "its page table is damaged" : ga_error_text(r));
    return r;
}

static int flush(const struct ga_ctl *ctl, struct snapshot *s, const struct ga_new_file *file)
{
    ga_progress_say(&s->progress, "flushing to the disk");
    int r = ga_new_file_flush(file);
    ga_progress_end(&s->progress);
    if (r < 0)
        fprintf(stderr, "goallocctl: %s: cannot be flushed to the disk: %s\n", ctl->file,
                strerror(-r));
    return r;
}

/* Clients go on as soon as nothing more is read. */
static int copy(const struct ga_ctl *ctl, struct snapshot *s, const struct ga_new_file *file)
{
    int r = write_file(ctl, s, file->fd);
    if (r == 0)
        r = ga_stillness_check(&s->quiet, &s->stillness);
    if (r == 0)
        r = ga_quiet_release(ctl);
    return r < 0 ? r : flush(ctl, s, file);
}

static int take(const struct ga_ctl *ctl, struct snapshot *s)
{
    struct ga_new_file file = {.fd = -1};
    int r = ga_stillness_take(&s->quiet, &s->stillness); /* before anything is looked at */
    if (r == 0)
        r = plan(s);
    if (r == 0)
        r = ga_new_file_open(ctl->file, &file);
    if (r == 0)
        r = copy(ctl, s, &file);
    if (r == 0)
        r = ga_new_file_commit(&file);
    ga_new_file_abandon(&file);
    return r;
}

static void print(const struct ga_ctl *ctl, const struct snapshot *s, uint64_t took_ms)
{
    uint64_t committed = s->header.committed_npages * GA_PAGE_SIZE;
    if (ctl->json) {
        struct ga_json json;
        ga_print_begin_json(ctl, &json);
        ga_json_string(&json, "heap_name", s->quiet.heap_name);
        ga_json_string(&json, "engine", ga_file_writer_engine(s->writer));
        ga_json_number(&json, "file_bytes", s->header.file_bytes);
        ga_json_number(&json, "data_bytes", s->header.data_bytes);
        ga_json_number(&json, "extents", s->header.nextents);
        ga_json_number(&json, "committed_bytes", committed);
        ga_json_number(&json, "paused_clients", s->quiet.npaused);
        ga_json_number(&json, "took_ms", took_ms);
        ga_json_end(&json);
    } else if (!ctl->quiet) {
        char file[GA_UNITS_BYTES];
        char heap[GA_UNITS_BYTES];
        ga_units_size(s->header.file_bytes, file);
        ga_units_size(committed, heap);
        printf("wrote heap '%s', %s committed, to %s: %s\n", s->quiet.heap_name, heap, ctl->file,
               file);
    }
}

int ga_ctl_snapshot(const struct ga_ctl *ctl)
{
    struct snapshot s = {0};
    uint64_t begun_ms = now_ms(CLOCK_MONOTONIC);
    signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error of the write */
    int r = ga_quiet_begin(ctl, &s.quiet);
    if (r < 0)
        return r;
    r = take(ctl, &s);
    if (r == 0)
        print(ctl, &s, now_ms(CLOCK_MONOTONIC) - begun_ms);
    ga_file_writer_free(s.writer);
    free(s.sums);
    ga_snapshot_plan_fini(&s.plan);
    ga_stillness_fini(&s.stillness);
    ga_quiet_end(&s.quiet);
    return r;
}

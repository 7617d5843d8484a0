/* Of meta everything that is not a hole; of bits what belongs to committed pages and to mcaches
 * that were used, since clients can write elsewhere too; of the heap the pages of spans in use, as
 * far as they were ever touched. What lies in free pages is nobody's. */
#include "client/ctl/snapshot_plan.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "shm/atomic.h"
#include "shm/page_entry.h"
#include "shm/view.h"

static int append(struct ga_snapshot_plan *plan, uint32_t object, uint64_t from, uint64_t to)
{
    plan->data_bytes += to - from;
    struct ga_snapshot_extent *last = plan->nextents ? &plan->extents[plan->nextents - 1] : NULL;
    if (last && last->object == object && last->offset + last->bytes == from) {
        last->bytes += to - from;
        return 0;
    }
    if (plan->nextents == plan->capacity) {
        uint64_t capacity = plan->capacity ? 2 * plan->capacity : 256;
        struct ga_snapshot_extent *extents =
            reallocarray(plan->extents, capacity, sizeof(*extents));
        if (!extents)
            return -ENOMEM;
        plan->extents = extents;
        plan->capacity = capacity;
    }
    plan->extents[plan->nextents++] =
        (struct ga_snapshot_extent){.object = object, .offset = from, .bytes = to - from};
    return 0;
}

static uint64_t page_down(uint64_t offset)
{
    return offset & ~(GA_OS_PAGE_SIZE - 1);
}

static uint64_t page_up(uint64_t offset)
{
    return page_down(offset + GA_OS_PAGE_SIZE - 1);
}

/* Append the data of [from, to), in whole OS pages; what the piece before has of them is left
 * out. */
static int append_data(struct ga_snapshot_plan *plan, const struct ga_mapping *objects,
                       uint32_t object, uint64_t from, uint64_t to)
{
    int fd = objects[object].fd;
    const struct ga_snapshot_extent *last =
        plan->nextents ? &plan->extents[plan->nextents - 1] : NULL;
    from = page_down(from);
    to = page_up(to);
    if (last && last->object == object && from < last->offset + last->bytes)
        from = last->offset + last->bytes;
    while (from < to) {
        off_t data = lseek(fd, (off_t)from, SEEK_DATA);
        if (data < 0)
            return errno == ENXIO ? 0 : -errno; /* nothing but holes from here on */
        off_t hole = lseek(fd, data, SEEK_HOLE);
        if (hole < 0)
            return -errno;
        uint64_t begin = page_down((uint64_t)data);
        uint64_t end = page_up((uint64_t)hole);
        end = end < to ? end : to;
        if (begin >= end)
            return 0;
        int r = append(plan, object, begin, end);
        if (r < 0)
            return r;
        from = end;
    }
    return 0;
}

static int plan_bits(struct ga_snapshot_plan *plan, const struct ga_mapping *objects,
                     const struct ga_meta_header *header)
{
    uint64_t npages = ga_load_relaxed(&header->committed_npages);
    uint64_t mcaches = ga_load_relaxed(&header->mcache_end);
    mcaches = mcaches < header->counts.mcaches ? mcaches : header->counts.mcaches;
    uint64_t clients = ga_load_relaxed(&header->client_end);
    clients = clients < header->counts.clients ? clients : header->counts.clients;
    const struct {
        uint64_t offset;
        uint64_t bytes;
    } tables[] = {
        {0, sizeof(struct ga_bits_header)},
        {ga_geometry_pending(header, npages), (npages + 63) / 64 * 8},
        {header->bits_handles_offset, clients * sizeof(struct ga_handles)},
        {header->bits_mcaches_offset, mcaches * sizeof(struct ga_mcache)},
        {header->bits_profiles_offset, clients * sizeof(struct ga_profile)},
        {ga_geometry_wide(header, npages), npages * sizeof(struct ga_span_wide)},
        {header->bits_lines_offset, npages * sizeof(struct ga_span_line)},
        {header->bits_tiny_offset, npages * sizeof(struct ga_tiny_bits)},
        {header->bits_samples_offset, (npages + GA_SAMPLE_SET_NPAGES - 1) / GA_SAMPLE_SET_NPAGES *
                                          header->sample_words * sizeof(uint64_t)},
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(tables) / sizeof(tables[0]); i++)
        r = append_data(plan, objects, GA_OBJECT_BITS, tables[i].offset,
                        tables[i].offset + tables[i].bytes);
    return r;
}

/* Read meta's page table, of the pages that are committed. */
static int read_page_table(int fd, const struct ga_meta_header *header, uint64_t npages,
                           uint64_t **ret)
{
    uint64_t *entries = calloc(npages + 1, sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    uint64_t done = 0;
    while (done < npages * sizeof(*entries)) {
        ssize_t n = pread(fd, (char *)entries + done, npages * sizeof(*entries) - done,
                          (off_t)(header->page_table_offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int err = n < 0 ? -errno : -EBADMSG;
            free(entries);
            return err;
        }
        done += (uint64_t)n;
    }
    *ret = entries;
    return 0;
}

static int plan_heap(struct ga_snapshot_plan *plan, const struct ga_mapping *objects,
                     const struct ga_meta_header *header)
{
    uint64_t npages = ga_load_relaxed(&header->committed_npages);
    uint64_t *entries = NULL;
    int r = read_page_table(objects[GA_OBJECT_META].fd, header, npages, &entries);
    if (r < 0)
        return r;
    assert(entries);
    for (uint64_t page = 0; r == 0 && page < npages;) {
        uint64_t first = page;
        /* Spans that follow each other are looked at as one piece. */
        while (page < npages && ga_entry_is_span(entries[page])) {
            uint64_t length = ga_entry_npages(entries[page]);
            if (length == 0 || length > npages - page) {
                free(entries);
                return -EBADMSG;
            }
            page += length;
        }
        if (page > first)
            r = append_data(plan, objects, GA_OBJECT_HEAP, first * GA_PAGE_SIZE,
                            page * GA_PAGE_SIZE);
        else
            page++;
    }
    free(entries);
    return r;
}

int ga_snapshot_plan_make(const struct ga_mapping objects[static GA_OBJECT_COUNT],
                          const struct ga_meta_header *header, struct ga_snapshot_plan *ret)
{
    struct ga_snapshot_plan plan = {0};
    int r = append_data(&plan, objects, GA_OBJECT_META, 0, header->meta_bytes);
    if (r == 0)
        r = plan_bits(&plan, objects, header);
    if (r == 0)
        r = plan_heap(&plan, objects, header);
    if (r < 0) {
        ga_snapshot_plan_fini(&plan);
        return r;
    }
    *ret = plan;
    return 0;
}

void ga_snapshot_plan_fini(struct ga_snapshot_plan *plan)
{
    free(plan->extents);
    *plan = (struct ga_snapshot_plan){0};
}

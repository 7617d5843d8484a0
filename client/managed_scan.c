/* How memory is scanned. /proc/self/maps tells what is mapped; what of it is present the kernel
 * tells for whole ranges (PAGEMAP_SCAN, Linux 6.7), or page by page (/proc/self/pagemap). It is
 * read with process_vm_readv, which does not fault: another process may cut a file short that is
 * mapped here. Any word that lies in a page of the heap that is in use counts. Private memory that
 * may only be read was written before that: of it the pages count that are no file's.
 *
 * Left out are ranges: the library's own memory, and of each stack that is known what lies below
 * the stack pointer. A thread whose stack was not seen in any private writable mapping may have
 * pointers that were not found, so then the scan has failed. */
#include "client/managed_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "client/class_cache.h"
#include "client/heap.h"
#include "client/pagemap.h"
#include "client/written.h"

#define READ_BYTES    (UINT64_C(256) << 10)
#define MAPS_BYTES    (UINT64_C(64) << 10)
#define SEEN_BITS     16u
#define EXCLUDED_MAX  (UINT32_C(1) << 16)
#define STACKS_MAX    (UINT32_C(1) << 14)
#define REGIONS       512u
#define PAGEMAP_PAGES 4096u

#define PAGEMAP_THERE (UINT64_C(3) << 62) /* present or swapped */
#define PAGEMAP_FILE  (UINT64_C(1) << 61)

struct ga_scan {
    /* Of this run. */
    const struct goalloc_heap *heap;
    uint64_t heap_bytes; /* committed */
    ga_scan_emit *emit;
    void *data;
    char *why;
    int pagemap;
    int mem;           /* -1 where it is not needed */
    bool page_by_page; /* the kernel does not know PAGEMAP_SCAN */
    bool no_files;     /* pages of files are left out now */
    uint64_t read_bytes;
    uint64_t told_ms; /* when something was handed on */

    uint32_t nexcluded;
    uint32_t nstacks;
    uint32_t nseen_stacks; /* of those, in order, that lie in what was scanned */
    uint32_t nout;
    uint64_t out[GA_SCAN_BATCH];
    struct ga_stop_range excluded[EXCLUDED_MAX];
    uintptr_t stacks[STACKS_MAX];   /* the stack pointers, in order */
    uintptr_t main_sp;              /* 0 = the main thread does not stand still */
    uint64_t seen[1u << SEEN_BITS]; /* offsets handed on, by their hash */
    struct ga_pagemap_region regions[REGIONS];
    uint64_t pagemap_words[PAGEMAP_PAGES];
    char maps[MAPS_BYTES];
    uint64_t words[READ_BYTES / sizeof(uint64_t)];
};

struct ga_scan *ga_scan_new(void)
{
    struct ga_scan *scan = mmap(NULL, sizeof(*scan), PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return scan == MAP_FAILED ? NULL : scan;
}

void ga_scan_free(struct ga_scan *scan)
{
    if (scan)
        munmap(scan, sizeof(*scan));
}

static int fail(struct ga_scan *scan, int err, const char *what)
{
    snprintf(scan->why, GA_STOP_WHY_BYTES, "its memory cannot be scanned: %s (error %d)", what,
             -err);
    return err;
}

/* ---- words ---- */

/* Whether the page is one of a span. */
static bool is_in_use(const struct ga_view *view, uint64_t page)
{
    uint64_t distance = ga_entry_distance(ga_view_entry(view, page));
    uint64_t first = distance < page ? page - distance : page;
    uint64_t entry = ga_view_entry(view, first);
    return ga_entry_is_span(entry) && ga_entry_npages(entry) > page - first;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int hand_on(struct ga_scan *scan)
{
    uint32_t n = scan->nout;
    scan->nout = 0;
    scan->told_ms = now_ms();
    return scan->emit(scan->out, n, scan->data);
}

/* Where little is found, that it goes on. */
static int show_progress(struct ga_scan *scan)
{
    return now_ms() - scan->told_ms < GA_SCAN_SHOW_MS ? 0 : hand_on(scan);
}

/* A word that lies in the heap. */
static int meet(struct ga_scan *scan, uint64_t offset)
{
    uint64_t *seen = &scan->seen[(offset * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - SEEN_BITS)];
    if (*seen == offset || !is_in_use(&scan->heap->view, offset >> GA_PAGE_SHIFT))
        return 0;
    *seen = offset;
    scan->out[scan->nout++] = offset;
    return scan->nout == GA_SCAN_BATCH ? hand_on(scan) : 0;
}

static int scan_words(struct ga_scan *scan, uint64_t nwords)
{
    uint64_t base = scan->heap->base;
    uint64_t bytes = scan->heap_bytes;
    for (uint64_t i = 0; i < nwords; i++) {
        uint64_t offset = scan->words[i] - base;
        if (__builtin_expect(offset < bytes, 0)) {
            int r = meet(scan, offset);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

/* ---- memory ---- */

/* Read up to bytes at address. How many; 0 where nothing can be read there; or a negative errno. */
static int64_t read_at(struct ga_scan *scan, uintptr_t address, uint64_t bytes)
{
    struct iovec to = {scan->words, bytes};
    struct iovec from = {(void *)address, bytes}; /* NOLINT(performance-no-int-to-ptr) */
    int64_t n = -1;
    if (scan->mem < 0)
        n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
    if (n < 0 && scan->mem < 0 && errno != EFAULT) {
        /* Refused here and there, by who thinks that it is for others' memory alone. */
        scan->mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
        if (scan->mem < 0)
            return -errno;
    }
    if (n < 0 && scan->mem >= 0)
        n = pread(scan->mem, scan->words, bytes, (off_t)address);
    return n > 0 ? n & ~INT64_C(7) : 0;
}

/* Pages that are there. One that cannot be read the program cannot read either. */
static int scan_pages(struct ga_scan *scan, uintptr_t start, uintptr_t end)
{
    while (start < end) {
        uint64_t bytes = end - start < READ_BYTES ? end - start : READ_BYTES;
        int64_t n = read_at(scan, start, bytes);
        if (n < 0)
            return fail(scan, (int)n, "it cannot be read");
        int r = scan_words(scan, (uint64_t)n / sizeof(uint64_t));
        if (r == 0)
            r = show_progress(scan);
        if (r < 0)
            return r;
        scan->read_bytes += (uint64_t)n;
        start = n > 0 ? start + (uint64_t)n : (start | (GA_OS_PAGE_SIZE - 1)) + 1;
    }
    return 0;
}

/* The part of [start, end) in pages [from, to). */
static int scan_part(struct ga_scan *scan, uintptr_t start, uintptr_t end, uint64_t from,
                     uint64_t to)
{
    return scan_pages(scan, from > start ? from : start, to < end ? to : end);
}

/* What is there of [start, end), where the kernel tells of ranges. -ENOTTY where it does not. */
static int scan_regions(struct ga_scan *scan, uintptr_t start, uintptr_t end)
{
    const uint64_t left_out = scan->no_files ? GA_PAGEMAP_ZERO | GA_PAGEMAP_FILE : GA_PAGEMAP_ZERO;
    struct ga_pagemap_scan argument = {
        .size = sizeof(argument),
        .start = start & ~(GA_OS_PAGE_SIZE - 1),
        .end = (end + GA_OS_PAGE_SIZE - 1) & ~(GA_OS_PAGE_SIZE - 1),
        .vec = (uintptr_t)scan->regions,
        .vec_len = REGIONS,
        .category_inverted = left_out,
        .category_mask = left_out,
        .category_anyof_mask = GA_PAGEMAP_PRESENT | GA_PAGEMAP_SWAPPED,
        .return_mask = GA_PAGEMAP_PRESENT | GA_PAGEMAP_SWAPPED,
    };
    while (argument.start < argument.end) {
        int n = ioctl(scan->pagemap, GA_PAGEMAP_SCAN, &argument);
        if (n < 0)
            return -errno;
        for (int i = 0; i < n; i++) {
            int r = scan_part(scan, start, end, scan->regions[i].start, scan->regions[i].end);
            if (r < 0)
                return r;
        }
        argument.start = argument.walk_end;
    }
    return 0;
}

/* The same where it tells of each page. */
static int scan_page_by_page(struct ga_scan *scan, uintptr_t start, uintptr_t end)
{
    uint64_t page = start / GA_OS_PAGE_SIZE;
    uint64_t last = (end - 1) / GA_OS_PAGE_SIZE;
    while (page <= last) {
        uint64_t count = last - page + 1 < PAGEMAP_PAGES ? last - page + 1 : PAGEMAP_PAGES;
        ssize_t n = pread(scan->pagemap, scan->pagemap_words, count * sizeof(uint64_t),
                          (off_t)(page * sizeof(uint64_t)));
        if (n < (ssize_t)sizeof(uint64_t))
            return fail(scan, n < 0 ? -errno : -EIO, "/proc/self/pagemap cannot be read");
        int progress = show_progress(scan);
        if (progress < 0)
            return progress;
        for (uint64_t i = 0; i < (uint64_t)n / sizeof(uint64_t); i++, page++) {
            uint64_t word = scan->pagemap_words[i];
            if (!(word & PAGEMAP_THERE) || (scan->no_files && (word & PAGEMAP_FILE)))
                continue;
            int r =
                scan_part(scan, start, end, page * GA_OS_PAGE_SIZE, (page + 1) * GA_OS_PAGE_SIZE);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int scan_range(struct ga_scan *scan, uintptr_t start, uintptr_t end)
{
    if (start >= end)
        return 0;
    int r = scan->page_by_page ? -ENOTTY : scan_regions(scan, start, end);
    if (r == -ENOTTY || r == -EINVAL) {
        scan->page_by_page = true;
        r = scan_page_by_page(scan, start, end);
    }
    return r;
}

/* ---- what is left out ---- */

static void exclude(struct ga_scan *scan, uintptr_t start, uintptr_t end)
{
    /* Where there are too many, more is scanned than need be. */
    if (start < end && scan->nexcluded < EXCLUDED_MAX)
        scan->excluded[scan->nexcluded++] = (struct ga_stop_range){start, end};
}

static void exclude_bytes(struct ga_scan *scan, const void *start, uint64_t bytes)
{
    exclude(scan, (uintptr_t)start, (uintptr_t)start + bytes);
}

static void exclude_cache(struct ga_scan *scan, const struct ga_thread_cache *cache)
{
    exclude_bytes(scan, cache, sizeof(*cache));
    exclude_bytes(scan, cache->known.pages, cache->known.mapped); /* may look like pointers */
    for (uint32_t c = 0; c < GA_SPAN_CLASS_COUNT; c++) {
        const struct ga_class_cache *class = ga_class_cache_peek(cache, (ga_span_class)c);
        const struct ga_page_vector *spans = class ? &class->spans : NULL;
        if (spans && spans->pages && spans->pages != spans->few)
            exclude_bytes(scan, spans->pages, spans->capacity * sizeof(uint32_t));
    }
}

/* From root down, swap what is out of order. */
static void sift(struct ga_stop_range *ranges, uint32_t root, uint32_t count)
{
    for (uint32_t child; (child = root * 2 + 1) < count; root = child) {
        if (child + 1 < count && ranges[child + 1].start > ranges[child].start)
            child++;
        if (ranges[root].start >= ranges[child].start)
            return;
        struct ga_stop_range larger = ranges[child];
        ranges[child] = ranges[root];
        ranges[root] = larger;
    }
}

/* libc's would take memory. */
static void sort(struct ga_stop_range *ranges, uint32_t count)
{
    for (uint32_t i = count / 2; i-- > 0;)
        sift(ranges, i, count);
    for (uint32_t end = count; end-- > 1;) {
        struct ga_stop_range largest = ranges[0];
        ranges[0] = ranges[end];
        ranges[end] = largest;
        sift(ranges, 0, end);
    }
}

/* Enter the stack pointers in order. They are sorted in the room of the excluded. */
static int find_stacks(struct ga_scan *scan)
{
    struct ga_stopped thread;
    uint32_t count = 0;
    scan->main_sp = 0;
    for (size_t i = 0; ga_stop_next(&i, &thread);) {
        if (count == STACKS_MAX)
            return fail(scan, -E2BIG, "there are too many threads");
        scan->excluded[count++].start = thread.sp;
        if (thread.tid == getpid() && !thread.is_on_signal_stack)
            scan->main_sp = thread.sp;
    }
    sort(scan->excluded, count);
    for (uint32_t i = 0; i < count; i++)
        scan->stacks[i] = scan->excluded[i].start;
    scan->nstacks = count;
    scan->nseen_stacks = 0;
    return 0;
}

static void exclude_own(struct ga_scan *scan)
{
    const struct goalloc_heap *heap = scan->heap;
    scan->nexcluded = 0;
    exclude_bytes(scan, scan, sizeof(*scan));
    exclude_bytes(scan, heap, sizeof(*heap));
    exclude_bytes(scan, heap->written, ga_written_bytes(heap->written));
    /* Threads that change the list do so in an operation, and so do not stand still there. */
    for (const struct ga_thread_cache *c = heap->caches; c; c = c->next_of_heap)
        exclude_cache(scan, c);
}

static void find_excluded(struct ga_scan *scan)
{
    struct ga_stop_range range;
    struct ga_stopped thread;
    exclude_own(scan);
    for (size_t i = 0; ga_stop_next_except(&i, &range);)
        exclude(scan, range.start, range.end);
    for (size_t i = 0; ga_stop_next(&i, &thread);)
        if (thread.sp >= thread.stack.start && thread.sp < thread.stack.end)
            exclude(scan, thread.stack.start, thread.sp);
    sort(scan->excluded, scan->nexcluded);
}

/* ---- mappings ---- */

struct mapping {
    uintptr_t start;
    uintptr_t end;
    bool is_private;
    bool is_readable;
    bool is_writable;
    bool is_main_stack;
};

static const char *parse_hex(const char *text, uintptr_t *ret)
{
    uintptr_t value = 0;
    for (;; text++) {
        unsigned digit = *text >= '0' && *text <= '9'   ? (unsigned)(*text - '0')
                         : *text >= 'a' && *text <= 'f' ? (unsigned)(*text - 'a') + 10
                                                        : 16;
        if (digit == 16)
            break;
        value = value << 4 | digit;
    }
    *ret = value;
    return text;
}

/* "start-end rwxp offset device inode  path" */
static bool parse(const char *line, struct mapping *ret)
{
    const char *at = parse_hex(line, &ret->start);
    if (*at++ != '-')
        return false;
    at = parse_hex(at, &ret->end);
    if (*at++ != ' ' || strnlen(at, 4) < 4 || ret->end <= ret->start)
        return false;
    ret->is_readable = at[0] == 'r';
    ret->is_writable = at[1] == 'w';
    ret->is_private = at[3] == 'p';
    ret->is_main_stack = strstr(at, "[stack]") != NULL;
    return true;
}

/* Scan [start, end) but for what is left out. Mappings come in order, as what is left out does;
 * *next is the first of it that may lie here. */
static int scan_rest(struct ga_scan *scan, uintptr_t start, uintptr_t end, uint32_t *next)
{
    while (start < end) {
        while (*next < scan->nexcluded && scan->excluded[*next].end <= start)
            ++*next;
        const struct ga_stop_range *range =
            *next < scan->nexcluded && scan->excluded[*next].start < end ? &scan->excluded[*next]
                                                                         : NULL;
        int r = scan_range(scan, start, range ? range->start : end);
        if (r < 0)
            return r;
        start = range ? range->end : end;
    }
    return 0;
}

static int scan_mapping(struct ga_scan *scan, const struct mapping *mapping, uint32_t *next)
{
    /* The kernel's own, which old programs call, is no memory of the process. */
    bool is_ours = (intptr_t)mapping->start >= 0;
    if (!mapping->is_private || !(mapping->is_readable || mapping->is_writable) || !is_ours)
        return 0;
    scan->no_files = !mapping->is_writable;
    while (scan->nseen_stacks < scan->nstacks &&
           scan->stacks[scan->nseen_stacks] >= mapping->start &&
           scan->stacks[scan->nseen_stacks] < mapping->end)
        scan->nseen_stacks++;
    uintptr_t start = mapping->start;
    if (mapping->is_main_stack && scan->main_sp >= start && scan->main_sp < mapping->end)
        start = scan->main_sp & ~(uintptr_t)7;
    return scan_rest(scan, start, mapping->end, next);
}

/* Scan what the whole lines of text tell of. Returns how many bytes those are, or a negative errno.
 */
static int64_t scan_lines(struct ga_scan *scan, size_t bytes, uint32_t *next)
{
    size_t at = 0;
    char *end;
    while ((end = memchr(scan->maps + at, '\n', bytes - at)) != NULL) {
        struct mapping mapping;
        *end = '\0';
        if (!parse(scan->maps + at, &mapping))
            return fail(scan, -EPROTO, "/proc/self/maps says what it never said");
        int r = scan_mapping(scan, &mapping, next);
        if (r < 0)
            return r;
        at = (size_t)(end + 1 - scan->maps);
    }
    return (int64_t)at;
}

static int scan_all(struct ga_scan *scan, int maps)
{
    size_t bytes = 0;
    uint32_t next = 0;
    for (;;) {
        ssize_t n = read(maps, scan->maps + bytes, MAPS_BYTES - bytes);
        if (n < 0)
            return fail(scan, -errno, "/proc/self/maps cannot be read");
        if (n == 0)
            break;
        bytes += (size_t)n;
        int64_t done = scan_lines(scan, bytes, &next);
        if (done < 0)
            return (int)done;
        bytes -= (size_t)done;
        memmove(scan->maps, scan->maps + done, bytes);
    }
    if (scan->nseen_stacks < scan->nstacks)
        return fail(scan, -ENOTSUP, "a thread's stack lies in memory that is not private");
    return scan->nout ? hand_on(scan) : 0;
}

/* ---- all of it ---- */

int ga_scan_look(struct ga_scan *scan, struct goalloc_heap *heap,
                 char ret_why[static GA_STOP_WHY_BYTES])
{
    scan->heap = heap;
    scan->why = ret_why;
    int r = find_stacks(scan);
    if (r == 0)
        find_excluded(scan);
    return r;
}

void ga_scan_look_alone(struct ga_scan *scan, struct goalloc_heap *heap, uintptr_t sp,
                        struct ga_stop_range own)
{
    scan->heap = heap;
    scan->nstacks = 0;
    scan->main_sp = sp;
    exclude_own(scan);
    exclude(scan, own.start, own.end);
    sort(scan->excluded, scan->nexcluded);
}

int ga_scan_run(struct ga_scan *scan, ga_scan_emit *emit, void *data,
                char ret_why[static GA_STOP_WHY_BYTES], uint64_t *ret_bytes)
{
    int r = 0;
    scan->emit = emit;
    scan->data = data;
    scan->why = ret_why;
    scan->mem = -1;
    scan->nout = 0;
    scan->nseen_stacks = 0;
    scan->read_bytes = 0;
    scan->told_ms = now_ms();
    scan->page_by_page = false;
    memset(scan->seen, 0, sizeof(scan->seen));
    /* Pairs with the server's release: what lies below is entered in the page table. */
    scan->heap_bytes = ga_load_acquire(&scan->heap->view.meta->committed_npages) << GA_PAGE_SHIFT;
    scan->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (scan->pagemap < 0 || maps < 0)
        r = fail(scan, -errno, "/proc/self/maps and pagemap cannot be opened");
    else
        r = scan_all(scan, maps);
    const int opened[] = {maps, scan->pagemap, scan->mem};
    for (unsigned i = 0; i < sizeof(opened) / sizeof(opened[0]); i++)
        if (opened[i] >= 0)
            close(opened[i]);
    if (r == 0)
        *ret_bytes = scan->read_bytes;
    return r;
}

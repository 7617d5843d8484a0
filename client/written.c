/* The heap's mapping is registered once, and protected anew by each ga_written_begin; a page that
 * stays protected costs a fault of about a microsecond at its first store. A page counts as not
 * written only where the kernel says that it is protected still: so one whose protection was lost,
 * however that came, counts as written. Where no page was ever mapped there is nothing to be told
 * apart from the protected, so all that the heap has is marked when it begins, mapped or not, and
 * what is added to the heap later is told once it is mapped. Page 0 is left out: no object is
 * there, and it may be private memory (own_page.c), which the kernel would not take with the rest.
 */
#include "client/written.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/heap.h"
#include "client/own_fd.h"
#include "client/pagemap.h"
#include "proto/message.h"

/* Of <linux/userfaultfd.h> since 5.19, 6.4 and 6.7; Debian 12's is older. */
#define WITH_SHARED_MEMORY (UINT64_C(1) << 12)
#define WITH_UNMAPPED      (UINT64_C(1) << 13)
#define WITHOUT_WAITING    (UINT64_C(1) << 15)

#define REGIONS      512u
#define WINDOW_PAGES (GA_GC_WRITTEN_BYTES * 8) /* told at once */

struct ga_written {
    struct ga_own_fd uffd;
    struct ga_pagemap_region regions[REGIONS];
    uint64_t window; /* the first page of bits */
    uint32_t nbytes; /* of bits, from the first on, that are not all 0 */
    uint8_t bits[GA_GC_WRITTEN_BYTES];
};

static int fail(char *ret_why, int err, const char *what)
{
    snprintf(ret_why, GA_WRITTEN_WHY_BYTES, "%s (error %d)", what, -err);
    return err;
}

static uint64_t first_byte(const struct goalloc_heap *heap)
{
    return heap->base + GA_PAGE_SIZE;
}

static int register_heap(const struct goalloc_heap *heap, int fd)
{
    struct uffdio_api api = {.api = UFFD_API,
                             .features = WITH_SHARED_MEMORY | WITH_UNMAPPED | WITHOUT_WAITING};
    struct uffdio_register range = {.range = {first_byte(heap), heap->reserve_bytes - GA_PAGE_SIZE},
                                    .mode = UFFDIO_REGISTER_MODE_WP};
    if (ioctl(fd, UFFDIO_API, &api) < 0 || ioctl(fd, UFFDIO_REGISTER, &range) < 0)
        return -errno;
    return 0;
}

/* Register the mapping, unless that was done. A program that has closed the descriptor has ended
 * that, too. */
static int open_heap(struct goalloc_heap *heap, char *ret_why)
{
    struct ga_written *written = heap->written;
    if (!written) {
        written = mmap(NULL, sizeof(*written), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);
        if (written == MAP_FAILED)
            return fail(ret_why, -ENOMEM, "there is no memory to note what it writes");
        written->uffd = GA_OWN_FD_NONE;
        heap->written = written;
    }
    if (ga_own_fd_is_ours(&written->uffd))
        return 0;
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    if (fd < 0)
        return fail(ret_why, -errno, "it may not use userfaultfd");
    int r = register_heap(heap, fd);
    if (r < 0) {
        close(fd);
        return fail(ret_why, r, "its kernel cannot tell what it writes");
    }
    written->uffd = ga_own_fd_mark(fd);
    return 0;
}

int ga_written_begin(struct goalloc_heap *heap, char ret_why[static GA_WRITTEN_WHY_BYTES])
{
    int r = open_heap(heap, ret_why);
    if (r < 0)
        return r;
    /* Pairs with the server's release: what lies below has memory. */
    uint64_t npages = ga_load_acquire(&heap->view.meta->committed_npages);
    struct uffdio_writeprotect protect = {
        .range = {first_byte(heap), (npages - 1) << GA_PAGE_SHIFT},
        .mode = UFFDIO_WRITEPROTECT_MODE_WP};
    if (npages > 1 && ioctl(heap->written->uffd.fd, UFFDIO_WRITEPROTECT, &protect) < 0)
        return fail(ret_why, -errno, "its memory cannot be write-protected");
    return 0;
}

/* ---- telling ---- */

struct teller {
    struct ga_written *written;
    ga_written_emit *emit;
    void *data;
};

static int tell_window(const struct teller *teller)
{
    struct ga_written *written = teller->written;
    uint32_t nbytes = written->nbytes;
    if (nbytes == 0)
        return 0;
    int r = teller->emit(written->window, written->bits, nbytes, teller->data);
    memset(written->bits, 0, nbytes);
    written->nbytes = 0;
    return r;
}

static int add_page(const struct teller *teller, uint64_t page)
{
    struct ga_written *written = teller->written;
    if (page - written->window >= WINDOW_PAGES) { /* they come in order */
        int r = tell_window(teller);
        if (r < 0)
            return r;
        written->window = page & ~UINT64_C(7);
    }
    uint64_t bit = page - written->window;
    written->bits[bit / 8] |= (uint8_t)(1u << bit % 8);
    written->nbytes = (uint32_t)(bit / 8) + 1;
    return 0;
}

static int add_region(const struct goalloc_heap *heap, const struct teller *teller,
                      const struct ga_pagemap_region *region)
{
    int r = 0;
    for (uint64_t at = region->start; r == 0 && at < region->end; at += GA_OS_PAGE_SIZE)
        r = add_page(teller, (at - heap->base) / GA_OS_PAGE_SIZE);
    return r;
}

static int tell_all(const struct goalloc_heap *heap, int pagemap, bool again,
                    const struct teller *teller)
{
    /* Only so asked, for what was written and nothing else, does the kernel take for written what
     * it has no entry of in a page table that there is. */
    struct ga_pagemap_scan scan = {
        .size = sizeof(scan),
        .flags = GA_PAGEMAP_CHECK | (again ? GA_PAGEMAP_PROTECT : 0),
        .start = first_byte(heap),
        .end = heap->base + (ga_load_acquire(&heap->view.meta->committed_npages) << GA_PAGE_SHIFT),
        .vec = (uintptr_t)teller->written->regions,
        .vec_len = REGIONS,
        .category_mask = GA_PAGEMAP_WRITTEN,
        .return_mask = GA_PAGEMAP_WRITTEN,
    };
    while (scan.start < scan.end) {
        int n = ioctl(pagemap, GA_PAGEMAP_SCAN, &scan);
        if (n < 0)
            return -errno;
        for (int i = 0; i < n; i++) {
            int r = add_region(heap, teller, &teller->written->regions[i]);
            if (r < 0)
                return r;
        }
        scan.start = scan.walk_end;
    }
    return tell_window(teller);
}

int ga_written_tell(struct goalloc_heap *heap, bool again, ga_written_emit *emit, void *data,
                    char ret_why[static GA_WRITTEN_WHY_BYTES])
{
    struct ga_written *written = heap->written;
    if (!written || !ga_own_fd_is_ours(&written->uffd))
        return fail(ret_why, -EINVAL, "what it has written is not known");
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (pagemap < 0)
        return fail(ret_why, -errno, "/proc/self/pagemap cannot be opened");
    const struct teller teller = {written, emit, data};
    memset(written->bits, 0, sizeof(written->bits));
    written->window = 0;
    written->nbytes = 0;
    int r = tell_all(heap, pagemap, again, &teller);
    close(pagemap);
    return r < 0 ? fail(ret_why, r, "what it has written cannot be told") : 0;
}

size_t ga_written_bytes(const struct ga_written *written)
{
    return written ? sizeof(*written) : 0;
}

void ga_written_end(struct goalloc_heap *heap)
{
    struct ga_written *written = heap->written;
    heap->written = NULL;
    if (!written)
        return;
    ga_own_fd_close(&written->uffd);
    munmap(written, sizeof(*written));
}

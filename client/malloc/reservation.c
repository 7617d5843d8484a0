/* As a rule all of it is one mapping that may be read and written, of which memory is what is
 * touched: the fewest system calls. Where somebody counts what may be written (vm.overcommit_memory
 * 2, RLIMIT_DATA) the heap's own part is reserved without access and opened arena by arena, and
 * meta and bits are opened as they are committed. The books are tables of the core's that it
 * touches where it likes: where it is counted the heap is as small as makes them a small part of
 * what may be had. Where address space is short (RLIMIT_AS) some is left for stacks, libraries and
 * mappings. */
#include "reservation.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "client/heap.h"
#include "shm/view.h"

#define RESERVE_MAX (UINT64_C(256) << 30)
#define RESERVE_MIN GA_ARENA_SIZE
#define GIB         (UINT64_C(1) << 30)
/* The core's tables for each page, and what does not depend on the reserve. */
#define BOOKS_PER_PAGE 128u
#define BOOKS_FIXED    (UINT64_C(32) << 20)
/* Of these, what small heaps have is to lie beside meta's beginning: as much as leaves room for
 * that in the 2 MiB that one of the kernel's page tables stands for (in their second half:
 * shm/view.c). */
#define NEAR_BYTES (UINT64_C(1184) << 10)
/* The end of it is for the first thread's cache, and the beginning for who samples. */
#define CACHE_BYTES    whole_os_pages(sizeof(struct ga_thread_cache))
#define PROFILER_BYTES whole_os_pages(GA_PROFILER_BYTES)
/* Of the memory that the system lets all processes have, and of what this one may have, so much may
 * be books: one part in these. */
#define BOOKS_OF_ALL 128u
#define BOOKS_OF_OWN 8u

/* What may be had at most. */
struct bounds {
    uint64_t address_bytes;
    uint64_t books_bytes;
    bool is_counted;
};

static uint64_t ram_bytes(void)
{
    return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* UINT64_MAX: none. */
static uint64_t limit_of(__rlimit_resource_t resource)
{
    struct rlimit limit;
    return getrlimit(resource, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX
                                                                              : limit.rlim_cur;
}

/* Whether the system promises no more memory than it has. */
static bool is_strict(void)
{
    char mode = '0';
    int fd = open("/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, &mode, 1);
    if (fd >= 0)
        close(fd);
    return n == 1 && mode == '2';
}

static uint64_t address_bound(void)
{
    uint64_t address = limit_of(RLIMIT_AS);
    return address != UINT64_MAX ? address / 4 * 3 : UINT64_MAX;
}

static struct bounds find_bounds(void)
{
    uint64_t data = limit_of(RLIMIT_DATA);
    uint64_t of_all = is_strict() ? ram_bytes() / BOOKS_OF_ALL + BOOKS_FIXED : UINT64_MAX;
    uint64_t of_own = data != UINT64_MAX ? data / BOOKS_OF_OWN : UINT64_MAX;
    return (struct bounds){.address_bytes = address_bound(),
                           .books_bytes = of_all < of_own ? of_all : of_own,
                           .is_counted = of_all != UINT64_MAX || of_own != UINT64_MAX};
}

/* ---- the reservation ---- */

static uint64_t whole_pages(uint64_t bytes)
{
    return (bytes + GA_PAGE_SIZE - 1) & ~(GA_PAGE_SIZE - 1);
}

/* Reserve bytes whose address is a multiple of alignment, which is room for as much more; NULL
 * where that cannot be. What lies before and behind stays reserved: to give it back would be two
 * more system calls. */
static char *reserve_aligned(uint64_t bytes, uint64_t alignment, int access, char **ret_start)
{
    char *at =
        mmap(NULL, bytes + alignment, access, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    *ret_start = at;
    return at + -(uintptr_t)at % alignment;
}

/* What the heap's address is a multiple of. Where there is no lack of addresses that is so much
 * that what small heaps touch behind it lies in one GiB, for each of which the kernel has a page
 * table of its own. */
static uint64_t alignment_of(uint64_t heap_bytes, const struct bounds *bounds)
{
    return heap_bytes >= GIB && bounds->address_bytes == UINT64_MAX ? GIB : GA_ARENA_SIZE;
}

static uint64_t whole_os_pages(uint64_t bytes)
{
    return (bytes + GA_OS_PAGE_SIZE - 1) & ~(GA_OS_PAGE_SIZE - 1);
}

static bool reserve(uint64_t heap_bytes, const struct bounds *bounds, struct ga_reservation *ret)
{
    struct ga_meta_header geometry = {0};
    const struct ga_table_counts counts = ga_table_counts_of_process(heap_bytes);
    ga_geometry_init(&geometry, heap_bytes, &counts);
    uint64_t bits_begin = ga_geometry_bits_in_meta(&geometry);
    uint64_t objects_bytes = whole_pages(bits_begin + geometry.bits_bytes);
    uint64_t books_bytes = heap_bytes / GA_PAGE_SIZE * BOOKS_PER_PAGE + BOOKS_FIXED;
    uint64_t bytes = heap_bytes + NEAR_BYTES + objects_bytes + books_bytes;
    uint64_t alignment = alignment_of(heap_bytes, bounds);
    char *at = NULL;
    char *start = NULL;
    if (bytes + alignment < bounds->address_bytes &&
        NEAR_BYTES + books_bytes <= bounds->books_bytes)
        at = reserve_aligned(bytes, alignment,
                             bounds->is_counted ? PROT_NONE : PROT_READ | PROT_WRITE, &start);
    if (!at)
        return false;
    *ret = (struct ga_reservation){.heap = at,
                                   .profiler = at + heap_bytes,
                                   .near_books = at + heap_bytes + PROFILER_BYTES,
                                   .thread_cache = at + heap_bytes + NEAR_BYTES - CACHE_BYTES,
                                   .meta = at + heap_bytes + NEAR_BYTES,
                                   .bits = at + heap_bytes + NEAR_BYTES + bits_begin,
                                   .books = at + heap_bytes + NEAR_BYTES + objects_bytes,
                                   .start = start,
                                   .bytes = bytes + alignment,
                                   .heap_bytes = heap_bytes,
                                   .near_books_bytes = NEAR_BYTES - PROFILER_BYTES - CACHE_BYTES,
                                   .books_bytes = books_bytes,
                                   .is_counted = bounds->is_counted};
    if (ret->is_counted && (mprotect(ret->profiler, NEAR_BYTES, PROT_READ | PROT_WRITE) < 0 ||
                            mprotect(ret->books, books_bytes, PROT_READ | PROT_WRITE) < 0)) {
        munmap(ret->start, ret->bytes);
        return false;
    }
    /* Much of the tables is never touched, and a huge page would be taken whole, as it would for a
     * small heap (huge_pages.c). Of all of it, so that it stays one mapping. */
    (void)madvise(ret->start, ret->bytes, MADV_NOHUGEPAGE);
    return true;
}

/* Four times what the machine has, so that a heap of all of it may be fragmented. */
static uint64_t wanted_bytes(void)
{
    uint64_t ram = ram_bytes();
    uint64_t wanted = RESERVE_MIN;
    while (wanted < RESERVE_MAX && wanted / 4 < ram)
        wanted *= 2;
    return wanted;
}

/* Where nobody counts. A system that promises no more memory than it has refuses that, so it need
 * not be asked whether it does. */
static bool reserve_uncounted(uint64_t heap_bytes, struct ga_reservation *ret)
{
    struct bounds bounds = {.address_bytes = address_bound(), .books_bytes = UINT64_MAX};
    return limit_of(RLIMIT_DATA) == UINT64_MAX && reserve(heap_bytes, &bounds, ret);
}

bool ga_reservation_make(struct ga_reservation *ret)
{
    uint64_t wanted = wanted_bytes();
    if (reserve_uncounted(wanted, ret))
        return true;
    struct bounds bounds = find_bounds();
    for (uint64_t bytes = wanted; bytes >= RESERVE_MIN; bytes /= 2)
        if (reserve(bytes, &bounds, ret))
            return true;
    return false;
}

int ga_reservation_open_heap(const struct ga_reservation *reservation, uint64_t from, uint64_t to)
{
    if (!reservation->is_counted || to <= from)
        return 0;
    return mprotect(reservation->heap + from, to - from, PROT_READ | PROT_WRITE) < 0 ? -ENOMEM : 0;
}

int ga_reservation_open(const struct ga_reservation *reservation, bool meta, uint64_t offset,
                        uint64_t bytes)
{
    if (!reservation->is_counted)
        return 0;
    char *at = (meta ? reservation->meta : reservation->bits) + offset;
    return mprotect(at, bytes, PROT_READ | PROT_WRITE) < 0 ? -ENOMEM : 0;
}

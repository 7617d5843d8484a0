/* Which pages this process writes to: by a store, by the kernel in a system call, or by a child's
 * mapping not at all; each is told once, and a page whose protection was lost counts as written. */
#include "client/written.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/heap.h"
#include "support/cunit_main.h"

#define BASE   UINT64_C(0x552000000000) /* where ThreadSanitizer lets a program map, too */
#define NPAGES 600u                     /* of the heap, of 8 KiB; more than the first has memory */
#define NTOLD  (NPAGES * 2)
#define FIRST                                                                                      \
    (GA_PAGE_SIZE / GA_OS_PAGE_SIZE) /* page 0 is no object's, and nothing is told of it */

static struct goalloc_heap *heap;
static struct ga_meta_header meta;
static unsigned char *memory;
static uint8_t told[NTOLD];
static char why[GA_WRITTEN_WHY_BYTES];

static int note(uint64_t first, const uint8_t *bits, size_t nbytes, void *data)
{
    (void)data;
    CU_ASSERT_EQUAL(first % 8, 0);
    for (size_t i = 0; i < nbytes * 8; i++)
        if (bits[i / 8] >> i % 8 & 1)
            told[first + i]++;
    return 0;
}

static int tell(bool again)
{
    memset(told, 0, sizeof(told));
    return ga_written_tell(heap, again, note, NULL, why);
}

static unsigned ntold(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < NTOLD; i++)
        n += told[i];
    return n;
}

static unsigned char *page(unsigned number)
{
    return memory + number * GA_OS_PAGE_SIZE;
}

/* False where the kernel cannot do it: then that is all there is to be seen. */
static bool open_heap(void)
{
    char name[64];
    snprintf(name, sizeof(name), "/goalloc.test-%d-written", (int)getpid());
    heap = mmap(NULL, sizeof(*heap), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_PTR_NOT_EQUAL_FATAL(heap, MAP_FAILED);
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    shm_unlink(name);
    CU_ASSERT_EQUAL_FATAL(ftruncate(fd, NPAGES * GA_PAGE_SIZE), 0);
    heap->base = BASE;
    heap->reserve_bytes = GA_ARENA_SIZE;
    heap->view.meta = &meta;
    ga_store_relaxed(&meta.committed_npages, NPAGES - 100);
    memory = mmap((void *)BASE, heap->reserve_bytes, PROT_READ | PROT_WRITE, /* NOLINT */
                  MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
    CU_ASSERT_EQUAL_FATAL((uintptr_t)memory, BASE);
    close(fd);
    memset(memory, 1, GA_OS_PAGE_SIZE * 40);
    if (ga_written_begin(heap, why) == 0)
        return true;
    printf("[%s] ", why);
    CU_ASSERT(why[0] != '\0');
    CU_ASSERT(tell(false) < 0);
    return false;
}

static void close_heap(void)
{
    ga_written_end(heap);
    munmap(memory, heap->reserve_bytes);
    munmap(heap, sizeof(*heap));
}

static void stores(void)
{
    if (open_heap()) {
        CU_ASSERT_EQUAL(tell(false), 0);
        CU_ASSERT_EQUAL(ntold(), 0);
        *page(0) = 2; /* is no object's */
        *page(2) = 2;
        *page(39) = 7;
        *page(200) = 2;                     /* which was never touched */
        unsigned char read_only = *page(7); /* is not written to */
        read_only = (unsigned char)(read_only + *page(300));
        CU_ASSERT_EQUAL(read_only, 1);
        for (int i = 0; i < 2; i++) {
            CU_ASSERT_EQUAL(tell(false), 0);
            CU_ASSERT(told[2] && told[39] && told[200]);
            CU_ASSERT_EQUAL(ntold(), 3);
        }
    }
    close_heap();
}

static void again(void)
{
    if (open_heap()) {
        *page(3) = 2;
        CU_ASSERT_EQUAL(tell(true), 0);
        CU_ASSERT(told[3] == 1 && ntold() == 1);
        *page(4) = 2;
        CU_ASSERT_EQUAL(tell(true), 0);
        CU_ASSERT(told[4] == 1 && ntold() == 1);
        *page(3) = 3;
        CU_ASSERT_EQUAL(tell(true), 0);
        CU_ASSERT(told[3] == 1 && ntold() == 1);
        *page(5) = 2;
        CU_ASSERT_EQUAL(ga_written_begin(heap, why), 0);
        CU_ASSERT_EQUAL(tell(false), 0);
        CU_ASSERT_EQUAL(ntold(), 0);
    }
    close_heap();
}

static void by_the_kernel(void)
{
    if (open_heap()) {
        int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        CU_ASSERT_EQUAL(read(fd, page(9) + 4000, 200), 200);
        close(fd);
        CU_ASSERT_EQUAL(tell(false), 0);
        CU_ASSERT(told[9] && told[10] && ntold() == 2);
    }
    close_heap();
}

/* The kernel takes mappings of pages back as it likes. */
static void no_longer_mapped(void)
{
    if (open_heap()) {
        *page(12) = 2;
        CU_ASSERT_EQUAL(madvise(page(11), 3 * GA_OS_PAGE_SIZE, MADV_DONTNEED), 0);
        CU_ASSERT_EQUAL(tell(false), 0);
        CU_ASSERT(told[12]);
        *page(13) = 2;
        CU_ASSERT_EQUAL(tell(false), 0);
        CU_ASSERT(told[12] && told[13] && ntold() == 2);
    }
    close_heap();
}

/* What the heap has more now; and every one of many. */
static void grown(void)
{
    if (open_heap()) {
        ga_store_relaxed(&meta.committed_npages, NPAGES);
        for (unsigned i = FIRST; i < NTOLD; i++)
            *page(i) = 3;
        CU_ASSERT_EQUAL(tell(true), 0);
        CU_ASSERT_EQUAL(ntold(), NTOLD - FIRST);
        for (unsigned i = FIRST + 1; i < NTOLD; i += 2)
            *page(i) = 4;
        CU_ASSERT_EQUAL(tell(true), 0);
        CU_ASSERT_EQUAL(ntold(), (NTOLD - FIRST) / 2);
        CU_ASSERT(told[FIRST + 1] && told[NTOLD - 1] && !told[FIRST]);
    }
    close_heap();
}

/* What the process has for itself is in nobody's way, whenever it comes. */
static void own_page(void)
{
    for (int before = 0; before < 2; before++) {
        if (open_heap()) {
            char *own = goalloc_own_page(heap);
            CU_ASSERT_PTR_EQUAL(own, memory);
            if (before)
                CU_ASSERT_EQUAL(ga_written_begin(heap, why), 0);
            own[1000] = 'o';
            *page(5) = 2;
            CU_ASSERT_EQUAL(tell(true), 0);
            CU_ASSERT(told[5] && ntold() == 1);
            ga_written_end(heap);
            CU_ASSERT_EQUAL(ga_written_begin(heap, why), 0); /* registered with it */
            *page(6) = 2;
            CU_ASSERT_EQUAL(tell(true), 0);
            CU_ASSERT(told[6] && ntold() == 1);
        }
        close_heap();
    }
}

/* A child has begun nothing, whatever its parent has. */
static void forked(void)
{
    if (open_heap()) {
        *page(3) = 2;
        pid_t pid = fork();
        if (pid == 0) {
            bool knows = ga_written_tell(heap, false, note, NULL, why) == 0;
            ga_written_end(heap);
            *page(2) = 2;
            _exit(knows || ga_written_begin(heap, why) < 0);
        }
        int status = -1;
        CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
        CU_ASSERT_EQUAL(status, 0);
        CU_ASSERT_EQUAL(tell(false), 0);
        CU_ASSERT(told[3] && ntold() == 1);
    }
    close_heap();
}

/* A program that closes all descriptors ends it. */
static void closed(void)
{
    if (open_heap()) {
        CU_ASSERT_EQUAL(close_range(3, ~0U, 0), 0);
        *page(1) = 2;
        CU_ASSERT_EQUAL(tell(false), -EINVAL);
        CU_ASSERT_EQUAL(ga_written_begin(heap, why), 0);
        *page(2) = 2;
        CU_ASSERT_EQUAL(tell(false), 0);
        CU_ASSERT(told[2] && ntold() == 1);
    }
    close_heap();
}

int main(void)
{
    const struct ga_test tests[] = {
        {"stores", stores},
        {"again and again", again},
        {"by the kernel", by_the_kernel},
        {"no longer mapped", no_longer_mapped},
        {"grown", grown},
        {"own page", own_page},
        {"forked", forked},
        {"closed", closed},
    };
    return ga_test_main("client.written", tests, sizeof(tests) / sizeof(tests[0]));
}

/* What a scan finds, and what not: words in each kind of memory that a process has, in registers
 * and on stacks, and what the library's own memory has. The heap is none, only its page table and
 * an address; each place has an offset of its own, so that what is found tells where. Offsets are
 * kept in this program's memory as they are; pointers are made only where they are looked for. */
#include "client/managed_scan.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/class_cache.h"
#include "client/heap.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define NPAGES   64u
#define BASE     UINT64_C(0x550000000000)
#define OS_PAGE  4096u
#define STOP_MS  20000u

static struct ga_meta_header meta;
static ga_page_word page_table[NPAGES];
static struct goalloc_heap *heap;
static struct ga_scan *scan;
static char why[GA_STOP_WHY_BYTES];

static uint8_t found[NPAGES * GA_PAGE_SIZE / 8]; /* how often, by offset / 8 */
static uint32_t nbatches;
static uint64_t read_bytes;

/* A kernel before 6.7 does not know PAGEMAP_SCAN. */
static bool is_old_kernel;
static unsigned nrefused;

int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (is_old_kernel && _IOC_TYPE(request) == 'f' && _IOC_NR(request) == 16) {
        nrefused++;
        errno = ENOTTY;
        return -1;
    }
    return (int)syscall(SYS_ioctl, fd, request, argument);
}

/* A pointer, or what looks like one. */
static uint64_t pointer(uint32_t offset)
{
    return BASE + offset;
}

static int note(const uint64_t *offsets, uint32_t n, void *data)
{
    (void)data;
    nbatches++;
    for (uint32_t i = 0; i < n; i++) {
        uint8_t *count = &found[offsets[i] / 8];
        *count = (uint8_t)(*count < UINT8_MAX ? *count + 1 : *count);
    }
    return n <= GA_SCAN_BATCH ? 0 : -EPROTO;
}

/* The library's part, on a thread that stands for its own. */
static void *library(void *argument)
{
    int *ret = argument;
    int place = ga_stop_reserve_place();
    ga_stop_set_thread(place, gettid());
    ga_stop_set_stack(place, pthread_self());
    *ret = ga_stop_all(STOP_MS, why);
    if (*ret == 0) {
        *ret = ga_scan_look(scan, heap, why);
        if (*ret == 0)
            *ret = ga_scan_run(scan, note, NULL, why, &read_bytes);
        ga_stop_release();
    }
    ga_stop_free_place(place);
    return NULL;
}

static int run_scan(void)
{
    int r = 1;
    pthread_t thread;
    memset(found, 0, sizeof(found));
    nbatches = 0;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, library, &r), 0);
    pthread_join(thread, NULL);
    if (r < 0)
        printf("\n%s\n", why);
    return r;
}

static bool is_found(uint32_t offset)
{
    return found[offset / 8] > 0;
}

/* Page 1 is a span of one page; 2 to 9 are one of eight; 10 is free; from 11 on each is one. */
static void open_heap(void)
{
    heap = mmap(NULL, sizeof(*heap), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_PTR_NOT_EQUAL_FATAL(heap, MAP_FAILED);
    ga_store_relaxed(&meta.committed_npages, NPAGES - 2);
    heap->base = BASE;
    heap->view.meta = &meta;
    heap->view.page_table = page_table;
    const uint64_t first = GA_ENTRY_INUSE | GA_ENTRY_FIRST;
    for (uint32_t page = 1; page < NPAGES; page++)
        ga_store_relaxed(&page_table[page], ga_entry_make(20, 1, 0, first));
    ga_store_relaxed(&page_table[2], ga_entry_make(20, 8, 0, first));
    for (uint32_t page = 3; page < 10; page++)
        ga_store_relaxed(&page_table[page], ga_entry_make(20, page - 2, 0, GA_ENTRY_INUSE));
    ga_store_relaxed(&page_table[10], 0);
    CU_ASSERT_EQUAL_FATAL(ga_stop_take_signal(0, why), 0);
    scan = ga_scan_new();
    CU_ASSERT_PTR_NOT_NULL_FATAL(scan);
}

static void close_heap(void)
{
    ga_scan_free(scan);
    munmap(heap, sizeof(*heap));
}

static uint64_t *map(size_t bytes, int flags)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_PTR_NOT_EQUAL_FATAL(p, MAP_FAILED);
    return p;
}

/* The compiler cannot know that nobody looks at what p points to. */
static void use(const void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

/* ---- which words count ---- */

static uint64_t words[8];

static void which_words(void)
{
    open_heap();
    words[0] = pointer(GA_PAGE_SIZE + 16);
    words[1] = pointer(9 * GA_PAGE_SIZE + 24);            /* interior, of a later page of a span */
    words[2] = pointer(10 * GA_PAGE_SIZE + 32);           /* in no span */
    words[3] = pointer((NPAGES - 1) * GA_PAGE_SIZE + 40); /* not committed */
    words[4] = pointer(48);                               /* on page 0 */
    words[5] = pointer(2 * GA_PAGE_SIZE + 56) ^ UINT64_C(1) << 63;
    memcpy((char *)&words[6] + 4, &(uint64_t){pointer(11 * GA_PAGE_SIZE + 64)}, sizeof(uint64_t));
    use(words);
    CU_ASSERT_EQUAL(run_scan(), 0);
    CU_ASSERT(is_found(GA_PAGE_SIZE + 16));
    CU_ASSERT(is_found(9 * GA_PAGE_SIZE + 24));
    CU_ASSERT_FALSE(is_found(10 * GA_PAGE_SIZE + 32));
    CU_ASSERT_FALSE(is_found((NPAGES - 1) * GA_PAGE_SIZE + 40));
    CU_ASSERT_FALSE(is_found(48));
    CU_ASSERT_FALSE(is_found(2 * GA_PAGE_SIZE + 56));
    CU_ASSERT_FALSE(is_found(11 * GA_PAGE_SIZE + 64)); /* not aligned */
    memset(words, 0, sizeof(words));
    close_heap();
}

/* ---- which memory ---- */

static _Thread_local uint64_t in_tls;

static void find_in_memory(size_t sparse_bytes)
{
    open_heap();
    uint64_t *of_malloc = malloc(64);
    uint64_t *anonymous = map(4 * OS_PAGE, MAP_PRIVATE);
    uint64_t *shared = map(OS_PAGE, MAP_SHARED);
    uint64_t *read_only = map(OS_PAGE, MAP_PRIVATE);
    uint64_t *sparse = map(sparse_bytes, MAP_PRIVATE | MAP_NORESERVE);
    of_malloc[3] = pointer(GA_PAGE_SIZE + 8);
    anonymous[4 * OS_PAGE / 8 - 1] = pointer(GA_PAGE_SIZE + 16);
    shared[7] = pointer(GA_PAGE_SIZE + 24);
    read_only[7] = pointer(GA_PAGE_SIZE + 32);
    mprotect(read_only, OS_PAGE, PROT_READ);
    sparse[sparse_bytes / 16] = pointer(GA_PAGE_SIZE + 40);
    in_tls = pointer(GA_PAGE_SIZE + 48);
    use(&in_tls);
    use(of_malloc);
    CU_ASSERT_EQUAL(run_scan(), 0);
    CU_ASSERT(is_found(GA_PAGE_SIZE + 8));
    CU_ASSERT(is_found(GA_PAGE_SIZE + 16));
    CU_ASSERT_FALSE(is_found(GA_PAGE_SIZE + 24));
    CU_ASSERT(is_found(GA_PAGE_SIZE + 32)); /* it was written before */
    CU_ASSERT(is_found(GA_PAGE_SIZE + 40));
    CU_ASSERT(is_found(GA_PAGE_SIZE + 48));
    CU_ASSERT(read_bytes > 0 && read_bytes < sparse_bytes / 4);
    in_tls = 0;
    of_malloc[3] = 0;
    use(of_malloc);
    free(of_malloc);
    munmap(anonymous, 4 * OS_PAGE);
    munmap(shared, OS_PAGE);
    munmap(read_only, OS_PAGE);
    munmap(sparse, sparse_bytes);
    close_heap();
}

static void which_memory(void)
{
    find_in_memory((size_t)1 << 40);
}

/* The same, told of each page: of each of a reserve that a sanitizer makes, too, which takes for
 * ever. */
static void which_memory_page_by_page(void)
{
#ifdef __SANITIZE_ADDRESS__
    return;
#endif
    is_old_kernel = true;
    nrefused = 0;
    find_in_memory((size_t)1 << 34);
    CU_ASSERT_EQUAL(nrefused, 1); /* and was not asked again */
    is_old_kernel = false;
}

/* A file that is mapped, and cut short since: nothing of it can be read, and nothing faults. */
static void a_file_cut_short(void)
{
    open_heap();
    int fd = memfd_create("cut", 0);
    CU_ASSERT_EQUAL_FATAL(ftruncate(fd, 4 * OS_PAGE), 0);
    uint64_t *p = mmap(NULL, 4 * OS_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CU_ASSERT_PTR_NOT_EQUAL_FATAL(p, MAP_FAILED);
    p[0] = pointer(GA_PAGE_SIZE + 8);
    p[3 * OS_PAGE / 8] = pointer(GA_PAGE_SIZE + 16);
    CU_ASSERT_EQUAL_FATAL(ftruncate(fd, OS_PAGE), 0);
    CU_ASSERT_EQUAL(run_scan(), 0);
    CU_ASSERT(is_found(GA_PAGE_SIZE + 8));
    CU_ASSERT_FALSE(is_found(GA_PAGE_SIZE + 16));
    munmap(p, 4 * OS_PAGE);
    close(fd);
    close_heap();
}

/* What a process has many of comes in batches, each of them about once. */
static void many_words(void)
{
    open_heap();
    const uint32_t nwords = (NPAGES - 12) * GA_PAGE_SIZE / 8;
    uint64_t *p = map(nwords * 8, MAP_PRIVATE);
    for (uint32_t i = 0; i < nwords; i++)
        p[i] = pointer(11 * GA_PAGE_SIZE + i * 8);
    CU_ASSERT_EQUAL(run_scan(), 0);
    uint32_t missing = 0;
    for (uint32_t i = 0; i < nwords - GA_PAGE_SIZE / 8; i++)
        missing += !is_found(11 * GA_PAGE_SIZE + i * 8);
    CU_ASSERT_EQUAL(missing, 0);
    CU_ASSERT(nbatches >= nwords / GA_SCAN_BATCH && nbatches < nwords / GA_SCAN_BATCH + 4);
    munmap(p, nwords * 8);
    close_heap();
}

/* ---- threads ---- */

static atomic_bool over;
static atomic_int nready;

static void hold_on(void)
{
    nready++;
    while (!over)
        poll(NULL, 0, 1);
}

static pthread_t start(void *(*run)(void *), const pthread_attr_t *attributes)
{
    pthread_t thread;
    int ready = nready;
    over = false;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, attributes, run, NULL), 0);
    while (nready == ready)
        sched_yield();
    return thread;
}

static void finish(pthread_t thread)
{
    over = true;
    pthread_join(thread, NULL);
}

/* A pointer that is nowhere but in a register, in a thread that computes. */
static void *keep_in_register(void *argument)
{
    (void)argument;
    uint64_t in_register = GA_PAGE_SIZE + 8;
    nready++;
    __asm__ volatile("movabsq %2, %%rbx\n\t"
                     "addq %0, %%rbx\n"
                     "1:\tpause\n\t"
                     "movb %1, %%al\n\t"
                     "testb %%al, %%al\n\t"
                     "jz 1b\n\t"
                     "xorl %%ebx, %%ebx"
                     :
                     : "r"(in_register), "m"(over), "i"(BASE)
                     : "rax", "rbx", "cc", "memory");
    return NULL;
}

static __attribute__((noinline)) void leave_behind(uint32_t offset)
{
    volatile uint64_t frame[512];
    for (unsigned i = 0; i < COUNT(frame); i++)
        frame[i] = pointer(offset);
}

/* On the stack, above; and below, where it was. Below it is found only if nobody has said where the
 * stack lies. */
static atomic_bool notes_stack;

static void *keep_on_stack(void *argument)
{
    (void)argument;
    uint64_t here[2] = {pointer(GA_PAGE_SIZE + 16), 0};
    use(here);
    if (notes_stack)
        ga_stop_note_stack();
    hold_on();
    use(here);
    return NULL;
}

/* The compiler may have had it there. */
static void forget_vectors(void)
{
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vzeroall"
                         :
                         :
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                           "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

static __attribute__((noinline)) void leave_deep(void)
{
    char deep[65536];
    use(deep);
    leave_behind(GA_PAGE_SIZE + 24);
    use(deep);
    forget_vectors();
}

static void *keep_above(void *argument)
{
    (void)argument;
    uint64_t here[2] = {pointer(GA_PAGE_SIZE + 16), 0};
    use(here);
    if (notes_stack)
        ga_stop_note_stack();
    poll(NULL, 0, 0); /* or the loader, which looks for it, would save registers on the stack */
    leave_deep();
    hold_on();
    use(here);
    return NULL;
}

static void registers_and_stacks(void)
{
    open_heap();
    pthread_t thread = start(keep_in_register, NULL);
    CU_ASSERT_EQUAL(run_scan(), 0);
    CU_ASSERT(is_found(GA_PAGE_SIZE + 8));
    finish(thread);

    notes_stack = true;
    thread = start(keep_above, NULL);
    CU_ASSERT_EQUAL(run_scan(), 0);
    CU_ASSERT(is_found(GA_PAGE_SIZE + 16));
    CU_ASSERT_FALSE(is_found(GA_PAGE_SIZE + 24));
    finish(thread);

    notes_stack = false;
    thread = start(keep_above, NULL);
    CU_ASSERT_EQUAL(run_scan(), 0);
    CU_ASSERT(is_found(GA_PAGE_SIZE + 16));
    CU_ASSERT(is_found(GA_PAGE_SIZE + 24));
    finish(thread);
    close_heap();
}

/* The main thread, which stands still here, too. */
static void the_main_stack(void)
{
    open_heap();
    uint64_t here[1] = {pointer(GA_PAGE_SIZE + 16)};
    use(here);
    leave_deep();
    CU_ASSERT_EQUAL(run_scan(), 0);
    CU_ASSERT(is_found(GA_PAGE_SIZE + 16));
    CU_ASSERT_FALSE(is_found(GA_PAGE_SIZE + 24));
    use(here);
    close_heap();
}

static atomic_int scanned;

static void scan_here(int number)
{
    (void)number;
    scanned = run_scan();
}

static __attribute__((noinline)) void raise_below(void)
{
    uint64_t here[1] = {pointer(GA_PAGE_SIZE + 16)};
    use(here);
    raise(SIGUSR1);
    use(here);
}

/* In a handler, on an alternate stack that lies in the usual one, above what is in use of that. */
static void *handle_above(void *argument)
{
    char above[65536];
    stack_t stack = {.ss_sp = above, .ss_size = sizeof(above)};
    struct sigaction action = {.sa_handler = scan_here, .sa_flags = SA_ONSTACK};
    stack_t before;
    ga_stop_note_stack();
    sigaltstack(&stack, &before);
    sigaction(SIGUSR1, &action, NULL);
    raise_below();
    sigaltstack(&before, NULL); /* a sanitizer's, which it frees */
    return argument;
}

static void a_stack_within_a_stack(void)
{
    open_heap();
    scanned = 1;
    (void)handle_above(NULL);
    CU_ASSERT_EQUAL(scanned, 0);
    CU_ASSERT(is_found(GA_PAGE_SIZE + 16));
    pthread_t thread;
    scanned = 1;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, handle_above, NULL), 0);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(scanned, 0);
    CU_ASSERT(is_found(GA_PAGE_SIZE + 16));
    close_heap();
}

/* A thread whose stack is the program's own, and part of it is not mapped any more. */
static void a_stack_that_is_gone(void)
{
    open_heap();
    const size_t bytes = 1u << 20;
    char *stack = (char *)map(bytes, MAP_PRIVATE);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack, bytes);
    notes_stack = true;
    pthread_t thread = start(keep_on_stack, &attributes);
    munmap(stack, bytes / 2);
    CU_ASSERT_EQUAL(run_scan(), 0);
    CU_ASSERT(is_found(GA_PAGE_SIZE + 16));
    finish(thread);
    munmap(stack + bytes / 2, bytes / 2);
    pthread_attr_destroy(&attributes);
    close_heap();
}

/* What is on a stack that others share cannot be known for certain: then the scan fails. */
static void a_stack_that_is_shared(void)
{
    open_heap();
    const size_t bytes = 1u << 20;
    uint64_t *stack = map(bytes, MAP_SHARED);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack, bytes);
    pthread_t thread = start(keep_on_stack, &attributes);
    CU_ASSERT_EQUAL(run_scan(), -ENOTSUP);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "a thread's stack lies in memory that is not private"));
    finish(thread);
    munmap(stack, bytes);
    pthread_attr_destroy(&attributes);
    close_heap();
}

/* The caches of threads name free slots, and spans. */
static void the_librarys_own(void)
{
    open_heap();
    struct ga_thread_cache *cache = (void *)map(sizeof(*cache), MAP_PRIVATE);
    uint64_t *pages = map(OS_PAGE, MAP_PRIVATE);
    ga_class_cache_init_all(cache);
    cache->last = (void *)pointer(GA_PAGE_SIZE + 8);
    memcpy(&cache->places[20][3], &(uint64_t){pointer(GA_PAGE_SIZE + 16)}, sizeof(uint64_t));
    pages[1] = pointer(GA_PAGE_SIZE + 24);
    pages[OS_PAGE / 8 - 1] = pointer(GA_PAGE_SIZE + 32);
    cache->by_class[20] = &cache->lists[1];
    cache->lists[1].class = &cache->classes[0];
    cache->classes[0].spans.pages = (uint32_t *)pages;
    cache->classes[0].spans.capacity = OS_PAGE / 4 - 2; /* the last word is another's */
    CU_ASSERT_EQUAL(run_scan(), 0);
    CU_ASSERT(is_found(GA_PAGE_SIZE + 8) && is_found(GA_PAGE_SIZE + 24));
    heap->caches = cache;
    CU_ASSERT_EQUAL(run_scan(), 0);
    CU_ASSERT_FALSE(is_found(GA_PAGE_SIZE + 8));
    CU_ASSERT_FALSE(is_found(GA_PAGE_SIZE + 16));
    CU_ASSERT_FALSE(is_found(GA_PAGE_SIZE + 24));
    CU_ASSERT(is_found(GA_PAGE_SIZE + 32));
    munmap(cache, sizeof(*cache));
    munmap(pages, OS_PAGE);
    close_heap();
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"which words", which_words},
        {"which memory", which_memory},
        {"which memory, page by page", which_memory_page_by_page},
        {"a file cut short", a_file_cut_short},
        {"many words", many_words},
        {"registers and stacks", registers_and_stacks},
        {"the main stack", the_main_stack},
        {"a stack within a stack", a_stack_within_a_stack},
        {"a stack that is gone", a_stack_that_is_gone},
        {"a stack that is shared", a_stack_that_is_shared},
        {"the library's own", the_librarys_own},
    };
    return ga_test_main("client.managed_scan", tests, COUNT(tests));
}

/* malloc and its kin, for a program that is not changed: what the C library and the program call is
 * found here first (LD_PRELOAD). All goes to the process's own heap; what was allocated before that
 * was there, by the C library, goes back to it. */
#include <dlfcn.h>
#include <errno.h>
#include <gnu/lib-names.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/fast_path.h"
#include "own_heap.h"

/* The C library's own, under the names that it keeps for this. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *p);

#define MINIMUM_ALIGNMENT 16u
#define EXPORTED          __attribute__((visibility("default")))

enum state {
    STATE_NEW,   /* the heap is not there */
    STATE_MADE,  /* it is */
    STATE_ASIDE, /* it cannot be, and the C library's malloc serves */
};

static struct goalloc_heap *_Atomic the_heap; /* NULL but in STATE_MADE */
static _Atomic int state;
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool is_making __attribute__((tls_model("initial-exec")));

/* Say so once, and not in what this program starts. */
static void stand_aside(const char *why)
{
    static const char said[] = "GOALLOC_MALLOC_STANDS_ASIDE";
    char line[GA_CHANNEL_ERROR_BYTES + 64];
    if (getenv(said))
        return;
    (void)setenv(said, "1", 1);
    int n = snprintf(line, sizeof(line), "goalloc: the system's malloc serves: %s\n", why);
    ssize_t written = write(STDERR_FILENO, line, (size_t)n < sizeof(line) ? (size_t)n : 0);
    (void)written; /* nobody else could be told */
}

/* The heap, made now if this is the first time. NULL: the C library serves; also for what is needed
 * to make the heap. */
static __attribute__((noinline)) struct goalloc_heap *heap_slowly(void)
{
    if (is_making || ga_load_acquire(&state) == STATE_ASIDE)
        return NULL;
    int saved_errno = errno;
    is_making = true;
    pthread_mutex_lock(&making);
    if (ga_load_relaxed(&state) == STATE_NEW) {
        char why[GA_CHANNEL_ERROR_BYTES] = "";
        struct goalloc_heap *heap = ga_own_heap_make(why);
        if (!heap)
            stand_aside(why);
        ga_store_release(&the_heap, heap);
        ga_store_release(&state, heap ? STATE_MADE : STATE_ASIDE);
    }
    pthread_mutex_unlock(&making);
    is_making = false;
    errno = saved_errno;
    return ga_load_relaxed(&the_heap);
}

/* Where nobody has asked for memory yet: before the program looks at its environment, so that all
 * it starts know what has been said. */
static __attribute__((constructor)) void begin(void)
{
    (void)heap_slowly();
}

static inline struct goalloc_heap *get_heap(void)
{
    struct goalloc_heap *heap = ga_load_acquire(&the_heap);
    return __builtin_expect(heap != NULL, 1) ? heap : heap_slowly();
}

/* The heap that p is of; NULL: it is the C library's. */
static inline struct goalloc_heap *heap_of(const void *p)
{
    struct goalloc_heap *heap = ga_load_acquire(&the_heap);
    bool inside = heap && (uintptr_t)p - heap->base < heap->reserve_bytes;
    return __builtin_expect(inside, 1) ? heap : NULL;
}

/* The thread has no cache at hand: in the heap, if there can be one. Ends the operation. */
static __attribute__((noinline)) void *malloc_slowly(size_t size)
{
    ga_busy_end();
    struct goalloc_heap *heap = get_heap();
    return heap ? goalloc_malloc(heap, size) : __libc_malloc(size);
}

/* A thread that has a cache has it in this heap, so nothing is asked of that. */
static inline __attribute__((always_inline)) void *allocate(size_t size)
{
    ga_busy_begin();
    struct ga_thread_cache *cache = ga_busy_cache_at_hand(GA_OWN_HEAP_PLACE);
    if (__builtin_expect(!cache, 0))
        return malloc_slowly(size);
    return ga_fast_malloc(&ga_own_heap_itself, cache, size);
}

EXPORTED void *malloc(size_t size)
{
    return allocate(size);
}

/* The thread has no cache at hand, or p is not in the heap. Ends the operation. */
static __attribute__((noinline)) void free_slowly(void *p)
{
    ga_busy_end();
    struct goalloc_heap *heap = heap_of(p);
    if (heap)
        goalloc_free(heap, p);
    else if (p)
        __libc_free(p);
}

/* What is in no page that the thread knows; list: as ga_fast_free has it. The cache is that of the
 * operation, and not looked for again: its place may be empty for a moment, while somebody tries to
 * take it away (reclaim.c). Ends the operation. */
static __attribute__((noinline)) void free_other(const struct ga_free_list *list, void *p,
                                                 struct ga_thread_cache *cache)
{
    if (heap_of(p))
        ga_free_other(&ga_own_heap_itself, cache, list, p);
    else
        free_slowly(p);
}

EXPORTED void free(void *p)
{
    ga_busy_begin();
    struct ga_thread_cache *cache = ga_busy_cache_at_hand(GA_OWN_HEAP_PLACE);
    if (__builtin_expect(!cache, 0)) {
        free_slowly(p);
        return;
    }
    const struct ga_free_list *list = ga_fast_free(&ga_own_heap_itself, cache, p);
    if (__builtin_expect(list != NULL, 0))
        free_other(list, p, cache);
}

void cfree(void *p);
EXPORTED void cfree(void *p)
{
    free(p);
}

/* So little is zeroed sooner than it is found out whether it is zero. */
#define ZEROED_MAX 1024u

EXPORTED void *calloc(size_t n, size_t size)
{
    struct goalloc_heap *heap = get_heap();
    size_t bytes;
    if (__builtin_expect(!heap, 0))
        return __libc_calloc(n, size);
    if (__builtin_mul_overflow(n, size, &bytes) || bytes > ZEROED_MAX)
        return goalloc_calloc(heap, n, size);
    void *p = allocate(bytes);
    return p ? memset(p, 0, bytes) : NULL;
}

EXPORTED void *realloc(void *p, size_t size)
{
    if (!p)
        return malloc(size);
    struct goalloc_heap *heap = heap_of(p);
    return heap ? goalloc_realloc(heap, p, size) : __libc_realloc(p, size);
}

EXPORTED void *reallocarray(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(p, bytes);
}

static void *allocate_aligned(size_t alignment, size_t size)
{
    struct goalloc_heap *heap = get_heap();
    if (!heap)
        return __libc_memalign(alignment, size);
    if (alignment <= MINIMUM_ALIGNMENT)
        return goalloc_malloc(heap, size < alignment ? alignment : size);
    return goalloc_aligned_alloc(heap, alignment, size);
}

static bool is_power_of_2(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

EXPORTED void *aligned_alloc(size_t alignment, size_t size)
{
    if (!is_power_of_2(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    return allocate_aligned(alignment, size);
}

/* As the C library has it: an alignment that is no power of 2 is rounded up to one. */
EXPORTED void *memalign(size_t alignment, size_t size)
{
    size_t power = MINIMUM_ALIGNMENT;
    while (power < alignment && power <= SIZE_MAX / 2)
        power *= 2;
    return aligned_alloc(power, size);
}

EXPORTED int posix_memalign(void **ret, size_t alignment, size_t size)
{
    if (!is_power_of_2(alignment) || alignment % sizeof(void *) != 0)
        return EINVAL;
    int saved_errno = errno;
    void *p = allocate_aligned(alignment, size);
    errno = saved_errno;
    if (!p)
        return ENOMEM;
    *ret = p;
    return 0;
}

EXPORTED void *valloc(size_t size)
{
    return allocate_aligned(GA_OS_PAGE_SIZE, size);
}

EXPORTED void *pvalloc(size_t size)
{
    if (size > SIZE_MAX - GA_OS_PAGE_SIZE) {
        errno = ENOMEM;
        return NULL;
    }
    return valloc((size + GA_OS_PAGE_SIZE - 1) & ~(GA_OS_PAGE_SIZE - 1));
}

/* The C library's own, which it keeps no other name for. The next one of that name may be that of
 * another allocator that the program brings. */
static size_t libc_usable_size(void *p)
{
    typedef size_t usable_size_fn(void *p);
    static usable_size_fn *_Atomic found;
    usable_size_fn *usable_size = ga_load_acquire(&found);
    if (!usable_size) {
        void *library = dlopen(LIBC_SO, RTLD_LAZY | RTLD_NOLOAD);
        usable_size = library ? (usable_size_fn *)dlsym(library, "malloc_usable_size") : NULL;
        ga_store_release(&found, usable_size);
    }
    return usable_size ? usable_size(p) : 0;
}

/* Of an object in use, which the page table alone tells if it is small. Some programs ask at each
 * malloc and each free, so no more is looked at. */
static size_t own_usable_size(struct goalloc_heap *heap, const void *p)
{
    const struct ga_view *view = &heap->view;
    ga_page_id page = (ga_page_id)(((uintptr_t)p - heap->base) >> GA_PAGE_SHIFT);
    /* Acquire: the table up to the end may be read. */
    if (page >= ga_load_acquire(&view->meta->committed_npages))
        return goalloc_usable_size(heap, p);
    uint64_t entry = ga_view_entry(view, page);
    bool is_small = (entry & (GA_ENTRY_INUSE | GA_ENTRY_LARGE | GA_ENTRY_TINY)) == GA_ENTRY_INUSE;
    return is_small ? ga_size_classes[ga_entry_span_class(entry) / 2u].size
                    : goalloc_usable_size(heap, p);
}

EXPORTED size_t malloc_usable_size(void *p)
{
    struct goalloc_heap *heap = p ? heap_of(p) : NULL;
    if (__builtin_expect(heap != NULL, 1))
        return own_usable_size(heap, p);
    return p ? libc_usable_size(p) : 0;
}

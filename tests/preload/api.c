/* malloc and its kin, as malloc(3) and its neighbours promise them. */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

/* So that the compiler does not know what they do. */
static void *(*volatile allocate)(size_t) = malloc;
static void *(*volatile reallocate)(void *, size_t) = realloc;
static void *(*volatile reallocate_array)(void *, size_t, size_t) = reallocarray;
static void *(*volatile allocate_zero)(size_t, size_t) = calloc;

static bool is_zero(const unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (p[i] != 0)
            return false;
    return true;
}

static size_t natural_alignment(size_t size)
{
    return size >= 16 ? 16 : size >= 8 ? 8 : size >= 4 ? 4 : size >= 2 ? 2 : 1;
}

/* The library that malloc comes from is the one under test. */
static void check_preloaded(void)
{
    Dl_info info;
    CHECK(dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info) != 0);
    CHECK(strstr(info.dli_fname, "libgoalloc-malloc") != NULL);
}

static void check_sizes(void)
{
    for (size_t size = 0; size < 70000; size += 1 + size / 16) {
        unsigned char *p = allocate(size);
        CHECK(p && (uintptr_t)p % natural_alignment(size) == 0);
        CHECK(malloc_usable_size(p) >= size);
        memset(p, 0xa5, size);
        unsigned char *another = allocate(size);
        CHECK(another && another != p);
        free(another);
        free(p);
    }
    CHECK(malloc_usable_size(NULL) == 0);
    free(NULL);
}

/* All that malloc_usable_size tells is the object's own. */
static void check_usable(void)
{
    enum { N = 8 };
    for (size_t size = 1; size < 200000; size += 1 + size / 16) {
        unsigned char *p[N];
        size_t usable[N];
        for (unsigned i = 0; i < N; i++) {
            p[i] = allocate(size);
            usable[i] = malloc_usable_size(p[i]);
            memset(p[i], (int)i, usable[i]);
        }
        for (unsigned i = 0; i < N; i++) {
            for (size_t k = 0; k < usable[i]; k++)
                CHECK(p[i][k] == i);
            free(p[i]);
        }
    }
}

static void check_too_large(void)
{
    errno = 0;
    CHECK(!allocate(PTRDIFF_MAX) && errno == ENOMEM);
    errno = 0;
    CHECK(!allocate_zero(SIZE_MAX / 2, 4) && errno == ENOMEM);
    char *p = allocate(100);
    strcpy(p, "stays");
    errno = 0;
    CHECK(!reallocate(p, PTRDIFF_MAX) && errno == ENOMEM);
    errno = 0;
    CHECK(!reallocate_array(p, SIZE_MAX / 2, 4) && errno == ENOMEM);
    CHECK(strcmp(p, "stays") == 0);
    errno = EDOM;
    free(p);
    CHECK(errno == EDOM);
}

/* Also what was used before, and what was given back to the system. */
static void check_zero(void)
{
    static const size_t sizes[] = {1, 24, 100, 3000, 40000, 300000, 5000000};
    for (unsigned round = 0; round < 20; round++)
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            unsigned char *p[8];
            for (unsigned k = 0; k < 8; k++) {
                p[k] = allocate_zero(1, sizes[i]);
                CHECK(p[k] && is_zero(p[k], sizes[i]));
                memset(p[k], 0xff, malloc_usable_size(p[k]));
            }
            for (unsigned k = 0; k < 8; k++)
                free(p[k]);
        }
}

static void check_realloc(void)
{
    unsigned char *p = reallocate(NULL, 1);
    *p = 1;
    size_t size = 1;
    while (size < 20000000) {
        size_t grown = size + 1 + size / 3;
        p = reallocate(p, grown);
        CHECK(p && p[0] == 1 && p[size - 1] == (unsigned char)size);
        p[grown - 1] = (unsigned char)grown;
        size = grown;
    }
    while (size > 10) {
        size /= 2;
        p = reallocate(p, size);
        CHECK(p && p[0] == 1);
    }
    free(p);
    CHECK(!reallocate(allocate(10), 0));
}

static void check_aligned(void)
{
    for (size_t alignment = sizeof(void *); alignment <= 1 << 21; alignment *= 2)
        for (size_t size = 1; size < 200000; size = size * 3 + 1) {
            void *p = NULL;
            CHECK(posix_memalign(&p, alignment, size) == 0 && (uintptr_t)p % alignment == 0);
            CHECK(malloc_usable_size(p) >= size);
            memset(p, 1, size);
            void *q = aligned_alloc(alignment, size);
            CHECK(q && (uintptr_t)q % alignment == 0);
            free(p);
            q = reallocate(q, size * 2);
            CHECK(q);
            free(q);
        }
    void *p = &p;
    CHECK(posix_memalign(&p, 24, 8) == EINVAL && p == &p);
    CHECK(posix_memalign(&p, 2, 8) == EINVAL);
    CHECK(posix_memalign(&p, 64, PTRDIFF_MAX) == ENOMEM && p == &p);
    volatile size_t odd = 48; /* which a compiler would complain of, and is rounded up */
    p = memalign(odd, 100);
    CHECK(p && (uintptr_t)p % 64 == 0);
    free(p);
    p = valloc(10);
    CHECK(p && (uintptr_t)p % (size_t)getpagesize() == 0);
    free(p);
    p = pvalloc(10);
    CHECK(p && malloc_usable_size(p) >= (size_t)getpagesize());
    free(p);
}

/* As what was allocated before the library had a heap. */
static void check_of_libc(void)
{
    void *(*libc_malloc)(size_t) = NULL;
    void *symbol = dlsym(RTLD_NEXT, "__libc_malloc");
    memcpy(&libc_malloc, &symbol, sizeof(symbol));
    CHECK(libc_malloc);
    char *p = libc_malloc(100);
    strcpy(p, "theirs");
    p = reallocate(p, 100000);
    CHECK(strcmp(p, "theirs") == 0);
    free(p);
    free(libc_malloc(10));
}

/* What C++ programs call comes here by way of their library. */
static void check_in_getline(void)
{
    char *line = NULL;
    size_t bytes = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    CHECK(file);
    while (getline(&line, &bytes, file) > 0)
        continue;
    CHECK(bytes > 0);
    free(line);
    fclose(file);
    char *text;
    CHECK(asprintf(&text, "%d", 42) == 2);
    free(text);
}

static char *kept_to_the_end;

static __attribute__((destructor)) void at_the_end(void)
{
    CHECK(strcmp(kept_to_the_end, "kept") == 0);
    free(kept_to_the_end);
    free(allocate(5000));
}

static __attribute__((constructor)) void at_the_beginning(void)
{
    kept_to_the_end = allocate(5);
    strcpy(kept_to_the_end, "kept");
}

int main(void)
{
    check_preloaded();
    check_sizes();
    check_usable();
    check_too_large();
    check_zero();
    check_realloc();
    check_aligned();
    check_of_libc();
    check_in_getline();
    puts("all as malloc(3) says");
    return 0;
}

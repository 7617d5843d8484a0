/* The memory of an own heap's books: near pieces from the end downwards, others behind each other
 * elsewhere, all zero; and a piece that is moved is read as far as there is memory, no further. */
#include "server/own/core_memory.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "support/cunit_main.h"

#define OS_PAGE 4096u
#define FAR     (16u * OS_PAGE)

static char *near_books;
static char *far_books;

/* An OS page of near books, before one that may not be touched. */
static void init(void)
{
    char *memory =
        mmap(NULL, 2 * OS_PAGE + FAR, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_PTR_NOT_EQUAL_FATAL(memory, MAP_FAILED);
    CU_ASSERT_EQUAL_FATAL(mprotect(memory + OS_PAGE, OS_PAGE, PROT_NONE), 0);
    near_books = memory;
    far_books = memory + 2 * OS_PAGE;
    ga_core_memory_init(near_books, OS_PAGE, far_books, FAR);
}

static void fini(void)
{
    munmap(near_books, 2 * OS_PAGE + FAR);
}

static void places(void)
{
    init();
    char *first = ga_core_calloc(3, 33);
    char *second = ga_core_malloc(1);
    CU_ASSERT_PTR_EQUAL(first, near_books + OS_PAGE - 128);
    CU_ASSERT_PTR_EQUAL(second, first - 64);
    char *longer = ga_core_malloc(OS_PAGE);
    CU_ASSERT_PTR_EQUAL(longer, far_books);
    CU_ASSERT_PTR_EQUAL(ga_core_malloc(OS_PAGE), far_books + OS_PAGE);
    CU_ASSERT_PTR_EQUAL(ga_core_aligned_alloc(64, 64), second - 64);
    for (unsigned i = 0; i < OS_PAGE; i++)
        CU_ASSERT(near_books[i] == 0 && far_books[i] == 0);
    fini();
}

static void refusals(void)
{
    init();
    errno = 0;
    CU_ASSERT_PTR_NULL(ga_core_malloc(FAR + 1));
    CU_ASSERT_EQUAL(errno, ENOMEM);
    errno = 0;
    CU_ASSERT_PTR_NULL(ga_core_calloc(SIZE_MAX / 2, 3));
    CU_ASSERT_EQUAL(errno, ENOMEM);
    errno = 0;
    CU_ASSERT_PTR_NULL(ga_core_aligned_alloc(128, 128));
    CU_ASSERT_EQUAL(errno, EINVAL);
    fini();
}

/* Moved pieces keep what they had; of the one that ends where the near books do nothing is read
 * behind their end. */
static void moves(void)
{
    init();
    char *last = ga_core_malloc(64);
    char *other = ga_core_malloc(64);
    memset(last, 1, 64);
    memset(other, 2, 64);
    char *moved = ga_core_realloc(last, 2 * OS_PAGE);
    CU_ASSERT_PTR_EQUAL(moved, far_books);
    for (unsigned i = 0; i < 64; i++)
        CU_ASSERT_EQUAL(moved[i], 1);
    CU_ASSERT_EQUAL(moved[64], 0);
    char *nearby = ga_core_realloc(other, 128);
    CU_ASSERT_PTR_EQUAL(nearby, other - 128);
    CU_ASSERT(nearby[0] == 2 && nearby[63] == 2);
    char *from_far = ga_core_realloc(moved, 3 * OS_PAGE);
    CU_ASSERT_PTR_EQUAL(from_far, far_books + 2 * OS_PAGE);
    CU_ASSERT(from_far[0] == 1 && from_far[63] == 1 && from_far[64] == 0);
    CU_ASSERT_PTR_NOT_NULL(ga_core_realloc(NULL, 64));
    fini();
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"near pieces and others", places},
        {"what is refused", refusals},
        {"moved pieces", moves},
    };
    return ga_test_main("unit.own.core_memory", tests, sizeof(tests) / sizeof(tests[0]));
}

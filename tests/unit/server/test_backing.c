/* Backing: each OS page is committed once, in runs as long as can be, and a failed commit changes
 * nothing that a repetition would not put right. */
#include "server/backing.h"

#include <errno.h>

#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define PAGE     GA_OS_PAGE_SIZE
#define NPAGES   300u

/* What the effect was asked. */
struct calls {
    uint64_t n;
    uint64_t fail_at; /* the call that fails, from 1 on */
    uint64_t offset;  /* of the last */
    uint64_t bytes;
    unsigned char times[NPAGES]; /* each page was committed */
    bool astray;
};
static struct calls calls;

static int commit(void *data, enum ga_object object, uint64_t offset, uint64_t bytes)
{
    struct calls *c = data;
    c->n++;
    c->offset = offset;
    c->bytes = bytes;
    if (object != GA_OBJECT_BITS || offset % PAGE || bytes % PAGE || bytes == 0 ||
        offset + bytes > NPAGES * PAGE) {
        c->astray = true;
        return -EINVAL;
    }
    if (c->n == c->fail_at)
        return -ENOMEM;
    for (uint64_t page = offset / PAGE; page < (offset + bytes) / PAGE; page++)
        c->times[page]++;
    return 0;
}

static const struct ga_heap_effects effects = {.commit = commit, .data = &calls};

static void make_in_pieces(struct ga_backing *backing, uint64_t piece_bytes)
{
    calls = (struct calls){0};
    CU_ASSERT_EQUAL_FATAL(
        ga_backing_init(backing, &effects, GA_OBJECT_BITS, NPAGES * PAGE - 5, piece_bytes), 0);
    CU_ASSERT_EQUAL(ga_backing_bytes(backing), 0);
}

static void make(struct ga_backing *backing)
{
    make_in_pieces(backing, PAGE);
}

static void finish(struct ga_backing *backing)
{
    CU_ASSERT_FALSE(calls.astray);
    ga_backing_fini(backing);
    CU_ASSERT_PTR_NULL(backing->committed);
    ga_backing_fini(backing); /* once more is allowed */
}

/* Only the pages that the range touches, and only once. */
static void just_what_is_needed(void)
{
    struct ga_backing backing;
    make(&backing);
    CU_ASSERT_EQUAL(ga_backing_ensure(&backing, 10, 0), 0);
    CU_ASSERT_EQUAL(calls.n, 0);

    CU_ASSERT_EQUAL(ga_backing_ensure(&backing, 10 * PAGE + 1, 1), 0);
    CU_ASSERT(calls.n == 1 && calls.offset == 10 * PAGE && calls.bytes == PAGE);
    CU_ASSERT_EQUAL(ga_backing_ensure(&backing, 10 * PAGE, PAGE), 0);
    CU_ASSERT_EQUAL(calls.n, 1);
    /* The last byte of one page and the first of the next. */
    CU_ASSERT_EQUAL(ga_backing_ensure(&backing, 63 * PAGE + PAGE - 1, 2), 0);
    CU_ASSERT(calls.n == 2 && calls.offset == 63 * PAGE && calls.bytes == 2 * PAGE);
    CU_ASSERT_EQUAL(ga_backing_ensure(&backing, (NPAGES - 1) * PAGE, PAGE - 5), 0);
    CU_ASSERT(calls.n == 3 && calls.offset == (NPAGES - 1) * PAGE && calls.bytes == PAGE);
    CU_ASSERT_EQUAL(ga_backing_bytes(&backing), 4 * PAGE);
    finish(&backing);
}

/* A range over holes and committed pages: one call for each run of holes. */
static void holes_in_between(void)
{
    struct ga_backing backing;
    make(&backing);
    CU_ASSERT_EQUAL(ga_backing_ensure(&backing, 20 * PAGE, 3 * PAGE), 0);
    CU_ASSERT_EQUAL(ga_backing_ensure(&backing, 64 * PAGE, PAGE), 0);
    CU_ASSERT_EQUAL(ga_backing_ensure(&backing, 10 * PAGE, 100 * PAGE), 0);
    CU_ASSERT_EQUAL(calls.n, 5);
    CU_ASSERT(calls.offset == 65 * PAGE && calls.bytes == 45 * PAGE);
    CU_ASSERT_EQUAL(ga_backing_bytes(&backing), 100 * PAGE);
    for (uint64_t page = 0; page < NPAGES; page++)
        CU_ASSERT_EQUAL(calls.times[page], page >= 10 && page < 110);
    finish(&backing);
}

/* The second of three runs cannot be had: the first stays, and a repetition does the rest. */
static void failure_and_repetition(void)
{
    struct ga_backing backing;
    make(&backing);
    CU_ASSERT_EQUAL(ga_backing_ensure(&backing, 5 * PAGE, PAGE), 0);
    CU_ASSERT_EQUAL(ga_backing_ensure(&backing, 9 * PAGE, PAGE), 0);
    calls.fail_at = 4;
    CU_ASSERT_EQUAL(ga_backing_ensure(&backing, 0, 20 * PAGE), -ENOMEM);
    CU_ASSERT_EQUAL(ga_backing_bytes(&backing), 7 * PAGE);
    CU_ASSERT_EQUAL(ga_backing_ensure(&backing, 0, 5 * PAGE), 0);
    CU_ASSERT_EQUAL(calls.n, 4);
    CU_ASSERT_EQUAL(ga_backing_ensure(&backing, 0, 20 * PAGE), 0);
    CU_ASSERT_EQUAL(ga_backing_bytes(&backing), 20 * PAGE);
    for (uint64_t page = 0; page < NPAGES; page++)
        CU_ASSERT_EQUAL(calls.times[page], page < 20);
    finish(&backing);
}

/* Pieces of several pages, each whole, but for the last, which ends with the object. */
static void longer_pieces(void)
{
    struct ga_backing backing;
    make_in_pieces(&backing, 16 * PAGE);
    CU_ASSERT_EQUAL(ga_backing_ensure(&backing, 17 * PAGE + 3, 1), 0);
    CU_ASSERT(calls.n == 1 && calls.offset == 16 * PAGE && calls.bytes == 16 * PAGE);
    CU_ASSERT_EQUAL(ga_backing_ensure(&backing, 16 * PAGE, 16 * PAGE), 0);
    CU_ASSERT_EQUAL(calls.n, 1);
    CU_ASSERT_EQUAL(ga_backing_ensure(&backing, 15 * PAGE, 18 * PAGE), 0);
    CU_ASSERT(calls.n == 3 && calls.offset == 32 * PAGE && calls.bytes == 16 * PAGE);
    CU_ASSERT_EQUAL(ga_backing_ensure(&backing, (NPAGES - 1) * PAGE, 1), 0);
    CU_ASSERT(calls.n == 4 && calls.offset == 288 * PAGE && calls.bytes == 12 * PAGE);
    finish(&backing);
}

/* Random ranges against a model. */
static void random_ranges(void)
{
    uint64_t random = ga_test_seed();
    struct ga_backing backing;
    make(&backing);
    unsigned char wanted[NPAGES] = {0};
    for (int i = 0; i < 500; i++) {
        uint64_t offset = ga_test_random(&random) % (NPAGES * PAGE - 5);
        uint64_t bytes = 1 + ga_test_random(&random) % (9 * PAGE);
        if (bytes > NPAGES * PAGE - 5 - offset)
            bytes = NPAGES * PAGE - 5 - offset;
        bool fails = ga_test_random(&random) % 4 == 0;
        calls.fail_at = fails ? calls.n + 1 : 0;
        uint64_t ncalls = calls.n;
        int r = ga_backing_ensure(&backing, offset, bytes);
        CU_ASSERT_EQUAL(r, fails && calls.n > ncalls ? -ENOMEM : 0);
        for (uint64_t page = offset / PAGE; r == 0 && page <= (offset + bytes - 1) / PAGE; page++)
            wanted[page] = 1;
        uint64_t n = 0;
        for (uint64_t page = 0; page < NPAGES; page++) {
            CU_ASSERT_EQUAL(calls.times[page], wanted[page]);
            n += wanted[page];
        }
        CU_ASSERT_EQUAL(ga_backing_bytes(&backing), n * PAGE);

        uint64_t first = ga_test_random(&random) % NPAGES;
        uint64_t count = ga_test_random(&random) % (NPAGES + 1 - first);
        n = 0;
        for (uint64_t page = first; page < first + count; page++)
            n += wanted[page];
        CU_ASSERT_EQUAL(ga_backing_bytes_in(&backing, first * PAGE, count * PAGE), n * PAGE);
    }
    CU_ASSERT_EQUAL(ga_backing_bytes_in(&backing, 0, NPAGES * PAGE), ga_backing_bytes(&backing));
    finish(&backing);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"just what is needed", just_what_is_needed},
        {"holes in between", holes_in_between},
        {"failure and repetition", failure_and_repetition},
        {"longer pieces", longer_pieces},
        {"random ranges", random_ranges},
    };
    return ga_test_main("server.backing", tests, COUNT(tests));
}

/* malloc_trim, mallinfo and their kin say what is true, and do what they say. */
#include <malloc.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* mallinfo */

#define N    20000u
#define SIZE 2000u

static void *(*volatile allocate)(size_t) = malloc;
static void *objects[N];

/* Pages that the process has in memory. */
static size_t count_resident(void)
{
    size_t all;
    size_t resident;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%zu %zu", &all, &resident) == 2);
    fclose(file);
    return resident * (size_t)getpagesize();
}

static void fill(void)
{
    for (size_t i = 0; i < N; i++) {
        objects[i] = allocate(SIZE);
        CHECK(objects[i]);
        memset(objects[i], 1, SIZE);
    }
}

static void empty(void)
{
    for (size_t i = 0; i < N; i++)
        free(objects[i]);
}

static void check_counts(void)
{
    struct mallinfo2 before = mallinfo2();
    fill();
    void *large = allocate(10000000);
    CHECK(large);
    struct mallinfo2 after = mallinfo2();
    CHECK(after.uordblks - before.uordblks >= (size_t)N * SIZE);
    CHECK(after.uordblks - before.uordblks < (size_t)N * SIZE * 5 / 4);
    CHECK(after.hblks == before.hblks + 1 && after.hblkhd >= before.hblkhd + 10000000);
    CHECK(after.arena >= after.uordblks);
    struct mallinfo old = mallinfo();
    CHECK((size_t)old.uordblks == after.uordblks);
    free(large);
    empty();
    CHECK(mallinfo2().uordblks < before.uordblks + (size_t)N * SIZE / 10);
}

static void check_trim(void)
{
    fill();
    size_t full = count_resident();
    empty();
    CHECK(malloc_trim(0) == 1);
    CHECK(count_resident() + (size_t)N * SIZE * 9 / 10 < full);
    CHECK(mallinfo2().keepcost < (size_t)1 << 20);
}

static void check_texts(void)
{
    char *text;
    size_t bytes;
    FILE *file = open_memstream(&text, &bytes);
    CHECK(malloc_info(0, file) == 0 && malloc_info(1, file) == -1);
    fclose(file);
    CHECK(strstr(text, "<malloc version=\"goalloc-1\">") && strstr(text, "</malloc>"));
    free(text);
    malloc_stats();
}

int main(void)
{
    check_counts();
    check_trim();
    check_texts();
    puts("all is true");
    return 0;
}

/* Memory that a thread is about to use is mapped before; that of a process that needs little is
 * not. A malloc writes nothing to its object, so what is mapped here nobody has touched. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "goalloc/goalloc.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

#define KIB  1024ul
#define FEW  64u
#define MANY 8192u /* objects of a KiB */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static struct ga_test_server server;
static struct goalloc_heap *heap;
static void *objects[MANY];
static _Alignas(4096) char page[4096];

/* Shared memory that this process has mapped and present, KiB. */
static unsigned long mapped(void)
{
    char line[256];
    unsigned long kib = 0;
    FILE *file = fopen("/proc/self/status", "re");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "RssShmem: %lu", &kib) == 1)
            break;
    fclose(file);
    return kib;
}

static void get(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        objects[i] = goalloc_malloc(heap, KIB);
        CU_ASSERT_PTR_NOT_NULL_FATAL(objects[i]);
    }
}

static void put(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        goalloc_free(heap, objects[i]);
}

/* Some of bits and meta is mapped by using it, so not all of this is the heap's. */
static void few(void)
{
    unsigned long before = mapped();
    get(FEW);
    CU_ASSERT(mapped() < before + FEW);
    put(FEW);
}

/* The first object of a class: what else its span, of 64 KiB, has nobody may ever ask for. */
static void first(void)
{
    unsigned long before = mapped();
    void *p = goalloc_malloc(heap, 21 * KIB);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT(mapped() < before + 48);
    goalloc_free(heap, p);
}

static void many(void)
{
    unsigned long before = mapped();
    get(MANY);
    CU_ASSERT(mapped() >= before + MANY / 2);
    for (unsigned i = 0; i < MANY; i++)
        memset(objects[i], 1, KIB);
    put(MANY);
    /* Memory that was in use before is mapped already. */
    before = mapped();
    get(MANY);
    CU_ASSERT(mapped() < before + MANY / 8);
    put(MANY);
}

int main(void)
{
    static const struct ga_test tests[] = {{"few", few}, {"first", first}, {"many", many}};
    if (madvise(page, sizeof(page), MADV_POPULATE_WRITE) < 0 && errno == EINVAL) {
        printf("skipped: the kernel has no MADV_POPULATE_WRITE\n");
        return 77;
    }
    setenv("GOALLOC_PROFILE_RATE", "0", 1); /* what a profile takes is mapped, too */
    if (!ga_test_server_start("64M", &server))
        return 1;
    if (goalloc_attach(server.socket, NULL, &heap) < 0) {
        fprintf(stderr, "attach: %s\n", goalloc_attach_error());
        return 1;
    }
    int code = ga_test_main("integration.premap", tests, sizeof(tests) / sizeof(tests[0]));
    goalloc_detach(heap);
    if (!ga_test_server_stop(&server)) {
        fprintf(stderr, "the server left something behind, or did not end with 0\n");
        return 1;
    }
    return code;
}

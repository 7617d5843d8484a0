/* The page that each process has for itself at an address that all have in common. */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

#define FOR_PROGRAMS 1024 /* from here on */

static struct ga_test_server server;
static struct goalloc_heap *heap;
static int nreports;

static void on_report(enum goalloc_report_kind kind, const char *message, void *data)
{
    (void)kind;
    (void)message;
    (void)data;
    nreports++;
}

static bool attach(void)
{
    struct goalloc_options options = {.size = sizeof(options), .report = on_report};
    return goalloc_attach(server.socket, &options, &heap) == 0;
}

static void address(void)
{
    errno = 77;
    struct goalloc_heap **page = goalloc_own_page(heap);
    CU_ASSERT_PTR_NOT_NULL_FATAL(page);
    CU_ASSERT_EQUAL(errno, 77);
    CU_ASSERT_PTR_EQUAL(page, goalloc_own_page(heap));
    CU_ASSERT_PTR_EQUAL(*page, heap);
    CU_ASSERT(goalloc_contains(heap, page));
    uint64_t ref;
    CU_ASSERT_EQUAL(goalloc_to_ref(heap, page, &ref), -EINVAL); /* it is nobody else's */
}

static void is_zero_and_kept(void)
{
    unsigned char *page = goalloc_own_page(heap);
    for (size_t i = sizeof(heap); i < GOALLOC_OWN_PAGE_BYTES; i++)
        CU_ASSERT_EQUAL_FATAL(page[i], 0);
    memset(page + FOR_PROGRAMS, 'p', GOALLOC_OWN_PAGE_BYTES - FOR_PROGRAMS);
    unsigned char *object = goalloc_calloc(heap, 1, 100);
    CU_ASSERT_PTR_NOT_NULL_FATAL(object);
    CU_ASSERT(object >= page + GOALLOC_OWN_PAGE_BYTES);
    goalloc_free(heap, object);
    page = goalloc_own_page(heap);
    CU_ASSERT(page[FOR_PROGRAMS] == 'p' && page[GOALLOC_OWN_PAGE_BYTES - 1] == 'p');
}

static void is_no_object(void)
{
    nreports = 0;
    goalloc_free(heap, goalloc_own_page(heap));
    CU_ASSERT_EQUAL(nreports, 1);
    CU_ASSERT_EQUAL(goalloc_publish(heap, "own", goalloc_own_page(heap)), -EINVAL);
}

/* In another process, which has attached by itself: 0 if all is well. */
static int look_at_it(const char *theirs)
{
    if (!attach())
        return 1;
    char *page = goalloc_own_page(heap);
    if (page != theirs)
        return 2;
    if (page[FOR_PROGRAMS] != 0) /* what the other process has written there */
        return 3;
    page[FOR_PROGRAMS] = 'c';
    void *object;
    if (goalloc_lookup(heap, "text", &object) < 0 || strcmp(object, "shared") != 0)
        return 4;
    goalloc_detach(heap);
    return 0;
}

static void is_each_processs_own(void)
{
    int go[2];
    CU_ASSERT_EQUAL_FATAL(pipe(go), 0);
    pid_t child = fork(); /* before we attach */
    if (child == 0) {
        char *theirs = NULL;
        _exit(read(go[0], &theirs, sizeof(theirs)) == sizeof(theirs) ? look_at_it(theirs) : 9);
    }
    CU_ASSERT_FATAL(attach());
    char *page = goalloc_own_page(heap);
    page[FOR_PROGRAMS] = 'p';
    char *text = goalloc_malloc(heap, sizeof("shared"));
    CU_ASSERT_EQUAL(goalloc_publish(heap, "text", strcpy(text, "shared")), 0);
    CU_ASSERT_EQUAL(write(go[1], &page, sizeof(page)), sizeof(page));
    int status = -1;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(page[FOR_PROGRAMS], 'p');
    close(go[0]);
    close(go[1]);
}

/* A child has a copy, and if there was none it gets one. */
static void fork_copies(void)
{
    char *page = goalloc_own_page(heap);
    page[FOR_PROGRAMS] = 'p';
    pid_t child = fork();
    if (child == 0) {
        bool copied = page[FOR_PROGRAMS] == 'p';
        page[FOR_PROGRAMS] = 'c';
        _exit(copied && goalloc_own_page(heap) == page && page[FOR_PROGRAMS] == 'c' ? 0 : 1);
    }
    int status = -1;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(page[FOR_PROGRAMS], 'p');
}

/* The next attachment begins with a page of zeros. */
static void goes_with_the_heap(void)
{
    char *page = goalloc_own_page(heap);
    page[FOR_PROGRAMS] = 'p';
    goalloc_detach(heap);
    CU_ASSERT_FATAL(attach());
    CU_ASSERT_PTR_EQUAL(goalloc_own_page(heap), page);
    CU_ASSERT_EQUAL(page[FOR_PROGRAMS], 0);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"is each process's own", is_each_processs_own},
        {"address", address},
        {"is no object", is_no_object},
        {"fork copies", fork_copies},
        {"goes with the heap", goes_with_the_heap},
        {"is zero and kept", is_zero_and_kept},
    };
    if (!ga_test_server_start("64M", &server))
        return 2;
    int failed = ga_test_main("integration.own_page", tests, sizeof(tests) / sizeof(tests[0]));
    goalloc_detach(heap);
    return ga_test_server_stop(&server) ? failed : 1;
}

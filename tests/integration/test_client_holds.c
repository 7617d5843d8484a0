/* Holds through the library: a free of what any process holds takes effect with the last release,
 * also when the holder is killed, and is counted and refused like any other. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

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

static void *object(size_t size)
{
    void *p = goalloc_malloc(heap, size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    return p;
}

static uint64_t objects_now(void)
{
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    CU_ASSERT_EQUAL_FATAL(goalloc_memstats(heap, &stats), 0);
    return stats.heap_objects;
}

static void kept(size_t size)
{
    uint64_t before = objects_now();
    char *p = object(size);
    memset(p, 'x', size);
    CU_ASSERT_EQUAL(goalloc_release(heap, p), -EINVAL);
    CU_ASSERT_EQUAL(goalloc_hold(heap, p), 0);
    CU_ASSERT_EQUAL(goalloc_hold(heap, p), 0);
    goalloc_free(heap, p);
    CU_ASSERT_EQUAL(nreports, 0);
    CU_ASSERT_EQUAL(goalloc_usable_size(heap, p) >= size, 1);
    goalloc_free(heap, p); /* twice */
    CU_ASSERT_EQUAL(nreports, 1);
    nreports = 0;
    CU_ASSERT_EQUAL(goalloc_release(heap, p), 0);
    CU_ASSERT_EQUAL(goalloc_usable_size(heap, p) >= size, 1);
    CU_ASSERT_EQUAL(p[size - 1], 'x');
    CU_ASSERT_EQUAL(goalloc_release(heap, p), 0);
    CU_ASSERT_EQUAL(goalloc_hold(heap, p), -EINVAL);
    CU_ASSERT_EQUAL(goalloc_release(heap, p), -EINVAL);
    CU_ASSERT_EQUAL(objects_now(), before);
    CU_ASSERT_EQUAL(nreports, 0);
}

static void small_and_large(void)
{
    kept(8);
    kept(100);
    kept(30000);
    kept(1000000);
}

static void tiny(void)
{
    void *p = goalloc_alloc(heap, 8, 0, GOALLOC_NOSCAN);
    void *q = goalloc_alloc(heap, 2, 0, GOALLOC_NOSCAN);
    CU_ASSERT_EQUAL(goalloc_hold(heap, p), -ENOTSUP);
    CU_ASSERT_EQUAL(goalloc_hold(heap, q), -ENOTSUP);
    CU_ASSERT_EQUAL(goalloc_release(heap, p), -EINVAL);
    goalloc_free(heap, p);
    goalloc_free(heap, q);
    CU_ASSERT_EQUAL(nreports, 0);
}

/* What is held is not cut short under its holder's feet. */
static void resized(void)
{
    enum { BYTES = 1000000 };
    uint64_t before = objects_now();
    char *p = object(BYTES);
    memset(p, 'x', BYTES);
    CU_ASSERT_EQUAL(goalloc_hold(heap, p), 0);
    char *kept_in_place = goalloc_realloc(heap, p, BYTES * 3 / 4);
    CU_ASSERT_PTR_EQUAL(kept_in_place, p);
    CU_ASSERT(goalloc_usable_size(heap, p) >= BYTES);
    char *moved = goalloc_realloc(heap, p, BYTES / 10);
    CU_ASSERT_PTR_NOT_EQUAL(moved, p);
    CU_ASSERT(goalloc_usable_size(heap, p) >= BYTES);
    CU_ASSERT_EQUAL(p[BYTES - 1], 'x');
    CU_ASSERT_EQUAL(goalloc_release(heap, p), 0);
    goalloc_free(heap, moved);
    CU_ASSERT_EQUAL(nreports, 0);
    CU_ASSERT_EQUAL(objects_now(), before);
}

/* A neighbour of what is held is freed as always; what was held and not freed stays. */
static void others_in_span(void)
{
    char *p = object(64);
    char *q = object(64);
    CU_ASSERT_EQUAL(goalloc_hold(heap, p), 0);
    goalloc_free(heap, q);
    CU_ASSERT_EQUAL(goalloc_hold(heap, q), -EINVAL);
    CU_ASSERT_EQUAL(goalloc_release(heap, p), 0);
    CU_ASSERT(goalloc_usable_size(heap, p) >= 64);
    CU_ASSERT_EQUAL(goalloc_hold(heap, p + 8), -EINVAL);
    CU_ASSERT_EQUAL(goalloc_hold(heap, NULL), -EINVAL);
    CU_ASSERT_EQUAL(goalloc_release(heap, &server), -EINVAL);
    goalloc_free(heap, p);
    CU_ASSERT_EQUAL(nreports, 0);
}

/* A child holds; the object is freed here; then the child is killed, or detaches. */
static void holder_goes(bool is_killed)
{
    uint64_t before = objects_now();
    char *p = object(100);
    int up[2], down[2];
    CU_ASSERT_EQUAL_FATAL(pipe(up), 0);
    CU_ASSERT_EQUAL_FATAL(pipe(down), 0);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        char byte = goalloc_hold(heap, p) == 0 ? 'y' : 'n';
        if (write(up[1], &byte, 1) != 1 || read(down[0], &byte, 1) != 1)
            _exit(1);
        goalloc_detach(heap);
        _exit(0);
    }
    char byte = 0;
    CU_ASSERT_EQUAL(read(up[0], &byte, 1), 1);
    CU_ASSERT_EQUAL(byte, 'y');
    goalloc_free(heap, p);
    CU_ASSERT_EQUAL(goalloc_usable_size(heap, p) >= 100, 1);
    CU_ASSERT_EQUAL(goalloc_hold(heap, p), -EINVAL); /* freed, and kept for the child */
    if (is_killed)
        kill(child, SIGKILL);
    else
        CU_ASSERT_EQUAL(write(down[1], "d", 1), 1);
    int status = -1;
    waitpid(child, &status, 0);
    CU_ASSERT_EQUAL(WIFSIGNALED(status), is_killed);
    for (int i = 0; i < 2; i++) {
        close(up[i]);
        close(down[i]);
    }
    /* The server hears of the death by itself: the object is gone when it has. */
    int tries = 0;
    while (goalloc_usable_size(heap, p) != 0 && tries++ < 2000)
        usleep(5000);
    CU_ASSERT(tries < 2000);
    CU_ASSERT_EQUAL(nreports, 1); /* of the last usable_size */
    nreports = 0;
    CU_ASSERT_EQUAL(objects_now(), before);
}

static void holder_ends(void)
{
    holder_goes(true);
    holder_goes(false);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"small and large", small_and_large},
        {"tiny", tiny},
        {"resized", resized},
        {"others in the span", others_in_span},
        {"the holder ends", holder_ends},
    };
    if (!ga_test_server_start("64M", &server))
        return 2;
    struct goalloc_options options = {.size = sizeof(options), .report = on_report};
    if (goalloc_attach(server.socket, &options, &heap) < 0)
        return 2;
    int r = ga_test_main("integration.client_holds", tests, sizeof(tests) / sizeof(tests[0]));
    goalloc_detach(heap);
    return ga_test_server_stop(&server) ? r : 1;
}

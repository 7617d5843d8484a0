/* A client of the tests: attaches, fills some objects and says "ready"; for each line on stdin it
 * looks at all of them, allocates and frees more, asks the server for something, and says "ok".
 * Where anything is wrong, what, and ends with 1.
 *
 *   service_client [SOCKET] */
#include <goalloc/goalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT  2000
#define BYTES 200
#define MORE  5000

static unsigned char *kept[KEPT];

static int fail(const char *what, int err)
{
    printf("%s: %s\n", what, err < 0 ? goalloc_strerror(err) : "wrong");
    fflush(stdout);
    return 1;
}

static int look(struct goalloc_heap *heap)
{
    unsigned char all[BYTES];
    for (int i = 0; i < KEPT; i++) {
        memset(all, i & 0xff, sizeof(all));
        if (memcmp(kept[i], all, sizeof(all)) != 0)
            return fail("an object", 0);
    }
    for (int i = 0; i < MORE; i++) {
        void *p = goalloc_malloc(heap, 1 + (size_t)i % 1000);
        if (!p)
            return fail("malloc", 0);
        goalloc_free(heap, p);
    }
    void *found = NULL;
    int r = goalloc_lookup(heap, "kept", &found);
    if (r == 0 && found != kept[0])
        return fail("the root", 0);
    return r < 0 ? fail("lookup", r) : 0;
}

int main(int argc, char *argv[])
{
    struct goalloc_heap *heap;
    const struct goalloc_options options = {.size = sizeof(options), .timeout_ms = 30000};
    char line[64];
    void *old;
    if (goalloc_attach(argc > 1 ? argv[1] : NULL, &options, &heap) < 0) {
        fprintf(stderr, "%s\n", goalloc_attach_error());
        return 1;
    }
    for (int i = 0; i < KEPT; i++) {
        kept[i] = goalloc_malloc(heap, BYTES);
        if (!kept[i])
            return fail("malloc", 0);
        memset(kept[i], i & 0xff, BYTES);
    }
    int r = goalloc_replace(heap, "kept", kept[0], &old);
    if (r < 0)
        return fail("replace", r);
    printf("ready\n");
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        if (look(heap) != 0)
            return 1;
        printf("ok\n");
        fflush(stdout);
    }
    goalloc_detach(heap);
}

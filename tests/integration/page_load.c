/* A process with a heap worth looking at, for the tests of the page:
 *
 *   page_load SOCKET NAME
 *
 * attaches as NAME, fills a part of the heap with objects of many sizes, says "ready", and goes on
 * allocating and freeing some of them until its stdin is closed. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "goalloc/goalloc.h"

#define OBJECTS 20000u
#define BATCH   200u
#define REST_MS 20

static const size_t sizes[] = {12, 24, 48, 64, 100, 200, 400, 1000, 3000, 9000, 100, 64, 48, 60000};
static void *objects[OBJECTS];

static size_t size_of(size_t i)
{
    return i % 1000 == 0 ? 2000000 : sizes[i % (sizeof(sizes) / sizeof(sizes[0]))];
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: page_load SOCKET NAME\n");
        return 2;
    }
    struct goalloc_options options = {.size = sizeof(options), .client_name = argv[2]};
    struct goalloc_heap *heap;
    if (goalloc_attach(argv[1], &options, &heap) < 0) {
        fprintf(stderr, "page_load: %s\n", goalloc_attach_error());
        return 1;
    }
    for (size_t i = 0; i < OBJECTS; i++)
        objects[i] = i % 7 == 3 ? NULL : goalloc_malloc(heap, size_of(i));
    puts("ready");
    fflush(stdout);
    struct pollfd end = {.fd = STDIN_FILENO, .events = POLLIN};
    for (size_t i = 0; poll(&end, 1, REST_MS) == 0; i += BATCH)
        for (size_t k = i; k < i + BATCH; k++) {
            void **object = &objects[k * 7919 % OBJECTS];
            goalloc_free(heap, *object);
            *object = *object ? NULL : goalloc_malloc(heap, size_of(k * 7919 % OBJECTS));
        }
    goalloc_detach(heap);
    return 0;
}

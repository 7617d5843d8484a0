/* The objects are mapped as long as their header says, whatever they hold: most of it is never
 * touched. */
#include "client/ctl/live_heap.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "proto/error.h"

static int refuse(const char *name, int err, const char *why)
{
    fprintf(stderr, "goallocctl: heap '%s' cannot be read: %s\n", name, why);
    return err;
}

static void end_cut_short(int number)
{
    (void)number;
    static const char text[] =
        "goallocctl: an object of the heap was cut short while it was read\n";
    ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)n; /* nobody is left to tell */
    _exit(1);
}

static int catch_sigbus(void)
{
    struct sigaction action = {.sa_handler = end_cut_short};
    sigemptyset(&action.sa_mask);
    return sigaction(SIGBUS, &action, NULL) < 0 ? -errno : 0;
}

static int check(const char *name, const struct ga_live_heap *heap)
{
    char why[256];
    const struct ga_meta_header *header = heap->meta.address;
    assert(header);
    int r = ga_geometry_check(header, why, sizeof(why));
    if (r < 0)
        return refuse(name, r, why);
    if (heap->meta.bytes < header->meta_bytes || heap->bits.bytes < header->bits_bytes)
        return refuse(name, -EPROTO, "its meta or bits object has been cut short");
    return 0;
}

int ga_live_heap_open(const char *name, struct ga_live_heap *ret)
{
    struct ga_live_heap heap = {.meta = GA_MAPPING_NONE, .bits = GA_MAPPING_NONE};
    int r = catch_sigbus();
    if (r == 0)
        r = ga_mapping_open(name, GA_OBJECT_META, true, -1, 0, 0, &heap.meta);
    if (r == 0)
        r = ga_mapping_open(name, GA_OBJECT_BITS, true, -1, 0, 0, &heap.bits);
    r = r < 0 ? refuse(name, r, ga_error_text(r)) : check(name, &heap);
    if (r < 0) {
        ga_live_heap_close(&heap);
        return r;
    }
    heap.view = ga_view_of(heap.meta.address, heap.bits.address);
    *ret = heap;
    return 0;
}

void ga_live_heap_close(struct ga_live_heap *heap)
{
    ga_mapping_close(&heap->bits);
    ga_mapping_close(&heap->meta);
}

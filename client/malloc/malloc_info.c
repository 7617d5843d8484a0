/* What else glibc's malloc has and programs call: giving memory back at once, and figures. Where
 * the C library's malloc serves, its own answer. */
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/reclaim.h"
#include "own_heap.h"
#include "proto/own_core.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* mallinfo, which programs call still  \
                                                            */

#define EXPORTED __attribute__((visibility("default")))

/* Call the C library's function of this name, which dlsym finds behind ours. */
#define NEXT(function) ((__typeof__(&(function)))next(#function))

static void *next(const char *name)
{
    void *symbol = dlsym(RTLD_NEXT, name);
    if (!symbol)
        abort();
    return symbol;
}

EXPORTED int malloc_trim(size_t pad)
{
    struct goalloc_heap *heap = ga_own_heap();
    if (!heap)
        return NEXT(malloc_trim)(pad);
    ga_reclaim(heap, GA_RECLAIM_UNUSED);
    ga_own_server_lock();
    uint64_t released = ga_own_core_release(pad);
    ga_own_server_unlock();
    return released > 0;
}

static struct ga_own_figures figures(void)
{
    struct ga_own_figures now;
    ga_own_server_lock();
    ga_own_core_figures(&now);
    ga_own_server_unlock();
    return now;
}

/* Large objects are what glibc maps one by one. */
static struct mallinfo2 count(void)
{
    struct ga_own_figures stats = figures();
    size_t sys = stats.resident_bytes;
    size_t mapped = stats.by_class[0].alloc_bytes;
    uint64_t mallocs = stats.by_class[0].mallocs;
    uint64_t frees = stats.by_class[0].frees;
    return (struct mallinfo2){
        .arena = sys > mapped ? sys - mapped : 0,
        .hblks = mallocs > frees ? mallocs - frees : 0,
        .hblkhd = mapped,
        .uordblks = stats.alloc_bytes - mapped,
        .fordblks = sys > stats.alloc_bytes ? sys - stats.alloc_bytes : 0,
        .keepcost = stats.idle_bytes,
    };
}

EXPORTED struct mallinfo2 mallinfo2(void)
{
    return ga_own_heap() ? count() : NEXT(mallinfo2)();
}

/* The old one, whose numbers are cut off. */
EXPORTED struct mallinfo mallinfo(void)
{
    if (!ga_own_heap())
        return NEXT(mallinfo)();
    struct mallinfo2 info = count();
    return (struct mallinfo){
        .arena = (int)info.arena,
        .hblks = (int)info.hblks,
        .hblkhd = (int)info.hblkhd,
        .uordblks = (int)info.uordblks,
        .fordblks = (int)info.fordblks,
        .keepcost = (int)info.keepcost,
    };
}

EXPORTED void malloc_stats(void)
{
    if (!ga_own_heap()) {
        NEXT(malloc_stats)();
        return;
    }
    struct ga_own_figures stats = figures();
    fprintf(stderr,
            "goalloc: %" PRIu64 " bytes in %" PRIu64 " objects are in use, of %" PRIu64
            " bytes in spans\n"
            "goalloc: %" PRIu64 " mallocs, %" PRIu64 " frees, %" PRIu64 " bytes ever\n"
            "goalloc: %" PRIu64 " bytes of the heap have memory, and %" PRIu64 " of its books\n",
            stats.alloc_bytes, stats.heap_objects, stats.inuse_bytes, stats.mallocs, stats.frees,
            stats.total_alloc_bytes, stats.resident_bytes, stats.books_bytes);
}

EXPORTED int malloc_info(int options, FILE *stream)
{
    if (!ga_own_heap())
        return NEXT(malloc_info)(options, stream);
    if (options != 0) {
        errno = EINVAL;
        return -1;
    }
    struct ga_own_figures stats = figures();
    fprintf(stream, "<malloc version=\"goalloc-1\">\n<sizes>\n");
    for (uint32_t c = 0; c < GA_OWN_CLASSES; c++)
        if (stats.by_class[c].mallocs > 0)
            fprintf(stream,
                    "<size class=\"%u\" mallocs=\"%" PRIu64 "\" frees=\"%" PRIu64
                    "\" spans=\"%" PRIu64 "\" inuse=\"%" PRIu64 "\"/>\n",
                    c, stats.by_class[c].mallocs, stats.by_class[c].frees, stats.by_class[c].spans,
                    stats.by_class[c].alloc_bytes);
    fprintf(stream, "</sizes>\n<system type=\"current\" size=\"%" PRIu64 "\"/>\n</malloc>\n",
            stats.resident_bytes);
    return ferror(stream) ? -1 : 0;
}

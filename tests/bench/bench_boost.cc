// The worker of Boost.Interprocess, as its documentation presents it: a managed_shared_memory with
// its default allocator and mutexes. --heap is the segment's name, made by the producer and removed
// by it. The hand-off is between two processes; the segment may lie at different addresses in them,
// so handles cross the ring, which itself is found by a named handle.
#include <cstring>
#include <exception>
#include <new>

#include <boost/interprocess/managed_shared_memory.hpp>

namespace bip = boost::interprocess;

static bip::managed_shared_memory *segment;

#define BENCH_ALLOC(size)     segment->allocate(size, std::nothrow)
#define BENCH_FREE(p)         segment->deallocate(p)
#define BENCH_TO_WORD(p)      static_cast<uint64_t>(segment->get_handle_from_address(p))
#define BENCH_FROM_WORD(word) segment->get_address_from_handle(static_cast<handle>(word))

typedef bip::managed_shared_memory::handle_t handle;
#include "work.h"

static const std::size_t SEGMENT_BYTES = std::size_t(64) << 20;
static const char RING_NAME[] = "ring";

static void open_segment(const struct ga_bench_args *args)
{
    try {
        if (args->consume)
            segment = new bip::managed_shared_memory(bip::open_only, args->heap);
        else
            segment = new bip::managed_shared_memory(bip::create_only, args->heap, SEGMENT_BYTES);
    } catch (const std::exception &error) {
        ga_bench_die("cannot open segment %s: %s", args->heap, error.what());
    }
}

static void close_segment(const struct ga_bench_args *args)
{
    delete segment;
    if (!args->consume)
        bip::shared_memory_object::remove(args->heap);
}

static double row_handoff(const struct ga_bench_args *args)
{
    // An over-aligned type would not do: the named constructors promise no more than 16 bytes.
    void *memory = segment->allocate_aligned(sizeof(ga_bench_ring), 64);
    ga_bench_ring *ring = new (memory) ga_bench_ring();
    segment->construct<handle>(RING_NAME)(segment->get_handle_from_address(memory));
    double ns = ga_bench_handoff_to_process(args, ring);
    segment->destroy<handle>(RING_NAME);
    segment->deallocate(memory);
    return ns;
}

static void consume(const struct ga_bench_args *args)
{
    handle *found = segment->find<handle>(RING_NAME).first;
    if (!found)
        ga_bench_die("cannot find the ring");
    ga_bench_consume(args, static_cast<ga_bench_ring *>(segment->get_address_from_handle(*found)));
}

int main(int argc, char **argv)
{
    static const struct ga_bench_family family = {ga_bench_works, GA_BENCH_WORK_COUNT, open_segment,
                                                  close_segment, consume};
    return ga_bench_worker_main(argc, argv, &family);
}

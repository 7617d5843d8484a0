// The worker of Boost.Interprocess, as its documentation presents it: a managed_shared_memory with
// its default allocator and mutexes. --heap is the segment's name, made by the first process and
// removed by it. The segment may lie at different addresses in two processes, so handles pass
// between them, and what they share is found by a named handle.
#include <cstring>
#include <exception>
#include <new>

#include <boost/interprocess/managed_shared_memory.hpp>

namespace bip = boost::interprocess;

static bip::managed_shared_memory *segment;

typedef bip::managed_shared_memory::handle_t handle;

// What its vectors do: expand in place where that is possible, else move.
static inline void *resize(void *p, std::size_t old_size, std::size_t size)
{
    bip::managed_shared_memory::size_type received = size;
    char *reuse = static_cast<char *>(p);
    char *got = segment->allocation_command<char>(
        bip::expand_fwd | bip::allocate_new | bip::nothrow_allocation, size, received, reuse);
    if (got && !reuse) {
        std::memcpy(got, p, old_size);
        segment->deallocate(p);
    }
    return got;
}

#define BENCH_ALLOC(size)               segment->allocate(size, std::nothrow)
#define BENCH_ALLOC_NOSCAN(size)        segment->allocate(size, std::nothrow)
#define BENCH_FREE(p)                   segment->deallocate(p)
#define BENCH_RESIZE(p, old_size, size) resize(p, old_size, size)
#define BENCH_TO_WORD(p)                static_cast<uint64_t>(segment->get_handle_from_address(p))
#define BENCH_FROM_WORD(word)           segment->get_address_from_handle(static_cast<handle>(word))
#define BENCH_PROCESSES                 1
#include "loops.h"
#include "together.h"

static const std::size_t SEGMENT_BYTES = std::size_t(64) << 20;
static const std::size_t SEGMENT_BYTES_1M = std::size_t(384) << 20; // for a million live objects
static const char SHARED_NAME[] = "shared";

static void open_segment(const struct ga_bench_args *args)
{
    std::size_t bytes = std::strcmp(args->row, "churn-1M") == 0 ? SEGMENT_BYTES_1M : SEGMENT_BYTES;
    try {
        if (args->help)
            segment = new bip::managed_shared_memory(bip::open_only, args->heap);
        else
            segment = new bip::managed_shared_memory(bip::create_only, args->heap, bytes);
    } catch (const std::exception &error) {
        ga_bench_die("cannot open segment %s: %s", args->heap, error.what());
    }
}

static void close_segment(const struct ga_bench_args *args)
{
    delete segment;
    if (!args->help)
        bip::shared_memory_object::remove(args->heap);
}

static void *bench_share(size_t bytes)
{
    // An over-aligned type would not do: the named constructors promise no more than 16 bytes.
    void *p = segment->allocate_aligned(bytes, 64);
    segment->construct<handle>(SHARED_NAME)(segment->get_handle_from_address(p));
    return std::memset(p, 0, bytes);
}

static void *bench_find_shared(void)
{
    handle *found = segment->find<handle>(SHARED_NAME).first;
    if (!found)
        ga_bench_die("cannot find what is shared");
    return segment->get_address_from_handle(*found);
}

static void bench_unshare(void *p)
{
    segment->destroy<handle>(SHARED_NAME);
    segment->deallocate(p);
}

int main(int argc, char **argv)
{
    static const struct ga_bench_work works[] = {GA_BENCH_TIMED_ROWS(GA_BENCH_WORK)};
    static const struct ga_bench_work helps[] = {{"handoff", help_handoff}, {"storm", help_storm}};
    static const struct ga_bench_family family = {works,        sizeof works / sizeof works[0],
                                                  helps,        sizeof helps / sizeof helps[0],
                                                  open_segment, close_segment,
                                                  nullptr};
    return ga_bench_worker_main(argc, argv, &family);
}

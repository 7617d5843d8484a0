/* The heap as a std::pmr::memory_resource. */
#include <cstdlib>
#include <sys/wait.h>
#include <unistd.h>

#include "cxx/fixture.hpp"

static goalloc::heap *heap;

/* Where all processes have it. */
static void address()
{
    char *page = static_cast<char *>(goalloc_own_page(heap->get()));
    CU_ASSERT_PTR_EQUAL(static_cast<void *>(heap->resource()), page + 64);
    CU_ASSERT(*heap->resource() == *heap->resource());
    CU_ASSERT(*heap->resource() != *std::pmr::new_delete_resource());
}

static void memory()
{
    std::pmr::memory_resource *resource = heap->resource();
    for (std::size_t alignment = 1; alignment <= 16384; alignment *= 2) {
        void *p = resource->allocate(8, alignment);
        CU_ASSERT(heap->contains(p));
        CU_ASSERT_EQUAL(reinterpret_cast<std::uintptr_t>(p) % alignment, 0);
        resource->deallocate(p, 8, alignment);
    }
    CU_ASSERT(what_is_thrown<std::bad_alloc>([&] { (void)resource->allocate(1 << 30); }) != "");
    CU_ASSERT_EQUAL(objects_in(*heap), 0);
}

static void containers()
{
    {
        std::pmr::vector<std::pmr::string> strings(heap->resource());
        strings.emplace_back("a string that is too long to be in the string itself");
        CU_ASSERT(heap->contains(strings[0].data()));
        /* The default of copies is the process's own memory. */
        auto copy = strings;
        CU_ASSERT(!heap->contains(copy.data()));
        copy = std::move(strings);
        CU_ASSERT(!heap->contains(copy[0].data()));
    }
    CU_ASSERT_EQUAL(objects_in(*heap), 0);
}

/* A child of fork has a copy of the page. */
[[maybe_unused]] static void forks()
{
    auto strings = goalloc::make<std::pmr::vector<std::pmr::string>>(*heap);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 100; i++)
            strings->emplace_back("a string that is too long to be in the string itself");
        goalloc_detach(heap->get());
        _exit(0);
    }
    int status = -1;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(strings->size(), 100);
    strings.reset();
    CU_ASSERT_EQUAL(objects_in(*heap), 0);
}

int main()
{
    test_server server;
    int failed;
    {
        goalloc::heap of_test(server.socket());
        heap = &of_test;
        const ga_test tests[] = {
            {"address", address},
            {"memory", memory},
            {"containers", containers},
#ifndef __SANITIZE_THREAD__ /* it cannot follow a copy that starts threads */
            {"forks", forks},
#endif
        };
        failed = ga_test_main("cxx.resource", tests, std::size(tests));
    }
    return server.stop(failed);
}

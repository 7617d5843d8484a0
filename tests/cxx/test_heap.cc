/* goalloc::heap: attaching, moving, detaching, and what is thrown. */
#include "cxx/fixture.hpp"

static test_server *server;

static void errors()
{
    auto attach = [] { goalloc::heap nowhere("/nonexistent/goalloc.sock"); };
    std::error_code code = code_thrown(attach);
    CU_ASSERT(code == std::errc::no_such_file_or_directory);
    CU_ASSERT(code.category() == goalloc::category());
    CU_ASSERT_STRING_EQUAL(code.category().name(), "goalloc");
    CU_ASSERT(code.message() == goalloc_strerror(-ENOENT));
    CU_ASSERT(has(what_is_thrown<std::system_error>(attach), "/nonexistent/goalloc.sock"));
}

static void options()
{
    goalloc::options options;
    CU_ASSERT_EQUAL(options.size, sizeof(goalloc_options));
    CU_ASSERT_EQUAL(options.timeout_ms, 0);
    options.policy = 77;
    auto attach = [&] { goalloc::heap heap(server->socket(), options); };
    CU_ASSERT(code_thrown(attach) == std::errc::invalid_argument);
}

/* A heap can be attached once, so each of these fails where the one before is still attached. */
static void detaches()
{
    for (int i = 0; i < 3; i++) {
        goalloc::heap heap(server->socket());
        CU_ASSERT(code_thrown([] { goalloc::heap again(server->socket()); }) ==
                  std::errc::address_in_use);
    }
}

static void moves()
{
    goalloc::heap first(server->socket());
    goalloc_heap *attached = first.get();
    goalloc::heap second(std::move(first));
    CU_ASSERT_PTR_NULL(first.get());
    CU_ASSERT_PTR_EQUAL(second.get(), attached);
    first = std::move(second);
    CU_ASSERT_PTR_NULL(second.get());
    goalloc::heap &same = first;
    first = std::move(same);
    CU_ASSERT_PTR_EQUAL(first.get(), attached);
    goalloc::make<int>(first, 1);
}

static void assignment_detaches()
{
    test_server other;
    {
        goalloc::heap heap(server->socket());
        heap = goalloc::heap(other.socket());
        goalloc::heap again(server->socket());
        CU_ASSERT(!heap.contains(goalloc::make<int>(again, 1).get()));
    }
    CU_ASSERT_EQUAL(other.stop(0), 0);
}

static void adopts()
{
    goalloc_heap *attached = nullptr;
    CU_ASSERT_EQUAL(goalloc_attach(server->socket(), nullptr, &attached), 0);
    {
        goalloc::heap heap = goalloc::heap::adopt(attached);
        CU_ASSERT(heap.contains(goalloc::make<int>(heap, 1).get()));
        CU_ASSERT_PTR_EQUAL(heap.release(), attached);
        CU_ASSERT_PTR_NULL(heap.get());
    }
    goalloc_free(attached, goalloc_malloc(attached, 1)); /* not detached */
    goalloc_detach(attached);
}

int main()
{
    test_server of_test;
    server = &of_test;
    const ga_test tests[] = {
        {"errors", errors},
        {"options", options},
        {"detaches", detaches},
        {"moves", moves},
        {"assignment detaches", assignment_detaches},
        {"adopts", adopts},
    };
    return server->stop(ga_test_main("cxx.heap", tests, std::size(tests)));
}

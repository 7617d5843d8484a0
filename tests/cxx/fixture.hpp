/* For the tests of goalloc.hpp: CUnit and a server from C++, and what is thrown. */
#ifndef GA_TESTS_CXX_FIXTURE_HPP
#define GA_TESTS_CXX_FIXTURE_HPP

#include <cstdint>
#include <cstdlib>
#include <string>

#include <goalloc/goalloc.hpp>

extern "C" {
#include "support/cunit_main.h"
#include "support/server_fixture.h"
}

/* A server of the test's own, with a limit of 64 MiB. */
class test_server
{
  public:
    test_server()
    {
        if (!ga_test_server_start("64M", &server_))
            std::exit(2);
    }
    test_server(const test_server &) = delete;
    test_server &operator=(const test_server &) = delete;

    const char *socket() const
    {
        return server_.socket;
    }
    /* The exit code of a test that has ended with failed. */
    int stop(int failed)
    {
        return ga_test_server_stop(&server_) ? failed : 1;
    }

  private:
    ga_test_server server_ = {};
};

inline std::uint64_t objects_in(const goalloc::heap &heap)
{
    struct goalloc_memstats stats = {};
    stats.size = sizeof(stats);
    CU_ASSERT_EQUAL(goalloc_memstats(heap.get(), &stats), 0);
    return stats.heap_objects;
}

/* What an Exception says that act throws; "" if it throws none. */
template <class Exception, class Act> std::string what_is_thrown(Act act)
{
    try {
        act();
    } catch (const Exception &exception) {
        return exception.what();
    }
    return "";
}

/* The code of the std::system_error that act throws, 0 if it throws none. */
template <class Act> std::error_code code_thrown(Act act)
{
    try {
        act();
    } catch (const std::system_error &error) {
        return error.code();
    }
    return {};
}

inline bool has(const std::string &text, const std::string &part)
{
    return text.find(part) != std::string::npos;
}

#endif

/* A table of scores in shared memory, in a container of Boost's: each run is a process of its own.
 *
 *   scores add PLAYER POINTS    two numbers
 *   scores list
 *   scores drop
 *
 * goalloc::allocator goes with any container that takes an allocator, and keeps its pointers plain.
 * Nothing here is locked: one run at a time. */
#include <charconv>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <string_view>
#include <system_error>
#include <utility>

#include <boost/container/flat_map.hpp>
#include <boost/version.hpp>

#include <goalloc/goalloc.hpp>

using score_table =
    boost::container::flat_map<int, long, std::less<int>, goalloc::allocator<std::pair<int, long>>>;

/* With another Boost the table might be laid out in another way: then it is another type. */
template <> struct goalloc::type_name<score_table> {
    static std::string_view get() noexcept
    {
        return "scores of Boost " BOOST_LIB_VERSION;
    }
};

namespace
{

constexpr const char *ROOT = "scores";

/* Whether text is a number, and nothing else. */
template <class Number> bool read(const char *text, Number &value)
{
    const char *end = text + std::strlen(text);
    auto [stop, error] = std::from_chars(text, end, value);
    return error == std::errc() && stop == end;
}

int run(int argc, char **argv)
{
    std::string_view command = argc > 1 ? argv[1] : "";
    goalloc::heap heap;
    if (command == "drop")
        return heap.unpublish<score_table>(ROOT) ? 0 : 1;

    int player = 0;
    long points = 0;
    auto &table = *heap.find_or_make<score_table>(ROOT);
    if (command == "add" && argc == 4 && read(argv[2], player) && read(argv[3], points)) {
        table[player] += points;
    } else if (command == "list" && argc == 2) {
        for (const auto &[each, sum] : table)
            std::printf("%d %ld\n", each, sum);
    } else {
        std::fprintf(stderr, "usage: scores add PLAYER POINTS|list|drop, both numbers\n");
        return 2;
    }
    return 0;
}

} // namespace

int main(int argc, char **argv)
{
    try {
        return run(argc, argv);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "scores: %s\n", error.what());
        return 1;
    }
}

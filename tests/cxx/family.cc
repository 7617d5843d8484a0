/* One of a family of programs that share objects. test_two_compilers.sh runs those that different
 * compilers have made, one after the other:
 *
 *   family change N      add what belongs to N to what is there, in each container
 *   family check N       that all of 0..N-1 is there, and that another type is refused
 *   family thin N        remove what belongs to odd numbers below N from the maps
 *   family check-even N  the same as check after that
 *   family drop          destroy all of it */
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <list>
#include <set>
#include <string>
#include <string_view>

#include <goalloc/goalloc.hpp>

using word_map = std::pmr::unordered_map<std::pmr::string, std::pmr::vector<std::pmr::string>>;
using own_map = goalloc::unordered_map<goalloc::string, goalloc::vector<goalloc::string>>;

struct node {
    int number = 0;
    goalloc::unique<node> next;
};
struct mixed {
    using allocator_type = std::pmr::polymorphic_allocator<std::byte>;
    explicit mixed(const allocator_type &a) : numbers(a), list(a)
    {
    }
    std::pmr::set<int> numbers;
    std::pmr::list<std::pmr::string> list;
    goalloc::unique<node> first;
    double sum = 0;
};

static int failures;

static void expect(bool good, const char *what)
{
    if (!good)
        std::fprintf(stderr, "family: FAILED: %s\n", what);
    failures += !good;
}

static std::string text(int n, int i)
{
    return "text " + std::to_string(n) + "/" + std::to_string(i) +
           (i % 2 ? " which is longer than what a string has in itself" : "");
}

static constexpr int WORDS = 50; /* that belong to each number */

static void change(const goalloc::heap &heap, int n)
{
    auto *words = heap.find_or_make<word_map>("words");
    auto *own = heap.find_or_make<own_map>("own");
    auto *both = heap.find_or_make<mixed>("mixed");
    for (int i = 0; i < WORDS; i++) {
        (*words)[std::pmr::string(text(n, i))].emplace_back(text(i, n));
        (*own)[goalloc::string(text(n, i).c_str(), heap)].emplace_back(text(i, n).c_str());
    }
    both->numbers.insert(n);
    both->list.emplace_front(text(n, 1));
    both->sum += n;
    auto first = goalloc::make<node>(heap, node{n, std::move(both->first)});
    both->first = std::move(first);
}

/* What text 0..n-1 has; of odd numbers none where only_even. */
template <class Map> static void check_map(const Map &map, int n, bool only_even)
{
    std::size_t numbers = static_cast<std::size_t>(only_even ? (n + 1) / 2 : n);
    expect(map.size() == numbers * WORDS, "the map's size");
    int wrong = 0;
    for (int k = 0; k < n; k += only_even ? 2 : 1)
        for (int i = 0; i < WORDS; i++) {
            typename Map::key_type key(text(k, i).c_str(), map.get_allocator());
            auto found = map.find(key);
            wrong += found == map.end() || found->second.size() != 1 ||
                     found->second[0] != std::string_view(text(i, k));
        }
    expect(wrong == 0, "what the map has");
}

template <class Wrong> static bool is_refused(const goalloc::heap &heap, const char *name)
{
    try {
        heap.find<Wrong>(name);
    } catch (const goalloc::wrong_type &error) {
        return std::string_view(error.what()).find("unordered_map") != std::string_view::npos;
    }
    return false;
}

static void check(const goalloc::heap &heap, int n, bool only_even)
{
    auto *words = heap.find<word_map>("words");
    auto *own = heap.find<own_map>("own");
    auto *both = heap.find<mixed>("mixed");
    expect(words && own && both, "found all three");
    if (failures)
        return;
    check_map(*words, n, only_even);
    check_map(*own, n, only_even);
    expect(both->numbers.size() == static_cast<std::size_t>(n), "the set's size");
    expect(both->list.back() == text(0, 1).c_str(), "the list's end");
    expect(both->sum == n * (n - 1) / 2.0, "the sum");
    int last = n;
    for (const node *each = both->first.get(); each; each = each->next.get())
        expect(each->number == --last, "the chain");
    expect(last == 0, "all of the chain");
    expect(is_refused<word_map>(heap, "own") && is_refused<int>(heap, "words"), "another type");
    expect(words->get_allocator().resource() == heap.resource(), "the resource");
}

static void thin(const goalloc::heap &heap, int n)
{
    auto *words = heap.find<word_map>("words");
    auto *own = heap.find<own_map>("own");
    for (int k = 1; k < n; k += 2)
        for (int i = 0; i < WORDS; i++) {
            expect(words->erase(std::pmr::string(text(k, i))) == 1, "erase");
            expect(own->erase(goalloc::string(text(k, i).c_str(), heap)) == 1, "erase");
        }
}

int main(int argc, char **argv)
{
    std::string_view command = argc > 1 ? argv[1] : "";
    int n = argc > 2 ? std::atoi(argv[2]) : 0;
    goalloc::heap heap;
    if (command == "change")
        change(heap, n);
    else if (command == "check")
        check(heap, n, false);
    else if (command == "check-even")
        check(heap, n, true);
    else if (command == "thin")
        thin(heap, n);
    else if (command == "drop")
        expect(heap.unpublish<word_map>("words") && heap.unpublish<own_map>("own") &&
                   heap.unpublish<mixed>("mixed"),
               "drop");
    else
        return 2;
    return failures > 0;
}

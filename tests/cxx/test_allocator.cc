/* goalloc::allocator, and containers with it. */
#include <list>

#include "cxx/fixture.hpp"

struct two_shorts {
    short a, b;
};
struct two_shorts_noscan {
    short a, b;
};
template <> struct goalloc::is_noscan<two_shorts_noscan> : std::true_type {
};
struct alignas(256) wide {
    char c;
};

static goalloc::heap *heap;
static goalloc::heap *second_heap;

using ints = goalloc::allocator<int>;
using traits = std::allocator_traits<ints>;
static_assert(sizeof(ints) == sizeof(void *));
static_assert(!traits::is_always_equal::value);
static_assert(!traits::propagate_on_container_copy_assignment::value);
static_assert(!traits::propagate_on_container_move_assignment::value);
static_assert(!traits::propagate_on_container_swap::value);
static_assert(std::is_nothrow_copy_constructible_v<ints>);
static_assert(std::is_same_v<traits::rebind_alloc<wide>, goalloc::allocator<wide>>);
static_assert(goalloc::is_noscan<char>::value && goalloc::is_noscan<double>::value);
static_assert(!goalloc::is_noscan<unsigned char>::value); /* may be the storage of anything */
static_assert(!goalloc::is_noscan<std::uintptr_t>::value && !goalloc::is_noscan<int *>::value);

static void equality()
{
    ints a(*heap), b(*heap), c(*second_heap);
    goalloc::allocator<wide> d(a);
    CU_ASSERT(a == b && !(a != b));
    CU_ASSERT(a != c && !(a == c));
    CU_ASSERT(a == d && d == a && d != c);
    CU_ASSERT(traits::select_on_container_copy_construction(a) == a);
}

static void nested()
{
    {
        goalloc::unordered_map<goalloc::string, goalloc::vector<goalloc::string>> map(*heap);
        goalloc::string key("a key that is too long to be in the string itself", *heap);
        map[key].emplace_back("a value that is too long to be in the string itself");
        map[key].emplace_back("another");
        for (const auto &[name, values] : map) {
            CU_ASSERT(heap->contains(&name) && heap->contains(name.data()));
            CU_ASSERT(heap->contains(values.data()));
            CU_ASSERT(heap->contains(values[0].data()));
            CU_ASSERT(values[1].get_allocator() == map.get_allocator());
        }
        auto copy = map;
        CU_ASSERT(copy == map && heap->contains(copy.begin()->second[0].data()));
    }
    CU_ASSERT_EQUAL(objects_in(*heap), 0);
}

/* What moves to another heap is copied, and each heap frees its own. */
static void between_heaps()
{
    {
        goalloc::vector<int> here(*heap), there(*second_heap);
        here.assign(100, 7);
        there = std::move(here);
        CU_ASSERT(second_heap->contains(there.data()));
        CU_ASSERT(there.size() == 100 && there[99] == 7);
        goalloc::vector<int> same(std::move(there), *second_heap);
        CU_ASSERT(same.size() == 100 && there.empty()); /* in one heap it moves */
    }
    CU_ASSERT_EQUAL(objects_in(*heap), 0);
    CU_ASSERT_EQUAL(objects_in(*second_heap), 0);
}

static void no_memory()
{
    ints a(*heap);
    CU_ASSERT(what_is_thrown<std::bad_alloc>([&] { (void)a.allocate(1 << 28); }) != "");
    CU_ASSERT(what_is_thrown<std::bad_array_new_length>([&] { (void)a.allocate(SIZE_MAX / 2); }) !=
              "");
    {
        goalloc::vector<goalloc::vector<int>> vectors(*heap);
        CU_ASSERT(what_is_thrown<std::bad_alloc>([&] {
                      for (;;)
                          vectors.emplace_back(100000, 1);
                  }) != "");
        CU_ASSERT(vectors.size() > 100 && vectors.back().size() == 100000);
    }
    CU_ASSERT_EQUAL(objects_in(*heap), 0);
}

template <class T> static std::size_t usable()
{
    goalloc::allocator<T> a(*heap);
    T *p = a.allocate(1);
    CU_ASSERT_EQUAL(reinterpret_cast<std::uintptr_t>(p) % alignof(T), 0);
    std::size_t bytes = goalloc_usable_size(heap->get(), p);
    a.deallocate(p, 1);
    return bytes;
}

/* Tiny objects, which only noscan ones are, have no more than their size. */
static void noscan_and_alignment()
{
    CU_ASSERT_EQUAL(usable<two_shorts>(), 8);
    CU_ASSERT_EQUAL(usable<two_shorts_noscan>(), 4);
    CU_ASSERT_EQUAL(usable<short>(), 2);
    CU_ASSERT(usable<double>() == 8 && usable<long double>() == 16);
    CU_ASSERT(usable<wide>() >= 256);
}

/* In any container, such as a list, whose nodes are rebound. */
static void list()
{
    {
        std::list<wide, goalloc::allocator<wide>> list(*heap);
        for (int i = 0; i < 100; i++)
            list.push_back({static_cast<char>(i)});
        CU_ASSERT_EQUAL(objects_in(*heap), 100);
        CU_ASSERT(list.back().c == 99 && heap->contains(&list.back()));
    }
    CU_ASSERT_EQUAL(objects_in(*heap), 0);
}

int main()
{
    test_server server, second;
    int failed;
    {
        goalloc::heap one(server.socket()), two(second.socket());
        heap = &one;
        second_heap = &two;
        const ga_test tests[] = {
            {"equality", equality},
            {"nested", nested},
            {"between heaps", between_heaps},
            {"no memory", no_memory},
            {"noscan and alignment", noscan_and_alignment},
            {"list", list},
        };
        failed = ga_test_main("cxx.allocator", tests, std::size(tests));
    }
    return second.stop(server.stop(failed));
}

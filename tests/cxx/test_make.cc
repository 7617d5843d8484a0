/* goalloc::make and goalloc::unique: nothing is lost, and containers get memory of the heap. */
#include <array>
#include <tuple>

#include "cxx/fixture.hpp"

struct throws {
    explicit throws(int)
    {
        throw 5;
    }
    goalloc::unique<int> part;
};
struct counted {
    explicit counted(int *count) : destroyed(count)
    {
    }
    ~counted()
    {
        ++*destroyed;
    }
    int *destroyed;
};
struct node {
    int value = 0;
    goalloc::unique<node> next;
};
struct leading { /* takes the allocator in front */
    using allocator_type = goalloc::allocator<int>;
    leading(std::allocator_arg_t, const allocator_type &a, int given) : numbers(a), n(given)
    {
        numbers.resize(10);
    }
    std::vector<int, goalloc::allocator<int>> numbers;
    int n;
};

static goalloc::heap *heap;

static void constants()
{
    {
        goalloc::unique<const int> number = goalloc::make<const int>(*heap, 5);
        CU_ASSERT_EQUAL(*number, 5);
        heap->publish("leading", goalloc::make<leading>(*heap, 3));
        auto kept = heap->hold<const leading>("leading");
        auto &same = kept;
        kept = std::move(same);
        CU_ASSERT(kept && kept->n == 3);
        auto taken = heap->unpublish<const leading>("leading");
        CU_ASSERT_PTR_EQUAL(taken.get(), kept.get());
    }
    CU_ASSERT_EQUAL(objects_in(*heap), 0);
}

/* A pair takes no allocator itself. */
static void pairs()
{
    const char *text = "a text that is longer than what a string has in itself";
    {
        auto pmr = goalloc::make<std::pair<std::pmr::string, int>>(*heap, text, 1);
        auto ours = goalloc::make<std::pair<const goalloc::string, goalloc::vector<int>>>(
            *heap, std::piecewise_construct, std::forward_as_tuple(text), std::forward_as_tuple(9));
        auto plain = goalloc::make<std::pair<int, int>>(*heap, 1, 2);
        auto parts = goalloc::make<std::tuple<std::pmr::string, int>>(*heap, text, 1);
        CU_ASSERT(heap->contains(pmr->first.data()) && pmr->first == text && pmr->second == 1);
        CU_ASSERT(heap->contains(ours->first.data()) && heap->contains(ours->second.data()));
        CU_ASSERT(heap->contains(std::get<0>(*parts).data()));
        CU_ASSERT(plain->first == 1 && plain->second == 2);
    }
    CU_ASSERT_EQUAL(objects_in(*heap), 0);
}

static void constructor_throws()
{
    int caught = 0;
    try {
        goalloc::make<throws>(*heap, 1);
    } catch (int number) {
        caught = number;
    }
    CU_ASSERT_EQUAL(caught, 5);
    CU_ASSERT_EQUAL(objects_in(*heap), 0);
    CU_ASSERT(what_is_thrown<std::bad_alloc>(
                  [] { goalloc::make<std::array<char, 100000000>>(*heap); }) != "");
    CU_ASSERT_EQUAL(objects_in(*heap), 0);
}

static void destroys()
{
    int destroyed = 0;
    auto object = goalloc::make<counted>(*heap, &destroyed);
    CU_ASSERT(heap->contains(object.get()) && objects_in(*heap) == 1);
    auto moved = std::move(object);
    CU_ASSERT_EQUAL(destroyed, 0);
    moved.reset();
    CU_ASSERT_EQUAL(destroyed, 1);
    CU_ASSERT_EQUAL(objects_in(*heap), 0);
    static_assert(sizeof(moved) == 2 * sizeof(void *));
}

/* Owners in the heap. */
static void chain()
{
    auto first = goalloc::make<node>(*heap);
    node *last = first.get();
    for (int i = 1; i < 100; i++) {
        last->next = goalloc::make<node>(*heap);
        last = last->next.get();
    }
    CU_ASSERT_EQUAL(objects_in(*heap), 100);
    first.reset();
    CU_ASSERT_EQUAL(objects_in(*heap), 0);
}

static void containers_of_the_heap()
{
    {
        auto ours = goalloc::make<goalloc::vector<int>>(*heap, std::size_t{10}, 7);
        auto pmr = goalloc::make<std::pmr::vector<int>>(*heap, std::size_t{10}, 7);
        auto first = goalloc::make<leading>(*heap, 3);
        auto given = goalloc::make<std::pmr::vector<int>>(*heap, heap->resource());
        std::pmr::vector<int> own(20, 7);
        auto copied = goalloc::make<std::pmr::vector<int>>(*heap, own);
        given->resize(10);
        CU_ASSERT(heap->contains(ours->data()) && ours->size() == 10 && ours->at(9) == 7);
        CU_ASSERT(heap->contains(pmr->data()) && pmr->size() == 10 && pmr->at(9) == 7);
        CU_ASSERT(heap->contains(first->numbers.data()) && first->n == 3);
        CU_ASSERT(heap->contains(given->data()));
        CU_ASSERT(heap->contains(copied->data()) && *copied == own);
    }
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
            {"constructor throws", constructor_throws},
            {"destroys", destroys},
            {"constants", constants},
            {"pairs", pairs},
            {"chain", chain},
            {"containers of the heap", containers_of_the_heap},
        };
        failed = ga_test_main("cxx.make", tests, std::size(tests));
    }
    return server.stop(failed);
}

/* What is published by name and type: found, refused, replaced, waited for, held. */
#include <array>
#include <atomic>
#include <deque>
#include <filesystem>
#include <queue>
#include <thread>

#include "cxx/fixture.hpp"

using namespace std::chrono_literals;

struct point {
    int x, y;
};
struct point_in_space {
    int x, y, z;
};
template <> struct goalloc::type_name<point> {
    static std::string_view get() noexcept
    {
        return "point/1";
    }
};
template <> struct goalloc::type_name<point_in_space> { /* says it is the same */
    static std::string_view get() noexcept
    {
        return "point/1";
    }
};
namespace
{
struct nameless {
    int x;
};
} // namespace
struct with_virtuals {
    virtual ~with_virtuals() = default;
};
struct allowed {
    virtual ~allowed() = default;
    int x = 7;
};
template <> struct goalloc::is_shareable<allowed> : std::true_type {
};
using hash_function = std::size_t (*)(int);
static_assert(goalloc::is_shareable<std::pmr::vector<std::pmr::string>>::value);
static_assert(goalloc::is_shareable<goalloc::unique<point>>::value);
static_assert(goalloc::is_shareable<point *>::value && goalloc::is_shareable<point[3]>::value);
static_assert(!goalloc::is_shareable<with_virtuals>::value);
static_assert(!goalloc::is_shareable<std::string>::value);
static_assert(!goalloc::is_shareable<std::pmr::vector<std::string>>::value);
static_assert(!goalloc::is_shareable<std::pmr::map<int, std::vector<int>>>::value);
static_assert(!goalloc::is_shareable<std::shared_ptr<point>>::value);
static_assert(!goalloc::is_shareable<std::unique_ptr<point>>::value);
static_assert(!goalloc::is_shareable<std::function<int()>>::value);
static_assert(!goalloc::is_shareable<std::any>::value);
static_assert(!goalloc::is_shareable<std::tuple<int, std::string>>::value);
static_assert(!goalloc::is_shareable<std::variant<int, std::string>>::value);
static_assert(!goalloc::is_shareable<std::queue<int>>::value);
static_assert(!goalloc::is_shareable<std::filesystem::path>::value);
static_assert(!goalloc::is_shareable<std::pmr::map<int, int, bool (*)(int, int)>>::value);
static_assert(!goalloc::is_shareable<std::pmr::unordered_map<int, int, hash_function>>::value);
static_assert(goalloc::is_shareable<std::tuple<int, std::pmr::string>>::value);
static_assert(goalloc::is_shareable<std::variant<int, std::pmr::string>>::value);
static_assert(goalloc::is_shareable<std::queue<int, std::pmr::deque<int>>>::value);
static_assert(!goalloc::is_shareable<int (*)(int)>::value);
static_assert(!goalloc::is_shareable<int point::*>::value);

static goalloc::heap *heap;

static void publish_and_find()
{
    CU_ASSERT_PTR_NULL(heap->find<point>("point"));
    auto made = goalloc::make<point>(*heap, point{1, 2});
    point *object = heap->publish("point", std::move(made));
    CU_ASSERT(object && !made && heap->find<point>("point") == object);
    CU_ASSERT_PTR_EQUAL(heap->find<const point>("point"), object);
    auto taken = heap->unpublish<point>("point");
    CU_ASSERT_PTR_EQUAL(taken.get(), object);
    CU_ASSERT(!heap->find<point>("point") && !heap->unpublish<point>("point"));

    heap->publish("plain", taken.get());
    CU_ASSERT_PTR_EQUAL(heap->find<point>("plain"), object);
    CU_ASSERT_PTR_EQUAL(heap->unpublish<point>("plain").release(), object);
    taken.reset();
    CU_ASSERT_EQUAL(objects_in(*heap), 0);
}

/* To C it is the name before the zero. */
static void name_with_zero()
{
    const std::string name("point\0", 6);
    heap->publish("point", goalloc::make<point>(*heap));
    std::uint64_t before = objects_in(*heap);
    auto invalid = std::errc::invalid_argument;
    CU_ASSERT(code_thrown([&] { heap->find<point>(name); }) == invalid);
    CU_ASSERT(code_thrown([&] { heap->wait<point>(name, 1ms); }) == invalid);
    CU_ASSERT(code_thrown([&] { heap->unpublish<point>(name); }) == invalid);
    CU_ASSERT(code_thrown([&] { heap->publish(name, goalloc::make<point>(*heap)); }) == invalid);
    CU_ASSERT_EQUAL(objects_in(*heap), before);
    CU_ASSERT(heap->unpublish<point>("point") != nullptr);
}

template <class Act> static bool is_refused(Act act)
{
    std::string what = what_is_thrown<goalloc::wrong_type>(act);
    return has(what, "'root' is point/1 of 8 bytes, not double of 8 bytes");
}

/* By all that looks a name up, and nothing changes. */
static void wrong_type()
{
    point *object = heap->publish("root", goalloc::make<point>(*heap));
    std::uint64_t before = objects_in(*heap);
    CU_ASSERT(is_refused([] { heap->find<double>("root"); }));
    CU_ASSERT(is_refused([] { heap->wait<double>("root"); }));
    CU_ASSERT(is_refused([] { heap->hold<double>("root"); }));
    CU_ASSERT(is_refused([] { heap->unpublish<double>("root"); }));
    CU_ASSERT(is_refused([] { heap->find_or_make<double>("root", 1.0); }));
    CU_ASSERT(is_refused([] { heap->replace("root", goalloc::make<double>(*heap, 1.0)); }));
    /* The same name for another layout. */
    CU_ASSERT(has(what_is_thrown<goalloc::wrong_type>([] { heap->find<point_in_space>("root"); }),
                  "point/1 of 8 bytes, not point/1 of 12 bytes"));
    CU_ASSERT_EQUAL(objects_in(*heap), before);
    CU_ASSERT_PTR_EQUAL(heap->unpublish<point>("root").get(), object);
    CU_ASSERT_EQUAL(objects_in(*heap), 0);
}

/* What other programs have published, in C, or damaged. */
static void no_record()
{
    static const std::size_t sizes[] = {1, 16, 39, 40, 400};
    for (std::size_t size : sizes) {
        void *raw = goalloc_calloc(heap->get(), 1, size);
        CU_ASSERT_EQUAL(goalloc_publish(heap->get(), "raw", raw), 0);
        CU_ASSERT(has(what_is_thrown<goalloc::wrong_type>([] { heap->find<point>("raw"); }),
                      "an object without a type"));
        goalloc_unpublish(heap->get(), "raw");
        goalloc_free(heap->get(), raw);
    }
    heap->publish("root", goalloc::make<point>(*heap));
    void *record = nullptr;
    CU_ASSERT_EQUAL(goalloc_lookup(heap->get(), "root", &record), 0);
    CU_ASSERT_EQUAL(goalloc_publish(heap->get(), "other", record), 0); /* is "root"'s */
    CU_ASSERT(what_is_thrown<goalloc::wrong_type>([] { heap->find<point>("other"); }) != "");
    goalloc_unpublish(heap->get(), "other");
    auto *bytes = static_cast<unsigned char *>(record);
    for (std::size_t i = 0; i < sizeof(goalloc::detail::record) + 7; i++) {
        if (i >= 48 && i < 64)
            continue; /* nothing is there */
        bytes[i] = static_cast<unsigned char>(bytes[i] ^ 1);
        CU_ASSERT(has(what_is_thrown<goalloc::wrong_type>([] { heap->find<point>("root"); }),
                      "an object without a type"));
        bytes[i] = static_cast<unsigned char>(bytes[i] ^ 1);
    }
    CU_ASSERT(heap->unpublish<point>("root") != nullptr);
    CU_ASSERT_EQUAL(objects_in(*heap), 0);
}

static void refusals()
{
    auto made = goalloc::make<point>(*heap, point{1, 2});
    heap->publish("taken", made.get());
    auto second = goalloc::make<point>(*heap);
    point *object = second.get();
    auto publish = [&] { heap->publish("taken", std::move(second)); };
    CU_ASSERT(code_thrown(publish) == std::errc::file_exists);
    CU_ASSERT(has(what_is_thrown<std::system_error>(publish), "'taken'"));
    CU_ASSERT_PTR_EQUAL(second.get(), object); /* still the caller's */
    CU_ASSERT(code_thrown([&] { heap->publish(std::string(256, 'n'), std::move(second)); }) ==
              std::errc::filename_too_long);
    CU_ASSERT(code_thrown([&] { heap->find<point>(""); }) == std::errc::invalid_argument);
    CU_ASSERT(second != nullptr);
    point own = {};
    CU_ASSERT(code_thrown([&] { heap->publish("own", &own); }) == std::errc::invalid_argument);
    auto no_type = goalloc::make<nameless>(*heap);
    CU_ASSERT(has(what_is_thrown<std::logic_error>([&] { heap->publish("a", no_type.get()); }),
                  "unnamed namespace"));
    (void)heap->unpublish<point>("taken").release();
    auto chosen = heap->publish("allowed", goalloc::make<allowed>(*heap));
    CU_ASSERT(chosen->x == 7 && heap->unpublish<allowed>("allowed"));
    made.reset();
    second.reset();
    no_type.reset();
    CU_ASSERT_EQUAL(objects_in(*heap), 0);
}

static void replace()
{
    CU_ASSERT(!heap->replace("root", goalloc::make<point>(*heap, point{1, 1})));
    auto old = heap->replace("root", goalloc::make<point>(*heap, point{2, 2}));
    CU_ASSERT(old && old->x == 1 && heap->find<point>("root")->x == 2);
    old.reset();
    CU_ASSERT_EQUAL(objects_in(*heap), 2); /* an object and what tells its type */
    CU_ASSERT(heap->unpublish<point>("root")->y == 2);
    CU_ASSERT_EQUAL(objects_in(*heap), 0);
}

static void wait()
{
    CU_ASSERT_PTR_NULL(heap->wait<point>("later", 0ms));
    CU_ASSERT_PTR_NULL(heap->wait<point>("later", 20ms));
    point *found = nullptr;
    std::thread waits([&] { found = heap->wait<point>("later"); });
    std::this_thread::sleep_for(20ms);
    point *object = heap->publish("later", goalloc::make<point>(*heap));
    waits.join();
    CU_ASSERT_PTR_EQUAL(found, object);
    CU_ASSERT_PTR_EQUAL(heap->wait<point>("later", std::chrono::hours(24 * 365)), object);
    CU_ASSERT(heap->unpublish<point>("later") != nullptr);
}

static void one_for_all()
{
    constexpr int THREADS = 4;
    for (int round = 0; round < 20; round++) {
        point *found[THREADS] = {};
        std::thread threads[THREADS];
        for (int i = 0; i < THREADS; i++)
            threads[i] = std::thread([&, i] {
                found[i] = heap->find_or_make<point>("one", point{3, 4});
            });
        for (std::thread &thread : threads)
            thread.join();
        for (point *each : found)
            CU_ASSERT(each && each == found[0] && each->y == 4);
        CU_ASSERT_EQUAL(objects_in(*heap), 2);
        CU_ASSERT(heap->unpublish<point>("one") != nullptr);
    }
}

static void hold()
{
    CU_ASSERT(!heap->hold<point>("root"));
    point *object = heap->publish("root", goalloc::make<point>(*heap, point{5, 6}));
    {
        auto held = heap->hold<point>("root");
        CU_ASSERT(held && held.get() == object && held->x == 5 && (*held).y == 6);
        auto moved = std::move(held);
        CU_ASSERT(!held && moved);
        CU_ASSERT(heap->unpublish<point>("root") != nullptr); /* destroyed and freed */
        auto next = goalloc::make<point>(*heap);              /* which would have its memory */
        CU_ASSERT(next.get() != object && moved->x == 5);
    }
    CU_ASSERT_EQUAL(objects_in(*heap), 0);
}

/* One replaces and frees, others hold and look: never at what was freed. */
[[maybe_unused]] static void hold_while_replaced()
{
    std::atomic<bool> done{false};
    std::atomic<int> wrong{0}, seen{0};
    heap->publish("root", goalloc::make<point>(*heap, point{-1, 1}));
    auto look = [&] {
        while (!done) {
            auto held = heap->hold<point>("root");
            point now = held ? *held : point{};
            wrong += now.x + now.y != 0 || now.y == 0;
            seen++;
        }
    };
    std::thread first(look), second(look);
    for (int i = 2; i < 500 || seen < 100; i++) {
        auto old = heap->replace("root", goalloc::make<point>(*heap, point{-i, i}));
        wrong += !old || old->y != i - 1;
        old.reset(); /* with the last hold; until then it is what it was */
        auto junk = goalloc::make<std::array<char, 128>>(*heap); /* where a record was */
        junk->fill('j');
    }
    done = true;
    first.join();
    second.join();
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(heap->unpublish<point>("root") != nullptr);
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
            {"publish and find", publish_and_find},
            {"name with zero", name_with_zero},
            {"wrong type", wrong_type},
            {"no record", no_record},
            {"refusals", refusals},
            {"replace", replace},
            {"wait", wait},
            {"one for all", one_for_all},
            {"hold", hold},
#ifndef __SANITIZE_THREAD__ /* a record is read while it may be freed, and its sums looked at */
            {"hold while replaced", hold_while_replaced},
#endif
        };
        failed = ga_test_main("cxx.roots", tests, std::size(tests));
    }
    return server.stop(failed);
}

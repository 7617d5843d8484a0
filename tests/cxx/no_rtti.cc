/* Without RTTI a type that is published has a name of the program's own. */
#include <goalloc/goalloc.hpp>

struct counter {
    long n;
};
template <> struct goalloc::type_name<counter> {
    static std::string_view get() noexcept
    {
        return "counter/1";
    }
};

long count();
long count()
{
    goalloc::heap heap;
    auto own = goalloc::make<std::pmr::vector<int>>(heap, 10U);
    return ++heap.find_or_make<counter>("counter")->n + static_cast<long>(own->size());
}

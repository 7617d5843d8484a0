// Every form of the operators new and delete comes to the malloc that is preloaded, and goes back
// to it.
#include <malloc.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                   \
            std::_Exit(1);                                                                         \
        }                                                                                          \
    } while (0)

namespace
{

using std::align_val_t;
using std::nothrow;

std::size_t in_use()
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

bool is_aligned(void *p, std::size_t alignment)
{
    return reinterpret_cast<std::uintptr_t>(p) % alignment == 0;
}

// Of a size that no other object here has, so that a leak of one shows.
constexpr std::size_t size = 60000;

template <typename New, typename Delete> void check_pair(New make, Delete destroy)
{
    std::size_t before = in_use();
    for (int i = 0; i < 10; i++) {
        void *p = make();
        CHECK(p && malloc_usable_size(p) >= size);
        CHECK(in_use() >= before + size);
        destroy(p);
        CHECK(in_use() < before + size);
    }
}

void check_forms()
{
    const align_val_t alignment{256};
    check_pair([] { return ::operator new(size); }, [](void *p) { ::operator delete(p); });
    check_pair([] { return ::operator new[](size); }, [](void *p) { ::operator delete[](p); });
    check_pair([] { return ::operator new(size); }, [](void *p) { ::operator delete(p, size); });
    check_pair([] { return ::operator new[](size); },
               [](void *p) { ::operator delete[](p, size); });
    check_pair([] { return ::operator new(size, nothrow); },
               [](void *p) { ::operator delete(p, nothrow); });
    check_pair([] { return ::operator new[](size, nothrow); },
               [](void *p) { ::operator delete[](p, nothrow); });
    check_pair([=] { return ::operator new(size, alignment); },
               [=](void *p) {
                   CHECK(is_aligned(p, 256));
                   ::operator delete(p, alignment);
               });
    check_pair([=] { return ::operator new[](size, alignment); },
               [=](void *p) { ::operator delete[](p, alignment); });
    check_pair([=] { return ::operator new(size, alignment); },
               [=](void *p) { ::operator delete(p, size, alignment); });
    check_pair([=] { return ::operator new[](size, alignment); },
               [=](void *p) { ::operator delete[](p, size, alignment); });
    check_pair([=] { return ::operator new(size, alignment, nothrow); },
               [=](void *p) { ::operator delete(p, alignment, nothrow); });
    check_pair([=] { return ::operator new[](size, alignment, nothrow); },
               [=](void *p) { ::operator delete[](p, alignment, nothrow); });
}

void check_none()
{
    const std::size_t volatile too_large = std::numeric_limits<std::ptrdiff_t>::max();
    bool thrown = false;
    try {
        ::operator delete(::operator new(too_large));
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    CHECK(thrown);
    CHECK(!::operator new(too_large, nothrow));
    CHECK(!::operator new (too_large, align_val_t{64}, nothrow));
    static int asked;
    std::set_new_handler([] {
        if (++asked == 3)
            std::set_new_handler(nullptr);
    });
    CHECK(!::operator new(too_large, nothrow) && asked == 3);
}

// Exceptions are allocated too, and thrown from many threads.
void check_library()
{
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([t] {
            std::map<int, std::shared_ptr<std::string>> map;
            for (int i = 0; i < 20000; i++) {
                map[i % 500] =
                    std::make_shared<std::string>(static_cast<std::size_t>(i % 300), 'x');
                if (i % 100 == 0)
                    try {
                        throw std::string(200, static_cast<char>('a' + t));
                    } catch (const std::string &text) {
                        CHECK(text[199] == 'a' + t);
                    }
            }
        });
    for (std::thread &thread : threads)
        thread.join();
}

} // namespace

int main()
{
    CHECK(in_use() > 0);
    check_forms();
    check_none();
    check_library();
    std::puts("all forms come back");
}

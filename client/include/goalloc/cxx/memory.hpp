/* Of goalloc.hpp: memory for containers and for single objects, and what is thrown. */
#ifndef GOALLOC_CXX_MEMORY_HPP
#define GOALLOC_CXX_MEMORY_HPP

#include <cerrno>
#include <cstddef>
#include <limits>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <scoped_allocator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <goalloc/cxx/types.hpp>
#include <goalloc/goalloc.h>

namespace goalloc
{

class heap;

namespace detail
{

class error_category final : public std::error_category
{
  public:
    const char *name() const noexcept override
    {
        return "goalloc";
    }
    std::string message(int code) const override
    {
        return goalloc_strerror(-code);
    }
    std::error_condition default_error_condition(int code) const noexcept override
    {
        return {code, std::generic_category()};
    }
};

} // namespace detail

/* The category of errors here; the codes are errno's, the sentences goalloc's. */
inline const std::error_category &category() noexcept
{
    static const detail::error_category the_one;
    return the_one;
}

/* What was published under a name is no T. what() names both types. */
class wrong_type : public std::runtime_error
{
  public:
    using std::runtime_error::runtime_error;
};

namespace detail
{

/* err: a negative errno. */
[[noreturn]] inline void throw_error(int err, const std::string &what)
{
    if (err == -ENOMEM)
        throw std::bad_alloc();
    throw std::system_error(-err, category(), what);
}

/* ---- memory ---- */

/* What this header keeps in the first 1024 bytes of a process's own page, which is at the same
 * address in every process of the heap. So an address of it, or in it, means in each process what
 * that process has there: its attachment, and its resource with its own virtual functions. The
 * offsets are part of what programs agree on. */
struct own_page {
    goalloc_heap *attached; /* written by goalloc_own_page */
    alignas(64) unsigned char resource[64];
};
static_assert(sizeof(own_page) <= 1024 && offsetof(own_page, resource) == 64);

inline void *allocate(goalloc_heap *attached, std::size_t bytes, std::size_t alignment, bool noscan)
{
    std::size_t natural = bytes < 16 ? 8 : 16;
    void *p = !noscan && alignment <= natural
                  ? goalloc_malloc(attached, bytes)
                  : goalloc_alloc(attached, bytes, alignment, noscan ? GOALLOC_NOSCAN : 0);
    if (!p)
        throw std::bad_alloc();
    return p;
}

} // namespace detail

/* The heap as a std::pmr::memory_resource: there is one for each heap, heap::resource(), and it
 * lies at the same address in every process that has attached by goalloc::heap. A std::pmr
 * container in the heap that uses it can so be used and changed by all of them. deallocate takes
 * what any process has allocated. Thread-safe. */
class memory_resource final : public std::pmr::memory_resource
{
  public:
    memory_resource(const memory_resource &) = delete;
    memory_resource &operator=(const memory_resource &) = delete;

  private:
    friend class heap;
    explicit memory_resource(goalloc_heap *attached) noexcept : attached_(attached)
    {
    }
    ~memory_resource() override = default;

    void *do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        return detail::allocate(attached_, bytes, alignment, false);
    }
    void do_deallocate(void *p, std::size_t, std::size_t) override
    {
        goalloc_free(attached_, p);
    }
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
    {
        return this == &other;
    }

    goalloc_heap *attached_;
};
static_assert(sizeof(memory_resource) <= sizeof(detail::own_page::resource));

/* An allocator for containers of any kind in the heap, with plain pointers. It is one word, the
 * same in all processes, so a container that has it may lie in the heap itself and be used and
 * changed by all of them. Two are equal if they are of one heap. It stays with its container: a
 * copy of the container is made in the same heap, assignment and move copy elements where the heaps
 * differ, and swap is then undefined, as with std::pmr. Thread-safe. */
template <class T> class allocator
{
  public:
    using value_type = T;
    using propagate_on_container_copy_assignment = std::false_type;
    using propagate_on_container_move_assignment = std::false_type;
    using propagate_on_container_swap = std::false_type;
    using is_always_equal = std::false_type;

    /* Of that heap, which must be attached whenever the allocator is used. */
    allocator(const heap &of) noexcept;

    template <class U> allocator(const allocator<U> &other) noexcept : page_(other.page_)
    {
    }

    /* Room for n objects. Throws std::bad_alloc. */
    [[nodiscard]] T *allocate(std::size_t n)
    {
        if (n > std::numeric_limits<std::size_t>::max() / sizeof(T))
            throw std::bad_array_new_length();
        return static_cast<T *>(detail::allocate(page_->attached, n * sizeof(T), alignof(T),
                                                 is_noscan<std::remove_cv_t<T>>::value));
    }

    /* p: what an allocator of the heap has allocated, in any process. */
    void deallocate(T *p, std::size_t) noexcept
    {
        goalloc_free(page_->attached, p);
    }

    template <class U> friend bool operator==(const allocator &a, const allocator<U> &b) noexcept
    {
        return a.is_of_heap_of(b);
    }
    template <class U> friend bool operator!=(const allocator &a, const allocator<U> &b) noexcept
    {
        return !a.is_of_heap_of(b);
    }

  private:
    template <class U> friend class allocator;
    template <class U> bool is_of_heap_of(const allocator<U> &other) const noexcept
    {
        return page_ == other.page_;
    }
    detail::own_page *page_;
};

/* The same, which containers hand on to what they contain, if that takes an allocator. */
template <class T> using scoped_allocator = std::scoped_allocator_adaptor<allocator<T>>;

/* Containers with these allocators; each is constructed with a heap or an allocator of it. */
using string = std::basic_string<char, std::char_traits<char>, allocator<char>>;
template <class T> using vector = std::vector<T, scoped_allocator<T>>;
template <class K, class V, class Less = std::less<K>>
using map = std::map<K, V, Less, scoped_allocator<std::pair<const K, V>>>;
template <class K, class V, class Hash = std::hash<K>, class Equal = std::equal_to<K>>
using unordered_map =
    std::unordered_map<K, V, Hash, Equal, scoped_allocator<std::pair<const K, V>>>;

/* ---- single objects ---- */

/* Destroys and frees what make has made. One word, the same in all processes. */
template <class T> class deleter
{
  public:
    deleter() noexcept = default;
    explicit deleter(detail::own_page *page) noexcept : page_(page)
    {
    }
    void operator()(T *object) const noexcept
    {
        std::destroy_at(object);
        goalloc_free(page_->attached, const_cast<std::remove_cv_t<T> *>(object));
    }

  private:
    detail::own_page *page_ = nullptr;
};

/* Owns an object in the heap; it may lie in the heap itself. The owner is one process at a time,
 * and if that is killed the object stays, as its policy says. */
template <class T> using unique = std::unique_ptr<T, deleter<T>>;

/* Keeps an object's memory from being freed and collected, though somebody frees it, until it goes
 * (goalloc_hold). It does not keep an owner from destroying the object. */
template <class T> class held
{
  public:
    held() noexcept = default;
    held(held &&other) noexcept
        : attached_(other.attached_), object_(std::exchange(other.object_, nullptr))
    {
    }
    held &operator=(held &&other) noexcept
    {
        held taken(std::move(other)); /* which releases what was held here */
        std::swap(attached_, taken.attached_);
        std::swap(object_, taken.object_);
        return *this;
    }
    ~held()
    {
        if (object_) /* where that fails, the hold ends with this process */
            (void)goalloc_release(attached_, const_cast<std::remove_cv_t<T> *>(object_));
    }
    T *get() const noexcept
    {
        return object_;
    }
    std::add_lvalue_reference_t<T> operator*() const noexcept
    {
        return *object_;
    }
    T *operator->() const noexcept
    {
        return object_;
    }
    explicit operator bool() const noexcept
    {
        return object_ != nullptr;
    }

  private:
    friend class heap;
    held(goalloc_heap *attached, T *object) noexcept : attached_(attached), object_(object)
    {
    }
    goalloc_heap *attached_ = nullptr;
    T *object_ = nullptr;
};

} // namespace goalloc

/* The same as of any string of these characters. */
template <> struct std::hash<goalloc::string> {
    std::size_t operator()(const goalloc::string &s) const noexcept
    {
        return std::hash<std::string_view>()(s);
    }
};

#endif

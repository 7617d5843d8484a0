/* goalloc.hpp - goalloc.h for C++17 and newer: a heap that detaches by itself, allocators with
 * which containers lie in shared memory and are used by several processes, and objects that are
 * found by name and type. A header alone; link what goalloc.h needs.
 *
 * Who shares C++ objects shares their layout: all programs need the same standard library (g++ and
 * clang++ may be mixed, libstdc++ and libc++ not) and the same definitions of their types. What
 * holds an address of the program itself means nothing in another one: virtual functions, pointers
 * to functions, std::function, std::shared_ptr, and everything with std::allocator, such as
 * std::string. Of these publish refuses what can be told from the type.
 *
 * Functions throw std::bad_alloc where memory, or a quota of it, is used up, wrong_type, and else
 * std::system_error with goalloc::category(), whose codes compare with std::errc. The heap gives
 * memory, not locks: who changes an object must know that nobody else uses it meanwhile. All here
 * may be called by several threads at once, on different objects, or where it says const. */
#ifndef GOALLOC_GOALLOC_HPP
#define GOALLOC_GOALLOC_HPP

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <memory_resource>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include <goalloc/cxx/memory.hpp>
#include <goalloc/cxx/record.hpp>
#include <goalloc/cxx/types.hpp>
#include <goalloc/goalloc.h>

namespace goalloc
{

/* The options of goalloc.h, all at their defaults. */
struct options : goalloc_options {
    options() noexcept : goalloc_options{}
    {
        size = sizeof(goalloc_options);
    }
};

/* No limit of wait. */
inline constexpr std::chrono::milliseconds for_ever = std::chrono::milliseconds::max();

/* This process's attachment to a heap. When it goes the process detaches; until then it must
 * outlive the use of everything in the heap. What is const here may be called by several threads at
 * once. */
class heap
{
  public:
    /* Attach to the heap at address, the path of a socket; NULL and options as of goalloc_attach.
     * Throws std::system_error, whose what() says what was wrong, or std::bad_alloc. */
    explicit heap(const char *address = nullptr, const options &options = {})
    {
        int r = goalloc_attach(address, &options, &attached_);
        if (r < 0)
            detail::throw_error(r, std::string("goalloc: ") + goalloc_attach_error());
        try {
            prepare();
        } catch (...) {
            goalloc_detach(attached_);
            throw;
        }
    }

    /* Take over what goalloc_attach gave. If this throws it stays the caller's. */
    static heap adopt(goalloc_heap *attached)
    {
        heap taken(attached, 0);
        try {
            taken.prepare();
        } catch (...) {
            taken.attached_ = nullptr;
            throw;
        }
        return taken;
    }

    heap(heap &&other) noexcept
        : attached_(std::exchange(other.attached_, nullptr)), page_(other.page_)
    {
    }
    heap &operator=(heap &&other) noexcept
    {
        heap taken(std::move(other)); /* which detaches what was attached here */
        std::swap(attached_, taken.attached_);
        std::swap(page_, taken.page_);
        return *this;
    }
    ~heap()
    {
        goalloc_detach(attached_);
    }

    /* For the functions of goalloc.h; NULL where it was moved from. */
    goalloc_heap *get() const noexcept
    {
        return attached_;
    }

    /* Give the attachment up without detaching. */
    goalloc_heap *release() noexcept
    {
        return std::exchange(attached_, nullptr);
    }

    /* For std::pmr; good until this process detaches. */
    goalloc::memory_resource *resource() const noexcept
    {
        return std::launder(reinterpret_cast<goalloc::memory_resource *>(page_->resource));
    }

    bool contains(const void *p) const noexcept
    {
        return goalloc_contains(attached_, p);
    }

    /* Publish an object of the heap under name, with its type. The first one gives it up, and
     * returns it: it then belongs to whoever unpublishes it. Throws std::system_error, with
     * std::errc::file_exists where the name is taken, and std::bad_alloc; the object is then still
     * the caller's, except with std::errc::timed_out, where it stays in the heap, published or not.
     */
    template <class T> T *publish(const std::string &name, unique<T> &&object) const
    {
        int r = try_publish(name, object.get());
        T *published = object.get();
        if (r == 0 || r == -ETIMEDOUT)
            object.release();
        if (r < 0)
            detail::throw_error(r, "goalloc: publish '" + name + "'");
        return published;
    }
    template <class T> void publish(const std::string &name, T *object) const
    {
        int r = try_publish(name, object);
        if (r < 0)
            detail::throw_error(r, "goalloc: publish '" + name + "'");
    }

    /* The T published under name; NULL if there is none. It may be taken back and freed by whoever
     * may do that. Throws wrong_type if it is no T, std::system_error. */
    template <class T> T *find(const std::string &name) const
    {
        return static_cast<T *>(look_up<T>(name).object);
    }

    /* The same, and wait until it is published, for at most timeout, or for_ever; NULL if it was
     * not. Throws as find. */
    template <class T>
    T *wait(const std::string &name, std::chrono::milliseconds timeout = for_ever) const
    {
        using clock = std::chrono::steady_clock;
        const auto begin = clock::now();
        for (;;) {
            auto spent =
                std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - begin);
            auto left = timeout > spent ? (timeout - spent).count() : 0;
            std::uint32_t ms = timeout == for_ever           ? GOALLOC_FOR_EVER
                               : left > GOALLOC_FOR_EVER - 1 ? GOALLOC_FOR_EVER - 1
                                                             : static_cast<std::uint32_t>(left);
            void *record = nullptr;
            int r = goalloc_wait(attached_, text_of(name), ms, &record);
            if (r == -ENOENT || (r == -ETIMEDOUT && timeout != for_ever))
                return nullptr;
            if (r < 0)
                detail::throw_error(r, "goalloc: wait for '" + name + "'");
            if (T *found = find<T>(name))
                return found;
        }
    }

    /* Find, or make one of args and publish it. Of several who do this at once all have the same.
     */
    template <class T, class... Args>
    T *find_or_make(const std::string &name, Args &&...args) const;

    /* Find the T and hold it, so that its memory is not freed while it is looked at, also if it is
     * replaced or unpublished meanwhile; empty if there is none. Throws as find, and what
     * goalloc_hold says. */
    template <class T> held<T> hold(const std::string &name) const
    {
        for (int tries = 0;;) {
            detail::root before = look_up<T>(name);
            if (!before.object)
                return {};
            int r = goalloc_hold(attached_, before.object);
            held<T> kept(attached_, r < 0 ? nullptr : static_cast<T *>(before.object));
            /* If it is still there now, it was in use when it was held. */
            detail::root after = look_up<T>(name);
            if (after.record != before.record || after.check != before.check)
                continue;
            if (may_have_been_replaced(r, tries))
                continue;
            if (r < 0)
                detail::throw_error(r, "goalloc: hold '" + name + "'");
            return kept;
        }
    }

    /* Publish object in place of what name stood for, in one step; returns that, empty if the name
     * was free. The old object must be kept as long as others use it. Throws wrong_type if the old
     * one is no T, and then nothing has changed; and as publish. */
    template <class T> unique<T> replace(const std::string &name, unique<T> &&object) const
    {
        (void)look_up<T>(name);
        void *record = make_record(name, object.get());
        void *old = nullptr;
        int r = goalloc_replace(attached_, name.c_str(), record, &old);
        if (r == 0 || r == -ETIMEDOUT)
            object.release();
        else
            goalloc_free(attached_, record);
        if (r < 0)
            detail::throw_error(r, "goalloc: replace '" + name + "'");
        return old ? take<T>(name, read(name, old)) : unique<T>();
    }

    /* Take name back, and with it the object; empty if nobody has published it. Two processes that
     * change one name at once, one of them by this, need a lock. Throws wrong_type, and then
     * nothing has changed; std::system_error. */
    template <class T> unique<T> unpublish(const std::string &name) const
    {
        detail::root found = look_up<T>(name);
        if (!found.object)
            return {};
        int r = goalloc_unpublish(attached_, name.c_str());
        if (r == -ENOENT)
            return {};
        if (r < 0)
            detail::throw_error(r, "goalloc: unpublish '" + name + "'");
        return take<T>(name, found);
    }

  private:
    template <class T> friend class allocator;
    template <class T, class... Args> friend unique<T> make(const heap &, Args &&...);

    heap(goalloc_heap *attached, int) noexcept : attached_(attached)
    {
    }

    void prepare()
    {
        page_ = static_cast<detail::own_page *>(goalloc_own_page(attached_));
        if (!page_)
            throw std::bad_alloc();
        ::new (static_cast<void *>(page_->resource)) goalloc::memory_resource(attached_);
    }

    /* For C, where a name ends with the first zero. */
    static const char *text_of(const std::string &name)
    {
        if (name.find('\0') != std::string::npos)
            detail::throw_error(-EINVAL,
                                std::string("goalloc: a zero behind '") + name.c_str() + "'");
        return name.c_str();
    }

    template <class T> void *make_record(const std::string &name, T *object) const
    {
        static_assert(is_shareable<std::remove_cv_t<T>>::value,
                      "other processes cannot use this type: see goalloc::is_shareable");
        std::string_view type = detail::name_of<T>();
        (void)text_of(name); /* before anything is made */
        if (!object || goalloc_usable_size(attached_, object) < sizeof(T))
            detail::throw_error(-EINVAL, "goalloc: publish '" + name + "'");
        void *at = detail::allocate(attached_, sizeof(detail::record) + type.size(),
                                    alignof(detail::record), false);
        auto *r = ::new (at) detail::record();
        r->magic = detail::record::MAGIC;
        r->object = reinterpret_cast<std::uintptr_t>(object);
        r->type_size = sizeof(T);
        r->type_name_hash = detail::hash_of(type);
        r->type_alignment = alignof(T);
        r->type_name_bytes = static_cast<std::uint32_t>(type.size());
        r->check = detail::check_of(*r, name);
        std::memcpy(r + 1, type.data(), type.size());
        return at;
    }

    template <class T> int try_publish(const std::string &name, T *object) const
    {
        void *record = make_record(name, object);
        int r = goalloc_publish(attached_, name.c_str(), record);
        if (r < 0 && r != -ETIMEDOUT)
            goalloc_free(attached_, record);
        return r;
    }

    /* What the record at at says, if it is one. */
    static detail::root read(const std::string &name, void *at)
    {
        detail::root found;
        found.record = at;
        if (reinterpret_cast<std::uintptr_t>(at) % alignof(detail::record) != 0)
            return found;
        detail::record r;
        std::memcpy(&r, at, sizeof(r));
        if (r.magic != detail::record::MAGIC || r.check != detail::check_of(r, name))
            return found;
        std::string type(static_cast<const char *>(at) + sizeof(r), r.type_name_bytes);
        if (r.type_name_hash != detail::hash_of(type))
            return found;
        found.object = reinterpret_cast<void *>(static_cast<std::uintptr_t>(r.object));
        found.check = r.check;
        found.type_size = r.type_size;
        found.type_alignment = r.type_alignment;
        found.type = std::move(type);
        return found;
    }

    /* What name stands for; NULL if nothing. */
    void *published(const std::string &name) const
    {
        void *at = nullptr;
        int r = goalloc_lookup(attached_, text_of(name), &at);
        if (r < 0 && r != -ENOENT)
            detail::throw_error(r, "goalloc: find '" + name + "'");
        return at;
    }

    /* Whether what was to be held, as goalloc_hold answered, may just have been freed by whoever
     * replaced it: what is published in the same place by now is another one, and is looked up
     * anew. Not for ever, since there are objects that cannot be held. */
    static bool may_have_been_replaced(int r, int &tries) noexcept
    {
        return (r == -EINVAL || r == -ENOTSUP) && tries++ < 16;
    }

    /* The root, which is a T, or none. Where there is no record there may have been one when it was
     * looked up; held, and still published, it is what it is. */
    template <class T> detail::root look_up(const std::string &name) const
    {
        for (int tries = 0;;) {
            void *at = published(name);
            if (!at)
                return {};
            detail::root found = read(name, at);
            if (detail::is_of<T>(found))
                return found;
            int r = goalloc_hold(attached_, at);
            held<void> kept(attached_, r < 0 ? nullptr : at);
            if (published(name) != at)
                continue;
            found = read(name, at);
            if (detail::is_of<T>(found))
                return found;
            if (may_have_been_replaced(r, tries))
                continue;
            if (r < 0 && r != -ENOTSUP && r != -EINVAL)
                detail::throw_error(r, "goalloc: find '" + name + "'");
            detail::throw_wrong_type<T>(name, found);
        }
    }

    template <class T> unique<T> take(const std::string &name, const detail::root &found) const
    {
        if (!detail::is_of<T>(found))
            detail::throw_wrong_type<T>(name, found);
        goalloc_free(attached_, found.record);
        return unique<T>(static_cast<T *>(found.object), deleter<T>(page_));
    }

    goalloc_heap *attached_ = nullptr;
    detail::own_page *page_ = nullptr;
};

template <class T> allocator<T>::allocator(const heap &of) noexcept : page_(of.page_)
{
}

/* ---- making ---- */

namespace detail
{

template <class T> struct is_pair : std::false_type {
};
template <class A, class B> struct is_pair<std::pair<A, B>> : std::true_type {
};

/* Whether T takes such an allocator. A pair takes none, but what is in it may. */
template <class T, class Allocator> struct takes : std::uses_allocator<T, Allocator> {
};
template <class A, class B, class Allocator>
struct takes<std::pair<A, B>, Allocator> : std::disjunction<takes<std::remove_cv_t<A>, Allocator>,
                                                            takes<std::remove_cv_t<B>, Allocator>> {
};

/* The same memory, as containers have it, whose construct hands it on to both of a pair. */
inline std::pmr::polymorphic_allocator<std::byte>
handed_on(const std::pmr::polymorphic_allocator<std::byte> &of) noexcept
{
    return of;
}
inline scoped_allocator<std::byte> handed_on(const allocator<std::byte> &of) noexcept
{
    return scoped_allocator<std::byte>(of);
}

/* A T at memory, of args, and of the allocator too if T takes one and args do not have it already.
 */
template <class T, class Allocator, class... Args>
T *construct(void *memory, const Allocator &allocator, Args &&...args)
{
    constexpr bool takes = std::uses_allocator_v<T, Allocator>;
    if constexpr (is_pair<std::remove_cv_t<T>>::value) {
        auto *pair = static_cast<std::remove_cv_t<T> *>(memory);
        handed_on(allocator).construct(pair, std::forward<Args>(args)...);
        return pair;
    } else if constexpr (takes && std::is_constructible_v<T, std::allocator_arg_t,
                                                          const Allocator &, Args...>)
        return ::new (memory) T(std::allocator_arg, allocator, std::forward<Args>(args)...);
    else if constexpr (takes && std::is_constructible_v<T, Args..., const Allocator &>)
        return ::new (memory) T(std::forward<Args>(args)..., allocator);
    else
        return ::new (memory) T(std::forward<Args>(args)...);
}

struct raw_deleter {
    goalloc_heap *attached;
    void operator()(void *p) const noexcept
    {
        goalloc_free(attached, p);
    }
};

} // namespace detail

/* Make a T in the heap, of args. What takes an allocator, as containers do, gets one of the heap,
 * be it std::pmr's or this header's. Throws std::bad_alloc, and what T's constructor throws;
 * nothing is then left. */
template <class T, class... Args> unique<T> make(const heap &in, Args &&...args)
{
    static_assert(!std::is_array_v<T>, "make a goalloc::vector, or a std::array");
    /* What is tiny cannot be held. */
    constexpr bool noscan = is_noscan<std::remove_cv_t<T>>::value && sizeof(T) >= 16;
    std::unique_ptr<void, detail::raw_deleter> memory(
        detail::allocate(in.get(), sizeof(T), alignof(T), noscan), detail::raw_deleter{in.get()});
    T *object;
    if constexpr (detail::takes<std::remove_cv_t<T>,
                                std::pmr::polymorphic_allocator<std::byte>>::value)
        object = detail::construct<T>(memory.get(),
                                      std::pmr::polymorphic_allocator<std::byte>(in.resource()),
                                      std::forward<Args>(args)...);
    else
        object = detail::construct<T>(memory.get(), allocator<std::byte>(in),
                                      std::forward<Args>(args)...);
    (void)memory.release();
    return unique<T>(object, deleter<T>(in.page_));
}

template <class T, class... Args>
T *heap::find_or_make(const std::string &name, Args &&...args) const
{
    if (T *found = find<T>(name))
        return found;
    unique<T> mine = goalloc::make<T>(*this, std::forward<Args>(args)...);
    for (;;) {
        int r = try_publish(name, mine.get());
        if (r == 0)
            return mine.release();
        if (r == -ETIMEDOUT) /* it may be published all the same */
            (void)mine.release();
        if (r != -EEXIST)
            detail::throw_error(r, "goalloc: publish '" + name + "'");
        if (T *found = find<T>(name))
            return found;
    }
}

} // namespace goalloc

#endif

/* Of goalloc.hpp: what a name stands for is a record, an object of its own, which says where the
 * object lies and what its type is. So any object can be published, and none is longer for it. */
#ifndef GOALLOC_CXX_RECORD_HPP
#define GOALLOC_CXX_RECORD_HPP

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#ifdef __cpp_rtti
#include <cxxabi.h>
#endif

#include <goalloc/cxx/types.hpp>

namespace goalloc
{

namespace detail
{

inline std::uint64_t hash(std::uint64_t seed, const void *data, std::size_t bytes) noexcept
{
    for (const auto *p = static_cast<const unsigned char *>(data); bytes > 0; p++, bytes--)
        seed = (seed ^ *p) * UINT64_C(0x100000001b3);
    return seed;
}

/* Behind it lies the type's name. The object's address is a plain word here, and a pointer to a
 * collection. Whoever finds it reads it while others may free it and use its memory again, so it is
 * believed only where its sums are right; and it does not straddle two OS pages, so that a look at
 * what is shorter and no record does not reach beyond the heap's last page. */
struct alignas(64) record {
    static constexpr std::uint64_t MAGIC = UINT64_C(0x316570797432fa67);
    std::uint64_t magic;
    std::uint64_t check; /* of what follows here, and the root's name */
    std::uint64_t object;
    std::uint64_t type_size;
    std::uint64_t type_name_hash;
    std::uint32_t type_alignment;
    std::uint32_t type_name_bytes;
};
static_assert(sizeof(record) == 64 && std::is_trivially_copyable_v<record>);

constexpr std::uint64_t HASH_OF_NOTHING = UINT64_C(0xcbf29ce484222325);

inline std::uint64_t check_of(const record &r, const std::string &root) noexcept
{
    constexpr std::size_t begin = offsetof(record, object);
    constexpr std::size_t end = offsetof(record, type_name_bytes) + sizeof(r.type_name_bytes);
    return hash(hash(HASH_OF_NOTHING, &r.object, end - begin), root.data(), root.size());
}

inline std::uint64_t hash_of(std::string_view name) noexcept
{
    return hash(HASH_OF_NOTHING, name.data(), name.size());
}

template <class T> std::string_view name_of()
{
    std::string_view name = type_name<std::remove_cv_t<T>>::get();
    if (name.find("_GLOBAL__N_") != std::string_view::npos)
        throw std::logic_error("goalloc: a type of an unnamed namespace is another one in each "
                               "program; specialise goalloc::type_name");
    return name;
}

/* For people. */
inline std::string readable(const std::string &name)
{
#ifdef __cpp_rtti
    int status = -1;
    std::unique_ptr<char, void (*)(void *)> text(
        abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), std::free);
    if (text) /* else it is a name of the program's own */
        return text.get();
#endif
    return name;
}

/* What a record said when it was read. */
struct root {
    void *record = nullptr; /* where it lies; NULL = nobody has published */
    void *object = nullptr; /* NULL = it is no record */
    std::uint64_t check = 0;
    std::uint64_t type_size = 0;
    std::uint32_t type_alignment = 0;
    std::string type;
};

template <class T> bool is_of(const root &found)
{
    return found.object && found.type == name_of<T>() && found.type_size == sizeof(T) &&
           found.type_alignment == alignof(T);
}

template <class T> [[noreturn]] void throw_wrong_type(const std::string &name, const root &found)
{
    std::string is = "an object without a type";
    if (found.object)
        is = readable(found.type) + " of " + std::to_string(found.type_size) + " bytes";
    throw wrong_type("goalloc: '" + name + "' is " + is + ", not " +
                     readable(std::string(name_of<T>())) + " of " + std::to_string(sizeof(T)) +
                     " bytes");
}

} // namespace detail

} // namespace goalloc

#endif
